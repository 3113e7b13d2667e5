"""Tables for people and for other programs: one view, rendered as aligned text or CSV; colours are the command line's."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Column", "Table", "clean", "csv_text", "fitted", "plain_lines"]

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, whether its values are numbers, and how soon it gives way where a screen is too narrow.

    Numbers align to the right; a column with ``spare`` 0 always stays, of others the highest goes first.
    """

    heading: str
    number: bool = False
    spare: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, and rows of texts as wide as the columns are many."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Raise ValueError where a row is not as wide as the columns."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells under {len(self.columns)} columns: {row!r}")


def clean(text: str) -> str:
    """Return the text with control characters shown: what came from a capture never drives a terminal."""
    return text if text.isprintable() else text.translate(_CONTROLS)


def fitted(table: Table, width: int, gap: int = 3) -> Table:
    """Return the table without as many spare columns as it takes to fit a width, ``gap`` characters between two."""
    kept = list(range(len(table.columns)))
    widths = [
        max(map(len, cells)) for cells in zip([c.heading for c in table.columns], *table.rows, strict=True)
    ]
    while sum(widths[place] + gap for place in kept) > width:
        spare = max(kept, key=lambda place: table.columns[place].spare)
        if not table.columns[spare].spare:
            break
        kept.remove(spare)
    columns = tuple(table.columns[place] for place in kept)
    return Table(columns, tuple(tuple(row[place] for place in kept) for row in table.rows))


def plain_lines(table: Table) -> Iterator[str]:
    """Yield the heading and a line a row, columns aligned, two spaces between, none at the end of a line."""
    rows = (tuple(column.heading.upper() for column in table.columns), *table.rows)
    widths = [max(len(clean(cell)) for cell in cells) for cells in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(_aligned(row, widths, table.columns)).rstrip()


def _aligned(row: Iterable[str], widths: Iterable[int], columns: Iterable[Column]) -> Iterator[str]:
    for cell, width, column in zip(map(clean, row), widths, columns, strict=True):
        yield cell.rjust(width) if column.number else cell.ljust(width)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return CSV with a heading; None is empty, and a text that a spreadsheet would run gets a quote before it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_inert(value) for value in row] for row in rows)
    return buffer.getvalue()


def _inert(value: object) -> object:
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return "" if value is None else value
