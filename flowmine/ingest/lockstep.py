"""Read several captures that overlap in time side by side, so that what two of them repeat comes close together."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from flowmine.ingest.ahead import ahead
from flowmine.ingest.blocks import Block, Unreadable
from flowmine.ingest.capturegroups import Group, Span
from flowmine.ingest.captureread import Kept, Stored
from flowmine.ingest.files import Input
from flowmine.ingest.formats import first_time
from flowmine.ingest.ranges import Range, ranges
from flowmine.ingest.slots import Slot, Slots, slots
from flowmine.ingest.stretches import cut
from flowmine.ingest.times import nanoseconds
from flowmine.ingest.zipped import Zipped, is_small

__all__ = ["FEW", "Piece", "Want", "in_step"]

_MOST_OPEN = 48
FEW = 4
"""Inputs of which each is inflated in a thread of its own, if it is compressed."""
_ALONE, _LARGEST, _SMALLEST, _TOGETHER = 8 << 20, 1 << 21, 1 << 17, 24 << 20

_TOLD_TOGETHER = 48 << 20
"""Bytes of all inputs together that are held to be told to readers."""
_RANGE = 8
"""Blocks in a range of an input alone."""
_SLOT = 3
"""Blocks in a slot of an input alone: the fewer, the more is told to readers; the more, the more memory slots take."""
_RANGE_OF_MANY = 16 << 20
"""Bytes in a range of one of several inputs: more than exporters write before they begin the next file."""
_BLOCKS_OF_MANY = 4
"""Blocks in whatever else is told to readers of one of several inputs, at most."""

Piece: TypeAlias = Block | Unreadable | Stored | Kept | Group | Range | Slot | Zipped


@dataclass(frozen=True, slots=True)
class Want:
    """What is asked for: of windows columns of FLOWS, and row groups not wholly outside a span of time; of JSON lines
    whether to take them apart; of files of such lines, and of windows, only to say where they are (``ranges``), and
    other lines to be put into ``slots``.
    """

    columns: frozenset[str]
    span: Span = (None, None)
    stretches: bool = False
    ranges: bool = False
    slots: Slots | None = None


_MOST_MISSES = 3
"""Blocks in a row whose lines are not of the usual form, after which none is taken apart."""


def in_step(inputs: Sequence[Input], want: Want) -> Iterator[tuple[int, Piece | None]]:
    """Yield the blocks of all inputs by the time at which each begins, with the input's place; None at its end.

    What is stored as windows comes in pieces of its own kind, of what is ``want``ed.

    ``inputs`` are sorted by their first event. A file is opened when its time comes; never more than a few dozen
    are open at once, and the more inputs there are, the smaller the blocks.
    """
    shared = max(_SMALLEST, min(_LARGEST, _TOGETHER // max(1, min(len(inputs), _MOST_OPEN))))
    size = _ALONE if len(inputs) == 1 else shared
    waiting = list(range(len(inputs)))[::-1]
    heap: list[tuple[int, int, Piece, Iterator[Piece]]] = []
    while waiting or heap:
        while waiting and len(heap) < _MOST_OPEN and _is_due(inputs[waiting[-1]], heap):
            place = waiting.pop()
            if not _push(
                heap, place, inputs[place].begins or 0, _blocks(inputs[place], size, want, len(inputs))
            ):
                yield place, None
        if not heap:
            continue
        begins, place, block, rest = heapq.heappop(heap)
        yield place, block
        if not _push(heap, place, begins, rest):
            yield place, None


def _is_due(one: Input, heap: Sequence[tuple[int, ...] | tuple[int, int, object, object]]) -> bool:
    return not heap or (one.begins or 0) <= heap[0][0]


def _blocks(one: Input, size: int, want: Want, count: int) -> Iterator[Piece]:
    if one.format is not None and one.format.pieces is not None and one.window is not None:
        return one.pieces(one.format.pieces(one.window, want.columns, want.span, apart=want.ranges))
    if want.ranges and one.is_lines:
        return ranges(one, size * _RANGE, size) if count == 1 else ranges(one, _RANGE_OF_MANY, _RANGE_OF_MANY)
    if want.ranges and count > 1 and is_small(one, min(count, _MOST_OPEN)):
        return iter([Zipped(one.name, one.begins)])
    if one.format is None or one.format.blocks is None:
        return iter(())
    few = count <= FEW
    if want.ranges and count > 1:  # in slots or not, for what comes first must not depend on who reads
        size = min(size * _BLOCKS_OF_MANY, _TOLD_TOGETHER // min(count, _MOST_OPEN))
    if want.slots is not None and one.format.name == "json":
        lent = slots(one, size * (_SLOT if count == 1 else 1), want.slots, alone=count == 1)
        return ahead(lent, 1) if few and one.compressed and want.slots.beside else lent
    blocks = one.format.blocks(one.content(size, in_thread=few), size, one.written)
    return _taken_apart(blocks) if want.stretches else blocks


def _taken_apart(blocks: Iterator[Block | Unreadable]) -> Iterator[Block | Unreadable]:
    misses = 0
    for block in blocks:
        if misses < _MOST_MISSES and isinstance(block, Block):
            block.stretches = cut(block.text)
            misses = 0 if block.stretches else misses + 1
        yield block


def _push(
    heap: list[tuple[int, int, Piece, Iterator[Piece]]],
    place: int,
    begins: int,
    rest: Iterator[Piece],
) -> bool:
    """Put the input's next block on the heap at the time it begins, or where it says none, after the last one."""
    block = next(rest, None)
    if block is None:
        return False
    if isinstance(block, Block):
        begins = nanoseconds(first_time(block.data)) or begins
    elif not isinstance(block, Unreadable):
        begins = block.begins or begins
    heapq.heappush(heap, (begins, place, block, rest))
    return True
