"""One connection to a Hubble server: gRPC over HTTP/2, several calls at once, read by a thread of its own.

grpcio hands over one message at a time: 7 µs of processor time each from a server that is faster than the reader, 50 from
one that is not. Here whatever has arrived is cut into messages at once (3 to 6 µs), how far the server may run ahead is
decided by who takes them, and what TLS has against a server is known exactly.
"""

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Sequence

import hpack

from flowmine.ingest.relay import frames
from flowmine.ingest.relay.address import Server
from flowmine.ingest.relay.calls import WINDOW, Call
from flowmine.ingest.relay.dial import dial, speaks_tls, tls_failure
from flowmine.ingest.relay.frames import Flag, Frames, Kind
from flowmine.ingest.relay.rpc import Broken, Refused

__all__ = ["Connection"]

_READ = 1 << 20
_LITTLE, _PAUSE = 1 << 16, 0.004
"""After so few bytes, so many seconds of waiting for more: waking for every message costs ten times as much."""

_WINDOW_MOST = (1 << 31) - 1
_PROBE_SECONDS = 2.0
_AGENT = "flowmine"


class Connection:
    """A connection, alive until it breaks or is closed; see `Call` for how answers are taken."""

    def __init__(self, server: Server, timeout: float = 10.0) -> None:
        """Connect. Raise Broken where that fails, UsageError where a certificate's file cannot be read."""
        self._server = server
        self._socket = dial(server, timeout)
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._lock = threading.Lock()
        self._out = bytearray(frames.PREFACE + frames.settings(WINDOW))
        self._out += frames.window_update(0, _WINDOW_MOST - 65535)
        self._calls: dict[int, Call] = {}
        self._next, self._unacknowledged = 1, 0
        self._block, self._block_of = b"", (0, 0)
        self._encoder, self._decoder = hpack.Encoder(), hpack.Decoder()
        self._frames = Frames()
        self._failure: Broken | None = None
        self._settled = threading.Event()
        self.going = False
        """Whether the server has said that it will close the connection (GOAWAY)."""
        self._thread = threading.Thread(target=self._run, name="flowmine-relay", daemon=True)
        self._thread.start()
        self._settle(timeout)

    def _settle(self, timeout: float) -> None:
        """Wait until the server has spoken HTTP/2; raise Broken where it does not."""
        if not self._settled.wait(timeout):
            self.close()
            raise Broken(f"it says nothing within {timeout:g} s: a firewall between, or no gRPC at this port")
        if self._failure is not None and not self._frames.begun:
            self.close()
            raise self._explained(self._failure)

    def _explained(self, failure: Broken) -> Broken:
        """Return the failure to speak at all, told better where the server turns out to want TLS."""
        if self._server.secure or not (
            "speaks TLS" in str(failure) or speaks_tls(self._server.place, _PROBE_SECONDS)
        ):
            return failure
        return Broken("it speaks TLS: add --tls, or write the address as tls://…")

    def call(self, path: str, request: bytes, timeout: float | None = None) -> Call:
        """Begin a call. Raise Broken where the connection is no more."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self.going:
                raise Broken("the server is about to close the connection")
            call = Call(self._next, self._grant)
            self._calls[call.number] = call
            self._next += 2
            block = self._encoder.encode(self._headers(path, timeout))
            self._out += frames.frame(Kind.HEADERS, Flag.END_HEADERS, call.number, block)
            self._out += frames.message(call.number, request)
        self._wake()
        return call

    def ask(self, path: str, request: bytes, timeout: float) -> bytes:
        """Return the answer to a call that has one. Raise Broken or Refused."""
        call = self.call(path, request, timeout)
        try:
            return call.answer(timeout)
        except Refused as refused:
            if refused.code == "DEADLINE_EXCEEDED":
                self.cancel(call)
            raise

    def cancel(self, call: Call) -> None:
        """End a call from this side."""
        with self._lock:
            if self._calls.pop(call.number, None) is not None:
                self._out += frames.reset(call.number)
        call.end(None)
        self._wake()

    def fail(self, reason: str) -> None:
        """Break the connection from this side: every call ends with the reason."""
        self._break(Broken(reason))
        self._wake()

    def close(self) -> None:
        """Close the connection and wait for its thread."""
        self._break(Broken("closed"))
        self._wake()
        self._thread.join()
        self._ours.close()
        self._theirs.close()

    def _headers(self, path: str, timeout: float | None) -> Sequence[tuple[str, str]]:
        return (
            (":method", "POST"),
            (":scheme", "https" if self._server.secure else "http"),
            (":path", path),
            (":authority", self._server.authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", _AGENT),
            *([("grpc-timeout", f"{int(timeout * 1000)}m")] if timeout else []),
            *self._server.headers,
        )

    def _grant(self, number: int, more: int) -> None:
        with self._lock:
            if number in self._calls:
                self._out += frames.window_update(number, more)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._theirs.send(b"\0")

    def _break(self, failure: Broken) -> None:
        with self._lock:
            self._failure = self._failure or failure
            calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            call.end(failure)
        self._settled.set()

    def _run(self) -> None:
        """Read and write until the connection ends."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._ours, selectors.EVENT_READ)
                watched = selectors.EVENT_READ
                selector.register(self._socket, watched)
                while self._failure is None:
                    wanted = selectors.EVENT_READ | (0 if self._flush() else selectors.EVENT_WRITE)
                    if wanted != watched:
                        selector.modify(self._socket, wanted)
                        watched = wanted
                    ready = {key.fileobj for key, _ in selector.select()}
                    if self._ours in ready:
                        with contextlib.suppress(BlockingIOError):
                            self._ours.recv(4096)
                    if self._socket in ready and self._read() < _LITTLE:
                        time.sleep(_PAUSE)
        except Broken as failure:
            self._break(failure)
        except OSError as error:  # ssl.SSLError is one
            self._break(self._failed(error))
        except hpack.HPACKError as error:
            self._break(Broken(f"it sent headers that cannot be read ({error})"))
        except BaseException as error:
            self._break(Broken(f"reading stopped ({error!r})"))
            raise
        finally:
            self._socket.close()

    def _failed(self, error: OSError) -> Broken:
        """Return what an error of the socket means; where writing failed, the server may have said why before."""
        try:
            while not self._frames.begun and self._socket.recv(_READ):
                pass
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        except OSError as telling:
            error = telling
        if self._server.secure and (isinstance(error, ssl.SSLError) or not self._frames.begun):
            return Broken(tls_failure(error, self._server))
        return Broken(f"the connection broke ({error.strerror or error})")

    def _flush(self) -> bool:
        """Send what is to be sent; tell whether all of it went."""
        with self._lock:
            while self._out:
                try:
                    del self._out[: self._socket.send(self._out)]
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    return False
        return True

    def _read(self) -> int:
        """Take in what has arrived; of TLS, all that is decrypted. Return how many bytes that were."""
        touched: dict[int, Call] = {}
        size = 0
        while True:
            try:
                data = self._socket.recv(_READ)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            if not data:
                raise Broken(
                    "the server closed the connection"
                    if self._frames.begun
                    else "the server closed the connection without a word"
                )
            size += len(data)
            for kind, flags, number, payload in self._frames.feed(data):
                if kind == Kind.DATA:
                    self._data(flags, number, payload, touched)
                else:
                    self._other(kind, flags, number, payload)
            if not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
                break
        for call in touched.values():
            call.told()
        self._acknowledge()
        return size

    def _acknowledge(self) -> None:
        """Give back the connection's own window, which is never what holds the server back."""
        if self._unacknowledged > _READ:
            with self._lock:
                self._out += frames.window_update(0, self._unacknowledged)
            self._unacknowledged = 0

    def _data(self, flags: int, number: int, payload: bytes, touched: dict[int, Call]) -> None:
        self._unacknowledged += len(payload)
        call = self._calls.get(number)
        if call is None:
            return
        call.feed(frames.data_of(flags, payload), len(payload))
        touched[number] = call
        if flags & Flag.END_STREAM:
            self._forget(number)
            call.end(Broken("an answer without an end"))

    def _forget(self, number: int) -> Call | None:
        with self._lock:
            return self._calls.pop(number, None)

    def _other(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == Kind.HEADERS:
            self._block, self._block_of = frames.fragment_of(flags, payload), (number, flags)
            self._headers_whole(flags)
        elif kind == Kind.CONTINUATION:
            self._block += payload
            self._headers_whole(flags)
        elif kind == Kind.SETTINGS and not flags & Flag.ACK:
            self._send(frames.frame(Kind.SETTINGS, Flag.ACK, 0))
            self._settled.set()
        elif kind == Kind.PING and not flags & Flag.ACK:
            self._send(frames.frame(Kind.PING, Flag.ACK, 0, payload))
        elif kind == Kind.RST_STREAM:
            call = self._forget(number)
            if call is not None:
                call.end(Broken(f"the server reset the stream (code {int.from_bytes(payload)})"))
        elif kind == Kind.GOAWAY:
            self._goaway(payload)

    def _headers_whole(self, flags: int) -> None:
        """Decode headers, which must be done in their order, once the last piece is here."""
        if not flags & Flag.END_HEADERS:
            return
        number, first = self._block_of
        decoded = {str(name): str(value) for name, value in self._decoder.decode(self._block)}
        self._block = b""
        last = bool(first & Flag.END_STREAM)
        call = self._forget(number) if last else self._calls.get(number)
        if call is not None:
            call.headers(decoded, last=last)

    def _goaway(self, payload: bytes) -> None:
        last, code, words = frames.goaway(payload)
        reason = f"the server closes the connection ({words or f'code {code}'})"
        with self._lock:
            self.going = True
            unserved = [call for number, call in self._calls.items() if number > last]
            for call in unserved:
                del self._calls[call.number]
        for call in unserved:
            call.end(Broken(reason))

    def _send(self, data: bytes) -> None:
        with self._lock:
            self._out += data
