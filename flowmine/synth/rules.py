"""The rules of one side of one subject: its contacts become drafts, peers with equal ports become one."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from flowmine.labels import CLUSTER_KEY, NAMESPACE_KEY
from flowmine.policy.model import Direction, Entry, Selector
from flowmine.ports import PortSet
from flowmine.synth.contacts import Contacts, Peer, rows_of
from flowmine.synth.draft import Draft, Reason
from flowmine.synth.lower import Apart, joined, taken_apart, with_labels
from flowmine.synth.options import Generalisation, Options
from flowmine.synth.outside import OutsideRule, egress_rules, ingress_rules
from flowmine.synth.ranges import Bands
from flowmine.synth.requests import HttpPart, Requests, split_http
from flowmine.synth.resolving import both_transports, resolver_drafts
from flowmine.synth.selectors import Choice
from flowmine.synth.subjects import Workload

__all__ = ["Frame", "draft", "peer_selector"]

_HOST = "host"


class Called(NamedTuple):
    """What rules call a peer: its title in reports, and its selector."""

    title: str
    selector: Apart


@dataclass(frozen=True, slots=True)
class Frame:
    """What every subject's rules need to know of the whole capture."""

    workloads: Sequence[Workload]
    choices: Sequence[Choice]
    bands: Mapping[int, Bands]
    names: Mapping[int, Mapping[str, tuple[str, ...]]]
    options: Options
    meshed: frozenset[tuple[str, str]] = field(default=frozenset())
    """(cluster, namespace) that another cluster of the capture has as well."""
    lookups: frozenset[int] = field(default=frozenset())
    """The edges (rows) that are questions to a resolver."""
    asked: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """The names that each workload asked a resolver for."""
    resolvers: Mapping[str, Contacts] = field(default_factory=dict)
    """By cluster, the resolver that most workloads ask."""
    requests: Requests = field(default_factory=dict)
    """The HTTP requests of each edge, where they were asked for."""
    closed: Mapping[int, frozenset[Direction]] = field(default_factory=dict)
    """The sides of each workload for which rules are written; HTTP is filtered at the called side where that is closed."""
    called: dict[tuple[str, str], dict[int, Called]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    """By (cluster, namespace) of who calls: what a workload is called there, once it was."""


def peer_selector(frame: Frame, subject: int, peer: int) -> Selector:
    """Return how a policy of the subject's names a peer.

    Cilium adds the policy's own namespace and, from 1.19 on, the local cluster to a selector that names none. A peer of
    another namespace or cluster is named with it, and a local one too where another cluster has the same namespace,
    for older versions do not add the cluster.
    """
    return _called(frame, subject, (peer,))[peer].selector.whole


def _called(frame: Frame, subject: int, peers: Iterable[int]) -> Mapping[int, Called]:
    """Return what policies of the subject's namespace call these peers, and others that they named before."""
    own = frame.workloads[subject]
    known = frame.called.setdefault((own.cluster, own.namespace), {})
    for peer in peers:
        if peer not in known:
            other = frame.workloads[peer]
            abroad = other.cluster != own.cluster
            elsewhere = abroad or other.namespace != own.namespace
            title = other.title if elsewhere else other.name
            title = f"{title} of cluster {other.cluster}" if abroad else title
            known[peer] = Called(title, taken_apart(_selector(frame, peer, elsewhere, abroad)))
    return known


def _selector(frame: Frame, peer: int, elsewhere: bool, abroad: bool) -> Selector:
    other = frame.workloads[peer]
    extra = []
    if elsewhere:
        extra.append((NAMESPACE_KEY, other.namespace))
    if abroad or (other.cluster, other.namespace) in frame.meshed:
        extra.append((CLUSTER_KEY, other.cluster))
    return with_labels(frame.choices[peer].selector, tuple(extra))


def draft(frame: Frame, subject: int, direction: Direction, contacts: Contacts) -> tuple[Draft, ...]:
    """Return the drafts for one closed side of one subject, in the order in which they are written."""
    if direction is Direction.EGRESS:
        lookups, contacts = contacts.split(frame.lookups)
        outside = [*_outside_egress(frame, subject, lookups, contacts)]
        drafts = [*outside, *_lookups(frame, subject, lookups, outside)]
    else:
        drafts = [*_from_rules(frame, ingress_rules(contacts.ends({}), frame.options), direction, contacts)]
    drafts += _pods(frame, subject, direction, contacts.workloads)
    drafts += _entities(frame, subject, direction, contacts.entities)
    return tuple(_sorted(drafts))


def _sorted(drafts: list[Draft]) -> Iterator[Draft]:
    def place(each: Draft) -> tuple[tuple[int, str], PortSet]:
        return each.place, each.ports

    for _, alike in groupby(sorted(drafts, key=place), place):
        yield from _by_text(list(alike))


def _by_text(drafts: list[Draft]) -> list[Draft]:
    return drafts if len(drafts) < 2 else sorted(drafts, key=lambda each: str(each.peers))


def _lookups(frame: Frame, subject: int, lookups: Contacts, outside: Iterable[Draft]) -> list[Draft]:
    own = frame.workloads[subject]
    fqdns = tuple(sorted({name for each in outside for name in each.peers.fqdns or ()}, key=str))
    if fqdns and lookups.is_empty:
        lookups = frame.resolvers.get(own.cluster, lookups)
    return resolver_drafts(
        lookups,
        fqdns,
        frame.asked.get(subject, frozenset()),
        own.namespace,
        frame.options,
        lambda other: (_called(frame, subject, (other,))[other].title, peer_selector(frame, subject, other)),
    )


def _pods(frame: Frame, subject: int, direction: Direction, peers: Mapping[int, Peer]) -> Iterator[Draft]:
    groups: dict[HttpPart, list[int]] = defaultdict(list)
    notes: dict[HttpPart, set[Generalisation]] = defaultdict(set)
    known: dict[Hashable, list[list[int]]] = {}
    asking = direction is Direction.INGRESS and not frame.lookups.isdisjoint(rows_of(peers.values()))
    for other in sorted(peers):
        peer = peers[other]
        requests = frame.requests
        if requests and direction is Direction.EGRESS and Direction.INGRESS in frame.closed.get(other, ()):
            requests = {}
        alike = None if requests or asking else _alike(frame, subject, direction, peer, other)
        if alike in known:
            for members in known[alike]:
                members.append(other)
            continue
        ports, widened = _ports(frame, subject, direction, peer, other)
        parts = list(split_http(peer.rows, ports, requests, frame.options))
        for part in parts:
            groups[part].append(other)
            notes[part].update(part.notes, widened)
        if alike is not None:
            known[alike] = [groups[part] for part in parts]
    own = frame.workloads[subject]
    for part, members in groups.items():
        whole, rest, wide = _whole_namespaces(frame, subject, members)
        called = _called(frame, subject, members)
        names = sorted([called[other].title for other in members])
        reason = Reason(
            about=", ".join(names),
            rows=_rows((peers[other] for other in members), part.ports),
            notes=tuple(sorted({*notes[part], *wide})),
            remarks=tuple([_remark(frame, other) for other in rest if frame.choices[other].over]),
        )
        foreign = any(frame.workloads[each].namespace != own.namespace for each in members)
        selectors = joined([*map(taken_apart, whole), *[called[other].selector for other in rest]])
        yield Draft((int(foreign), names[0]), Entry(endpoints=selectors), part.ports, reason, http=part.http)


def _alike(frame: Frame, subject: int, direction: Direction, peer: Peer, other: int) -> Hashable:
    """Return what is equal of peers whose ports come out the same, where no requests and no lookups were seen."""
    listener = frame.bands.get(other if direction is Direction.EGRESS else subject)
    return tuple(peer.rows), listener.bands if listener else ()


def _whole_namespaces(
    frame: Frame, subject: int, members: Sequence[int]
) -> tuple[list[Selector], list[int], list[Generalisation]]:
    """Return selectors of namespaces whose every workload is a member, where that is allowed, and the other members."""
    least = frame.options.namespace_peers
    if not least:
        return [], list(members), []
    selectors: list[Selector] = []
    rest: list[int] = []
    notes: list[Generalisation] = []
    homes: dict[tuple[str, str], list[int]] = defaultdict(list)
    for other in members:
        homes[frame.workloads[other].cluster, frame.workloads[other].namespace].append(other)
    for (cluster, namespace), some in sorted(homes.items()):
        there = sum((each.cluster, each.namespace) == (cluster, namespace) for each in frame.workloads)
        if len(some) < max(there, least):
            rest += some
            continue
        foreign = cluster != frame.workloads[subject].cluster or (cluster, namespace) in frame.meshed
        extra = [(CLUSTER_KEY, cluster)] if foreign else []
        selectors.append(Selector(((NAMESPACE_KEY, namespace), *extra)))
        notes.append(
            Generalisation(
                "namespace",
                f"every pod of {namespace}",
                f"all {there} workloads seen there",
                f"namespace_peers={least}",
            )
        )
    return selectors, rest, notes


def _ports(
    frame: Frame, subject: int, direction: Direction, peer: Peer, other: int
) -> tuple[PortSet, tuple[Generalisation, ...]]:
    """Return a peer's ports, those in a listener's range as the whole range, lookups over both transports."""
    listener = frame.bands.get(other if direction is Direction.EGRESS else subject)
    ports, notes = listener.widen(peer.ports) if listener else (peer.ports, ())
    if direction is Direction.INGRESS:
        ports |= both_transports(peer, frame.lookups)
    return ports, notes


def _remark(frame: Frame, other: int) -> str:
    over = ", ".join(frame.choices[other].over)
    return f"no stable label tells {frame.workloads[other].name} from {over}: both are selected"


def _entities(frame: Frame, subject: int, direction: Direction, peers: Mapping[str, Peer]) -> Iterator[Draft]:
    """Draft rules for reserved ends; a pod's own node may always reach it, so probes need none."""
    groups: dict[HttpPart, list[str]] = defaultdict(list)
    notes: dict[HttpPart, set[Generalisation]] = defaultdict(set)
    for name, peer in sorted(peers.items()):
        if direction is Direction.INGRESS and name == _HOST:
            continue
        ports, widened = _ports(frame, subject, direction, peer, -1)
        for part in split_http(peer.rows, ports, frame.requests, frame.options):
            groups[part].append(name)
            notes[part].update(part.notes, widened)
    for part, names in groups.items():
        rows = _rows((peers[name] for name in names), part.ports)
        reason = Reason(about=", ".join(names), rows=rows, notes=tuple(sorted(notes[part])))
        yield Draft((2, names[0]), Entry(entities=tuple(names)), part.ports, reason, http=part.http)


def _outside_egress(frame: Frame, subject: int, lookups: Contacts, contacts: Contacts) -> Iterator[Draft]:
    names = frame.names.get(subject, {})
    if lookups.is_empty and frame.workloads[subject].cluster not in frame.resolvers:
        # Nobody's lookups were seen: a rule by name would learn no address.
        names = {}
    rules = egress_rules(contacts.ends(names), frame.options)
    return _from_rules(frame, rules, Direction.EGRESS, contacts)


def _from_rules(
    frame: Frame, rules: Iterable[OutsideRule], direction: Direction, contacts: Contacts
) -> Iterator[Draft]:
    for place, rule in enumerate(rules):
        peers = Entry(fqdns=rule.fqdns or None, cidr=rule.cidrs or None, entities=rule.entities or None)
        rows: dict[tuple[str, int], list[int]] = defaultdict(list)
        for ip in rule.members:
            for port, some in contacts.outside[ip].rows.items():
                if port in rule.ports:
                    rows[port] += some
        for part in split_http(rows, rule.ports, frame.requests, frame.options):
            reason = Reason(
                _outside_title(rule),
                tuple(sorted(row for port, some in rows.items() if port in part.ports for row in some)),
                notes=rule.notes + part.notes,
                remarks=_outside_remarks(rule, direction),
            )
            yield Draft((3, f"{place:06d}"), peers, part.ports, reason, http=part.http)


def _outside_title(rule: OutsideRule) -> str:
    if rule.names:
        return ", ".join(rule.names)
    if rule.fqdns:
        return ", ".join(each.match_name or each.match_pattern or "" for each in rule.fqdns)
    return rule.members[0] if len(rule.members) == 1 else f"{len(rule.members)} outside addresses"


def _outside_remarks(rule: OutsideRule, direction: Direction) -> tuple[str, ...]:
    if rule.unnamed and direction is Direction.EGRESS:
        return ("by address, for no DNS answer with a name was seen (flowmine visibility shows names)",)
    return ()


def _rows(peers: Iterable[Peer], ports: PortSet) -> tuple[int, ...]:
    inside: dict[tuple[str, int], bool] = {}
    found: list[int] = []
    for peer in peers:
        for port, some in peer.rows.items():
            if port not in inside:
                inside[port] = port in ports
            if inside[port]:
                found += some
    return tuple(sorted(found))
