"""Whether selectors, peers and ports contain one another, or can meet, whatever endpoints there are.

Sound in one direction: what is called contained is; what is not, may still be. Bare keys and ``k8s:`` keys are one,
for a pod's labels come from Kubernetes.
"""

from collections.abc import Iterable, Sequence

from flowmine.engine.entries import Atom, CidrAtom, FqdnAtom, LabelAtom, PortTerm
from flowmine.engine.l7 import canonical_name, names
from flowmine.policy.selector import Operator, Term

__all__ = [
    "can_hold",
    "can_meet",
    "implies",
    "peers_contain",
    "peers_meet",
    "port_contains",
    "ports_contain",
    "ports_meet",
]

Terms = Iterable[Term]
_WORLD = frozenset({"world", "world-ipv4", "world-ipv6"})


def _key(term: Term) -> tuple[str, str]:
    return ("k8s" if term.source == "any" else term.source, term.key)


def implies(narrow: Terms, wide: Terms) -> bool:
    """Tell whether every endpoint that the narrow terms hold for is one that the wide ones hold for."""
    given = list(narrow)
    return all(any(_term_implies(one, asked) for one in given) for asked in wide)


def _term_implies(given: Term, asked: Term) -> bool:
    if _key(given) != _key(asked):
        return False
    if asked.operator is Operator.IN:
        return given.operator is Operator.IN and given.values <= asked.values
    if asked.operator is Operator.EXISTS:
        return given.operator in (Operator.IN, Operator.EXISTS)
    if given.operator is Operator.DOES_NOT_EXIST:
        return True
    if asked.operator is Operator.DOES_NOT_EXIST:
        return False
    if given.operator is Operator.IN:
        return not given.values & asked.values
    return given.operator is Operator.NOT_IN and given.values >= asked.values


def can_hold(terms: Terms) -> bool:
    """Tell whether any endpoint can satisfy all terms at once; no pod has reserved labels."""
    by_key: dict[tuple[str, str], list[Term]] = {}
    for term in terms:
        by_key.setdefault(_key(term), []).append(term)
    if not all(_key_can_hold(group) for group in by_key.values()):
        return False
    present = {
        source
        for (source, _), group in by_key.items()
        if any(term.operator in (Operator.IN, Operator.EXISTS) for term in group)
    }
    return not {"reserved", "k8s"} <= present


def _key_can_hold(terms: Sequence[Term]) -> bool:
    allowed: frozenset[str] | None = None
    barred: set[str] = set()
    present = absent = False
    for term in terms:
        if term.operator is Operator.IN:
            allowed = term.values if allowed is None else allowed & term.values
        elif term.operator is Operator.NOT_IN:
            barred |= term.values
        present |= term.operator in (Operator.IN, Operator.EXISTS)
        absent |= term.operator is Operator.DOES_NOT_EXIST
    return not (present and absent) and (allowed is None or bool(allowed - barred))


def can_meet(one: Terms, other: Terms) -> bool:
    """Tell whether an endpoint may satisfy both, as far as the terms alone can tell."""
    return can_hold([*one, *other])


def peers_contain(wide: Sequence[Atom] | None, narrow: Sequence[Atom] | None) -> bool:
    """Tell whether every peer of the narrow list is one of the wide list; None is anybody."""
    if wide is None:
        return True
    if narrow is None:
        return False
    return all(any(_atom_contains(outer, inner) for outer in wide) for inner in narrow)


def _atom_contains(wide: Atom, narrow: Atom) -> bool:
    if isinstance(wide, LabelAtom):
        if isinstance(narrow, LabelAtom):
            return implies(narrow.terms, wide.terms)
        return not wide.terms or _is_world(wide)
    if isinstance(wide, CidrAtom):
        return isinstance(narrow, CidrAtom) and _cidr_contains(wide, narrow)
    return isinstance(narrow, FqdnAtom) and _names_contain(wide, narrow)


def _is_world(atom: LabelAtom) -> bool:
    return all(
        term.source == "reserved" and term.key == "world" and term.operator is Operator.EXISTS
        for term in atom.terms
    )


def _cidr_contains(wide: CidrAtom, narrow: CidrAtom) -> bool:
    first, last = narrow.span
    if not (wide.span[0] <= first and last <= wide.span[1]):
        return False
    return all(
        gap[1] < first
        or last < gap[0]
        or any(inner[0] <= gap[0] and gap[1] <= inner[1] for inner in narrow.excepts)
        for gap in wide.excepts
    )


def _names_contain(wide: FqdnAtom, narrow: FqdnAtom) -> bool:
    if wide == narrow or (wide.selector.match_pattern or "").strip(".") == "*":
        return True
    name = narrow.selector.match_name
    return (
        bool(name) and not narrow.selector.match_pattern and names(wide.selector, canonical_name(name or ""))
    )


def peers_meet(peers: Sequence[Atom] | None, terms: Sequence[Term]) -> bool:
    """Tell whether a peer list may hold an endpoint that satisfies the terms."""
    if peers is None:
        return True
    return any(isinstance(atom, LabelAtom) and can_meet(atom.terms, terms) for atom in peers)


def port_contains(wide: PortTerm, narrow: PortTerm) -> bool:
    """Tell whether one term's ports and protocols hold all of another's; a name holds only itself."""
    if narrow.protocols & ~wide.protocols:
        return False
    if narrow.name or wide.name:
        same = (wide.name, wide.end) == (narrow.name, narrow.end)
        return same or (not wide.name and (wide.low, wide.high) == (0, 65535))
    return wide.low <= narrow.low and narrow.high <= wide.high


def ports_contain(wide: Sequence[PortTerm], narrow: Sequence[PortTerm]) -> bool:
    """Tell whether every port of the narrow terms is one of the wide ones."""
    return all(any(port_contains(outer, inner) for outer in wide) for inner in narrow)


def ports_meet(one: Sequence[PortTerm], other: Sequence[PortTerm]) -> bool:
    """Tell whether two lists of terms may share a port; a named port may be any."""
    return any(
        bool(left.protocols & right.protocols)
        and (bool(left.name or right.name) or (left.low <= right.high and right.low <= left.high))
        for left in one
        for right in other
    )
