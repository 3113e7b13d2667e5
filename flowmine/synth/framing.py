"""What every subject's rules need to know of the whole capture, gathered once."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from flowmine.edges import Edges
from flowmine.synth.admission import Closed
from flowmine.synth.contacts import Contacts, address_names, listeners
from flowmine.synth.dns import asked_names, dns_rows
from flowmine.synth.http import seen_requests
from flowmine.synth.names import cluster_domain
from flowmine.synth.options import Options
from flowmine.synth.ranges import bands
from flowmine.synth.resolving import usual_resolvers
from flowmine.synth.rules import Frame
from flowmine.synth.selectors import Choice, choose
from flowmine.synth.subjects import Workloads, group
from flowmine.synth.traffic import Link, Spot
from flowmine.synth.universe import Universe, survey

__all__ = ["Scene", "frame_of", "look"]


@dataclass(frozen=True, slots=True)
class Scene:
    """Who there is: the parties, the workloads they make, and the selector of each."""

    universe: Universe
    workloads: Workloads
    choices: tuple[Choice, ...]

    def title(self, spot: Spot) -> str:
        """Return how reports call an end of a link."""
        if spot.workload >= 0:
            return self.workloads.items[spot.workload].title
        if spot.entity or spot.ip:
            return spot.entity or spot.ip
        party = self.universe.party(spot.party)
        return party.title if party else "an unknown peer"


def look(edges: Edges) -> Scene:
    """Return the scene of a capture."""
    universe = survey(edges.endpoints, edges.pods)
    workloads = group(universe)
    return Scene(universe, workloads, choose(universe, workloads))


def frame_of(edges: Edges, scene: Scene, options: Options, admitted: Sequence[Link], closed: Closed) -> Frame:
    """Return the frame in which rules are drafted for the links admitted."""
    universe, workloads = scene.universe, scene.workloads
    lookups = dns_rows(edges)
    asked = _asked(edges, scene)
    domain = cluster_domain(
        (name for names in asked.values() for name in names),
        (item.namespace for item in workloads.items),
        options.cluster_domain,
    )
    options = replace(options, cluster_domain=domain)
    return Frame(
        workloads=workloads.items,
        choices=scene.choices,
        bands={place: bands(ports, options) for place, ports in listeners(admitted).items()},
        names=address_names(edges.names, universe, workloads),
        options=options,
        meshed=_meshed(workloads, admitted),
        lookups=lookups,
        asked=asked,
        resolvers=_resolvers(admitted, lookups, workloads),
        requests=seen_requests(edges) if "http" in options.l7 else {},
        closed=closed,
    )


def _asked(edges: Edges, scene: Scene) -> dict[int, frozenset[str]]:
    asked: dict[int, frozenset[str]] = defaultdict(frozenset)
    for endpoint, names in asked_names(edges).items():
        party = scene.universe.party(endpoint)
        place = scene.workloads.of.get(party.id) if party else None
        if place is not None:
            asked[place] |= names
    return dict(asked)


def _meshed(workloads: Workloads, admitted: Iterable[Link]) -> frozenset[tuple[str, str]]:
    """Return the (cluster, namespace) that another cluster has as well, of clusters whose pods were seen to talk."""
    joined: dict[str, set[str]] = defaultdict(set)
    for link in admitted:
        if link.source.workload >= 0 and link.target.workload >= 0:
            one, other = (workloads.items[spot.workload].cluster for spot in (link.source, link.target))
            if one != other:
                joined[one].add(other)
                joined[other].add(one)
    homes = {(item.cluster, item.namespace) for item in workloads.items}
    return frozenset(
        (cluster, namespace)
        for cluster, namespace in homes
        if any((other, namespace) in homes for other in joined[cluster])
    )


def _resolvers(
    admitted: Iterable[Link], lookups: frozenset[int], workloads: Workloads
) -> dict[str, Contacts]:
    """Return the resolver that most workloads of each cluster ask, whether they get a policy or not."""
    asking: dict[int, Contacts] = defaultdict(Contacts)
    for link in admitted:
        if link.row in lookups and link.source.workload >= 0 and link.target.is_nameable:
            asking[link.source.workload].add(link.target, link)
    by_cluster: dict[str, list[Contacts]] = defaultdict(list)
    for workload, contacts in sorted(asking.items()):
        by_cluster[workloads.items[workload].cluster].append(contacts)
    return {cluster: usual_resolvers(every) for cluster, every in by_cluster.items()}
