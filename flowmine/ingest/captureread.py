"""Windows read back: FLOWS batches, only the columns and row groups asked for, and what goes with them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowmine.errors import SchemaError
from flowmine.ingest.capturewindow import Manifest, manifest_of, opened, readable, sound, table_of
from flowmine.schema import ENDPOINTS, ENUMS, FLOWS, LEDGER, NAMES, PODS

__all__ = ["Kept", "Span", "Stored", "Told", "conformed", "kept", "stored", "told"]

_TABLES = {"endpoints": ENDPOINTS, "pods": PODS, "names": NAMES, "ledger": LEDGER}
_MAY_LACK = ("first", "last")

Span = tuple[int | None, int | None]
"""From when to when, nanoseconds, both inclusive; None is no bound."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a window says beside its events."""

    manifest: Manifest
    endpoints: pa.Table
    pods: pa.Table
    names: pa.Table
    ledger: pa.Table


@dataclass(frozen=True, slots=True)
class Stored:
    """A piece of a window: some of its events, and with the first piece what the window says beside."""

    begins: int
    batch: pa.RecordBatch
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A window of state: the tables of what edges are made of (`flowmine.edges.Parts`), and what it says beside."""

    begins: int
    tables: dict[str, pa.Table]
    told: Told


def told(window: Path) -> Told:
    """Return what a window says beside its events.

    Raise InputError where it cannot be read, SchemaError where it is of another schema version.
    """
    tables = {}
    for name, schema in _TABLES.items():
        with readable(window, name):
            tables[name] = _known(conformed(table_of(window, name), schema))
    return Told(manifest_of(window), **tables)


def stored(window: Path, columns: Collection[str], span: Span = (None, None)) -> Iterator[Stored]:
    """Yield a window's events in the order of recording, and first, with or without events, what it says beside.

    Row groups that lie outside ``span`` are not read; events outside it may still be in what is. Raises as `told`.
    """
    beside: Told | None = told(window)
    assert beside is not None
    begins = beside.manifest.first or 0
    schema = pa.schema([field for field in FLOWS if field.name in columns])
    file = opened(window, "flows")
    place = file.schema_arrow.get_field_index("time")
    for group in range(file.metadata.num_row_groups):
        with readable(window, "flows"):
            bounds = _bounds(file, group, place) if place >= 0 else None
            if _outside(bounds, span):
                continue
            table = conformed(sound(file.read_row_group(group, columns=schema.names)), schema)
        for batch in table.combine_chunks().to_batches():
            yield Stored(begins if bounds is None else bounds[0], batch, beside)
            beside = None
    if beside is not None:
        yield Stored(begins, pa.RecordBatch.from_pylist([], schema), beside)


def kept(window: Path, _columns: Collection[str], _span: Span = (None, None)) -> Iterator[Kept]:
    """Yield the one piece of a window of state. Raises as `told`."""
    beside = told(window)
    names = sorted(
        path.stem for path in window.glob("*.parquet") if path.stem not in ("endpoints", "pods", "ledger")
    )
    yield Kept(beside.manifest.first or 0, {name: table_of(window, name) for name in names}, beside)


def _bounds(file: pq.ParquetFile, group: int, place: int) -> tuple[int, int] | None:
    """Return the earliest and latest event time of a row group; None where it has events without a time, or none."""
    statistics = file.metadata.row_group(group).column(place).statistics
    if statistics is None or not statistics.has_min_max or statistics.null_count:
        return None
    return statistics.min_raw, statistics.max_raw


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


def _known(table: pa.Table) -> pa.Table:
    """Return a table that lacks no value but times. Raise pyarrow.ArrowInvalid for any other."""
    for name in table.schema.names:
        if table[name].null_count and name not in _MAY_LACK:
            raise pa.ArrowInvalid(f"column {name!r} lacks values")
    return table


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
