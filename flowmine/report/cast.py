"""Who is on the map: a node for each workload, entity, name and the nameless outside, and the group each stands in."""

from collections.abc import Iterable
from dataclasses import dataclass

from flowmine.advise.recorded import Recorded
from flowmine.peers import Kind
from flowmine.report.view import Group, Node
from flowmine.synth.traffic import Link, Spot

__all__ = ["CALLED", "CALLER", "Cast", "cast"]

CALLER, CALLED = "caller", "called"

_PLATFORM = {CALLER: "From the platform", CALLED: "To the platform"}
_OUTSIDE = {CALLER: "From outside", CALLED: "To outside"}
_PODS = 20


@dataclass(frozen=True, slots=True, order=True)
class _Home:
    """What a group is known by; in the order of the map, callers first."""

    place: int
    kind: str
    side: str = ""
    cluster: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True, order=True)
class _Who:
    """What a node is known by: a workload's place, or a title; and its kind."""

    home: _Home
    title: str
    kind: str
    workload: int = -1
    party: int = 0


@dataclass(frozen=True, slots=True)
class Cast:
    """Groups and nodes in order, for each row of EDGES its two ends, and the node of each workload."""

    groups: tuple[Group, ...]
    nodes: tuple[Node, ...]
    ends: tuple[tuple[int, int], ...]
    workloads: dict[int, int]


def cast(known: Recorded) -> Cast:
    """Return who takes part in a capture."""
    ends = [(_who(known, link, CALLER), _who(known, link, CALLED)) for link in known.links]
    every = {who for pair in ends for who in pair} | set(_workloads(known))
    ordered = sorted(every)
    homes = sorted({who.home for who in ordered})
    places = {who: place for place, who in enumerate(ordered)}
    return Cast(
        tuple(_group(known, home) for home in homes),
        tuple(_node(known, who, homes.index(who.home)) for who in ordered),
        tuple((places[source], places[target]) for source, target in ends),
        {who.workload: place for who, place in places.items() if who.workload >= 0},
    )


def _workloads(known: Recorded) -> Iterable[_Who]:
    return (_workload(known, place) for place in range(len(known.scene.workloads.items)))


def _workload(known: Recorded, place: int) -> _Who:
    item = known.scene.workloads.items[place]
    return _Who(_namespace(item.cluster, item.namespace), item.name, item.kind or "workload", place)


def _namespace(cluster: str, namespace: str) -> _Home:
    return _Home(1, "namespace", "", cluster, namespace)


def _who(known: Recorded, link: Link, side: str) -> _Who:
    own, other = (link.source, link.target) if side == CALLER else (link.target, link.source)
    if own.workload >= 0:
        return _workload(known, own.workload)
    place = 0 if side == CALLER else 2
    if own.entity:
        return _Who(_Home(place, "platform", side), known.title(own), "entity")
    if own.ip:
        return _Who(_Home(place, "outside", side), _named(known, own, other), "outside")
    return _unnamed(known, own, _Home(place, "outside", side))


def _named(known: Recorded, spot: Spot, other: Spot) -> str:
    names = known.names_of(other.party, spot.ip)
    return names[0] if names else "world"


def _unnamed(known: Recorded, spot: Spot, outside: _Home) -> _Who:
    """Return an end that no policy can name: a pod without labels (text captures, field masks), or nobody knows who."""
    party = known.scene.universe.party(spot.party)
    title = known.title(spot)
    if party is None or party.kind is Kind.OUTSIDE:
        return _Who(outside, title, "outside")
    if not party.namespace:
        return _Who(_Home(outside.place, "platform", outside.side), title, "unknown")
    return _Who(
        _namespace(party.cluster, party.namespace),
        title.removeprefix(f"{party.namespace}/"),
        "pod",
        party=spot.party,
    )


def _group(known: Recorded, home: _Home) -> Group:
    if home.kind != "namespace":
        titles = _PLATFORM if home.kind == "platform" else _OUTSIDE
        return Group(titles[home.side], home.kind, home.side)
    several = len({item.cluster for item in known.scene.workloads.items}) > 1
    return Group(f"{home.cluster}: {home.namespace}" if several else home.namespace, home.kind)


def _node(known: Recorded, who: _Who, group: int) -> Node:
    if who.workload < 0:
        return Node(who.title, group, who.kind)
    universe, item = known.scene.universe, known.scene.workloads.items[who.workload]
    parties = [party for endpoint in item.endpoints if (party := universe.party(endpoint))]
    common = set.intersection(*(set(party.keys.items()) for party in parties)) if parties else set()
    pods = sorted({pod for party in parties for pod in party.pods})
    more = (f"and {len(pods) - _PODS} more",) if len(pods) > _PODS else ()
    return Node(
        who.title,
        group,
        who.kind,
        tuple(f"{key}={value}" if value else key for key, value in sorted(common)),
        (*pods[:_PODS], *more),
    )
