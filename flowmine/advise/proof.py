"""The proof of a recommendation: the engine judges every edge that it means to admit, and every rule's need."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowmine.advise.replay import NamesOf, replay
from flowmine.edges import Edges
from flowmine.engine.columns import numbered
from flowmine.engine.config import Config
from flowmine.engine.index import Ints
from flowmine.engine.policyset import PolicySet
from flowmine.engine.verdict import Outcome, SideJudgement
from flowmine.labels import is_pod_id
from flowmine.policy.model import Direction, Policy

__all__ = ["Gap", "Proof", "prove"]


_AT_ONCE = 500
"""Policies that make a batch of namespaces."""


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
    at_once: int = _AT_ONCE,
) -> Proof:
    """Judge edges by policies, each side by those of its own namespace (nodes: the clusterwide), for no others select it.

    ``policies`` are by cluster, ``rows`` the edges that must be admitted, ``names`` tells what an endpoint (by its id)
    calls an address. Where EDGES hold requests, those that went through are judged as well. Whole namespaces are judged
    together until they have `at_once` policies.
    """
    batch = replay(edges, sorted(set(rows)), names, requests=True)
    homes = _Homes(edges, np.array(batch.rows, np.int64))
    refused = np.flatnonzero(np.asarray(edges.requests["denied"]))
    asked = np.isin(np.array(batch.asked, np.int64), refused, invert=True)
    gaps: list[Gap] = []
    needless: list[str] = []
    judged = 0
    seen = np.zeros(edges.edges.num_rows, bool)
    for cluster, every in sorted(policies.items()):
        config = Config(cluster_name=cluster or "default", ipv6=batch.dual_stack)
        for some in _together(every, at_once):
            namespace_of = {each.ref: each.namespace or "" for each in some}
            namespaces = sorted(set(namespace_of.values()))
            places = homes.places([(cluster, namespace) for namespace in namespaces])
            judgement = PolicySet.from_policies(some, config=config).judge(batch.queries.part(places))
            passing = judgement.http_allowed & judgement.dns_allowed
            needed: set[int] = set()
            for namespace in namespaces:
                for side in (judgement.egress, judgement.ingress):
                    mine = homes.are_at((cluster, namespace), side.direction, places) & asked[places]
                    connects = np.isin(side.outcome[side.question], (Outcome.NO_POLICY, Outcome.ALLOWED))
                    denied = mine & ~(connects & (passing | ~judgement.allowed))
                    gaps.extend(Gap(batch.rows[place], side.direction) for place in places[denied].tolist())
                    needed |= _needed(side, mine)
                    judged += int(mine.sum())
                    seen[homes.rows[places[mine]]] = True
            origins = [each.origin for each in judgement.index.entries]
            unneeded = [each for place, each in enumerate(origins) if each.path and place not in needed]
            unneeded.sort(key=lambda each: (namespace_of[each.policy], str(each)))
            needless.extend(map(str, unneeded))
    return Proof(tuple(dict.fromkeys(gaps)), tuple(needless), judged, int(seen.sum()))


def _together(policies: Iterable[Policy], count: int) -> Iterator[list[Policy]]:
    """Yield policies to judge by at once, by namespace, so few that the table of who is whose peer stays small."""
    found: list[Policy] = []
    ordered = sorted(policies, key=lambda each: each.namespace or "")
    for _, own in groupby(ordered, lambda each: each.namespace or ""):
        found.extend(own)
        if len(found) >= count:
            yield found
            found = []
    if found:
        yield found


class _Homes:
    """In which (cluster, namespace) each end of edges is; `rows` are those of EDGES. Nodes have the namespace ""."""

    def __init__(self, edges: Edges, rows: Ints) -> None:
        columns = (
            edges.endpoints[name].to_pylist() for name in ("id", "cluster_name", "namespace", "reserved")
        )
        ends = {
            identifier: (cluster, namespace if is_pod_id(identifier) else "")
            for identifier, cluster, namespace, reserved in zip(*columns, strict=True)
            if is_pod_id(identifier) or "host" in (reserved or ())
        }
        known = {home: number for number, home in enumerate(dict.fromkeys(ends.values()))}
        self.rows = rows
        self._known = known
        self._of = {
            side: _numbers(edges.edges[name], {end: known[home] for end, home in ends.items()})[rows]
            for side, name in ((Direction.EGRESS, "initiator"), (Direction.INGRESS, "responder"))
        }
        either = np.concatenate(list(self._of.values()))
        order = np.argsort(either, kind="stable")
        cuts = np.searchsorted(either[order], np.arange(len(known) + 1)).tolist()
        self._places = [order[start:stop] % max(len(rows), 1) for start, stop in pairwise(cuts)]

    def places(self, homes: Iterable[tuple[str, str]]) -> Ints:
        """Return the edges (their places among the rows) with an end in one of these, in order."""
        found = [self._places[self._known[home]] for home in homes if home in self._known]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))

    def are_at(self, home: tuple[str, str], direction: Direction, places: Ints) -> NDArray[np.bool_]:
        """Return for each of some edges whether its end on this side is there."""
        return np.asarray(self._of[direction][places] == self._known.get(home, -2))


def _numbers(column: pa.ChunkedArray, known: Mapping[int, int]) -> Ints:
    """Return the number of each value, -1 for those without."""
    codes, values = numbered(column)
    return np.array([*(known.get(value, -1) for value in values), -1], np.int64)[codes]


def _needed(side: SideJudgement, mine: NDArray[np.bool_]) -> set[int]:
    """Return the entries without which some query of ours would be denied: those that alone match it."""
    if not len(side.pair_question):
        return set()
    entries = side.subjects.rows.entry[side.pair_row]
    asked = np.zeros(len(side.outcome), bool)
    asked[side.question[mine]] = True
    count = int(entries.max()) + 1
    pairs = np.unique((side.pair_question * count + entries)[asked[side.pair_question]])
    question, entry = np.divmod(pairs, count)
    alone = np.bincount(question, minlength=1)[question] == 1
    return set(entry[alone].tolist())
