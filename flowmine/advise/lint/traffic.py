"""What only a capture can tell: labels that nothing has, selectors that hold for nobody, a world of three addresses."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from flowmine.advise.finding import Level
from flowmine.advise.lint.context import Capture, Context, Hit, LabelSet, Lowered, Unit
from flowmine.advise.lint.selectors import selectors_of
from flowmine.engine.entries import CidrAtom, LabelAtom, PortTerm, protocols_of
from flowmine.labels import NAMESPACE_KEY, Label
from flowmine.policy.model import Direction, Kind, Operator, Selector
from flowmine.policy.selector import Term, split_key

__all__ = ["FEW", "absent_labels", "few_addresses"]

FEW = 3
"""Up to how many addresses the world may be in the traffic for a rule of the world to be told."""

_EVERYWHERE = {"0.0.0.0/0", "::/0"}
_OUTSIDE = frozenset({"world", "world-ipv4", "world-ipv6"})
_COLUMNS = ("initiator", "initiator_ip", "responder", "responder_ip", "protocol", "port", "outcome")
"""What is looked at of EDGES."""


def absent_labels(context: Context) -> Iterator[Hit]:
    """Find selectors that no endpoint of the capture satisfies: an unknown namespace, key, value, or combination."""
    if context.capture is None:
        return
    pods = context.capture.pods()
    if not pods:
        return
    for unit, path, selector in selectors_of(context):
        hit = _absent(unit, path, selector, pods)
        if hit is not None:
            yield hit


def _own_namespace(unit: Unit, path: str, selector: Selector) -> str | None:
    """Return the namespace that a selector implies; None where it names one itself, or is clusterwide."""
    policy = unit.policy
    if policy is None or policy.kind is Kind.CCNP:
        return None
    keys = selector.keys()
    named = any(split_key(key)[1].startswith((NAMESPACE_KEY, "io.cilium.k8s.namespace")) for key in keys)
    if policy.kind is Kind.KNP and not path.endswith("podSelector"):
        return None  # a namespaceSelector may stand beside it
    return None if named and not path.endswith("Selector") else (policy.namespace or "default")


def _absent(unit: Unit, path: str, selector: Selector, pods: Sequence[LabelSet]) -> Hit | None:
    try:
        terms = selector.terms()
    except ValueError:
        return None
    if any(term.source not in ("any", "k8s") for term in terms):
        return None
    namespace = _own_namespace(unit, path, selector)
    if namespace is not None:
        terms = (Term("k8s", NAMESPACE_KEY, Operator.IN, frozenset({namespace})), *terms)
    for term in sorted(terms, key=lambda each: each.key != NAMESPACE_KEY):
        told = _absent_term(term, pods)
        if told is not None:
            unseen = term.key == NAMESPACE_KEY and "did you mean" not in told[1]
            if unseen and namespace is not None and not path.endswith("Selector"):
                return None  # told once, of whom the policy selects
            return Hit(unit, path, *told, Level.NOTE if unseen else None)
    if any(all(term.matches(labels) for term in terms) for labels in pods):
        return None
    together = ", ".join(str(term) for term in terms).replace("k8s:", "")
    message = f"no endpoint of the capture has all of {together}, though each label occurs"
    return Hit(unit, path, message, "correct the labels, or capture for longer")


def _absent_term(term: Term, pods: Sequence[LabelSet]) -> tuple[str, str] | None:
    if term.operator not in (Operator.IN, Operator.EXISTS) or any(term.matches(labels) for labels in pods):
        return None
    values = sorted({label.value for labels in pods for label in labels if term.selects(label)})
    if values:
        wanted = " or ".join(sorted(term.values))
        close = get_close_matches(min(term.values, default=""), values, 1)
        hint = f"did you mean {close[0]}?" if close else f"seen: {', '.join(values[:5])}"
        return f"no endpoint of the capture has {term.key}={wanted}", f"{hint} (or capture for longer)"
    keys = sorted({label.key for labels in pods for label in labels})
    close = get_close_matches(term.key, keys, 1)
    hint = f"did you mean {close[0]}?" if close else "correct the key"
    return f"no endpoint of the capture has a label {term.key}", f"{hint} (or capture for longer)"


def few_addresses(context: Context) -> Iterator[Hit]:
    """Find rules that admit the whole world where the traffic shows a few addresses only."""
    capture = context.capture
    if capture is None or capture.edges is None:
        return
    table = capture.edges.select(_COLUMNS)
    edges = [row for row in table.to_pylist() if row["outcome"] == "delivered"]
    for lowered in context.lowered:
        if lowered.entry.denies or not _is_everywhere(lowered):
            continue
        seen = sorted({address for row in edges if (address := _outside(lowered, row, capture)) is not None})
        if 0 < len(seen) <= FEW:
            called = _called(seen, capture)
            message = f"admits the whole world, and the traffic shows {len(seen)} address{'es'[: 2 * (len(seen) > 1)]}: {', '.join(called)}"
            names = any(" " in text for text in called) and lowered.entry.direction is Direction.EGRESS
            fix = f"name them: {'toFQDNs with the names, or ' if names else ''}{_cidr_key(lowered)}"
            yield Hit(lowered.unit, lowered.path, message, fix)


def _cidr_key(lowered: Lowered) -> str:
    policy = lowered.unit.policy
    if policy is not None and policy.kind is Kind.KNP:
        return "ipBlock with their prefixes"
    return "fromCIDR with /32" if lowered.entry.direction is Direction.INGRESS else "toCIDR with /32"


def _is_everywhere(lowered: Lowered) -> bool:
    """Tell whether an entry's peers include every address outside."""
    peers = lowered.entry.peers
    return peers is not None and any(
        (
            isinstance(atom, LabelAtom)
            and any(term.source == "reserved" and term.key in _OUTSIDE for term in atom.terms)
        )
        or (isinstance(atom, CidrAtom) and atom.text in _EVERYWHERE and not atom.excepts)
        for atom in peers
    )


def _outside(lowered: Lowered, row: dict[str, Any], capture: Capture) -> str | None:
    """Return the outside address of an edge that an entry admits; None where it does not."""
    egress = lowered.entry.direction is Direction.EGRESS
    own, other = ("initiator", "responder") if egress else ("responder", "initiator")
    labels, peer = capture.ends.get(row[own], ()), capture.ends.get(row[other], ())
    address: str | None = row[f"{other}_ip"]
    if address is None or not _is_outside(peer) or not labels:
        return None
    if not all(term.matches(labels) for term in lowered.entry.subject.terms):
        return None
    return address if _admits(lowered.entry.ports, row["protocol"], row["port"]) else None


def _is_outside(labels: LabelSet) -> bool:
    return (
        any(
            label.source in ("cidr", "fqdn") or (label.source == "reserved" and label.key in _OUTSIDE)
            for label in labels
        )
        and Label("reserved", "kube-apiserver") not in labels
    )


def _admits(ports: Sequence[PortTerm], protocol: str | None, port: int | None) -> bool:
    asked = protocols_of(protocol or "ANY")
    return any(
        bool(term.protocols & asked) and (bool(term.name) or term.low <= (port or 0) <= term.high)
        for term in ports
    )


def _called(addresses: Sequence[str], capture: Capture) -> list[str]:
    """Return each address, with a name that it was seen under behind it."""
    names: dict[str, set[str]] = {}
    if capture.names is not None:
        for ip, name in zip(capture.names["ip"].to_pylist(), capture.names["name"].to_pylist(), strict=True):
            names.setdefault(ip, set()).add(name)
    return [f"{each} ({min(names[each])})" if each in names else each for each in addresses]
