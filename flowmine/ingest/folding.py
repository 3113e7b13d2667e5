"""Flows told once where they differ in nothing but when they were, their uuid, and ports and addresses that tell nothing.

What is to be added up needs no more: how often there was such a flow, first and last within an hour. A portion of
ten thousands of lines has a fifth to make columns of, and the sum that many rows to look at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flowmine.ingest.fresh import tell_again, tell_passed_on, window_of
from flowmine.ledger import Entry, Ledger
from flowmine.schema import HOUR, TIME

__all__ = ["Fold", "Folds", "Ints", "Lot", "Mask", "Telling", "firsts", "in_order"]

Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]


class Telling(Protocol):
    """What of flows tells anything to whom they are added up for (`flowmine.edges.telling`)."""

    def untold(self, is_reply: Ints, tcp_flags: Ints, is_l7: Mask, /) -> tuple[Mask, Mask]:
        """Tell of which flows the source port, and of which the destination port, matters only as far as `ports` says.

        ``is_reply`` is 1, 0, or -1 for unknown; ``tcp_flags`` -1 for none.
        """

    def ports(self, is_untold: Mask, ports: Ints, /) -> Ints:
        """Return ports (-1 none), those of `untold` alike whose difference does not matter."""

    def addresses(self, ids: npt.NDArray[np.uint64], is_named: Mask, /) -> Mask:
        """Tell at which ends, of endpoints with some ids, the address matters; ``is_named`` where names are beside it."""


class Lot(Protocol):
    """Some flows of a portion: ``uuids`` of each, and ``places``, by which they are in order."""

    @property
    def count(self) -> int:
        """How many flows there are."""

    @property
    def window(self) -> Entry:
        """How many of them are passed on, and when they were."""

    @property
    def uuids(self) -> pa.Array: ...
    @property
    def places(self) -> Ints: ...

    def nodes(self, chosen: Mask, /) -> pa.Array:
        """Return the emitting nodes of some."""

    def only(self, chosen: Mask, /) -> "Lot":
        """Return some of the flows."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Some flows of a portion: ``different`` ones as FLOWS, whose time, uuid and whatever does not tell (`Telling`) are of
    any of those alike.

    Of each flow: ``rows``, where there it is; ``times``, nanoseconds; ``uuids``; ``places``, by which the flows of a portion
    are in order.
    """

    different: pa.RecordBatch
    rows: Ints
    times: pa.Array
    uuids: pa.Array
    places: Ints

    @classmethod
    def of_each(cls, flows: pa.RecordBatch, places: Ints) -> "Fold":
        """Return flows as they are."""
        times, uuids = (flows.column(name) for name in ("time", "uuid"))
        return cls(flows, np.arange(flows.num_rows), times.cast(pa.int64()), uuids, places)

    @property
    def count(self) -> int:
        """How many flows there are."""
        return len(self.rows)

    @property
    def window(self) -> Entry:
        """How many there are, and when they were."""
        return window_of(self.times)

    def nodes(self, chosen: Mask) -> pa.Array:
        """Return the emitting nodes of some."""
        return self.different.column("node_name").take(pa.array(self.rows[chosen]))

    def only(self, chosen: Mask) -> "Fold":
        """Return some of the flows."""
        mask = pa.array(chosen)
        times, uuids = self.times.filter(mask), self.uuids.filter(mask)
        return Fold(self.different, self.rows[chosen], times, uuids, self.places[chosen])

    def added_up(self, columns: Sequence[str]) -> pa.RecordBatch:
        """Return FLOWS, in some columns, of the flows alike within an hour: the earliest, with ``last``, the time of the
        latest, and ``repeats``, how many there are.
        """
        if self.times.null_count:
            order = starts = np.arange(len(self.rows))
            ends = starts
        else:
            times = np.asarray(self.times)
            order = in_order(self.rows, times)
            starts, ends = _runs(self.rows[order], times[order])
        rows, first = self.rows[order[starts]], pa.array(order[starts])
        whole = len(rows) == self.different.num_rows and bool((rows == np.arange(len(rows))).all())
        different = self.different if whole else self.different.take(pa.array(rows))
        own = {"time": self.times.take(first).cast(TIME), "uuid": self.uuids.take(first)}
        made = {name: own.get(name, different.column(name)) for name in columns}
        made["last"] = self.times.take(pa.array(order[ends])).cast(TIME)
        made["repeats"] = pa.array(ends - starts + 1, pa.uint64())
        return pa.record_batch(made)


def firsts(numbers: Ints, count: int) -> Ints:
    """Return where each number from 0 on, ``count`` of them, comes first."""
    found = np.zeros(count, np.int64)
    found[numbers[::-1]] = np.arange(len(numbers))[::-1]
    return found


def in_order(rows: Ints, times: Ints) -> Ints:
    """Return the order of rows and, where these are equal, of times.

    Times nearly are in order, and numbers of 16 bits are put in order by counting: together a fifth of `numpy.lexsort`.
    """
    order = np.argsort(times, kind="stable")
    narrow = rows[order].astype(np.min_scalar_type(int(rows.max(initial=0))))
    return order[np.argsort(narrow, kind="stable")]


def _runs(rows: Ints, times: Ints) -> tuple[Ints, Ints]:
    """Return where runs of equal rows within an hour begin and end, of flows in order of rows and times.

    One at the same time as that before begins another run: which of the two is the first is not for their order to say.
    """
    hours = times // HOUR
    begins = np.ones(len(rows), bool)
    begins[1:] = (rows[1:] != rows[:-1]) | (hours[1:] != hours[:-1]) | (times[1:] == times[:-1])
    starts = np.flatnonzero(begins)
    return starts, np.append(starts, len(rows))[1:] - 1


@dataclass(slots=True)
class Folds:
    """All flows of a portion."""

    lots: Sequence[Lot]

    @property
    def count(self) -> int:
        """How many flows there are."""
        return sum(lot.count for lot in self.lots)

    def _order(self) -> Ints | None:
        """The places of the flows, one lot after the other, in the order in which they were read; None for the same."""
        places = np.concatenate([lot.places for lot in self.lots])
        return None if bool((places[1:] > places[:-1]).all()) else np.argsort(places, kind="stable")

    @property
    def uuids(self) -> pa.Array:
        """The uuid of each flow, in the order in which they were read."""
        found = [lot.uuids for lot in self.lots]
        if not found:
            return pa.array([], pa.string())
        every, order = found[0] if len(found) == 1 else pa.concat_arrays(found), self._order()
        return every if order is None else every.take(pa.array(order))

    def passed_on(self, new: Mask | None, ledger: Ledger) -> Sequence[Lot]:
        """Return the new flows; tell the ledger of these, and of the others as duplicates.

        ``new`` says in the order in which they were read which are; None for all.
        """
        lots = self.lots
        if new is not None and not new.all():
            kept, order = new, self._order()
            if order is not None:
                kept = np.empty(len(new), bool)
                kept[order] = new
            masks = np.split(kept, np.cumsum([lot.count for lot in lots])[:-1])
            for lot, mask in zip(lots, masks, strict=True):
                tell_again(lot.nodes(~mask), ledger)
            lots = [lot.only(mask) for lot, mask in zip(lots, masks, strict=True)]
        for lot in lots:
            tell_passed_on(lot.window, ledger)
        return lots
