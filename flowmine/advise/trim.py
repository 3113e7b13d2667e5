"""A recommended entry cut down to what is missing of it, so that it opens nothing that a person's own rules narrow.

An allow without HTTP rules beside one that has them for the same peer and port lets every request through (SEMANTICS 29),
and names likewise: what a person's rules cover already must not be written again, wider.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeVar

from flowmine.policy.model import (
    Entry,
    FqdnSelector,
    IcmpRule,
    L7Rules,
    Operator,
    PortProtocol,
    PortRule,
    Requirement,
    Selector,
)
from flowmine.synth.dns import EVERY_NAME
from flowmine.synth.lower import LIMIT, join_selectors

__all__ = ["Part", "joined", "parts", "with_names"]

T = TypeVar("T")

_KINDS = ("endpoints", "entities", "cidr", "cidr_set", "fqdns", "services", "nodes", "groups")
_MOST = 256
"""Selectors that one is taken apart into; one that means more combinations of values stays whole."""


@dataclass(frozen=True, slots=True)
class Part:
    """One peer of an entry on one of its ports, as an entry of its own; `peer` and `port` number them."""

    peer: int
    port: int
    entry: Entry


def parts(entry: Entry) -> tuple[Part, ...]:
    """Return the entry taken apart: one peer, one value of each label, one port or ICMP type in each part."""
    return tuple(
        Part(peer, port, replace(peers, to_ports=ports.to_ports, icmps=ports.icmps))
        for peer, peers in enumerate(_peers(entry))
        for port, ports in enumerate(_ports(entry))
    )


def joined(entry: Entry, kept: Collection[Part]) -> tuple[Entry, ...]:
    """Return the parts kept as few entries: peers with the same ports together, in the order of the entry.

    With all parts it is the entry itself.
    """
    if len(kept) == len(parts(entry)):
        return (entry,)
    ports_of: dict[int, set[int]] = defaultdict(set)
    for part in kept:
        ports_of[part.peer].add(part.port)
    groups: dict[frozenset[int], list[int]] = defaultdict(list)
    for peer in sorted(ports_of):
        groups[frozenset(ports_of[peer])].append(peer)
    peers, ports = list(_peers(entry)), list(_ports(entry))
    return tuple(
        _with_ports(
            _with_peers(entry, [peers[each] for each in members]), [ports[each] for each in sorted(chosen)]
        )
        for chosen, members in groups.items()
    )


def with_names(entry: Entry, missing: Collection[str]) -> Entry:
    """Return a DNS entry that lets only the missing names be asked for, where its own rules let any."""

    def narrow(rule: FqdnSelector) -> Iterator[FqdnSelector]:
        if rule == EVERY_NAME:
            yield from (FqdnSelector(match_name=name) for name in sorted(missing))
        else:
            yield rule

    def changed(item: PortRule) -> PortRule:
        if item.rules is None or not item.rules.dns:
            return item
        dns = tuple(each for rule in item.rules.dns for each in narrow(rule))
        return replace(item, rules=L7Rules(dns=dns))

    return replace(entry, to_ports=tuple(map(changed, entry.to_ports or ())))


def _kind(entry: Entry) -> str | None:
    return next((name for name in _KINDS if getattr(entry, name) is not None), None)


def _peers(entry: Entry) -> Iterator[Entry]:
    """Yield an entry of peers alone for each peer; one for an entry that is for anybody."""
    kind = _kind(entry)
    if kind is None:
        yield replace(entry, to_ports=None, icmps=None)
        return
    items: list[Any] = list(getattr(entry, kind))
    if kind == "endpoints":
        items = [one for selector in items for one in _apart(selector)]
    for item in items:
        only: dict[str, Any] = {kind: (item,), "to_ports": None, "icmps": None}
        yield replace(entry, **only)


def _apart(selector: Selector) -> list[Selector]:
    """Return the selectors, one value for each label, that one with several values stands for."""
    several = [
        each for each in selector.match_expressions if each.operator == Operator.IN and len(each.values) > 1
    ]
    rest = tuple(each for each in selector.match_expressions if each not in several)
    options = [[(each.key, value) for value in each.values] for each in several]
    count = 1
    for some in options:
        count *= len(some)
    if count > _MOST:
        return [selector]
    return [_selector(selector, rest, labels) for labels in product(*options)]


def _selector(
    selector: Selector, rest: tuple[Requirement, ...], labels: tuple[tuple[str, str], ...]
) -> Selector:
    """Return the selector with these labels; a key that it names already stays an expression, for both must hold."""
    known = {key for key, _ in selector.match_labels}
    plain = {key: value for key, value in labels if key not in known}
    expressions = [
        Requirement(key, Operator.IN, (value,)) for key, value in labels if plain.get(key) != value
    ]
    return Selector((*selector.match_labels, *plain.items()), (*rest, *expressions))


def _ports(entry: Entry) -> Iterator[Entry]:
    """Yield an entry of ports alone for each port or ICMP type; one for an entry that has neither."""
    if entry.to_ports is None and entry.icmps is None:
        yield Entry()
    for item in entry.to_ports or ():
        for port in item.ports:
            yield Entry(to_ports=(replace(item, ports=(port,)),))
    for rule in entry.icmps or ():
        for field in rule.fields:
            yield Entry(icmps=(IcmpRule((field,)),))


def _with_peers(entry: Entry, peers: list[Entry]) -> Entry:
    kind = _kind(entry)
    if kind is None:
        return entry
    items = tuple(item for each in peers for item in getattr(each, kind))
    only: dict[str, Any] = {kind: join_selectors(items) if kind == "endpoints" else items}
    return replace(entry, **only)


def _with_ports(entry: Entry, ports: list[Entry]) -> Entry:
    items: dict[PortRule, list[PortProtocol]] = {}
    for each in ports:
        for item in each.to_ports or ():
            items.setdefault(replace(item, ports=()), []).extend(item.ports)
    fields = tuple(field for each in ports for rule in each.icmps or () for field in rule.fields)
    return replace(
        entry,
        to_ports=tuple(replace(item, ports=some) for item, every in items.items() for some in _chunks(every))
        or None,
        icmps=tuple(map(IcmpRule, _chunks(fields))) or None,
    )


def _chunks(items: Sequence[T]) -> Iterator[tuple[T, ...]]:
    for at in range(0, len(items), LIMIT):
        yield tuple(items[at : at + LIMIT])
