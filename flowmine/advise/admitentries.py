"""The entry that a side lacks: its peers named as narrowly as labels, names and addresses allow, and one port."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flowmine.advise.recorded import Recorded
from flowmine.labels import CLUSTER_KEY, NAMESPACE_KEY
from flowmine.policy.codec import to_dict
from flowmine.policy.model import (
    EVERYTHING,
    Direction,
    Entry,
    FqdnSelector,
    HttpRule,
    Kind,
    Policy,
    Rule,
    Selector,
)
from flowmine.ports import ICMP, TRANSPORTS, PortSet
from flowmine.synth.lower import icmp_rules, join_selectors, port_rules, with_labels
from flowmine.synth.options import Options
from flowmine.synth.outside import OutsideEnd, egress_rules, ingress_rules
from flowmine.synth.traffic import Link, Spot

__all__ = [
    "Home",
    "Need",
    "entries",
    "entry_manifest",
    "is_expressible",
    "k8s_entries",
    "rule_of",
    "with_entries",
]

Home = tuple[str, str]
"""Cluster and namespace that a policy's selectors of peers imply; a clusterwide policy has none."""

_NAMESPACE_NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True)
class Need:
    """What one side of a group lacks: these links in one direction, and of their requests these.

    All links have one kind of source and one kind of target, one protocol and one port.
    """

    direction: Direction
    links: tuple[Link, ...]
    http: tuple[HttpRule, ...] | None = None
    dns: tuple[FqdnSelector, ...] | None = None

    @property
    def protocol(self) -> str:
        """The protocol that all links have."""
        return self.links[0].protocol

    @property
    def port(self) -> int:
        """The port (ICMP: type) that all links have."""
        return self.links[0].port or 0

    def subject(self, link: Link) -> Spot:
        """Return the end whose policies lack the rule."""
        return link.source if self.direction is Direction.EGRESS else link.target

    def peer(self, link: Link) -> Spot:
        """Return the other end."""
        return link.target if self.direction is Direction.EGRESS else link.source


def is_expressible(need: Need) -> bool:
    """Tell whether a rule can say it: peers that can be named, a port (or an ICMP type other than 0)."""
    port = need.links[0].port
    known = bool(port) if need.protocol in ICMP else need.protocol in TRANSPORTS and port is not None
    return known and all(need.peer(link).is_nameable for link in need.links)


def entries(known: Recorded, need: Need, home: Home | None, options: Options) -> tuple[Entry, ...]:
    """Return the entries of a CiliumNetworkPolicy (of `home`) or its clusterwide form that admit what is lacking."""
    ports = PortSet.of([(need.protocol, need.port)])
    rules = port_rules(ports, cilium=options.cilium, dns=need.dns, http=need.http)
    types = icmp_rules(ports)
    return tuple(
        replace(peers, to_ports=rules or None, icmps=types or None)
        for peers in _peers(known, need, home, options)
    )


def k8s_entries(known: Recorded, need: Need, home: Home, options: Options) -> list[dict[str, Any]]:
    """Return the rules of a NetworkPolicy of `home` that admit what is lacking, as manifests; none where it cannot say."""
    if need.protocol not in TRANSPORTS or need.http or need.dns:
        return []
    ports = [{"port": need.port, "protocol": need.protocol}]
    peers: list[dict[str, Any]] = []
    for entry in _peers(known, need, (home[0], ""), options):
        if entry.fqdns or entry.entities:
            return []
        peers += [{"ipBlock": {"cidr": cidr}} for cidr in entry.cidr or ()]
        for selector in entry.endpoints or ():
            namespace = dict(selector.match_labels).get(NAMESPACE_KEY)
            own = tuple(pair for pair in selector.match_labels if pair[0] != NAMESPACE_KEY)
            if any(key == CLUSTER_KEY for key, _ in own):
                return []
            peer: dict[str, Any] = {}
            if namespace != home[1]:
                peer["namespaceSelector"] = {"matchLabels": {_NAMESPACE_NAME: namespace}}
            peers.append({**peer, "podSelector": _selector_manifest(replace(selector, match_labels=own))})
    side = "to" if need.direction is Direction.EGRESS else "from"
    return [{side: peers, "ports": ports}] if peers else []


def rule_of(direction: Direction, some: Sequence[Entry]) -> Rule:
    """Return a rule that selects everybody and holds these entries in one direction."""
    return with_entries(Rule(endpoint_selector=EVERYTHING), direction, some)


def with_entries(rule: Rule, direction: Direction, some: Sequence[Entry]) -> Rule:
    """Return a rule for those whom another selects, with these entries in one direction and nothing else."""
    held = tuple(some)
    egress = direction is Direction.EGRESS
    return Rule(
        endpoint_selector=rule.endpoint_selector,
        node_selector=rule.node_selector,
        ingress=None if egress else held,
        egress=held if egress else None,
        enable_default_deny=rule.enable_default_deny,
    )


def entry_manifest(direction: Direction, entry: Entry) -> dict[str, Any]:
    """Return the manifest of one entry."""
    policy = Policy(Kind.CNP, "it", "it", rules=(rule_of(direction, [entry]),))
    found: dict[str, Any] = to_dict(policy)["spec"][direction.value][0]
    return found


def _selector_manifest(selector: Selector) -> dict[str, Any]:
    policy = Policy(Kind.CNP, "it", "it", rules=(Rule(endpoint_selector=selector),))
    found: dict[str, Any] = to_dict(policy)["spec"]["endpointSelector"]
    return found


def _peers(known: Recorded, need: Need, home: Home | None, options: Options) -> tuple[Entry, ...]:
    """Return the peer parts, of one kind each: pods, entities, or the outside by name and by address."""
    peers = [need.peer(link) for link in need.links]
    workloads = sorted({spot.workload for spot in peers if spot.workload >= 0})
    made = []
    if workloads:
        made.append(Entry(endpoints=join_selectors(_selector(known, each, home) for each in workloads)))
    entities = sorted({spot.entity for spot in peers if spot.workload < 0 and spot.entity})
    if entities:
        made.append(Entry(entities=tuple(entities)))
    outside = egress_rules if need.direction is Direction.EGRESS else ingress_rules
    for rule in outside(_ends(known, need), options.exact()):
        made.append(Entry(fqdns=rule.fqdns) if rule.fqdns else Entry(cidr=rule.cidrs))
    return tuple(made)


def _ends(known: Recorded, need: Need) -> Iterable[OutsideEnd]:
    ports = PortSet.of([(need.protocol, need.port)])
    for link in need.links:
        spot = need.peer(link)
        if spot.workload < 0 and not spot.entity:
            egress = need.direction is Direction.EGRESS
            names = known.names_of(link.source.party, spot.ip) if egress else ()
            yield OutsideEnd(spot.ip, ports, names)


def _selector(known: Recorded, other: int, home: Home | None) -> Selector:
    """Return how a policy of `home` names a workload: with its namespace and cluster where they are not implied."""
    items = known.scene.workloads.items
    peer = items[other]
    extra = []
    if home is None or peer.namespace != home[1]:
        extra.append((NAMESPACE_KEY, peer.namespace))
    shared = any(each.namespace == peer.namespace and each.cluster != peer.cluster for each in items)
    if peer.cluster and (shared or (home is not None and peer.cluster != home[0])):
        extra.append((CLUSTER_KEY, peer.cluster))
    return with_labels(known.scene.choices[other].selector, tuple(extra))
