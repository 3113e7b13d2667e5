"""Cut blocks of JSON lines into stretches as `stretches.cut` does, by code that numba compiles (`kernel`).

It takes about a third of the time, and keeps stretches from block to block. What it costs: a moment to load it, and
once on a machine some seconds to compile it, which numba keeps in a cache. It needs the extra ``fast``.
"""

import numpy as np

from flowmine.ingest.kernel import BEHIND, ROW, cut
from flowmine.ingest.places import Bytes, Places
from flowmine.ingest.stretches import HEAD, HEAD_WITHOUT_UUID, KINDS, Ports, Stretches, of_lines

__all__ = ["Cutter"]

_LEAST = 128
"""Bytes that a line of the usual form has at least."""
_KEPT = 16 << 20
"""Bytes of stretches that are kept from block to block, at most."""
_MOST = 1 << 15
"""Stretches that are kept from block to block, at most."""
_LOOK = 1 << 16
"""Bytes of a block that are looked through for a uuid."""


class _Kept:
    """Stretches met in blocks, as `kernel` has them, with room for all that a block of ``length`` bytes can have."""

    def __init__(self, length: int) -> None:
        most = _MOST + len(KINDS) * (length // _LEAST + 1)
        self.arrays = (
            np.empty(_KEPT + length + BEHIND, np.uint8),
            np.zeros((most + 1, 4), np.int64),
            np.zeros(1 << (2 * most).bit_length(), np.int64),
            np.zeros(1, np.int64),
        )
        self._length = length

    def has_room(self, length: int) -> bool:
        """Tell whether there is room for a block of ``length`` bytes more."""
        return len(self) <= _MOST and self.arrays[1][len(self), 0] <= _KEPT and length <= self._length

    def __len__(self) -> int:
        return int(self.arrays[3][0])

    def some(self, numbers: Places) -> list[bytes]:
        """Return those with some numbers."""
        text, entries = self.arrays[:2]
        starts, stops = entries[numbers, 0].tolist(), entries[numbers + 1, 0].tolist()
        return [text[start:stop].tobytes() for start, stop in zip(starts, stops, strict=True)]


class Cutter:
    """Cuts one block after another."""

    def __init__(self) -> None:
        """Know no stretch."""
        self._kept: _Kept | None = None

    def cut(self, data: bytes) -> Stretches | None:
        """Return the stretches of a block; None where not even half of its lines are of the usual form."""
        length = len(data)
        if self._kept is None or not self._kept.has_room(length):
            self._kept = _Kept(length)
        block: Bytes = np.empty(length + BEHIND, np.uint8)
        block[:length], block[length:] = np.frombuffer(data, np.uint8), 0
        head = HEAD_WITHOUT_UUID if data.find(b'","uuid":"', 0, _LOOK) < 0 else HEAD
        most = length // _LEAST + 1
        rows = np.empty((most, ROW), np.int64)
        times, uuids = np.empty((most, 30), np.uint8), np.empty((most, 36), np.uint8)
        usual, lines = cut(block, length, head, self._kept.arrays, rows, times, uuids)
        if not usual or 2 * usual < lines:
            return None
        begins, ends, *_, source, destination = rows[:usual].T.copy()
        return of_lines(
            data,
            (begins, ends),
            times[:usual],
            uuids[:usual] if head == HEAD else None,
            self._kept,
            rows[:usual, 2:-2].T.astype(np.int32, order="C"),
            Ports(source, destination),
        )
