"""The proof of a recommendation: the engine judges every edge that it means to admit, and every rule's need."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowmine.advise.replay import NamesOf, replay
from flowmine.edges import Edges
from flowmine.engine.config import Config
from flowmine.engine.policyset import PolicySet
from flowmine.engine.verdict import Outcome, SideJudgement
from flowmine.policy.model import Direction, Policy

__all__ = ["Gap", "Proof", "prove"]


@dataclass(frozen=True, slots=True)
class Gap:
    """An edge (row of EDGES) that the policies ought to admit and deny, and on which side."""

    row: int
    direction: Direction


@dataclass(frozen=True, slots=True)
class Proof:
    """What the engine found: edges wrongly denied, and which entries (`policy reference:path`) no edge needs.

    ``judged`` counts the sides of edges that were judged.
    """

    gaps: tuple[Gap, ...]
    needless: tuple[str, ...]
    judged: int


def prove(
    edges: Edges,
    policies: Mapping[str, Sequence[Policy]],
    rows: Iterable[int],
    names: NamesOf,
) -> Proof:
    """Judge edges by policies; each side by the policies of its own cluster.

    ``policies`` are by cluster, ``rows`` the edges that must be admitted, ``names`` tells what an endpoint (by its id)
    calls an address.
    """
    batch = replay(edges, sorted(rows), names)
    gaps: list[Gap] = []
    needless: list[str] = []
    judged = 0
    for cluster, own in sorted(policies.items()):
        config = Config(cluster_name=cluster or "default", ipv6=batch.dual_stack)
        judgement = PolicySet.from_policies(own, config=config).judge(batch.queries)
        needed: set[int] = set()
        for side in (judgement.egress, judgement.ingress):
            mine = np.array([home == cluster for home in batch.homes[side.direction]], bool)
            denied = ~np.isin(side.outcome[side.question], (Outcome.NO_POLICY, Outcome.ALLOWED)) & mine
            gaps.extend(Gap(batch.rows[place], side.direction) for place in np.flatnonzero(denied))
            needed |= _needed(side, mine)
            judged += int(mine.sum())
        origins = [each.origin for each in judgement.index.entries]
        written = {place for place, each in enumerate(origins) if each.path}
        needless.extend(sorted(str(origins[place]) for place in written - needed))
    return Proof(tuple(gaps), tuple(needless), judged)


def _needed(side: SideJudgement, mine: NDArray[np.bool_]) -> set[int]:
    """Return the entries without which some query of ours would be denied: those that alone match it."""
    if not len(side.pair_question):
        return set()
    entries = side.subjects.rows.entry[side.pair_row]
    asked = np.zeros(len(side.outcome), bool)
    asked[side.question[mine]] = True
    pairs = np.unique(np.stack([side.pair_question, entries], axis=1)[asked[side.pair_question]], axis=0)
    questions, counts = np.unique(pairs[:, 0], return_counts=True)
    alone = np.isin(pairs[:, 0], questions[counts == 1])
    return {int(entry) for entry in pairs[alone, 1]}
