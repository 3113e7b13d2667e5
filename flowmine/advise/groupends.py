"""The two ends of a group of edges: what they are grouped by, and what they are called."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flowmine.advise.recorded import Recorded
from flowmine.synth.traffic import Spot

__all__ = ["End", "Key", "end_key", "end_of", "key_of"]

Key = tuple[str, str | int, str | int]

_NAMED = 3


@dataclass(frozen=True, slots=True)
class End:
    """One end of a group: what it is called, and what labels, addresses and names were seen."""

    title: str
    namespace: str = ""
    labels: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    outside: bool = False
    known: bool = True


def key_of(spot: Spot) -> Key:
    """Return what an end is by itself: a workload, an entity (a node by its labels), an address."""
    if spot.workload >= 0:
        return ("workload", spot.workload, "")
    if spot.entity:
        return ("entity", spot.entity, spot.party if spot.entity == "host" else spot.cluster)
    return ("address", spot.ip, "" if spot.ip else spot.party)


def end_key(known: Recorded, spot: Spot, other: Spot) -> tuple[Any, ...]:
    """Return what an end is grouped by: a workload, an entity, the names asked for, or all of the nameless outside."""
    if not spot.is_nameable or spot.workload >= 0 or spot.entity:
        return key_of(spot)
    return ("outside", known.names_of(other.party, spot.ip))


def end_of(known: Recorded, spots: Sequence[tuple[Spot, Spot]]) -> End:
    """Return an end of a group, from the spots there, each with its other end."""
    first, other = spots[0]
    party = known.scene.universe.party(first.party)
    addresses = tuple(dict.fromkeys(spot.ip for spot, _ in spots if spot.ip))
    if first.workload >= 0 or first.entity or not first.is_nameable:
        workload = known.scene.workloads.items[first.workload] if first.workload >= 0 else None
        labels = tuple(sorted({str(label) for label in party.labels})) if party else ()
        return End(
            known.title(first),
            workload.namespace if workload else "",
            labels,
            addresses,
            known=first.is_nameable,
        )
    names = known.names_of(other.party, first.ip)
    title = ", ".join(names[:_NAMED]) + (f" (+{len(names) - _NAMED})" if len(names) > _NAMED else "")
    if not names:
        title = addresses[0] if len(addresses) == 1 else f"world ({len(addresses):,} addresses)"
    return End(title, "", (), addresses, names, outside=True)
