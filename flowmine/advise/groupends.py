"""The two ends of a group of edges: what they are grouped by, and what they are called."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from flowmine.advise.recorded import Recorded
from flowmine.engine.columns import distinct, numbered
from flowmine.engine.index import Ints
from flowmine.engine.queries import NONE
from flowmine.synth.traffic import Spot

__all__ = ["End", "Ends", "Key", "end_key", "end_of", "ends_of", "key_of"]

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
    if not _is_outside(spot):
        return key_of(spot)
    return ("outside", known.names_of(other.party, spot.ip))


def _is_outside(spot: Spot) -> bool:
    """Tell whether an end goes by what its other end calls it."""
    return spot.is_nameable and spot.workload < 0 and not spot.entity


def end_of(known: Recorded, spots: Sequence[tuple[Spot, Spot]]) -> End:
    """Return an end of a group, from the spots there, each with its other end."""
    first, other = spots[0]
    party = known.scene.universe.party(first.party)
    addresses = tuple(dict.fromkeys(spot.ip for spot, _ in spots if spot.ip))
    if not _is_outside(first):
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


@dataclass(frozen=True, slots=True)
class _Spots:
    """The distinct ends on one side of many edges, and by edge which of them."""

    distinct: tuple[Spot, ...]
    number: Ints


class Ends:
    """One end of many edges, by their places: `key` numbers what each is grouped by there (`end_key`)."""

    def __init__(self, known: Recorded, own: _Spots, other: _Spots) -> None:
        """Number what the edges are grouped by at their own end, each pair of ends once."""
        self._known, self._own, self._other = known, own, other
        self._made: dict[tuple[int, ...], End] = {}
        outside = np.array([_is_outside(spot) for spot in own.distinct], np.bool_)
        first, pair = distinct(own.number, np.where(outside[own.number], other.number, NONE))
        keys: dict[tuple[Any, ...], int] = {}
        pairs = zip(own.number[first].tolist(), other.number[first].tolist(), strict=True)
        numbers = [
            keys.setdefault(end_key(known, own.distinct[spot], other.distinct[beside]), len(keys))
            for spot, beside in pairs
        ]
        self.key: Ints = np.array(numbers, np.int64)[pair]

    def of(self, places: Sequence[int]) -> End:
        """Return the end of a group of edges, those of one key; the same one where the same was seen there."""
        seen = dict.fromkeys(map(self._own.number.item, places))
        group = (int(self.key[places[0]]), *seen)
        found = self._made.get(group)
        if found is None:
            beside = self._other.distinct[self._other.number[places[0]]]
            spots = [(self._own.distinct[spot], beside) for spot in seen]
            found = self._made[group] = end_of(self._known, spots)
        return found


def ends_of(known: Recorded, rows: Ints) -> tuple[Ends, Ends]:
    """Return the source and the target of edges (rows of EDGES)."""
    table, numbers = known.edges.edges, rows.tolist()
    source, target = (
        distinct(*(numbered(table[f"{end}{part}"].take(pa.array(rows)))[0] for part in ("", "_ip")))
        for end in ("initiator", "responder")
    )
    sources = _Spots(tuple(known.links[numbers[place]].source for place in source[0].tolist()), source[1])
    targets = _Spots(tuple(known.links[numbers[place]].target for place in target[0].tolist()), target[1])
    return Ends(known, sources, targets), Ends(known, targets, sources)
