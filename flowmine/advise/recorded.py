"""A capture as advice is given on it: who there is, who called whom, what names were asked for, and what was noise."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from flowmine.edges import Edges
from flowmine.synth.contacts import address_names, canonical_ip
from flowmine.synth.dns import dns_rows
from flowmine.synth.framing import Scene, look
from flowmine.synth.noise import Noise, find_noise
from flowmine.synth.options import Options
from flowmine.synth.traffic import Link, Spot, links

__all__ = ["Recorded", "recorded"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a capture shows.

    `links` has one link a row of EDGES; `names` are by workload and address; `denied_requests` are rows of REQUESTS by row
    of EDGES.
    """

    edges: Edges
    scene: Scene
    links: tuple[Link, ...]
    names: Mapping[int, Mapping[str, tuple[str, ...]]]
    noise: tuple[Noise, ...]
    denied_requests: Mapping[int, tuple[int, ...]]

    def request(self, row: int) -> tuple[str, str, str]:
        """Return the method, host and path of a row of REQUESTS."""
        table = self.edges.requests
        method, host, path = (table[name][row].as_py() or "" for name in ("method", "host", "path"))
        return method, host, path

    def last_delivered(self, row: int) -> datetime | None:
        """Return when an edge (a row of EDGES) was last delivered."""
        at = self.edges.edges["last_delivered"][row].cast(pa.timestamp("us", tz="UTC"), safe=False)
        found: datetime | None = at.as_py()
        return found

    def names_of(self, endpoint: int, ip: str) -> tuple[str, ...]:
        """Return the names by which an endpoint's workload asked for an address."""
        party = self.scene.universe.party(endpoint)
        place = self.scene.workloads.of.get(party.id, -1) if party else -1
        return self.names.get(place, {}).get(canonical_ip(ip), ())

    def title(self, spot: Spot) -> str:
        """Return how reports call an end; one without labels (text captures) by its pod, a node by its labels."""
        party = self.scene.universe.party(spot.party)
        if party is None or spot.workload >= 0:
            return self.scene.title(spot)
        if spot.entity == "host":
            own = ",".join(str(label).removeprefix("k8s:") for label in party.labels if label.source == "k8s")
            return f"host ({own})" if own else "host"
        if not (spot.entity or spot.ip) and party.pods:
            return f"{party.namespace}/{party.pods[0]}"
        return self.scene.title(spot)


def recorded(edges: Edges, options: Options | None = None) -> Recorded:
    """Read a capture's edges for advice; `options` say what is noise."""
    scene = look(edges)
    every = tuple(links(edges.edges, scene.universe, scene.workloads))
    names = address_names(edges.names, scene.universe, scene.workloads)
    noise = find_noise(every, options or Options(), scene.title, dns_rows(edges))
    return Recorded(edges, scene, every, names, noise, _denied(edges))


def _denied(edges: Edges) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = defaultdict(tuple)
    columns = (edges.requests[name].to_pylist() for name in ("edge", "denied"))
    for row, (edge, denied) in enumerate(zip(*columns, strict=True)):
        if denied:
            found[edge] += (row,)
    return dict(found)
