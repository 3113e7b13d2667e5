"""Stored events with those alike told once (`flowmine.ingest.folding`): most of it was done when they were recorded."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from flowmine.ingest.capturedistinct import APART, codes_of
from flowmine.ingest.folding import Fold, Folds, Ints, Telling, firsts
from flowmine.schema import HOUR

__all__ = ["Events", "of_distinct"]

_PORT, _PLACE = 17, 51
"""Bits of a port, and of all that tells events of an hour apart."""
_HOURS = 1 << 12


@dataclass(frozen=True, slots=True)
class Events:
    """The events of a row group as they were stored.

    ``own`` are the columns stored of each, in order; ``distinct`` the others, of which each event has the row ``which``
    says. Where that is None, ``own`` are all columns.
    """

    own: list[pa.RecordBatch]
    distinct: pa.RecordBatch | None = None
    which: Ints | None = None

    @property
    def uuids(self) -> pa.Array:
        """The uuid of each."""
        found = [batch.column("uuid") for batch in self.own]
        return found[0] if len(found) == 1 else pa.concat_arrays(found or [pa.array([], pa.string())])

    def folds(self, telling: Telling) -> Folds:
        """Return them with those alike told once."""
        if self.distinct is not None and self.which is not None:
            return Folds([of_distinct(self.which, self.distinct, self.own[0], telling)])
        made, rows = [], 0
        for batch in self.own:
            made.append(Fold.of_each(batch, np.arange(rows, rows + batch.num_rows)))
            rows += batch.num_rows
        return Folds(made)


def of_distinct(which: Ints, distinct: pa.RecordBatch, own: pa.RecordBatch, telling: Telling) -> Fold:
    """Return events, each of them one of the ``distinct`` but for its ``own`` columns, with those alike told once.

    Own are `capturedistinct.APART` and any others that tell events apart; there are at most 2^17 events.
    """
    time = own.column("time").cast(pa.int64())
    is_reply, flags = (_numbers(distinct.column(name), -1) for name in ("is_reply", "tcp_flags"))
    untold = telling.untold(is_reply, flags, np.asarray(distinct.column("l7_type").is_valid()))
    source, destination = (
        telling.ports(mask[which], _numbers(own.column(f"{end}_port"), -1))
        for mask, end in zip(untold, ("source", "destination"), strict=True)
    )
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
