"""Stored events with those alike told once (`flowmine.ingest.folding`): most of it was done when they were recorded."""

import numpy as np
import pyarrow as pa

from flowmine.ingest.capturedistinct import APART, codes_of
from flowmine.ingest.folding import Fold, Ints, Telling, firsts
from flowmine.schema import HOUR

__all__ = ["of_distinct"]

_PORT, _PLACE = 17, 51
"""Bits of a port, and of all that tells events of an hour apart."""
_HOURS = 1 << 12


def of_distinct(which: Ints, distinct: pa.RecordBatch, own: pa.RecordBatch, telling: Telling) -> Fold:
    """Return events, each of them one of the ``distinct`` but for its ``own`` columns, with those alike told once.

    Own are `capturedistinct.APART` and any others that tell events apart; there are at most 2^17 events.
    """
    time = own.column("time").cast(pa.int64())
    is_reply, flags = (_numbers(distinct.column(name), -1)[which] for name in ("is_reply", "tcp_flags"))
    ends = (_numbers(own.column(name), -1) for name in ("source_port", "destination_port"))
    is_l7 = np.asarray(distinct.column("l7_type").is_valid())[which]
    source, destination = telling.ports(is_reply, flags, is_l7, *ends)
    key = (_of_requests(which, own) << 2 * _PORT) | (source + 1 << _PORT) | (destination + 1)
    alike = pa.array(key | _hours(time) << _PLACE).dictionary_encode()
    rows = _numbers(alike.indices, 0)
    first = firsts(rows, len(alike.dictionary))
    shared, apart = distinct.take(pa.array(which[first])), own.take(pa.array(first))
    columns = {name: shared.column(name) for name in shared.schema.names}
    columns.update({name: apart.column(name) for name in apart.schema.names})
    return Fold(pa.record_batch(columns), rows, time, own.column("uuid"), np.arange(len(rows)))


def _of_requests(which: Ints, own: pa.RecordBatch) -> Ints:
    """Return a number for what is equal in the distinct event and in own columns but those that are `APART`."""
    names = [name for name in own.schema.names if name not in APART]
    codes = codes_of(pa.Table.from_batches([own.select(names)])) if names else None
    if codes is None:
        return which
    return _numbers(pa.array((which << _PORT) | _numbers(codes, 0)).dictionary_encode().indices, 0)


def _hours(time: pa.Array) -> Ints:
    """Return a small number for the hour of each time, as sums are made by the hour; 0 where that cannot be."""
    hours = _numbers(time, 0) // HOUR
    if time.null_count or not len(hours) or hours.max() - hours.min() >= _HOURS:
        return np.zeros_like(hours)
    hours -= hours.min()
    return hours


def _numbers(column: pa.Array, absent: int) -> Ints:
    """Return a column of numbers or truth values as int64, ``absent`` in place of nulls."""
    return np.asarray(column.cast(pa.int64()).fill_null(absent).to_numpy())
