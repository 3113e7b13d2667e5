"""Cut blocks of JSON lines into stretches as `stretches.cut` does, by compiled code (`kernel`, `machinecode`).

It takes about a third of the time, and keeps stretches from block to block.
"""

import numpy as np

from flowmine.ingest.machinecode import Function
from flowmine.ingest.places import Bytes, Places
from flowmine.ingest.stretches import (
    HEAD,
    HEAD_WITHOUT_UUID,
    KINDS,
    TIME,
    UUID,
    Ports,
    Stretches,
    has_line_end,
    of_lines,
)

__all__ = ["Cutter"]

_BEHIND = 64
"""Bytes that the compiled code may read behind the lines that it is given."""
_ROW = 9
"""As in `kernel`: what is found of a line."""
_LEAST = 128
"""Bytes that a line of the usual form has at least."""
_KEPT = 16 << 20
"""Bytes of stretches that are kept from block to block, at most."""
_MOST = 1 << 15
"""Stretches that are kept from block to block, at most."""
_TABLE = 1 << 12
"""Places in the table of stretches that are used at first; more are, as there are more stretches."""
_MORE = 8
"""Room is made for blocks that are longer by such a part: they end with a line, and so are not all of one length."""
_LOOK = 1 << 16
"""Bytes of a block that are looked through for a uuid, or for the end of a line."""


class _Kept:
    """Stretches met in blocks, as `kernel` has them, with room for all that a block of ``length`` bytes can have."""

    def __init__(self, length: int) -> None:
        most = _MOST + len(KINDS) * (length // _LEAST + 1)
        self.arrays = (
            np.empty(_KEPT + length + _BEHIND, np.uint8),
            np.zeros((most + 1, 4), np.int64),
            np.zeros(1 << (2 * most).bit_length(), np.int64),
            np.array([0, _TABLE - 1, 0]),
        )
        self._length = length

    def has_room(self, length: int) -> bool:
        """Tell whether there is room for a block of ``length`` bytes more."""
        return len(self) <= _MOST and self.used <= _KEPT and length <= self._length

    @property
    def used(self) -> int:
        """How many bytes they have."""
        return int(self.arrays[1][len(self), 0])

    def __len__(self) -> int:
        return int(self.arrays[3][0])

    def some(self, numbers: Places) -> list[bytes]:
        """Return those with some numbers."""
        text, entries = self.arrays[:2]
        starts, stops = entries[numbers, 0].tolist(), entries[numbers + 1, 0].tolist()
        return [text[start:stop].tobytes() for start, stop in zip(starts, stops, strict=True)]


class _Room:
    """What is found of the lines of a block of at most ``length`` bytes: for one after the other."""

    def __init__(self, length: int) -> None:
        lines = length // _LEAST + 1
        self.length = length
        self.rows = np.empty((lines, _ROW), np.int64)
        self.times, self.uuids = np.empty((lines, TIME), np.uint8), np.empty((lines, UUID), np.uint8)
        self.scratch: Bytes = np.empty(length + _BEHIND, np.uint8)


class Cutter:
    """Cuts one block after another."""

    def __init__(self, function: Function) -> None:
        """Know no stretch, and the compiled code."""
        self._function = function
        self._kept, self._room = _Kept(0), _Room(0)

    def cut(self, data: bytes | memoryview) -> Stretches | None:
        """Return the stretches of a block; None where not even half of its lines are of the usual form, or one has two ends."""
        length = len(data)
        if length > self._room.length:
            self._room = _Room(length + length // _MORE)
        if not self._kept.has_room(length):
            self._kept = _Kept(length + length // _MORE)
        kept, room = self._kept, self._room
        head = HEAD if b'","uuid":"' in bytes(data[:_LOOK]) else HEAD_WITHOUT_UUID
        before = kept.used
        last = _line_before(data, length - _BEHIND)
        usual, lines = self._lines(data, last, head, 0)
        more, more_lines = self._lines(bytes(data[last:]) + bytes(_BEHIND), length - last, head, usual)
        room.rows[usual : usual + more, :2] += last
        usual, lines = usual + more, lines + more_lines
        if has_line_end(kept.arrays[0][before : kept.used]):
            self._kept = _Kept(0)
            return None
        if not usual or 2 * usual < lines:
            return None
        begins, ends, *codes, source, destination = room.rows[:usual].T.copy()
        uuids = room.uuids[:usual].copy() if head == HEAD else None
        numbers, ports = np.stack(codes).astype(np.int32), Ports.of(source, destination)
        return of_lines(data, (begins, ends), room.times[:usual].copy(), uuids, kept, numbers, ports)

    def _lines(self, data: bytes | memoryview, length: int, head: int, row: int) -> tuple[int, int]:
        """Fill in rows for lines, from one row on; return how many, and how many lines there are."""
        room, kept = self._room, self._kept.arrays
        found = *kept, room.rows[row:], room.times[row:], room.uuids[row:], room.scratch
        block = np.frombuffer(data, np.uint8)
        usual = self._function(block.ctypes.data, length, head, *(each.ctypes.data for each in found))
        return usual, int(kept[3][2])


def _line_before(data: bytes | memoryview, place: int) -> int:
    """Return where the last line begins of which the one before it ends before a place."""
    while place > 0:
        start = max(0, place - _LOOK)
        if found := bytes(data[start:place]).rfind(b"\n") + 1:
            return start + found
        place = start
    return 0
