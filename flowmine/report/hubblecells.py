"""The cells of one event as `hubble observe` words them: hosts, identities, types, verdicts, summaries (1.19).

What an event carries is hostile: control characters are shown, never sent to the terminal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flowmine.dropreasons import TEXTS
from flowmine.ingest.filters import nanoseconds
from flowmine.ingest.message import ENUM_NUMBERS
from flowmine.labels import RESERVED_IDENTITIES
from flowmine.report.gotime import format_time

__all__ = ["Record", "Row", "Style", "clean", "flow_row", "identity", "lost_row", "time_of"]

Record = dict[str, Any]
"""``{"flow" | "lost_events" | "node_status": {…}, "node_name", "time"}``, snake_case, enumerations by name."""

_DROP, _CAPTURE, _TRACE, _POLICY_VERDICT, _TRACE_SOCK = 1, 3, 4, 5, 7
_MATCH_TYPES = ("none", "L3-Only", "L3-L4", "L4-Only", "all", "L3-Proto", "Proto-Only")
_POINTS = {
    number: name.lower().replace("_", "-")
    for name, number in ENUM_NUMBERS["TraceObservationPoint"].items()
    if name != "UNKNOWN_POINT"
} | {0: "to-endpoint"}
_SOCK_POINTS = {
    f"SOCK_XLATE_POINT_{when.upper()}_DIRECTION_{way.upper()}": f"{when}-xlate-{way}"
    for when in ("pre", "post")
    for way in ("fwd", "rev")
}
_VERDICT_WORDS = {
    "FORWARDED": ("ALLOWED", "green"),
    "REDIRECTED": ("ALLOWED", "green"),
    "DROPPED": ("DENIED", "red"),
    "ERROR": ("DENIED", "red"),
    "AUDIT": ("AUDITED", "yellow"),
    "TRACED": ("TRACED", "yellow"),
    "TRANSLATED": ("TRANSLATED", "yellow"),
}
_COLORS = {"red": 31, "green": 32, "yellow": 33, "magenta": 35, "cyan": 36}
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    27: "^[",
    13: "\\r",
    10: "\\n",
    9: "\\t",
}


@dataclass(frozen=True, slots=True)
class Style:
    """How to print: ``names`` for addresses where known, a time format's name, the node's name, colours."""

    names: bool = True
    time_format: str = "StampMilli"
    node_name: bool = False
    color: bool = False

    def paint(self, color: str, text: str) -> str:
        """Return the text in a colour, or as it is where colours are off."""
        return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if self.color else text


@dataclass(frozen=True, slots=True)
class Row:
    """The columns of one event, painted; identities only appear in compact lines."""

    time: str
    node: str
    source: str
    destination: str
    type: str
    verdict: str
    summary: str


def flow_row(record: Record, style: Style) -> Row:
    """Return the cells of a record that holds a flow."""
    flow = record["flow"]
    source, destination = _hosts(flow, style)
    return Row(
        time_of(flow, style),
        clean(flow.get("node_name") or ""),
        style.paint("cyan", source),
        style.paint("cyan", destination),
        clean(_type(flow)),
        _verdict(flow, style),
        _summary(flow, style),
    )


def lost_row(record: Record, style: Style) -> Row:
    """Return the cells of a record that tells of lost events."""
    lost = record["lost_events"]
    summary = f"CPU({lost.get('cpu') or 0}) - {lost.get('num_events_lost') or 0}"
    if lost.get("first") and lost.get("last"):
        first, last = (format_time(_moment(lost[key]), style.time_format) for key in ("first", "last"))
        summary += f" (first: {first}, last: {last})"
    source = clean(str(lost.get("source") or "UNKNOWN_LOST_EVENT_SOURCE"))
    node = clean(record.get("node_name") or "")
    return Row(time_of(record, style), node, source, "-", "EVENTS LOST", "-", summary)


def time_of(record: Record, style: Style) -> str:
    """Return the time of a record or flow as the style has it."""
    return format_time(_moment(record.get("time")), style.time_format)


def _moment(text: str | None) -> int | None:
    try:
        return nanoseconds(text) if text else None
    except ValueError:
        return None


def _hosts(flow: Record, style: Style) -> tuple[str, str]:
    if flow.get("IP") is None:
        ethernet = flow.get("ethernet") or {}
        return clean(ethernet.get("source") or ""), clean(ethernet.get("destination") or "")
    return _host(flow, "source", style), _host(flow, "destination", style)


def _host(flow: Record, side: str, style: Style) -> str:
    end, service = flow.get(side) or {}, flow.get(f"{side}_service")
    namespace = (end if service is None else service).get("namespace") or ""
    name = end.get("pod_name") or (service or {}).get("name")
    host = flow["IP"].get(side) or ""
    if style.names and name:
        host = f"{namespace}/{name}" if namespace else name
    elif style.names and flow.get(f"{side}_names"):
        host = ",".join(flow[f"{side}_names"])
    host, port = clean(host), _port(flow, side)
    if not port:
        return host
    return (
        f"[{host}]:{style.paint('yellow', port)}"
        if ":" in host or "%" in host
        else f"{host}:{style.paint('yellow', port)}"
    )


def _port(flow: Record, side: str) -> str:
    l4 = flow.get("l4") or {}
    layer: Record = next((l4[name] for name in ("TCP", "UDP", "SCTP") if l4.get(name) is not None), {})
    return str(layer.get(f"{side}_port") or "")


def identity(flow: Record, side: str, style: Style) -> str:
    """Return the security identity of one side in brackets, reserved ones by name."""
    number = (flow.get(side) or {}).get("identity") or 0
    name = RESERVED_IDENTITIES.get(number) if number else "unknown"
    return style.paint("magenta", f"({name})" if name else f"(ID:{number})")


def _type(flow: Record) -> str:
    if flow.get("l7") is not None:
        return _l7_type(flow["l7"])
    event = flow.get("event_type") or {}
    describe = _TYPES.get(event.get("type") or 0)
    return describe(flow, event.get("sub_type") or 0) if describe else "UNKNOWN"


def _l7_type(l7: Record) -> str:
    kind = str(l7.get("type") or "UNKNOWN_L7_TYPE").lower()
    protocol = next((name for name in ("http", "dns", "kafka") if l7.get(name) is not None), "l7")
    source = f" {l7['dns'].get('observation_source') or ''}" if protocol == "dns" else ""
    return f"{protocol}-{kind}{source}"


def _policy_verdict(flow: Record, _sub: int) -> str:
    number = flow.get("policy_match_type") or 0
    match = _MATCH_TYPES[number] if number < len(_MATCH_TYPES) else "unknown"
    return f"policy-verdict:{match} {flow.get('traffic_direction') or 'TRAFFIC_DIRECTION_UNKNOWN'}"


def _sock_point(flow: Record, _sub: int) -> str:
    point = str(flow.get("sock_xlate_point") or "SOCK_XLATE_POINT_UNKNOWN")
    return _SOCK_POINTS.get(point, point)


_TYPES: dict[int, Callable[[Record, int], str]] = {
    _TRACE: lambda _, sub: _POINTS.get(sub & 255, str(sub & 255)),
    _DROP: lambda _, sub: TEXTS.get(sub & 255, f"{sub & 255}, 0"),
    _POLICY_VERDICT: _policy_verdict,
    _CAPTURE: lambda flow, _: str(flow.get("debug_capture_point") or "DBG_CAPTURE_POINT_UNKNOWN"),
    _TRACE_SOCK: _sock_point,
}


def _verdict(flow: Record, style: Style) -> str:
    verdict = clean(str(flow.get("verdict") or "VERDICT_UNKNOWN"))
    word, color = _VERDICT_WORDS.get(verdict, (verdict, ""))
    decided = ((flow.get("event_type") or {}).get("type") or 0) == _POLICY_VERDICT
    return style.paint(color, word if decided else verdict) if color else verdict


def _summary(flow: Record, style: Style) -> str:
    summary = clean(flow.get("Summary") or "")
    trace = int((flow.get("ip_trace_id") or {}).get("trace_id") or 0)
    if trace:
        summary = f"IP Trace ID: {trace}; {summary}"
    auth = str(flow.get("auth_type") or "DISABLED")
    if auth == "DISABLED":
        return summary
    return f"{summary}; Auth: {style.paint('red' if auth == 'TEST_ALWAYS_FAIL' else 'green', clean(auth))}"


def clean(text: str) -> str:
    """Return the text with its control characters shown."""
    return text.translate(_CONTROLS)
