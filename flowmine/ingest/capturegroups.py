"""Row groups of windows: which there are, when each begins, and what they hold, in the columns asked for."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from operator import le
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.errors import InputError, SchemaError
from flowmine.ingest.capturedistinct import DISTINCT, OF_REQUESTS, OWN, PLACES, SEAL, SHARED, seal
from flowmine.ingest.capturefold import Summed, of_distinct
from flowmine.ingest.capturewindow import opened, readable, sound
from flowmine.ingest.folding import Fold, Folds, Lot
from flowmine.schema import ENUMS, FLOWS

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["Group", "Groups", "Span", "conformed"]

Span = tuple[int | None, int | None]
"""From when to when, nanoseconds, both inclusive; None is no bound."""

_ROWS = 1 << 15
"""Rows that are read at once."""
_FEW = 1 << 11
"""Rows of a row group that are read no sooner by way of its distinct events: two more files are to be opened."""
_SMALL = 1 << 17
"""Rows that a row group may have to be read by others: of values that are all the same a small file may hold any number."""


@dataclass(frozen=True, slots=True)
class Group:
    """A row group of a window, yet to be read (`Groups`); ``begins`` None where events lack a time."""

    window: Path
    number: int
    rows: int
    begins: int | None
    columns: frozenset[str]

    @property
    def is_small(self) -> bool:
        """Whether all of it may be in memory."""
        return self.rows <= _SMALL


class Groups:
    """The row groups of one window."""

    def __init__(self, window: Path, columns: Collection[str]) -> None:
        """Open a window, to read columns of FLOWS. Raise InputError where it cannot be read."""
        self.window = window
        self._columns = frozenset(columns)
        self._schema = pa.schema([field for field in FLOWS if field.name in columns])
        self._file = opened(window, "flows")
        wanted = {*columns, "node_name", *OWN, "last", "repeats"}
        self._distinct = pa.schema([field for field in DISTINCT if field.name in wanted])
        self._of_requests = self._columns.intersection(OF_REQUESTS)
        self._own = pa.schema([field for field in FLOWS if field.name in {*OWN, *self._of_requests}])

    @cached_property
    def _beside(self) -> "tuple[pq.ParquetFile, pq.ParquetFile] | None":
        """Return the tables of distinct events and of places, where they are of this FLOWS and suffice."""
        if not self._columns.issubset((*OWN, *OF_REQUESTS, *SHARED.names)):
            return None
        try:
            beside = opened(self.window, "distinct"), opened(self.window, "places")
            told = (beside[1].metadata.metadata or {}).get(SEAL)
            known = told == seal(self.window / "flows.parquet")
            flows, shared, places = map(_rows, (self._file, *beside))
        except (InputError, OSError, pa.ArrowException):
            return None
        fits = flows == places and len(shared) == len(flows) and all(map(le, shared, flows))
        return beside if known and fits else None

    def within(self, span: Span = (None, None)) -> Iterator[Group]:
        """Yield the row groups that do not lie wholly outside a span of time. Raise InputError for a damaged file."""
        place = self._file.schema_arrow.get_field_index("time")
        for number in range(self._file.metadata.num_row_groups):
            with readable(self.window, "flows"):
                bounds = self._bounds(number, place) if place >= 0 else None
                rows = self._file.metadata.row_group(number).num_rows
            if not _outside(bounds, span):
                yield Group(self.window, number, rows, None if bounds is None else bounds[0], self._columns)

    def _bounds(self, group: int, place: int) -> tuple[int, int] | None:
        """Return the earliest and latest event time of a row group; None where it has events without a time, or none."""
        statistics = self._file.metadata.row_group(group).column(place).statistics
        if statistics is None or not statistics.has_min_max or statistics.null_count:
            return None
        return statistics.min_raw, statistics.max_raw

    def read(self, group: Group) -> Iterator[pa.RecordBatch]:
        """Yield the events of a row group.

        Raise InputError where it cannot be read, SchemaError where a column is missing or holds what is not Hubble's.
        """
        if group.rows <= _ROWS:
            whole = self._table(self._file, "flows", group, self._schema)
            yield from [whole] if group.rows else []
            return
        with readable(self.window, "flows"):
            for batch in self._file.iter_batches(
                _ROWS, row_groups=[group.number], columns=self._schema.names
            ):
                yield _whole(conformed(sound(pa.Table.from_batches([batch])), self._schema))

    def folds(self, group: Group) -> Folds:
        """Return the events of a row group with those alike told once, where that is stored. Raises as `read`."""
        if group.rows >= _FEW and self._beside is not None:
            distinct = self._table(self._beside[0], "distinct", group, self._distinct)
            if distinct.num_rows:
                return Folds([self._of_distinct(group, distinct)])
        made, rows = [], 0
        for batch in self.read(group):
            made.append(Fold.of_each(batch, np.arange(rows, rows + batch.num_rows)))
            rows += batch.num_rows
        return Folds(made)

    def _of_distinct(self, group: Group, distinct: pa.RecordBatch) -> Lot:
        with readable(self.window, "distinct"):
            if pc.sum(distinct.column("repeats")).as_py() != group.rows:
                raise pa.ArrowInvalid("it does not have the events of flows.parquet")
        if self._of_requests:
            return self._placed(group, distinct)
        uuids = self._table(self._file, "flows", group, pa.schema([FLOWS.field("uuid")])).column(0)
        return Summed(distinct, uuids, partial(_opened_again, group))

    def placed(self, group: Group) -> Fold:
        """Return the events of a row group of which distinct ones are stored, each by its place. Raises as `read`."""
        assert self._beside is not None
        return self._placed(group, self._table(self._beside[0], "distinct", group, self._distinct))

    def _placed(self, group: Group, distinct: pa.RecordBatch) -> Fold:
        assert self._beside is not None
        place = self._table(self._beside[1], "places", group, PLACES).column("place")
        own = self._table(self._file, "flows", group, self._own)
        with readable(self.window, "places"):
            if place.null_count or not len(place) == own.num_rows == group.rows:
                raise pa.ArrowInvalid("it does not have the events of flows.parquet")
            if pc.max(place).as_py() >= distinct.num_rows:
                raise pa.ArrowInvalid("it has places that distinct.parquet does not have")
        return of_distinct(place.to_numpy().astype(np.int64), distinct, own)

    def _table(self, file: "pq.ParquetFile", name: str, group: Group, schema: pa.Schema) -> pa.RecordBatch:
        with readable(self.window, name):
            table = file.read_row_group(group.number, columns=schema.names, use_threads=False)
            return _whole(conformed(sound(table), schema))


def _opened_again(group: Group) -> Fold:
    """Do as `Groups.placed` in whatever thread: what is open is for one alone."""
    return Groups(group.window, group.columns).placed(group)


def _rows(file: "pq.ParquetFile") -> list[int]:
    """Return how many rows each row group has."""
    return [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]


def _whole(table: pa.Table) -> pa.RecordBatch:
    columns = [
        column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in table.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _outside(bounds: tuple[int, int] | None, span: Span) -> bool:
    since, until = span
    if bounds is None:
        return False
    return (since is not None and bounds[1] < since) or (until is not None and bounds[0] > until)


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table's columns as the schema has them, enumerations over their fixed dictionaries.

    Raise SchemaError for a missing column or a value that an enumeration does not have.
    """
    columns = []
    for field in schema:
        if table.schema.get_field_index(field.name) < 0:
            raise SchemaError(f"column {field.name!r} is missing in a stored table")
        column = table[field.name]
        columns.append(_enumerated(field.name, column) if field.name in ENUMS else column.cast(field.type))
    return pa.table(columns, schema=schema)


def _enumerated(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = pa.array(ENUMS[name], pa.string())
    chunks = [_coded(name, chunk, values) for chunk in column.chunks]
    return pa.chunked_array(chunks, pa.dictionary(pa.int8(), pa.string()))


def _coded(name: str, chunk: pa.Array, values: pa.Array) -> pa.DictionaryArray:
    if not pa.types.is_dictionary(chunk.type):
        chunk = chunk.dictionary_encode()
    places = pc.index_in(chunk.dictionary, values)
    if places.null_count:
        raise SchemaError(
            f"column {name!r} holds values that are not Hubble's: {chunk.dictionary.to_pylist()}"
        )
    codes = places.take(chunk.indices).cast(pa.int8())
    return pa.DictionaryArray.from_arrays(codes, values)
