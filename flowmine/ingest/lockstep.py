"""Read several captures that overlap in time side by side, so that what two of them repeat comes close together."""

import heapq
from collections.abc import Iterator, Sequence

from flowmine.ingest.blocks import Block, Unreadable
from flowmine.ingest.files import Input
from flowmine.ingest.formats import first_time
from flowmine.ingest.times import nanoseconds

__all__ = ["in_step"]

_MOST_OPEN, _FEW = 48, 4
_LARGEST, _SMALLEST, _TOGETHER = 1 << 21, 1 << 17, 24 << 20

Piece = tuple[int, Block | Unreadable | None]


def in_step(inputs: Sequence[Input]) -> Iterator[Piece]:
    """Yield the blocks of all inputs by the time at which each begins, with the input's place; None at its end.

    ``inputs`` are sorted by their first event. A file is opened when its time comes; never more than a few dozen
    are open at once, and the more inputs there are, the smaller the blocks.
    """
    size = max(_SMALLEST, min(_LARGEST, _TOGETHER // max(1, min(len(inputs), _MOST_OPEN))))
    few = len(inputs) <= _FEW
    waiting = list(range(len(inputs)))[::-1]
    heap: list[tuple[int, int, Block | Unreadable, Iterator[Block | Unreadable]]] = []
    while waiting or heap:
        while waiting and len(heap) < _MOST_OPEN and _is_due(inputs[waiting[-1]], heap):
            place = waiting.pop()
            if not _push(heap, place, inputs[place].begins or 0, _blocks(inputs[place], size, few=few)):
                yield place, None
        if not heap:
            continue
        begins, place, block, rest = heapq.heappop(heap)
        yield place, block
        if not _push(heap, place, begins, rest):
            yield place, None


def _is_due(one: Input, heap: Sequence[tuple[int, ...] | tuple[int, int, object, object]]) -> bool:
    return not heap or (one.begins or 0) <= heap[0][0]


def _blocks(one: Input, size: int, *, few: bool) -> Iterator[Block | Unreadable]:
    if one.format is None or one.format.blocks is None:
        return iter(())
    return one.format.blocks(one.content(in_thread=few), size, one.written)


def _push(
    heap: list[tuple[int, int, Block | Unreadable, Iterator[Block | Unreadable]]],
    place: int,
    begins: int,
    rest: Iterator[Block | Unreadable],
) -> bool:
    """Put the input's next block on the heap at the time it begins, or where it says none, after the last one."""
    block = next(rest, None)
    if block is None:
        return False
    if isinstance(block, Block):
        begins = nanoseconds(first_time(block.data)) or begins
    heapq.heappush(heap, (begins, place, block, rest))
    return True
