"""The server: answers calls, streams flows, and fails when told to."""

import contextlib
import socket
import ssl
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from google.protobuf.message import DecodeError

from flowmine.errors import InputError, UsageError
from flowmine.ingest.pb import health_pb2, observer_pb2, relay_pb2
from flowmine.ingest.relay.rpc import grpc
from flowmine.ingest.replay.capture import BLOCK, Capture, Records
from flowmine.ingest.replay.faults import Fault
from flowmine.ingest.replay.links import Link, Links, path_of
from flowmine.ingest.replay.reading import Reading, Wanted
from flowmine.ingest.replay.service import Service
from flowmine.ingest.replay.timeline import Pace, Timeline

__all__ = ["Replay", "Tls"]

_FLOWS = observer_pb2.Observer["GetFlows"]
_EVENTS = {
    observer_pb2.Observer["GetAgentEvents"].path: ("agent_event", observer_pb2.GetAgentEventsRequest),
    observer_pb2.Observer["GetDebugEvents"].path: ("debug_event", observer_pb2.GetDebugEventsRequest),
}
_WATCH = health_pb2.Health["Watch"]
_CALLS = 256
"""How many calls may be open at once."""

_ON_ITS_WAY = 0.05
"""Seconds in which what gRPC was given has left this process."""


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of a server's certificate and key, and of the authority whose clients alone may come, if any."""

    cert: str
    key: str
    client_ca: str | None = None

    def credentials(self) -> Any:
        """Return them for gRPC. Raise InputError where a file cannot be used."""
        try:
            # tried here first, for gRPC does not say what is wrong with them
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.cert, self.key)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
            pair = (Path(self.key).read_bytes(), Path(self.cert).read_bytes())
            trusted = None if self.client_ca is None else Path(self.client_ca).read_bytes()
        except OSError as error:  # ssl.SSLError is one
            files = ", ".join(name for name in (self.cert, self.key, self.client_ca) if name)
            raise InputError(f"{files}: no usable certificate and key ({error.strerror or error})") from error
        return grpc.ssl_server_credentials([pair], trusted, require_client_auth=trusted is not None)


class Replay:
    """A Hubble server of a capture, while a ``with`` block runs.

    ``address`` is where it listens; ``requests`` are the flows asked for, in order; ``sent`` counts events.

    >>> from flowmine.ingest import open_flows
    >>> with Replay(open_flows("sample_flows/empire")) as server:
    ...     server.address.startswith("127.0.0.1:")
    True
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
        self._listen, self._credentials = listen, tls.credentials() if tls is not None else None
        self._service = Service(self.timeline, lambda: self.address, tls=tls is not None)
        self._methods = self._served()
        self._faults = sorted(faults, key=lambda fault: fault.after)
        self._lock = threading.Lock()
        self._calls: set[_Call] = set()
        self._links: Links | None = None
        self._server: Any = None

    @property
    def address(self) -> str:
        """Where the server listens: ``host:port``, or ``unix:///path``."""
        if self._links is None or self._links.port is None:
            return self._listen
        host, port = self._links.port
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def __enter__(self) -> "Replay":
        """Listen. Raise UsageError where the address cannot be listened at; the capture is closed then."""
        self._folder = tempfile.TemporaryDirectory(prefix="flowmine-replay-")
        inner = Path(self._folder.name, "grpc.sock")
        try:
            self._links = Links(self._listen, inner)
        except (OSError, ValueError) as error:
            self._folder.cleanup()
            self.timeline.close()
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{self._listen}: cannot listen there ({reason})") from error
        self._pool = ThreadPoolExecutor(_CALLS, thread_name_prefix="flowmine-replay")
        self._server = grpc.server(self._pool)
        self._server.add_generic_rpc_handlers((_Handler(self._methods),))
        if self._credentials is None:
            self._server.add_insecure_port(f"unix:{inner}")
        else:
            self._server.add_secure_port(f"unix:{inner}", self._credentials)
        self._server.start()
        self._links.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection, and remove the files."""
        if self._links is None:
            self.timeline.close()
            return
        self._links.close()
        self._server.stop(None).wait()
        self.timeline.wake()
        self._pool.shutdown()
        self.timeline.close()
        self._folder.cleanup()
        if self._listen.startswith("unix:"):
            path_of(self._listen).unlink(missing_ok=True)

    def drop(self) -> None:
        """Close every connection."""
        self._break(Link.drop)

    def stall(self) -> None:
        """Say and hear nothing more on any connection, and keep them open."""
        self._break(Link.stall)

    def restart(self) -> None:
        """Close every connection, and begin with empty rings."""
        self.timeline.restart()
        self._break(Link.drop)

    def _break(self, way: Callable[[Link], None], peer: str | None = None) -> None:
        """Break connections, all or a client's, once what gRPC was given for them is on its way."""
        if self._links is None:
            return
        links = list(self._links) if peer is None else self._links.of(peer)
        time.sleep(_ON_ITS_WAY)
        for link in links:
            way(link)

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

    def _served(self) -> dict[str, Any]:
        """Return what answers to each method, by its path."""

        def answering(method: Any, answer: Callable[[Any], Any]) -> Any:
            def asked(request: bytes, context: Any) -> bytes:
                with _refusing(context):
                    made: bytes = answer(method.request.FromString(request)).SerializeToString()
                return made

            return grpc.unary_unary_rpc_method_handler(asked)

        def streaming(request_class: Any, answers: Callable[[Any, Any], Iterator[bytes]]) -> Any:
            def asked(request: bytes, context: Any) -> Iterator[bytes]:
                with _refusing(context):
                    yield from answers(request_class.FromString(request), context)

            return grpc.unary_stream_rpc_method_handler(asked)

        def events(kind: str) -> Callable[[Any, Any], Iterator[bytes]]:
            return lambda request, context: self._service.events(kind, request, context.is_active)

        return {
            **{path: answering(*each) for path, each in self._service.unary().items()},
            **{path: streaming(asked, events(kind)) for path, (kind, asked) in _EVENTS.items()},
            _WATCH.path: streaming(
                _WATCH.request, lambda request, context: self._service.watch(request, context.is_active)
            ),
            _FLOWS.path: streaming(_FLOWS.request, self._flows),
        }

    def _flows(self, request: Any, context: Any) -> Iterator[bytes]:
        self.requests.append(request)
        wanted = Wanted.of(request)
        self.timeline.begin()
        call = _Call(context, Reading(self.timeline, wanted))
        context.add_callback(self.timeline.wake)
        with self._lock:
            self._calls.add(call)
            call.orders.extend(("lose", name) for name in self._service.lost)
            away = set(self._service.lost)
        try:
            names = self.timeline.capture.members
            yield from _told("NODE_CONNECTED", [name for name in names if name not in away])
            yield from _told("NODE_UNAVAILABLE", [name for name in names if name in away])
            yield from self._stream(call, told=away)
        finally:
            with self._lock:
                self._calls.discard(call)

    def _stream(self, call: "_Call", told: set[str]) -> Iterator[bytes]:
        reading = call.reading
        while not (call.over or call.gone or reading.over):
            while call.orders:
                yield from self._obey(call, *call.orders.popleft(), told=told)
            if reading.idle and not self._due():
                self.timeline.wait(lambda: call.gone or bool(call.orders))
                continue
            if not reading.idle:
                chunk = reading.chunk(self._most())
                yield from chunk.told
                for frame in chunk.events:
                    yield frame
                    with self._lock:
                        self.sent += 1
            yield from self._fail(call)
        while call.broken and not call.gone:
            self.timeline.wait(lambda: call.gone)

    def _obey(self, call: "_Call", kind: str, name: str, told: set[str]) -> Iterator[bytes]:
        node = self.timeline.capture.node_names.index(name)
        if kind == "regain":
            call.reading.regain(node)
            return
        call.reading.lose(node)
        if name in told:
            told.discard(name)
        else:
            words = "rpc error: code = Unavailable desc = error reading from server: EOF"
            yield from _told("NODE_ERROR", [name], words)

    def _most(self) -> int:
        """Return how many events may be sent before something is to go wrong."""
        with self._lock:
            return max(1, self._faults[0].after - self.sent) if self._faults else BLOCK

    def _due(self) -> bool:
        """Tell whether something is to go wrong now; one fault may be taken by another stream meanwhile."""
        return any(fault.after <= self.sent for fault in self._faults[:1])

    def _fail(self, call: "_Call") -> Iterator[bytes]:
        """Let go wrong what is due, and give what is to be sent for it."""
        while not call.over:
            with self._lock:
                if not self._due():
                    return
                fault = self._faults.pop(0)
            if fault.kind in _BREAKING:
                call.over = call.broken = True
                if fault.kind == "restart":
                    self.restart()
                else:
                    self._break(_BREAKING[fault.kind], call.context.peer())
            elif fault.kind in ("lose", "regain"):
                self._order(fault.kind, fault.node)
            elif fault.kind == "garbage":
                yield b"garbage, and no event"
            elif fault.kind == "refuse":
                call.context.abort(grpc.StatusCode.UNAVAILABLE, "no connection to any node")
            else:
                call.over = True


_BREAKING: dict[str, Callable[[Link], None]] = {
    "drop": Link.drop,
    "restart": Link.drop,
    "stall": Link.stall,
    "nonsense": Link.nonsense,
}
"""The faults that a stream does not survive -> what happens to its connection."""


class _Call:
    """An open stream of flows, and what has happened to nodes meanwhile."""

    def __init__(self, context: Any, reading: Reading) -> None:
        self.context, self.reading = context, reading
        self.orders: deque[tuple[str, str]] = deque()
        self.over = self.broken = False
        """Whether nothing more is sent, and whether because its connection is broken: then without an end."""

    @property
    def gone(self) -> bool:
        """Tell whether the client is not there any more."""
        return not self.context.is_active()


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Finds what answers to a call."""

    def __init__(self, methods: dict[str, Any]) -> None:
        self._methods = methods

    def service(self, handler_call_details: Any) -> Any:
        path = handler_call_details.method
        return self._methods.get(path) or grpc.unary_unary_rpc_method_handler(_unknown(path))


def _unknown(path: str) -> Callable[[bytes, Any], bytes]:
    service, _, name = path.removeprefix("/").partition("/")

    def refuse(_request: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown method {name} for service {service}")
        raise AssertionError

    return refuse


@contextlib.contextmanager
def _refusing(context: Any) -> Iterator[None]:
    """End a call with the status that an error means."""
    try:
        yield
    except NotImplementedError as error:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, str(error))
    except (DecodeError, ValueError) as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


def _told(state: str, names: list[str], words: str = "") -> Iterator[bytes]:
    """Give a node status, as relay does; none of no node."""
    if not names:
        return
    response = observer_pb2.GetFlowsResponse(node_name=socket.gethostname())
    response.time.FromNanoseconds(time.time_ns())
    response.node_status.state_change = relay_pb2.NodeState.Value(state)
    response.node_status.node_names.extend(names)
    response.node_status.message = words
    yield response.SerializeToString()
