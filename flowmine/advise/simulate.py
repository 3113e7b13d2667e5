"""Recorded traffic judged by other policies before anybody applies them: what they would deny, and what they would let in."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.advise.inforce import InForce
from flowmine.advise.recorded import Recorded, recorded
from flowmine.advise.shift import Shift, ShiftKind
from flowmine.advise.shifts import KINDS, Judged, judged, shifts_of
from flowmine.advise.simcoverage import Coverage, Governance, coverage_of, governance_of, unused_entries
from flowmine.advise.standpoint import Standpoint, crowd
from flowmine.edges import Edges
from flowmine.engine.index import Ints
from flowmine.engine.match import Bools
from flowmine.synth.options import Options

__all__ = ["Shift", "ShiftKind", "Simulation", "simulate"]


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


def simulate(
    edges: Edges, policies: InForce, against: InForce | None = None, options: Options | None = None
) -> Simulation:
    """Judge what was recorded by other policies; ``against`` are those in force, without which the record itself says.

    Edges refused for other reasons than policy are not judged.
    """
    known = recorded(edges, options or Options())
    rows = np.flatnonzero(_became(edges, "delivered", "dropped", "audited"))
    now = judged(known, policies, rows)
    before = judged(known, against, rows) if against else None
    here = Standpoint(crowd(known, policies), policies.policies)
    hours = edges.hours["hour"]
    return Simulation(
        governed=governance_of(known, here, against),
        unused=unused_entries(now.judgement),
        coverage=coverage_of(known, here, now.judgement, len(rows)),
        shifts=tuple(shifts_of(known, _kinds(known, now, before), now, before)),
        judged=len(rows),
        window=_window(edges, rows),
        hours=pc.count_distinct(hours.filter(pc.greater_equal(hours, 0))).as_py(),
        policies=policies,
        against=against,
    )


def _became(edges: Edges, *outcomes: str) -> Bools:
    """Tell of each edge whether this became of it."""
    found: Bools = pc.is_in(edges.edges["outcome"], pa.array(outcomes)).to_numpy()
    return found


def _window(edges: Edges, rows: Ints) -> tuple[datetime | None, datetime | None]:
    """Return when the first and the last event of some edges was."""
    at = pa.timestamp("us", tz="UTC")
    first, last = (edges.edges[name].take(pa.array(rows)) for name in ("first", "last"))
    return pc.min(first).cast(at, safe=False).as_py(), pc.max(last).cast(at, safe=False).as_py()


def _kinds(known: Recorded, now: Judged, before: Judged | None) -> Ints:
    """Return what changes for each edge judged, as its place in `KINDS`; -1 where nothing does."""
    rows, edges = now.rows, known.edges
    delivered = _became(edges, "delivered")[rows]
    passed = before.passes if before else _became(edges, "delivered", "audited")[rows]
    refused = before.refused if before else known.denied_requests
    broken = delivered & (~now.passes | _having(rows, now.refused, known.denied_requests))
    noise = np.isin(rows, [row for each in known.noise for row in each.rows])
    places = {kind: place for place, kind in enumerate(KINDS)}
    cases = {
        ShiftKind.NOISE: broken & noise,
        ShiftKind.DENIED: broken,
        ShiftKind.NEWLY_DENIED: passed & ~now.passes,
        ShiftKind.NEWLY_ALLOWED: now.passes & (~passed | _having(rows, refused, now.refused)),
    }
    found = np.select(list(cases.values()), [places[kind] for kind in cases], -1)
    return found if before else np.where(found == places[ShiftKind.NEWLY_DENIED], -1, found)


def _having(rows: Ints, requests: Mapping[int, Collection[int]], but: Mapping[int, Collection[int]]) -> Bools:
    """Tell of each edge whether it has any of some requests, but for others."""
    found = [row for row, some in requests.items() if set(some) - set(but.get(row, ()))]
    return np.isin(rows, found)
