"""The edges of a capture as the synthesis reads them: one link an edge, its ends resolved to workloads."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from flowmine.labels import UNKNOWN_ID
from flowmine.peers import Kind
from flowmine.schema import EDGES, check
from flowmine.synth.subjects import Workloads
from flowmine.synth.universe import Party, Universe

__all__ = ["Link", "Spot", "links"]

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
    "first",
    "last",
)


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """One end of a link, as policies can name it.

    ``workload`` is a pod's place among the workloads, -1 for all else; ``entity`` a reserved name other than world;
    ``ip`` an outside address. An end of which nothing is known has none of them.
    """

    workload: int = -1
    entity: str = ""
    ip: str = ""
    party: int = UNKNOWN_ID

    @property
    def key(self) -> tuple[int, str, str]:
        """What tells one end from another, whichever pod or identity of it was seen."""
        return (self.workload, self.entity, "" if self.entity or self.workload >= 0 else self.ip)


@dataclass(frozen=True, slots=True)
class Link:
    """One edge: who calls whom on which port (ICMP: with which type), how often, and what became of it."""

    row: int
    source: Spot
    target: Spot
    protocol: str
    port: int | None
    outcome: str
    events: int
    first: datetime | None
    last: datetime | None


def links(edges: pa.Table, universe: Universe, workloads: Workloads) -> Iterator[Link]:
    """Yield a link for every row of EDGES, in its order."""
    check(edges, EDGES, "edges")
    spots: dict[tuple[int, str | None], Spot] = {}

    def spot(identifier: int, ip: str | None) -> Spot:
        found = spots.get((identifier, ip))
        if found is None:
            found = spots[identifier, ip] = _spot(universe.party(identifier), ip, workloads)
        return found

    columns = edges.select(_COLUMNS)
    for place in ("first", "last"):
        at = columns.schema.get_field_index(place)
        columns = columns.set_column(at, place, columns[place].cast(pa.timestamp("us", tz="UTC"), safe=False))
    values = [columns[name].to_pylist() for name in _COLUMNS]
    for row, (
        source,
        target,
        protocol,
        port,
        source_ip,
        target_ip,
        outcome,
        events,
        delivered,
        first,
        last,
    ) in enumerate(zip(*values, strict=True)):
        yield Link(
            row=row,
            source=spot(source, source_ip),
            target=spot(target, target_ip),
            protocol=protocol,
            port=port,
            outcome=outcome,
            events=delivered or events,
            first=first,
            last=last,
        )


def _spot(party: Party | None, ip: str | None, workloads: Workloads) -> Spot:
    if party is None:
        return Spot(ip=ip or "")
    if party.kind is Kind.POD:
        return Spot(workload=workloads.of.get(party.id, -1), party=party.id)
    if party.kind is Kind.ENTITY:
        return Spot(entity=party.entity, ip=ip or "", party=party.id)
    return Spot(ip=ip or "", party=party.id)
