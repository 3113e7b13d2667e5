"""From sets of ports and conditions to the items that a policy holds, within Cilium's limits."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

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

__all__ = [
    "LIMIT",
    "Apart",
    "icmp_rules",
    "join_selectors",
    "joined",
    "port_rules",
    "taken_apart",
    "with_labels",
]

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
    return joined(map(taken_apart, selectors))


_Conditions = frozenset[tuple[str, Operator, frozenset[str]]]
_Listed = Mapping[str, tuple[_Conditions, frozenset[str]]]
"""By each key whose values a selector lists once: its other conditions, and the values."""


class Apart(NamedTuple):
    """A selector taken apart, to be joined with others."""

    whole: Selector
    conditions: _Conditions
    listed: _Listed


def joined(selectors: Iterable[Apart]) -> tuple[Selector, ...]:
    """Return what `join_selectors` does, of selectors that were taken apart."""
    given: dict[_Conditions, Selector] = {}
    found: dict[_Conditions, _Listed] = {}
    for each in selectors:
        given[each.conditions], found[each.conditions] = each.whole, each.listed
    last = ""  # by which all that can be joined were
    while True:
        counts = _counts(found, last)
        best = min(sorted(counts), key=counts.__getitem__, default="")
        if not counts or counts[best] == len(found):
            return distinct([_written(each, given.get(each)) for each in found])
        found = _joined(found, best)
        last = best


def _counts(selectors: Mapping[_Conditions, _Listed], last: str) -> dict[str, int]:
    """Return by key, but the last, how many selectors were left if all that differ in the values of this one key were joined."""
    groups: dict[str, list[_Conditions]] = defaultdict(list)
    for listed in selectors.values():
        for key, (rest, _) in listed.items():
            groups[key].append(rest)
    groups.pop(last, None)
    return {key: len(selectors) - len(some) + len(set(some)) for key, some in groups.items()}


def _joined(selectors: Mapping[_Conditions, _Listed], key: str) -> dict[_Conditions, _Listed]:
    """Join all selectors that differ in the values of this one key."""
    groups: dict[_Conditions, list[_Conditions]] = defaultdict(list)
    found: dict[_Conditions, _Listed] = {}
    for conditions, listed in selectors.items():
        if key in listed:
            groups[listed[key][0]].append(conditions)
        else:
            found[conditions] = listed
    for rest, some in groups.items():
        if len(some) == 1:
            found[some[0]] = selectors[some[0]]
        else:
            values = frozenset().union(*[selectors[each][key][1] for each in some])
            joined = rest | {(key, Operator.IN, values)}
            found[joined] = _listed(joined)
    return found


@lru_cache(maxsize=65536)
def taken_apart(selector: Selector) -> Apart:
    """Return a selector taken apart; what several have in common is one object, which is found sooner."""
    labels = {(key, Operator.IN, frozenset([value])) for key, value in selector.match_labels}
    more = {
        (each.key, Operator(each.operator), frozenset(each.values)) for each in selector.match_expressions
    }
    conditions = frozenset(labels | more)
    listed = {key: (_same(rest), values) for key, (rest, values) in _listed(conditions).items()}
    return Apart(selector, conditions, listed)


@lru_cache(maxsize=65536)
def _same(conditions: _Conditions) -> _Conditions:
    return conditions


def _listed(conditions: _Conditions) -> _Listed:
    keys = [key for key, operator, _ in conditions if operator is Operator.IN]
    return {
        each[0]: (conditions.difference((each,)), each[2])
        for each in conditions
        if each[1] is Operator.IN and keys.count(each[0]) == 1
    }


def _written(conditions: _Conditions, given: Selector | None) -> Selector:
    """Return conditions as a selector: the one that was given, if it has labels alone."""
    return given if given is not None and not given.match_expressions else _selector(conditions)


def _selector(conditions: _Conditions) -> Selector:
    labels = {}
    rest = []
    for key, operator, values in conditions:
        if operator is Operator.IN and len(values) == 1:
            labels[key] = next(iter(values))
        else:
            rest.append(Requirement(key, operator, tuple(values)))
    return Selector(tuple(labels.items()), tuple(rest))
