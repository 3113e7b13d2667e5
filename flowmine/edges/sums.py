"""Add batches of flows up, in bounded memory."""

from dataclasses import dataclass, field

import pyarrow as pa

from flowmine.edges.crowd import crowd
from flowmine.edges.fold import MAX_PEERS, fold
from flowmine.edges.observe import Parts, merge, partial
from flowmine.edges.stored import empty

__all__ = ["Sum", "Sums"]

_FEW, _ROWS = 2, 1 << 17
"""Parts that come are added up by themselves as there are so many of them, or more rows than so many."""
_PENDING = 8
"""They are added to the sum as there are so many, or they have more rows than it has: each row is so added up but a few
times, however many there are, and what waits is never more than what it is added to.
"""
_FLOWS = 1 << 14
"""Flows that are looked at together, at least: many batches have few."""


@dataclass(frozen=True, slots=True)
class Sums:
    """How to add up: with what was asked (``requests``) or not, and how many peers of each subject are kept (`fold`)."""

    requests: bool = False
    max_peers: int = MAX_PEERS

    def of(self, *parts: Parts) -> Parts:
        """Return Parts, at least one, added up."""
        return fold(crowd(merge(parts)), self.max_peers)


@dataclass(slots=True)
class Sum:
    """A sum in the making. It is merged now and then, so that what waits is never much more than the sum itself.

    What comes is added up first by itself, a few at a time: most of its edges are the same ones.
    """

    how: Sums
    _pending: list[Parts] = field(default_factory=list)
    """The sum, and what comes to it next."""
    _few: list[Parts] = field(default_factory=list)
    _flows: list[pa.RecordBatch] = field(default_factory=list)

    def add_flows(self, batch: pa.RecordBatch) -> None:
        """Add a batch of FLOWS."""
        if self._flows and batch.schema != self._flows[0].schema:
            self._add_up()
        self._flows.append(batch)
        if sum(one.num_rows for one in self._flows) >= _FLOWS:
            self._add_up()

    def _add_up(self) -> None:
        flows, self._flows = self._flows, []
        if not flows:
            return
        for batch in flows if len(flows) == 1 else pa.Table.from_batches(flows).combine_chunks().to_batches():
            self.add(partial(batch, requests=self.how.requests))

    def add(self, parts: Parts) -> None:
        """Add Parts."""
        self._few.append(parts)
        if len(self._few) < _FEW and sum(one.rows.num_rows for one in self._few) <= _ROWS:
            return
        self._pending.append(self.how.of(*self._few))
        self._few.clear()
        total, *new = (one.rows.num_rows for one in self._pending)
        if len(new) >= _PENDING or sum(new) > total:
            self._pending = [self.how.of(*self._pending)]

    def parts(self) -> Parts:
        """Return what was added so far."""
        self._add_up()
        return self.how.of(*[*self._pending, *self._few] or [empty()])
