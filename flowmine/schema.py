"""Every table that flowmine passes on, as `pyarrow.Schema`: the only place where columns are named and typed.

Column names are Hubble's own field names wherever Hubble has one. Enumerations are dictionaries over one fixed list
of Hubble's names each (`ENUMS`), the same in every chunk, so that they can be grouped, compared and concatenated.
"""

import pyarrow as pa

from flowmine.arrow import imported_lean
from flowmine.errors import SchemaError

__all__ = [
    "EDGES",
    "EDGE_KEY",
    "ENDPOINTS",
    "ENUMS",
    "FLOWS",
    "HOURS",
    "LEDGER",
    "NAMES",
    "PARTIES",
    "PODS",
    "QUERIES",
    "REASONS",
    "REQUESTS",
    "SAMPLES",
    "VERDICTS",
    "VERSION",
    "check",
    "enum_type",
]

imported_lean()

VERSION = 2
"""Of all tables below; stored files carry it. Version 1 had no names and identities of pods in FLOWS."""

TIME = pa.timestamp("ns", tz="UTC")
HOUR = 3_600_000_000_000
"""Nanoseconds of an hour, the least span that EDGES tell apart."""
_ENUM = pa.dictionary(pa.int8(), pa.string())

ENUMS: dict[str, tuple[str, ...]] = {
    "verdict": (
        "VERDICT_UNKNOWN",
        "FORWARDED",
        "DROPPED",
        "ERROR",
        "AUDIT",
        "REDIRECTED",
        "TRACED",
        "TRANSLATED",
    ),
    "Type": ("UNKNOWN_TYPE", "L3_L4", "L7", "SOCK"),
    "trace_observation_point": (
        "UNKNOWN_POINT",
        "TO_PROXY",
        "TO_HOST",
        "TO_STACK",
        "TO_OVERLAY",
        "FROM_ENDPOINT",
        "FROM_PROXY",
        "FROM_HOST",
        "FROM_STACK",
        "FROM_OVERLAY",
        "FROM_NETWORK",
        "TO_NETWORK",
        "FROM_CRYPTO",
        "TO_CRYPTO",
        "TO_ENDPOINT",
    ),
    "trace_reason": (
        "TRACE_REASON_UNKNOWN",
        "NEW",
        "ESTABLISHED",
        "REPLY",
        "RELATED",
        "REOPENED",
        "SRV6_ENCAP",
        "SRV6_DECAP",
        "ENCRYPT_OVERLAY",
    ),
    "traffic_direction": ("TRAFFIC_DIRECTION_UNKNOWN", "INGRESS", "EGRESS"),
    "protocol": ("UNKNOWN", "TCP", "UDP", "SCTP", "ICMPv4", "ICMPv6", "VRRP", "IGMP"),
    "sock_xlate_point": (
        "SOCK_XLATE_POINT_UNKNOWN",
        "SOCK_XLATE_POINT_PRE_DIRECTION_FWD",
        "SOCK_XLATE_POINT_POST_DIRECTION_FWD",
        "SOCK_XLATE_POINT_PRE_DIRECTION_REV",
        "SOCK_XLATE_POINT_POST_DIRECTION_REV",
    ),
    "l7_type": ("UNKNOWN_L7_TYPE", "REQUEST", "RESPONSE", "SAMPLE"),
    "auth_type": ("DISABLED", "SPIRE", "TEST_ALWAYS_FAIL"),
}
"""Name of an enumerated column -> its values; a value's place is its code. Index 0 is Hubble's own "unknown" and
also stands where the field is absent, except in ``protocol``, ``l7_type`` and ``auth_type``, which are null then."""


def enum_type(column: str) -> pa.DataType:
    """Return the type of an enumerated column. Raise KeyError where the column has no enumeration."""
    ENUMS[column]
    return _ENUM


def _enum(name: str, of: str | None = None) -> pa.Field:
    return pa.field(name, enum_type(of or name))


_STRINGS = pa.list_(pa.string())

FLOWS = pa.schema(
    [
        ("time", TIME),  # null where the event has none
        ("uuid", pa.string()),
        ("node_name", pa.string()),
        _enum("verdict"),
        (
            "drop_reason_desc",
            pa.string(),
        ),  # Hubble's name; null where nothing was dropped or (L7) no reason is given
        _enum("Type"),
        (
            "event_type",
            pa.int16(),
        ),  # monitor message type: 1 drop, 4 trace, 5 policy-verdict, 7 sock, 129 L7; null
        ("event_sub_type", pa.int16()),
        _enum("trace_observation_point"),
        _enum("trace_reason"),
        _enum("traffic_direction"),
        ("is_reply", pa.bool_()),  # null = unknown, never false; true also from the deprecated `reply: true`
        ("source", pa.uint64()),  # ENDPOINTS id; 0 = nothing known; lowest bit set = a pod
        ("destination", pa.uint64()),
        ("source_local", pa.bool_()),  # that end is on the emitting node; null = the event cannot tell
        ("destination_local", pa.bool_()),
        ("source_pod", pa.string()),  # names and identities as the event has them; null where it has none
        ("destination_pod", pa.string()),
        ("source_identity", pa.uint32()),
        ("destination_identity", pa.uint32()),
        ("source_ip", pa.string()),
        ("source_xlated", pa.string()),
        ("destination_ip", pa.string()),
        _enum("protocol"),
        ("source_port", pa.uint16()),
        ("destination_port", pa.uint16()),
        ("icmp_type", pa.uint8()),
        ("icmp_code", pa.uint8()),
        (
            "tcp_flags",
            pa.uint16(),
        ),  # FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128, NS 256; null absent
        ("source_names", _STRINGS),
        ("destination_names", _STRINGS),
        ("source_service", pa.string()),  # namespace/name
        ("destination_service", pa.string()),
        _enum("sock_xlate_point"),
        _enum("l7_type"),
        ("http_method", pa.string()),
        (
            "http_path",
            pa.string(),
        ),  # no query; a trailing "?" says there was one (the query itself with keep_query)
        ("http_host", pa.string()),  # authority of the URL without userinfo
        ("http_code", pa.uint16()),
        ("dns_query", pa.string()),  # lower case, no trailing dot
        ("dns_ips", _STRINGS),
        ("dns_rcode", pa.uint16()),
        _enum("auth_type"),
        (
            "egress_allowed_by",
            _STRINGS,
        ),  # policies as "Kind/namespace/name" ("Kind//name" where cluster-wide)
        ("ingress_allowed_by", _STRINGS),
        ("egress_denied_by", _STRINGS),
        ("ingress_denied_by", _STRINGS),
        ("node_labels", _STRINGS),
        ("ingress_count", pa.uint32()),  # from `aggregate`, else one by traffic_direction
        ("egress_count", pa.uint32()),
        ("unknown_count", pa.uint32()),
    ]
)
"""One row an event."""

ENDPOINTS = pa.schema(
    [
        ("id", pa.uint64()),
        ("cluster_name", pa.string()),
        ("namespace", pa.string()),
        ("labels", _STRINGS),  # sorted, as Cilium writes them
        ("reserved", _STRINGS),
        ("pod", pa.string()),  # only where labels are empty or reserved:init
        ("identities", pa.list_(pa.uint32())),  # numeric, sorted, a few
        ("workload_kind", pa.string()),  # empty where never seen
        ("workload_name", pa.string()),
        ("workloads", pa.uint32()),  # how many distinct workloads carry these labels
        ("pods", _STRINGS),  # sorted, a few
    ]
)
"""One row an endpoint: what policies can tell apart."""

PODS = pa.schema(
    [
        ("endpoint", pa.uint64()),
        ("namespace", pa.string()),
        ("pod_name", pa.string()),
        ("local", pa.bool_()),  # seen in an event of its own node at least once
        ("workload", pa.string()),  # "Kind/name", empty where never seen
    ]
)
"""One row a (endpoint, pod) pair seen: which pods the capture saw at their own node."""

EDGE_KEY = (
    "initiator",
    "responder",
    "protocol",
    "port",
    "initiator_ip",
    "responder_ip",
)
"""What identifies an edge; side tables name an edge by its place in EDGES (``edge``)."""

EDGES = pa.schema(
    [
        ("initiator", pa.uint64()),
        ("responder", pa.uint64()),
        _enum("protocol"),
        ("port", pa.uint16()),  # the responder's; ICMP: the type
        ("initiator_ip", pa.string()),  # null for an end with pod labels
        ("responder_ip", pa.string()),
        ("outcome", pa.string()),  # delivered | dropped | audited | other (not policy's doing) | unseen
        ("changed", pa.bool_()),  # both delivered and dropped at different times; `outcome` is the latest
        ("delivered", pa.uint64()),  # counts of events
        ("dropped_egress", pa.uint64()),
        ("dropped_ingress", pa.uint64()),
        ("audited", pa.uint64()),
        ("l7_denied", pa.uint64()),
        ("refused", pa.uint64()),  # TCP resets, where no other answer was seen: nothing listens there
        ("other_drops", pa.uint64()),
        ("seen_egress", pa.uint64()),  # events emitted at the initiator's own node
        ("seen_ingress", pa.uint64()),  # events emitted at the responder's own node
        ("events", pa.uint64()),
        ("responder_service", pa.string()),  # Service name seen in front, null where none
        ("first", TIME),
        ("last", TIME),
        ("last_delivered", TIME),
        ("last_drop", TIME),
    ]
)
"""One row a would-be rule pair, sorted by its key."""

NAMES = pa.schema(
    [
        ("subject", pa.uint64()),
        ("ip", pa.string()),
        ("name", pa.string()),  # the name asked for, lower case, no trailing dot
        ("source", pa.string()),  # dns (an answer seen) | flow (Hubble's own cache)
        ("first", TIME),
        ("last", TIME),
    ]
)
"""Which name a subject asked for when it got an address. One client's answer is never another's."""

HOURS = pa.schema([("edge", pa.uint32()), ("hour", pa.int32()), ("events", pa.uint64())])
"""Hours since the epoch in which an edge was seen."""

REASONS = pa.schema(
    [
        ("edge", pa.uint32()),
        ("side", pa.string()),  # egress | ingress | unknown
        ("drop_reason", pa.string()),  # Hubble's name; AUDIT for audited, L7 for a refused request
        ("denied_by", pa.string()),  # one policy a row; null where Hubble names none
        ("count", pa.uint64()),
        ("first", TIME),
        ("last", TIME),
    ]
)

SAMPLES = pa.schema([("edge", pa.uint32()), ("time", TIME), ("uuid", pa.string())])
"""A few events of each edge: the earliest of its earliest hours."""

REQUESTS = pa.schema(
    [
        ("edge", pa.uint32()),
        ("method", pa.string()),
        ("host", pa.string()),
        ("path", pa.string()),
        ("denied", pa.bool_()),
        ("count", pa.uint64()),
        ("first", TIME),
        ("last", TIME),
    ]
)
"""HTTP requests seen on an edge; for DNS ``method`` is ``DNS`` and ``path`` the name asked for."""

LEDGER = pa.schema(
    [
        ("node", pa.string()),
        (
            "kind",
            pa.string(),
        ),  # lost | node_status | gap | masked | skipped | duplicate | unsettled | cut | reconnect | backpressure
        ("source", pa.string()),  # which ring, which status, which reason
        ("count", pa.uint64()),
        ("first", TIME),
        ("last", TIME),
    ]
)

PARTIES = pa.schema(
    [
        ("labels", _STRINGS),  # as Cilium writes them; empty where nothing is known
        ("ip", pa.string()),  # of ends outside and nodes; null elsewhere
        ("names", _STRINGS),  # DNS names learned for the address
        ("named_ports", _STRINGS),  # container ports, "name=8080/TCP"
    ]
)
"""One row an end of the connections to judge."""

QUERIES = pa.schema(
    [
        ("source", pa.uint32()),  # row of PARTIES
        ("destination", pa.uint32()),
        _enum("protocol"),
        ("port", pa.uint16()),  # ICMP: the type
        ("http_method", pa.string()),  # method, path and host null: no request to judge
        ("http_path", pa.string()),
        ("http_host", pa.string()),
        ("dns_query", pa.string()),
    ]
)
"""One row a connection to judge."""

VERDICTS = pa.schema(
    [
        ("egress", pa.string()),
        ("ingress", pa.string()),
        ("verdict", pa.string()),
        ("http_allowed", pa.bool_()),
        ("dns_allowed", pa.bool_()),
        ("egress_by", _STRINGS),
        ("ingress_by", _STRINGS),
        ("egress_l7", pa.bool_()),
        ("ingress_l7", pa.bool_()),
    ]
)
"""One row a judged edge; named as Cilium's own verdicts are in tests/conformance."""


def check(table: pa.Table | pa.RecordBatch, expected: pa.Schema, what: str) -> None:
    """Raise SchemaError unless the table has exactly the expected columns and types."""
    if table.schema.equals(expected, check_metadata=False):
        return
    for field in expected:
        place = table.schema.get_field_index(field.name)
        if place < 0:
            raise SchemaError(f"{what}: column {field.name!r} is missing (schema version {VERSION})")
        if table.schema.field(place).type != field.type:
            seen = table.schema.field(place).type
            raise SchemaError(f"{what}: column {field.name!r} is {seen}, expected {field.type}")
    extra = [name for name in table.schema.names if name not in expected.names]
    raise SchemaError(f"{what}: unexpected or misordered columns {extra or table.schema.names}")
