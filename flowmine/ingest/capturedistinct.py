"""What events of a row group add up to, stored once: most differ in nothing that tells but time and uuid.

Beside ``flows.parquet`` lie two tables with a row group for each of its own. ``distinct.parquet`` has the distinct
events of it, each with how many there are within an hour, and when (`DISTINCT`); ``places.parquet`` has of each event
the row of these that is its own. Who adds up reads the first, and of FLOWS only the uuids: where none of them was read
before, that is all of it. Where some were, or requests are asked for, the places tell which events the others are. A
row group of events that hardly repeat, or lack a time, has none (no rows there, null places). Both tell of which
``flows.parquet`` they are by its footer, so that they are not used where another program wrote it again.
"""

import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.ingest.folding import Ints, Telling, in_order
from flowmine.schema import FLOWS, HOUR, TIME

__all__ = [
    "DISTINCT",
    "OF_REQUESTS",
    "OWN",
    "PLACES",
    "SEAL",
    "SHARED",
    "codes_of",
    "distinct",
    "numbers",
    "seal",
]

OWN = ("time", "uuid")
"""Columns in which every event has its own value."""

OF_REQUESTS = ("http_method", "http_path", "http_host")
"""Columns that most events lack and that may differ in all others: they are read of each event where they are wanted."""

_OF_NO_EDGE = (
    *("event_sub_type", "source_pod", "destination_pod", "source_identity", "destination_identity"),
    *("icmp_code", "sock_xlate_point", "http_code", "dns_rcode", "auth_type"),
    *("egress_allowed_by", "ingress_allowed_by", "node_labels"),
)
_PORTS = ("source_port", "destination_port")
SHARED = pa.schema([field for field in FLOWS if field.name not in (*OWN, *OF_REQUESTS, *_OF_NO_EDGE)])
"""Columns of distinct events: those that edges are made of, and the emitting node. Ports are those of any of the events,
where they do not tell (`folding.Telling`).
"""
DISTINCT = pa.schema([*SHARED, *map(FLOWS.field, OWN), ("last", TIME), ("repeats", pa.uint64())])
"""Time and uuid are those of the earliest event (of several the least uuid), ``last`` the time of the latest, ``repeats``
how many there are.
"""

PLACES = pa.schema([("place", pa.uint32())])

SEAL = b"flows, ports 1"
"""Key of the metadata of PLACES whose value is the `seal` of FLOWS. Its number is another one wherever other ports tell."""

_PORT, _PLACE = 17, 51
"""Bits of a port, and of all that tells events of an hour apart."""
_HOURS = 1 << 12
_WORTH = 2
"""How many events a distinct one must stand for on average."""
_MOST = 1 << 31


def seal(path: Path) -> bytes:
    """Return what tells a Parquet file from one that was written again: a checksum of its footer.

    Raise OSError where it cannot be read.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - 8))
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, end - 8 - length))
        return f"{zlib.crc32(file.read(length + 8)):08x} {end}".encode()


def distinct(flows: pa.Table, telling: Telling) -> tuple[pa.Table, pa.Table]:
    """Return the DISTINCT ones of some events, all columns of FLOWS, 2^17 at most, and their PLACES.

    Where they hardly repeat the first has no rows, and every place is null.
    """
    rows = _alike(flows, telling)
    count = 0 if rows is None else int(rows.max()) + 1
    if rows is not None and 0 < count * _WORTH <= flows.num_rows:
        return _added_up(flows, rows), pa.table([pa.array(rows, pa.uint32())], PLACES)
    nowhere = pa.nulls(flows.num_rows, pa.uint32())
    return DISTINCT.empty_table(), pa.table([nowhere], PLACES)


def _alike(flows: pa.Table, telling: Telling) -> Ints | None:
    """Return a number for each event, from 0, the same for those alike; None where that cannot be told."""
    codes = codes_of(flows.select([name for name in SHARED.names if name not in _PORTS]))
    if codes is None or flows["time"].null_count or not flows.num_rows:
        return None
    hours = numbers(flows["time"].combine_chunks(), 0) // HOUR
    hours -= hours.min()
    if hours.max() >= _HOURS:
        return None
    is_reply, flags = (numbers(flows[name].combine_chunks(), -1) for name in ("is_reply", "tcp_flags"))
    untold = telling.untold(is_reply, flags, np.asarray(flows["l7_type"].is_valid()))
    source, destination = (
        telling.ports(mask, numbers(flows[name].combine_chunks(), -1))
        for mask, name in zip(untold, _PORTS, strict=True)
    )
    key = (numbers(codes, 0) << 2 * _PORT) | (source + 1 << _PORT) | (destination + 1)
    return numbers(pa.array(key | hours << _PLACE).dictionary_encode().indices, 0)


def _added_up(flows: pa.Table, rows: Ints) -> pa.Table:
    """Return the DISTINCT events, of which each event is the row that ``rows`` says."""
    times = numbers(flows["time"].combine_chunks(), 0)
    order = in_order(rows, times)
    starts = np.flatnonzero(np.diff(rows[order], prepend=-1))
    ends = np.append(starts, len(rows))[1:] - 1
    earliest = np.flatnonzero(times == times[order[starts]][rows])
    first = flows.select(["uuid"]).take(pa.array(earliest))
    first = first.append_column("row", pa.array(rows[earliest])).append_column("at", pa.array(earliest))
    first = first.sort_by([("row", "ascending"), ("uuid", "ascending")])
    begins = np.flatnonzero(np.diff(first["row"].to_numpy(), prepend=-1))
    made = flows.select([*SHARED.names, *OWN]).take(first["at"].take(pa.array(begins)))
    last = pa.array(times[order[ends]]).cast(TIME)
    made = made.append_column("last", last).append_column("repeats", pa.array(ends - starts + 1, pa.uint64()))
    return made.cast(DISTINCT)


def codes_of(flows: pa.Table) -> pa.Array | None:
    """Return a number for each event, from 0 in the order of first occurrence, the same where all columns are equal.

    None where lists hold texts that cannot be told apart.
    """
    total = np.zeros(flows.num_rows, np.int64)
    most = 1
    for column in map(pa.ChunkedArray.combine_chunks, flows.columns):
        keys = _of_lists(column) if pa.types.is_list(column.type) else [column]
        if keys is None:
            return None
        for key in keys:
            codes = _numbered(key)
            count = int(codes.max(initial=0)) + 1
            if count == 1:
                continue
            total, most = total * count + codes, most * count
            if most > _MOST:
                total = _numbered(pa.array(total))
                most = int(total.max(initial=0)) + 1
    return pa.array(total).dictionary_encode().indices.cast(pa.uint32())


def _numbered(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return a code for each value, from 0; that of null is the least, where there is one."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = column.indices.cast(pa.int64())
    if codes.null_count:
        codes = pc.add(codes, 1).fill_null(0)
    return np.asarray(codes.to_numpy())


def _of_lists(column: pa.Array) -> list[pa.Array] | None:
    """Return what tells lists apart: length, and texts joined by what no text holds; None where one holds that."""
    if not len(column.flatten()):
        return [column.is_null()]
    if pc.any(pc.match_substring(column.flatten(), "\0")).as_py():
        return None
    return [pc.list_value_length(column), pc.binary_join(column, "\0")]


def numbers(column: pa.Array, absent: int) -> Ints:
    """Return a column of numbers or truth values as int64, ``absent`` in place of nulls."""
    return np.asarray(column.cast(pa.int64()).fill_null(absent).to_numpy())
