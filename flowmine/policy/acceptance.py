"""Whether many policies are taken, asked at once: what their peers ask for is checked once, however often written."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from flowmine.policy.model import Entry, Kind, Policy, Rule
from flowmine.policy.selector import EVERYTHING, Operator, Requirement, Selector
from flowmine.policy.validate import is_accepted, validate

__all__ = ["are_accepted"]

_EVERYWHERE = ("0.0.0.0/0",)


def are_accepted(policies: Iterable[Policy]) -> bool:
    """Tell whether all policies are taken, as `is_accepted` of `validate` would of each, and sooner.

    A label, a key and a value are good or not wherever a selector of peers holds them, and so is a CIDR, so that all of
    them stand for check in one policy of their own, and each policy is validated with peers that say nothing.
    """
    asked = _Asked()
    return all(is_accepted(validate(asked.without_peers(each))) for each in policies) and is_accepted(
        validate(asked.policy())
    )


class _Asked:
    """What peers ask for: CIDRs, and what their selectors do: labels, and by key and operator values."""

    def __init__(self) -> None:
        self._cidrs: set[str] = set()
        self._labels: set[tuple[str, str]] = set()
        self._values: dict[tuple[str, Operator | str, bool], set[str]] = defaultdict(set)

    def without_peers(self, policy: Policy) -> Policy:
        """Return the policy with empty selectors of peers and every address, having noted what they asked for."""
        return replace(policy, rules=tuple(map(self._rule, policy.rules)))

    def policy(self) -> Policy:
        """Return a policy that asks for all that was noted."""
        peers = [Selector((label,)) for label in self._labels]
        peers += [
            Selector((), (Requirement(key, operator, tuple(values)),))
            for (key, operator, _), values in self._values.items()
        ]
        entries = Entry(tuple(peers)), Entry(cidr=tuple(self._cidrs))
        return Policy(Kind.CNP, "asked", rules=(Rule(endpoint_selector=EVERYTHING, ingress=entries),))

    def _rule(self, rule: Rule) -> Rule:
        return replace(
            rule,
            ingress=self._entries(rule.ingress),
            ingress_deny=self._entries(rule.ingress_deny),
            egress=self._entries(rule.egress),
            egress_deny=self._entries(rule.egress_deny),
        )

    def _entries(self, entries: tuple[Entry, ...] | None) -> tuple[Entry, ...] | None:
        return None if entries is None else tuple(map(self._entry, entries))

    def _entry(self, entry: Entry) -> Entry:
        for selector in entry.endpoints or ():
            self._labels.update(selector.match_labels)
            for each in selector.match_expressions:
                self._values[each.key, each.operator, bool(each.values)].update(each.values)
        if not (entry.endpoints or entry.cidr):
            return entry
        self._cidrs.update(entry.cidr or ())
        peers = (EVERYTHING,) if entry.endpoints else entry.endpoints
        return replace(entry, endpoints=peers, cidr=_EVERYWHERE if entry.cidr else entry.cidr)
