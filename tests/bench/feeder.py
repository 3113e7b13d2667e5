"""A Hubble server that costs little: one stream of flows as fast as it is read, over HTTP/2 in a process of its own.

grpcio's Python server hands over some ten thousand messages a second, a fraction of what relay sends; what is benched
behind it would be the server. Here the messages of a capture lie framed in memory, blocks of them go out as DATA frames
that hold as many as fit, and of each round only times and uuids are written anew.
"""

import select
import socket
from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import numpy as np

from flowmine.ingest import open_flows
from flowmine.ingest.pb.observer_pb2 import Observer
from flowmine.ingest.replay.blocks import Block, block_of
from flowmine.ingest.replay.capture import BLOCK, FLOW, Capture
from flowmine.ingest.replay.masks import mask_of, masked
from flowmine.ingest.replay.service import Service
from flowmine.ingest.replay.timeline import Pace, Timeline

__all__ = ["serve"]

_FLOWS = Observer["GetFlows"]
_PREFIX = 5
"""Bytes before each message: whether it is compressed, and its length (gRPC over HTTP/2)."""

_UNSENT = 4 << 20
_HEAD = [(":status", "200"), ("content-type", "application/grpc")]
_END = [("grpc-status", "0")]


def serve(path: str, most: int, told: Any, until: Any) -> None:
    """Serve the first ``most`` flows of a capture that comes again and again; tell the address, and end when told to."""
    with (
        Capture.read(open_flows(path, dedup=False)) as capture,
        socket.create_server(("127.0.0.1", 0)) as door,
    ):
        timeline = Timeline(capture, Pace())
        service = Service(timeline, lambda: "", tls=False)
        made: dict[tuple[str, ...], list[Block]] = {}
        told.put(f"127.0.0.1:{door.getsockname()[1]}")
        while until.empty():
            if select.select([door], [], [], 0.1)[0]:
                connected, _ = door.accept()
                with connected:
                    _Connection(connected, timeline, service, made, most).run(until)


def _framed(capture: Capture, paths: tuple[str, ...]) -> list[Block]:
    """Return the flows of a capture in blocks, masked, each message behind its prefix."""
    mask, found = mask_of(paths), []
    for base in range(0, len(capture), BLOCK):
        kinds = capture.kinds[base : base + BLOCK]
        frames = [
            masked(frame, mask) if mask else frame
            for frame, kind in zip(capture.frames(base, base + BLOCK), kinds, strict=True)
            if kind == FLOW
        ]
        plain = block_of(frames)
        data = b"".join(b"\0" + len(frame).to_bytes(4, "big") + frame for frame in frames)
        shift = _PREFIX * np.arange(len(frames) + 1)
        places = (
            where + _PREFIX * np.searchsorted(plain.starts, where, "right")
            for where in (plain.uuids, plain.seconds)
        )
        found.append(Block(np.frombuffer(bytearray(data), np.uint8), plain.starts + shift, *places))
    return found


class _Connection:
    """One client."""

    def __init__(
        self, connected: socket.socket, timeline: Timeline, service: Service, made: dict[Any, Any], most: int
    ) -> None:
        self._socket, self._timeline, self._made, self._most = connected, timeline, made, most
        self._calls = service.unary()
        self._http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._asked: dict[int, tuple[str, bytearray]] = {}
        self._stream: int | None = None
        self._follow = False
        self._follow = False
        self._data: Iterator[memoryview] = iter(())
        self._next = memoryview(b"")
        self._unsent: deque[bytes] = deque()

    def run(self, until: Any) -> None:
        """Serve it until it goes."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._http.initiate_connection()
        try:
            while until.empty():
                self._fill()
                readable, _, _ = select.select([self._socket], [], [], 0 if self._unsent else 0.1)
                if readable:
                    data = self._socket.recv(1 << 16)
                    if not data:
                        return
                    for event in self._http.receive_data(data):
                        self._hear(event)
                self._flush()
        except (ConnectionError, h2.exceptions.ProtocolError):
            return

    def _fill(self) -> None:
        """Pack what the client has room for."""
        packed = 0
        while self._stream is not None and packed < _UNSENT:
            room = min(self._http.local_flow_control_window(self._stream), self._http.max_outbound_frame_size)
            if room <= 0:
                break
            if not self._next:
                self._next = next(self._data, memoryview(b""))
            if not self._next:
                if not self._follow:
                    self._http.send_headers(self._stream, _END, end_stream=True)
                self._stream = None
                break
            part, self._next = self._next[:room], self._next[room:]
            self._http.send_data(self._stream, part.tobytes())
            packed += len(part)
        if made := self._http.data_to_send():
            self._unsent.append(made)

    def _flush(self) -> None:
        while self._unsent:
            self._socket.sendall(self._unsent.popleft())

    def _hear(self, event: Any) -> None:
        if isinstance(event, h2.events.RequestReceived):
            path = next(value for name, value in event.headers if name in (b":path", ":path"))
            self._asked[event.stream_id] = (path if isinstance(path, str) else path.decode(), bytearray())
        elif isinstance(event, h2.events.DataReceived):
            self._asked[event.stream_id][1].extend(event.data)
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamReset) and event.stream_id == self._stream:
            self._stream = None
        elif isinstance(event, h2.events.ConnectionTerminated):
            raise ConnectionError
        if isinstance(event, h2.events.StreamEnded):
            self._answer(event.stream_id, *self._asked.pop(event.stream_id))

    def _answer(self, stream: int, path: str, body: bytearray) -> None:
        self._http.send_headers(stream, _HEAD)
        if path == _FLOWS.path:
            request = _FLOWS.request.FromString(bytes(body[_PREFIX:]))
            self._follow = request.follow
            self._follow = request.follow
            self._stream, self._data = stream, self._flows(tuple(sorted(request.field_mask.paths)))
            return
        method, answer = self._calls[path]
        message = answer(method.request.FromString(bytes(body[_PREFIX:]))).SerializeToString()
        self._http.send_data(stream, b"\0" + len(message).to_bytes(4, "big") + message)
        self._http.send_headers(stream, _END, end_stream=True)

    def _flows(self, paths: tuple[str, ...]) -> Iterator[memoryview]:
        """Yield blocks of messages, round after round, until there were enough."""
        if paths not in self._made:
            self._made[paths] = _framed(self._timeline.capture, paths)
        left = self._most
        for round_ in count():
            for block in self._made[paths]:
                have = min(left, len(block.starts) - 1)
                yield memoryview(block.again(round_, self._timeline.period).data)[: int(block.starts[have])]
                left -= have
                if not left:
                    return
