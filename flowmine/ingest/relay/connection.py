"""One connection to a Hubble server: a channel of grpcio, several calls at once."""

import threading
from pathlib import Path
from typing import Any

from flowmine.ingest.relay.address import Server
from flowmine.ingest.relay.calls import Call
from flowmine.ingest.relay.dial import Seen, look
from flowmine.ingest.relay.rpc import Broken, failure_of, grpc

__all__ = ["Connection"]

_MOST_MESSAGE = 64 << 20
_AHEAD = 4 << 20
"""Bytes that a server may send before they are read. By itself gRPC lets them grow with what a link can carry, and a reader
that is slower than a fast link then holds hundreds of megabytes; this is enough for 80 MB/s at 50 ms."""
_ALIVE_EVERY, _ALIVE_WITHIN = 10 * 60_000, 20_000
"""Milliseconds. Hubble's servers answer pings that come oftener than every 5 minutes with GOAWAY."""


class Connection:
    """A connection, alive until it breaks or is closed; see `Call` for how a stream is taken."""

    def __init__(self, server: Server, timeout: float = 10.0) -> None:
        """Connect. Raise Broken where that fails, UsageError where a certificate's file cannot be read."""
        self._server = server
        self._channel = _channel(server, look(server, timeout))
        self._lock = threading.Lock()
        self._calls: set[Call] = set()
        self._failure: Broken | None = None

    def call(self, path: str, request: bytes) -> Call:
        """Begin a call that is answered by a stream. Raise Broken where the connection is no more."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            answers = self._channel.unary_stream(path)(request, metadata=self._server.headers)
            call = Call(answers, self._forget)
            self._calls.add(call)
        return call

    def ask(self, path: str, request: bytes, timeout: float) -> bytes:
        """Return the answer to a call that has one. Raise Broken or Refused."""
        if self._failure is not None:
            raise self._failure
        try:
            answer: bytes = self._channel.unary_unary(path)(
                request, timeout=timeout, metadata=self._server.headers
            )
        except grpc.RpcError as error:
            raise self._failure or failure_of(error) from error
        except ValueError as error:  # of a channel that another thread has closed meanwhile
            raise Broken("closed") from error
        return answer

    def fail(self, reason: str) -> None:
        """Break the connection from this side: every call ends with the reason."""
        with self._lock:
            self._failure = self._failure or Broken(reason)
            calls = list(self._calls)
        for call in calls:
            call.end(self._failure)

    def close(self) -> None:
        """Close the connection and wait for its threads."""
        with self._lock:
            calls = list(self._calls)
        self.fail("closed")
        self._channel.close()
        for call in calls:
            call.join()

    def _forget(self, call: Call) -> None:
        with self._lock:
            self._calls.discard(call)


def _channel(server: Server, seen: Seen) -> Any:
    """Return a channel to where a look has been; with a connection of its own, whatever others there are."""
    options: list[tuple[str, Any]] = [
        # where any certificate will do, a call must be to the one whose certificate it is
        ("grpc.default_authority", seen.name if server.allow_insecure and seen.name else server.authority),
        ("grpc.primary_user_agent", "flowmine"),
        ("grpc.max_receive_message_length", _MOST_MESSAGE),
        ("grpc.keepalive_time_ms", _ALIVE_EVERY),
        ("grpc.keepalive_timeout_ms", _ALIVE_WITHIN),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _AHEAD),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
        ("grpc.enable_http_proxy", 0),
        # a call's own thread waits for its messages: half the time of handing each over from another
        (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),
    ]
    if not server.secure:
        return grpc.insecure_channel(seen.target, options)
    pair: list[bytes | None] = [None, None]
    if server.client_cert:
        pair = [Path(server.client_key).read_bytes(), Path(server.client_cert).read_bytes()]
    options.append(("grpc.ssl_target_name_override", seen.name))
    return grpc.secure_channel(seen.target, grpc.ssl_channel_credentials(seen.roots, *pair), options)
