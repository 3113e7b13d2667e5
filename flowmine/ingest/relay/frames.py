"""The frames of HTTP/2 (RFC 9113) as far as a gRPC client needs them: bytes in and out, nothing of sockets."""

import struct
from collections.abc import Iterator
from enum import IntEnum

from flowmine.ingest.relay.rpc import Broken

__all__ = [
    "MOST_FRAME",
    "PREFACE",
    "Flag",
    "Frames",
    "Kind",
    "data_of",
    "fragment_of",
    "frame",
    "goaway",
    "message",
    "reset",
    "settings",
    "window_update",
]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MOST_FRAME = 1 << 20
"""The largest frame that we let the server send, in bytes."""

_OWN_MOST = 1 << 14
_HEAD = 9


class Kind(IntEnum):
    """The types of frames."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Flag(IntEnum):
    """The flags of frames; ``ACK`` is of SETTINGS and PING, and there the bit of ``END_STREAM``."""

    END_STREAM = 1
    ACK = 1
    END_HEADERS = 4
    PADDED = 8
    PRIORITY = 32


def frame(kind: Kind, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return one frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(window: int) -> bytes:
    """Return our SETTINGS: no push, streams of ``window`` bytes, large frames."""
    values = {2: 0, 4: window, 5: MOST_FRAME, 6: 1 << 20}
    return frame(
        Kind.SETTINGS, 0, 0, b"".join(struct.pack(">HI", key, value) for key, value in values.items())
    )


def window_update(stream: int, more: int) -> bytes:
    """Return leave to send ``more`` bytes on a stream; 0 is the connection."""
    return frame(Kind.WINDOW_UPDATE, 0, stream, struct.pack(">I", more))


def reset(stream: int, code: int = 8) -> bytes:
    """Return the end of a stream that is not wanted any more (8: CANCEL)."""
    return frame(Kind.RST_STREAM, 0, stream, struct.pack(">I", code))


def message(stream: int, content: bytes) -> bytes:
    """Return a gRPC message, the only one of its stream, in as many DATA frames as it takes."""
    body = b"\x00" + struct.pack(">I", len(content)) + content
    pieces = [body[start : start + _OWN_MOST] for start in range(0, len(body), _OWN_MOST)]
    return b"".join(
        frame(Kind.DATA, Flag.END_STREAM if piece is pieces[-1] else 0, stream, piece) for piece in pieces
    )


def goaway(payload: bytes) -> tuple[int, int, str]:
    """Return the last stream that is served, the code and the server's words of a GOAWAY frame."""
    if len(payload) < 8:
        raise Broken("it sent a GOAWAY frame that is too short")
    last, code = struct.unpack_from(">II", payload)
    return last & 0x7FFFFFFF, code, payload[8:].decode("utf-8", "replace")


def data_of(flags: int, payload: bytes) -> bytes:
    """Return the content of a DATA frame without padding."""
    if not flags & Flag.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Broken("it sent a frame whose padding is longer than the frame")
    return payload[1 : len(payload) - payload[0]]


def fragment_of(flags: int, payload: bytes) -> bytes:
    """Return the header block's fragment in a HEADERS frame."""
    fragment = data_of(flags, payload)
    return fragment[5:] if flags & Flag.PRIORITY else fragment


class Frames:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        """Begin before the server's first byte."""
        self._rest = b""
        self._begun = False

    @property
    def begun(self) -> bool:
        """Tell whether the server has spoken HTTP/2."""
        return self._begun

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield (kind, flags, stream, payload) of every frame that is whole now.

        Raise Broken where this is no HTTP/2, saying what it seems to be instead.
        """
        data = self._rest + data if self._rest else data
        self._rest = b""
        place, end = 0, len(data)
        if not self._begun and end >= _HEAD:
            _check_first(data)
            self._begun = True
        while end - place >= _HEAD:
            head = place + _HEAD
            length = int.from_bytes(data[place : place + 3])
            if length > MOST_FRAME:
                raise Broken("it sent a frame larger than allowed: this is not HTTP/2")
            if end - head < length:
                break
            stream = int.from_bytes(data[place + 5 : head]) & 0x7FFFFFFF
            yield data[place + 3], data[place + 4], stream, data[head : head + length]
            place = head + length
        self._rest = data[place:]

    @property
    def rest(self) -> bytes:
        """What has arrived of a frame that is not whole."""
        return self._rest


def _check_first(data: bytes) -> None:
    """Raise Broken unless these bytes begin with a SETTINGS frame that is no acknowledgement."""
    if data[3] == Kind.SETTINGS and not data[4] & Flag.ACK and data[5:9] == bytes(4):
        return
    if data[0] in (0x15, 0x16) and data[1] == 3:
        raise Broken("it speaks TLS")
    if data[:5] == b"HTTP/":
        raise Broken("it speaks HTTP/1, so this is not hubble-relay's gRPC port")
    raise Broken("what it sends is not HTTP/2, so this is not hubble-relay's gRPC port")
