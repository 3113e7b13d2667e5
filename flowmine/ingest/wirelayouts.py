"""What of Hubble's messages FLOWS needs, and the decoders of those objects that have few distinct values."""

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any

import pyarrow as pa
from google.protobuf.message import DecodeError

from flowmine.ingest.caches import Objects
from flowmine.ingest.pb import flow_pb2
from flowmine.ingest.pb.pool import POOL
from flowmine.ingest.wirescan import BYTES, NUMBER, Field, Layout

__all__ = [
    "PARTS",
    "RESPONSE",
    "decode_endpoint",
    "flow_layout",
    "layout",
    "parsed",
    "tcp_flags",
    "wire_objects",
]


def layout(message: str, *names: str) -> Layout:
    """Return the layout of some fields of a message: texts, messages and numbers of variable length."""
    fields = POOL.FindMessageTypeByName(message).fields_by_name
    return Layout({name: _field(fields[name]) for name in names})


def _field(declared: Any) -> Field:
    kind = BYTES if declared.type in (declared.TYPE_STRING, declared.TYPE_MESSAGE) else NUMBER
    repeated = declared.is_repeated if hasattr(declared, "is_repeated") else declared.label == 3
    return Field(declared.number, kind, repeated)


def flow_layout(fields: Collection[str]) -> Layout:
    """Return the layout of ``flow.Flow`` with some of its fields."""
    return layout("flow.Flow", *sorted(fields))


RESPONSE = layout(
    "observer.ExportEvent",
    *("flow", "node_status", "lost_events", "agent_event", "debug_event", "node_name", "time"),
)
"""``GetFlowsResponse``, and ``ExportEvent``, which has the same numbers and two more events."""

PARTS = {
    "time": layout("google.protobuf.Timestamp", "seconds", "nanos"),
    "is_reply": layout("google.protobuf.BoolValue", "value"),
    "event_type": layout("flow.CiliumEventType", "type", "sub_type"),
    "IP": layout("flow.IP", "source", "destination", "source_xlated"),
    "l4": layout("flow.Layer4", "TCP", "UDP", "SCTP", "ICMPv4", "ICMPv6", "VRRP", "IGMP"),
    "member": Layout({"first": Field(1, NUMBER), "second": Field(2, NUMBER), "flags": Field(3, BYTES)}),
    "l7": layout("flow.Layer7", "type", "dns", "http"),
    "dns": layout("flow.DNS", "query", "ips", "rcode"),
    "http": layout("flow.HTTP", "code", "method", "url"),
    "aggregate": layout(
        "flow.Aggregate", "ingress_flow_count", "egress_flow_count", "unknown_direction_flow_count"
    ),
}
"""The nested messages whose fields are looked at; ``member`` is any member of ``flow.Layer4``."""


def wire_objects() -> dict[str, Objects]:
    """Return the decoders of objects that are raw protobuf, by field of ``flow.Flow``.

    Of a repeated field the raw form is all its occurrences with their tags, which is a Flow of nothing else.
    """
    texts = pa.list_(pa.string())
    lists = ("node_labels", "source_names", "destination_names")
    policies = ("egress_allowed_by", "ingress_allowed_by", "egress_denied_by", "ingress_denied_by")
    service = Objects(_service, pa.string())
    return {
        **{name: Objects(_repeated(name, list), texts) for name in lists},
        **{name: Objects(_repeated(name, _policies), texts) for name in policies},
        "source_service": service,
        "destination_service": service,
        "emitter": Objects(_version, pa.string()),
    }


def parsed(kind: Any, raw: bytes) -> Any:
    """Return a message. Raise ValueError where the bytes are none of its kind."""
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise ValueError(f"no {kind.DESCRIPTOR.full_name}: {error}") from error


def _repeated(name: str, make: Callable[[Any], list[str]]) -> Callable[[bytes], list[str]]:
    return lambda raw: make(getattr(parsed(flow_pb2.Flow, raw), name))


def _policies(items: Any) -> list[str]:
    return sorted({f"{item.kind}/{item.namespace}/{item.name}" for item in items})


def _service(raw: bytes) -> str | None:
    found = parsed(flow_pb2.Service, raw)
    return f"{found.namespace}/{found.name}" if found.name else None


def _version(raw: bytes) -> str | None:
    return parsed(flow_pb2.Emitter, raw).version or None


@lru_cache(1 << 10)
def tcp_flags(raw: bytes) -> int:
    """Return the bits of a TCP header (FIN 1 … NS 256) of a serialized ``flow.TCPFlags``, which numbers them in order."""
    return sum(1 << field.number - 1 for field, _ in parsed(flow_pb2.TCPFlags, raw).ListFields())


def decode_endpoint(raw: bytes) -> dict[str, Any]:
    """Return a serialized ``flow.Endpoint`` as its JSON has it. Raise ValueError for a broken one."""
    found = parsed(flow_pb2.Endpoint, raw)
    return {
        "ID": found.ID,
        "identity": found.identity,
        "cluster_name": found.cluster_name,
        "namespace": found.namespace,
        "labels": list(found.labels),
        "pod_name": found.pod_name,
        "workloads": [{"name": one.name, "kind": one.kind} for one in found.workloads],
    }
