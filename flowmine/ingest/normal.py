"""The canonical form of a record: Hubble's protobuf JSON with snake_case keys, enumerations as names.

This is the slow and lenient way in, for what the typed decoder of `jsonl` does not read as it stands: camelCase keys,
hand-made and old spellings, numbers in quotes, times as numbers. Unknown keys are kept as they are.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from flowmine.ingest.names import DROP_REASONS, LOST_SOURCES, NODE_STATES, drop_reason, enum_name
from flowmine.ingest.times import epoch

__all__ = ["canonical_record", "is_flow", "record_kind"]

Record = dict[str, Any]

_SCALAR_SIGNS = frozenset({"verdict", "trafficdirection", "traceobservationpoint", "dropreasondesc"})
_OBJECT_SIGNS = frozenset({"ip", "l4", "l7", "eventtype"})
_KINDS = ("flow", "lost_events", "node_status", "agent_event", "debug_event")


@lru_cache(1 << 12)
def _fold(key: str) -> str:
    return key.replace("_", "").lower()


def is_flow(value: Mapping[str, Any]) -> bool:
    """Tell whether an object is a flow without the ``{"flow": …}`` around it."""
    for key, item in value.items():
        folded = _fold(key)
        if folded in _SCALAR_SIGNS or (folded in _OBJECT_SIGNS and isinstance(item, dict)):
            return True
    return isinstance(value.get("source"), dict) and isinstance(value.get("destination"), dict)


def record_kind(value: Mapping[str, Any]) -> str | None:
    """Return which of Hubble's records an object is (``flow``, ``lost_events``, …), ``bare`` for a bare flow, or None."""
    folded = {_fold(key): key for key in value}
    for kind in _KINDS:
        key = folded.get(_fold(kind))
        if key is not None and isinstance(value[key], dict):
            return kind
    return "bare" if is_flow(value) else None


def canonical_record(value: Mapping[str, Any], kind: str) -> Record:
    """Return the canonical form of a record of a kind that `record_kind` told; a bare flow gets its wrapper."""
    record: Record
    if kind != "bare":
        record = _shape(value, _RECORD)
        return record
    flow = _shape(value, _FLOW)
    outer = {name: flow[name] for name in ("node_name", "time") if name in flow}
    return {"flow": flow, **outer}


def _integer(value: object) -> object:
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20:
            return int(text)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _boolean(value: object) -> object:
    if isinstance(value, dict) and "value" in value:
        value = value["value"]
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    if isinstance(value, int):
        return bool(value)
    return value


def _strings(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _time(value: object) -> object:
    """Return RFC 3339 for a time given so, as seconds (or milli, micro, nanoseconds), or as protobuf's own message."""
    if isinstance(value, dict):
        seconds, nanos = _integer(value.get("seconds", 0)), _integer(value.get("nanos", 0))
        return (
            _rfc3339(seconds * 10**9 + nanos)
            if isinstance(seconds, int) and isinstance(nanos, int)
            else value
        )
    number = _integer(value)
    if isinstance(number, float):
        return _rfc3339(round(number * 1e6) * 1000) if number < 1e11 else value
    if isinstance(number, int) and not isinstance(number, bool):
        since = epoch(number)
        return value if since is None else _rfc3339(since)
    return value


def _rfc3339(nanoseconds: int) -> str:
    seconds, nanos = divmod(nanoseconds, 10**9)
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return str(nanoseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def _enum(column: str) -> Callable[[object], object]:
    def name(value: object) -> object:
        return enum_name(column, value) or value

    return name


def _of(names: tuple[str, ...]) -> Callable[[object], object]:
    def name(value: object) -> object:
        number = _integer(value)
        return names[number] if isinstance(number, int) and 0 <= number < len(names) else value

    return name


def _rcode(value: object) -> object:
    """Return a DNS response code as its number (IANA's names)."""
    names = (
        "NOERROR",
        "FORMERR",
        "SERVFAIL",
        "NXDOMAIN",
        "NOTIMP",
        "REFUSED",
        "YXDOMAIN",
        "YXRRSET",
        "NXRRSET",
        "NOTAUTH",
        "NOTZONE",
    )
    if isinstance(value, str):
        text = value.strip().upper().replace("NON-EXISTENT DOMAIN", "NXDOMAIN").replace(" ", "")
        return names.index(text) if text in names else _integer(value)
    return value


def _reason(value: object) -> object:
    return drop_reason(value) or DROP_REASONS[0]


def _flags(value: object) -> object:
    """Return TCP flags as Hubble's object of booleans, also where they are a list or a text of names."""
    if isinstance(value, str):
        value = value.replace("|", ",").replace(" ", ",").split(",")
    if isinstance(value, list):
        return {name.strip().upper(): True for name in value if isinstance(name, str) and name.strip()}
    return {str(key).upper(): flag for key, flag in value.items()} if isinstance(value, dict) else value


class _Shape(dict[str, tuple[str, Any]]):
    """Folded key -> (Hubble's key, how to normalise its value: a function, a shape, [shape] or None)."""

    def __init__(self, **fields: Any) -> None:
        super().__init__({_fold(name): (name, how) for name, how in fields.items()})


def _shape(value: object, shape: Any) -> Any:
    """Normalise a value by its shape; what does not fit is left for the typed decoder to name."""
    if shape is None:
        return value
    if isinstance(shape, list):
        return [_shape(item, shape[0]) for item in value] if isinstance(value, list) else value
    if not isinstance(shape, _Shape):
        return shape(value)
    if not isinstance(value, Mapping):
        return value
    result: Record = {}
    for key, item in value.items():
        name, how = shape.get(_fold(str(key)), (key, None))
        if item is not None and name not in result:
            result[name] = _shape(item, how)
    return result


_PORTS = _Shape(source_port=_integer, destination_port=_integer, flags=_flags, type=_integer, code=_integer)
_L4 = _Shape(**dict.fromkeys(("TCP", "UDP", "SCTP", "ICMPv4", "ICMPv6", "VRRP", "IGMP"), _PORTS))
_L4["icmp"] = ("ICMPv4", _PORTS)
_IP = _Shape(
    source=None,
    source_xlated=None,
    destination=None,
    ipVersion=lambda value: _ip_version(value),
    encrypted=_boolean,
)
_WORKLOAD = _Shape(name=None, kind=None)
_ENDPOINT = _Shape(
    ID=_integer,
    identity=_integer,
    cluster_name=None,
    namespace=None,
    labels=None,
    pod_name=None,
    workloads=[_WORKLOAD],
    vni_id=None,
)
_SERVICE = _Shape(name=None, namespace=None)
_POLICY = _Shape(name=None, namespace=None, labels=None, revision=None, kind=None)
_HTTP = _Shape(code=_integer, method=None, url=None, protocol=None, headers=[_Shape(key=None, value=None)])
_DNS = _Shape(
    query=None,
    ips=_strings,
    ttl=_integer,
    cnames=_strings,
    observation_source=None,
    rcode=_rcode,
    qtypes=_strings,
    rrtypes=_strings,
)
_KAFKA = _Shape(error_code=_integer, api_version=_integer, api_key=None, correlation_id=_integer, topic=None)
_L7 = _Shape(type=_enum("l7_type"), latency_ns=None, dns=_DNS, http=_HTTP, kafka=_KAFKA)
_FLOW = _Shape(
    time=_time,
    uuid=None,
    emitter=_Shape(name=None, version=None),
    verdict=_enum("verdict"),
    drop_reason=_integer,
    auth_type=_enum("auth_type"),
    ethernet=_Shape(source=None, destination=None),
    IP=_IP,
    l4=_L4,
    tunnel=_Shape(protocol=_of(("UNKNOWN", "VXLAN", "GENEVE")), IP=_IP, l4=_L4, vni=_integer),
    source=_ENDPOINT,
    destination=_ENDPOINT,
    Type=_enum("Type"),
    node_name=None,
    node_labels=_strings,
    source_names=_strings,
    destination_names=_strings,
    l7=_L7,
    reply=_boolean,
    event_type=_Shape(type=_integer, sub_type=_integer),
    source_service=_SERVICE,
    destination_service=_SERVICE,
    traffic_direction=_enum("traffic_direction"),
    policy_match_type=_integer,
    trace_observation_point=_enum("trace_observation_point"),
    trace_reason=_enum("trace_reason"),
    file=_Shape(name=None, line=_integer),
    ip_trace_id=_Shape(trace_id=None, ip_option_type=_integer),
    drop_reason_desc=_reason,
    is_reply=_boolean,
    debug_capture_point=None,
    interface=_Shape(index=_integer, name=None),
    proxy_port=_integer,
    trace_context=_Shape(parent=_Shape(trace_id=None)),
    sock_xlate_point=_enum("sock_xlate_point"),
    socket_cookie=None,
    cgroup_id=None,
    Summary=None,
    extensions=None,
    egress_allowed_by=[_POLICY],
    ingress_allowed_by=[_POLICY],
    egress_denied_by=[_POLICY],
    ingress_denied_by=[_POLICY],
    policy_log=_strings,
    aggregate=_Shape(
        ingress_flow_count=_integer, egress_flow_count=_integer, unknown_direction_flow_count=_integer
    ),
)
_RECORD = _Shape(
    flow=_FLOW,
    lost_events=_Shape(source=_of(LOST_SOURCES), num_events_lost=None, cpu=None, first=_time, last=_time),
    node_status=_Shape(state_change=_of(NODE_STATES), node_names=_strings, message=None),
    agent_event=None,
    debug_event=None,
    node_name=None,
    time=_time,
)


def _ip_version(value: object) -> object:
    number = _integer(value)
    if isinstance(number, int):
        return {0: "IP_NOT_USED", 1: "IPv4", 2: "IPv6", 4: "IPv4", 6: "IPv6"}.get(number, value)
    return {"ipv4": "IPv4", "ipv6": "IPv6"}.get(value.lower(), value) if isinstance(value, str) else value
