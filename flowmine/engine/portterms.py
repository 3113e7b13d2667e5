"""From `toPorts` and `icmps` to port terms: ranges, names, protocols and the proxies they redirect to.

Sources: Cilium `pkg/policy/api/l4.go` and `icmp.go` (numbers and types), `pkg/policy/l4.go` (parsers, priorities).
"""

from collections.abc import Iterable, Iterator

from flowmine.engine.entries import PortTerm, Protocols, Redirect, protocols_of
from flowmine.policy.limits import ICMP_NAMES_V4, ICMP_NAMES_V6
from flowmine.policy.model import IcmpField, IcmpRule, PortProtocol, PortRule

__all__ = ["icmp_terms", "icmp_type", "named_or_range", "port_terms"]

_PRIORITIES = {"http": 101, "kafka": 106, "tls": 116, "dns": 121, "crd": 126}
_PROXYLIB_PRIORITY = 111


def port_terms(rules: Iterable[PortRule]) -> tuple[PortTerm, ...]:
    """Return the terms of `toPorts`; an item without ports has none, whatever its rules (SEMANTICS 6)."""
    return tuple(
        named_or_range(item, protocol, _redirect(rule, protocol))
        for rule in rules
        for item in rule.ports
        for protocol in _each(item)
    )


def named_or_range(item: PortProtocol, protocols: Protocols, redirect: Redirect | None = None) -> PortTerm:
    """Return the term of one port: 0 is every port, an `endPort` not above the port is ignored (SEMANTICS 26)."""
    end = item.end_port or 0
    number = item.number if item.port else 0
    if number is None:
        return PortTerm(protocols, 0, 0, item.port or "", end, redirect)
    if number == 0 and not end:
        return PortTerm(protocols, 0, 65535, redirect=redirect)
    return PortTerm(protocols, number, max(number, end), redirect=redirect)


def icmp_terms(rules: Iterable[IcmpRule]) -> tuple[PortTerm, ...]:
    """Return the terms of `icmps`: type 0 opens every type of its family (SEMANTICS 23)."""
    return tuple(_icmp_term(field) for rule in rules for field in rule.fields)


def icmp_type(field: IcmpField) -> int:
    """Return the number of an ICMP type; 0 for one that Cilium cannot read, which opens every type.

    >>> icmp_type(IcmpField("EchoRequest", "IPv6"))
    128
    """
    if isinstance(field.type, int):
        return field.type
    text = field.type or ""
    if text.isascii() and text.isdigit():
        return int(text)
    return (ICMP_NAMES_V6 if field.family == "IPv6" else ICMP_NAMES_V4).get(text, 0)


def _icmp_term(field: IcmpField) -> PortTerm:
    protocol = Protocols.ICMPV6 if field.family == "IPv6" else Protocols.ICMP
    number = icmp_type(field)
    return PortTerm(protocol, number, number) if number > 0 else PortTerm(protocol)


def _each(item: PortProtocol) -> Iterator[Protocols]:
    """Yield a port's protocols one by one where it names none, for each has a filter, and a redirect, of its own."""
    protocols = protocols_of(item.protocol)
    if protocols != Protocols.ANY:
        yield protocols
    else:
        yield from (Protocols.TCP, Protocols.UDP, Protocols.SCTP)


def _redirect(rule: PortRule, protocol: Protocols) -> Redirect | None:
    """Return the proxy that a `toPorts` item asks for on one protocol (Cilium `createL4Filter`)."""
    rules = rule.rules
    parser = ""
    if rule.terminating_tls or rule.originating_tls or rule.server_names:
        parser = "tls"
    if rules is not None and rules.dns:
        parser = "dns"
    elif rules is not None and protocol == Protocols.TCP:
        if rules.http:
            parser = "http"
        elif rules.kafka:
            parser = "kafka"
        elif rules.l7proto:
            parser = rules.l7proto
    if rule.listener is not None:
        parser = "crd"
    if not parser:
        return None
    priority = (rule.listener.priority if rule.listener else None) or _PRIORITIES.get(
        parser, _PROXYLIB_PRIORITY
    )
    return Redirect(
        parser,
        priority,
        http=rules.http or None if rules else None,
        dns=rules.dns or None if rules else None,
    )
