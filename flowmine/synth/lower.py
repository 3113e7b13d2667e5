"""From sets of ports and conditions to the items that a policy holds, within Cilium's limits."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache

from flowmine.policy.canonical import distinct
from flowmine.policy.model import (
    FqdnSelector,
    HttpRule,
    IcmpField,
    IcmpRule,
    L7Rules,
    Operator,
    PortProtocol,
    PortRule,
    Requirement,
    Selector,
)
from flowmine.ports import Interval, PortSet

__all__ = ["LIMIT", "icmp_rules", "join_selectors", "port_rules", "with_labels"]

LIMIT = 40
"""Ports in one `toPorts` item, and ICMP types in one rule (Cilium `pkg/policy/api` maxPorts, maxICMPFields)."""

_RANGES_FROM = (1, 16)
_SHORT = 2
_FAMILIES = {"ICMPv4": "IPv4", "ICMPv6": "IPv6"}


def port_rules(
    ports: PortSet,
    *,
    cilium: tuple[int, int] = (1, 19),
    dns: tuple[FqdnSelector, ...] | None = None,
    http: tuple[HttpRule, ...] | None = None,
) -> tuple[PortRule, ...]:
    """Return the ports as `toPorts` items, protocol always written, each with the same L7 rules.

    Ranges are written from Cilium 1.16 on, and port by port before; two neighbours always so.
    """
    rules = L7Rules(dns=dns, http=http) if dns or http else None
    items = [item for interval in ports.transport.intervals for item in _items(interval, cilium)]
    return tuple(PortRule(tuple(items[at : at + LIMIT]), rules=rules) for at in range(0, len(items), LIMIT))


def _items(interval: Interval, cilium: tuple[int, int]) -> Iterator[PortProtocol]:
    if len(interval) > _SHORT and cilium >= _RANGES_FROM:
        yield PortProtocol(str(interval.low), interval.protocol, interval.high)
        return
    for port in range(interval.low, interval.high + 1):
        yield PortProtocol(str(port), interval.protocol)


def icmp_rules(types: PortSet) -> tuple[IcmpRule, ...]:
    """Return ICMP types as `icmps` items, family always written.

    Type 0 is left out: Cilium takes it for every type (`pkg/policy/api/icmp.go` PortProtocol).
    """
    fields = [IcmpField(number, _FAMILIES[protocol]) for protocol, number in types.icmp if number]
    return tuple(IcmpRule(tuple(fields[at : at + LIMIT])) for at in range(0, len(fields), LIMIT))


@lru_cache(maxsize=65536)
def with_labels(selector: Selector, extra: tuple[tuple[str, str], ...]) -> Selector:
    """Return the selector with further labels demanded."""
    return Selector((*selector.match_labels, *extra), selector.match_expressions)


def join_selectors(selectors: Iterable[Selector]) -> tuple[Selector, ...]:
    """Join selectors that differ in the values of one key into one that lists them (In); lossless.

    >>> a, b = Selector.of({"app": "a", "x": "y"}), Selector.of({"app": "b", "x": "y"})
    >>> join_selectors([a, b])[0].match_expressions[0].values
    ('a', 'b')
    """
    given = {_conditions(each): each for each in selectors}
    found: Collection[_Conditions] = given.keys()
    while True:
        listed = {each: _listed(each) for each in found}
        counts = {key: _count(listed.values(), key) for key in sorted(set().union(*listed.values()))}
        best = min(counts, key=counts.__getitem__, default="")
        if not counts or counts[best] == len(found):
            plain = {each: own for each, own in given.items() if not own.match_expressions}
            return distinct(plain.get(each) or _selector(each) for each in found)
        found = _joined(listed, best)


_Conditions = frozenset[tuple[str, Operator, frozenset[str]]]
_Listed = Mapping[str, tuple[_Conditions, frozenset[str]]]


def _count(selectors: Iterable[_Listed], key: str) -> int:
    """Return how many selectors were left if all that differ in the values of this one key were joined."""
    mine = [each.get(key) for each in selectors]
    return mine.count(None) + len({each[0] for each in mine if each})


def _joined(selectors: Mapping[_Conditions, _Listed], key: str) -> set[_Conditions]:
    """Join all selectors that differ in the values of this one key."""
    groups: dict[_Conditions, list[frozenset[str]]] = defaultdict(list)
    found: set[_Conditions] = set()
    for conditions, listed in selectors.items():
        if key in listed:
            rest, values = listed[key]
            groups[rest].append(values)
        else:
            found.add(conditions)
    for rest, some in groups.items():
        found.add(rest | {(key, Operator.IN, frozenset().union(*some))})
    return found


@lru_cache(maxsize=8192)
def _listed(conditions: _Conditions) -> _Listed:
    """Return, by each key whose values a selector lists once, its other conditions and the values."""
    keys = [key for key, operator, _ in conditions if operator is Operator.IN]
    return {
        key: (conditions - {(key, operator, values)}, values)
        for key, operator, values in conditions
        if operator is Operator.IN and keys.count(key) == 1
    }


@lru_cache(maxsize=65536)
def _conditions(selector: Selector) -> _Conditions:
    labels = {(key, Operator.IN, frozenset([value])) for key, value in selector.match_labels}
    return frozenset(
        labels
        | {(each.key, Operator(each.operator), frozenset(each.values)) for each in selector.match_expressions}
    )


def _selector(conditions: _Conditions) -> Selector:
    labels = {}
    rest = []
    for key, operator, values in conditions:
        if operator is Operator.IN and len(values) == 1:
            labels[key] = next(iter(values))
        else:
            rest.append(Requirement(key, operator, tuple(values)))
    return Selector.of(labels, *rest)
