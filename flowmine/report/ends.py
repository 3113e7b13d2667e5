"""What people call the two ends of an edge: workloads as policies name them, entities, domain names, addresses."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from flowmine.edges import Edges
from flowmine.peers import Kind
from flowmine.synth.subjects import group
from flowmine.synth.universe import Party, survey

__all__ = ["End", "Ends"]


@dataclass(frozen=True, slots=True)
class End:
    """One end of an edge. ``place`` is what it is called, its address apart; ``labels`` have bare keys where it is a pod."""

    place: str
    kind: str
    cluster: str = ""
    namespace: str = ""
    workload: str = ""
    entity: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    ip: str | None = None
    names: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The place and the address, where there is one."""
        return f"{self.place} {self.ip}" if self.ip else self.place


class Ends:
    """The ends of a capture's edges, by endpoint, address and who asked."""

    def __init__(self, edges: Edges) -> None:
        """Parse ENDPOINTS, PODS and NAMES once."""
        self._universe = survey(edges.endpoints, edges.pods)
        self._titles = _titles(self._universe.pods(), _workload_titles(edges.endpoints, edges.pods))
        self._names: dict[tuple[int, str], list[str]] = defaultdict(list)
        for subject, ip, name in zip(
            *(edges.names.column(key).to_pylist() for key in ("subject", "ip", "name")), strict=True
        ):
            self._names[subject, ip].append(name)

    def end(self, endpoint: int, ip: str | None, other: int) -> End:
        """Return an end of an edge by its endpoint and address; ``other`` is the far end's endpoint, who asked."""
        names = tuple(sorted(set(self._names.get((other, ip), ())))) if ip else ()
        party = self._universe.party(endpoint)
        if party is None:
            return End(_listed(names) or "unknown", Kind.UNKNOWN.value, ip=ip, names=names)
        if party.kind is Kind.POD:
            return self._pod(party, ip)
        labels = tuple((str(label), "") for label in party.labels)
        place = _listed(names) or party.entity or _outside(party, ip) or _unlabelled(party)
        return End(
            place,
            party.kind.value,
            party.cluster,
            party.namespace,
            entity=party.entity,
            labels=labels,
            ip=ip,
            names=names,
        )

    def _pod(self, party: Party, ip: str | None) -> End:
        return End(
            self._titles[party.id],
            party.kind.value,
            party.cluster,
            party.namespace,
            ",".join(party.workloads),
            labels=tuple(sorted(party.keys.items())),
            ip=ip,
        )


def _workload_titles(endpoints: pa.Table, pods: pa.Table) -> dict[int, str]:
    workloads = group(survey(endpoints, pods))
    return {endpoint: workloads.items[place].title for endpoint, place in workloads.of.items()}


def _titles(pods: Iterable[Party], workloads: dict[int, str]) -> dict[int, str]:
    """Return a title for every pod endpoint, with as many labels as tell it from those of the same name."""
    parties = list(pods)
    many_clusters = len({party.cluster for party in parties}) > 1
    alike: dict[str, list[Party]] = defaultdict(list)
    for party in parties:
        title = workloads.get(party.id) or party.title
        alike[f"{party.cluster}:{title}" if many_clusters else title].append(party)
    return {
        party.id: title if len(same) == 1 else f"{title} {{{_distinct(party, same)}}}"
        for title, same in alike.items()
        for party in same
    }


def _distinct(party: Party, others: list[Party]) -> str:
    common = set.intersection(*(set(other.keys.items()) for other in others))
    differing = sorted(set(party.keys.items()) - common)
    return ",".join(f"{key}={value}" if value else key for key, value in differing) or ",".join(party.pods)


def _outside(party: Party, ip: str | None) -> str:
    """Return which part of the outside it is: world, or all that its labels say where no address tells more."""
    reserved = next((label.key for label in party.labels if label.source == "reserved"), "")
    return reserved if ip and reserved else ",".join(str(label) for label in party.labels)


def _unlabelled(party: Party) -> str:
    """Return the name of a pod whose labels the capture does not carry, as text captures do not."""
    return "/".join(filter(None, (party.namespace, *party.pods[:1]))) or "unknown"


def _listed(names: tuple[str, ...]) -> str:
    return names[0] + (f" (+{len(names) - 1})" if len(names) > 1 else "") if names else ""
