"""What a server says of itself and of the nodes behind it: ServerStatus and GetNodes."""

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from flowmine.ingest.pb.observer_pb2 import (
    GetNodesRequest,
    GetNodesResponse,
    Observer,
    ServerStatusRequest,
    ServerStatusResponse,
)
from flowmine.ingest.pb.relay_pb2 import NodeState
from flowmine.ingest.relay.connection import Connection
from flowmine.ingest.relay.rpc import Broken, Refused

__all__ = ["Node", "Status", "nodes_of", "status_of"]

_SHOWN = 5
_CONNECTED = NodeState.Value("NODE_CONNECTED")


@dataclass(frozen=True, slots=True)
class Node:
    """A node that relay knows."""

    name: str
    version: str
    address: str
    connected: bool
    uptime: int
    """Nanoseconds since its agent started; 0 where unknown."""
    capacity: int = 0
    seen: int = 0
    """Flows since its agent started, those that are no more held among them."""

    def came_back(self, before: "Node") -> bool:
        """Tell whether the node was away since ``before`` was told: restarted, moved, or disconnected then."""
        restarted = 0 < self.uptime < before.uptime
        return self.connected and (restarted or not before.connected or self.address != before.address)


@dataclass(frozen=True, slots=True)
class Status:
    """What ServerStatus and GetNodes told. Without relay, of an agent itself, ``nodes`` are none.

    ``seen`` counts flows since the start, ``uptime`` (nanoseconds) is how long ago that was.
    """

    version: str = ""
    buffered: int = 0
    capacity: int = 0
    rate: float = 0.0
    connected: int | None = None
    unavailable: int | None = None
    unavailable_nodes: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    seen: int = 0
    uptime: int = 0

    def sentences(self, address: str) -> Iterator[str]:
        """Yield what is shown at the start: one line on the server, one on nodes that do not answer."""
        parts = [f"Hubble {self.version}" if self.version else "Hubble, of no told version (before 1.14)"]
        if self.connected is not None:
            parts.append(f"{self.connected:,} node{'' if self.connected == 1 else 's'}")
        parts.append(f"{self.buffered:,} of at most {self.capacity:,} flows held")
        if self.rate:
            parts.append(f"{self.rate:,.1f} flows/s")
        yield f"{address}: {', '.join(parts)}"
        if self.unavailable:
            names = ", ".join(self.unavailable_nodes[:_SHOWN]) or "not named"
            more = f" and {self.unavailable - _SHOWN:,} more" if self.unavailable > _SHOWN else ""
            yield f"{address}: {self.unavailable:,} unavailable, whose flows are not seen: {names}{more}"
        versions = sorted({node.version for node in self.nodes if node.version})
        if len(versions) > 1:
            yield f"{address}: nodes of several versions: {', '.join(versions)}"


def status_of(connection: Connection, timeout: float) -> Status:
    """Ask for the server's status and, where it is a relay, for its nodes. Raise Broken or Refused."""
    try:
        told = ServerStatusResponse.FromString(
            connection.ask(Observer["ServerStatus"].path, ServerStatusRequest().SerializeToString(), timeout)
        )
    except DecodeError as error:
        raise Broken("its status is no message of Hubble's") from error
    return Status(
        version=told.version,
        buffered=told.num_flows,
        capacity=told.max_flows,
        rate=told.flows_rate,
        connected=told.num_connected_nodes.value if told.HasField("num_connected_nodes") else None,
        unavailable=told.num_unavailable_nodes.value if told.HasField("num_unavailable_nodes") else None,
        unavailable_nodes=tuple(told.unavailable_nodes),
        nodes=nodes_of(connection, timeout),
        seen=told.seen_flows,
        uptime=told.uptime_ns,
    )


def nodes_of(connection: Connection, timeout: float) -> tuple[Node, ...]:
    """Ask a relay for its nodes; none where the server is no relay, or too old to tell. Raise Broken."""
    try:
        told = GetNodesResponse.FromString(
            connection.ask(Observer["GetNodes"].path, GetNodesRequest().SerializeToString(), timeout)
        )
    except (Refused, DecodeError):
        return ()
    return tuple(
        Node(
            node.name,
            node.version,
            node.address,
            node.state == _CONNECTED,
            node.uptime_ns,
            node.max_flows,
            node.seen_flows,
        )
        for node in told.nodes
    )
