"""What events of a row group have in common, stored once: most differ only in time, uuid and ports.

Beside ``flows.parquet`` lie two tables with a row group for each of its own. ``distinct.parquet`` has the distinct
events of it, in `SHARED` columns; ``places.parquet`` has of each event the row of these that is its own. Who wants only
such columns reads these and `APART` columns of FLOWS, a third of what the row group holds. A row group of events that
hardly repeat has none (no rows there, null places). Both tell of which ``flows.parquet`` they are by its footer, so
that they are not used where another program wrote it again.
"""

import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.schema import FLOWS

__all__ = ["APART", "OF_REQUESTS", "PLACES", "SEAL", "SHARED", "codes_of", "distinct", "seal"]

APART = ("time", "uuid", "source_port", "destination_port")
"""Columns in which every event has its own value."""

OF_REQUESTS = ("http_method", "http_path", "http_host")
"""Columns that most events lack and that may differ in all others: they are read of each event where they are wanted."""

_OF_NO_EDGE = (
    *("event_sub_type", "source_pod", "destination_pod", "source_identity", "destination_identity"),
    *("icmp_code", "sock_xlate_point", "http_code", "dns_rcode", "auth_type"),
    *("egress_allowed_by", "ingress_allowed_by", "node_labels"),
)
SHARED = pa.schema([field for field in FLOWS if field.name not in (*APART, *OF_REQUESTS, *_OF_NO_EDGE)])
"""Columns of distinct events: those that edges are made of, and the emitting node."""

PLACES = pa.schema([("place", pa.uint32())])

SEAL = b"flows"
"""Key of the metadata of PLACES whose value is the `seal` of FLOWS."""

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


def distinct(flows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the distinct ones of some events, all columns of FLOWS, and their PLACES.

    Where they hardly repeat the first has no rows, and every place is null.
    """
    codes = codes_of(flows.select(SHARED.names))
    if codes is not None:
        _, first = np.unique(codes, return_index=True)
        if len(first) * _WORTH <= flows.num_rows:
            return flows.select(SHARED.names).take(pa.array(first)), pa.table([codes], PLACES)
    nowhere = pa.nulls(flows.num_rows, pa.uint32())
    return SHARED.empty_table(), pa.table([nowhere], PLACES)


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
