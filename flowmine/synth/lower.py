"""From sets of ports and conditions to the items that a policy holds, within Cilium's limits."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache

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


def with_labels(selector: Selector, extra: Iterable[tuple[str, str]]) -> Selector:
    """Return the selector with further labels demanded."""
    return Selector((*selector.match_labels, *extra), selector.match_expressions)


def join_selectors(selectors: Iterable[Selector]) -> tuple[Selector, ...]:
    """Join selectors that differ in the values of one key into one that lists them (In); lossless.

    >>> a, b = Selector.of({"app": "a", "x": "y"}), Selector.of({"app": "b", "x": "y"})
    >>> join_selectors([a, b])[0].match_expressions[0].values
    ('a', 'b')
    """
    found = frozenset(map(_values, selectors))
    while True:
        keys = sorted(
            {key for conditions in found for key, operator, _ in conditions if operator is Operator.IN}
        )
        joined = [each for key in keys if len(each := _joined(found, key)) < len(found)]
        if not joined:
            return tuple(sorted(map(_selector, found), key=str))
        found = min(joined, key=len)


_Conditions = frozenset[tuple[str, Operator, frozenset[str]]]


def _joined(selectors: frozenset[_Conditions], key: str) -> frozenset[_Conditions]:
    """Join all selectors that differ in the values of this one key."""
    groups: dict[_Conditions, set[str]] = defaultdict(set)
    kept: set[_Conditions] = set()
    for conditions in selectors:
        mine = [each for each in conditions if each[0] == key and each[1] is Operator.IN]
        if mine:
            groups[conditions.difference(mine)] |= mine[0][2]
        else:
            kept.add(conditions)
    return frozenset(kept | {rest | {(key, Operator.IN, frozenset(some))} for rest, some in groups.items()})


@lru_cache(maxsize=65536)
def _values(selector: Selector) -> _Conditions:
    labels = {(key, Operator.IN, frozenset([value])) for key, value in selector.match_labels}
    return frozenset(
        labels
        | {(each.key, Operator(each.operator), frozenset(each.values)) for each in selector.match_expressions}
    )


def _selector(conditions: _Conditions) -> Selector:
    labels = {}
    rest = []
    for key, operator, values in sorted(conditions, key=lambda each: (each[0], str(each[1]))):
        if operator is Operator.IN and len(values) == 1:
            labels[key] = next(iter(values))
        else:
            rest.append(Requirement(key, operator, tuple(values)))
    return Selector.of(labels, *rest)
