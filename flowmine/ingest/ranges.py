"""Stretches of a plain file that can be read apart from each other: whole lines, from one place to another."""

from collections.abc import Iterator
from dataclasses import dataclass

from flowmine.errors import InputError
from flowmine.ingest.blocks import Block, Unreadable
from flowmine.ingest.files import Input
from flowmine.ingest.formats import HEAD, first_time
from flowmine.ingest.framing import by_line
from flowmine.ingest.stores import opened, whole_lines
from flowmine.ingest.times import nanoseconds

__all__ = ["Range", "blocks_of", "ranges"]

_LOOK = 1 << 16
_LEFT = 4
"""Of what is left of a file, a range is at most such a part."""


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes of a file that are whole lines, the first of which begins at ``begins`` (nanoseconds, where it tells)."""

    path: str
    start: int
    end: int
    begins: int | None


def ranges(one: Input, size: int, least: int) -> Iterator[Range]:
    """Yield a file whose stored bytes are its lines (`Input.is_lines`) in ranges of about ``size`` bytes.

    The last ones are smaller, down to about ``least`` bytes, so that readers end together. Raise InputError where it
    cannot be read.
    """
    try:
        with opened(one.name) as file:
            start, total = 0, one.size or 0
            while start < total:
                head = file.read(HEAD)
                end = min(start + max(least, min(size, (total - start) // _LEFT)), total)
                if end < total:
                    file.seek(end)
                    while (chunk := file.read(_LOOK)) and b"\n" not in chunk:
                        end += len(chunk)
                    end += chunk.find(b"\n") + 1
                yield Range(one.name, start, end, nanoseconds(first_time(head)))
                start = file.seek(end)
    except OSError as error:
        raise InputError(f"{one.name}: cannot be read ({error.strerror or error})") from error


def blocks_of(found: Range, size: int) -> Iterator[Block | Unreadable]:
    """Yield the lines of a range in blocks of about ``size`` bytes, numbered from 1.

    Raise InputError where they cannot be read.
    """
    return by_line(_content(found, size), size)


def _content(found: Range, size: int) -> Iterator[bytes]:
    try:
        with opened(found.path) as file:
            file.seek(found.start)
            yield from whole_lines(file, found.path, size, found.end)
    except OSError as error:
        raise InputError(f"{found.path}: cannot be read ({error.strerror or error})") from error
