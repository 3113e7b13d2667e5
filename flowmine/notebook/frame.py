"""What every answer in a notebook is: a table that other libraries read, and that shows itself."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa

from flowmine.notebook import markup
from flowmine.report.tables import Column, Table, clean, fitted, plain_lines

__all__ = ["Frame", "Listing", "columns", "shown_of"]

_ROWS_IN_TEXT = 20
_KINDS = {
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
    "bool": pa.bool_(),
    "port": pa.uint16(),
    "count": pa.uint32(),
    "events": pa.uint64(),
    "float": pa.float64(),
    "ns": pa.timestamp("ns", tz="UTC"),
    "us": pa.timestamp("us", tz="UTC"),
    "ms": pa.timestamp("ms", tz="UTC"),
}


def columns(*runs: tuple[str, str]) -> pa.Schema:
    """Return the columns of an answer, given as runs of names and what each of them holds.

    >>> columns(("source destination", "text"), ("port", "port")).names
    ['source', 'destination', 'port']
    """
    return pa.schema([(name, _KINDS[kind]) for names, kind in runs for name in names.split()])


class Frame(ABC):
    """A table with a title, what is to be said of it, and folded details.

    It is an Arrow stream (``__arrow_c_stream__``): `polars.DataFrame(frame)`, `duckdb.sql("from frame")` and
    `pyarrow.table(frame)` read it without a copy of their own making. It is made once, when it is first asked for.
    """

    @property
    @abstractmethod
    def title(self) -> str:
        """What this is, in a few words."""

    @abstractmethod
    def _made(self) -> pa.Table:
        """Return the table for programs."""

    def _shown(self) -> Table:
        """Return the table for people."""
        return shown_of(self.table)

    @property
    def lines(self) -> tuple[str, ...]:
        """What a person should know of it, a sentence each."""
        return ()

    def _details(self) -> Iterable[str]:
        """Yield what notebooks show folded, as HTML."""
        return ()

    @cached_property
    def table(self) -> pa.Table:
        """The rows as an Arrow table."""
        return self._made()

    @property
    def schema(self) -> pa.Schema:
        """The columns of `table`."""
        return self.table.schema

    def to_pandas(self) -> Any:
        """Return the rows as a DataFrame of pandas; times are in UTC, lists are arrays."""
        return self.table.to_pandas()

    def to_pylist(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries; times are Timestamps of pandas, which have nanoseconds."""
        found: list[dict[str, Any]] = self.table.to_pylist()
        return found

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the rows through Arrow's PyCapsule interface."""
        return self.table.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """Export the columns through Arrow's PyCapsule interface."""
        return self.table.schema.__arrow_c_schema__()

    def __len__(self) -> int:
        """Return how many rows there are."""
        return int(self.table.num_rows)

    def __bool__(self) -> bool:
        """Tell whether there is any row."""
        return len(self) > 0

    def __repr__(self) -> str:
        """Return title, rows aligned to the terminal's width, and sentences."""
        shown = fitted(self._shown(), shutil.get_terminal_size((120, 24)).columns, gap=2)
        head = Table(shown.columns, shown.rows[:_ROWS_IN_TEXT])
        parts = [clean(self.title), *(plain_lines(head) if shown.rows else ())]
        if len(shown.rows) > _ROWS_IN_TEXT:
            parts.append(f"and {len(shown.rows) - _ROWS_IN_TEXT:,} more rows")
        return "\n".join([*parts, *map(clean, self.lines)])

    def _repr_html_(self) -> str:
        """Return the same for notebooks, everything in it escaped, with details to unfold."""
        shown = self._shown()
        rows = markup.table(shown) if shown.rows else ""
        return markup.card(self.title, rows, markup.facts(self.lines), *self._details())


class Listing(Frame):
    """A frame whose rows are its own heading and cells."""

    def __init__(
        self, title: str, table: pa.Table | Callable[[], pa.Table], lines: Sequence[str] = ()
    ) -> None:
        """Take the rows, or what makes them."""
        self._title, self._rows, self._said = title, table, tuple(lines)

    @property
    def title(self) -> str:
        """What this is, in a few words."""
        return self._title

    @property
    def lines(self) -> tuple[str, ...]:
        """What a person should know of it, a sentence each."""
        return self._said

    def _made(self) -> pa.Table:
        return self._rows() if callable(self._rows) else self._rows


def shown_of(table: pa.Table) -> Table:
    """Return an Arrow table for people: times to the second, lists with commas, nothing for null."""
    headings = tuple(
        Column(field.name.replace("_", " "), number=_is_number(field.type)) for field in table.schema
    )
    cells = ([_cell(value) for value in column.to_pylist()] for column in _plain(table).columns)
    return Table(headings, tuple(zip(*cells, strict=True)))


def _plain(table: pa.Table) -> pa.Table:
    """Return the table with times that Python can hold."""
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            times = table.column(place).cast(pa.timestamp("s", tz="UTC"), safe=False)
            table = table.set_column(place, field.name, times)
    return table


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    return f"{value:%Y-%m-%d %H:%M:%S}" if hasattr(value, "strftime") else str(value)
