"""How filter options spell their values, and which FlowFilter field each goes to (Cilium ``hubble/cmd/observe``)."""

from collections.abc import Callable
from typing import Any

from flowmine.dropreasons import NUMBERS
from flowmine.errors import UsageError
from flowmine.ingest.filters.model import EventType, Header, Interface, Workload
from flowmine.ingest.message import ENUM_NUMBERS, fields_of
from flowmine.labels import RESERVED_IDENTITIES

__all__ = ["ANYWHERE", "AT_AN_END"]

_EVENT_TYPES = {
    "drop": 1,
    "debug": 2,
    "capture": 3,
    "trace": 4,
    "policy-verdict": 5,
    "recorder": 6,
    "trace-sock": 7,
    "l7": 129,
    "agent": 130,
}
_IP_VERSIONS = {
    spelled: version
    for version, number in (("IPv4", "4"), ("IPv6", "6"))
    for spelled in (number, f"v{number}", f"ipv{number}", f"ip{number}")
}
_IDENTITIES = {name: number for number, name in RESERVED_IDENTITIES.items()}


def _trace_points() -> dict[str, int]:
    """Return the trace subtypes: to-endpoint is 0 in the monitor, and not 101 as in the API."""
    points = ENUM_NUMBERS["TraceObservationPoint"]
    numbered = {name.lower().replace("_", "-"): number for name, number in points.items()}
    return numbered | {"to-endpoint": 0}


def _number(text: str, what: str, bits: int, base: int = 10) -> int:
    try:
        number = int(text, base)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << bits or not text.isalnum():
        raise UsageError(f"{text!r} is no {what}")
    return number


def _event_type(text: str) -> EventType:
    name, colon, sub = text.partition(":")
    kind = _EVENT_TYPES.get(name)
    if kind is None:
        kind = _number(name, f"event type (known: {', '.join(_EVENT_TYPES)}, or a number)", 32)
    if not colon:
        return EventType(kind)
    points = _trace_points() if kind == _EVENT_TYPES["trace"] else {}
    if sub in points:
        return EventType(kind, points[sub])
    known = f"known: {', '.join(sorted(points))}, or a number" if points else "a number"
    return EventType(kind, _number(sub, f"subtype of {name} events ({known})", 32))


def _workload(text: str) -> Workload:
    kind, slash, name = text.partition("/")
    return Workload(name, kind) if slash else Workload(kind)


def _identity(text: str) -> int:
    if text in _IDENTITIES:
        return _IDENTITIES[text]
    return _number(text, f"security identity ({', '.join(_IDENTITIES)}, or a number)", 32, base=0)


def _tcp_flags(text: str) -> frozenset[str]:
    flags = frozenset(flag.upper() for flag in text.split(","))
    for flag in sorted(flags - fields_of("TCPFlags").keys()):
        raise UsageError(f"unknown TCP flag {flag!r} (known: {', '.join(fields_of('TCPFlags'))})")
    return flags


def _direction(text: str) -> str:
    if text.upper() not in ("INGRESS", "EGRESS"):
        raise UsageError(f"{text!r} is no traffic direction: ingress or egress")
    return text.upper()


def _header(text: str) -> Header:
    key, colon, value = text.partition(":")
    if not colon:
        raise UsageError(f"{text!r} is no HTTP header: write name:value")
    return Header(key, value)


def _named(what: str, known: dict[str, int]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise UsageError(f"{text!r} is no {what} (known: {', '.join(known)})")
        return text

    return parse


def _ip_trace_id(text: str) -> int:
    number = _number(text, "IP trace identifier: a number above 0", 64)
    if not number:
        raise UsageError("an IP trace identifier is a number above 0")
    return number


def _always(value: Any) -> Callable[[str], Any]:
    return lambda _: value


AT_AN_END: dict[str, tuple[str, Callable[[str], Any]]] = {
    "pod": ("pod", str),
    "label": ("label", str),
    "service": ("service", str),
    "workload": ("workload", _workload),
    "identity": ("identity", _identity),
    "ip": ("ip", str),
    "fqdn": ("fqdn", str),
    "port": ("port", str),
    "cluster": ("cluster_name", str),
}
"""Filters with ``from-`` and ``to-`` forms -> field without ``source_`` or ``destination_``, and how to read a value."""

ANYWHERE: dict[str, tuple[str, Callable[[str], Any]]] = {
    "snat-ip": ("source_ip_xlated", str),
    "protocol": ("protocol", str),
    "tcp-flags": ("tcp_flags", _tcp_flags),
    "type": ("event_type", _event_type),
    "verdict": ("verdict", _named("verdict", ENUM_NUMBERS["Verdict"])),
    "drop-reason-desc": ("drop_reason_desc", _named("drop reason", NUMBERS)),
    "traffic-direction": ("traffic_direction", _direction),
    "http-status": ("http_status_code", str),
    "http-method": ("http_method", str),
    "http-path": ("http_path", str),
    "http-url": ("http_url", str),
    "http-header": ("http_header", _header),
    "ip-version": ("ip_version", lambda text: _IP_VERSIONS.get(text.lower(), "IP_NOT_USED")),
    "ipv4": ("ip_version", _always("IPv4")),
    "ipv6": ("ip_version", _always("IPv6")),
    "encrypted": ("encrypted", _always(True)),
    "unencrypted": ("encrypted", _always(False)),
    "node-name": ("node_name", str),
    "node-label": ("node_labels", str),
    "interface": ("interface", lambda text: Interface(name=text)),
    "uuid": ("uuid", str),
    "trace-id": ("trace_id", str),
    "ip-trace-id": ("ip_trace_id", _ip_trace_id),
    "cel-expression": ("cel_expression", str),
}
"""Other filters -> FlowFilter field, and how to read a value."""
