"""The parts of an event as `hubble observe` prints it, back into the generic flow of Hubble's JSON.

An end is printed as a pod (``namespace/pod``), a Service (``namespace/name``), names (``a.example,b.example``) or an
address, with its numeric identity in compact output. Labels are never printed. Source: Cilium
``hubble/pkg/printer/printer.go`` (1.19) and the same file of earlier versions.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from flowmine.dropreasons import NAMES, TEXTS
from flowmine.ingest.message import ENUM_NUMBERS
from flowmine.ingest.textsummary import summary_fields
from flowmine.labels import RESERVED_IDENTITIES

__all__ = ["VERDICT", "Printed", "flow_of"]

Fields = dict[str, Any]

_DROP, _CAPTURE, _TRACE, _POLICY_VERDICT, _SOCK, _L7 = 1, 3, 4, 5, 7, 129

_VERDICTS = {
    "ALLOWED": "FORWARDED",
    "DENIED": "DROPPED",
    "AUDITED": "AUDIT",
    "UNKNOWN": "VERDICT_UNKNOWN",
} | {name: name for name in ENUM_NUMBERS["Verdict"]}
VERDICT = "|".join(sorted(_VERDICTS, key=len, reverse=True)) + "|[0-9]{1,3}"
"""Regular expression of a printed verdict; unknown ones are printed as their number."""

_MATCH_TYPES = ("none", "L3-Only", "L3-L4", "L4-Only", "all", "L3-Proto", "Proto-Only")
_POINTS = {
    name.lower().replace("_", "-"): (name, number)
    for name, number in ENUM_NUMBERS["TraceObservationPoint"].items()
    if name != "UNKNOWN_POINT"
} | {"to-endpoint": ("TO_ENDPOINT", 0)}
_SOCK_POINTS = {
    f"{when}-xlate-{way}": f"SOCK_XLATE_POINT_{when.upper()}_DIRECTION_{way.upper()}"
    for when in ("pre", "post")
    for way in ("fwd", "rev")
}
_CAPTURES = ENUM_NUMBERS["DebugCapturePoint"]
_REASONS = {text: number for number, text in TEXTS.items() if number >= 130} | {
    "Policy denied (L3)": 133,
    "Policy denied (L4)": 133,
    "Policy denied (CIDR)": 133,
}
"""Printed drop reason -> number; with the wordings of Cilium before 1.8."""
_IDENTITIES = {name: number for number, name in RESERVED_IDENTITIES.items()}
_NO_PODS = frozenset({2, 8, 9, 10})
_FIRST_POD_IDENTITY, _FIRST_NODE_LOCAL = 256, 1 << 24

_POLICY = re.compile(
    r"policy-verdict: ?(?P<match>\S+)(?: (?P<direction>INGRESS|EGRESS|TRAFFIC_DIRECTION_UNKNOWN))?", re.A
)
_L7_TYPE = re.compile(r"(?P<parser>http|dns|kafka|l7)-(?P<type>request|response|sample)(?: (?P<source>\S+))?")
_BRACKETED = re.compile(r"\[(?P<host>[^\]]*)\](?::(?P<port>\d{1,5})(?:\([^)]*\))?)?", re.A)
_PORT = re.compile(r"(?P<host>[^:]*):(?P<port>\d{1,5})(?:\([^)]*\))?", re.A)
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.A | re.I)


@dataclass(frozen=True, slots=True)
class Printed:
    """One event's printed parts. ``is_reply`` is None where the output does not tell; ends are source, destination.

    Identities are what stands in the brackets (``ID:25001``, ``world``), empty where nothing does.
    """

    source: str
    destination: str
    type: str
    verdict: str
    summary: str
    source_identity: str = ""
    destination_identity: str = ""
    is_reply: bool | None = None


@dataclass(frozen=True, slots=True)
class _End:
    """An end as printed: which fields of a flow it fills."""

    endpoint: Fields
    address: str = ""
    mac: str = ""
    port: int | None = None
    names: tuple[str, ...] = ()
    service: Fields | None = None


_NOTHING = _End({})
_AS_TOLD = {"auth_type": "auth_type", "ip_trace_id": "ip_trace_id", "summary": "Summary"}


def flow_of(printed: Printed) -> Fields:
    """Return the generic flow (snake_case, enumeration names) of a printed event; what text cannot tell is absent."""
    source = _end(printed.source, printed.source_identity)
    destination = _end(printed.destination, printed.destination_identity)
    told = summary_fields(printed.summary)
    verdict = _VERDICTS.get(printed.verdict, printed.verdict)
    flow: Fields = {"verdict": int(verdict) if verdict.isdigit() else verdict}
    if printed.type not in ("", "UNKNOWN"):
        flow["Type"] = "L3_L4"
    flow |= _kind(printed.type, verdict, told)
    flow |= _ends(source, destination)
    if "protocol" in told or "l7" in flow:
        protocol = told.get("protocol") or ("UDP" if "dns" in flow["l7"] else "TCP")
        flow["l4"] = {protocol: _layer4(protocol, source, destination, told)}
    flow |= {name: told[key] for key, name in _AS_TOLD.items() if key in told}
    if printed.is_reply is not None:
        flow["is_reply"] = printed.is_reply
    if flow["verdict"] == "VERDICT_UNKNOWN":
        del flow["verdict"]
    return flow


def _ends(source: _End, destination: _End) -> Fields:
    flow: Fields = {}
    if source.mac or destination.mac:
        flow["ethernet"] = {"source": source.mac, "destination": destination.mac}
    elif source != _NOTHING or destination != _NOTHING:
        addresses = {"source": source.address, "destination": destination.address}
        flow["IP"] = {key: value for key, value in addresses.items() if value}
        if flow["IP"]:
            flow["IP"]["ipVersion"] = "IPv6" if ":" in "".join(addresses.values()) else "IPv4"
    for name, end in (("source", source), ("destination", destination)):
        if end.endpoint:
            flow[name] = end.endpoint
        if end.names:
            flow[f"{name}_names"] = list(end.names)
        if end.service:
            flow[f"{name}_service"] = end.service
    return flow


def _layer4(protocol: str, source: _End, destination: _End, told: Fields) -> Fields:
    if protocol.startswith("ICMP"):
        icmp: Fields = told.get("icmp", {})
        return icmp
    ports = {"source_port": source.port, "destination_port": destination.port}
    layer: Fields = {name: port for name, port in ports.items() if port is not None}
    if "flags" in told:
        layer["flags"] = told["flags"]
    return layer


def _kind(text: str, verdict: str, told: Fields) -> Fields:
    """Return what the TYPE column says: which monitor message, observation point, drop reason or l7 record."""
    if text in _POINTS:
        point, number = _POINTS[text]
        return {"event_type": _event(_TRACE, number), "trace_observation_point": point}
    if text in _SOCK_POINTS:
        point = _SOCK_POINTS[text]
        number = ENUM_NUMBERS["SocketTranslationPoint"][point]
        return {"Type": "SOCK", "event_type": _event(_SOCK, number), "sock_xlate_point": point}
    if text in _CAPTURES:
        return {"event_type": _event(_CAPTURE, _CAPTURES[text]), "debug_capture_point": text}
    seventh = _L7_TYPE.fullmatch(text)
    if seventh:
        return _layer7(seventh, told)
    policy = _POLICY.fullmatch(text)
    if policy or text in _MATCH_TYPES:
        match, direction = (policy["match"], policy["direction"]) if policy else (text, None)
        return _policy_verdict(match, direction, verdict, told)
    if text in _REASONS:
        number = _REASONS[text]
        return {"event_type": _event(_DROP, number), "drop_reason_desc": NAMES.get(number, NAMES[0])}
    if verdict == "DROPPED" and text not in ("", "UNKNOWN"):
        return {"event_type": _event(_DROP, 0), "drop_reason_desc": _reason_name(text)}
    return {}


def _event(number: int, sub: int) -> Fields:
    return {"type": number, "sub_type": sub} if sub else {"type": number}


def _reason_name(text: str) -> str | int:
    """Return a reason that this version does not know as a name in Hubble's style; a number stays one."""
    if text.isascii() and text.isdigit():
        return int(text[:9])
    return re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_") or NAMES[0]


def _layer7(match: re.Match[str], told: Fields) -> Fields:
    """Return an l7 event. Hubble's DNS records come from the egress proxy alone."""
    record = dict(told.get("record", {}))
    flow: Fields = {
        "Type": "L7",
        "event_type": _event(_L7, 0),
        "l7": {"type": match["type"].upper(), **record},
    }
    parser = match["parser"]
    if parser != "l7":
        flow["l7"][parser] = dict(record.get(parser, {}))
    if parser == "dns":
        flow["traffic_direction"] = "EGRESS"
        if match["source"]:
            flow["l7"]["dns"]["observation_source"] = match["source"]
    return flow


def _policy_verdict(match: str, direction: str | None, verdict: str, told: Fields) -> Fields:
    """Return a policy verdict event. A refusal without a match is default deny, with one a deny rule or authentication."""
    flow: Fields = {"event_type": _event(_POLICY_VERDICT, 0)}
    number = _MATCH_TYPES.index(match) if match in _MATCH_TYPES else 0
    if number:
        flow["policy_match_type"] = number
    if direction and direction != "TRAFFIC_DIRECTION_UNKNOWN":
        flow["traffic_direction"] = direction
    if verdict == "DROPPED":
        matched = "AUTH_REQUIRED" if "auth_type" in told else "POLICY_DENY"
        flow["drop_reason_desc"] = matched if number else "POLICY_DENIED"
    return flow


def _end(text: str, identity_text: str) -> _End:
    identity = _identity(identity_text)
    host, port = _split(text)
    endpoint: Fields = {"identity": identity} if identity else {}
    address = _address(host)
    if address or not host:
        return _End(endpoint, address=address, port=port)
    if _MAC.fullmatch(host):
        return _End(endpoint, mac=host.lower(), port=port)
    namespace, slash, name = host.partition("/")
    if slash:
        if _is_service(namespace, name, identity):
            return _End(endpoint, port=port, service={"name": name, "namespace": namespace})
        return _End(endpoint | {"namespace": namespace, "pod_name": name}, port=port)
    if _are_names(host, identity):
        return _End(endpoint, port=port, names=tuple(item for item in host.split(",") if item))
    return _End(endpoint | {"pod_name": host}, port=port)


def _identity(text: str) -> int:
    number = text.removeprefix("ID:")
    if number.isascii() and number.isdigit():
        return int(number) if int(number[:11]) < 1 << 32 else 0
    return _IDENTITIES.get(text.removeprefix("reserved:"), 0)


def _split(text: str) -> tuple[str, int | None]:
    """Return host and port of ``host:port``, ``[v6]:port``, ``host:53(domain)`` or a host alone."""
    match = _BRACKETED.fullmatch(text) or _PORT.fullmatch(text)
    if match is None:
        return text, None
    port = int(match["port"]) if match["port"] else None
    return (match["host"], port) if port is None or port < 65536 else (text, None)


def _address(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        return ""


def _is_service(namespace: str, name: str, identity: int) -> bool:
    """Tell a Service from a pod: its address has an identity that no pod has, or it is the API server's own."""
    return (
        identity in _NO_PODS
        or identity >= _FIRST_NODE_LOCAL
        or (namespace, name) == ("default", "kubernetes")
    )


def _are_names(host: str, identity: int) -> bool:
    """Tell names of an address from a pod without namespace: by the identity, else by dots and commas."""
    if _FIRST_POD_IDENTITY <= identity < _FIRST_NODE_LOCAL:
        return "," in host
    return bool(identity) or "." in host or "," in host
