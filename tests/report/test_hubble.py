"""What `hubble observe` prints, printed here: against Hubble's own output for the same events, and case by case."""

import json
from pathlib import Path

import pytest

from flowmine.report.gotime import TIME_FORMATS, format_time
from flowmine.report.hubble import Style, compact, dictionary, node_status, table
from flowmine.report.hubblejson import json_line

WIRE = Path(__file__).parents[3] / "shared" / "wire"
NUMERIC = Style(names=False, time_format="RFC3339Nano", node_name=True)

needs_wire = pytest.mark.skipif(not WIRE.is_dir(), reason="../shared/wire, Hubble's own output, is not here")

WEB = {"identity": 25001, "namespace": "shop", "pod_name": "web-1"}
API = {"identity": 25002, "namespace": "shop", "pod_name": "api-1"}


def event(**fields: object) -> dict[str, object]:
    """A trace event from web to api's port 8080 with fields replaced; None leaves one out."""
    flow = {
        "time": "2026-11-08T09:30:00.160456789Z",
        "verdict": "FORWARDED",
        "IP": {"source": "10.0.0.1", "destination": "fd00::2"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 8080}},
        "source": WEB,
        "destination": API,
        "node_name": "default/node-1",
        "event_type": {"type": 4},
        "is_reply": False,
        "Summary": "TCP Flags: SYN",
    } | fields
    kept = {key: value for key, value in flow.items() if value is not None}
    return {"flow": kept, "node_name": "default/node-1", "time": flow["time"]}


def records() -> list[dict[str, object]]:
    """All records of the golden capture."""
    return [json.loads(line) for line in (WIRE / "flows.in.jsonl").read_text("utf-8").splitlines()]


def golden(name: str) -> list[str]:
    """The lines that Hubble printed."""
    return (WIRE / name).read_text("utf-8").splitlines()


@needs_wire
@pytest.mark.parametrize(("name", "style"), [("compact.txt", Style()), ("compact-numeric.txt", NUMERIC)])
def test_compact_lines_equal_hubbles(name: str, style: Style) -> None:
    """Every event of the golden capture gives the compact line that Hubble printed."""
    assert golden(name) == [line for record in records() if (line := compact(record, style)) is not None]


@needs_wire
def test_the_table_equals_hubbles() -> None:
    """The golden capture as a table is what Hubble printed, to the last blank."""
    assert golden("tab.txt") == list(table(records(), Style()))


@needs_wire
def test_dict_blocks_equal_hubbles() -> None:
    """The golden capture as blocks is what Hubble printed."""
    assert golden("dict.txt") == "\n".join(dictionary(records(), Style())).split("\n")


@needs_wire
def test_json_lines_equal_hubbles() -> None:
    """JSON lines are byte for byte Hubble's, HTML characters escaped as Go does."""
    printed = [record for record in records() if "node_status" not in record]
    assert golden("flows.jsonl") == [json_line(record) for record in printed]


def test_a_reply_swaps_its_ends() -> None:
    """A reply is printed with the client left and an arrow back."""
    line = compact(event(is_reply=True), Style())
    assert (
        line
        == "Nov  8 09:30:00.160: shop/api-1:8080 (ID:25002) <- shop/web-1:40000 (ID:25001) to-endpoint FORWARDED (TCP Flags: SYN)"
    )


def test_an_unknown_direction_points_both_ways() -> None:
    """Without is_reply the arrow points both ways."""
    assert " <> " in str(compact(event(is_reply=None), Style()))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"event_type": {"type": 1, "sub_type": 133}}, "Policy denied"),
        ({"event_type": {"type": 1, "sub_type": 255}}, "255, 0"),
        ({"event_type": {"type": 4, "sub_type": 11}}, "to-network"),
        ({"event_type": {"type": 4, "sub_type": 77}}, "77"),
        (
            {"event_type": {"type": 5}, "policy_match_type": 3, "traffic_direction": "EGRESS"},
            "policy-verdict:L4-Only EGRESS",
        ),
        (
            {"event_type": {"type": 5}, "policy_match_type": 9},
            "policy-verdict:unknown TRAFFIC_DIRECTION_UNKNOWN",
        ),
        (
            {"event_type": {"type": 7}, "sock_xlate_point": "SOCK_XLATE_POINT_PRE_DIRECTION_REV"},
            "pre-xlate-rev",
        ),
        ({"event_type": {"type": 7}}, "SOCK_XLATE_POINT_UNKNOWN"),
        ({"event_type": {"type": 3}, "debug_capture_point": "DBG_CAPTURE_DELIVERY"}, "DBG_CAPTURE_DELIVERY"),
        ({"event_type": None}, "UNKNOWN"),
        ({"l7": {"type": "REQUEST", "http": {}}}, "http-request"),
        ({"l7": {"type": "RESPONSE", "dns": {"observation_source": "proxy"}}}, "dns-response proxy"),
        ({"l7": {}}, "l7-unknown_l7_type"),
    ],
)
def test_the_type_of_an_event(fields: dict[str, object], expected: str) -> None:
    """Each kind of event is named as Hubble names it, unknown numbers as numbers."""
    assert next(dictionary([event(**fields)], Style())).splitlines()[3] == f"       TYPE: {expected}"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"verdict": "REDIRECTED", "event_type": {"type": 5}}, "ALLOWED"),
        ({"verdict": "ERROR", "event_type": {"type": 5}}, "DENIED"),
        ({"verdict": "AUDIT", "event_type": {"type": 5}}, "AUDITED"),
        ({"verdict": "AUDIT"}, "AUDIT"),
        ({"verdict": 99}, "99"),
        ({"verdict": None}, "VERDICT_UNKNOWN"),
    ],
)
def test_the_verdict_of_an_event(fields: dict[str, object], expected: str) -> None:
    """Policy-verdict events say what was decided, others their verdict."""
    assert next(dictionary([event(**fields)], Style())).splitlines()[4] == f"    VERDICT: {expected}"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"source": {"identity": 2}}, "10.0.0.1:40000 (world)"),
        (
            {"source": {"identity": 2}, "source_names": ["a.example", "b.example"]},
            "a.example,b.example:40000 (world)",
        ),
        (
            {"source": {"identity": 2}, "source_service": {"name": "db", "namespace": "data"}},
            "data/db:40000 (world)",
        ),
        (
            {"source": WEB, "source_service": {"name": "db", "namespace": "data"}},
            "data/web-1:40000 (ID:25001)",
        ),
        ({"source": {"pod_name": "lone"}}, "lone:40000 (unknown)"),
        ({"l4": {"ICMPv4": {"type": 8}}}, "shop/web-1 (ID:25001)"),
        ({"l4": {"UDP": {"destination_port": 53}}}, "shop/web-1 (ID:25001)"),
        ({"IP": None, "ethernet": {"source": "0e:00:00:00:00:01"}}, "0e:00:00:00:00:01 (ID:25001)"),
        ({"IP": None}, " (ID:25001)"),
    ],
)
def test_the_source_of_an_event(fields: dict[str, object], expected: str) -> None:
    """A pod's name comes before a Service's, domain names before the address, a port of 0 is left out."""
    assert str(compact(event(**fields), Style())).split(": ", 1)[1].startswith(f"{expected} ->")


def test_addresses_of_version_6_are_bracketed() -> None:
    """Where addresses are printed, one with colons stands in brackets before its port."""
    assert " -> [fd00::2]:8080 " in str(compact(event(), Style(names=False)))


def test_colours_are_hubbles() -> None:
    """With colours hosts are cyan, ports yellow, identities magenta, verdicts by their meaning."""
    line = str(compact(event(verdict="DROPPED"), Style(color=True)))
    assert "\x1b[36mshop/web-1:\x1b[33m40000\x1b[0m\x1b[0m \x1b[35m(ID:25001)\x1b[0m -> " in line
    assert " \x1b[31mDROPPED\x1b[0m (" in line


def test_control_characters_never_reach_the_terminal() -> None:
    """An escape sequence in an event is shown, not sent, in every layout."""
    hostile = event(
        Summary="\x1b[2J\r\nforged", node_name="n\x1b", source={"pod_name": "p\x9b\t", "identity": 1}
    )
    style = Style(node_name=True)
    printed = [str(compact(hostile, style)), *dictionary([hostile], style), *table([hostile], style)]
    assert not any(set("\x1b\r\x9b\t") & set(text) for text in printed)
    assert "(^[[2J\\r\\nforged)" in printed[0]


def test_a_table_of_nothing_is_nothing() -> None:
    """Without events there is no heading either."""
    assert list(table([{"node_status": {}}], Style())) == []


def test_lost_events_tell_their_window() -> None:
    """Lost events are told with source, CPU and count, and from when to when where Hubble knows it."""
    lost = {
        "source": "HUBBLE_RING_BUFFER",
        "num_events_lost": "7",
        "first": "2026-11-18T09:00:00Z",
        "last": "2026-11-18T09:00:01Z",
    }
    line = compact({"lost_events": lost, "time": "2026-11-18T09:00:02Z"}, Style(time_format="RFC3339"))
    assert line == (
        "2026-11-18T09:00:02Z EVENTS LOST: HUBBLE_RING_BUFFER CPU(0) 7 "
        "(first: 2026-11-18T09:00:00Z, last: 2026-11-18T09:00:01Z)"
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"state_change": "NODE_CONNECTED", "node_names": ["a"]}, None),
        (
            {"state_change": "NODE_UNAVAILABLE", "node_names": ["a", "b"]},
            "N/A [relay]: 2 nodes are unavailable: a, b",
        ),
        (
            {"state_change": "NODE_ERROR", "message": 'say "no"', "node_names": ["n" * 30, "m" * 30]},
            f'N/A [relay]: Error "say \\"no\\"" on 2 nodes: {"n" * 30} (and 1 more)',
        ),
    ],
)
def test_trouble_with_nodes_is_told(status: dict[str, object], expected: str | None) -> None:
    """Nodes that failed or went away are told, with a few of their names; others are not."""
    assert expected == node_status({"node_status": status, "node_name": "relay"}, Style())


def test_json_puts_fields_in_hubbles_order_and_keeps_unknown_ones() -> None:
    """Fields come in Hubble's order, 64-bit numbers as strings, unknown fields last, null ones not at all."""
    record = {
        "time": "t",
        "flow": {"later": 1, "Summary": "<&>", "socket_cookie": 5, "uuid": "u", "l7": None},
    }
    assert json_line(record) == (
        '{"flow":{"uuid":"u","socket_cookie":"5","Summary":"\\u003c\\u0026\\u003e","later":1},"time":"t"}'
    )


def test_every_time_format() -> None:
    """Each format truncates to what it shows and drops what trails, as Go does."""
    at = 1794994200_120_000_900
    expected = {
        "StampMilli": "Nov 18 09:30:00.120",
        "YearMonthDay": "2026-11-18",
        "YearMonthDayHour": "2026-11-18T09Z",
        "YearMonthDayHourMinute": "2026-11-18T09:30Z",
        "RFC3339": "2026-11-18T09:30:00Z",
        "RFC3339Milli": "2026-11-18T09:30:00.12Z",
        "RFC3339Micro": "2026-11-18T09:30:00.12Z",
        "RFC3339Nano": "2026-11-18T09:30:00.1200009Z",
        "RFC1123Z": "Wed, 18 Nov 2026 09:30:00 +0000",
    }
    assert expected == {name: format_time(at, name) for name in TIME_FORMATS}
