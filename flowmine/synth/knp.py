"""Kubernetes NetworkPolicy in place of Cilium's own: what it can express, and what is left out for want of words.

| Cilium's                                     | NetworkPolicy                                                          |
|----------------------------------------------|------------------------------------------------------------------------|
| pods of the own or another namespace          | podSelector, with a namespaceSelector by `kubernetes.io/metadata.name` |
| toCIDR                                       | ipBlock                                                                |
| fromCIDR, entity world inbound               | left out: Cilium 1.19 would admit all pods of the namespace (SEMANTICS 9) |
| entity world outbound                        | ipBlock 0.0.0.0/0 and ::/0                                             |
| other entities, names, ICMP, other clusters  | left out: no words for them                                             |
| rules for requests, but DNS for every name   | left out with their ports: without them more would be allowed             |

Nothing is widened: an entry that cannot be said is left out of the policy, and told.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flowmine.labels import CLUSTER_KEY, NAMESPACE_KEY
from flowmine.policy.model import (
    Direction,
    Entry,
    IpBlock,
    K8sEntry,
    K8sPeer,
    K8sPort,
    Kind,
    NetworkPolicySpec,
    Operator,
    Policy,
    PortRule,
    Requirement,
    Rule,
    Selector,
)
from flowmine.synth.assemble import Proposal
from flowmine.synth.dns import EVERY_NAME
from flowmine.synth.draft import Reason

__all__ = ["Unsaid", "network_policies"]

_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_EVERY_ADDRESS = ("0.0.0.0/0", "::/0")
_TYPES = {Direction.INGRESS: "Ingress", Direction.EGRESS: "Egress"}


@dataclass(frozen=True, slots=True)
class Unsaid:
    """An entry that a NetworkPolicy has no words for: of which policy, for whom, why, and the edges that it would admit."""

    policy: str
    about: str
    why: str
    rows: tuple[int, ...]


def network_policies(
    proposals: Sequence[Proposal],
) -> tuple[tuple[Proposal, ...], tuple[Unsaid, ...]]:
    """Return the proposals as NetworkPolicies, one for each of their rules, and all that could not be said."""
    made: list[Proposal] = []
    unsaid: list[Unsaid] = []
    for proposal in proposals:
        for place, rule in enumerate(proposal.policy.rules):
            name = (
                proposal.policy.name if len(proposal.policy.rules) == 1 else f"{proposal.policy.name}-{place}"
            )
            policy, reasons, missing = _converted(proposal, place, rule, name)
            notes = (*proposal.notes, *_quiet(proposal, place), *_notes(missing))
            made.append(Proposal(proposal.cluster, policy, reasons, notes))
            unsaid.extend(missing)
    return tuple(made), tuple(unsaid)


def _notes(missing: Sequence[Unsaid]) -> tuple[str, ...]:
    return tuple(f"LEFT OUT: {each.about}: {each.why}" for each in missing)


def _quiet(proposal: Proposal, place: int) -> Iterator[str]:
    """Yield what is to be said of closed directions: a NetworkPolicy has no entry for them to say it beside."""
    for (rule, direction, _), reason in proposal.reasons.items():
        if rule == place and reason.closes:
            yield f"{direction}: {reason.about}"


def _converted(
    proposal: Proposal, place: int, rule: Rule, name: str
) -> tuple[Policy, dict[tuple[int, Direction, int], Reason], list[Unsaid]]:
    entries: dict[Direction, list[K8sEntry]] = {}
    reasons: dict[tuple[int, Direction, int], Reason] = {}
    unsaid: list[Unsaid] = []
    for direction, section in ((Direction.INGRESS, rule.ingress), (Direction.EGRESS, rule.egress)):
        if section is None:
            continue
        listed = entries.setdefault(direction, [])
        for number, entry in enumerate(section):
            reason = proposal.reasons[place, direction, number]
            if reason.closes:
                continue
            why = _why_not(entry, direction)
            if why:
                unsaid.append(Unsaid(proposal.policy.ref, reason.about, why, reason.rows))
                continue
            reasons[0, direction, len(listed)] = reason
            listed.append(K8sEntry(tuple(_peers(entry)), tuple(_ports(entry.to_ports or ()))))
    spec = NetworkPolicySpec(
        pod_selector=rule.endpoint_selector or Selector(),
        policy_types=tuple(_TYPES[direction] for direction in entries),
        ingress=tuple(entries.get(Direction.INGRESS, ())),
        egress=tuple(entries.get(Direction.EGRESS, ())),
    )
    policy = Policy(Kind.KNP, name, namespace=proposal.policy.namespace, network_policy=spec)
    return policy, reasons, unsaid


def _why_not(entry: Entry, direction: Direction) -> str:
    if entry.icmps is not None:
        return "NetworkPolicy has no ICMP"
    if entry.fqdns is not None:
        return "NetworkPolicy has no DNS names"
    if any(rule.rules and rule.rules.http for rule in entry.to_ports or ()):
        return "NetworkPolicy has no HTTP rules, and the port alone would allow more"
    if direction is Direction.INGRESS and (entry.cidr is not None or entry.entities == ("world",)):
        return "Cilium 1.19 takes an inbound ipBlock for all pods of the namespace as well"
    if entry.entities not in (None, ("world",)):
        return f"NetworkPolicy has no entity {', '.join(entry.entities or ())}"
    if any(rule.rules and rule.rules.dns not in (None, (EVERY_NAME,)) for rule in entry.to_ports or ()):
        return "NetworkPolicy has no DNS rules, and the port alone would let every name be asked for"
    if any({CLUSTER_KEY} & set(selector.keys()) for selector in entry.endpoints or ()):
        return "NetworkPolicy has no other clusters"
    return ""


def _peers(entry: Entry) -> Iterator[K8sPeer]:
    for selector in entry.endpoints or ():
        yield _pods(selector)
    blocks = _EVERY_ADDRESS if entry.entities else entry.cidr or ()
    for block in blocks:
        yield K8sPeer(ip_block=IpBlock(block))


def _pods(selector: Selector) -> K8sPeer:
    own = [pair for pair in selector.match_labels if pair[0] != NAMESPACE_KEY]
    rest = [each for each in selector.match_expressions if each.key != NAMESPACE_KEY]
    names = [value for key, value in selector.match_labels if key == NAMESPACE_KEY]
    listed = [
        value for each in selector.match_expressions if each.key == NAMESPACE_KEY for value in each.values
    ]
    pods = Selector(tuple(own), tuple(rest))
    if not names and not listed:
        return K8sPeer(pod_selector=pods)
    if names:
        return K8sPeer(pod_selector=pods, namespace_selector=Selector.of({_NAMESPACE_NAME: names[0]}))
    among = Requirement(_NAMESPACE_NAME, Operator.IN, tuple(listed))
    return K8sPeer(pod_selector=pods, namespace_selector=Selector.of({}, among))


def _ports(rules: Sequence[PortRule]) -> Iterator[K8sPort]:
    for rule in rules:
        for port in rule.ports:
            yield K8sPort(port.protocol, port.number, port.end_port)
