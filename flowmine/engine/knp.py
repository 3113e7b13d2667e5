"""From Kubernetes NetworkPolicies to entries, as Cilium translates them (`pkg/k8s/network_policy.go`)."""

from collections.abc import Iterator

from flowmine.engine.addresses import span
from flowmine.engine.config import Config
from flowmine.engine.entries import (
    ANY_PORT,
    Atom,
    CidrAtom,
    LabelAtom,
    LoweredEntry,
    Origin,
    PortTerm,
    Subject,
    protocols_of,
)
from flowmine.engine.lowering import in_cluster, label_term
from flowmine.engine.portterms import named_or_range
from flowmine.labels import NAMESPACE_KEY, NAMESPACE_LABELS_PREFIX
from flowmine.policy.model import (
    Direction,
    K8sEntry,
    K8sPeer,
    K8sPort,
    Operator,
    Policy,
    PortProtocol,
    Requirement,
    Selector,
)
from flowmine.policy.selector import Term

__all__ = ["lower"]

_K8S = "k8s"


def lower(policy: Policy, config: Config) -> Iterator[LoweredEntry]:
    """Yield the entries of a NetworkPolicy.

    Cilium enforces the rules of both directions whatever `policyTypes` say; those only close a direction that has no
    rules (SEMANTICS 10).
    """
    spec = policy.network_policy
    if spec is None:
        return
    namespace = policy.namespace or "default"
    subject = Subject(_pod_terms(spec.pod_selector, namespace))
    closes = {
        Direction.INGRESS: "Ingress" in spec.policy_types or "Egress" not in spec.policy_types,
        Direction.EGRESS: "Egress" in spec.policy_types,
    }
    for direction, entries in ((Direction.INGRESS, spec.ingress), (Direction.EGRESS, spec.egress)):
        for index, entry in enumerate(entries):
            origin = Origin(policy.ref, f"spec.{direction}[{index}]")
            peers = _peers(entry, direction, namespace, config)
            yield LoweredEntry(origin, direction, False, subject, peers, _ports(entry), True)
        if not entries and closes[direction]:
            origin = Origin(policy.ref, "spec.policyTypes")
            yield LoweredEntry(origin, direction, False, subject, (), ANY_PORT, True)


def _pod_terms(selector: Selector, namespace: str) -> tuple[Term, ...]:
    """Return a pod selector's terms in one namespace, which replaces any that the selector names (`parsePodSelector`)."""
    kept = Selector(
        tuple(each for each in selector.match_labels if each[0] != NAMESPACE_KEY), selector.match_expressions
    )
    return (*kept.terms(_K8S), label_term(NAMESPACE_KEY, namespace))


def _peers(entry: K8sEntry, direction: Direction, namespace: str, config: Config) -> tuple[Atom, ...] | None:
    if not entry.peers:
        return None
    atoms: list[Atom] = []
    for peer in entry.peers:
        terms = _peer_terms(peer, direction, namespace, config)
        if terms is not None:
            atoms.append(LabelAtom(terms))
        block = peer.ip_block
        if block is not None and block.cidr is not None:
            excepts = tuple(span(text) for text in block.except_)
            atoms.append(CidrAtom(span(block.cidr), excepts, block.cidr, block.except_))
    return tuple(dict.fromkeys(atoms))


def _peer_terms(
    peer: K8sPeer, direction: Direction, namespace: str, config: Config
) -> tuple[Term, ...] | None:
    """Return the label side of a peer; None where it has none.

    An ingress peer with only an address block also gets the policy's own namespace where the local cluster is the
    default: Cilium adds the cluster's label to a pod selector that is not there (SEMANTICS 9).
    """
    if peer.namespace_selector is not None:
        pods = peer.pod_selector.terms(_K8S) if peer.pod_selector else ()
        return in_cluster((*_namespace_terms(peer.namespace_selector), *pods), config)
    if peer.pod_selector is not None:
        return in_cluster(_pod_terms(peer.pod_selector, namespace), config)
    if direction is Direction.INGRESS and config.policy_default_local_cluster:
        return in_cluster(_pod_terms(Selector(), namespace), config)
    return None


def _namespace_terms(selector: Selector) -> tuple[Term, ...]:
    """Return a namespace selector's terms: namespaces' labels are on their pods, with a prefix."""
    prefixed = Selector(
        tuple((NAMESPACE_LABELS_PREFIX + key, value) for key, value in selector.match_labels),
        tuple(
            Requirement(NAMESPACE_LABELS_PREFIX + each.key, each.operator, each.values)
            for each in selector.match_expressions
        ),
    )
    return prefixed.terms(_K8S) or (Term(_K8S, NAMESPACE_KEY, Operator.EXISTS),)


def _ports(entry: K8sEntry) -> tuple[PortTerm, ...]:
    return tuple(_port(each) for each in entry.ports) or ANY_PORT


def _port(item: K8sPort) -> PortTerm:
    """Return the term of one port: protocol absent is TCP, port absent is every port."""
    text = None if item.port is None else str(item.port)
    return named_or_range(PortProtocol(text, None, item.end_port), protocols_of(item.protocol or "TCP"))
