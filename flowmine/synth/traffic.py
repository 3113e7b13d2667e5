"""The edges of a capture as the synthesis reads them: one link an edge, its ends resolved to workloads."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

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

_COLUMNS = (
    "initiator",
    "responder",
    "protocol",
    "port",
    "initiator_ip",
    "responder_ip",
    "outcome",
    "events",
    "delivered",
    "refused",
    "first",
    "last",
)


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

    words: dict[str, str] = {}
    for row, (source, target, protocol, port, source_ip, target_ip, *rest) in enumerate(_values(edges)):
        outcome, events, delivered, refused, first, last = rest
        yield Link(
            row,
            spot(source, source_ip),
            spot(target, target_ip),
            words.setdefault(protocol, protocol),
            port,
            words.setdefault(outcome, outcome),
            delivered or events,
            first,
            last,
            refused > 0,
        )


def _values(edges: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Yield the values of each row in `_COLUMNS`, times in nanoseconds, made a part of the rows at a time."""
    columns = edges.select(_COLUMNS)
    for place in ("first", "last"):
        times = columns[place].cast(pa.int64())
        columns = columns.set_column(columns.schema.get_field_index(place), place, times)
    for batch in columns.to_batches(_AT_ONCE):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


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
