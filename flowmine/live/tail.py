"""`flowmine tail`: edges and drift of a source that need not end, looked at on a ticker, kept on disk as they grow."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from flowmine.advise.inforce import InForce
from flowmine.advise.recorded import recorded
from flowmine.advise.rulings import rulings
from flowmine.edges import Edges, Parts, Sums, empty, merge, partial, settle
from flowmine.errors import FlowmineError, InputError
from flowmine.ingest.intern import Endpoints
from flowmine.ledger import Ledger
from flowmine.live.changes import Change, Known, What, only
from flowmine.live.feed import Feed
from flowmine.live.fold import folded, timeless
from flowmine.live.outlet import Outlet, Rewritten
from flowmine.live.state import Before, Store, is_full
from flowmine.live.tally import Tally
from flowmine.report.edgeview import edge_record, edge_rows
from flowmine.report.gotime import format_time

__all__ = ["Clocks", "Every", "Tail", "Tick"]

_MERGE_EVERY = 16
_SHARE = 4
"""Looking takes at most one part in so many plus one of the time: after a slow look the next one waits longer."""


@dataclass(frozen=True, slots=True)
class Every:
    """How often, in seconds: to look for changes, to write the state, to recommend anew, to read policies again.

    ``settle`` is after how long without anything new the state counts as stable; None is never.
    """

    look: float = 5.0
    checkpoint: float = 60.0
    recommend: float = 60.0
    policies: float = 300.0
    settle: float | None = None


@dataclass(frozen=True, slots=True)
class Clocks:
    """``elapsed`` counts seconds from any start, never back; ``now`` says what time it is, seconds since the epoch."""

    elapsed: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Tick:
    """One look. ``changes`` are records of edges with ``event`` and ``new_reasons``; ``problems`` are sentences.

    ``behind`` is why the recommended policies are not up to date after it: None where they are, or are not due yet.
    """

    at: float
    tally: Tally
    changes: tuple[dict[str, Any], ...] = ()
    policies: tuple[Rewritten, ...] = ()
    gaps: tuple[dict[str, Any], ...] = ()
    problems: tuple[str, ...] = ()
    turned_stable: bool = False
    behind: FlowmineError | None = None


@dataclass(slots=True)
class _Due:
    """When a thing is to be done next."""

    every: float
    next: float = field(default=0.0)

    def is_due(self, now: float) -> bool:
        return now >= self.next

    def done(self, began: float, now: float) -> None:
        self.next = now + max(self.every, _SHARE * (now - began))


class Tail:
    """Follows one source."""

    def __init__(
        self,
        feed: Feed,
        every: Every,
        *,
        how: Sums | None = None,
        before: Before | None = None,
        store: Store | None = None,
        in_force: Callable[[Edges], InForce | None] = lambda _: None,
        outlet: Outlet | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        """Follow ``feed``, beginning with what earlier runs left (``before``), and keep edges in ``store``.

        ``how`` is what is told of requests, and how many peers of each workload are kept;
        ``in_force`` returns the policies to judge new edges by, ``outlet`` is where recommendations go.
        """
        self._feed, self._every, self._how = feed, every, how or Sums()
        self._store, self._in_force, self._outlet = store, in_force, outlet
        self._clocks = clocks or Clocks()
        self._before = before
        self._ends = Endpoints()
        if before is not None:
            self._ends.absorb(before.endpoints, before.pods)
        self._base = folded(self._how.of(before.parts if before else empty()))
        self._timeless = timeless(self._base)
        self._open, self._fresh = empty(), list[Parts]()
        self._known = Known()
        self._policies: InForce | None = None
        self._behind: FlowmineError | None = None
        self._unkept = False
        self._gaps: dict[tuple[str, str, str], int] = {}
        self.tally = Tally()
        self.ledger: pa.Table | None = None
        """How far all can be trusted that the last look saw."""
        now = self._clocks.elapsed()
        self._look = _Due(every.look, now + every.look)
        self._checkpoint = _Due(every.checkpoint, now + every.checkpoint)
        self._recommend = _Due(every.recommend, now + every.look)
        self._reread = _Due(every.policies)
        self._last_new = now

    def ticks(
        self, stop: Callable[[], bool] = lambda: False, *, until_settled: bool = False
    ) -> Iterator[Tick]:
        """Read until the source ends or ``stop`` says so, or nothing new comes; yield at every look, and at the end."""
        if self._before is not None:
            self._known.update(self._settled(self._timeless))
        heard = False
        for batch in self._feed.batches():
            if not heard and self._feed.skipped is not None and self._store is not None:
                self._store.skip(self._feed.skipped)
            heard = True
            self.tally.add(batch, self._clocks.now())
            if batch.num_rows:
                self._unkept = True
                self._fresh.append(partial(batch, requests=self._how.requests))
            if len(self._fresh) >= _MERGE_EVERY or self._look.is_due(self._clocks.elapsed()):
                self._gather()
            began = self._clocks.elapsed()
            if self._checkpoint.is_due(began):
                self._keep()
                self._checkpoint.done(began, self._clocks.elapsed())
            if self._look.is_due(began):
                yield self._tick(last=False)
                self._look.done(began, self._clocks.elapsed())
            if stop() or (until_settled and self.tally.stable):
                break
        if not heard and self._feed.skipped is not None and self._store is not None:
            self._store.skip(self._feed.skipped)
        self._keep()
        yield self._tick(last=True)

    @property
    def edges(self) -> Edges:
        """All that is known, settled, with the hours in which it was seen."""
        return self._settled(self._how.of(self._base, self._open, *self._fresh))

    def _gather(self) -> None:
        """Add what is new to the open window and to what looks see; let a window that is full be closed at once.

        A full window that stayed open would be copied at every look, several times over.
        """
        if not self._fresh:
            return
        new, self._fresh = merge(self._fresh), []
        self._timeless = self._how.of(self._timeless, timeless(new))
        self._open = self._how.of(self._open, new)
        if is_full(self._open):
            self._checkpoint.next = self._clocks.elapsed()

    def _settled(self, parts: Parts) -> Edges:
        source = self._feed.source
        endpoints, pods = source.endpoints, source.pods
        if self._before is not None:
            self._ends.absorb(endpoints, pods)
            endpoints, pods = self._ends.table(), self._ends.pods()
        return settle(parts, endpoints, pods, self._ledger().table())

    def _ledger(self) -> Ledger:
        ledger = self._feed.source.ledger
        return ledger if self._before is None else ledger.merge([self._before.ledger])

    def _keep(self) -> None:
        """Write the state; where its window is closed, or without state now and then, begin with new Parts."""
        self._gather()
        source = self._feed.source
        if self._store is None:
            closed = is_full(self._open)
        elif not self._unkept:
            closed = False
        else:
            self._unkept = False
            beside = {"endpoints": source.endpoints, "pods": source.pods}
            closed = self._store.checkpoint(self._open, beside, source.ledger, self._feed.cursor)
        if closed:
            self._base = folded(self._how.of(self._base, self._open))
            self._open = empty()

    def _tick(self, *, last: bool) -> Tick:
        """Look at what there is, and do what is due."""
        now = self._clocks.elapsed()
        self._gather()
        edges = self._settled(self._timeless)
        self.ledger = edges.ledger
        problems: list[str] = []
        changes, passed = self._known.update(edges)
        changes += self._judged(edges, passed, problems, now)
        if changes:
            self._last_new = now
        self._count(edges, changes)
        written = self._rewritten(problems, now, last=last)
        settled = self._every.settle is not None and now - self._last_new >= self._every.settle
        turned, self.tally.stable = settled and not self.tally.stable, settled
        return Tick(
            self._clocks.now(),
            self.tally,
            tuple(_records(edges, changes)),
            written,
            tuple(self._new_gaps()),
            tuple(problems),
            turned,
            self._behind,
        )

    def _rewritten(self, problems: list[str], now: float, *, last: bool) -> tuple[Rewritten, ...]:
        """Bring the recommended policies up to date where that is due."""
        if self._outlet is None or not (last or self._recommend.is_due(now)):
            return ()
        written: tuple[Rewritten, ...] = ()
        ledger, self._behind = self._ledger(), None
        try:
            if ledger.texts or "labels" in ledger.masked:
                raise InputError(f"no policy can be recommended: {ledger.mask_advice()}")
            written = self._outlet.update(self.edges, ledger.versions)
        except FlowmineError as error:
            problems.append(str(error))
            self._behind = error
        self._recommend.done(now, self._clocks.elapsed())
        self.tally.policies += len(written)
        return written

    def _judged(self, edges: Edges, passed: Sequence[int], problems: list[str], now: float) -> list[Change]:
        """Return which of the rows that passed the policies in force would deny; all rows where the policies changed."""
        rows = list(passed)
        if self._reread.is_due(now):
            try:
                found = self._in_force(edges)
            except FlowmineError as error:
                problems.append(f"the policies in force could not be read: {error}")
                found = self._policies
            if found is not self._policies:
                outcomes = edges.edges["outcome"].to_pylist()
                rows = [row for row, outcome in enumerate(outcomes) if outcome in ("delivered", "audited")]
            self._policies = found
            self._reread.done(now, self._clocks.elapsed())
        if self._policies is None or not rows:
            return []
        part = only(edges, rows)
        ruled = rulings(recorded(part), self._policies, range(len(rows)))
        return [
            Change(What.WOULD_DROP, row, tuple(sorted(each.value for each in ruled[place].denying())))
            for place, row in enumerate(sorted(rows))
            if not ruled[place].allowed
        ]

    def _count(self, edges: Edges, changes: Sequence[Change]) -> None:
        self.tally.edges = edges.edges.num_rows
        self.tally.changes.update(change.what.value for change in changes)
        self.tally.hear(self._feed.source.ledger, getattr(self._feed.source, "counts", None))

    def _new_gaps(self) -> Iterator[dict[str, Any]]:
        """Yield what the ledger tells of loss and holes beyond the last look."""
        for (node, kind, source), entry in sorted(self._feed.source.ledger.entries.items()):
            more = entry.count - self._gaps.get((node, kind, source), 0)
            if kind in ("lost", "gap", "node_status", "reconnect") and more:
                self._gaps[node, kind, source] = entry.count
                span = {name: _moment(getattr(entry, name)) for name in ("first", "last")}
                yield {"event": kind, "node": node, "source": source, "count": more, **span}


def _moment(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else format_time(nanoseconds, "RFC3339Nano")


def _records(edges: Edges, changes: Sequence[Change]) -> Iterator[dict[str, Any]]:
    """Yield the changes as records, in the order of EDGES."""
    if not changes:
        return
    rows = sorted({change.row for change in changes})
    shown = {rows[row.place]: row for row in edge_rows(only(edges, rows))}
    for change in changes:
        record = edge_record(shown[change.row])
        yield {"event": change.what.value, "new_reasons": list(change.reasons), **record}
