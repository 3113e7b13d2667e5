"""What the engine says of wishes: does each question pass at its own side, why not, and by which entries."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from flowmine.advise.wishes import Pod
from flowmine.engine.index import Ints
from flowmine.engine.judgement import Judgement
from flowmine.engine.match import Bools
from flowmine.engine.policyset import PolicySet
from flowmine.engine.queries import Queries
from flowmine.engine.requests import dns_passes, http_passes, parsers
from flowmine.engine.subject import NOT_ENFORCED
from flowmine.engine.verdict import Outcome, SideJudgement, match
from flowmine.policy.model import Direction

__all__ = ["Answers", "Stand", "stands"]


class Answers:
    """The answers to a batch of questions, by place and side."""

    def __init__(self, policies: PolicySet, queries: Queries) -> None:
        """Judge the questions by the policies."""
        self._judgement: Judgement = policies.judge(queries)
        self._sides: Mapping[Direction, SideJudgement] = {
            Direction.EGRESS: self._judgement.egress,
            Direction.INGRESS: self._judgement.ingress,
        }
        self._outcome = {way: side.outcome[side.question] for way, side in self._sides.items()}
        self._passes = {way: self._passing(way, side) for way, side in self._sides.items()}

    def _passing(self, direction: Direction, side: SideJudgement) -> Bools:
        index, queries = self._judgement.index, self._judgement.queries
        connects = np.isin(self._outcome[direction], [each.value for each in Outcome if each.passes])
        passes: Bools = connects & http_passes(index, side, queries)
        return passes & dns_passes(index, side, queries) if direction is Direction.EGRESS else passes

    def passes(self, place: int, direction: Direction) -> bool:
        """Tell whether a question passes: the connection, and what is asked over it."""
        return bool(self._passes[direction][place])

    def connects(self, place: int, direction: Direction) -> bool:
        """Tell whether the connection of a question passes, whatever is asked over it."""
        return Outcome(int(self._outcome[direction][place])).passes

    def is_denied_by_rule(self, place: int, direction: Direction) -> bool:
        """Tell whether a deny rule decides: no allow rule can help."""
        return bool(self._outcome[direction][place] == Outcome.DENY_RULE)

    def is_looked_into(self, place: int, direction: Direction) -> bool:
        """Tell whether the connection goes through the DNS proxy."""
        return self._parsers[direction][int(self._sides[direction].question[place])] == "dns"

    @cached_property
    def _parsers(self) -> dict[Direction, list[str]]:
        return {way: parsers(self._judgement.index, side) for way, side in self._sides.items()}

    def deniers(self, place: int, direction: Direction) -> tuple[str, ...]:
        """Return the entries that decided a question, `Kind/namespace/name:path`, sorted."""
        decided = self._deciders[direction][place].as_py()
        return tuple(decided or ())

    @cached_property
    def _deciders(self) -> dict[Direction, Any]:
        return {way: self._judgement.deciders(side, paths=True) for way, side in self._sides.items()}

    def matching(self, place: int, direction: Direction) -> Iterator[tuple[str, str]]:
        """Yield the entries, as (policy, path), that match a question, in the order of the set."""
        side = self._sides[direction]
        question = int(side.question[place])
        start, stop = np.searchsorted(side.pair_question, [question, question + 1])
        rows: Ints = side.subjects.rows.entry[side.pair_row[start:stop]]
        for number in sorted(set(rows.tolist())):
            origin = self._judgement.index.entries[number].origin
            yield origin.policy, origin.path


@dataclass(frozen=True, slots=True)
class Stand:
    """What policies do to a pod: the directions they close, and why Cilium cannot resolve them (empty: it can)."""

    closed: frozenset[Direction]
    error: str = ""


def stands(policies: PolicySet, pods: Iterable[Pod]) -> dict[int, Stand]:
    """Return, by pod (its id), how it stands under policies."""
    listed = list(pods)
    universe = match(policies.index, [pod.party for pod in listed])
    closed: dict[int, set[Direction]] = {pod.id: set() for pod in listed}
    errors: dict[int, str] = {}
    for direction, subjects in universe.subjects.items():
        for pod, number in zip(listed, subjects.class_of_party.tolist(), strict=True):
            if number != NOT_ENFORCED:
                found = subjects.classes[number]
                errors[pod.id] = errors.get(pod.id) or found.error
                if found.closed:
                    closed[pod.id].add(direction)
    return {pod.id: Stand(frozenset(closed[pod.id]), errors.get(pod.id, "")) for pod in listed}
