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
    """The keys seen of late: two generations of open-addressing tables, half full at most.

    Exact over at least the last 63/64 of ``window`` distinct keys; memory is 2 tables of 2 x ``window`` words
    (32 MB for a window of 2^20), and a quarter of one.
    """

    def __init__(self, window: int = 1 << 20, first_seen: FirstSeen | None = None) -> None:
        """Make an empty set; ``window`` is a power of two, ``first_seen`` compiled code to be used, if there is any."""
        if window & (window - 1):
            raise ValueError(f"window must be a power of two, not {window}")
        self._window, self._step = window, min(1 << 14, max(1, window // 64))
        self._current, self._previous = np.zeros(0, np.uint64), np.zeros(0, np.uint64)
        self._owners = np.zeros(0, np.uint16)
        self._held, self._compiled = 0, first_seen

    def first_seen(self, keys: _Keys) -> _Mask:
        """Return for each key whether it is new, in order, and remember it; key 0 is always new."""
        result: _Mask = keys == 0
        for start in range(0, len(keys), self._step):
            end = start + self._step
            result[start:end] |= self._first_seen(keys[start:end])
        return result

    def _first_seen(self, keys: _Keys) -> _Mask:
        if self._held + len(keys) > self._window:
            self._previous, self._current = self._current, self._previous
            self._current.fill(0)  # and not another: where this one was, others could be put meanwhile
            self._held = 0
        if not len(self._current):
            self._current = np.zeros(2 * self._window, np.uint64)
        if self._compiled is not None:
            found = np.empty(len(keys), bool)
            where = self._previous, self._current, keys, found
            sizes = len(self._previous), len(self._current), len(keys)
            self._held += self._compiled(*(each.ctypes.data for each in where), *sizes)
            return found
        if not len(self._owners):
            self._owners = np.zeros(2 * self._window, np.uint16)
        asked = np.flatnonzero((keys != 0) & ~_contains(self._previous, keys))
        new = _inserted(self._current, self._owners, keys[asked])
        self._held += int(np.count_nonzero(new))
        result = np.zeros(len(keys), bool)
        result[asked[new]] = True
        return result


def _contains(table: _Keys, keys: _Keys) -> _Mask:
    found = np.zeros(len(keys), dtype=bool)
    if not len(table):
        return found
    slots = _slots(table, keys)
    open_ = np.arange(len(keys))
    while len(open_):
        held = table.take(slots)
        same = held == keys
        found[open_[same]] = True
        going = (held != 0) & ~same
        open_, keys, slots = open_[going], keys[going], (slots[going] + 1) & (len(table) - 1)
    return found


def _inserted(table: _Keys, owners: npt.NDArray[np.uint16], keys: _Keys) -> _Mask:
    """Insert keys, none of them 0 and at most 2^16; return which were not there, of equal ones the first.

    ``owners`` is as long as the table; what is in it does not matter.
    """
    new = np.zeros(len(keys), dtype=bool)
    slots = _slots(table, keys)
    open_ = np.arange(len(keys))
    while len(open_):
        free = table.take(slots) == 0
        claimed, by = slots[free], open_[free]
        table[claimed[::-1]] = keys[free][::-1]  # of several for one slot the last stays: the first of them
        owners[claimed[::-1]] = by[::-1]
        new[by[owners.take(claimed) == by]] = True
        going = table.take(slots) != keys
        open_, keys, slots = open_[going], keys[going], (slots[going] + 1) & (len(table) - 1)
    return new


def _slots(table: _Keys, keys: _Keys) -> npt.NDArray[np.int64]:
    """Return where keys are looked for at first; numpy looks up faster by signed numbers."""
    return (keys & np.uint64(len(table) - 1)).view(np.int64)
