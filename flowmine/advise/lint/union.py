"""What policies do to each other: all that select an endpoint hold together, whatever their kind (SEMANTICS 45)."""

from collections.abc import Iterable, Iterator, Sequence

from flowmine.advise.lint.context import Context, Hit, Lowered
from flowmine.advise.lint.overlap import (
    can_hold,
    can_meet,
    implies,
    peers_contain,
    peers_meet,
    port_contains,
    ports_contain,
    ports_meet,
)
from flowmine.engine.entries import LabelAtom, LoweredEntry, PortTerm, Protocols
from flowmine.labels import NAMESPACE_KEY
from flowmine.policy.model import Direction, Operator
from flowmine.policy.selector import Term

__all__ = [
    "bypassed_l7",
    "duplicates",
    "isolation",
    "one_sided_egress",
    "one_sided_ingress",
    "same_names",
    "shadowed",
]


class _Directory:
    """Entries by the namespace that their subjects are in, so that only those that can meet are compared."""

    def __init__(self, entries: Iterable[Lowered]) -> None:
        self._by_namespace: dict[str, list[Lowered]] = {}
        self._anywhere: list[Lowered] = []
        for each in entries:
            namespaces = _namespaces(each.entry.subject.terms)
            if namespaces is None:
                self._anywhere.append(each)
            for namespace in namespaces or ():
                self._by_namespace.setdefault(namespace, []).append(each)

    def near(self, terms: Sequence[Term]) -> Iterator[Lowered]:
        """Yield the entries whose subjects may lie where endpoints with these terms do."""
        yield from self._anywhere
        namespaces = _namespaces(terms)
        for namespace in sorted(self._by_namespace if namespaces is None else namespaces):
            yield from self._by_namespace.get(namespace, ())


def _namespaces(terms: Iterable[Term]) -> frozenset[str] | None:
    """Return the namespaces that terms ask for; None where they ask for none in particular."""
    for term in terms:
        if term.key == NAMESPACE_KEY and term.operator is Operator.IN:
            return term.values
    return None


def _matches_something(entry: LoweredEntry) -> bool:
    return entry.peers != () and entry.ports != () and can_hold(entry.subject.terms)


def _allows(context: Context, direction: Direction) -> list[Lowered]:
    return [
        each
        for each in context.lowered
        if each.entry.direction is direction and not each.entry.denies and _matches_something(each.entry)
    ]


def shadowed(context: Context) -> Iterator[Hit]:
    """Find allow rules all of whose traffic a deny rule of the same endpoints denies: deny always wins (SEMANTICS 7)."""
    for direction in Direction:
        denies = _Directory(
            each
            for each in context.lowered
            if each.entry.direction is direction and each.entry.denies and _matches_something(each.entry)
        )
        for allow in _allows(context, direction):
            for deny in denies.near(allow.entry.subject.terms):
                if not _covers(deny.entry, allow.entry):
                    continue
                message = f"has no effect: {_named(deny, allow)} denies all of it, and a deny rule wins whatever is narrower"
                yield Hit(allow.unit, allow.path, message, "narrow the deny rule, or leave this rule out")
                break


def _covers(wide: LoweredEntry, narrow: LoweredEntry) -> bool:
    return (
        wide.subject.node == narrow.subject.node
        and implies(narrow.subject.terms, wide.subject.terms)
        and peers_contain(wide.peers, narrow.peers)
        and ports_contain(wide.ports, narrow.ports)
    )


def _named(one: Lowered, beside: Lowered) -> str:
    """Return how to call an entry in a message about another one."""
    if one.unit is beside.unit:
        return one.path
    return f"{one.path} of {one.unit.name} ({one.unit.document.where})"


def bypassed_l7(context: Context) -> Iterator[Hit]:
    """Find HTTP and DNS rules beside a rule that admits the same traffic without any: then every request passes."""
    for direction in Direction:
        allows = _allows(context, direction)
        nearby = _Directory(allows)
        for filtered in allows:
            terms = [
                term
                for term in filtered.entry.ports
                if term.redirect and (term.redirect.http or term.redirect.dns)
            ]
            lifted = [
                (term, other) for term in terms if (other := _bypass(nearby, filtered, term)) is not None
            ]
            if not lifted:
                continue
            term, other = lifted[0]
            kind = "HTTP" if term.redirect and term.redirect.http else "DNS"
            on = "" if len(lifted) == len(terms) else f" on {', '.join(_port(each) for each, _ in lifted)}"
            message = f"its {kind} rules have no effect{on}: {_named(other, filtered)} admits the same traffic without rules"
            fix = "leave the other rule out, or give it the same rules"
            yield Hit(filtered.unit, f"{filtered.path}.toPorts", message, fix)


def _port(term: PortTerm) -> str:
    number = term.name or (str(term.low) if term.low == term.high else f"{term.low}-{term.high}")
    return f"{number}/{term.protocols.name}"


def _bypass(nearby: _Directory, filtered: Lowered, term: PortTerm) -> Lowered | None:
    """Return the entry that lifts a term's rules (SEMANTICS 29): any wider one for HTTP, one of that very port for DNS."""
    for other in nearby.near(filtered.entry.subject.terms):
        entry = other.entry
        if entry.subject.node != filtered.entry.subject.node or not implies(
            filtered.entry.subject.terms, entry.subject.terms
        ):
            continue
        if not peers_contain(entry.peers, filtered.entry.peers):
            continue
        if any(each.redirect is None and _lifts(each, term) for each in entry.ports):
            return other
    return None


def _lifts(wide: PortTerm, filtered: PortTerm) -> bool:
    if filtered.redirect is not None and filtered.redirect.dns:
        exact = (wide.low, wide.high, wide.name) == (filtered.low, filtered.high, filtered.name)
        return exact and bool(wide.protocols & filtered.protocols) and wide.protocols != Protocols.ALL
    return port_contains(wide, filtered)


def duplicates(context: Context) -> Iterator[Hit]:
    """Find rules that say the same of the same endpoints as an earlier one, however they are written."""
    first: dict[object, Lowered] = {}
    for each in context.lowered:
        entry = each.entry
        if not _matches_something(entry):
            continue
        key = (
            entry.direction,
            entry.denies,
            frozenset(entry.subject.terms),
            entry.subject.node,
            None if entry.peers is None else frozenset(entry.peers),
            frozenset(entry.ports),
            entry.authentication,
            entry.default_deny,
        )
        known = first.setdefault(key, each)
        if known is each or (known.unit is not each.unit and known.unit.name == each.unit.name):
            continue
        yield Hit(each.unit, each.path, f"says the same as {_named(known, each)}", "leave one of the two out")


def same_names(context: Context) -> Iterator[Hit]:
    """Find two documents of one kind, namespace and name: applied after the first, the second replaces it."""
    first: dict[str, str] = {}
    for unit in context.units:
        if unit.policy is None or not unit.policy.name:
            continue
        known = first.setdefault(unit.policy.ref, unit.document.where)
        if known != unit.document.where:
            message = f"{unit.policy.ref} is in {known} as well: whichever is applied last replaces the other"
            yield Hit(
                unit, "metadata.name", message, "give it a name of its own, or make one policy of the two"
            )


def isolation(context: Context) -> Iterator[Hit]:
    """Note directions that a policy closes and no policy here opens for any of its endpoints."""
    for direction in Direction:
        allows = _Directory(_allows(context, direction))
        denies_only: dict[tuple[int, tuple[Term, ...], bool], Lowered] = {}
        for each in context.lowered:
            if each.entry.direction is direction and each.entry.default_deny and not each.entry.denies:
                denies_only.setdefault(
                    (id(each.unit), each.entry.subject.terms, each.entry.subject.node), each
                )
        for (_, terms, node), each in denies_only.items():
            opened = any(
                other.entry.subject.node == node and can_meet(terms, other.entry.subject.terms)
                for other in allows.near(terms)
            )
            if opened or not can_hold(terms):
                continue
            what = (
                "reaches the endpoints it selects"
                if direction is Direction.INGRESS
                else "leaves the endpoints it selects"
            )
            message = f"closes {direction.value} without any rule here that opens it: nothing {what}"
            yield Hit(
                each.unit, each.path, message, "add the rules that are needed, if this is not the intent"
            )


def one_sided_ingress(context: Context) -> Iterator[Hit]:
    """Find ingress opened for clients whose own egress is closed, and not opened towards these endpoints."""
    yield from _one_sided(context, Direction.INGRESS)


def one_sided_egress(context: Context) -> Iterator[Hit]:
    """Find egress opened towards endpoints whose own ingress is closed, and not opened for these clients."""
    yield from _one_sided(context, Direction.EGRESS)


def _one_sided(context: Context, direction: Direction) -> Iterator[Hit]:
    other_way = Direction.EGRESS if direction is Direction.INGRESS else Direction.INGRESS
    opens = _Directory(_allows(context, other_way))
    closes = _Directory(
        each for each in context.lowered if each.entry.direction is other_way and each.entry.default_deny
    )
    for allow in _allows(context, direction):
        for atom in allow.entry.peers or ():
            if not isinstance(atom, LabelAtom) or any(term.source == "reserved" for term in atom.terms):
                continue
            closing = _closing(closes, atom.terms)
            if closing is None or _is_open(opens, atom.terms, allow.entry):
                continue
            far, done = ("egress", "to") if direction is Direction.INGRESS else ("ingress", "from")
            message = (
                f"opens {direction.value} {'from' if far == 'egress' else 'to'} {_shown(atom.terms)}, whose own {far} "
                f"{_named(closing, allow)} closes, and no rule opens it {done} here"
            )
            fix = f"add a rule of {far} for {_shown(atom.terms)} on the same ports"
            yield Hit(allow.unit, allow.path, message, fix)


def _closing(closes: _Directory, terms: tuple[Term, ...]) -> Lowered | None:
    """Return an entry that surely closes the direction for every endpoint with these terms."""
    return next(
        (
            each
            for each in closes.near(terms)
            if not each.entry.subject.node and implies(terms, each.entry.subject.terms)
        ),
        None,
    )


def _is_open(opens: _Directory, terms: tuple[Term, ...], allow: LoweredEntry) -> bool:
    """Tell whether any entry may open the direction for some endpoint with these terms, towards the other end."""
    return any(
        can_meet(terms, each.entry.subject.terms)
        and peers_meet(each.entry.peers, allow.subject.terms)
        and ports_meet(each.entry.ports, allow.ports)
        for each in opens.near(terms)
    )


def _shown(terms: Iterable[Term]) -> str:
    """Return what terms ask for, without the cluster that Cilium adds."""
    told = [str(term) for term in terms if "policy.cluster" not in term.key]
    return ", ".join(told).replace("k8s:", "") or "every pod"
