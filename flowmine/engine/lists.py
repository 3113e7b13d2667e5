"""Many lists of numbers as two columns, and the pairs that come of asking for many of them at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Lists"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_PAIRS_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class Lists:
    """Many lists of numbers, end to end; list -1 is empty."""

    flat: Ints
    start: Ints
    size: Ints

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]]) -> "Lists":
        """Return these lists."""
        size = np.array([len(each) for each in lists] + [0], np.int64)
        flat = np.array([number for each in lists for number in each], np.int64)
        return cls(flat, np.cumsum(size) - size, size)

    @classmethod
    def grouped(cls, group: Ints, number: Ints, groups: int) -> "Lists":
        """Return one list for each group, of the numbers beside it; the groups come in order."""
        size = np.append(np.bincount(group, minlength=groups), 0)
        return cls(number, np.cumsum(size) - size, size)

    def select(self, wanted: Ints, keep: Callable[[Ints, Ints], Bools]) -> tuple[Ints, Ints]:
        """Return (place in `wanted`, number) for every number of every wanted list that is kept, by place."""
        found = [self._part(wanted, part, keep) for part in _chunks(self.size[wanted])]
        none = np.zeros(0, np.int64)
        places, numbers = ([pair[which] for pair in found] for which in (0, 1))
        return np.concatenate([none, *places]), np.concatenate([none, *numbers])

    def _part(self, wanted: Ints, part: slice, keep: Callable[[Ints, Ints], Bools]) -> tuple[Ints, Ints]:
        size = self.size[wanted[part]]
        before = np.cumsum(size) - size
        place = np.repeat(np.arange(part.start, part.stop), size)
        number = self.flat[np.arange(len(place)) + np.repeat(self.start[wanted[part]] - before, size)]
        kept = keep(place, number)
        return place[kept], number[kept]


def _chunks(sizes: Ints) -> Iterator[slice]:
    """Cut questions into runs whose pairs fit in memory at once."""
    total = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        done = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + _PAIRS_AT_ONCE, side="right")))
        yield slice(start, stop)
        start = stop
