"""Stored events as records in canonical form, for filters and for printing: what a capture keeps of each.

What it does not keep is absent: addresses of the link layer, endpoint numbers, latencies, headers, policy match types
(`UNKEPT` names the fields that filters ask for).
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from flowmine.schema import ENUMS

__all__ = ["UNKEPT", "Ends", "records"]

UNKEPT = ("cel_expression", "encrypted", "http_header", "interface", "ip_trace_id", "trace_id")
"""Fields of a FlowFilter about which a capture says nothing."""

_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS")
_PLAIN = (
    *("uuid", "node_name", "verdict", "Type", "trace_observation_point", "trace_reason", "traffic_direction"),
    *("drop_reason_desc", "is_reply", "auth_type", "source_names", "destination_names", "node_labels"),
    "sock_xlate_point",
)
_POLICIES = ("egress_allowed_by", "ingress_allowed_by", "egress_denied_by", "ingress_denied_by")
_UNKNOWN = frozenset(
    values[0] for name, values in ENUMS.items() if name not in ("protocol", "l7_type", "auth_type")
)
_ICMP = {
    ("ICMPv4", 0): "EchoReply",
    ("ICMPv4", 3): "DestinationUnreachable",
    ("ICMPv4", 8): "EchoRequest",
    ("ICMPv6", 128): "EchoRequest",
    ("ICMPv6", 129): "EchoReply",
}

Record = dict[str, Any]


class Ends:
    """What endpoints are, by id: grows with every window."""

    def __init__(self) -> None:
        """Begin with none."""
        self._known: dict[int, Record] = {}
        self._workloads: dict[tuple[int, str], str] = {}

    def add(self, endpoints: pa.Table, pods: pa.Table) -> None:
        """Add ENDPOINTS and PODS."""
        for one in endpoints.to_pylist():
            self._known[one["id"]] = one
        for one in pods.to_pylist():
            if one["workload"]:
                self._workloads[one["endpoint"], one["pod_name"]] = one["workload"]

    def record(self, identifier: int, pod: str | None, identity: int | None) -> Record | None:
        """Return an endpoint object; None where nothing is known."""
        one = self._known.get(identifier)
        if one is None:
            return None
        main = f"{one['workload_kind']}/{one['workload_name']}" if one["workload_name"] else ""
        kind, _, name = (self._workloads.get((identifier, pod or "")) or main).partition("/")
        found = {
            "identity": identity or 0,
            "cluster_name": one["cluster_name"],
            "namespace": one["namespace"],
            "labels": one["labels"],
            "pod_name": pod or "",
            "workloads": [{"name": name, "kind": kind}] if name and pod else [],
        }
        return {key: value for key, value in found.items() if value}


def records(batch: pa.RecordBatch, ends: Ends) -> Iterator[Record]:
    """Yield each event of a batch, all columns of FLOWS, as ``{"flow": …, "node_name", "time"}``."""
    moments = batch.column("time").cast(pa.int64()).to_pylist()
    plain = batch.drop_columns(["time"])
    for row, moment in zip(plain.to_pylist(), moments, strict=True):
        flow = _flow(row, ends)
        outer = {"node_name": row["node_name"]} if row["node_name"] else {}
        if moment is not None:
            flow["time"] = outer["time"] = _rfc3339(moment)
        yield {"flow": flow, **outer}


def _flow(row: Mapping[str, Any], ends: Ends) -> Record:
    flow: Record = {
        name: row[name] for name in _PLAIN if row[name] not in (None, "") and row[name] not in (_UNKNOWN, [])
    }
    flow = {
        name: value for name, value in flow.items() if not isinstance(value, str) or value not in _UNKNOWN
    }
    addresses = {
        "source": row["source_ip"],
        "source_xlated": row["source_xlated"],
        "destination": row["destination_ip"],
    }
    if row["source_ip"] or row["destination_ip"]:
        version = "IPv6" if ":" in (row["source_ip"] or row["destination_ip"]) else "IPv4"
        flow["IP"] = {**{k: v for k, v in addresses.items() if v}, "ipVersion": version}
    for side in ("source", "destination"):
        if end := ends.record(row[side], row[f"{side}_pod"], row[f"{side}_identity"]):
            flow[side] = end
        if service := row[f"{side}_service"]:
            namespace, _, name = service.partition("/")
            flow[f"{side}_service"] = {"name": name, **({"namespace": namespace} if namespace else {})}
    if row["event_type"] is not None:
        sub = {"sub_type": row["event_sub_type"]} if row["event_sub_type"] else {}
        flow["event_type"] = {"type": row["event_type"], **sub}
    for name in _POLICIES:
        if row[name]:
            flow[name] = [_policy(text) for text in row[name]]
    if layer := _l4(row):
        flow["l4"] = layer
        flow["Summary"] = _summary(row)
    if layer := _l7(row):
        flow["l7"] = layer
        flow.pop("Summary", None)
    return flow


def _policy(text: str) -> Record:
    kind, namespace, name = (*text.split("/", 2), "", "")[:3]
    return {key: value for key, value in (("name", name), ("namespace", namespace), ("kind", kind)) if value}


def _l4(row: Mapping[str, Any]) -> Record | None:
    protocol = row["protocol"]
    if protocol in (None, "UNKNOWN"):
        return None
    if protocol in ("ICMPv4", "ICMPv6"):
        layer = {"type": row["icmp_type"], "code": row["icmp_code"]}
    else:
        layer = {name: row[name] for name in ("source_port", "destination_port")}
    if protocol == "TCP" and row["tcp_flags"]:
        layer["flags"] = {name: True for place, name in enumerate(_FLAGS) if row["tcp_flags"] >> place & 1}
    return {protocol: {key: value for key, value in layer.items() if value}}


def _summary(row: Mapping[str, Any]) -> str:
    """Return the line that Hubble puts beside layer 4."""
    protocol = row["protocol"]
    if protocol == "TCP":
        flags = [name for place, name in enumerate(_FLAGS) if (row["tcp_flags"] or 0) >> place & 1]
        order = ("SYN", "ACK", "RST", "FIN", "PSH", "URG", "ECE", "CWR", "NS")
        return (
            f"TCP Flags: {', '.join(name for name in order if name in flags)}".rstrip(": ")
            if flags
            else "TCP"
        )
    if protocol in ("ICMPv4", "ICMPv6"):
        return f"{protocol} {_ICMP.get((protocol, row['icmp_type'] or 0), '')}".rstrip()
    return str(protocol)


def _l7(row: Mapping[str, Any]) -> Record | None:
    layer: Record = {"type": row["l7_type"]} if row["l7_type"] else {}
    if row["http_method"] or row["http_code"] or row["http_path"]:
        path = row["http_path"] or ""
        host = row["http_host"] or ""
        http = {
            "code": row["http_code"],
            "method": row["http_method"],
            "url": f"http://{host}{path}" if host else path,
        }
        layer["http"] = {key: value for key, value in http.items() if value}
    if row["dns_query"] or row["dns_ips"] or row["dns_rcode"] is not None:
        query = f"{row['dns_query'].removesuffix('.')}." if row["dns_query"] else None
        dns = {"query": query, "ips": row["dns_ips"], "rcode": row["dns_rcode"]}
        layer["dns"] = {key: value for key, value in dns.items() if value}
    return layer or None


def _rfc3339(nanoseconds: int) -> str:
    seconds, nanos = divmod(nanoseconds, 10**9)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    fraction = f".{nanos:09d}" if nanos else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
