"""Completeness: what a capture lost, skipped, repeated or left out, so that an answer can say how far to trust it.

The reader of a capture writes here while it reads; reports read. Kinds are those of `schema.LEDGER`:

============ ============================================================ ======================
kind         meaning                                                      source
============ ============================================================ ======================
lost         Hubble says it lost events                                   which ring
node_status  a node came, went or failed while relay was asked            which state
masked       no event carries a field that a recommendation needs         which field
skipped      a line, or a field of one, could not be read; other events   the reason
duplicate    an event read twice (equal uuids)                            uuid
cut          an input ends in the middle, or is corrupt from a place on   the input
gap          what a node saw between first and last may be missing        the reason
reconnect    a live stream broke, and was asked for again                 the reason
backpressure a live server was held back, for the reader was slower       who waited
unsettled    an event whose initiator could not be told                   the reason
============ ============================================================ ======================
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from flowmine.schema import LEDGER

__all__ = ["EXPORTER_MASK", "NAMED_AT_MOST", "Entry", "Ledger", "Told"]

NAMED_AT_MOST = 5
"""How many bad lines are named one by one; all are counted."""

_MOST_ENTRIES = 10_000

_MOST_HELD = 1000
"""How many things to log are kept until the ledger is joined to another; a portion has few."""

_LEVELS = {"duplicate": logging.DEBUG, "masked": logging.DEBUG, "unsettled": logging.DEBUG}
"""Kind -> how loud it is logged; of all others, ``INFO``."""

_log = logging.getLogger(__name__)

EXPORTER_MASK = (
    "time",
    "uuid",
    "verdict",
    "drop_reason_desc",
    "auth_type",
    "IP",
    "l4",
    "source",
    "destination",
    "Type",
    "node_name",
    "source_names",
    "destination_names",
    "l7",
    "is_reply",
    "reply",
    "event_type",
    "source_service",
    "destination_service",
    "traffic_direction",
    "trace_observation_point",
    "trace_reason",
    "sock_xlate_point",
    "egress_denied_by",
    "ingress_denied_by",
    "aggregate",
    "emitter",
)
"""The exporter's ``fieldMask`` that leaves out nothing a recommendation needs (Cilium ``hubble.export``)."""


@dataclass(slots=True)
class Entry:
    """A row of LEDGER in the making: how often, and from when to when (nanoseconds since the epoch; None unknown)."""

    count: int = 0
    first: int | None = None
    last: int | None = None

    def add(self, count: int, first: int | None, last: int | None) -> None:
        """Count ``count`` more, seen from ``first`` to ``last``."""
        self.count += count
        if first is not None:
            self.first = first if self.first is None else min(first, self.first)
        if last is not None:
            self.last = last if self.last is None else max(last, self.last)


@dataclass(frozen=True, slots=True)
class Told:
    """Something to log: of which kind, where, what of it, how often."""

    kind: str
    place: str
    what: str
    count: int = 1

    def log(self) -> None:
        """Log it."""
        fields = {"kind": self.kind, "place": self.place, "what": self.what, "count": self.count}
        where = f"{self.place}: " if self.place else ""
        times = f" ({self.count:,} times)" if self.count > 1 else ""
        _log.log(
            _LEVELS.get(self.kind, logging.INFO),
            f"%s{self.kind}: %s%s",
            where,
            self.what,
            times,
            extra={"told": fields},
        )


@dataclass(slots=True)
class Ledger:
    """What is known about the completeness of one reading; it grows while the source is read.

    ``flows`` are the events passed on; ``bad`` the lines that could not be read, of which ``named`` holds the first
    few as ``file:line: reason``; ``notes`` are sentences about whole inputs (a file left out, and why); ``versions``
    counts events by ``emitter.version``; ``window`` is the first and last event time in nanoseconds; ``complete``
    is true once every input was read to its end; ``texts`` names the inputs that are text, which carries no labels.
    What is added is logged; where ``held`` is a list, it is kept there until the ledger is joined to another.
    """

    entries: dict[tuple[str, str, str], Entry] = field(default_factory=dict)
    flows: int = 0
    bad: int = 0
    named: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    window: Entry = field(default_factory=Entry)
    complete: bool = False
    texts: list[str] = field(default_factory=list)
    held: list[Told] | None = field(default=None, compare=False, repr=False)

    def add(
        self,
        kind: str,
        source: str,
        *,
        node: str = "",
        count: int = 1,
        first: int | None = None,
        last: int | None = None,
        place: str = "",
    ) -> None:
        """Count an occurrence of ``kind`` (see `schema.LEDGER`) from ``source`` at ``node``; log it, and its place."""
        self._tell(kind, place or node, source, count)
        self._count(kind, source, node, Entry(count, first, first if last is None else last))

    def _count(self, kind: str, source: str, node: str, found: Entry) -> None:
        if len(self.entries) >= _MOST_ENTRIES and (node, kind, source) not in self.entries:
            node, source = "", "other"
        entry = self.entries.setdefault((node, kind, source), Entry())
        entry.add(found.count, found.first, found.last)

    def _tell(self, kind: str, place: str, what: str, count: int = 1) -> None:
        if self.held is not None:
            if len(self.held) < _MOST_HELD:
                self.held.append(Told(kind, place, what, count))
        elif _log.isEnabledFor(_LEVELS.get(kind, logging.INFO)):
            Told(kind, place, what, count).log()

    def add_bad(self, place: str, reason: str, detail: str = "") -> None:
        """Count a line that could not be read, and name it, with a detail, if it is among the first few."""
        self.bad += 1
        said = f"{reason} ({detail})" if detail else reason
        self._tell("skipped", place, said)
        self._count("skipped", reason, "", Entry(1))
        if len(self.named) < NAMED_AT_MOST:
            self.named.append(f"{place}: {said}")

    def total(self, kind: str) -> int:
        """Return how many of a kind were counted; for ``lost`` that is events, for ``masked`` fields."""
        entries = [entry for (_, of, _), entry in self.entries.items() if of == kind]
        return len(entries) if kind == "masked" else sum(entry.count for entry in entries)

    def totals(self) -> dict[str, int]:
        """Return the total of every kind that occurred, by kind, sorted."""
        return {kind: self.total(kind) for kind in sorted({of for _, of, _ in self.entries})}

    def sources(self, kind: str) -> dict[str, int]:
        """Return the counts of one kind by source, the largest first."""
        counts: dict[str, int] = {}
        for (_, of, source), entry in self.entries.items():
            if of == kind:
                counts[source] = counts.get(source, 0) + entry.count
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def masked(self) -> tuple[str, ...]:
        """The fields a recommendation needs that no event of the capture carries, sorted."""
        return tuple(sorted(self.sources("masked")))

    def mask_advice(self) -> str | None:
        """Return one line that says which fields are missing and the exporter mask to use; None where none is."""
        if self.texts:
            names = f"{self.texts[0]}{' and others' if len(self.texts) > 1 else ''}"
            return f"{names}: text carries no labels, which policies select by: record with hubble observe -o jsonpb"
        if not self.masked:
            return None
        missing, mask = ", ".join(self.masked), ",".join(EXPORTER_MASK)
        return f"no event carries {missing}: record again without a field mask, or with fieldMask {mask}"

    def join(self, other: "Ledger") -> None:
        """Add what another reader of the same inputs tells, of what comes after."""
        for told in other.held or ():
            self._tell(told.kind, told.place, told.what, told.count)
        for (node, kind, source), entry in other.entries.items():
            self._count(kind, source, node, entry)
        self.flows += other.flows
        self.bad += other.bad
        self.named += other.named[: NAMED_AT_MOST - len(self.named)]
        self.notes += other.notes
        for version, count in other.versions.items():
            self.versions[version] = self.versions.get(version, 0) + count
        self.window.add(other.window.count, other.window.first, other.window.last)

    def merge(self, others: Iterable["Ledger"]) -> "Ledger":
        """Return a ledger of this one and ``others``, as if one reader had read all of their inputs."""
        merged = Ledger(complete=True)
        for one in (self, *others):
            for (node, kind, source), entry in one.entries.items():
                merged.entries.setdefault((node, kind, source), Entry()).add(
                    entry.count, entry.first, entry.last
                )
            merged.flows += one.flows
            merged.bad += one.bad
            merged.named = (merged.named + one.named)[:NAMED_AT_MOST]
            merged.notes += one.notes
            merged.texts += one.texts
            for version, count in one.versions.items():
                merged.versions[version] = merged.versions.get(version, 0) + count
            merged.window.add(one.window.count, one.window.first, one.window.last)
            merged.complete &= one.complete
        return merged

    def table(self) -> pa.Table:
        """Return the entries as a LEDGER table, sorted by node, kind and source."""
        rows = sorted(self.entries.items())
        columns = {
            "node": [node for (node, _, _), _ in rows],
            "kind": [kind for (_, kind, _), _ in rows],
            "source": [source for (_, _, source), _ in rows],
            "count": [entry.count for _, entry in rows],
            "first": [entry.first for _, entry in rows],
            "last": [entry.last for _, entry in rows],
        }
        return pa.table(columns, schema=LEDGER)
