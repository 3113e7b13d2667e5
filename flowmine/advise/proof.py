"""The proof of a recommendation: the engine judges every edge that it means to admit, and every rule's need."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowmine.advise.replay import NamesOf, replay
from flowmine.edges import Edges
from flowmine.engine.config import Config
from flowmine.engine.policyset import PolicySet
from flowmine.engine.verdict import Outcome, SideJudgement
from flowmine.labels import is_pod_id
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

    ``judged`` counts the sides that were judged, ``edges`` the edges of which they are.
    """

    gaps: tuple[Gap, ...]
    needless: tuple[str, ...]
    judged: int
    edges: int = 0


def prove(
    edges: Edges,
    policies: Mapping[str, Sequence[Policy]],
    rows: Iterable[int],
    names: NamesOf,
) -> Proof:
    """Judge edges by policies, each side by those of its own namespace (nodes: the clusterwide), for no others select it.

    ``policies`` are by cluster, ``rows`` the edges that must be admitted, ``names`` tells what an endpoint (by its id)
    calls an address. Where EDGES hold requests, those that went through are judged as well.
    """
    columns = (edges.endpoints[name].to_pylist() for name in ("id", "cluster_name", "namespace", "reserved"))
    ends = {
        identifier: (cluster, namespace if is_pod_id(identifier) else "")
        for identifier, cluster, namespace, reserved in zip(*columns, strict=True)
        if is_pod_id(identifier) or "host" in (reserved or ())
    }
    homes = _Homes(edges, ends, rows)
    refused = frozenset(np.flatnonzero(np.asarray(edges.requests["denied"])).tolist())
    gaps: list[Gap] = []
    needless: list[str] = []
    judged = 0
    seen: set[int] = set()
    for cluster, every in sorted(policies.items()):
        for namespace in sorted({each.namespace or "" for each in every}):
            own = [each for each in every if (each.namespace or "") == namespace]
            batch = replay(edges, homes.rows((cluster, namespace)), names, requests=True)
            config = Config(cluster_name=cluster or "default", ipv6=batch.dual_stack)
            judgement = PolicySet.from_policies(own, config=config).judge(batch.queries)
            asked = np.isin(batch.asked, list(refused), invert=True)
            passing = judgement.http_allowed & judgement.dns_allowed
            needed: set[int] = set()
            for side in (judgement.egress, judgement.ingress):
                mine = homes.mine((cluster, namespace), side.direction, batch.rows) & asked
                connects = np.isin(side.outcome[side.question], (Outcome.NO_POLICY, Outcome.ALLOWED))
                denied = mine & ~(connects & (passing | ~judgement.allowed))
                gaps.extend(Gap(batch.rows[place], side.direction) for place in np.flatnonzero(denied))
                needed |= _needed(side, mine)
                judged += int(mine.sum())
                seen.update(batch.rows[place] for place in np.flatnonzero(mine))
            origins = [each.origin for each in judgement.index.entries]
            written = {place for place, each in enumerate(origins) if each.path}
            needless.extend(sorted(str(origins[place]) for place in written - needed))
    return Proof(tuple(dict.fromkeys(gaps)), tuple(needless), judged, len(seen))


class _Homes:
    """Which edges have an end in which (cluster, namespace), and on which side."""

    def __init__(self, edges: Edges, ends: Mapping[int, tuple[str, str]], rows: Iterable[int]) -> None:
        initiators, responders = (edges.edges[name].to_pylist() for name in ("initiator", "responder"))
        self._sides = {Direction.EGRESS: initiators, Direction.INGRESS: responders}
        self._ends = ends
        self._rows: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row in sorted(set(rows)):
            for home in sorted({ends[end] for end in (initiators[row], responders[row]) if end in ends}):
                self._rows[home].append(row)

    def rows(self, home: tuple[str, str]) -> list[int]:
        """Return the edges with an end there, in order."""
        return self._rows.get(home, [])

    def mine(self, home: tuple[str, str], direction: Direction, rows: Sequence[int]) -> NDArray[np.bool_]:
        """Return for each row whether the end of this side is there."""
        ends = self._sides[direction]
        return np.array([self._ends.get(ends[row]) == home for row in rows], bool)


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
