"""Count an event once though two exporters wrote it: equal uuids within a bounded window."""

from collections.abc import Callable
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["SeenIds", "keys_of"]

_Keys = npt.NDArray[np.uint64]
_Mask = npt.NDArray[np.bool_]

FirstSeen: TypeAlias = Callable[..., int]
"""Compiled code (`kernel.first_seen`)."""

_ROOM = 4
"""Places in the table for each key of the window; half of them stay free."""
_UUID_LENGTH = 36
_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F],
    dtype=np.uint64,
)

_WORDS = np.dtype(
    {"names": list("abcde"), "formats": ["u8"] * 5, "offsets": [0, 8, 16, 24, 28], "itemsize": _UUID_LENGTH}
)
"""The words of a text; the last two overlap."""


def keys_of(uuids: pa.Array) -> _Keys:
    """Return a 64-bit key for each text of a string array; 0 for null and for the empty text.

    Texts of a uuid's length are hashed in bulk, others one by one; equal texts of one array length have equal keys.
    """
    count = len(uuids)
    offsets = np.frombuffer(uuids.buffers()[1], dtype=np.int32)[uuids.offset : uuids.offset + count + 1]
    lengths = np.diff(offsets)
    regular = lengths == _UUID_LENGTH
    data = np.frombuffer(uuids.buffers()[2] or b"", dtype=np.uint8)
    if count and regular.all():
        return _hash(data[offsets[0] : offsets[-1]])
    keys = np.zeros(count, dtype=np.uint64)
    texts = data[offsets[:-1][regular][:, None].astype(np.int64) + np.arange(_UUID_LENGTH)]
    keys[regular] = _hash(texts.reshape(-1))
    for place in np.flatnonzero(~regular & (lengths > 0)):
        text = uuids[int(place)].as_py()
        if text:
            digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            keys[place] = max(1, int.from_bytes(digest, "little"))
    return keys


def _hash(texts: npt.NDArray[np.uint8]) -> _Keys:
    """Hash each 36 bytes: five words, each times an odd constant, mixed."""
    *words, tail = (texts.view(_WORDS)[name] for name in _WORDS.names or ())
    key: _Keys = tail * _FACTORS[4]
    for word, factor in zip(words, _FACTORS, strict=False):
        mixed = word * factor
        key = (key ^ (mixed ^ (mixed >> np.uint64(29)))) * _FACTORS[0]
    key ^= key >> np.uint64(32)
    return np.maximum(key, np.uint64(1))


class SeenIds:
    """The keys seen of late, each once: a ring of them, and an open-addressing table of where in the ring they stand.

    Exact over at least the last ``window`` distinct keys, and over 1/32 more at most. Memory is 8 bytes for each of them
    and 16 in the table (25 MB for a window of 2^20), however many keys are seen.
    """

    def __init__(self, window: int = 1 << 20, first_seen: FirstSeen | None = None) -> None:
        """Make an empty set; ``window`` is a power of two, ``first_seen`` compiled code to be used, if there is any."""
        if window & (window - 1):
            raise ValueError(f"window must be a power of two, not {window}")
        self._step = min(1 << 14, max(1, window // 64))
        self._end = 1 + window + 2 * self._step
        self._ring = np.zeros(0, np.uint64)
        """From 1 to the end; what is behind it is for a moment only."""
        self._places = np.zeros(0, np.uint32)
        """Where in the ring a key stands, or stood, by its low bits or soon behind; 0 is free."""
        self._window, self._compiled = window, first_seen
        self._next, self._used = 1, 0

    def first_seen(self, keys: _Keys) -> _Mask:
        """Return for each key whether it is new, in order, and remember it; key 0 is always new."""
        if len(keys) and not len(self._ring):
            self._ring = np.zeros(self._end + self._step, np.uint64)
            self._places = np.zeros(_ROOM * self._window, np.uint32)
        result = np.empty(len(keys), bool)
        for start in range(0, len(keys), self._step):
            part = keys[start : start + self._step]
            if self._next + len(part) > self._end:
                self._ring[self._next : self._end] = 0
                self._next = 1
            if self._used + len(part) > len(self._places) // 2:
                self._forget()
            self._next += self._add(part, self._next, result[start : start + self._step])
        return result

    def _forget(self) -> None:
        """Have nothing in the table but what is in the ring."""
        self._places.fill(0)
        self._used = 0
        for start in range(1, self._end, self._step):
            part = self._ring[start : min(start + self._step, self._end)].copy()
            self._add(part, start, np.empty(len(part), bool))

    def _add(self, keys: _Keys, at: int, new: _Mask) -> int:
        """Write the new ones of the keys to the ring, ``at`` a place with room for all; say which, and return how many."""
        self._ring[at : at + len(keys)] = 0
        if self._compiled is None:
            held = self._inserted(keys, at, new)
        else:
            where = self._ring, self._places, keys, new
            held = self._compiled(*(each.ctypes.data for each in where), at, len(self._places), len(keys))
        self._used += held
        return held

    def _inserted(self, keys: _Keys, at: int, new: _Mask) -> int:
        """Do so for all keys at a time: each that finds no equal one claims a place in the table, of equal ones the first."""
        ring, places, mask = self._ring, self._places, len(self._places) - 1
        np.equal(keys, 0, out=new)
        asked = np.flatnonzero(keys)
        keys = keys[asked]
        claims = np.arange(self._end, self._end + len(keys), dtype=np.uint32)
        ring[self._end : self._end + len(keys)] = keys
        slots = (keys & np.uint64(mask)).view(np.int64)  # numpy looks up faster by signed numbers
        won = np.zeros(len(keys), bool)
        open_ = np.arange(len(keys))
        while len(open_):
            tried, claim = slots[open_], claims[open_]
            free = places.take(tried) == 0
            # Of several for one place the last stays: the first of them.
            places[tried[free][::-1]] = claim[free][::-1]
            held = places.take(tried)
            mine = held == claim
            won[open_[mine]] = True
            open_ = open_[~mine & (ring.take(held) != keys[open_])]
            slots[open_] = (slots[open_] + 1) & mask
        count = int(np.count_nonzero(won))
        ring[at : at + count] = keys[won]
        places[slots[won]] = np.arange(at, at + count, dtype=np.uint32)
        new[asked[won]] = True
        return count
