"""Hubble's enumerations as they are met: names, numbers, numbers in quotes, other tools' names."""

from collections.abc import Callable

from flowmine.schema import ENUMS

__all__ = ["DROP_REASONS", "LOST_SOURCES", "NODE_STATES", "Codes", "drop_reason", "enum_name"]

DROP_REASONS: dict[int, str] = {
    0: "DROP_REASON_UNKNOWN",
    130: "INVALID_SOURCE_MAC",
    131: "INVALID_DESTINATION_MAC",
    132: "INVALID_SOURCE_IP",
    133: "POLICY_DENIED",
    134: "INVALID_PACKET_DROPPED",
    135: "CT_TRUNCATED_OR_INVALID_HEADER",
    136: "CT_MISSING_TCP_ACK_FLAG",
    137: "CT_UNKNOWN_L4_PROTOCOL",
    138: "CT_CANNOT_CREATE_ENTRY_FROM_PACKET",
    139: "UNSUPPORTED_L3_PROTOCOL",
    140: "MISSED_TAIL_CALL",
    141: "ERROR_WRITING_TO_PACKET",
    142: "UNKNOWN_L4_PROTOCOL",
    143: "UNKNOWN_ICMPV4_CODE",
    144: "UNKNOWN_ICMPV4_TYPE",
    145: "UNKNOWN_ICMPV6_CODE",
    146: "UNKNOWN_ICMPV6_TYPE",
    147: "ERROR_RETRIEVING_TUNNEL_KEY",
    148: "ERROR_RETRIEVING_TUNNEL_OPTIONS",
    149: "INVALID_GENEVE_OPTION",
    150: "UNKNOWN_L3_TARGET_ADDRESS",
    151: "STALE_OR_UNROUTABLE_IP",
    152: "NO_MATCHING_LOCAL_CONTAINER_FOUND",
    153: "ERROR_WHILE_CORRECTING_L3_CHECKSUM",
    154: "ERROR_WHILE_CORRECTING_L4_CHECKSUM",
    155: "CT_MAP_INSERTION_FAILED",
    156: "INVALID_IPV6_EXTENSION_HEADER",
    157: "IP_FRAGMENTATION_NOT_SUPPORTED",
    158: "SERVICE_BACKEND_NOT_FOUND",
    160: "NO_TUNNEL_OR_ENCAPSULATION_ENDPOINT",
    161: "FAILED_TO_INSERT_INTO_PROXYMAP",
    162: "REACHED_EDT_RATE_LIMITING_DROP_HORIZON",
    163: "UNKNOWN_CONNECTION_TRACKING_STATE",
    164: "LOCAL_HOST_IS_UNREACHABLE",
    165: "NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION",
    166: "UNSUPPORTED_L2_PROTOCOL",
    167: "NO_MAPPING_FOR_NAT_MASQUERADE",
    168: "UNSUPPORTED_PROTOCOL_FOR_NAT_MASQUERADE",
    169: "FIB_LOOKUP_FAILED",
    170: "ENCAPSULATION_TRAFFIC_IS_PROHIBITED",
    171: "INVALID_IDENTITY",
    172: "UNKNOWN_SENDER",
    173: "NAT_NOT_NEEDED",
    174: "IS_A_CLUSTERIP",
    175: "FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND",
    176: "FORBIDDEN_ICMPV6_MESSAGE",
    177: "DENIED_BY_LB_SRC_RANGE_CHECK",
    178: "SOCKET_LOOKUP_FAILED",
    179: "SOCKET_ASSIGN_FAILED",
    180: "PROXY_REDIRECTION_NOT_SUPPORTED_FOR_PROTOCOL",
    181: "POLICY_DENY",
    182: "VLAN_FILTERED",
    183: "INVALID_VNI",
    184: "INVALID_TC_BUFFER",
    185: "NO_SID",
    186: "MISSING_SRV6_STATE",
    187: "NAT46",
    188: "NAT64",
    189: "AUTH_REQUIRED",
    190: "CT_NO_MAP_FOUND",
    191: "SNAT_NO_MAP_FOUND",
    192: "INVALID_CLUSTER_ID",
    193: "UNSUPPORTED_PROTOCOL_FOR_DSR_ENCAP",
    194: "NO_EGRESS_GATEWAY",
    195: "UNENCRYPTED_TRAFFIC",
    196: "TTL_EXCEEDED",
    197: "NO_NODE_ID",
    198: "DROP_RATE_LIMITED",
    199: "IGMP_HANDLED",
    200: "IGMP_SUBSCRIBED",
    201: "MULTICAST_HANDLED",
    202: "DROP_HOST_NOT_READY",
    203: "DROP_EP_NOT_READY",
    204: "DROP_NO_EGRESS_IP",
    205: "DROP_PUNT_PROXY",
}
"""``flow.DropReason`` of Cilium 1.19, by number. Numbers do not change meaning between versions."""

LOST_SOURCES = (
    "UNKNOWN_LOST_EVENT_SOURCE",
    "PERF_EVENT_RING_BUFFER",
    "OBSERVER_EVENTS_QUEUE",
    "HUBBLE_RING_BUFFER",
)
"""``flow.LostEventSource``, by number."""

NODE_STATES = ("UNKNOWN_NODE_STATE", "NODE_CONNECTED", "NODE_UNAVAILABLE", "NODE_GONE", "NODE_ERROR")
"""``relay.NodeState``, by number."""

_NUMBERS: dict[str, dict[int, str]] = {column: dict(enumerate(names)) for column, names in ENUMS.items()}
_NUMBERS["trace_observation_point"] = {
    **dict(enumerate(ENUMS["trace_observation_point"][:-1])),
    101: "TO_ENDPOINT",
}

_ALIASES: dict[str, dict[str, str]] = {
    "verdict": {
        "ALLOWED": "FORWARDED",
        "ALLOW": "FORWARDED",
        "ACCEPT": "FORWARDED",
        "ACCEPTED": "FORWARDED",
        "PASS": "FORWARDED",
        "DENIED": "DROPPED",
        "DENY": "DROPPED",
        "DROP": "DROPPED",
        "REJECTED": "DROPPED",
        "AUDITED": "AUDIT",
    },
    "Type": {"L3/L4": "L3_L4", "L3L4": "L3_L4"},
    "protocol": {"ICMP": "ICMPv4", "ICMP6": "ICMPv6"},
}
"""What other tools write for Hubble's names."""

_FOLDED = {
    column: {name.upper(): name for name in names} | _ALIASES.get(column, {})
    for column, names in ENUMS.items()
}


def enum_name(column: str, value: object) -> str | None:
    """Return Hubble's name for a value of an enumerated column of FLOWS, or None where there is none.

    >>> enum_name("verdict", 2), enum_name("verdict", "2"), enum_name("verdict", "allowed")
    ('DROPPED', 'DROPPED', 'FORWARDED')
    """
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdigit():
            return _NUMBERS[column].get(int(text[:9]))
        return _FOLDED[column].get(text.upper().replace("-", "_"))
    if isinstance(value, int) and not isinstance(value, bool):
        return _NUMBERS[column].get(value)
    return None


def drop_reason(value: object) -> str | None:
    """Return the name of a drop reason given as name or number; None where it says that there is no reason.

    An unknown name is kept; an unknown number becomes ``DROP_REASON_<number>``.

    >>> drop_reason(133), drop_reason("POLICY_DENY"), drop_reason(999), drop_reason(0)
    ('POLICY_DENIED', 'POLICY_DENY', 'DROP_REASON_999', None)
    """
    if isinstance(value, str):
        text = value.strip()
        if not (text.isascii() and text.isdigit()):
            return None if text in ("", DROP_REASONS[0]) else text
        value = int(text[:9])
    if not isinstance(value, int) or value == 0:
        return None
    return DROP_REASONS.get(value, f"DROP_REASON_{value}")


class Codes(dict[object, int]):
    """The codes of one enumerated column by every spelling; an unknown one is told to ``unknown`` each time."""

    def __init__(self, column: str, unknown: Callable[[str], None]) -> None:
        """Make the table of ``column``; ``unknown`` gets a sentence per occurrence of an unknown value."""
        names = ENUMS[column]
        super().__init__({name: code for code, name in enumerate(names)})
        self.update({number: names.index(name) for number, name in _NUMBERS[column].items()})
        self[None] = self[""] = 0
        self._column, self._unknown = column, unknown

    def __missing__(self, value: object) -> int:
        """Return the code of an unusual spelling, or 0, which is Hubble's own "unknown"."""
        strange = self.strange(value)
        if strange is not None:
            self._unknown(strange)
            return 0
        return self[value]

    def strange(self, value: object) -> str | None:
        """Return what is to be told of an unknown value; None for an unusual spelling of a known one, now learnt."""
        name = enum_name(self._column, value)
        if name is None:
            return f"unknown {self._column} {str(value)[:40]!r}"
        self[value] = self[name]
        return None
