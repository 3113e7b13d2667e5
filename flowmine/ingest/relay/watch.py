"""Look after a stream from a thread of its own: whether the link is alive, and which nodes came back to relay."""

import threading
from collections.abc import Callable

from flowmine.ingest.relay.calls import Call
from flowmine.ingest.relay.connection import Connection
from flowmine.ingest.relay.rpc import Broken, Refused
from flowmine.ingest.relay.status import Node, Status, status_of

__all__ = ["Watch"]


class Watch:
    """Asks for the server's status now and then, on the connection of the stream, until it is closed.

    A link of which the other end has vanished says nothing at all, for hours: where an answer does not come in time and
    the stream is silent as well, the connection is broken from this side. Nodes whose agents restarted or moved
    are told, for relay does not ask each of them again.
    """

    def __init__(
        self,
        connection: Connection,
        call: Call,
        *,
        every: float,
        timeout: float,
        before: Status,
        told: Callable[[Status, tuple[Node, ...]], None],
    ) -> None:
        """Watch ``call``; every answer is ``told``, with the nodes that came back since the last one."""
        self._connection, self._call = connection, call
        self._every, self._timeout, self._told = every, timeout, told
        self._nodes = {node.name: node for node in before.nodes}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flowmine-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no more; the connection must be closed by now, or a question that is open holds this up."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every):
            arrived = self._call.messages
            try:
                status = status_of(self._connection, self._timeout)
            except Broken:
                continue  # the stream fails by itself, or is tried again
            except Refused as refused:
                silent = self._call.messages == arrived and not self._call.blocked
                if refused.code == "DEADLINE_EXCEEDED" and silent:
                    self._connection.fail(
                        f"the server is silent: no answer to ServerStatus in {self._timeout:g} s"
                    )
                    return
                continue
            self._compare(status)

    def _compare(self, status: Status) -> None:
        back = [
            node
            for node in status.nodes
            if node.name in self._nodes and node.came_back(self._nodes[node.name])
        ]
        self._nodes |= {node.name: node for node in status.nodes}
        self._told(status, tuple(back))
