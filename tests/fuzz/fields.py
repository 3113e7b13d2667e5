"""Fields of protobuf messages put in place of each other, the lengths around them right, whatever the message means."""

from dataclasses import dataclass

__all__ = ["with_other_field"]

_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class _Field:
    """Where a field stands in its message: its tag from ``start``, its value from ``value`` to ``stop``."""

    start: int
    value: int
    stop: int
    number: int
    kind: int


def with_other_field(data: bytes, place: int, length: int, text: bytes, number: int, depth: int = 0) -> bytes:
    """Return a message with one field, chosen by ``place``, removed, repeated, renumbered, or of another value or kind.

    What is no message is returned as it is.
    """
    found = _fields(data)
    if not found:
        return data
    one = found[place * len(found) >> 16]
    before, after = data[: one.start], data[one.stop :]
    inner = data[one.value : one.stop]
    if one.kind == 2 and depth < _DEEPEST and length % 4 and _fields(inner):
        made = with_other_field(inner, place * len(found) & 0xFFFF, length // 2, text, number, depth + 1)
        return before + _tag(one.number, 2) + _varint(len(made)) + made + after
    whole = data[one.start : one.stop]
    choices = (
        b"",
        whole * (2 + number % 30),
        _tag(1 + number % 40, one.kind) + data[one.start + len(_tag(one.number, one.kind)) : one.stop],
        _tag(one.number, 2) + _varint(len(text)) + text,
        _tag(one.number, 0) + _varint((1 << 64) - 1 - number % 3),
        _tag(one.number, 0) + _varint(number),
        _tag(one.number, 5) + b"\xff" * 4,
        _tag(one.number, 1) + b"\x80" * 8,
        _tag(one.number, 3) + whole + _tag(one.number, 4),
        _tag(one.number, 2) + _varint(1 << 31) + text,
    )
    return before + choices[(length // 4) % len(choices)] + after


def _fields(data: bytes) -> list[_Field]:
    """Return the fields of a message; none where it is no message."""
    found, at = [], 0
    while at < len(data):
        start = at
        tag, at = _read(data, at)
        kind = tag & 7
        value = at
        if kind == 0:
            _, at = _read(data, at)
        elif kind == 2:
            size, value = _read(data, at)
            at = value + size
        else:
            at += {1: 8, 5: 4}.get(kind, len(data))
        if not tag >> 3 or at > len(data) or at < 0:
            return []
        found.append(_Field(start, value, at, tag >> 3, kind))
    return found


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at
    return 0, len(data) + 1


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes(made + bytes([value]))
