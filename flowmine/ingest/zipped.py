"""Small gzip files among several inputs, as exporters leave them when they rotate: each inflated by who reads it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from flowmine.ingest.blocks import Block, Unreadable
from flowmine.ingest.files import Input, input_of
from flowmine.ingest.slots import Slot, Slots, blocks_in, slots

__all__ = ["Zipped", "blocks_of_input", "is_small"]

_TOGETHER = 64 << 20
"""Stored bytes of all that is read side by side, at most: its events are not more than repeats are told among."""


@dataclass(frozen=True, slots=True)
class Zipped:
    """A whole file, the first event of which is at ``begins`` (nanoseconds, where it tells)."""

    name: str
    begins: int | None

    def opened(self) -> Input:
        """Return what reads it. Raise InputError where it is not there."""
        one = input_of(self.name)
        one.compression = "gzip"  # as was recognised before
        return one


def is_small(one: Input, beside: int) -> bool:
    """Tell whether an input is a gzip file of JSON to be read whole, where so many are read side by side."""
    is_json = one.format is not None and one.format.name == "json"
    is_stored = one.repeatable and one.compression == "gzip" and one.size is not None
    return is_json and is_stored and (one.size or 0) * beside <= _TOGETHER


def blocks_of_input(one: Input, size: int, room: Slots) -> Iterator[Block | Unreadable]:
    """Yield the lines of a file in blocks of about ``size`` bytes; then ``one.cut`` says whether it ended too early.

    They are inflated where there is ``room`` in this process. Raise InputError where the file cannot be read.
    """
    lines = 0
    for piece in slots(one, size, room, alone=True):
        if not isinstance(piece, Slot):
            yield piece
            continue
        before = lines
        for block in blocks_in(piece, room, size):
            if isinstance(block, Block):
                block.first += before
                yield block
                lines = block.first - 1 + block.ends
            else:
                yield replace(block, line=block.line + before)
                lines = block.line + before
            del block
        room.give_back(piece.number)
