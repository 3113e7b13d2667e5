"""The ends of a connection as policies see them: labels, an address for those outside, names, named ports."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flowmine.engine.addresses import Span, address_number, span
from flowmine.engine.config import Config
from flowmine.engine.entries import Protocols, protocols_of
from flowmine.engine.l7 import canonical_name
from flowmine.errors import InputError
from flowmine.labels import CLUSTER_KEY, Label, cidr_of, parse

__all__ = ["Identity", "NamedPort", "Party", "resolve"]

NamedPort = tuple[str, int, Protocols]
"""A container port's name, number and protocol."""

_WORLD = frozenset({"world", "world-ipv4", "world-ipv6"})
_LOCAL_RESERVED = frozenset({"host", "health", "init", "ingress"})
_OUTSIDE_SOURCES = frozenset({"cidr", "cidrgroup", "fqdn"})
_EVERY_V4 = span("0.0.0.0/0")
_EVERY_V6 = span("::/0")


@dataclass(frozen=True, slots=True)
class Party:
    """One end of a connection: labels as Cilium writes them; `ip` and DNS `names` matter outside and on nodes only."""

    labels: tuple[str, ...] = ()
    ip: str | None = None
    names: tuple[str, ...] = ()
    named_ports: tuple[NamedPort, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Party":
        """Return the party of a query: `labels`, and where given `ip`, `names` and `named_ports` (name: "8080/TCP").

        Raise InputError where a part has another form.
        """
        labels, names = values.get("labels") or (), values.get("names") or ()
        if isinstance(labels, str) or isinstance(names, str):
            raise InputError("a party's labels and names are lists of texts")
        ports = values.get("named_ports") or {}
        return cls(
            tuple(sorted(set(map(str, labels)))),
            values.get("ip") or None,
            tuple(sorted({canonical_name(str(name)) for name in names})),
            tuple(sorted(_named_port(name, text) for name, text in ports.items())),
        )


def _named_port(name: str, text: Any) -> NamedPort:
    number, _, protocol = str(text).partition("/")
    if not (number.isascii() and number.isdigit() and int(number) < 65536):
        raise InputError(f"named port {name!r} is {text!r}, expected a number and a protocol like '8080/TCP'")
    return (name, int(number), protocols_of(protocol or "TCP"))


@dataclass(frozen=True, slots=True)
class Identity:
    """A party as policies see it: every label they may look at, and which rules can apply to it at all.

    `local` has endpoint policy of its own here; `host` is the local node; `span` is the address (or the prefix of a
    `cidr:` label) that CIDR rules look at, None where they do not apply; `names` the DNS names, outside only.
    """

    labels: tuple[Label, ...]
    local: bool
    host: bool
    init: bool
    span: Span | None
    names: tuple[str, ...]


@lru_cache(maxsize=262144)
def resolve(party: Party, config: Config) -> Identity:
    """Return what policies see of a party.

    A pod without a cluster label is of the local cluster; in dual stack `reserved:world` is split by the address's
    family (SEMANTICS 19). CIDRs and names apply outside, CIDRs to nodes only where the configuration says so
    (SEMANTICS 20). Raise InputError where the address is none.
    """
    labels = {parse(text) for text in party.labels}
    reserved = {label.key for label in labels if label.source == "reserved"}
    outside = bool(reserved & _WORLD) or any(label.source in _OUTSIDE_SOURCES for label in labels)
    pod = bool(labels) and not reserved and not outside
    address = _address(party)
    if pod and not any(label.key == CLUSTER_KEY for label in labels):
        labels.add(Label("k8s", CLUSTER_KEY, config.cluster_name))
    if config.ipv6 and "world" in reserved and address is not None:
        labels.discard(Label("reserved", "world"))
        labels.add(Label("reserved", "world-ipv6" if address[0] >= _EVERY_V6[0] else "world-ipv4"))
    at_node = config.policy_cidr_match_nodes and "remote-node" in reserved
    return Identity(
        labels=tuple(sorted(labels)),
        local=_is_local(labels, reserved, pod, config),
        host="host" in reserved,
        init="init" in reserved,
        span=(address or _labelled_span(labels, config.ipv6)) if outside or at_node else None,
        names=_names(party, labels) if outside else (),
    )


def _is_local(labels: Iterable[Label], reserved: set[str], pod: bool, config: Config) -> bool:
    """Tell whether this cluster enforces policy at the party itself."""
    if "host" in reserved:
        return config.host_firewall
    clusters = {label.value for label in labels if label.key == CLUSTER_KEY}
    return (pod or bool(reserved & _LOCAL_RESERVED)) and clusters <= {config.cluster_name}


def _address(party: Party) -> Span | None:
    if party.ip is None:
        return None
    try:
        number = address_number(party.ip)
    except ValueError as error:
        raise InputError(f"a party's ip is {party.ip!r}, which is no IP address") from error
    return number, number


def _names(party: Party, labels: Iterable[Label]) -> tuple[str, ...]:
    """Return the names learned for an address, and the `toFQDNs` items that its `fqdn:` labels hold."""
    labelled = (label.key for label in labels if label.source == "fqdn")
    return tuple(sorted({canonical_name(name) for name in (*party.names, *labelled)}))


def _prefix(text: str) -> Span | None:
    try:
        return span(text)
    except ValueError:
        return None


def _labelled_span(labels: Iterable[Label], dual_stack: bool) -> Span | None:
    """Return the prefix that labels name: the longest of `cidr:`, else every address of the world's family.

    A label that is none, as Cilium writes none, names none.
    """
    spans = [found for text in map(cidr_of, labels) if text and (found := _prefix(text)) is not None]
    if spans:
        return min(spans, key=lambda each: each[1] - each[0])
    keys = {label.key for label in labels if label.source == "reserved"}
    if "world-ipv6" in keys:
        return _EVERY_V6
    return _EVERY_V4 if keys & ({"world-ipv4"} if dual_stack else _WORLD) else None
