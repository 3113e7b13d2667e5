"""Find the JSON values of a stream by their brackets, in bulk: the members of an array, or objects in a row."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from flowmine.ingest.blocks import LONGEST, Block, Unreadable

__all__ = ["values"]

_Places = npt.NDArray[np.int64]

_KIND = np.zeros(256, np.uint8)  # 1 quote, 2 backslash, 3 line end, 4 opening, 5 closing
for _char, _code in ((34, 1), (92, 2), (10, 3), (123, 4), (91, 4), (125, 5), (93, 5)):
    _KIND[_char] = _code
_OBJECT, _ARRAY = 123, 91
_BETWEEN = b" \t\r\n,[]"
_PIECES = re.compile(rb"\n(?=\{)")


def values(chunks: Iterator[bytes], size: int) -> Iterator[Block | Unreadable]:
    """Yield the objects and inner arrays of an array, or objects that follow each other, as blocks of ``size`` bytes.

    A raw line end ends any string, so that a stray quote spoils one line only. Text between values, a value longer
    than `LONGEST` and one without an end are told.
    """
    scanner = _Scanner()
    held: list[tuple[int, bytes]] = []
    weight = 0
    for chunk in chunks:
        for found in scanner.feed(chunk):
            if isinstance(found, Unreadable):
                yield from _block(held)
                held, weight = [], 0
                yield found
                continue
            held.append(found)
            weight += len(found[1])
            if weight >= size:
                yield from _block(held)
                held, weight = [], 0
    yield from _block(held)
    yield from scanner.end()


def _block(held: list[tuple[int, bytes]], *, unended: bool = False) -> Iterator[Block]:
    if held:
        lines = [value.replace(b"\n", b" ") if b"\n" in value else value for _, value in held]
        yield Block(b"\n".join(lines), held[0][0], tuple(line for line, _ in held), unended)


@dataclass(slots=True)
class _Scanner:
    """Where the last chunk ended: inside which brackets, in a string or not, in which value."""

    depth: int = 0
    top: int = 0  # the outermost bracket: an object, an array, or none
    in_string: bool = False
    line: int = 1
    tail: bytes = b""  # backslashes whose follower is not here yet
    opened: int | None = None  # line of the value that is not complete
    parts: list[bytes] = field(default_factory=list)
    weight: int = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes] | Unreadable]:
        """Yield the values that end in a chunk, each with its line, and what lies between them and is no JSON."""
        text = self.tail + chunk
        kept = len(text.rstrip(b"\\"))
        text, self.tail = text[:kept], text[kept:]
        places, kinds, line_ends = self._brackets(text)
        done = 0
        for place, is_end in zip(places.tolist(), kinds.tolist(), strict=True):
            if not is_end:
                yield from self._between(text[done:place], done, line_ends)
                self.opened, done = self._line_at(place, line_ends), place
                continue
            if self.weight <= LONGEST and self.opened is not None:
                yield self.opened, b"".join((*self.parts, text[done : place + 1]))
            self.parts, self.weight, self.opened, done = [], 0, None, place + 1
        if self.opened is None:
            yield from self._between(text[done:], done, line_ends)
        else:
            yield from self._hold(text[done:])
        self.line += len(line_ends)

    def end(self) -> Iterator[Block | Unreadable]:
        """Yield what was begun and has no end: objects that begin a line after it are saved."""
        if self.opened is not None and self.weight <= LONGEST:
            line, pieces = self.opened, _PIECES.split(b"".join((*self.parts, self.tail)))
            for place, piece in enumerate(pieces):
                yield from _block([(line, piece)], unended=place == len(pieces) - 1)
                line += piece.count(b"\n") + 1
        elif self.depth > 0 and self.opened is None:
            yield Unreadable(self.line, "the array has no end", cut=True)

    def _hold(self, part: bytes) -> Iterator[Unreadable]:
        before, self.weight = self.weight, self.weight + len(part)
        if self.weight <= LONGEST:
            self.parts.append(part)
        elif before <= LONGEST:
            self.parts = []
            yield Unreadable(self.opened or self.line, f"a value longer than {LONGEST >> 20} MiB")

    def _between(self, text: bytes, start: int, line_ends: _Places) -> Iterator[Unreadable]:
        if text.strip(_BETWEEN):
            start += len(text) - len(text.lstrip(_BETWEEN))
            yield Unreadable(self._line_at(start, line_ends), "not JSON")

    def _line_at(self, place: int, line_ends: _Places) -> int:
        return self.line + int(np.searchsorted(line_ends, place))

    def _brackets(self, text: bytes) -> tuple[_Places, npt.NDArray[np.bool_], _Places]:
        """Return where values begin and end (told apart by the second array), and where lines end."""
        data = np.frombuffer(text, np.uint8)
        kinds = _KIND[data]
        line_ends = np.flatnonzero(kinds == 3)
        quotes = np.flatnonzero(kinds == 1)
        escaped = _escaped(np.flatnonzero(kinds == 2))
        if len(escaped):
            quotes = np.setdiff1d(quotes, escaped, assume_unique=True)
        found = np.flatnonzero(kinds >= 4)
        line_of = np.searchsorted(line_ends, found)
        at_line_start = np.searchsorted(quotes, np.concatenate(([0], line_ends)))
        inside = np.searchsorted(quotes, found) - at_line_start[line_of] + (line_of == 0) * self.in_string
        found = found[inside % 2 == 0]
        since = len(quotes) - at_line_start[-1] + (len(line_ends) == 0) * self.in_string
        self.in_string = bool(since % 2)
        places, ends = self._values(found, data[found], kinds[found] == 4)
        return places, ends, line_ends

    def _values(
        self, found: _Places, chars: npt.NDArray[np.uint8], opening: npt.NDArray[np.bool_]
    ) -> tuple[_Places, npt.NDArray[np.bool_]]:
        """Follow the depth, and keep the brackets that begin or end a value."""
        steps = np.where(opening, 1, -1)
        after = self.depth + np.cumsum(steps)
        if len(after) and after.min() < 0:  # more closed than opened: begin anew at each such place
            after = np.maximum(after - np.minimum(np.minimum.accumulate(after), 0), 0)
        before = np.maximum(after - steps, 0)
        outermost = opening & (before == 0)
        last = np.maximum.accumulate(np.where(outermost, np.arange(len(found)), -1))
        tops = np.where(last < 0, self.top, chars[last]) if len(found) else chars
        in_array = tops == _ARRAY
        starts = opening & np.where(in_array, before == 1, before == 0)
        ends = ~opening & np.where(in_array, after == 1, after == 0)
        if len(found):
            self.depth, self.top = int(after[-1]), int(tops[-1])
        kept = starts | ends
        return found[kept], ends[kept]


def _escaped(backslashes: _Places) -> _Places:
    """Return the places of characters that an odd run of backslashes escapes."""
    if not len(backslashes):
        return backslashes
    jumps = np.flatnonzero(np.diff(backslashes) != 1)
    first = backslashes[np.concatenate(([0], jumps + 1))]
    last = backslashes[np.concatenate((jumps, [len(backslashes) - 1]))]
    places: _Places = last[(last - first) % 2 == 0] + 1
    return places
