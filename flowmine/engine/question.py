"""A question as people type it, turned into a query: two ends, a port, a request."""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

from flowmine.engine.entries import Protocols, protocols_of
from flowmine.errors import UsageError
from flowmine.labels import NAMESPACE_KEY, NAMESPACE_LABELS_PREFIX, Label, parse
from flowmine.peers import ENTITIES

__all__ = ["PodLookup", "end", "http_request", "port"]

PodLookup = Callable[[str, str], list[str]]
"""Given a namespace and a pod's or workload's name, return its labels; raise UsageError where it is not known."""

_RESERVED = ENTITIES | {"world", "world-ipv4", "world-ipv6"}
_NAMESPACE_NAME = f"{NAMESPACE_LABELS_PREFIX}kubernetes.io/metadata.name"


def end(text: str, lookup: PodLookup, named_ports: Iterable[str] = ()) -> dict[str, Any]:
    """Return the party that a text means.

    | text                                  | party                                                    |
    |---------------------------------------|----------------------------------------------------------|
    | `shop/app=web,tier=front`, `app=web`  | a pod by its labels (`k8s:` unless they say), in `shop`  |
    | `shop/web-7d4b9`                      | a pod or workload, by the labels that `lookup` knows     |
    | `world`, `host`, `kube-apiserver` ... | an entity                                                |
    | `10.1.2.3`, `fqdn:api.example.com`    | outside, by address, by a name learned for it, or both   |
    | `10.0.0.0/8`                          | outside, by prefix                                       |

    Parts are joined with commas; a pod without a namespace is in `default`. `named_ports` are texts like
    `http=8080/TCP`. Raise UsageError where a part is none of these.
    """
    namespace, rest = _split_namespace(text.strip())
    party: dict[str, Any] = {"labels": [], "names": []}
    for part in filter(None, (each.strip() for each in rest.split(","))):
        if not _add(party, part):
            if not namespace:
                raise UsageError(
                    f"{part!r} is no end of a connection; write KEY=VALUE labels, NAMESPACE/POD, an address, "
                    f"fqdn:NAME, or one of {', '.join(sorted(_RESERVED))}"
                )
            party["labels"] += lookup(namespace, part)
    _settle_namespace(party["labels"], namespace)
    if not party["labels"]:
        raise UsageError(f"{text!r} names no end of a connection; write labels, an entity or an address")
    party["labels"] = sorted(set(party["labels"]))
    party["named_ports"] = dict(_named_port(each) for each in named_ports)
    return party


def port(text: str) -> tuple[int, str]:
    """Return number and protocol of `443/TCP`, `443` (TCP) or `8/ICMP` (a type). Raise UsageError otherwise.

    >>> port("53/udp")
    (53, 'UDP')
    """
    number, _, protocol = text.partition("/")
    name = protocol.upper() or "TCP"
    known = protocols_of(name)
    if not (number.isascii() and number.isdigit() and len(number) < 6 and int(number) < 65536) or known in (
        Protocols.ANY,
        Protocols.OTHER,
        Protocols.ALL,
    ):
        raise UsageError(f"port {text!r}: write a number and a protocol, such as 443/TCP, 53/UDP or 8/ICMP")
    return int(number), name


def http_request(text: str, headers: Iterable[str] = ()) -> dict[str, Any]:
    """Return the request of `GET /path` or `GET http://host/path`, with headers like `X-Token: 42`.

    Raise UsageError where it is neither.
    """
    method, _, target = text.strip().partition(" ")
    target, host = target.strip(), ""
    if "://" in target:
        host, _, path = target.split("://", 1)[1].partition("/")
        target = f"/{path}"
    if not (method and target.startswith("/")):
        raise UsageError(
            f"request {text!r}: write a method and a path, such as 'GET /x' or 'GET http://host/x'"
        )
    pairs = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not (colon and name):
            raise UsageError(f"header {header!r}: write a name and a value, such as 'X-Token: 42'")
        pairs[name.strip()] = value.strip()
    return {"method": method, "path": target, "host": host, "headers": pairs}


def _split_namespace(text: str) -> tuple[str, str]:
    """Split `NAMESPACE/rest`; a head with a dot, `=` or `:` is the prefix of a label's key or an address instead."""
    head, slash, rest = text.partition("/")
    if not slash or not head or any(sign in head for sign in ".:=,"):
        return "", text
    return head, rest


def _add(party: dict[str, Any], part: str) -> bool:
    """Add what one part says to a party; tell whether it says anything."""
    if part in _RESERVED:
        party["labels"].append(f"reserved:{part}")
        return True
    if part.startswith("fqdn:"):
        party["names"].append(part.removeprefix("fqdn:"))
        party["labels"].append("reserved:world")
        return True
    try:
        network = ipaddress.ip_network(part, strict=False)
    except ValueError:
        return _add_label(party, part)
    party["labels"].append("reserved:world")
    if "/" in part:
        party["labels"].append(f"cidr:{str(network).replace(':', '-')}")
    else:
        party["ip"] = part
    return True


def _add_label(party: dict[str, Any], part: str) -> bool:
    label = parse(part)
    if label.source == "unspec" and "=" not in part:
        return False
    source = "k8s" if label.source == "unspec" else label.source
    party["labels"].append(f"{source}:{label.key}={label.value}" if "=" in part else f"{source}:{label.key}")
    return True


def _settle_namespace(labels: list[str], namespace: str) -> None:
    """Give a pod the namespace that it is said to be in, or `default`, with the label that every namespace has."""
    parsed = [parse(label) for label in labels]
    named = [label.value for label in parsed if label.key == NAMESPACE_KEY]
    place = any(label.source in ("reserved", "cidr", "fqdn") for label in parsed)
    if place or not (parsed or namespace):
        return
    name = namespace or (named[0] if named else "default")
    if named and name not in named:
        raise UsageError(f"the labels are of namespace {named[0]!r}, the text says {namespace!r}; keep one")
    labels += [str(Label("k8s", NAMESPACE_KEY, name)), str(Label("k8s", _NAMESPACE_NAME, name))]


def _named_port(text: str) -> tuple[str, str]:
    name, equals, number = text.partition("=")
    if not (equals and name and number):
        raise UsageError(f"named port {text!r}: write NAME=NUMBER/PROTOCOL, such as http=8080/TCP")
    return name, number
