"""Stored events with those alike told once (`flowmine.ingest.folding`): it was done when they were recorded."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from flowmine.ingest.capturedistinct import OWN, codes_of, numbers
from flowmine.ingest.folding import Fold, Ints, Mask, firsts
from flowmine.ingest.fresh import window_of
from flowmine.ledger import Entry

__all__ = ["Summed", "of_distinct"]

_CODE = 17
"""Bits of a number that events of a row group have."""


class Summed:
    """The events of a row group (`folding.Lot`) of which is known what they add up to: none needs to be read but its uuid.

    Where some were read before (`only`), the others are read after all.
    """

    def __init__(self, sums: pa.RecordBatch, uuids: pa.Array, read: Callable[[], Fold]) -> None:
        """Have the `capturedistinct.DISTINCT` events, the ``uuids`` of all, and what reads all; it may raise InputError."""
        self._sums, self.uuids, self._read = sums, uuids, read

    @property
    def count(self) -> int:
        """How many events there are."""
        return len(self.uuids)

    @property
    def window(self) -> Entry:
        """How many there are, and when they were."""
        first, last = (window_of(self._sums.column(name).cast(pa.int64())) for name in ("time", "last"))
        return Entry(self.count, first.first, last.last)

    @property
    def places(self) -> Ints:
        """They are in order."""
        return np.arange(self.count)

    @cached_property
    def _fold(self) -> Fold:
        return self._read()

    def nodes(self, chosen: Mask) -> pa.Array:
        """Return the emitting nodes of some. Raise InputError where they cannot be read."""
        return self._fold.nodes(chosen)

    def only(self, chosen: Mask) -> Fold:
        """Return some of the events. Raises as `nodes`."""
        return self._fold.only(chosen)

    def added_up(self, columns: Sequence[str]) -> pa.RecordBatch:
        """Return what `folding.Fold.added_up` does."""
        return self._sums.select([*columns, "last", "repeats"])


def of_distinct(which: Ints, distinct: pa.RecordBatch, own: pa.RecordBatch) -> Fold:
    """Return events, each of them the row of the ``distinct`` that ``which`` says, but for its ``own`` columns.

    Own are `capturedistinct.OWN` and any others that tell events apart; there are at most 2^17 events.
    """
    rows, different = which, distinct
    others = own.select([name for name in own.schema.names if name not in OWN])
    codes = codes_of(pa.Table.from_batches([others])) if others.num_columns else None
    if codes is not None:
        found = pa.array((which << _CODE) | numbers(codes, 0)).dictionary_encode()
        rows = numbers(found.indices, 0)
        first = firsts(rows, len(found.dictionary))
        different, apart = distinct.take(pa.array(which[first])), others.take(pa.array(first))
        for name in others.schema.names:
            different = different.append_column(name, apart.column(name))
    times = own.column("time").cast(pa.int64())
    return Fold(different, rows, times, own.column("uuid"), np.arange(len(rows)))
