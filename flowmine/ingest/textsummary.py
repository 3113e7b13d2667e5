"""What the summary at the end of a printed event says: protocol, TCP flags, ICMP type, HTTP, DNS and Kafka records.

Source: Cilium ``pkg/hubble/parser`` (how summaries are written) and gopacket's ``layers/icmp4.go`` and ``icmp6msg.go``
(the names of ICMP types and codes).
"""

import re
from collections.abc import Callable
from typing import Any

__all__ = ["summary_fields"]

Fields = dict[str, Any]

_ICMPV4: dict[str, tuple[int, tuple[str, ...]]] = {
    "EchoReply": (0, ()),
    "DestinationUnreachable": (
        3,
        (
            "Net",
            "Host",
            "Protocol",
            "Port",
            "FragmentationNeeded",
            "SourceRoutingFailed",
            "NetUnknown",
            "HostUnknown",
            "SourceIsolated",
            "NetAdminProhibited",
            "HostAdminProhibited",
            "NetTOS",
            "HostTOS",
            "CommAdminProhibited",
            "HostPrecedence",
            "PrecedenceCutoff",
        ),
    ),
    "SourceQuench": (4, ()),
    "Redirect": (5, ("Net", "Host", "TOS+Net", "TOS+Host")),
    "EchoRequest": (8, ()),
    "RouterAdvertisement": (9, ()),
    "RouterSolicitation": (10, ()),
    "TimeExceeded": (11, ("TTLExceeded", "FragmentReassemblyTimeExceeded")),
    "ParameterProblem": (12, ("PointerIndicatesError", "MissingOption", "BadLength")),
    "TimestampRequest": (13, ()),
    "TimestampReply": (14, ()),
    "InfoRequest": (15, ()),
    "InfoReply": (16, ()),
    "AddressMaskRequest": (17, ()),
    "AddressMaskReply": (18, ()),
}
_ICMPV6: dict[str, tuple[int, tuple[str, ...]]] = {
    "DestinationUnreachable": (
        1,
        (
            "NoRouteToDst",
            "AdminProhibited",
            "BeyondScopeOfSrc",
            "AddressUnreachable",
            "PortUnreachable",
            "SrcAddressFailedPolicy",
            "RejectRouteToDst",
        ),
    ),
    "PacketTooBig": (2, ()),
    "TimeExceeded": (3, ("HopLimitExceeded", "FragmentReassemblyTimeExceeded")),
    "ParameterProblem": (4, ("ErroneousHeader", "UnrecognizedNextHeader", "UnrecognizedIPv6Option")),
    "EchoRequest": (128, ()),
    "EchoReply": (129, ()),
    "MLDv1MulticastListenerQueryMessage": (130, ()),
    "MLDv1MulticastListenerReportMessage": (131, ()),
    "MLDv1MulticastListenerDoneMessage": (132, ()),
    "RouterSolicitation": (133, ()),
    "RouterAdvertisement": (134, ()),
    "NeighborSolicitation": (135, ()),
    "NeighborAdvertisement": (136, ()),
    "Redirect": (137, ()),
    "MLDv2MulticastListenerReportMessageV2": (143, ()),
}

_RCODES = (
    "No Error",
    "Format Error",
    "Server Failure",
    "Non-Existent Domain",
    "Not Implemented",
    "Query Refused",
    "Name Exists when it should not",
    "RR Set Exists when it should not",
    "RR Set that should exist does not",
    "Server Not Authoritative for zone",
    "Name not contained in zone",
)

_FLAGS = ("SYN", "ACK", "FIN", "RST", "PSH", "URG", "ECE", "CWR", "NS")
_PORTS = ("TCP", "UDP", "SCTP")
_AUTH = re.compile(r"(?:^|; )Auth: (?P<auth>[A-Z_]+)$")
_IP_TRACE = re.compile(r"^IP Trace ID: (?P<number>[0-9]{1,20})(?:; |$)")
_ICMP = re.compile(r"^(?P<family>ICMPv[46]) (?P<name>[A-Za-z0-9]+)(?:\((?:Code: )?(?P<code>[^)]*)\))?$")
_HTTP_REQUEST = re.compile(r"^(?P<protocol>HTTP/\S+) (?P<method>\S+) (?P<url>\S.*)$")
_HTTP_RESPONSE = re.compile(
    r"^(?P<protocol>HTTP/\S+) (?P<code>\d{1,3}) (?P<latency>\d+)ms \((?P<method>\S+) (?P<url>\S.*)\)$"
)
_DNS_QUERY = re.compile(r"^DNS Query (?P<query>\S*) (?P<types>\S*)$")
_DNS_ANSWER = re.compile(
    r'^DNS Answer (?:"(?P<ips>[^"]*)")?(?:RCode: (?P<rcode>.+?))?(?: ?CNAMEs: "(?P<cnames>[^"]*)")?'
    r"(?: *TTL: (?P<ttl>\d+))? \((?P<source>\S+) (?P<query>\S*) (?P<types>\S*)\)$"
)
_KAFKA = re.compile(
    r"^Kafka (?:request|response) (?P<api_key>\S+) correlation id (?P<correlation_id>-?\d+) topic '(?P<topic>.*?)'"
    r"(?: return code (?P<error_code>-?\d+))?$"
)


def summary_fields(text: str) -> Fields:
    """Return the fields of a flow that a summary tells: ``protocol``, ``flags``, ``icmp``, ``auth_type``, ``ip_trace_id``, ``record``, ``summary``.

    ``protocol`` is Hubble's name of the l4 message, ``flags`` and ``icmp`` its parts, ``record`` an l7 message
    without its type, as ``{"http": …}``, ``summary`` the text less what other fields hold. What is not told, or not understood, is left out.

    >>> summary_fields("TCP Flags: SYN, ACK; Auth: SPIRE")
    {'auth_type': 'SPIRE', 'summary': 'TCP Flags: SYN, ACK', 'protocol': 'TCP', 'flags': {'SYN': True, 'ACK': True}}
    >>> summary_fields("ICMPv4 EchoRequest")
    {'summary': 'ICMPv4 EchoRequest', 'protocol': 'ICMPv4', 'icmp': {'type': 8, 'code': 0}}
    """
    fields: Fields = {}
    auth = _AUTH.search(text)
    if auth:
        fields["auth_type"] = auth["auth"]
        text = text[: auth.start()]
    trace = _IP_TRACE.match(text)
    if trace:
        fields["ip_trace_id"] = {"trace_id": trace["number"]}
        text = text[trace.end() :]
    if text:
        fields["summary"] = text
    for begin, parse in _PARSERS:
        if text.startswith(begin):
            return fields | parse(text)
    return fields


def _tcp_flags(text: str) -> Fields:
    names = {name.strip().upper() for name in text.partition(":")[2].split(",")}
    return {"protocol": "TCP", "flags": {name: True for name in _FLAGS if name in names}}


def _bare(text: str) -> Fields:
    return {"protocol": text} if text in _PORTS else {}


def _icmp(text: str) -> Fields:
    """Return type and code by their printed names; numbers where gopacket knows none, as in ``143(0)``."""
    match = _ICMP.match(text)
    if match is None:
        return {}
    names = _ICMPV4 if match["family"] == "ICMPv4" else _ICMPV6
    number, codes = names.get(match["name"], (_byte(match["name"]), ()))
    if number is None:
        return {"protocol": match["family"]}
    code = match["code"] or "0"
    place = codes.index(code) if code in codes else _byte(code)
    return {"protocol": match["family"], "icmp": {"type": number, "code": place or 0}}


def _byte(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text[:4]) < 256 else None


def _http(text: str) -> Fields:
    response = _HTTP_RESPONSE.match(text)
    match = response or _HTTP_REQUEST.match(text)
    if match is None:
        return {}
    http: Fields = {name: match[name] for name in ("method", "url", "protocol")}
    fields: Fields = {"protocol": "TCP", "record": {"http": http}}
    if response:
        http["code"] = int(response["code"])
        fields["record"]["latency_ns"] = str(int(response["latency"][:12]) * 10**6)
    return fields


def _dns(text: str) -> Fields:
    """Return a DNS record. The protocol is not printed; UDP is taken, for DNS over TCP is the rare exception."""
    query = _DNS_QUERY.match(text)
    match = query or _DNS_ANSWER.match(text)
    if match is None:
        return {"protocol": "UDP"}
    dns: Fields = {"query": match["query"], "qtypes": _listed(match["types"])}
    if not query:
        dns["ips"], dns["cnames"] = _listed(match["ips"]), _listed(match["cnames"])
        dns["ttl"] = int((match["ttl"] or "0")[:9])
        dns["observation_source"] = match["source"].lower()
        dns["rcode"] = _rcode(match["rcode"])
    return {"protocol": "UDP", "record": {"dns": {name: value for name, value in dns.items() if value}}}


def _rcode(text: str | None) -> int | None:
    """Return a DNS response code by gopacket's words for it or its number; None where none is printed."""
    return _RCODES.index(text) if text in _RCODES else _byte(text or "")


def _listed(text: str | None) -> list[str]:
    return [item for item in (text or "").split(",") if item]


def _kafka(text: str) -> Fields:
    match = _KAFKA.match(text)
    if match is None:
        return {"protocol": "TCP"}
    kafka: Fields = {"api_key": match["api_key"], "correlation_id": int(match["correlation_id"][:12])}
    if match["topic"]:
        kafka["topic"] = match["topic"]
    if match["error_code"]:
        kafka["error_code"] = int(match["error_code"][:8])
    return {"protocol": "TCP", "record": {"kafka": kafka}}


_PARSERS: tuple[tuple[str, Callable[[str], Fields]], ...] = (
    ("TCP Flags:", _tcp_flags),
    ("TCP", _bare),
    ("UDP", _bare),
    ("SCTP", _bare),
    ("ICMPv", _icmp),
    ("HTTP/", _http),
    ("DNS ", _dns),
    ("Kafka ", _kafka),
)
"""How a summary begins -> who reads it."""
