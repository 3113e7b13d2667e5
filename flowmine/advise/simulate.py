"""Recorded traffic judged by other policies before anybody applies them: what they would deny, and what they would let in."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np

from flowmine.advise.groupends import End, end_key, end_of
from flowmine.advise.inforce import InForce
from flowmine.advise.recorded import Recorded, recorded
from flowmine.advise.replay import Batch
from flowmine.advise.rulings import Ruling, judge_rows, rulings
from flowmine.advise.simcoverage import Coverage, Governance, coverage_of, governance_of, unused_entries
from flowmine.edges import Edges
from flowmine.engine.judgement import Judgement
from flowmine.engine.match import Bools
from flowmine.policy.model import Direction
from flowmine.synth.evidence import Witness
from flowmine.synth.options import Options

__all__ = ["Shift", "ShiftKind", "Simulation", "simulate"]

_JUDGED = ("delivered", "dropped", "audited")


class ShiftKind(StrEnum):
    """What policies would change for some connections."""

    DENIED = "would be denied"
    """Delivered when it was recorded: the policies would break it."""
    NEWLY_DENIED = "newly denied"
    """Let through by the policies in force, though not seen delivered."""
    NEWLY_ALLOWED = "newly allowed"
    """Refused by the policies in force, or when it was recorded."""
    NOISE = "noise denied"
    """Delivered, and nobody's need: a scan's hit, a stray probe."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Connections of one kind that change: rows of EDGES, and the sides and rules behind it.

    ``by`` names, of the denying sides, the policies that closed them or the entries that deny; of newly allowed ones the entries that
    allow. ``requests`` are (method, path) where only requests change, for DNS the method ``DNS``. ``events`` counts flows.
    """

    kind: ShiftKind
    source: End
    target: End
    protocol: str
    port: int | None
    sides: tuple[Direction, ...]
    by: Mapping[Direction, tuple[str, ...]]
    rows: tuple[int, ...]
    requests: tuple[tuple[str, str], ...]
    events: int
    remarks: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Port and protocol, `443/TCP`; of ICMP the type."""
        return self.protocol if self.port is None else f"{self.port}/{self.protocol}"

    @property
    def title(self) -> str:
        """Who, to whom, on which port."""
        return f"{self.source.title} to {self.target.title} on {self.where}"


@dataclass(frozen=True, slots=True)
class Simulation:
    """What policies would do to recorded traffic.

    ``judged`` counts edges; ``governed`` are workloads of which a direction would be closed that is open now; ``unused`` entries
    (`policy:path`) that no flow of the window used; ``window`` is first and last event, ``hours`` clock hours with any.
    """

    shifts: tuple[Shift, ...]
    governed: tuple[Governance, ...]
    unused: tuple[str, ...]
    coverage: tuple[Coverage, ...]
    judged: int
    window: tuple[datetime | None, datetime | None]
    hours: int
    policies: InForce
    against: InForce | None
    remarks: tuple[str, ...] = ()

    def of(self, *kinds: ShiftKind) -> tuple[Shift, ...]:
        """Return the shifts of some kinds."""
        return tuple(each for each in self.shifts if each.kind in kinds)


@dataclass(frozen=True, slots=True)
class _Judged:
    """Edges judged: by place among the rows whether the connection passes; refused requests by row of EDGES."""

    batch: Batch
    judgement: Judgement
    passes: Bools
    refused: Mapping[int, frozenset[int]]


def simulate(
    edges: Edges, policies: InForce, against: InForce | None = None, options: Options | None = None
) -> Simulation:
    """Judge what was recorded by other policies; ``against`` are those in force, without which the record itself says.

    Edges refused for other reasons than policy are not judged.
    """
    known = recorded(edges, options or Options())
    rows = [row for row, link in enumerate(known.links) if link.outcome in _JUDGED]
    now = _judged(known, policies, rows)
    before = _judged(known, against, rows) if against else None
    noise = {row for each in known.noise for row in each.rows}
    kinds = {
        row: kind
        for place, row in enumerate(rows)
        if (kind := _kind(known, row, place, now, before, row in noise))
    }
    witness = Witness(edges)
    seen = witness.of(rows)
    return Simulation(
        shifts=tuple(_shifts(known, policies, kinds, now, before)),
        governed=governance_of(known, policies, against),
        unused=unused_entries(now.judgement),
        coverage=coverage_of(known, policies, now.judgement, len(rows)),
        judged=len(rows),
        window=(seen.first, seen.last),
        hours=witness.hours,
        policies=policies,
        against=against,
    )


def _judged(known: Recorded, policies: InForce, rows: Sequence[int]) -> _Judged:
    batch, judgement = judge_rows(known, policies, rows)
    refused: dict[int, set[int]] = defaultdict(set)
    wrong = ~(judgement.http_allowed & judgement.dns_allowed)
    for place in (np.flatnonzero(wrong[len(rows) :]) + len(rows)).tolist():
        refused[batch.rows[place]].add(batch.asked[place])
    return _Judged(
        batch,
        judgement,
        judgement.allowed[: len(rows)],
        {row: frozenset(some) for row, some in refused.items()},
    )


def _kind(
    known: Recorded, row: int, place: int, now: _Judged, before: _Judged | None, noise: bool
) -> ShiftKind | None:
    """Return what changes for an edge; None where nothing does."""
    delivered = known.links[row].outcome == "delivered"
    passes = bool(now.passes[place])
    meant = frozenset(now.refused.get(row, ())) - frozenset(known.denied_requests.get(row, ()))
    if delivered and (not passes or meant):
        return ShiftKind.NOISE if noise else ShiftKind.DENIED
    passed = (
        delivered or known.links[row].outcome == "audited" if before is None else bool(before.passes[place])
    )
    if passed and not passes:
        return None if before is None else ShiftKind.NEWLY_DENIED
    if passes and not passed:
        return ShiftKind.NEWLY_ALLOWED
    refused = known.denied_requests.get(row, ()) if before is None else before.refused.get(row, ())
    if passes and set(refused) - set(now.refused.get(row, ())):
        return ShiftKind.NEWLY_ALLOWED
    return None


def _shifts(
    known: Recorded, policies: InForce, kinds: Mapping[int, ShiftKind], now: _Judged, before: _Judged | None
) -> Iterable[Shift]:
    """Return the edges that change, grouped by kind, ends, port, sides and rules; what would break first."""
    told = rulings(known, policies, sorted(kinds))
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row, kind in kinds.items():
        link, ruling = known.links[row], told[row]
        ends = (end_key(known, link.source, link.target), end_key(known, link.target, link.source))
        sides = ruling.denying()
        by = tuple((side, ruling.sides[side].by) for side in sides or Direction)
        groups[kind, *ends, link.protocol, link.port, sides, by].append(row)
    witness = Witness(known.edges)
    made = [
        _shift(
            known,
            kinds[rows[0]],
            rows,
            told[rows[0]],
            _changed(known, rows, kinds[rows[0]], now, before),
            witness,
        )
        for rows in groups.values()
    ]
    order = list(ShiftKind)
    return sorted(made, key=lambda each: (order.index(each.kind), -each.events, each.title, each.sides))


def _changed(
    known: Recorded, rows: Iterable[int], kind: ShiftKind, now: _Judged, before: _Judged | None
) -> tuple[tuple[str, str], ...]:
    """Return the requests that change on edges whose connections pass all the same."""
    found: set[tuple[str, str]] = set()
    for row in rows:
        own = set(known.denied_requests.get(row, ()))
        if kind is ShiftKind.NEWLY_ALLOWED:
            was = own if before is None else set(before.refused.get(row, ()))
            some = was - set(now.refused.get(row, ()))
        else:
            some = set(now.refused.get(row, ())) - own
        found |= {(method, path) for method, _, path in map(known.request, some)}
    return tuple(sorted(found))


def _shift(
    known: Recorded,
    kind: ShiftKind,
    rows: Sequence[int],
    ruling: Ruling,
    requests: tuple[tuple[str, str], ...],
    witness: Witness,
) -> Shift:
    links = [known.links[row] for row in rows]
    sides = ruling.denying()
    return Shift(
        kind=kind,
        source=end_of(known, [(link.source, link.target) for link in links]),
        target=end_of(known, [(link.target, link.source) for link in links]),
        protocol=links[0].protocol or "unknown",
        port=links[0].port,
        sides=sides,
        by={side: ruling.sides[side].by for side in sides or tuple(Direction) if ruling.sides[side].by},
        rows=tuple(rows),
        requests=() if sides else requests,
        events=witness.of(rows).flows,
        remarks=tuple(_remarks(known, kind, links[0].target.ip, rows, sides)),
    )


def _remarks(
    known: Recorded, kind: ShiftKind, ip: str, rows: Sequence[int], sides: tuple[Direction, ...]
) -> Iterable[str]:
    link = known.links[rows[0]]
    outside = link.target.workload < 0 and not link.target.entity and bool(ip)
    named = any(known.names_of(known.links[row].source.party, known.links[row].target.ip) for row in rows)
    if kind is ShiftKind.DENIED and outside and Direction.EGRESS in sides and not named:
        yield "no name was seen for the address: a toFQDNs rule that means it cannot be recognised"
