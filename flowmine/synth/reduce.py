"""Fewer entries with the same verdicts: only what a union of entries means anyway is joined.

| two entries                                            | become one with |
|--------------------------------------------------------|-----------------|
| equal ports or ICMP types, peers of one kind           | both peers      |
| equal peers, ports without rules for requests          | both ports      |

An entry that matches nothing (an empty list), denies, asks for authentication or names groups or services stays as it is.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from flowmine.policy.model import Entry, PortRule
from flowmine.synth.lower import LIMIT

__all__ = ["reduce_entries"]

T = TypeVar("T")

_KINDS = ("endpoints", "entities", "cidr", "cidr_set", "fqdns", "nodes")


def reduce_entries(items: Sequence[tuple[Entry, T]], join: Callable[[T, T], T]) -> list[tuple[Entry, T]]:
    """Join allow entries of one direction as the table says; ``join`` makes one of what belongs to two that are joined.

    An entry stands where the first of those that became it stood.
    """
    found = list(items)
    for key, merge in ((_by_ports, _with_peers), (_by_peers, _with_ports)):
        found = _joined(found, key, merge, join)
    return found


def _joined(
    items: Iterable[tuple[Entry, T]],
    key: Callable[[Entry], Hashable | None],
    merge: Callable[[Entry, Entry], Entry],
    join: Callable[[T, T], T],
) -> list[tuple[Entry, T]]:
    places: dict[Hashable, int] = {}
    found: list[tuple[Entry, T]] = []
    for entry, belongs in items:
        name = key(entry)
        if name is not None and name in places:
            before, other = found[places[name]]
            found[places[name]] = (merge(before, entry), join(other, belongs))
            continue
        if name is not None:
            places[name] = len(found)
        found.append((entry, belongs))
    return found


def _kind(entry: Entry) -> str | None:
    """Return the one kind of peer of an entry that is a plain union over peers and ports; None for others."""
    given = [name for name in _KINDS if getattr(entry, name) is not None]
    odd = (entry.services, entry.groups, entry.requires, entry.authentication)
    if len(given) != 1 or not getattr(entry, given[0]) or any(each is not None for each in odd):
        return None
    return given[0]


def _by_ports(entry: Entry) -> Hashable | None:
    kind = _kind(entry)
    return None if kind is None else (kind, entry.to_ports, entry.icmps)


def _with_peers(entry: Entry, other: Entry) -> Entry:
    kind = _kind(entry)
    if kind is None:
        return entry
    both: dict[str, Any] = {kind: (*getattr(entry, kind), *getattr(other, kind))}
    return replace(entry, **both)


def _by_peers(entry: Entry) -> Hashable | None:
    kind = _kind(entry)
    if (
        kind is None
        or entry.icmps is not None
        or not entry.to_ports
        or not all(map(_is_plain, entry.to_ports))
    ):
        return None
    return kind, getattr(entry, kind)


def _is_plain(rule: PortRule) -> bool:
    return bool(rule.ports) and rule == PortRule(rule.ports)


def _with_ports(entry: Entry, other: Entry) -> Entry:
    ports = dict.fromkeys(
        port for rule in (*(entry.to_ports or ()), *(other.to_ports or ())) for port in rule.ports
    )
    listed = PortRule(tuple(ports)).ports
    items = (listed[place : place + LIMIT] for place in range(0, len(listed), LIMIT))
    return replace(entry, to_ports=tuple(PortRule(each) for each in items))
