"""The server's side of one connection: HTTP/2 and gRPC, several streams at once, one thread that reads and writes.

grpcio sends one message at a time, which takes tens of microseconds each; here a stream hands over whole blocks of
messages. And a connection that is ours can be broken in every way in which real ones break.
"""

import contextlib
import selectors
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable

import hpack

from flowmine.ingest.relay.frames import (
    PREFACE,
    Flag,
    Frames,
    Kind,
    data_of,
    fragment_of,
    frame,
    window_update,
)
from flowmine.ingest.relay.rpc import Broken
from flowmine.ingest.replay.stream import Closed, Stream

__all__ = ["Connection"]

_READ = 1 << 16
_AHEAD = 1 << 20
"""How many bytes may wait to be written before streams are held."""
_WINDOW = 65535
_MOST_FRAME = 1 << 14
_MOST_REQUEST = 4 << 20
_SETTING_TABLE, _SETTING_WINDOW, _SETTING_FRAME = 1, 4, 5
_HANDSHAKE_SECONDS, _LINGER_SECONDS = 10.0, 1.0


class Connection:
    """A connection; ``serve`` is called in a thread of its own for every call, ``gone`` once at the end."""

    def __init__(
        self,
        client: socket.socket,
        context: ssl.SSLContext | None,
        serve: Callable[[Stream], None],
        gone: Callable[["Connection"], None],
    ) -> None:
        """Take an accepted socket."""
        self._socket, self._context, self._serve, self._gone = client, context, serve, gone
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._lock = threading.Condition()
        self._out: deque[memoryview] = deque()
        self._waiting = 0
        self._streams: dict[int, Stream] = {}
        self._window, self._initial, self._most = _WINDOW, _WINDOW, _MOST_FRAME
        self._encoder, self._decoder = hpack.Encoder(), hpack.Decoder()
        self._frames = Frames()
        self._preface = b""
        self._block: tuple[int, int, bytes] = (0, 0, b"")
        self._ending = self._stalling = self._stalled = self._closed = False
        self._thread = threading.Thread(target=self._run, name="flowmine-replay", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    # what streams ask for, from their threads

    def write_data(self, stream: Stream, data: bytes, place: int) -> int:
        """Queue some of the data from a place on, and return how much; wait until any is allowed. Raise Closed."""
        with self._lock:
            self._lock.wait_for(lambda: self._gone_for(stream) or self._leave(stream) > 0)
            if self._gone_for(stream):
                raise Closed
            size = min(len(data) - place, self._leave(stream))
            stream.window -= size
            self._window -= size
            view = memoryview(data)
            for start in range(place, place + size, self._most):
                piece = view[start : min(start + self._most, place + size)]
                self._out.append(memoryview(_head(len(piece), Kind.DATA, 0, stream.number)))
                self._out.append(piece)
                self._waiting += len(piece) + 9
        self._wake()
        return size

    def _leave(self, stream: Stream) -> int:
        """Return how many bytes a stream may queue now."""
        return min(stream.window, self._window, _AHEAD - self._waiting) if not self._stalled else 0

    def _gone_for(self, stream: Stream) -> bool:
        return self._closed or stream.closed

    def write_headers(self, stream: Stream, headers: list[tuple[str, str]], *, last: bool) -> None:
        """Queue headers. Raise Closed."""
        with self._lock:
            if self._gone_for(stream):
                raise Closed
            block = self._encoder.encode(headers)
            flags = Flag.END_HEADERS | (Flag.END_STREAM if last else 0)
            self._queue(frame(Kind.HEADERS, flags, stream.number, block))
        self._wake()

    def forget(self, stream: Stream) -> None:
        """Drop a stream that has ended."""
        with self._lock:
            self._streams.pop(stream.number, None)

    # what goes wrong on purpose

    def drop(self) -> None:
        """Close the connection at once, whatever was still to be sent."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        self._wake()

    def drop_when_sent(self) -> None:
        """Close the connection once everything queued is sent."""
        self._ending = True
        self._wake()

    def stall_when_sent(self) -> None:
        """Say and hear nothing more, and stay open, once everything queued is sent."""
        self._stalling = True
        self._wake()

    def nonsense(self) -> None:
        """Send what is no HTTP/2."""
        with self._lock:
            self._queue(b"\xff" * 64)
        self._wake()

    def close(self) -> None:
        """Close the connection and wait for its thread."""
        self.drop()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    # the connection's own thread

    def _queue(self, data: bytes) -> None:
        self._out.append(memoryview(data))
        self._waiting += len(data)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._theirs.send(b"\x00")

    def _run(self) -> None:
        try:
            self._handshake()
            self._queue(frame(Kind.SETTINGS, 0, 0, struct.pack(">HI", 3, 256)))
            with selectors.DefaultSelector() as selector:
                selector.register(self._ours, selectors.EVENT_READ)
                selector.register(self._socket, selectors.EVENT_READ)
                while not self._closed:
                    self._turn(selector)
        except (OSError, Broken, hpack.HPACKError, struct.error, UnicodeError):
            pass  # a client that goes or talks nonsense costs itself only
        finally:
            self._end()

    def _handshake(self) -> None:
        if self._context is not None:
            self._socket.settimeout(_HANDSHAKE_SECONDS)
            self._socket = self._context.wrap_socket(self._socket, server_side=True)
        self._socket.setblocking(False)

    def _turn(self, selector: selectors.BaseSelector) -> None:
        """Write what can be written, and read what has come."""
        done = self._stalled or self._flush()
        if done and self._ending:
            self._linger()
            return
        self._stalled = self._stalled or (done and self._stalling)
        wanted = selectors.EVENT_READ | (0 if done else selectors.EVENT_WRITE)
        if self._stalled:
            with contextlib.suppress(KeyError):
                selector.unregister(self._socket)
        elif selector.get_key(self._socket).events != wanted:
            selector.modify(self._socket, wanted)
        ready = {key.fileobj for key, _ in selector.select()}
        if self._ours in ready:
            with contextlib.suppress(BlockingIOError):
                self._ours.recv(4096)
        if self._socket in ready and not self._stalled:
            self._read()

    def _linger(self) -> None:
        """Close after what was sent has arrived: a close with unread input would throw it away at the client."""
        self._closed = True
        self._socket.settimeout(_LINGER_SECONDS)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + _LINGER_SECONDS
            while time.monotonic() < deadline and self._socket.recv(_READ):
                pass

    def _flush(self) -> bool:
        """Send what is queued; tell whether all of it went."""
        while True:
            with self._lock:
                if not self._out:
                    return True
                first = [self._out[place] for place in range(min(64, len(self._out)))]
            try:
                sent = self._transmit(first)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return False
            with self._lock:
                self._sent(sent)
                self._lock.notify_all()

    def _transmit(self, views: list[memoryview]) -> int:
        if isinstance(self._socket, ssl.SSLSocket):
            return self._socket.send(b"".join(views))
        return self._socket.sendmsg(views)

    def _sent(self, size: int) -> None:
        self._waiting -= size
        while size:
            view = self._out[0]
            if size < len(view):
                self._out[0] = view[size:]
                return
            size -= len(view)
            self._out.popleft()

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(_READ)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not data:
                raise Broken("the client has gone")
            if len(self._preface) < len(PREFACE):
                self._preface += data
                if not self._preface.startswith(PREFACE[: len(self._preface)]):
                    raise Broken("no HTTP/2")
                data, self._preface = self._preface[len(PREFACE) :], self._preface[: len(PREFACE)]
            for kind, flags, number, payload in self._frames.feed(data):
                _HANDLERS.get(kind, _ignore)(self, flags, number, payload)

    def _settings(self, flags: int, number: int, payload: bytes) -> None:
        if flags & Flag.ACK:
            return
        with self._lock:
            for key, value in struct.iter_unpack(">HI", payload):
                if key == _SETTING_WINDOW:
                    for stream in self._streams.values():
                        stream.window += value - self._initial
                    self._initial = value
                elif key == _SETTING_FRAME:
                    self._most = value
                elif key == _SETTING_TABLE:
                    self._encoder.header_table_size = min(value, 4096)
            self._queue(frame(Kind.SETTINGS, Flag.ACK, 0))
            self._lock.notify_all()

    def _ping(self, flags: int, number: int, payload: bytes) -> None:
        if not flags & Flag.ACK:
            with self._lock:
                self._queue(frame(Kind.PING, Flag.ACK, 0, payload))

    def _window_update(self, flags: int, number: int, payload: bytes) -> None:
        more = int.from_bytes(payload) & 0x7FFFFFFF
        with self._lock:
            if not number:
                self._window += more
            elif number in self._streams:
                self._streams[number].window += more
            self._lock.notify_all()

    def _headers(self, flags: int, number: int, payload: bytes) -> None:
        self._block = (number, flags, fragment_of(flags, payload))
        self._headers_whole(flags)

    def _continuation(self, flags: int, number: int, payload: bytes) -> None:
        number, first, block = self._block
        self._block = (number, first, block + payload)
        self._headers_whole(flags)

    def _headers_whole(self, flags: int) -> None:
        if not flags & Flag.END_HEADERS:
            return
        number, first, block = self._block
        headers = {str(name): str(value) for name, value in self._decoder.decode(block)}
        with self._lock:
            if number in self._streams:
                return
            stream = self._streams[number] = Stream(self, number, headers, self._initial)
        if first & Flag.END_STREAM:
            self._answer(stream)

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        with self._lock:
            stream = self._streams.get(number)
            if payload:
                self._queue(window_update(0, len(payload)))
                if stream is not None and not flags & Flag.END_STREAM:
                    self._queue(window_update(number, len(payload)))
        if stream is None:
            return
        stream.request += data_of(flags, payload)
        if len(stream.request) > _MOST_REQUEST:
            raise Broken("a request too large")
        if flags & Flag.END_STREAM:
            self._answer(stream)

    def _reset(self, flags: int, number: int, payload: bytes) -> None:
        with self._lock:
            stream = self._streams.pop(number, None)
            if stream is not None:
                stream.closed = True
            self._lock.notify_all()

    def _answer(self, stream: Stream) -> None:
        threading.Thread(target=self._serve, args=(stream,), name="flowmine-replay-call", daemon=True).start()

    def _end(self) -> None:
        with self._lock:
            self._closed = True
            for stream in self._streams.values():
                stream.closed = True
            self._lock.notify_all()
        for one in (self._socket, self._ours, self._theirs):
            one.close()
        self._gone(self)


def _head(length: int, kind: int, flags: int, stream: int) -> bytes:
    return struct.pack(">I", length)[1:] + struct.pack(">BBI", kind, flags, stream)


def _ignore(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    """Pass over a frame."""


_HANDLERS: dict[int, Callable[[Connection, int, int, bytes], None]] = {
    Kind.DATA: Connection._data,
    Kind.HEADERS: Connection._headers,
    Kind.CONTINUATION: Connection._continuation,
    Kind.RST_STREAM: Connection._reset,
    Kind.SETTINGS: Connection._settings,
    Kind.PING: Connection._ping,
    Kind.WINDOW_UPDATE: Connection._window_update,
}
