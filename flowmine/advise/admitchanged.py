"""The policies in force with some manifests changed or added, judged by the engine on the manifests themselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from flowmine.advise.standpoint import Pairs, Standpoint, passing
from flowmine.engine.judgement import Judgement
from flowmine.engine.match import Bools
from flowmine.engine.policyset import PolicySet
from flowmine.engine.verdict import Outcome, SideJudgement
from flowmine.errors import PolicyError
from flowmine.policy.codec import from_dict
from flowmine.policy.model import Direction, Policy
from flowmine.policy.validate import is_accepted, validate

__all__ = ["Changed"]


@dataclass(frozen=True, slots=True)
class Changed:
    """A standpoint with the manifests of ``refs`` as they are to be; only policies with a say are judged."""

    here: Standpoint
    manifests: Mapping[str, Mapping[str, Any]]
    refs: frozenset[str]

    def is_accepted(self) -> bool:
        """Tell whether Cilium would take every changed manifest."""
        return all(is_accepted(list(validate(self.manifests[ref], unknown="prune"))) for ref in self.refs)

    def policies(self, places: Iterable[int] | None = None) -> PolicySet:
        """Return the changed set; with `places`, only what has a say in connections of these parties."""
        before = self.here.policies
        kept: Sequence[Policy] = before.policies
        if places is not None:
            kept = self.here.governed.relevant(kept, places)
        same = [policy for policy in kept if policy.ref not in self.refs]
        made = []
        for ref in sorted(self.refs):
            policy = from_dict(self.manifests[ref], "prune")
            if not isinstance(policy, Policy):
                raise PolicyError(f"{ref}: a change made it something else than a policy")
            made.append(policy)
        return PolicySet.from_policies([*same, *made], before.groups, before.config)

    def passes(self, pairs: Pairs, direction: Direction | None = None) -> Bools:
        """Tell of each pair whether it passes: both sides and all that is asked over it, or one side alone."""
        if not len(pairs):
            return np.zeros(0, np.bool_)
        return passing(self._judge(pairs), len(pairs), direction)

    def deny_rules(self, pairs: Pairs, direction: Direction) -> int:
        """Return by how many deny entries, summed over the pairs, a side is held closed."""
        judgement = self._judge(pairs)
        side = _side(judgement, direction)
        denied = side.outcome[side.question] == Outcome.DENY_RULE
        deciders = judgement.deciders(side, paths=True).to_pylist()
        return sum(len(by or ()) for by, wrong in zip(deciders, denied, strict=True) if wrong)

    def _judge(self, pairs: Pairs) -> Judgement:
        """Judge over the parties that take part alone."""
        places, numbers = np.unique(np.concatenate([pairs.source, pairs.destination]), return_inverse=True)
        people = self.here.people
        own = replace(pairs, source=numbers[: len(pairs)], destination=numbers[len(pairs) :])
        queries = own.queries(tuple(people.parties[place] for place in places.tolist()))
        return self.policies(places.tolist()).judge(queries)


def _side(judgement: Judgement, direction: Direction) -> SideJudgement:
    return judgement.egress if direction is Direction.EGRESS else judgement.ingress
