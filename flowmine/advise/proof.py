"""The proof of a recommendation: the engine judges every edge that it means to admit, and every rule's need."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowmine.edges import Edges
from flowmine.engine.config import Config
from flowmine.engine.entries import protocols_of
from flowmine.engine.party import Party
from flowmine.engine.policyset import PolicySet
from flowmine.engine.queries import NONE, Queries
from flowmine.engine.verdict import Outcome, SideJudgement
from flowmine.labels import is_pod_id
from flowmine.policy.model import Direction, Policy
from flowmine.schema import EDGE_KEY

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
    names: Callable[[int, str], tuple[str, ...]],
) -> Proof:
    """Judge edges by policies; each side by the policies of its own cluster.

    ``policies`` are by cluster, ``rows`` the edges that must be admitted, ``names`` tells what an endpoint (by its id)
    calls an address.
    """
    batch = _batch(edges, sorted(rows), names)
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


@dataclass(frozen=True, slots=True)
class _Batch:
    """Edges as queries; ``homes`` are the clusters whose policies judge each side, empty where none does."""

    rows: tuple[int, ...]
    queries: Queries
    homes: Mapping[Direction, tuple[str | None, ...]]
    dual_stack: bool


def _batch(edges: Edges, rows: Sequence[int], names: Callable[[int, str], tuple[str, ...]]) -> _Batch:
    table = edges.edges.take(pa.array(rows, pa.int64()))
    ends = {
        identifier: (tuple(labels or ()), cluster)
        for identifier, labels, cluster in zip(
            *(edges.endpoints[name].to_pylist() for name in ("id", "labels", "cluster_name")), strict=True
        )
    }
    parties: dict[Party, int] = {}
    columns = [table[name].to_pylist() for name in EDGE_KEY]
    made: list[tuple[int, int, int, int]] = []
    for source, target, protocol, port, source_ip, target_ip in zip(*columns, strict=True):
        called = names(source, target_ip) if target_ip and is_pod_id(source) else ()
        one = Party(ends.get(source, _NOBODY)[0], source_ip)
        other = Party(ends.get(target, _NOBODY)[0], target_ip, called)
        made.append(
            (
                parties.setdefault(one, len(parties)),
                parties.setdefault(other, len(parties)),
                int(protocols_of(protocol)),
                port or 0,
            )
        )
    numbers = np.array(made, np.int64).reshape(-1, 4).T.copy()
    nothing = np.full(len(made), NONE, np.int64)
    queries = Queries(
        tuple(parties),
        source=numbers[0],
        destination=numbers[1],
        protocol=numbers[2],
        port=numbers[3],
        request=nothing,
        requests=(),
        name=nothing,
        names=(),
    )
    homes = {
        direction: tuple(ends.get(end, _NOBODY)[1] if is_pod_id(end) else None for end in column)
        for direction, column in ((Direction.EGRESS, columns[0]), (Direction.INGRESS, columns[1]))
    }
    labels = {label for texts, _ in ends.values() for label in texts}
    return _Batch(
        tuple(rows), queries, homes, "reserved:world-ipv4" in labels or "reserved:world-ipv6" in labels
    )


_NOBODY: tuple[tuple[str, ...], str | None] = ((), None)
