"""Everybody that policies speak of: an end of each kind for every selector, address and name in them.

With these a policy set can be compared with another without any traffic: each selector has somebody whom it selects,
each namespace somebody whom no selector names, and the reserved ends are there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import combinations, islice, product

from flowmine.engine.addresses import Span
from flowmine.engine.entries import CidrAtom, FqdnAtom, LabelAtom
from flowmine.engine.party import Party
from flowmine.engine.policyset import PolicySet
from flowmine.labels import CLUSTER_KEY, NAMESPACE_KEY, NAMESPACE_LABELS_PREFIX
from flowmine.policy.selector import ANY_SOURCE, Operator, Term

__all__ = ["Somebody", "imagined"]

_RESERVED = ("host", "remote-node", "kube-apiserver", "health", "ingress", "unmanaged", "init")
_STRANGER = "203.0.113.77"
_NAMED_AT = "198.51.100."
_MOST_VALUES = 8
_MOST_UNIONS = 500
_V6 = 1 << 32

Labels = frozenset[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Somebody:
    """An end with the name that reports call it by."""

    title: str
    party: Party


def imagined(*sets: PolicySet) -> tuple[Somebody, ...]:
    """Return everybody that the policy sets speak of, each once, in a fixed order."""
    pods: set[Labels] = set()
    outside: dict[Party, str] = {Party(("reserved:world",), _STRANGER): f"world {_STRANGER}"}
    names: set[str] = set()
    for policies in sets:
        for subject in policies.index.subjects:
            pods.update(_pods(subject.terms, node=subject.node))
        for atom in policies.index.atoms:
            if isinstance(atom, LabelAtom):
                pods.update(_pods(atom.terms, node=False))
            elif isinstance(atom, CidrAtom):
                outside.update((Party(("reserved:world",), ip), f"world {ip}") for ip in _addresses(atom))
            elif isinstance(atom, FqdnAtom):
                pattern = atom.selector.match_name or atom.selector.match_pattern or ""
                names.add(pattern.replace("**.", "any.any.").replace("*", "any"))
    for number, name in enumerate(sorted(names), 1):
        outside[Party(("reserved:world",), f"{_NAMED_AT}{number % 256}", (name,))] = name
    every = {*pods, *_unions(pods), *_plain(pods)}
    made = [Somebody(_title(labels), _party(labels)) for labels in sorted(every, key=sorted)]
    made += [Somebody(name, Party((f"reserved:{name}",))) for name in _RESERVED]
    made += [Somebody(title, party) for party, title in sorted(outside.items(), key=lambda item: item[1])]
    return tuple({each.party: each for each in made}.values())


def _pods(terms: Iterable[Term], *, node: bool) -> Iterator[Labels]:
    """Yield label sets that the terms select, one for each value that they name; what they rule out gives one more."""
    wanted: list[list[tuple[str, str, str] | None]] = []
    for term in terms:
        source = "k8s" if term.source == ANY_SOURCE else term.source
        values: list[tuple[str, str, str] | None] = [
            (source, term.key, value) for value in sorted(term.values)
        ]
        if term.operator is Operator.EXISTS:
            values = [(source, term.key, _any_value(source, term.key))]
        elif term.operator is Operator.NOT_IN:
            values = [None, *values]
        elif term.operator is Operator.DOES_NOT_EXIST:
            values = [None, (source, term.key, _any_value(source, term.key))]
        wanted.append(values[:_MOST_VALUES])
    for chosen in islice(product(*wanted), _MOST_VALUES * _MOST_VALUES):
        labels = frozenset(label for label in chosen if label is not None)
        yield labels | {("reserved", "host", "")} if node else _housed(labels)


def _any_value(source: str, key: str) -> str:
    if source == "reserved":
        return ""
    return "default" if key == NAMESPACE_KEY else "any"


def _housed(labels: Labels) -> Labels:
    """Return a pod's labels with a namespace, where none is named."""
    if any(source == "reserved" for source, _, _ in labels):
        return labels
    if any(key == NAMESPACE_KEY for _, key, _ in labels):
        return labels
    prefix = f"{NAMESPACE_LABELS_PREFIX}kubernetes.io/metadata.name"
    named = next((value for _, key, value in labels if key == prefix), "default")
    return labels | {("k8s", NAMESPACE_KEY, named)}


def _unions(pods: Iterable[Labels]) -> Iterator[Labels]:
    """Yield what two label sets make together where they do not contradict each other: pods that several selectors select."""
    some = sorted((labels for labels in pods if not _is_reserved(labels)), key=sorted)
    pairs = (one | other for one, other in combinations(some, 2) if _agree(one, other))
    yield from islice((labels for labels in pairs), _MOST_UNIONS)


def _agree(one: Labels, other: Labels) -> bool:
    mine, theirs = ({(source, key): value for source, key, value in each} for each in (one, other))
    return all(mine[key] == theirs[key] for key in mine.keys() & theirs.keys()) and mine != theirs


def _plain(pods: Iterable[Labels]) -> Iterator[Labels]:
    """Yield a pod of every namespace named, and of one more, that carries no label at all."""
    homes = {value for labels in pods for _, key, value in labels if key == NAMESPACE_KEY}
    for home in sorted({*homes, "elsewhere"}):
        prefix = f"{NAMESPACE_LABELS_PREFIX}kubernetes.io/metadata.name"
        yield frozenset({("k8s", NAMESPACE_KEY, home), ("k8s", prefix, home)})


def _is_reserved(labels: Labels) -> bool:
    return any(source == "reserved" for source, _, _ in labels)


def _addresses(atom: CidrAtom) -> Iterator[str]:
    """Yield an address within a prefix and outside of what it leaves out, and one of each of these."""
    spans: list[Span] = [atom.span, *atom.excepts]
    for place, (first, last) in enumerate(spans):
        at = first
        for low, high in sorted(atom.excepts) if place == 0 else ():
            at = high + 1 if low <= at <= high else at
        if at <= last:
            yield str(ip_address(at - _V6) if at >= _V6 else ip_address(at))


def _party(labels: Labels) -> Party:
    return Party(
        tuple(
            sorted(f"{source}:{key}={value}" if value else f"{source}:{key}" for source, key, value in labels)
        )
    )


def _title(labels: Labels) -> str:
    values = {key: value for _, key, value in labels}
    shown = [
        f"{key}={value}" if value else key
        for source, key, value in sorted(labels)
        if key not in (NAMESPACE_KEY, CLUSTER_KEY) and not key.startswith(NAMESPACE_LABELS_PREFIX)
    ]
    home = values.get(NAMESPACE_KEY)
    return f"{home}/{','.join(shown) or '(no labels)'}" if home else ",".join(shown)
