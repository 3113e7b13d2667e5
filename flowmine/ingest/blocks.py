"""What a capture is cut into before it is decoded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from flowmine.ingest.stretches import Span, Stretches

__all__ = ["LONGEST", "Block", "Unreadable", "line_ends", "too_long"]

LONGEST = 32 << 20
"""The longest line or value that is read, in bytes."""


def line_ends(data: bytes | memoryview) -> int:
    """Count line ends; several times as fast as `bytes.count`."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == 10))


@dataclass(slots=True)
class Block:
    """Whole values, one a line; ``first`` is the number of the first line in its file.

    ``places`` are the line numbers of the values where they do not just follow; ``unended`` tells that the last line
    has no end, and may have been cut. ``stretches`` are its lines taken apart, set by whoever does that. ``text`` may be
    a view of memory that is written again when the next block is taken; the lines are copied for whoever asks for them.
    """

    text: bytes | memoryview
    first: int
    places: tuple[int, ...] | None = None
    unended: bool = False
    stretches: Stretches | None = None

    @property
    def data(self) -> bytes:
        """The lines, to be kept."""
        if not isinstance(self.text, bytes):
            self.text = bytes(self.text)
        return self.text

    @property
    def ends(self) -> int:
        """How many line ends there are."""
        return line_ends(self.text) if self.stretches is None else self.stretches.ends

    def lines(self) -> list[tuple[int, bytes]]:
        """Return the lines that are not blank, each with its number in the file."""
        lines = self.data.split(b"\n")
        numbers = self.places or range(self.first, self.first + len(lines))
        return [(number, line) for number, line in zip(numbers, lines, strict=False) if line.strip()]

    def parts(self, spans: Iterable[Span]) -> Iterator["Block"]:
        """Yield some lines of this block as blocks."""
        for start, stop, before in spans:
            lines = bytes(self.text[start:stop])
            places = self.places and self.places[before : before + lines.count(b"\n") + 1]
            yield Block(lines, self.first + before, places, self.unended and stop == len(self.text))


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A stretch of the input that is no JSON value, or too long a one: where, and why; ``cut`` where the end is missing."""

    line: int
    reason: str
    cut: bool = False


def too_long(line: int, most: int) -> Unreadable:
    """Return what is told of a line that is longer than the ``most`` bytes that are read."""
    return Unreadable(line, f"a line longer than {most >> 20} MiB")
