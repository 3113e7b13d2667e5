"""Windows read back: FLOWS batches, only the columns and row groups asked for, and what goes with them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from flowmine.ingest.capturegroups import Group, Groups, Span, conformed
from flowmine.ingest.capturewindow import Manifest, manifest_of, readable, table_of
from flowmine.schema import ENDPOINTS, FLOWS, LEDGER, NAMES, PODS

__all__ = ["Kept", "Stored", "Told", "kept", "stored", "told"]

_TABLES = {"endpoints": ENDPOINTS, "pods": PODS, "names": NAMES, "ledger": LEDGER}
_MAY_LACK = ("first", "last")


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


def stored(
    window: Path, columns: Collection[str], span: Span = (None, None), *, apart: bool = False
) -> Iterator[Stored | Group]:
    """Yield a window's events in the order of recording, and first, with or without events, what it says beside.

    Row groups that lie outside ``span`` are not read; events outside it may still be in what is. With ``apart`` those
    of usual size are left to be read by others. Raises as `told`.
    """
    beside: Told | None = told(window)
    assert beside is not None
    begins = beside.manifest.first or 0
    groups = Groups(window, columns)
    for group in groups.within(span):
        first = begins if group.begins is None else group.begins
        if apart and group.is_small:
            if beside is not None:
                yield Stored(first, _nothing(columns), beside)
            yield group
            beside = None
            continue
        for batch in groups.read(group):
            yield Stored(first, batch, beside)
            beside = None
    if beside is not None:
        yield Stored(begins, _nothing(columns), beside)


def _nothing(columns: Collection[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], pa.schema([field for field in FLOWS if field.name in columns]))


def kept(
    window: Path, _columns: Collection[str], _span: Span = (None, None), *, apart: bool = False
) -> Iterator[Kept]:
    """Yield the one piece of a window of state. Raises as `told`."""
    beside = told(window)
    names = sorted(
        path.stem for path in window.glob("*.parquet") if path.stem not in ("endpoints", "pods", "ledger")
    )
    del apart  # there is nothing to read apart
    yield Kept(beside.manifest.first or 0, {name: table_of(window, name) for name in names}, beside)


def _known(table: pa.Table) -> pa.Table:
    """Return a table that lacks no value but times. Raise pyarrow.ArrowInvalid for any other."""
    for name in table.schema.names:
        if table[name].null_count and name not in _MAY_LACK:
            raise pa.ArrowInvalid(f"column {name!r} lacks values")
    return table
