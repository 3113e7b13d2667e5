"""The shape of ``flow.Flow`` and of what carries it: fields and types of messages, numbers of enumerations (Cilium 1.19).

For what needs the message and not the columns: CEL expressions, where an unset field has its type's default, and
JSON in Hubble's own field order.
"""

from functools import cache

from flowmine.dropreasons import NUMBERS

__all__ = ["ENUM_NUMBERS", "Field", "fields_of"]

Field = tuple[str, bool]
"""Type name, and whether it is repeated."""

_MESSAGES = {
    "GetFlowsResponse": "flow:Flow node_status:NodeStatusEvent lost_events:LostEvent node_name:string time:Timestamp",
    "NodeStatusEvent": "state_change:NodeState node_names:string* message:string",
    "LostEvent": "source:LostEventSource num_events_lost:uint64 cpu:Int32Value first:Timestamp last:Timestamp",
    "Flow": "time:Timestamp uuid:string emitter:Emitter verdict:Verdict drop_reason:uint32 auth_type:AuthType"
    " ethernet:Ethernet IP:IP l4:Layer4 tunnel:Tunnel source:Endpoint destination:Endpoint Type:FlowType"
    " node_name:string node_labels:string* source_names:string* destination_names:string* l7:Layer7 reply:bool"
    " event_type:CiliumEventType source_service:Service destination_service:Service"
    " traffic_direction:TrafficDirection policy_match_type:uint32 trace_observation_point:TraceObservationPoint"
    " trace_reason:TraceReason file:FileInfo ip_trace_id:IPTraceID drop_reason_desc:DropReason is_reply:BoolValue"
    " debug_capture_point:DebugCapturePoint interface:NetworkInterface proxy_port:uint32"
    " trace_context:TraceContext sock_xlate_point:SocketTranslationPoint socket_cookie:uint64 cgroup_id:uint64"
    " Summary:string extensions:Any egress_allowed_by:Policy* ingress_allowed_by:Policy* egress_denied_by:Policy*"
    " ingress_denied_by:Policy* policy_log:string* aggregate:Aggregate",
    "Emitter": "name:string version:string",
    "Ethernet": "source:string destination:string",
    "IP": "source:string source_xlated:string destination:string ipVersion:IPVersion encrypted:bool",
    "Layer4": "TCP:TCP UDP:UDP ICMPv4:ICMP ICMPv6:ICMP SCTP:UDP VRRP:VRRP IGMP:IGMP",
    "Tunnel": "protocol:TunnelProtocol IP:IP l4:Layer4 vni:uint32",
    "Endpoint": "ID:uint32 identity:uint32 cluster_name:string namespace:string labels:string* pod_name:string"
    " workloads:Workload* vni_id:uint64",
    "Layer7": "type:L7FlowType latency_ns:uint64 dns:DNS http:HTTP kafka:Kafka",
    "CiliumEventType": "type:int32 sub_type:int32",
    "Service": "name:string namespace:string",
    "FileInfo": "name:string line:uint32",
    "IPTraceID": "trace_id:uint64 ip_option_type:uint32",
    "NetworkInterface": "index:uint32 name:string",
    "TraceContext": "parent:TraceParent",
    "TraceParent": "trace_id:string",
    "Policy": "name:string namespace:string labels:string* revision:uint64 kind:string",
    "Aggregate": "ingress_flow_count:uint32 egress_flow_count:uint32 unknown_direction_flow_count:uint32",
    "TCP": "source_port:uint32 destination_port:uint32 flags:TCPFlags",
    "UDP": "source_port:uint32 destination_port:uint32",
    "ICMP": "type:uint32 code:uint32",
    "VRRP": "type:uint32 vrid:uint32 priority:uint32",
    "IGMP": "type:uint32 group_address:string",
    "Workload": "name:string kind:string",
    "DNS": "query:string ips:string* ttl:uint32 cnames:string* observation_source:string rcode:uint32"
    " qtypes:string* rrtypes:string*",
    "HTTP": "code:uint32 method:string url:string protocol:string headers:HTTPHeader*",
    "HTTPHeader": "key:string value:string",
    "Kafka": "error_code:int32 api_version:int32 api_key:string correlation_id:int32 topic:string",
    "TCPFlags": "FIN:bool SYN:bool RST:bool PSH:bool ACK:bool URG:bool ECE:bool CWR:bool NS:bool",
}

_ENUMS = {
    "Verdict": "VERDICT_UNKNOWN FORWARDED DROPPED ERROR AUDIT REDIRECTED TRACED TRANSLATED",
    "AuthType": "DISABLED SPIRE TEST_ALWAYS_FAIL",
    "FlowType": "UNKNOWN_TYPE L3_L4 L7 SOCK",
    "TrafficDirection": "TRAFFIC_DIRECTION_UNKNOWN INGRESS EGRESS",
    "TraceObservationPoint": "UNKNOWN_POINT TO_PROXY TO_HOST TO_STACK TO_OVERLAY FROM_ENDPOINT FROM_PROXY FROM_HOST"
    " FROM_STACK FROM_OVERLAY FROM_NETWORK TO_NETWORK FROM_CRYPTO TO_CRYPTO TO_ENDPOINT=101",
    "TraceReason": "TRACE_REASON_UNKNOWN NEW ESTABLISHED REPLY RELATED REOPENED SRV6_ENCAP SRV6_DECAP"
    " ENCRYPT_OVERLAY",
    "DebugCapturePoint": "DBG_CAPTURE_POINT_UNKNOWN DBG_CAPTURE_DELIVERY=4 DBG_CAPTURE_FROM_LB DBG_CAPTURE_AFTER_V46"
    " DBG_CAPTURE_AFTER_V64 DBG_CAPTURE_PROXY_PRE DBG_CAPTURE_PROXY_POST DBG_CAPTURE_SNAT_PRE DBG_CAPTURE_SNAT_POST",
    "SocketTranslationPoint": "SOCK_XLATE_POINT_UNKNOWN SOCK_XLATE_POINT_PRE_DIRECTION_FWD"
    " SOCK_XLATE_POINT_POST_DIRECTION_FWD SOCK_XLATE_POINT_PRE_DIRECTION_REV SOCK_XLATE_POINT_POST_DIRECTION_REV",
    "IPVersion": "IP_NOT_USED IPv4 IPv6",
    "TunnelProtocol": "UNKNOWN VXLAN GENEVE",
    "LostEventSource": "UNKNOWN_LOST_EVENT_SOURCE PERF_EVENT_RING_BUFFER OBSERVER_EVENTS_QUEUE HUBBLE_RING_BUFFER",
    "NodeState": "UNKNOWN_NODE_STATE NODE_CONNECTED NODE_UNAVAILABLE NODE_GONE NODE_ERROR",
    "L7FlowType": "UNKNOWN_L7_TYPE REQUEST RESPONSE SAMPLE",
}


def _numbered(names: str) -> dict[str, int]:
    numbers: dict[str, int] = {}
    following = 0
    for item in names.split():
        name, _, number = item.partition("=")
        numbers[name] = int(number or following)
        following = numbers[name] + 1
    return numbers


ENUM_NUMBERS: dict[str, dict[str, int]] = {name: _numbered(values) for name, values in _ENUMS.items()} | {
    "DropReason": NUMBERS
}
"""Enumeration -> its names and their numbers."""


@cache
def fields_of(message: str) -> dict[str, Field]:
    """Return the fields of a message in declaration order. Raise KeyError where it is none of ``flow.proto``'s.

    >>> fields_of("TCP")["flags"]
    ('TCPFlags', False)
    """
    parts = (item.partition(":") for item in _MESSAGES[message].split())
    return {name: (kind.removesuffix("*"), kind.endswith("*")) for name, _, kind in parts}
