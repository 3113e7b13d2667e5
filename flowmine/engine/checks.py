"""The conditions of an entry one by one, in words: labels, addresses, names, ports, requests."""

from collections.abc import Iterable, Iterator

from flowmine.engine.addresses import Span
from flowmine.engine.entries import Atom, CidrAtom, LabelAtom, LoweredEntry, PortTerm, Protocols, Subject
from flowmine.engine.l7 import Request, admits, learned, names
from flowmine.engine.party import Identity
from flowmine.engine.reasons import Check, PeerTrace
from flowmine.policy.model import FqdnSelector, HttpRule
from flowmine.policy.selector import Term

__all__ = ["peer_traces", "port_check", "request_checks", "subject_checks", "term_check"]


def term_check(term: Term, identity: Identity) -> Check:
    """Return whether a selector's term holds for a party, and the label it looked at."""
    looked_at = sorted(label for label in identity.labels if term.selects(label))
    found = str(looked_at[0]) if looked_at else "no such label"
    return Check(str(term), found, term.matches(identity.labels))


def subject_checks(subject: Subject, identity: Identity) -> tuple[Check, ...]:
    """Return the conditions by which a rule selects a party: host policies the host alone, others never it."""
    asked = "a node (nodeSelector)" if subject.node else "an endpoint, not a node (endpointSelector)"
    kind = Check(asked, "the local host" if identity.host else "an endpoint", subject.node == identity.host)
    terms = tuple(term_check(term, identity) for term in subject.terms)
    return terms if kind.holds and terms else (kind, *terms)


def peer_traces(atoms: Iterable[Atom], identity: Identity) -> tuple[PeerTrace, ...]:
    """Return each peer of an entry, condition by condition."""
    return tuple(PeerTrace(tuple(_atom_checks(atom, identity))) for atom in atoms)


def _atom_checks(atom: Atom, identity: Identity) -> Iterator[Check]:
    if isinstance(atom, LabelAtom):
        yield from (term_check(term, identity) for term in atom.terms)
    elif isinstance(atom, CidrAtom):
        yield from _cidr_checks(atom, identity.span)
    else:
        asked = f"name {atom.selector.match_name or atom.selector.match_pattern}"
        known = ", ".join(identity.names) or "no name learned for it"
        yield Check(asked, known, any(learned(atom.selector, name) for name in identity.names))


def _cidr_checks(atom: CidrAtom, span: Span | None) -> Iterator[Check]:
    text = f"{atom.text} (group {atom.group})" if atom.group else atom.text
    if span is None:
        yield Check(f"address in {text}", "not an address outside the cluster", False)
        return
    inside = _covers(atom.span, span)
    yield Check(f"address in {text}", "inside" if inside else "outside of it", inside)
    for text, gap in zip(atom.except_texts, atom.excepts, strict=True):
        left_out = _covers(gap, (span[0], span[0])) or _covers(gap, (span[1], span[1]))
        yield Check(f"not in {text} (except)", "inside it" if left_out else "outside of it", not left_out)


def _covers(outer: Span, inner: Span) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def port_check(term: PortTerm, number: int | None, protocol: Protocols, port: int) -> Check:
    """Return whether a port term holds for a connection; `number` is what a named port stands for, None unknown."""
    protocols = "any protocol" if term.protocols == Protocols.ALL else _protocol_names(term.protocols)
    if term.protocols == Protocols.ALL:
        return Check("any port and protocol", f"{port}/{_protocol_names(protocol)}", True)
    low, high = (term.low, term.high) if number is None else (number, max(number, term.end))
    text = str(low) if low == high else f"{low}-{high}"
    if term.name:
        text = f"{term.name} (unknown)" if number is None else f"{term.name} ({text})"
    elif (low, high) == (0, 65535):
        text = "any"
    known = not term.name or number is not None
    holds = known and low <= port <= high and bool(term.protocols & protocol)
    return Check(f"port {text}/{protocols}", f"{port}/{_protocol_names(protocol)}", holds)


def _protocol_names(protocols: Protocols) -> str:
    if protocols in (Protocols.ICMP, Protocols.ICMPV6):
        return "ICMP type" if protocols == Protocols.ICMP else "ICMPv6 type"
    return str(protocols.name or "other")


def request_checks(entry: LoweredEntry, request: Request | None, name: str | None) -> Iterator[Check]:
    """Yield an entry's HTTP or DNS rules and whether each admits the request or the name asked about."""
    redirects = dict.fromkeys(term.redirect for term in entry.ports if term.redirect is not None)
    for redirect in redirects:
        if request is not None:
            found = f"{request.method} {request.path} {request.host}".strip()
            for rule in redirect.http or ():
                yield Check(_http_text(rule), found, admits(rule, request))
        if name is not None:
            for item in redirect.dns or ():
                yield Check(f"name {_name_text(item)}", name, names(item, name))


def _http_text(rule: HttpRule) -> str:
    parts = [f"{field} {value}" for field in ("method", "path", "host") if (value := getattr(rule, field))]
    parts += [f"header {text}" for text in rule.headers]
    parts += [f"header {match.name}: {match.value or '(secret)'}" for match in rule.header_matches]
    return "http " + (", ".join(parts) or "any request")


def _name_text(item: FqdnSelector) -> str:
    return item.match_name or item.match_pattern or ""
