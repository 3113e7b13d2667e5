"""The edges of a capture as the synthesis reads them: one link an edge, its ends resolved to workloads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from sys import intern
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowmine.labels import UNKNOWN_ID
from flowmine.peers import Kind, entities_of
from flowmine.schema import EDGES, check
from flowmine.synth.cidrs import address
from flowmine.synth.subjects import Workloads
from flowmine.synth.universe import Party, Universe

__all__ = ["HOST", "Link", "Spot", "SpotKey", "links"]

HOST = "host"
"""The entity of a pod's own node, which may always call it; on a control plane it is kube-apiserver as well."""

_AT_ONCE = 65_536

SpotKey = tuple[str, int, str, str]


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """One end of a link, as policies can name it.

    ``cluster`` is where it was seen; ``workload`` is a pod's place among the workloads, -1 for all else; ``entity`` a reserved name other than world;
    ``ip`` an outside address, ``is_own_node`` whether it is (also) the host of the other end. An end that came without labels, or an outside one without an address, has none of
    them: it is never made into a selector.
    """

    workload: int = -1
    entity: str = ""
    ip: str = ""
    party: int = UNKNOWN_ID
    cluster: str = ""
    is_own_node: bool = False
    key: SpotKey = field(init=False, compare=False, repr=False)
    """What tells one end from another, whichever pod or identity of it was seen."""

    def __post_init__(self) -> None:
        ip = "" if self.entity or self.workload >= 0 else self.ip
        object.__setattr__(self, "key", (self.cluster, self.workload, self.entity, ip))

    @property
    def is_nameable(self) -> bool:
        """Tell whether a policy can name this end."""
        return self.workload >= 0 or bool(self.entity or self.ip)


class Link(NamedTuple):
    """One edge: who calls whom on which port (ICMP: with which type), how often, and what became of it.

    ``first`` and ``last`` are nanoseconds since the epoch. It is a tuple because there are as many as edges.
    """

    row: int
    source: Spot
    target: Spot
    protocol: str
    port: int | None
    outcome: str
    events: int
    first: int | None
    last: int | None
    refused: bool = False

    @property
    def in_vain(self) -> bool:
        """Tell whether it came to nothing: not delivered, or nothing listened there."""
        return self.refused or self.outcome != "delivered"


def links(edges: pa.Table, universe: Universe, workloads: Workloads) -> Iterator[Link]:
    """Yield a link for every row of EDGES, in its order."""
    check(edges, EDGES, "edges")
    spots: dict[tuple[int, str | None], Spot] = {}

    def spot(identifier: int, ip: str | None) -> Spot:
        found = spots.get((identifier, ip))
        if found is None:
            found = spots[identifier, ip] = _spot(universe.party(identifier), ip, workloads)
        return found

    row = 0
    for batch in edges.to_batches(_AT_ONCE):
        sources, targets = (_spots(batch, end, spot) for end in ("initiator", "responder"))
        protocols, outcomes = (_words(batch[name]) for name in ("protocol", "outcome"))
        times = (batch[name].cast(pa.int64()).to_pylist() for name in ("first", "last"))
        counts = (batch[name].to_pylist() for name in ("port", "events", "delivered", "refused"))
        for source, target, protocol, outcome, first, last, port, events, delivered, refused in zip(
            sources, targets, protocols, outcomes, *times, *counts, strict=True
        ):
            count = delivered or events
            yield Link(row, source, target, protocol, port, outcome, count, first, last, refused > 0)
            row += 1


def _spots(batch: pa.RecordBatch, end: str, spot: Callable[[int, str | None], Spot]) -> list[Spot]:
    """Return the spot at one end of each row, asked for once for all rows with the same endpoint and address."""
    (identifier, identifiers), (ip, ips) = (_coded(batch[name]) for name in (end, f"{end}_ip"))
    distinct, place = np.unique(identifier * len(ips) + ip, return_inverse=True)
    found = [spot(identifiers[one // len(ips)], ips[one % len(ips)]) for one in distinct.tolist()]
    return [found[each] for each in place.tolist()]


def _words(column: pa.Array) -> list[str]:
    """Return texts of which there are few: equal ones are one object."""
    codes, values = _coded(column)
    words = [value and intern(value) for value in values]
    return [words[code] for code in codes.tolist()]


def _coded(column: pa.Array) -> tuple[NDArray[np.int64], list[Any]]:
    """Return each value's place among the distinct ones, and these; null is the last of them."""
    coded = column.dictionary_encode()
    values = [*coded.dictionary.to_pylist(), None]
    codes = pc.fill_null(coded.indices.cast(pa.int64()), len(values) - 1)
    return codes.to_numpy(zero_copy_only=False), values


def _spot(party: Party | None, ip: str | None, workloads: Workloads) -> Spot:
    if party is None:
        return Spot()
    if party.kind is Kind.POD:
        return Spot(workload=workloads.of.get(party.id, -1), party=party.id, cluster=party.cluster)
    if party.kind is Kind.ENTITY:
        own = HOST in entities_of(party.labels)
        return Spot(-1, party.entity, ip or "", party.id, party.cluster, own)
    if party.kind is Kind.OUTSIDE:
        return Spot(ip=ip if ip and address(ip) else "", party=party.id, cluster=party.cluster)
    return Spot(party=party.id, cluster=party.cluster)
