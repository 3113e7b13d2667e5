"""How far policies reach over recorded traffic: who becomes governed, which entries were used, what each policy decides."""

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from flowmine.advise.inforce import InForce
from flowmine.advise.recorded import Recorded
from flowmine.advise.standpoint import Standpoint, crowd
from flowmine.engine.judgement import Judgement
from flowmine.engine.verdict import SideJudgement
from flowmine.policy.model import Direction

__all__ = ["Coverage", "Governance", "coverage_of", "governance_of", "unused_entries"]


@dataclass(frozen=True, slots=True, order=True)
class Governance:
    """A workload (or node) of which policies close directions that those in force leave open."""

    title: str
    sides: tuple[Direction, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """One policy over recorded traffic: its entries, how many of them a flow used, whom it selects, edges that it decides."""

    policy: str
    entries: int
    used: int
    workloads: tuple[str, ...]
    edges: int


def governance_of(known: Recorded, policies: InForce, against: InForce | None) -> tuple[Governance, ...]:
    """Return who becomes governed, by title; without ``against`` everybody whom the policies govern."""
    people = crowd(known, policies)
    now = Standpoint(people, policies.policies)
    before = Standpoint(people, against.policies) if against else None
    found: dict[str, set[Direction]] = defaultdict(set)
    for place, spot in enumerate(people.spots):
        for direction in Direction:
            if now.closed(place, direction) and not (before and before.closed(place, direction)):
                found[known.title(spot)].add(direction)
    return tuple(sorted(Governance(title, tuple(sorted(sides))) for title, sides in found.items()))


def unused_entries(judgement: Judgement) -> tuple[str, ...]:
    """Return the entries (`policy:path`) that matched no connection, in the order of the policies.

    Entries that only close a direction (`{}`, `policyTypes`) are none that a flow could use.
    """
    used = _used(judgement)
    written = enumerate(judgement.index.entries)
    return tuple(
        str(entry.origin)
        for number, entry in written
        if entry.origin.path and entry.ports and entry.peers != () and number not in used
    )


def coverage_of(known: Recorded, policies: InForce, judgement: Judgement, edges: int) -> tuple[Coverage, ...]:
    """Return what each policy does, by name; ``edges`` are the first questions of the judgement."""
    used = _used(judgement)
    entries: Counter[str] = Counter()
    matched: Counter[str] = Counter()
    for number, entry in enumerate(judgement.index.entries):
        entries[entry.origin.policy] += 1
        matched[entry.origin.policy] += number in used
    decided: Counter[str] = Counter()
    for side in (judgement.egress, judgement.ingress):
        decided.update(_decided(judgement, side, edges))
    selected = _selected(known, policies)
    refs = sorted(policy.ref for policy in policies.policies.policies)
    return tuple(
        Coverage(ref, entries[ref], matched[ref], tuple(sorted(selected[ref])), decided[ref]) for ref in refs
    )


def _used(judgement: Judgement) -> set[int]:
    found: set[int] = set()
    for side in (judgement.egress, judgement.ingress):
        found |= set(np.unique(side.subjects.rows.entry[side.pair_row]).tolist())
    return found


def _decided(judgement: Judgement, side: SideJudgement, edges: int) -> dict[str, int]:
    names = pc.list_flatten(judgement.deciders(side, paths=False).slice(0, edges))
    return {row["values"]: row["counts"] for row in pc.value_counts(names).to_pylist()}


def _selected(known: Recorded, policies: InForce) -> dict[str, set[str]]:
    people = crowd(known, policies)
    here = Standpoint(people, policies.policies)
    found: dict[str, set[str]] = defaultdict(set)
    for rule in here.governed.rules:
        places = np.flatnonzero(here.governed.selected(rule)).tolist()
        found[rule[0]] |= {known.title(people.spots[place]) for place in places}
    return found
