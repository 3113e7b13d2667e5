"""Hubble's FlowFilter as frozen values."""

from dataclasses import dataclass, fields

__all__ = ["EventType", "FlowFilter", "Header", "Interface", "Workload"]


@dataclass(frozen=True, slots=True)
class EventType:
    """``flow.EventTypeFilter``: a monitor message type, 0 for any, and a subtype where one was asked for."""

    type: int = 0
    sub_type: int | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """``flow.Workload``: an empty name or kind matches any."""

    name: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """``flow.HTTPHeader``: an empty key or value matches any."""

    key: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Interface:
    """``flow.NetworkInterface``: index 0 or an empty name matches any."""

    index: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """One ``flow.FlowFilter`` (Cilium ``api/v1/flow/flow.proto``), field for field.

    Values of one field are alternatives (OR), fields combine (AND), an empty field says nothing. Enumerations are
    kept by name, or as the number where it has none; ``cel_expression`` is ``experimental.cel_expression``.
    """

    uuid: tuple[str, ...] = ()
    source_ip: tuple[str, ...] = ()
    source_ip_xlated: tuple[str, ...] = ()
    source_pod: tuple[str, ...] = ()
    source_fqdn: tuple[str, ...] = ()
    source_label: tuple[str, ...] = ()
    source_service: tuple[str, ...] = ()
    source_workload: tuple[Workload, ...] = ()
    source_cluster_name: tuple[str, ...] = ()
    destination_ip: tuple[str, ...] = ()
    destination_pod: tuple[str, ...] = ()
    destination_fqdn: tuple[str, ...] = ()
    destination_label: tuple[str, ...] = ()
    destination_service: tuple[str, ...] = ()
    destination_workload: tuple[Workload, ...] = ()
    destination_cluster_name: tuple[str, ...] = ()
    traffic_direction: tuple[str | int, ...] = ()
    verdict: tuple[str | int, ...] = ()
    drop_reason_desc: tuple[str | int, ...] = ()
    interface: tuple[Interface, ...] = ()
    event_type: tuple[EventType, ...] = ()
    http_status_code: tuple[str, ...] = ()
    protocol: tuple[str, ...] = ()
    source_port: tuple[str, ...] = ()
    destination_port: tuple[str, ...] = ()
    reply: tuple[bool, ...] = ()
    dns_query: tuple[str, ...] = ()
    source_identity: tuple[int, ...] = ()
    destination_identity: tuple[int, ...] = ()
    http_method: tuple[str, ...] = ()
    http_path: tuple[str, ...] = ()
    http_url: tuple[str, ...] = ()
    http_header: tuple[Header, ...] = ()
    tcp_flags: tuple[frozenset[str], ...] = ()
    node_name: tuple[str, ...] = ()
    node_labels: tuple[str, ...] = ()
    ip_version: tuple[str | int, ...] = ()
    trace_id: tuple[str, ...] = ()
    ip_trace_id: tuple[int, ...] = ()
    encrypted: tuple[bool, ...] = ()
    cel_expression: tuple[str, ...] = ()

    def given(self) -> tuple[str, ...]:
        """Return the names of the fields that say something, in declaration order."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name))
