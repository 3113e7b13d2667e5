"""The wires between clients and the server, laid by hand so that they can be cut, held or scribbled on at will.

gRPC's library ends calls, and never breaks a connection. So it listens at a socket of its own, and whatever a client and
it say to each other passes through here, unread.
"""

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["Link", "Links", "listening", "path_of"]

_MOST = 1 << 18
_LINGER_SECONDS = 1.0
_NO_HTTP2 = b"\xff" * 64


class Link:
    """One client's connection, passed on in both directions by two threads until either side ends it."""

    def __init__(self, client: socket.socket, server: socket.socket, gone: Callable[["Link"], None]) -> None:
        """Take two connected sockets; ``gone`` is called once at the end."""
        self.name = str(server.getsockname())
        """The path under which the server knows this client."""
        self._client, self._server, self._gone = client, server, gone
        self._mute = False
        self._threads = [
            threading.Thread(target=self._pass, args=ends, name="flowmine-replay-link", daemon=True)
            for ends in ((client, server), (server, client))
        ]
        self._running = len(self._threads)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to pass on."""
        for thread in self._threads:
            thread.start()

    def drop(self) -> None:
        """Close the connection after what was passed on; the client may read that first."""
        self._mute = True
        with contextlib.suppress(OSError):
            self._client.settimeout(_LINGER_SECONDS)
            self._client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)

    def stall(self) -> None:
        """Pass on nothing more, and stay open."""
        self._mute = True

    def nonsense(self) -> None:
        """Tell the client what is no HTTP/2, nor TLS, and nothing else."""
        self._mute = True
        with contextlib.suppress(OSError):
            self._client.sendall(_NO_HTTP2)

    def close(self) -> None:
        """Close both sides at once, and wait for the threads."""
        for side in (self._client, self._server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        """Pass on what ``source`` says until it ends, then tell the other side so."""
        with contextlib.suppress(OSError):
            while data := source.recv(_MOST):
                if not self._mute:
                    sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR if source is self._client else socket.SHUT_WR)
        with self._lock:
            self._running -= 1
            last = not self._running
        if last:
            self._client.close()
            self._server.close()
            Path(self.name).unlink(missing_ok=True)
            self._gone(self)


class Links:
    """A socket that clients connect to, and the links from it to the server's own socket."""

    def __init__(self, listen: str, server: Path) -> None:
        """Listen at ``host:port`` or ``unix:///path`` for the server at the path ``server``.

        Raise OSError where that cannot be, ValueError where it is no address.
        """
        self._server, self._numbers = server, itertools.count()
        self._socket = listening(listen)
        self._over = False
        self._lock = threading.Lock()
        self._links: set[Link] = set()
        self._thread = threading.Thread(target=self._accept, name="flowmine-replay-accept", daemon=True)

    def start(self) -> None:
        """Begin to accept: the server is there."""
        self._thread.start()

    @property
    def port(self) -> tuple[str, int] | None:
        """The host and port that is listened at; None for a unix socket."""
        if self._socket.family == socket.AF_UNIX:
            return None
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def __iter__(self) -> Iterator[Link]:
        """Give the links there are now."""
        with self._lock:
            return iter(list(self._links))

    def of(self, peer: str) -> list[Link]:
        """Return the link, at most one, of the client that gRPC calls so."""
        return [link for link in self if peer == f"unix:{link.name}"]

    def close(self) -> None:
        """Listen no more, and close every link."""
        self._over = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for link in self:
            link.close()

    def _accept(self) -> None:
        while not self._over:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            if client.family != socket.AF_UNIX:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = socket.socket(socket.AF_UNIX)
            try:
                server.bind(f"{self._server}-{next(self._numbers)}")
                server.connect(str(self._server))
            except OSError:
                client.close()
                server.close()
                continue
            link = Link(client, server, self._forget)
            with self._lock:
                self._links.add(link)
            link.start()

    def _forget(self, link: Link) -> None:
        with self._lock:
            self._links.discard(link)


def path_of(listen: str) -> Path:
    """Return the path of a unix socket's address."""
    return Path(
        listen.removeprefix("unix://") if listen.startswith("unix://") else listen.removeprefix("unix:")
    )


def listening(listen: str) -> socket.socket:
    """Return a listening socket. Raise OSError where that cannot be, ValueError where it is no address."""
    if listen.startswith("unix:"):
        made = socket.socket(socket.AF_UNIX)
        try:
            made.bind(str(path_of(listen)))
            made.listen()
        except OSError:
            made.close()
            raise
        return made
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) >= 1 << 16:
        raise ValueError("write host:port, or unix:///path")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family)
