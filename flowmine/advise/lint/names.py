"""Rules by DNS name: they allow nothing until the pod's lookups pass Cilium's proxy, over UDP and TCP."""

from collections.abc import Iterator, Sequence

from flowmine.advise.lint.context import Context, Hit, Lowered
from flowmine.advise.lint.overlap import can_meet, implies, peers_contain
from flowmine.engine.entries import FqdnAtom, PortTerm, Protocols
from flowmine.engine.l7 import canonical_name, names
from flowmine.policy.model import Direction, FqdnSelector

__all__ = ["dns_over_tcp", "lookups"]

_DNS_PORT = 53
_FIX = (
    'allow port "53", protocol ANY, to kube-dns (k8s-app: kube-dns in kube-system) for the same pods, '
    'with rules: {dns: [{matchPattern: "*"}]}, or the names alone'
)


def lookups(context: Context) -> Iterator[Hit]:
    """Find `toFQDNs` whose pods have no DNS rule, or none that lets these names through.

    Addresses are learned only from answers that pass the proxy, which a `rules.dns` sends them to (SEMANTICS 34).
    """
    dns = [each for each in _egress(context) if _dns_rules(each) is not None]
    for lowered in _egress(context):
        wanted = [atom.selector for atom in lowered.entry.peers or () if isinstance(atom, FqdnAtom)]
        if not wanted:
            continue
        subject = lowered.entry.subject.terms
        for_sure = [each for each in dns if implies(subject, each.entry.subject.terms)]
        if not for_sure:
            if not any(can_meet(subject, each.entry.subject.terms) for each in dns):
                message = (
                    "no rule sends these pods' DNS lookups through the proxy: no address is ever learned"
                )
                yield Hit(lowered.unit, f"{lowered.path}.toFQDNs", message, _FIX)
            continue
        rules = [rule for each in for_sure for rule in _dns_rules(each) or ()]
        missing = [item for item in wanted if not _looked_up(item, rules)]
        if missing and not any(
            can_meet(subject, each.entry.subject.terms) for each in dns if each not in for_sure
        ):
            told = ", ".join(sorted(item.match_name or item.match_pattern or "" for item in missing))
            message = f"no DNS rule of these pods lets {told} be looked up: no address is ever learned"
            yield Hit(lowered.unit, f"{lowered.path}.toFQDNs", message, "add the names to rules.dns")


def _egress(context: Context) -> list[Lowered]:
    return [
        each
        for each in context.lowered
        if each.entry.direction is Direction.EGRESS and not each.entry.denies and each.entry.peers != ()
    ]


def _dns_rules(lowered: Lowered) -> tuple[FqdnSelector, ...] | None:
    """Return an entry's DNS rules; None where it has none."""
    found = [term.redirect.dns for term in lowered.entry.ports if term.redirect and term.redirect.dns]
    return tuple(rule for rules in found for rule in rules) if found else None


def _looked_up(item: FqdnSelector, rules: Sequence[FqdnSelector]) -> bool:
    """Tell whether a name, or any name of a pattern, may pass the rules."""
    if item.match_name:
        return any(names(rule, canonical_name(item.match_name)) for rule in rules)
    pattern = canonical_name(item.match_pattern or "")
    for rule in rules:
        if rule.match_name and names(item, canonical_name(rule.match_name)):
            return True
        if rule.match_pattern and _patterns_meet(pattern, canonical_name(rule.match_pattern)):
            return True
    return False


def _patterns_meet(one: str, other: str) -> bool:
    """Tell whether two patterns may name one name: what follows each one's last wildcard ends the other, or could."""
    if "*" not in one or "*" not in other:
        return names(FqdnSelector(match_pattern=one), other) or names(FqdnSelector(match_pattern=other), one)
    ends = (one.rpartition("*")[2], other.rpartition("*")[2])
    return ends[0].endswith(ends[1]) or ends[1].endswith(ends[0])


def dns_over_tcp(context: Context) -> Iterator[Hit]:
    """Find DNS allowed over UDP alone: answers too long for one packet come over TCP."""
    for lowered in _egress(context):
        for term in lowered.entry.ports:
            if not _is_udp_dns(term) or _tcp_too(context, lowered, term):
                continue
            message = f"allows DNS over UDP alone (port {term.low}): long answers are fetched over TCP, and would be refused"
            fix = f'write protocol: ANY for port "{term.low}", or add TCP beside UDP'
            yield Hit(lowered.unit, f"{lowered.path}.{_ports_key(lowered)}", message, fix)
            break


def _ports_key(lowered: Lowered) -> str:
    policy = lowered.unit.policy
    return "ports" if policy is not None and policy.network_policy is not None else "toPorts"


def _is_udp_dns(term: PortTerm) -> bool:
    with_rules = term.redirect is not None and term.redirect.parser == "dns"
    return (
        term.protocols == Protocols.UDP
        and not term.name
        and (with_rules or (term.low, term.high) == (_DNS_PORT, _DNS_PORT))
    )


def _tcp_too(context: Context, lowered: Lowered, term: PortTerm) -> bool:
    """Tell whether some rule of the same pods admits the same peers on the same port over TCP."""
    entry = lowered.entry
    return any(
        implies(entry.subject.terms, other.entry.subject.terms)
        and peers_contain(other.entry.peers, entry.peers)
        and any(
            each.protocols & Protocols.TCP and each.low <= term.low and term.high <= each.high
            for each in other.entry.ports
        )
        for other in _egress(context)
    )
