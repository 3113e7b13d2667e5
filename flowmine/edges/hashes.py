"""Hashes of what rows say: the same in every process and run, for they depend on the values alone."""

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["Hashes", "hashed", "mixed"]

Hashes: TypeAlias = NDArray[np.uint64]

_PRIME = np.uint64(0x100000001B3)


def hashed(texts: pa.ChunkedArray) -> Hashes:
    """Return a hash of each text, of its bytes alone; 0 for the empty one."""
    joined: Any = texts.combine_chunks()
    array = joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined
    if not len(array):
        return np.zeros(0, np.uint64)
    offsets = np.frombuffer(array.buffers()[1], np.int32)[
        array.offset : array.offset + len(array) + 1
    ].astype(np.int64)
    lengths = np.diff(offsets)
    data = array.buffers()[2]
    if not lengths.any() or data is None:
        return np.zeros(len(array), np.uint64)
    used = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]].astype(np.uint64) + np.uint64(1)
    places = np.arange(len(used)) - np.repeat(offsets[:-1] - offsets[0], lengths)
    powers = np.cumprod(np.full(int(lengths.max()), _PRIME))
    filled = np.flatnonzero(lengths)
    sums = np.add.reduceat(used * powers[places], (offsets[:-1] - offsets[0])[filled])
    hashes = np.zeros(len(array), np.uint64)
    hashes[filled] = sums
    return hashes


def mixed(hashes: Hashes) -> Hashes:
    """Spread what differs in a few bits over all of them (splitmix64)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
