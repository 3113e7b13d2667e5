"""Policies that only show: names and HTTP requests pass Cilium's proxies and are told by Hubble, nothing is denied.

A first capture has neither, for nothing was proxied. With `enableDefaultDeny: false` for both directions a policy closes
none; on a pod that no other policy governs its L7 rules come with a wildcard (Cilium `pkg/policy/repository.go`
wildcardRule). On a pod that another policy governs its entries allow like any other's, so that HTTP is shown only
for the peers that were already let through.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from flowmine.edges import Edges
from flowmine.errors import UsageError
from flowmine.policy.model import (
    EVERYTHING,
    DefaultDeny,
    Direction,
    Entry,
    HttpRule,
    Kind,
    Policy,
    Rule,
    Selector,
)
from flowmine.ports import PortSet
from flowmine.synth.assemble import EntryKey, Proposal
from flowmine.synth.contacts import Contacts, gather
from flowmine.synth.dns import EVERY_NAME, dns_rows
from flowmine.synth.draft import Draft, Reason
from flowmine.synth.framing import frame_of, look
from flowmine.synth.noise import find_noise
from flowmine.synth.options import Options
from flowmine.synth.resolving import resolver_drafts
from flowmine.synth.rules import Frame, draft, peer_selector
from flowmine.synth.traffic import Link, links

__all__ = ["NAME", "visibility"]

NAME = "visibility"
"""Of the policy in each namespace."""

_FROM = (1, 16)
_OPEN = DefaultDeny(ingress=False, egress=False)
_EVERY_REQUEST = (HttpRule(),)

Home = tuple[str, str]


def visibility(
    edges: Edges, namespaces: Sequence[str], http: Iterable[int] = (), options: Options | None = None
) -> tuple[Proposal, ...]:
    """Return one policy a namespace (patterns as in shells) that shows its lookups, and HTTP on the TCP ports `http`.

    Raise UsageError where the Cilium version has no `enableDefaultDeny`, where no namespace of the capture is meant,
    or where nothing would be shown: no lookup at all was seen and no workload was reached on one of the ports.
    """
    options = replace(options or Options(), l7=(), dns="any", range_ports=0)
    if options.cilium < _FROM:
        raise UsageError(
            f"Cilium {'.'.join(map(str, options.cilium))} has no enableDefaultDeny, without which a policy that only shows "
            "cannot be written; annotate the pods instead (policy.cilium.io/proxy-visibility), or upgrade to 1.16"
        )
    scene = look(edges)
    seen = list(links(edges.edges, scene.universe, scene.workloads))
    noise = {row for each in find_noise(seen, options, scene.title, dns_rows(edges)) for row in each.rows}
    every = [
        link
        for link in seen
        if link.outcome == "delivered"
        and link.row not in noise
        and link.source.is_nameable
        and link.target.is_nameable
    ]
    frame = frame_of(edges, scene, options, every, {})
    homes = _homes(frame, namespaces)
    ports = PortSet.of(("TCP", port) for port in http)
    made = [_proposal(frame, home, places, every, ports) for home, places in sorted(homes.items())]
    found = tuple(each for each in made if each.policy.rules)
    if not found:
        raise UsageError(
            f"nothing to show in {', '.join(sorted({namespace for _, namespace in homes}))}: no lookup was seen, and no "
            "workload was reached on a port given with --http; capture for longer, or name the ports that speak HTTP"
        )
    return found


def _homes(frame: Frame, namespaces: Sequence[str]) -> dict[Home, list[int]]:
    """The workloads of every namespace meant, by their places."""
    homes: dict[Home, list[int]] = defaultdict(list)
    for place, workload in enumerate(frame.workloads):
        if any(fnmatchcase(workload.namespace, pattern) for pattern in namespaces):
            homes[workload.cluster, workload.namespace].append(place)
    if not homes:
        known = ", ".join(sorted({workload.namespace for workload in frame.workloads})) or "none"
        raise UsageError(f"no pod of {', '.join(namespaces)} is in the capture (namespaces seen: {known})")
    return homes


def _proposal(
    frame: Frame, home: Home, places: Sequence[int], every: Sequence[Link], ports: PortSet
) -> Proposal:
    cluster, namespace = home
    rules: list[Rule] = []
    reasons: dict[EntryKey, Reason] = {}
    parts = [(EVERYTHING, Direction.EGRESS, _lookups(frame, places, every))]
    calls = gather(every, dict.fromkeys(places, frozenset([Direction.INGRESS])))
    for place in places:
        contacts = Contacts.of(Direction.INGRESS, calls[place, Direction.INGRESS])
        drafts = _requests(frame, place, contacts, ports)
        parts.append((frame.choices[place].selector, Direction.INGRESS, drafts))
    for selector, direction, drafts in parts:
        listed = [(entry, each.reason) for each in drafts for entry in each.entries(frame.options.cilium)]
        if listed:
            reasons |= {(len(rules), direction, at): reason for at, (_, reason) in enumerate(listed)}
            rules.append(_rule(selector, direction, tuple(entry for entry, _ in listed)))
    policy = Policy(Kind.CNP, NAME, namespace=namespace, rules=tuple(rules))
    return Proposal(cluster, policy, reasons, _notes(parts))


def _rule(selector: Selector, direction: Direction, entries: tuple[Entry, ...]) -> Rule:
    if direction is Direction.EGRESS:
        return Rule(endpoint_selector=selector, egress=entries, enable_default_deny=_OPEN)
    return Rule(endpoint_selector=selector, ingress=entries, enable_default_deny=_OPEN)


def _lookups(frame: Frame, places: Sequence[int], every: Iterable[Link]) -> Sequence[Draft]:
    """Every name at every resolver that a pod of the namespace asked, or else at the one that the others ask."""
    asked = Contacts()
    for link in every:
        if link.row in frame.lookups and link.source.workload in places:
            asked.add(link.target, link)
    own = frame.workloads[places[0]]
    if asked.is_empty:
        asked = frame.resolvers.get(own.cluster, asked)
    return [
        replace(each, reason=replace(each.reason, required="", about=f"shows {each.reason.about}"))
        for each in resolver_drafts(
            asked,
            (EVERY_NAME,),
            frozenset(),
            own.namespace,
            frame.options,
            lambda other: (frame.workloads[other].title, peer_selector(frame, places[0], other)),
        )
    ]


def _requests(frame: Frame, place: int, contacts: Contacts, ports: PortSet) -> Sequence[Draft]:
    """Every request of the peers that reached a workload on the ports asked for."""
    return [
        replace(
            each,
            ports=each.ports & ports,
            http=_EVERY_REQUEST,
            reason=replace(each.reason, about=f"shows requests of {each.reason.about}"),
        )
        for each in draft(frame, place, Direction.INGRESS, contacts)
        if each.ports & ports
    ]


def _notes(parts: Iterable[tuple[Selector, Direction, Sequence[Draft]]]) -> tuple[str, ...]:
    notes = ["It shows and denies nothing. Apply it, capture again, then recommend and delete it."]
    shown = {direction for _, direction, drafts in parts if drafts}
    if Direction.EGRESS not in shown:
        notes.append(
            "No lookup was seen in the capture, so that no resolver can be named: names stay unseen."
        )
    if Direction.INGRESS in shown:
        notes.append("The ports it names must speak HTTP: other protocols do not pass the HTTP proxy.")
    if Direction.EGRESS in shown:
        notes.append("Where another policy allows some names only, this one allows every name meanwhile.")
    return tuple(notes)
