"""How far policies reach over recorded traffic: who becomes governed, which entries were used, what each policy decides."""

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from flowmine.advise.inforce import InForce
from flowmine.advise.recorded import Recorded
from flowmine.advise.standpoint import Standpoint
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


def governance_of(known: Recorded, now: Standpoint, against: InForce | None) -> tuple[Governance, ...]:
    """Return who becomes governed, by title; without ``against`` everybody whom the policies govern."""
    before = Standpoint(now.people, against.policies) if against else None
    found: dict[str, set[Direction]] = defaultdict(set)
    for direction in Direction:
        closed = now.closes(direction) & ~(before.closes(direction) if before else False)
        for place in np.flatnonzero(closed).tolist():
            found[known.title(now.people.spots[place])].add(direction)
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


def coverage_of(known: Recorded, here: Standpoint, judgement: Judgement, edges: int) -> tuple[Coverage, ...]:
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
    selected = _selected(known, here)
    refs = sorted(policy.ref for policy in here.policies.policies)
    return tuple(
        Coverage(ref, entries[ref], matched[ref], tuple(sorted(selected[ref])), decided[ref]) for ref in refs
    )


def _used(judgement: Judgement) -> set[int]:
    found: set[int] = set()
    for side in (judgement.egress, judgement.ingress):
        found |= set(np.unique(side.subjects.rows.entry[side.pair_row]).tolist())
    return found


def _decided(judgement: Judgement, side: SideJudgement, edges: int) -> Counter[str]:
    lists, number = judgement.decided(side, paths=False)
    counts = np.bincount(number[side.question[:edges]], minlength=len(lists)).tolist()
    found: Counter[str] = Counter()
    for names, count in zip(lists, counts, strict=True):
        found.update(dict.fromkeys(names, count))
    return found


def _selected(known: Recorded, here: Standpoint) -> dict[str, set[str]]:
    spots, governed = here.people.spots, here.governed
    titles: dict[int, set[str]] = {}
    found: dict[str, set[str]] = defaultdict(set)
    for rule in governed.rules:
        for kind in governed.kinds_selected(rule):
            if kind not in titles:
                titles[kind] = {known.title(spots[place]) for place in np.flatnonzero(governed.kinds == kind)}
            found[rule[0]] |= titles[kind]
    return found
