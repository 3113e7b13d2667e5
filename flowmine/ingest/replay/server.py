"""The server: accepts connections, answers calls, streams flows, and fails when told to."""

import contextlib
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from google.protobuf.message import DecodeError

from flowmine.errors import InputError, UsageError
from flowmine.ingest.pb import health_pb2, observer_pb2, relay_pb2
from flowmine.ingest.replay.capture import BLOCK, Capture, Records
from flowmine.ingest.replay.connection import Connection
from flowmine.ingest.replay.faults import Fault
from flowmine.ingest.replay.reading import Reading, Wanted
from flowmine.ingest.replay.service import Service
from flowmine.ingest.replay.stream import Closed, Stream
from flowmine.ingest.replay.timeline import Pace, Timeline

__all__ = ["Replay", "Tls"]

_FLOWS = observer_pb2.Observer["GetFlows"]
_EVENTS = {
    observer_pb2.Observer["GetAgentEvents"].path: ("agent_event", observer_pb2.GetAgentEventsRequest),
    observer_pb2.Observer["GetDebugEvents"].path: ("debug_event", observer_pb2.GetDebugEventsRequest),
}
_WATCH = health_pb2.Health["Watch"]


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of a server's certificate and key, and of the authority whose clients alone may come, if any."""

    cert: str
    key: str
    client_ca: str | None = None

    def context(self) -> ssl.SSLContext:
        """Return the settings of a server. Raise InputError where a file cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        try:
            context.load_cert_chain(self.cert, self.key)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except OSError as error:  # ssl.SSLError is one
            files = ", ".join(name for name in (self.cert, self.key, self.client_ca) if name)
            raise InputError(f"{files}: no usable certificate and key ({error.strerror or error})") from error
        return context


class Replay:
    """A Hubble server of a capture, while a ``with`` block runs.

    ``address`` is where it listens; ``requests`` are the flows asked for, in order; ``sent`` counts events.

    >>> with Replay(capture) as server:  # doctest: +SKIP
    ...     connect(server.address)
    """

    def __init__(
        self,
        capture: Capture | Records,
        listen: str = "127.0.0.1:0",
        *,
        tls: Tls | None = None,
        pace: Pace | None = None,
        faults: Iterable[Fault] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to serve a capture, or a source that is read now, at ``host:port`` or ``unix:///path``.

        Raise InputError where there is no event or no usable certificate, UsageError for an address that is none.
        """
        if not isinstance(capture, Capture):
            capture = Capture.read(capture)
        self.timeline = Timeline(capture, pace or Pace(), clock)
        self.requests: list[Any] = []
        self.sent = 0
        self._listen, self._context = listen, tls.context() if tls is not None else None
        self._service = Service(self.timeline, lambda: self.address, tls=tls is not None)
        self._unary = self._service.unary()
        self._faults = sorted(faults, key=lambda fault: fault.after)
        self._lock = threading.Lock()
        self._connections: set[Connection] = set()
        self._calls: set[_Call] = set()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._accept, name="flowmine-replay-accept", daemon=True)

    @property
    def address(self) -> str:
        """Where the server listens: ``host:port``, or ``unix:///path``."""
        if self._socket is None or self._socket.family == socket.AF_UNIX:
            return self._listen
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def __enter__(self) -> "Replay":
        """Listen. Raise UsageError where the address cannot be listened at; the capture is closed then."""
        try:
            self._socket = _listening(self._listen)
        except (OSError, ValueError) as error:
            self.timeline.close()
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{self._listen}: cannot listen there ({reason})") from error
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection, and remove the files."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._thread.join()
        self.drop()
        self.timeline.close()
        if self._listen.startswith("unix:"):
            _path(self._listen).unlink(missing_ok=True)

    def drop(self) -> None:
        """Close every connection at once."""
        with self._lock:
            connections = list(self._connections)
        self.timeline.wake()
        for one in connections:
            one.close()

    def stall(self) -> None:
        """Say and hear nothing more on any connection, and keep them open."""
        with self._lock:
            connections = list(self._connections)
        for one in connections:
            one.stall_when_sent()

    def restart(self) -> None:
        """Close every connection, and begin with empty rings."""
        self.timeline.restart()
        with self._lock:
            connections = list(self._connections)
        for one in connections:
            one.drop_when_sent()

    def lose(self, node: str) -> None:
        """Lose a node: streams are told, and get nothing more of it. Raise UsageError where there is none such."""
        self._order("lose", node)

    def regain(self, node: str) -> None:
        """Have a node back: open streams ask it anew, and are not told. Raise UsageError where there is none such."""
        self._order("regain", node)

    def _order(self, kind: str, name: str) -> None:
        names = self.timeline.capture.members
        if name not in names:
            raise UsageError(f"no node {name!r} in the capture (there are: {', '.join(names)})")
        with self._lock:
            (self._service.lost.add if kind == "lose" else self._service.lost.discard)(name)
            for call in self._calls:
                call.orders.append((kind, name))
        self.timeline.wake()

    def _accept(self) -> None:
        while self._socket is not None:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            if client.family != socket.AF_UNIX:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(client, self._context, self._serve, self._gone)
            with self._lock:
                self._connections.add(connection)
            connection.start()

    def _gone(self, connection: Connection) -> None:
        with self._lock:
            self._connections.discard(connection)
        self.timeline.wake()

    def _serve(self, stream: Stream) -> None:
        """Answer one call."""
        try:
            self._dispatch(stream, _message(stream.request))
            if not stream.closed:
                stream.finish()
        except Closed:
            pass
        except (DecodeError, ValueError) as error:
            stream.finish("INVALID_ARGUMENT", str(error))
        except Exception as error:
            stream.finish("INTERNAL", f"{type(error).__name__}: {error}")
            raise

    def _dispatch(self, stream: Stream, request: bytes) -> None:
        path = stream.path
        if path == _FLOWS.path:
            self._flows(stream, _FLOWS.request.FromString(request))
        elif path in self._unary:
            method, answer = self._unary[path]
            stream.reply(answer(method.request.FromString(request)).SerializeToString())
        elif path in _EVENTS:
            kind, asked = _EVENTS[path]
            self._service.events(stream, asked.FromString(request), kind)
        elif path == _WATCH.path:
            self._service.watch(stream, _WATCH.request.FromString(request))
        else:
            service, _, method_name = path.removeprefix("/").partition("/")
            stream.finish("UNIMPLEMENTED", f"unknown method {method_name} for service {service}")

    def _flows(self, stream: Stream, request: Any) -> None:
        self.requests.append(request)
        wanted = Wanted.of(request)
        self.timeline.begin()
        call = _Call(stream, Reading(self.timeline, wanted))
        with self._lock:
            self._calls.add(call)
            call.orders.extend(("lose", name) for name in self._service.lost)
            away = set(self._service.lost)
        try:
            names = self.timeline.capture.members
            self._tell(stream, "NODE_CONNECTED", [name for name in names if name not in away])
            self._tell(stream, "NODE_UNAVAILABLE", [name for name in names if name in away])
            self._stream(call, told=away)
        finally:
            with self._lock:
                self._calls.discard(call)

    def _stream(self, call: "_Call", told: set[str]) -> None:
        stream, reading = call.stream, call.reading
        while not stream.closed and not reading.over:
            while call.orders:
                self._obey(call, *call.orders.popleft(), told=told)
            if reading.idle and not self._due():
                self.timeline.wait(lambda: stream.closed or bool(call.orders))
                continue
            if not reading.idle:
                chunk = reading.chunk(self._most())
                stream.send(chunk.data)
                with self._lock:
                    self.sent += chunk.events
            self._fail(stream)

    def _obey(self, call: "_Call", kind: str, name: str, told: set[str]) -> None:
        node = self.timeline.capture.node_names.index(name)
        if kind == "regain":
            call.reading.regain(node)
            return
        call.reading.lose(node)
        if name in told:
            told.discard(name)
        else:
            words = "rpc error: code = Unavailable desc = error reading from server: EOF"
            self._tell(call.stream, "NODE_ERROR", [name], words)

    def _tell(self, stream: Stream, state: str, names: list[str], words: str = "") -> None:
        """Send a node status, as relay does."""
        if not names:
            return
        response = observer_pb2.GetFlowsResponse(node_name=socket.gethostname())
        response.time.FromNanoseconds(time.time_ns())
        response.node_status.state_change = relay_pb2.NodeState.Value(state)
        response.node_status.node_names.extend(names)
        response.node_status.message = words
        stream.reply(response.SerializeToString())

    def _most(self) -> int:
        """Return how many events may be sent before something is to go wrong."""
        with self._lock:
            return max(1, self._faults[0].after - self.sent) if self._faults else BLOCK

    def _due(self) -> bool:
        """Tell whether something is to go wrong now; one fault may be taken by another stream meanwhile."""
        return any(fault.after <= self.sent for fault in self._faults[:1])

    def _fail(self, stream: Stream) -> None:
        """Let go wrong what is due; raise Closed where that ends the stream."""
        while True:
            with self._lock:
                if not self._due():
                    return
                fault = self._faults.pop(0)
            _FAILING[fault.kind](self, stream, fault)
            if fault.kind in ("drop", "stall", "nonsense", "restart"):
                stream.closed = True
            if stream.closed:
                raise Closed


class _Call:
    """An open stream of flows, and what has happened to nodes meanwhile."""

    def __init__(self, stream: Stream, reading: Reading) -> None:
        self.stream, self.reading = stream, reading
        self.orders: deque[tuple[str, str]] = deque()


_FAILING: dict[str, Callable[[Replay, Stream, Fault], None]] = {
    "drop": lambda server, stream, fault: stream.connection.drop_when_sent(),
    "stall": lambda server, stream, fault: stream.connection.stall_when_sent(),
    "garbage": lambda server, stream, fault: stream.reply(b"garbage, and no event"),
    "nonsense": lambda server, stream, fault: stream.connection.nonsense(),
    "refuse": lambda server, stream, fault: stream.finish("UNAVAILABLE", "no connection to any node"),
    "end": lambda server, stream, fault: stream.finish(),
    "lose": lambda server, stream, fault: server.lose(fault.node),
    "regain": lambda server, stream, fault: server.regain(fault.node),
    "restart": lambda server, stream, fault: server.restart(),
}


def _message(body: bytes) -> bytes:
    """Return the one message of a request. Raise ValueError where it is none, or compressed."""
    if len(body) < 5 or body[0] or int.from_bytes(body[1:5]) != len(body) - 5:
        raise ValueError("not one uncompressed message")
    return body[5:]


def _path(listen: str) -> Path:
    return Path(
        listen.removeprefix("unix://") if listen.startswith("unix://") else listen.removeprefix("unix:")
    )


def _listening(listen: str) -> socket.socket:
    """Return a listening socket. Raise OSError where that cannot be, ValueError where it is no address."""
    if listen.startswith("unix:"):
        made = socket.socket(socket.AF_UNIX)
        try:
            made.bind(str(_path(listen)))
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
