"""Whom each subject talks to, by side: the links of a capture gathered under the workload that a rule would be for."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from ipaddress import ip_address
from itertools import chain

import pyarrow as pa

from flowmine.policy.model import Direction
from flowmine.ports import ICMP, TRANSPORTS, PortSet
from flowmine.synth.outside import OutsideEnd
from flowmine.synth.subjects import Workloads
from flowmine.synth.traffic import HOST, Link, Spot, SpotKey
from flowmine.synth.universe import Universe

__all__ = [
    "Contacts",
    "Peer",
    "address_names",
    "canonical_ip",
    "gather",
    "is_expressible",
    "listeners",
    "rows_of",
]

Port = tuple[str, int]

_FEW = 2  # Ports of one workload that a caller uses where they are services of their own.
_VISIT = 3_600_000_000_000  # Nanoseconds that a use of one port chosen for it may last.


class Peer:
    """One peer of a subject on one side: the edges (rows of EDGES) behind each port, and how many events they are."""

    __slots__ = ("events", "rows")

    def __init__(self, rows: Mapping[Port, list[int]] | None = None, events: int = 0) -> None:
        """Take what is known of the peer."""
        self.rows: dict[Port, list[int]] = {} if rows is None else {**rows}
        self.events = events

    @property
    def ports(self) -> PortSet:
        """All ports of the peer."""
        return _port_set(tuple(self.rows))

    def part(self, chosen: frozenset[int], *, wanted: bool) -> "Peer | None":
        """Return the peer with only the rows that are among the chosen ones (or only the others); None where none are."""
        kept: dict[Port, list[int]] = {}
        for port, rows in self.rows.items():
            some = [row for row in rows if (row in chosen) is wanted]
            if some:
                kept[port] = some
        return Peer(kept, self.events) if kept else None

    def all_rows(self) -> list[int]:
        """Return the rows of all ports."""
        return [row for rows in self.rows.values() for row in rows]


def rows_of(peers: Iterable[Peer]) -> Iterator[int]:
    """Yield the rows of all ports of all of these peers."""
    return chain.from_iterable(chain.from_iterable([peer.rows.values() for peer in peers]))


@lru_cache(maxsize=65536)
def _port_set(ports: tuple[Port, ...]) -> PortSet:
    return PortSet.of(ports)


@dataclass(slots=True)
class Contacts:
    """One side of one subject: its peers by workload, by entity and by outside address."""

    workloads: dict[int, Peer] = field(default_factory=partial(defaultdict, Peer))
    entities: dict[str, Peer] = field(default_factory=partial(defaultdict, Peer))
    outside: dict[str, Peer] = field(default_factory=partial(defaultdict, Peer))

    @classmethod
    def of(cls, direction: Direction, links: Iterable[Link]) -> "Contacts":
        """Return the contacts that links of one side of a subject are."""
        found = cls()
        outward = direction is Direction.EGRESS
        for link in links:
            other = link.target if outward else link.source
            if not outward and other.is_own_node:
                other = replace(other, entity=HOST)
            found.add(other, link)
        return found

    def add(self, other: Spot, link: Link) -> None:
        """Count a link under its other end, which a policy must be able to name."""
        if other.workload >= 0:
            peer = self.workloads[other.workload]
        elif other.entity:
            peer = self.entities[other.entity]
        else:
            peer = self.outside[canonical_ip(other.ip)]
        row, _, _, protocol, port, _, events, _, _, _ = link
        key = protocol, port or 0
        if key in peer.rows:
            peer.rows[key].append(row)
        else:
            peer.rows[key] = [row]
        peer.events += events

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no peer at all."""
        return not (self.workloads or self.entities or self.outside)

    def split(self, rows: frozenset[int]) -> tuple["Contacts", "Contacts"]:
        """Return the contacts by these edges, and the rest."""
        chosen, rest = Contacts(), Contacts()
        own = rows.intersection(
            rows_of(chain(self.workloads.values(), self.entities.values(), self.outside.values()))
        )
        if not own:
            return chosen, self
        for kind in ("workloads", "entities", "outside"):
            for name, peer in getattr(self, kind).items():
                if all(map(own.isdisjoint, peer.rows.values())):
                    getattr(rest, kind)[name] = peer
                    continue
                for part, wanted in ((chosen, True), (rest, False)):
                    if some := peer.part(own, wanted=wanted):
                        getattr(part, kind)[name] = some
        return chosen, rest

    def ends(self, names: Mapping[str, tuple[str, ...]]) -> list[OutsideEnd]:
        """Return the outside addresses as `outside` wants them; ``names`` are those the subject asked for."""
        return [
            OutsideEnd(ip, peer.ports, names.get(ip, ()), events=peer.events)
            for ip, peer in sorted(self.outside.items())
        ]


def gather(
    links: Iterable[Link], closed: Mapping[int, frozenset[Direction]]
) -> dict[tuple[int, Direction], list[Link]]:
    """Gather links under each closed side of each subject: a link may count on both sides, for both ends need a rule."""
    found: dict[tuple[int, Direction], list[Link]] = {
        (workload, side): [] for workload, sides in closed.items() for side in sides
    }
    outward, inward = (
        {workload: some for (workload, side), some in found.items() if side is wanted}
        for wanted in (Direction.EGRESS, Direction.INGRESS)
    )
    for link in links:
        if (some := outward.get(link.source.workload)) is not None:
            some.append(link)
        if (some := inward.get(link.target.workload)) is not None:
            some.append(link)
    return found


def listeners(links: Iterable[Link]) -> dict[int, PortSet]:
    """Return the ports on which each workload was reached that may be one listener's choice (see `ranges`).

    Left out are ports of which every caller keeps to its own: one that used a port or two of the workload, over more
    than an hour, calls services of their own there, and the ports of other callers are none of its business.
    """
    callers: dict[tuple[int, SpotKey], list[Link]] = defaultdict(list)
    for link in links:
        if link.target.workload >= 0 and link.protocol in TRANSPORTS and link.port is not None:
            callers[link.target.workload, link.source.key].append(link)
    ports: dict[int, set[Port]] = defaultdict(set)
    for (workload, _), used in callers.items():
        chosen = {(link.protocol, link.port or 0) for link in used}
        kept = [(link.protocol, link.port or 0) for link in used if len(chosen) > _FEW or not _lasts(link)]
        ports[workload].update(kept)
    return {workload: PortSet.of(seen) for workload, seen in ports.items()}


def _lasts(link: Link) -> bool:
    return link.first is not None and link.last is not None and link.last - link.first > _VISIT


def address_names(
    names: pa.Table, universe: Universe, workloads: Workloads
) -> dict[int, dict[str, tuple[str, ...]]]:
    """Return, for each workload, the names that its own pods asked for when they got an address (NAMES)."""
    found: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    columns = (names.column(name).to_pylist() for name in ("subject", "ip", "name"))
    for subject, ip, name in zip(*columns, strict=True):
        party = universe.party(subject)
        workload = workloads.of.get(party.id, -1) if party else -1
        if workload >= 0 and ip and name:
            found[workload][canonical_ip(ip)].add(name)
    return {
        workload: {ip: tuple(sorted(asked)) for ip, asked in by_ip.items()}
        for workload, by_ip in found.items()
    }


def is_expressible(link: Link) -> bool:
    """Tell whether a rule can name the link's protocol and port (ICMP type 0 would open every type)."""
    if link.protocol in ICMP:
        return bool(link.port)
    return link.protocol in TRANSPORTS and link.port is not None


@lru_cache(maxsize=131072)
def canonical_ip(ip: str) -> str:
    """Return an address as it is written everywhere here: shortest, IPv4 not mapped into IPv6; other text as it is."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ip
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
