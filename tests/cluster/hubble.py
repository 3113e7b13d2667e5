"""Write one event as Hubble does: jsonpb objects of 1.19, or of 1.14, which lacks the fields added since."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.cluster.deploy import End, uuid
from tests.cluster.model import Capture, Cluster

Event = dict[str, Any]

SUB_TYPES = {"TO_PROXY": 1, "TO_HOST": 2, "TO_STACK": 3, "TO_OVERLAY": 4, "FROM_ENDPOINT": 5, "FROM_PROXY": 6}
SUB_TYPES |= {"FROM_OVERLAY": 9, "FROM_NETWORK": 10, "TO_NETWORK": 11, "TO_ENDPOINT": 0}
DROP_REASONS = {
    "INVALID_SOURCE_IP": 132,
    "POLICY_DENIED": 133,
    "CT_UNKNOWN_L4_PROTOCOL": 137,
    "UNSUPPORTED_L3_PROTOCOL": 139,
    "STALE_OR_UNROUTABLE_IP": 151,
    "CT_MAP_INSERTION_FAILED": 155,
    "SERVICE_BACKEND_NOT_FOUND": 158,
    "FIB_LOOKUP_FAILED": 169,
    "POLICY_DENY": 181,
    "AUTH_REQUIRED": 189,
    "TTL_EXCEEDED": 196,
    "DROP_EP_NOT_READY": 203,
}
_ICMP_NAMES = {
    ("ICMPv4", 8): "EchoRequest",
    ("ICMPv4", 0): "EchoReply",
    ("ICMPv4", 3): "DestinationUnreachable",
}
_ICMP_NAMES |= {
    ("ICMPv6", 128): "EchoRequest",
    ("ICMPv6", 129): "EchoReply",
    ("ICMPv6", 133): "RouterSolicitation",
}
_ICMP_NAMES |= {("ICMPv6", 1): "DestinationUnreachable"}


@dataclass(frozen=True, slots=True)
class Packet:
    """What crosses the wire: two ends as the packet shows them. Ports are 0 where SOCK events leave them out."""

    src: End
    dst: End
    family: str
    proto: str
    source_port: int = 0
    destination_port: int = 0
    flags: tuple[str, ...] = ()
    code: int = 0
    source_ip: str = ""
    destination_ip: str = ""
    source_xlated: str = ""
    names: tuple[str, ...] = ()
    reply_names: tuple[str, ...] = ()


@dataclass(slots=True)
class Seen:
    """How a node saw a packet: verdict, direction, and the fields that only this kind of event has."""

    verdict: str = "FORWARDED"
    kind: str = "L3_L4"
    event: tuple[int, int] = (4, 0)
    point: str = ""
    reason: str = ""
    direction: str = ""
    reply: bool | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Hubble:
    """Renders events for one cluster and one version of Hubble."""

    def __init__(self, cluster: Cluster, capture: Capture, rng: random.Random) -> None:
        self.cluster = cluster
        self.old = tuple(int(part) for part in capture.version.split(".")[:2]) < (1, 15)
        self.rng = rng
        self.start = datetime.fromisoformat(capture.start).replace(tzinfo=UTC)
        self.start += timedelta(days=capture.day)
        self.emitter = {"name": "Hubble", "version": f"{capture.version}.4+g1b1c3e2a"}
        self.node_labels = {n.name: self._labels_of(n.name, dict(n.labels)) for n in cluster.nodes}
        self._seconds: dict[int, str] = {}

    @staticmethod
    def _labels_of(name: str, own: dict[str, str]) -> list[str]:
        usual = {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
        return sorted(f"{k}={v}" for k, v in (usual | own).items())

    def time(self, nanos: int) -> str:
        """Return RFC 3339 text for ``nanos`` after the capture's start."""
        second, rest = divmod(nanos, 1_000_000_000)
        if second not in self._seconds:
            at = self.start + timedelta(seconds=second)
            self._seconds[second] = at.strftime("%Y-%m-%dT%H:%M:%S.")
        return f"{self._seconds[second]}{rest:09d}Z"

    def node_name(self, node: str) -> str:
        """Return a node's name: 1.19 puts the cluster's before it."""
        return node if self.old else f"{self.cluster.name}/{node}"

    def endpoint(self, end: End, node: str) -> dict[str, Any]:
        """Return an endpoint object; only an end local to the emitting node has ID and workloads."""
        local = bool(node) and end.node == node
        key = (local, self.old)
        if key not in end.shown:
            end.shown[key] = self._endpoint(end, local)
        return end.shown[key]

    def _endpoint(self, end: End, local: bool) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        if local and end.endpoint:
            shown["ID"] = end.endpoint
        if end.identity:
            shown["identity"] = end.identity
        if end.cluster and not self.old:
            shown["cluster_name"] = end.cluster
        if end.namespace:
            shown["namespace"] = end.namespace
        shown["labels"] = list(end.labels)
        if end.pod:
            shown["pod_name"] = end.pod
        if local and end.pod:
            shown["workloads"] = [{"name": end.workload[0], "kind": end.workload[1]}]
        return shown

    def event(self, nanos: int, node: str, packet: Packet, seen: Seen) -> Event:
        """Return one line's object: the flow, its node and its time."""
        time, name = self.time(nanos), self.node_name(node)
        flow: Event = {"time": time}
        if not self.old:
            flow["uuid"] = uuid(self.rng)
            flow["emitter"] = self.emitter
        flow["verdict"] = seen.verdict
        extra = seen.extra
        reason = extra.get("drop_reason_desc")
        if reason:
            flow["drop_reason"] = DROP_REASONS[reason]
        if "auth_type" in extra:
            flow["auth_type"] = extra["auth_type"]
        if seen.kind == "L3_L4":
            flow["ethernet"] = self._ethernet()
        flow["IP"] = _ip(packet)
        flow["l4"] = _l4(packet)
        flow["source"] = self.endpoint(packet.src, node)
        flow["destination"] = self.endpoint(packet.dst, node)
        flow["Type"] = seen.kind
        flow["node_name"] = name
        if not self.old:
            flow["node_labels"] = self.node_labels[node]
        if packet.reply_names:
            flow["source_names"] = list(packet.reply_names)
        if packet.names:
            flow["destination_names"] = list(packet.names)
        self._rest(flow, packet, seen)
        return {"flow": flow, "node_name": name, "time": time}

    def _rest(self, flow: Event, packet: Packet, seen: Seen) -> None:
        extra = seen.extra
        if "l7" in extra:
            flow["l7"] = extra["l7"]
        if seen.reply:
            flow["reply"] = True
        kind, sub = seen.event
        flow["event_type"] = {"type": kind, "sub_type": sub} if sub else {"type": kind}
        for name in ("source_service", "destination_service"):
            if name in extra:
                flow[name] = extra[name]
        if seen.direction:
            flow["traffic_direction"] = seen.direction
        if extra.get("policy_match_type"):
            flow["policy_match_type"] = extra["policy_match_type"]
        if seen.point:
            flow["trace_observation_point"] = seen.point
        if seen.reason and not self.old:
            flow["trace_reason"] = seen.reason
        if "drop_reason_desc" in extra:
            flow["drop_reason_desc"] = extra["drop_reason_desc"]
        if seen.reply is not None:
            flow["is_reply"] = seen.reply
        for name in ("interface", "proxy_port", "sock_xlate_point", "socket_cookie", "cgroup_id"):
            if name in extra:
                flow[name] = extra[name]
        flow["Summary"] = extra.get("summary") or _summary(packet)
        if not self.old:
            for name in ("egress_allowed_by", "ingress_allowed_by", "egress_denied_by", "ingress_denied_by"):
                if extra.get(name):
                    flow[name] = extra[name]

    def _ethernet(self) -> dict[str, str]:
        a, b = self.rng.getrandbits(16), self.rng.getrandbits(16)
        return {
            "source": f"{a >> 8:02x}:4e:1f:9a:{a & 255:02x}:01",
            "destination": f"0e:{b >> 8:02x}:11:2c:de:{b & 255:02x}",
        }


def _ip(packet: Packet) -> dict[str, str]:
    shown = {"source": packet.source_ip or packet.src.addresses[packet.family]}
    if packet.source_xlated:
        shown["source_xlated"] = packet.source_xlated
    shown["destination"] = packet.destination_ip or packet.dst.addresses[packet.family]
    shown["ipVersion"] = packet.family
    return shown


def _l4(packet: Packet) -> dict[str, Any]:
    if packet.proto.startswith("ICMP"):
        body = {"type": packet.destination_port} if packet.destination_port else {}
        name = "ICMPv6" if packet.proto == "ICMPv6" else "ICMPv4"
        return {name: body | ({"code": packet.code} if packet.code else {})}
    ports: dict[str, Any] = {}
    if packet.source_port:
        ports["source_port"] = packet.source_port
    if packet.destination_port:
        ports["destination_port"] = packet.destination_port
    if packet.proto == "TCP" and packet.flags:
        ports["flags"] = dict.fromkeys(packet.flags, True)
    return {packet.proto: ports}


def _summary(packet: Packet) -> str:
    if packet.proto.startswith("ICMP"):
        name = "ICMPv6" if packet.proto == "ICMPv6" else "ICMPv4"
        return f"{name} {_ICMP_NAMES.get((name, packet.destination_port), packet.destination_port)}"
    if packet.proto == "TCP" and packet.flags:
        return f"TCP Flags: {', '.join(packet.flags)}"
    return packet.proto
