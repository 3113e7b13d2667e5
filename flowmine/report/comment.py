"""Markdown for a pull request's comment: the gravest first, what is long folded, and cut to the size that fits, said so.

GitHub takes 65,536 characters; bytes are counted, of which no character has less than one, so that it fits however
they are counted. A reader that cuts a longer text blindly would leave tables and blocks of code open.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from flowmine.report.marks import escaped, in_html
from flowmine.report.tables import Table

__all__ = ["LIMIT", "Part", "bullets", "clipped", "comment", "fold", "rows"]

LIMIT = 65_536
"""Most bytes of a comment."""

_CELL = 400
_FACT = 1000
_RESERVED = 400

Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Things of one kind, the gravest first: each some lines, that are shown whole or not at all.

    ``title`` says in plain words what they are; ``head`` are the lines of a table's head. The first ``shown`` stand
    open, the others are folded.
    """

    title: str
    items: tuple[Lines, ...]
    head: Lines = ()
    shown: int = 20


def comment(
    title: str, facts: Iterable[str], parts: Sequence[Part], whole: str, limit: int = LIMIT
) -> Iterator[str]:
    """Yield the lines of a comment: a heading, the facts, then the parts in their order as far as they fit.

    What was cut is told beneath the facts; ``whole`` says in plain words where all of it is to be had.
    """
    opening = [f"## {title}", ""]
    room = limit - _size(opening) - _RESERVED - sum(_size([each.title]) + 40 for each in parts)
    for fact in facts:
        line = f"{escaped(clipped(fact, _FACT))}  "
        if _size([line]) > room:
            break
        opening.append(line)
        room -= _size([line])
    laid = []
    cut = []
    for part in parts:
        lines, count = _laid(part, room)
        laid += lines
        room -= _size(lines)
        if count < len(part.items):
            cut.append(f"{part.title}: {count:,} of {len(part.items):,} shown")
    yield from opening
    if cut:
        yield ""
        yield f"**Cut to what fits into a comment.** {escaped('; '.join(cut))}. {escaped(whole)}"
    yield from laid


def _laid(part: Part, room: int) -> tuple[list[str], int]:
    """Return the lines of as many of a part's items as there is room for, and how many they are."""
    count, size = 0, _size(_open(part, ())) + _size(_folded(part, (), len(part.items)))
    for item in part.items:
        if size + _size(item) > room:
            break
        size += _size(item)
        count += 1
    shown, rest = part.items[: min(part.shown, count)], part.items[part.shown : count]
    lines = _open(part, shown) if shown else []
    return lines + (_folded(part, rest, count) if rest else []), count


def _open(part: Part, items: Sequence[Lines]) -> list[str]:
    return ["", f"### {escaped(part.title)}", "", *part.head, *(line for item in items for line in item)]


def _folded(part: Part, items: Sequence[Lines], count: int) -> list[str]:
    title = f"{count - part.shown:,} more: {part.title}" if part.shown else f"{part.title}: {count:,}"
    return ["", *fold(title, [*part.head, *(line for item in items for line in item)])]


def fold(title: str, lines: Iterable[str]) -> list[str]:
    """Return lines that a reader unfolds by their title."""
    return [f"<details><summary>{in_html(clipped(title))}</summary>", "", *lines, "", "</details>"]


def rows(title: str, table: Table, shown: int = 20) -> Part:
    """Return a table's lines as a part."""
    head = (
        f"| {' | '.join(column.heading for column in table.columns)} |",
        f"|{'|'.join('---:' if column.number else '---' for column in table.columns)}|",
    )
    items = tuple((f"| {' | '.join(escaped(clipped(cell)) for cell in row)} |",) for row in table.rows)
    return Part(title, items, head, shown)


def bullets(title: str, texts: Iterable[str], shown: int = 0) -> Part:
    """Return texts, which are markdown already, as the points of a list."""
    return Part(title, tuple((f"- {text}",) for text in texts), shown=shown)


def clipped(text: str, most: int = _CELL) -> str:
    """Return a text cut short where it is longer than any that is meant to be read.

    >>> clipped("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.encode("utf-8", "backslashreplace")) + 1 for line in lines)
