"""What a policy says of ports and of what runs over them: `toPorts`, `icmps`, and the rules for HTTP, DNS and Kafka."""

import re
from dataclasses import dataclass

from flowmine.policy.canonical import distinct, pairs

__all__ = [
    "EnvoyConfig",
    "FqdnSelector",
    "HeaderMatch",
    "HttpRule",
    "IcmpField",
    "IcmpRule",
    "KafkaRule",
    "L7Rules",
    "Listener",
    "PortProtocol",
    "PortRule",
    "Secret",
    "TlsContext",
    "is_port_name",
    "parse_port",
]


_PORT_NAME = re.compile(r"(?=.*[a-zA-Z])[a-zA-Z0-9](-?[a-zA-Z0-9])*")
_PORT_NUMBER = re.compile(
    r"0[xX]_?[0-9a-fA-F]+(_[0-9a-fA-F]+)*|0[bB]_?[01]+(_[01]+)*|0[oO]?_?[0-7]+(_[0-7]+)*|[1-9][0-9]*(_[0-9]+)*|0"
)


def is_port_name(text: str) -> bool:
    """Tell whether Cilium takes a port for a name: an IANA service name of at most 15 characters with a letter in it.

    >>> is_port_name("http"), is_port_name("0x50"), is_port_name("443")
    (True, True, False)
    """
    return len(text) <= 15 and _PORT_NAME.fullmatch(text) is not None


def parse_port(text: str) -> int | None:
    """Return the number of a port that is no name, as Go's `strconv.ParseUint(text, 0, 16)` reads it, or None.

    >>> parse_port("443"), parse_port("010"), parse_port("080"), parse_port("65536")
    (443, 8, None, None)
    """
    if len(text) > 64 or not _PORT_NUMBER.fullmatch(text):
        return None
    octal = len(text) > 1 and text[0] == "0" and text[1] in "01234567_"
    number = int(text[1:].replace("_", ""), 8) if octal else int(text, 0)
    return number if number < 65536 else None


@dataclass(frozen=True, slots=True)
class PortProtocol:
    """One item of `ports`: a number as text or a name; protocol absent is ANY (TCP, UDP and SCTP)."""

    port: str | None = None
    protocol: str | None = None
    end_port: int | None = None

    @property
    def number(self) -> int | None:
        """The port's number, or None where it is a name or absent."""
        return None if self.port is None or is_port_name(self.port) else parse_port(self.port)


def _port_order(item: PortProtocol) -> tuple[bool, int, str, int, str]:
    number = item.number
    return (number is None, number or 0, item.port or "", item.end_port or 0, item.protocol or "")


@dataclass(frozen=True, slots=True)
class Secret:
    """A Kubernetes secret, by name."""

    name: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class TlsContext:
    """`terminatingTLS` or `originatingTLS`: where the proxy finds its certificates."""

    secret: Secret | None = None
    trusted_ca: str | None = None
    certificate: str | None = None
    private_key: str | None = None


@dataclass(frozen=True, slots=True)
class EnvoyConfig:
    """The CiliumEnvoyConfig that a listener belongs to."""

    name: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """A redirect to a listener of a CiliumEnvoyConfig; `priority` 1 to 100."""

    envoy_config: EnvoyConfig | None = None
    name: str | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """One item of `headerMatches`; with a mismatch action (LOG, ADD, DELETE, REPLACE) it never fails a request."""

    name: str | None = None
    value: str | None = None
    mismatch: str | None = None
    secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class HttpRule:
    """One `http` rule: every field given must match; method, path and host are regular expressions (RE2, full match)."""

    method: str | None = None
    path: str | None = None
    host: str | None = None
    headers: tuple[str, ...] = ()
    header_matches: tuple[HeaderMatch, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", tuple(self.headers))
        object.__setattr__(self, "header_matches", tuple(self.header_matches))


@dataclass(frozen=True, slots=True)
class FqdnSelector:
    """A DNS name or a pattern of names: an item of `rules.dns` and of `toFQDNs`."""

    match_name: str | None = None
    match_pattern: str | None = None


@dataclass(frozen=True, slots=True)
class KafkaRule:
    """One `kafka` rule."""

    role: str | None = None
    api_key: str | None = None
    api_version: str | None = None
    client_id: str | None = None
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class L7Rules:
    """`toPorts[].rules`: one of http, dns, kafka, or l7proto with its key/value rules `l7`.

    An empty list is no L7 rule at all; a list of one empty rule redirects to the proxy and admits everything.
    """

    http: tuple[HttpRule, ...] | None = None
    kafka: tuple[KafkaRule, ...] | None = None
    dns: tuple[FqdnSelector, ...] | None = None
    l7proto: str | None = None
    l7: tuple[tuple[tuple[str, str], ...], ...] | None = None

    def __post_init__(self) -> None:
        if self.http is not None:
            object.__setattr__(self, "http", tuple(self.http))
        if self.kafka is not None:
            object.__setattr__(self, "kafka", tuple(self.kafka))
        if self.dns is not None:
            object.__setattr__(self, "dns", distinct(self.dns))
        if self.l7 is not None:
            object.__setattr__(self, "l7", tuple(pairs(each) for each in self.l7))


@dataclass(frozen=True, slots=True)
class PortRule:
    """One item of `toPorts`. Without ports it matches nothing, whatever its rules."""

    ports: tuple[PortProtocol, ...] = ()
    terminating_tls: TlsContext | None = None
    originating_tls: TlsContext | None = None
    server_names: tuple[str, ...] = ()
    listener: Listener | None = None
    rules: L7Rules | None = None

    def __post_init__(self) -> None:
        if len(self.ports) > 1:
            object.__setattr__(self, "ports", tuple(sorted(dict.fromkeys(self.ports), key=_port_order)))
        else:
            object.__setattr__(self, "ports", tuple(self.ports))
        object.__setattr__(self, "server_names", distinct(self.server_names))


@dataclass(frozen=True, slots=True)
class IcmpField:
    """One ICMP type, a number or a name; family absent is IPv4."""

    type: int | str | None = None
    family: str | None = None


@dataclass(frozen=True, slots=True)
class IcmpRule:
    """One item of `icmps`."""

    fields: tuple[IcmpField, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", distinct(self.fields))
