"""What each field of a FlowFilter means: one builder a field, from its values to a predicate over a flow.

A flow is the generic dict of ``flow.Flow`` in snake_case with enumeration names, or None where the event is none
(lost events, node status): Hubble applies its filters to those too, and then every field is unset. The meaning is
that of Cilium 1.19 ``pkg/hubble/filters``, one file there for a few builders here.
"""

import re
from collections.abc import Callable
from importlib import import_module
from ipaddress import ip_address, ip_network
from typing import Any

from flowmine.errors import UsageError
from flowmine.ingest.filters.cel import expressions
from flowmine.ingest.filters.model import EventType, FlowFilter, Header, Interface, Workload
from flowmine.ingest.filters.names import fqdn_pattern, namespaced, node_pattern
from flowmine.ingest.filters.selector import selector
from flowmine.ingest.filters.urls import request_path

__all__ = ["Flow", "Predicate", "predicate"]

Flow = dict[str, Any] | None
Predicate = Callable[[Flow], bool]

_RE2: Any = import_module("re2")  # Go's regular expressions, which Python's are not
_L7_EVENT = 129
_L4 = {
    "icmp": ("ICMPv4", "ICMPv6"),
    "icmpv4": ("ICMPv4",),
    "icmpv6": ("ICMPv6",),
    "tcp": ("TCP",),
    "udp": ("UDP",),
    "sctp": ("SCTP",),
}
_L7 = ("dns", "http", "kafka")


def predicate(wanted: FlowFilter) -> Predicate:
    """Return the predicate that is true where all given fields of the filter match.

    Raise UsageError where a value cannot be understood (a bad CIDR, port, regular expression, name pattern …).
    """
    parts = []
    for name in wanted.given():
        if name.startswith("http_") and name != "http_url":
            _need_l7(wanted, name)
        parts.append(_BUILDERS[name](getattr(wanted, name)))
    return lambda flow: all(part(flow) for part in parts)


def field(flow: Flow, *path: str) -> Any:
    """Return what lies at a path of keys, None where any step is missing."""
    value: Any = flow
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _need_l7(wanted: FlowFilter, name: str) -> None:
    if wanted.event_type and all(event.type != _L7_EVENT for event in wanted.event_type):
        raise UsageError(
            f"a filter by {name} needs --type l7 where a type is given, for no other event has it"
        )


def _one_of(*path: str, unset: Any = "", none: bool = True) -> Callable[[tuple[Any, ...]], Predicate]:
    """Build equality with any of the values; an unset field counts as ``unset``, no flow at all as that or nothing."""

    def build(values: tuple[Any, ...]) -> Predicate:
        return lambda flow: (none or flow is not None) and (field(flow, *path) or unset) in values

    return build


def _drop_reasons(values: tuple[str | int, ...]) -> Predicate:
    """A reason without a name is called ``DROP_REASON_<number>`` in records (`flowmine.ingest.names`)."""
    named = tuple(value if isinstance(value, str) else f"DROP_REASON_{value}" for value in values)
    return _one_of("drop_reason_desc", unset="DROP_REASON_UNKNOWN", none=False)(named)


def _addresses(*path: str) -> Callable[[tuple[str, ...]], Predicate]:
    def build(values: tuple[str, ...]) -> Predicate:
        exact = {_parsed(ip_address, value, "IP address") and value for value in values if "/" not in value}
        blocks = [_parsed(_block, value, "CIDR") for value in values if "/" in value]

        def matches(flow: Flow) -> bool:
            address = field(flow, *path)
            return bool(address) and (address in exact or _within(address, blocks))

        return matches

    return build


def _block(value: str) -> Any:
    return ip_network(value, strict=False)


def _parsed(parse: Callable[[str], Any], value: str, what: str) -> Any:
    try:
        return parse(value)
    except ValueError:
        raise UsageError(f"{value!r} is no {what}") from None


def _within(address: str, blocks: list[Any]) -> bool:
    if not blocks:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in block for block in blocks)


def _namespaced(*path: str, name: str) -> Callable[[tuple[str, ...]], Predicate]:
    def build(values: tuple[str, ...]) -> Predicate:
        wanted = [namespaced(value) for value in values]

        def matches(flow: Flow) -> bool:
            end = field(flow, *path) or {}
            space, seen = end.get("namespace") or "", end.get(name) or ""
            if not (space or seen):
                return False
            return any(seen.startswith(prefix) and ns in ("", space) for ns, prefix in wanted)

        return matches

    return build


def _domain_names(key: str) -> Callable[[tuple[str, ...]], Predicate]:
    def build(values: tuple[str, ...]) -> Predicate:
        pattern = fqdn_pattern(values)
        return lambda flow: any(pattern.fullmatch(name) for name in field(flow, key) or ())

    return build


def _labels(*path: str) -> Callable[[tuple[str, ...]], Predicate]:
    def build(values: tuple[str, ...]) -> Predicate:
        selectors = [selector(value) for value in values]

        def matches(flow: Flow) -> bool:
            labels = field(flow, *path) or ()
            return any(selects(labels) for selects in selectors)

        return matches

    return build


def _workloads(side: str) -> Callable[[tuple[Workload, ...]], Predicate]:
    def build(values: tuple[Workload, ...]) -> Predicate:
        def matches(flow: Flow) -> bool:
            seen = [(w.get("name") or "", w.get("kind") or "") for w in field(flow, side, "workloads") or ()]
            return any(w.name in ("", name) and w.kind in ("", kind) for name, kind in seen for w in values)

        return matches

    return build


def _cluster(side: str) -> Callable[[tuple[str, ...]], Predicate]:
    def build(values: tuple[str, ...]) -> Predicate:
        if "" in values:
            raise UsageError("an empty cluster name")
        return lambda flow: field(flow, side, "cluster_name") in values

    return build


def _ports(key: str) -> Callable[[tuple[str, ...]], Predicate]:
    def build(values: tuple[str, ...]) -> Predicate:
        ports = {_port(value) for value in values}

        def matches(flow: Flow) -> bool:
            l4 = field(flow, "l4") or {}
            layer = next((l4[name] for name in ("TCP", "UDP", "SCTP") if l4.get(name) is not None), None)
            return layer is not None and (layer.get(key) or 0) in ports

        return matches

    return build


def _port(value: str) -> int:
    if not (value.isascii() and value.isdigit() and int(value) <= 65535):
        raise UsageError(f"{value!r} is no port: a number from 0 to 65535")
    return int(value)


def _event_types(values: tuple[EventType, ...]) -> Predicate:
    def matches(flow: Flow) -> bool:
        event = field(flow, "event_type")
        if event is None:
            return False
        kind, sub = event.get("type") or 0, event.get("sub_type") or 0
        return any(e.type in (0, kind) and (e.sub_type is None or e.sub_type == sub) for e in values)

    return matches


def _protocols(values: tuple[str, ...]) -> Predicate:
    paths = []
    for value in (value.lower() for value in values):
        if value not in _L4 and value not in _L7:
            raise UsageError(f"unknown protocol {value!r} (known: {', '.join((*_L4, *_L7))})")
        paths += [("l7", value)] if value in _L7 else [("l4", name) for name in _L4[value]]
    return lambda flow: any(field(flow, *path) is not None for path in paths)


def _replies(values: tuple[bool, ...]) -> Predicate:
    """An unknown direction counts as no reply on drops only, as Hubble keeps it for older clients."""

    def matches(flow: Flow) -> bool:
        reply = field(flow, "is_reply")
        if reply is None and field(flow, "verdict") != "DROPPED":
            return False
        return bool(reply) in values

    return matches


def _status_codes(values: tuple[str, ...]) -> Predicate:
    for value in values:
        if not re.fullmatch(r"[1-5]([0-9]{2}|[0-9]?\+)", value):
            raise UsageError(f"{value!r} is no HTTP status: write 404, or a prefix as in 4+ or 40+")
    exact = {value for value in values if not value.endswith("+")}
    prefixes = tuple(value[:-1] for value in values if value.endswith("+"))

    def matches(flow: Flow) -> bool:
        code = field(flow, "l7", "http", "code") or 0
        return bool(code) and (f"{code:03}" in exact or f"{code:03}".startswith(prefixes))

    return matches


def _methods(values: tuple[str, ...]) -> Predicate:
    methods = {value.casefold() for value in values}
    return lambda flow: (field(flow, "l7", "http", "method") or "\x00").casefold() in methods


def _expressions(values: tuple[str, ...]) -> list[Any]:
    options = _RE2.Options()
    options.log_errors = False
    try:
        return [_RE2.compile(value, options) for value in values]
    except (_RE2.error, UnicodeEncodeError) as error:
        raise UsageError(
            f"one of {', '.join(map(repr, values))} is no RE2 regular expression: {error}"
        ) from None


def _text_matching(
    *path: str, of: Callable[[str], str | None] = str
) -> Callable[[tuple[str, ...]], Predicate]:
    """Build a search for regular expressions, unanchored as Hubble's are; an empty text never matches."""

    def build(values: tuple[str, ...]) -> Predicate:
        expressions = _expressions(values)

        def matches(flow: Flow) -> bool:
            seen = field(flow, *path)
            text = of(seen) if seen else None
            return text is not None and any(expression.search(text) for expression in expressions)

        return matches

    return build


def _headers(values: tuple[Header, ...]) -> Predicate:
    def matches(flow: Flow) -> bool:
        seen = [
            (h.get("key") or "", h.get("value") or "") for h in field(flow, "l7", "http", "headers") or ()
        ]
        return any(h.key in ("", key) and h.value in ("", value) for key, value in seen for h in values)

    return matches


def _tcp_flags(values: tuple[frozenset[str], ...]) -> Predicate:
    def matches(flow: Flow) -> bool:
        flags = field(flow, "l4", "TCP", "flags")
        return flags is not None and any(all(flags.get(name) for name in wanted) for wanted in values)

    return matches


def _node_names(values: tuple[str, ...]) -> Predicate:
    pattern = node_pattern(values)

    def matches(flow: Flow) -> bool:
        name = field(flow, "node_name") or ""
        return bool(pattern.fullmatch(name if "/" in name else f"default/{name}")) if name else False

    return matches


def _interfaces(values: tuple[Interface, ...]) -> Predicate:
    def matches(flow: Flow) -> bool:
        seen = field(flow, "interface")
        if seen is None:
            return False
        index, name = seen.get("index") or 0, seen.get("name") or ""
        return any(i.index in (0, index) and i.name in ("", name) for i in values)

    return matches


def _ip_trace_ids(values: tuple[int, ...]) -> Predicate:
    def matches(flow: Flow) -> bool:
        seen = field(flow, "ip_trace_id")
        return seen is not None and int(seen.get("trace_id") or 0) in values

    return matches


_BUILDERS: dict[str, Callable[[Any], Predicate]] = {
    "uuid": _one_of("uuid"),
    "source_ip": _addresses("IP", "source"),
    "source_ip_xlated": _addresses("IP", "source_xlated"),
    "source_pod": _namespaced("source", name="pod_name"),
    "source_fqdn": _domain_names("source_names"),
    "source_label": _labels("source", "labels"),
    "source_service": _namespaced("source_service", name="name"),
    "source_workload": _workloads("source"),
    "source_cluster_name": _cluster("source"),
    "destination_ip": _addresses("IP", "destination"),
    "destination_pod": _namespaced("destination", name="pod_name"),
    "destination_fqdn": _domain_names("destination_names"),
    "destination_label": _labels("destination", "labels"),
    "destination_service": _namespaced("destination_service", name="name"),
    "destination_workload": _workloads("destination"),
    "destination_cluster_name": _cluster("destination"),
    "traffic_direction": _one_of("traffic_direction", unset="TRAFFIC_DIRECTION_UNKNOWN"),
    "verdict": _one_of("verdict", unset="VERDICT_UNKNOWN", none=False),
    "drop_reason_desc": _drop_reasons,
    "interface": _interfaces,
    "event_type": _event_types,
    "http_status_code": _status_codes,
    "protocol": _protocols,
    "source_port": _ports("source_port"),
    "destination_port": _ports("destination_port"),
    "reply": _replies,
    "dns_query": _text_matching("l7", "dns", "query"),
    "source_identity": _one_of("source", "identity", unset=0),
    "destination_identity": _one_of("destination", "identity", unset=0),
    "http_method": _methods,
    "http_path": _text_matching("l7", "http", "url", of=request_path),
    "http_url": _text_matching("l7", "http", "url"),
    "http_header": _headers,
    "tcp_flags": _tcp_flags,
    "node_name": _node_names,
    "node_labels": _labels("node_labels"),
    "ip_version": _one_of("IP", "ipVersion", unset="IP_NOT_USED", none=False),
    "trace_id": _one_of("trace_context", "parent", "trace_id"),
    "ip_trace_id": _ip_trace_ids,
    "encrypted": _one_of("IP", "encrypted", unset=False),
    "cel_expression": expressions,
}
