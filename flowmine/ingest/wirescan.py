"""Find the fields of many protobuf messages of one type at once: column by column, without an object a message.

All messages lie in one buffer. The first field of each is looked at together, then the second of each, and so on; what
is found is where a field's value lies, or the number itself. Nothing is copied, no message is built whose fields would
have to be taken out again one by one, and what is not wanted costs next to nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = [
    "BYTES",
    "NUMBER",
    "PADDING",
    "Bools",
    "Bytes",
    "Field",
    "Found",
    "Ints",
    "Layout",
    "Slices",
    "joined",
    "scan",
]

NUMBER, BYTES = 0, 2
"""Protobuf's wire types: a varint; a length, and as many bytes."""

PADDING = 32
"""How many zero bytes must follow the last message in the buffer."""

_MOST_FIELDS = 4096
"""A message with more is odd."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Field(NamedTuple):
    """A field that is wanted: its number, its wire type, and whether it may occur several times."""

    number: int
    kind: int
    repeated: bool = False


class Layout:
    """The fields of a message type that are wanted, by name."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        """Take the fields, in the order of their places."""
        self.places = {name: place for place, name in enumerate(fields)}
        self.numbers = tuple(field.kind == NUMBER for field in fields.values())
        self.repeated = np.array([*(field.repeated for field in fields.values()), False])
        tags = {field.number << 3 | field.kind: place for place, field in enumerate(fields.values())}
        self.tags = np.array(sorted([*tags, np.iinfo(np.int64).max]), np.int64)
        self.places_of_tags = np.array([tags.get(tag, len(fields)) for tag in self.tags.tolist()], np.int64)
        self.codes = np.full(1 << 16, len(fields), np.uint8)
        for tag, place in tags.items():
            if tag < 128:
                self.codes[tag :: 1 << 8] = place
                self.codes[tag | 128] = place  # in one byte more than it needs
            elif tag < 1 << 14:
                self.codes[(tag >> 7) << 8 | tag & 127 | 128] = place


@dataclass(frozen=True, slots=True)
class Slices:
    """Where some bytes of each message lie in the buffer: from ``start`` to ``end``; absent where ``start`` is -1."""

    start: Ints
    end: Ints

    @property
    def present(self) -> Bools:
        """Tell which messages have it."""
        return self.start >= 0

    def take(self, rows: Any) -> "Slices":
        """Return those of some messages."""
        return Slices(self.start[rows], self.end[rows])

    def binary(self, buffer: pa.Buffer) -> pa.Array:
        """Return the bytes as an array, null where absent. The slices must follow one another in the buffer."""
        present = self.present
        count = int(np.count_nonzero(present))
        if not count:
            return pa.nulls(len(present), pa.binary())
        offsets = np.empty(2 * count, np.int32)
        offsets[0::2], offsets[1::2] = self.start[present], self.end[present]
        every = pa.Array.from_buffers(pa.binary(), 2 * count - 1, [None, pa.py_buffer(offsets), buffer])
        values = every.take(pa.array(np.arange(0, 2 * count, 2)))
        if count == len(present):
            return values
        # In two steps: Arrow reserves room for the mean length a row, and what lies between the slices is long.
        return values.take(pa.array(np.cumsum(present) - 1, mask=~present))


class Bytes(NamedTuple):
    """Bytes followed by padding, as a buffer for Arrow and as an array."""

    buffer: pa.Buffer
    array: npt.NDArray[np.uint8]


class Found(NamedTuple):
    """What `scan` found: of each wanted field a row of values, and which messages are not to be trusted.

    ``value`` is the number of a varint, and where the content of bytes begins, -1 where absent; ``end`` is where a
    field ends, and ``first`` where its first occurrence begins, with the tag. ``odd`` messages are broken, or legal
    and unusual: a single field given twice, a repeated one scattered.
    """

    layout: Layout
    value: Ints
    end: Ints
    first: Ints
    odd: Bools

    def take(self, rows: Any) -> "Found":
        """Return what was found of some messages."""
        return Found(self.layout, self.value[:, rows], self.end[:, rows], self.first[:, rows], self.odd[rows])

    def numbers(self, name: str) -> Ints:
        """Return the values of a varint field as 64-bit words; -1 where absent, if it cannot be negative itself."""
        values: Ints = self.value[self.layout.places[name]]
        return values

    def slices(self, name: str) -> Slices:
        """Return where the content of a field lies."""
        place = self.layout.places[name]
        return Slices(self.value[place], self.end[place])

    def runs(self, name: str) -> Slices:
        """Return where all occurrences of a repeated field lie, tags included."""
        place = self.layout.places[name]
        return Slices(self.first[place], self.end[place])


def joined(messages: Sequence[bytes]) -> tuple[Bytes, Slices]:
    """Return messages in one padded buffer, and where each lies."""
    data = b"".join((*messages, bytes(PADDING)))
    ends = np.cumsum(np.fromiter(map(len, messages), np.int64, len(messages)))
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1])) if messages else ends
    return Bytes(pa.py_buffer(data), np.frombuffer(data, np.uint8)), Slices(starts, ends)


def scan(data: npt.NDArray[np.uint8], where: Slices, layout: Layout) -> Found:
    """Find the wanted fields of the messages that lie at ``where`` in padded ``data``; an absent one has none.

    A message that claims to go on behind the data, as one within a broken one may, is odd and has none.
    """
    count, width = len(where.start), len(layout.places)
    value, first = (np.full((width + 1) * count, -1, np.int64) for _ in range(2))
    end = np.zeros((width + 1) * count, np.int64)
    odd = where.present & (where.end > len(data) - PADDING)
    rows = np.flatnonzero(where.present & (where.end > where.start) & ~odd)
    begin, stop = where.start[rows], where.end[rows]
    for _ in range(_MOST_FIELDS):
        if not len(rows):
            break
        codes, content, after, wrong = _fields(data, begin, stop, layout)
        cells = codes * count + rows
        before = end[cells]
        value[cells], end[cells] = content, after
        some = np.flatnonzero(layout.repeated[codes] | (before > 0))
        if len(some):
            again = before[some] > 0
            allowed = layout.repeated[codes[some]] & (before[some] == begin[some]) | (codes[some] == width)
            odd[rows[some[again & ~allowed]]] = True
            some = some[~again]
            first[cells[some]] = begin[some]
        going = after < stop
        if wrong is not None:
            odd[rows[wrong]] = True
            going &= ~wrong
        rows, begin, stop = rows[going], after[going], stop[going]
    odd[rows] = True
    values, ends, firsts = (array.reshape(width + 1, count)[:width] for array in (value, end, first))
    return Found(layout, values, ends, firsts, odd)


def _fields(
    data: npt.NDArray[np.uint8], begin: Ints, stop: Ints, layout: Layout
) -> tuple[Ints, Ints, Ints, Bools | None]:
    """Read the field at each place: its place in the layout, number or begin of its content, its end, what is wrong."""
    byte, following = data[begin], data[begin + 1]
    two = byte >= 128
    codes = layout.codes[following.astype(np.uint16) << 8 | byte].astype(np.int64)
    position = begin + 1 + two
    low, high = data[position], data[position + 1]
    more = low >= 128
    word = low.astype(np.int64)
    if more.any():
        word += more * ((high.astype(np.int64) - 1) << 7)
    position += 1
    position += more
    long = (two & (following >= 128)) | (more & (high >= 128))
    kinds = byte & 7
    numeric = kinds == NUMBER
    content = np.where(numeric, word, position)
    after = position + np.where(numeric, 0, word)
    if long.any():
        _read_long(data, begin, layout, np.flatnonzero(long), codes, content, after)
    wrong = (after > stop) | ~numeric & (kinds != BYTES) | (byte < 8)
    if not wrong.any():
        return codes, content, after, None
    fixed = np.flatnonzero((kinds == 1) | (kinds == 5))
    after[fixed] = _varint(data, begin[fixed])[1] + np.where(kinds[fixed] == 1, 8, 4)
    wrong = (after > stop) | (after <= begin) | (byte < 8) | (kinds > BYTES) & (kinds != 5)
    return codes, content, after, wrong


def _read_long(
    data: npt.NDArray[np.uint8],
    begin: Ints,
    layout: Layout,
    rows: Ints,
    codes: Ints,
    content: Ints,
    after: Ints,
) -> None:
    """Read those fields whose tag, or whose number or length, takes more than two bytes."""
    tag, position = _varint(data, begin[rows])
    endless = position > len(data)
    word, position = _varint(data, np.where(endless, begin[rows], position))
    numeric = tag & 7 == NUMBER
    found = np.searchsorted(layout.tags, tag)
    codes[rows] = np.where(layout.tags[found] == tag, layout.places_of_tags[found], len(layout.places))
    content[rows] = np.where(numeric, word, position)
    too_long = endless | (word < 0) | (word > len(data))
    after[rows] = np.where(numeric & ~endless, position, np.where(too_long, len(data), position + word))


def _varint(data: npt.NDArray[np.uint8], position: Ints) -> tuple[Ints, Ints]:
    """Return the varints at positions, as 64-bit words, and the positions behind them."""
    value = np.zeros(len(position), np.int64)
    length = np.zeros(len(position), np.int64)
    going = np.arange(len(position))
    for shift in range(0, 70, 7):
        byte = data[position[going] + shift // 7]
        value[going] |= (byte & 127).astype(np.int64) << shift
        length[going] += 1
        going = going[byte >= 128]
        if not len(going):
            break
    length[going] = len(data)
    return value, position + length
