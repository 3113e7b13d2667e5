"""Blocks of serialized events, and the same again later under new uuids."""

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import IO

import numpy as np
import numpy.typing as npt

from flowmine.ingest.wirelayouts import PARTS, RESPONSE, layout
from flowmine.ingest.wirescan import PADDING, Bools, Ints, Slices, scan

__all__ = ["Block", "Shelf", "block_of"]

_FLOW = layout("flow.Flow", "time", "uuid")
_LOST = layout("flow.LostEvent", "first", "last")
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_NUMBERS = np.zeros(256, np.int64)
_NUMBERS[_DIGITS] = np.arange(16)
_UUID, _STAMPED = 36, 8
_STRIDE = 0x9E3779B1
"""From one round's uuids to the next's: odd, so that no round of 2^32 repeats, and large, so that counted ones stay apart."""
_SECONDS = 5
"""Bytes of a varint of seconds between 1978 and 3058."""


@dataclass(frozen=True, slots=True)
class Block:
    """Serialized events one after another; ``starts`` has one place more than there are events.

    ``uuids`` and ``seconds`` are the places of what `again` changes.
    """

    data: npt.NDArray[np.uint8]
    starts: Ints
    uuids: Ints
    seconds: Ints

    def again(self, times: int, period: int) -> "Block":
        """Return the events as they come the ``times``-th time: so many periods of seconds later, under new uuids."""
        if not times:
            return self
        data = self.data.copy()
        digits = self.uuids[:, None] + np.arange(_STAMPED)
        numbers = (_NUMBERS[data[digits]] << _SHIFTS).sum(axis=1) + times * _STRIDE
        data[digits] = _DIGITS[(numbers[:, None] >> _SHIFTS) & 15]
        bytes_ = self.seconds[:, None] + np.arange(_SECONDS)
        later = ((data[bytes_] & 127).astype(np.int64) << _SEVENS).sum(axis=1) + times * period
        data[bytes_] = (later[:, None] >> _SEVENS) & 127 | _MORE
        return Block(data, self.starts, self.uuids, self.seconds)

    def pick(self, wanted: Bools, offset: int = 0) -> list[bytes]:
        """Return the wanted ones of the events from ``offset`` on, each for itself."""
        starts = self.starts[offset : offset + len(wanted) + 1]
        data, first = self.data[starts[0] : starts[-1]].tobytes(), int(starts[0])
        begins, ends = (starts[:-1][wanted] - first).tolist(), (starts[1:][wanted] - first).tolist()
        return [data[begin:end] for begin, end in zip(begins, ends, strict=True)]


_SHIFTS = 4 * np.arange(_STAMPED)[::-1]
_SEVENS = 7 * np.arange(_SECONDS)
_MORE = np.array([128] * (_SECONDS - 1) + [0])


class Shelf:
    """Blocks that are costly to make, kept in a temporary file under their numbers; safe for several threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="flowmine-replay-")  # noqa: SIM115
        self._kept: dict[int, tuple[int, Block]] = {}
        self._end = 0
        self._lock = threading.Lock()

    def get(self, number: int, make: Callable[[], Block]) -> Block:
        """Return a block; made the first time."""
        with self._lock:
            if number in self._kept:
                place, index = self._kept[number]
                size = int(index.starts[-1]) + PADDING
                data = np.frombuffer(bytearray(os.pread(self._file.fileno(), size, place)), np.uint8)
                return replace(index, data=data)
            block = make()
            self._file.write(block.data.tobytes())
            self._file.flush()
            self._kept[number] = self._end, replace(block, data=np.empty(0, np.uint8))
            self._end += len(block.data)
            return block

    def close(self) -> None:
        """Remove the file."""
        self._file.close()


def block_of(frames: Sequence[bytes]) -> Block:
    """Return serialized responses as a block."""
    lengths = np.fromiter(map(len, frames), np.int64, len(frames))
    starts = np.concatenate(([0], np.cumsum(lengths)))
    data = np.frombuffer(bytearray(b"".join((*frames, bytes(PADDING)))), np.uint8)
    found = scan(data, Slices(starts[:-1], starts[1:]), RESPONSE)
    flow = scan(data, found.slices("flow"), _FLOW)
    lost = scan(data, found.slices("lost_events"), _LOST)
    moments = [found.slices("time"), flow.slices("time"), lost.slices("first"), lost.slices("last")]
    uuid = flow.slices("uuid")
    return Block(
        data,
        starts,
        uuid.start[uuid.end - uuid.start == _UUID],
        np.concatenate([_seconds(data, moment) for moment in moments]),
    )


def _seconds(data: npt.NDArray[np.uint8], where: Slices) -> Ints:
    """Return the places of the seconds of timestamps that are as long as those of our time."""
    found = scan(data, where, PARTS["time"])
    seconds, ends = found.numbers("seconds"), found.slices("seconds").end
    return ends[(seconds >= 1 << 28) & (seconds < 1 << 35)] - _SECONDS
