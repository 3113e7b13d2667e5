"""Text captures: what `hubble observe` prints, read back into records."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmine.ingest import open_flows
from flowmine.ingest.blocks import Block, Unreadable
from flowmine.ingest.text import blocks, is_text, records
from flowmine.report.hubble import Style, compact

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
LATEST = datetime(2026, 11, 20, tzinfo=UTC)

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared with reference captures is not here")


def read(text: str) -> list[Any]:
    return [what for _, what in records(iter(text.splitlines()), LATEST)]


def flow(line: str) -> dict[str, Any]:
    (record,) = read(line)
    assert isinstance(record, dict), record
    return record["flow"]


def golden() -> list[dict[str, Any]]:
    lines = (SHARED / "wire/flows.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def text_records(name: str) -> list[dict[str, Any]]:
    return read((SHARED / "wire" / name).read_text())


def sayable(record: dict[str, Any], compact: bool) -> dict[str, Any]:
    """What a line can say of an event: the JSON's fields, less what no form prints."""
    if "lost_events" in record:
        lost = record["lost_events"]
        return {"lost": lost["num_events_lost"], "source": lost.get("source", "UNKNOWN_LOST_EVENT_SOURCE")}
    event = record["flow"]
    told = {
        "verdict": event.get("verdict"),
        "type": event.get("event_type", {}).get("type"),
        "reason": event.get("drop_reason_desc"),
        "l7": event.get("l7", {}).get("type"),
        "match": event.get("policy_match_type"),
        "sock": event.get("sock_xlate_point"),
        "auth": event.get("auth_type"),
        "kind": event.get("Type"),
        "flags": event.get("l4", {}).get("TCP", {}).get("flags") or None,
    }
    for end in ("source", "destination"):
        what = event.get(end, {})
        name = what.get("pod_name")
        if not compact and name is None:  # without an identity a Service is taken for a pod
            name = event.get(f"{end}_service", {}).get("name")
        told[end] = (what.get("identity") if compact else None, name)
    for protocol, layer in event.get("l4", {}).items():
        if protocol in ("TCP", "UDP", "SCTP"):
            told["ports"] = (protocol, layer.get("source_port"), layer.get("destination_port"))
        elif protocol in ("ICMPv4", "ICMPv6"):
            told["icmp"] = (protocol, layer.get("type", 0), layer.get("code", 0))
    record7 = event.get("l7", {})
    if "http" in record7 and record7["type"] != "SAMPLE":  # a sample's record is not printed
        told["http"] = {name: record7["http"].get(name) for name in ("method", "url", "protocol", "code")}
    if "dns" in record7:
        told["dns"] = {
            name: record7["dns"].get(name) for name in ("query", "ips", "cnames", "rcode", "qtypes")
        }
    if compact:
        told["is_reply"] = event.get("is_reply")
    if told["type"] == 5 and told["verdict"] == "REDIRECTED":
        told["verdict"] = "FORWARDED"  # both are printed as ALLOWED
    return told


ODD = {331, 335}  # an event whose enumerations have unknown numbers, and one of every field at once


@needs_shared
@pytest.mark.parametrize(
    ("name", "compact"), [("compact.txt", True), ("tab.txt", False), ("dict.txt", False)]
)
def test_text_says_what_the_json_of_the_same_event_says(name: str, compact: bool) -> None:
    """Each printed form is read into the fields of its JSON, as far as it prints them."""
    made, expected = text_records(name), golden()
    assert len(expected) == len(made)
    differing = []
    for place, (ours, theirs) in enumerate(zip(made, expected, strict=True), 1):
        if place not in ODD and sayable(theirs, compact) != sayable(ours, compact):
            differing.append((place, sayable(theirs, compact), sayable(ours, compact)))
    assert differing == []


@needs_shared
def test_numeric_text_carries_addresses_nodes_and_whole_times() -> None:
    """With --numeric, node names and RFC 3339 times, addresses, node and nanoseconds equal the JSON's."""
    for place, (ours, theirs) in enumerate(
        zip(text_records("compact-numeric.txt"), golden(), strict=True), 1
    ):
        if place in ODD:
            continue
        assert theirs["time"] == ours["time"]
        if "lost_events" in theirs:  # printed without their node
            continue
        assert theirs["node_name"] == ours["node_name"]
        expected = theirs.get("flow", {}).get("IP", {})
        addresses = ours.get("flow", {}).get("IP", {})
        assert (expected.get("source"), expected.get("destination")) == (
            addresses.get("source"),
            addresses.get("destination"),
        )


@needs_shared
def test_every_line_of_the_documentations_captures_is_an_event() -> None:
    """The 84 lines printed by several generations of Hubble are 84 flows with a verdict."""
    made = read((SHARED / "real-flows/cilium-docs-compact.txt").read_text())
    assert len(made) == 84
    assert [record for record in made if "verdict" not in record.get("flow", {})] == []


def test_a_compact_line_is_read_into_hubbles_fields() -> None:
    """Pods, identities, ports, flags, observation point and verdict land in Hubble's own fields; labels stay absent."""
    line = (
        "Mar 14 13:55:24.606: shop/web-7d9c-x2x7k:40000 (ID:25001) -> shop-db/pg-0:5432 (ID:25003)"
        " to-endpoint FORWARDED (TCP Flags: SYN)"
    )
    expected = {
        "verdict": "FORWARDED",
        "Type": "L3_L4",
        "event_type": {"type": 4},
        "trace_observation_point": "TO_ENDPOINT",
        "source": {"identity": 25001, "namespace": "shop", "pod_name": "web-7d9c-x2x7k"},
        "destination": {"identity": 25003, "namespace": "shop-db", "pod_name": "pg-0"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 5432, "flags": {"SYN": True}}},
        "is_reply": False,
        "IP": {},
        "Summary": "TCP Flags: SYN",
        "time": "2026-03-14T13:55:24.606Z",
    }
    assert expected == flow(line)


def test_a_replys_ends_are_put_back_in_their_order() -> None:
    """`<-` means that the packet went from right to left, and that it is a reply."""
    line = "Mar 14 13:55:24.606: a/x:40000 (ID:300) <- b/y:80 (ID:301) to-endpoint FORWARDED (TCP Flags: SYN, ACK)"
    event = flow(line)
    ports = event["l4"]["TCP"]
    assert (
        event["source"]["pod_name"],
        event["destination"]["pod_name"],
        ports["source_port"],
        ports["destination_port"],
        event["is_reply"],
    ) == ("y", "x", 80, 40000, True)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a/x:1 (ID:300) <> b/y:2 (ID:301) to-overlay FORWARDED (UDP)", None),
        ("a/x:1 (ID:300) -> b/y:2 (ID:301) to-overlay FORWARDED (UDP)", False),
        ("a/x:1 -> b/y:2 to-overlay FORWARDED (UDP)", False),
    ],
)
def test_an_arrow_both_ways_tells_nothing_of_the_direction(line: str, expected: bool | None) -> None:
    """`<>` is an event whose is_reply is unknown, never one that is false."""
    assert expected is flow(f"Mar 14 13:55:24.606: {line}").get("is_reply")


def test_the_arrow_of_2019_tells_nothing() -> None:
    """A line with a node and no identities comes from a Hubble that drew one arrow for requests and replies."""
    event = flow(
        "Nov 14 10:51:42.129 [k8s1]: jobs/crawler-0:53100 -> kube-system/coredns-1:53(domain) to-endpoint FORWARDED (UDP)"
    )
    assert "is_reply" not in event
    assert event["l4"]["UDP"] == {"source_port": 53100, "destination_port": 53}
    assert event["node_name"] == "k8s1"


def test_arrows_escaped_for_html_are_read() -> None:
    """A capture copied from a web page, its arrows escaped, is the same capture."""
    plain = "Mar 14 13:55:24.606: a/x:1 (ID:300) -> b/y:80 (ID:301) http-request DROPPED (HTTP/1.1 GET http://b/?p=1&q=2)"
    escaped = plain.replace("&", "&amp;").replace("->", "-&gt;")
    assert flow(plain) == flow(escaped)
    assert flow(escaped)["l7"]["http"]["url"] == "http://b/?p=1&q=2"


def test_an_ampersand_in_an_address_is_not_unescaped_where_the_line_is_plain() -> None:
    """A URL that holds an HTML entity in a plain line keeps it."""
    line = "Mar 14 13:55:24.606: a/x:1 (ID:300) -> b/y:80 (ID:301) http-request DROPPED (HTTP/1.1 GET http://b/?a=1&lt=2)"
    assert flow(line)["l7"]["http"]["url"] == "http://b/?a=1&lt=2"


def test_colours_are_taken_off() -> None:
    """Terminal colours around the parts do not hide them."""
    line = "Mar 14 13:55:24.606: a/x:\x1b[33m1\x1b[0m \x1b[35m(ID:300)\x1b[0m -> b/y:\x1b[33m2\x1b[0m (ID:301) to-stack \x1b[32mFORWARDED\x1b[0m (UDP)"
    assert (flow(line)["l4"]["UDP"], flow(line)["verdict"]) == (
        {"source_port": 1, "destination_port": 2},
        "FORWARDED",
    )


@pytest.mark.parametrize(
    ("kind", "direction", "reason"),
    [
        ("policy-verdict:none INGRESS DENIED", "INGRESS", "POLICY_DENIED"),
        ("policy-verdict:none EGRESS DENIED", "EGRESS", "POLICY_DENIED"),
        ("policy-verdict:none TRAFFIC_DIRECTION_UNKNOWN DENIED", None, "POLICY_DENIED"),
        ("policy-verdict:none DENIED", None, "POLICY_DENIED"),
        ("policy-verdict:L3-L4 EGRESS DENIED", "EGRESS", "POLICY_DENY"),
        ("policy-verdict:L3-Only TRAFFIC_DIRECTION_UNKNOWN ALLOWED", None, None),
    ],
)
def test_a_policy_verdict_tells_its_side_where_the_line_does(
    kind: str, direction: str | None, reason: str | None
) -> None:
    """The side that decided is read where printed (not by 1.19 through a server); a refusal without match is default deny."""
    event = flow(f"Mar 14 13:55:24.606: a/x:1 (ID:300) <> b/y:2 (ID:301) {kind} (TCP Flags: SYN)")
    assert (direction, reason, 5) == (
        event.get("traffic_direction"),
        event.get("drop_reason_desc"),
        event["event_type"]["type"],
    )


def test_an_authentication_refusal_is_told_from_a_deny_rule() -> None:
    """A matched and refused flow with an authentication type needs authentication, not another rule."""
    event = flow(
        "Mar 14 13:55:24.606: a/x:1 (ID:300) <> b/y:2 (ID:301) policy-verdict:L3-L4 INGRESS DENIED (UDP; Auth: SPIRE)"
    )
    assert (event["drop_reason_desc"], event["auth_type"]) == ("AUTH_REQUIRED", "SPIRE")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (
            "shop/api:80 (world)",
            {"destination": {"identity": 2}, "destination_service": {"name": "api", "namespace": "shop"}},
        ),
        (
            "default/kubernetes:443 (kube-apiserver)",
            {
                "destination": {"identity": 7},
                "destination_service": {"name": "kubernetes", "namespace": "default"},
            },
        ),
        (
            "shop/web-0:80 (remote-node)",
            {"destination": {"identity": 6, "namespace": "shop", "pod_name": "web-0"}},
        ),
        (
            "a.example.org,b.example.org:443 (ID:16777219)",
            {"destination": {"identity": 16777219}, "destination_names": ["a.example.org", "b.example.org"]},
        ),
        ("example.org:443", {"destination_names": ["example.org"]}),
        ("deathstar:80", {"destination": {"pod_name": "deathstar"}}),
        ("my.pod:80 (ID:2345)", {"destination": {"identity": 2345, "pod_name": "my.pod"}}),
        ("10.0.0.9:80 (unknown)", {"IP": {"destination": "10.0.0.9", "ipVersion": "IPv4"}}),
        (
            "[fd00::9]:80 (host)",
            {"destination": {"identity": 1}, "IP": {"destination": "fd00::9", "ipVersion": "IPv6"}},
        ),
        (
            "fd00::9 (ID:300)",
            {"destination": {"identity": 300}, "IP": {"destination": "fd00::9", "ipVersion": "IPv6"}},
        ),
        ("0e:4e:1f:9a:62:01 (unknown)", {"ethernet": {"source": "", "destination": "0e:4e:1f:9a:62:01"}}),
    ],
)
def test_an_end_is_told_by_its_shape_and_identity(host: str, expected: dict[str, Any]) -> None:
    """Pods, Services, names and addresses are printed alike; the identity tells them apart."""
    event = flow(f"Mar 14 13:55:24.606: a/x:1 (ID:300) -> {host} to-stack FORWARDED (UDP)")
    keys = ("destination", "destination_service", "destination_names", "IP", "ethernet")
    assert expected == {key: event[key] for key in keys if event.get(key)}


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ("ICMPv4 EchoRequest", {"ICMPv4": {"type": 8, "code": 0}}),
        ("ICMPv4 DestinationUnreachable(Port)", {"ICMPv4": {"type": 3, "code": 3}}),
        ("ICMPv4 DestinationUnreachable(Code: 77)", {"ICMPv4": {"type": 3, "code": 77}}),
        ("ICMPv6 143(0)", {"ICMPv6": {"type": 143, "code": 0}}),
        ("ICMPv6 NeighborSolicitation", {"ICMPv6": {"type": 135, "code": 0}}),
        ("SCTP", {"SCTP": {"source_port": 1, "destination_port": 2}}),
        ("TCP Flags: ", {"TCP": {"source_port": 1, "destination_port": 2, "flags": {}}}),
        ("IP Trace ID: 7; UDP", {"UDP": {"source_port": 1, "destination_port": 2}}),
        ("IPv4", None),
        ("", None),
    ],
)
def test_the_summary_tells_the_protocol(summary: str, expected: dict[str, Any] | None) -> None:
    """Protocol, flags, ICMP type and code come from the summary; an unknown one tells no protocol."""
    assert expected == flow(
        f"Mar 14 13:55:24.606: a/x:1 (ID:300) -> b/y:2 (ID:301) to-endpoint FORWARDED ({summary})"
    ).get("l4")


def test_dns_answers_are_read_with_their_addresses() -> None:
    """Query, answers, CNAMEs, TTL and response code of a DNS line land in the l7 record."""
    begin = (
        "Mar 14 13:55:24.606: a/x:1 (ID:300) <- kube-system/dns-0:53 (ID:301) dns-response proxy FORWARDED "
    )
    answer = flow(
        begin
        + '(DNS Answer "198.51.100.7,198.51.100.8" CNAMEs: "e.example.org." TTL: 300 (Proxy www.example.org. A))'
    )
    missing = flow(begin + "(DNS Answer RCode: Non-Existent Domain TTL: 0 (Proxy nope.example. AAAA))")
    assert answer["l7"]["dns"] == {
        "query": "www.example.org.",
        "qtypes": ["A"],
        "ips": ["198.51.100.7", "198.51.100.8"],
        "cnames": ["e.example.org."],
        "ttl": 300,
        "observation_source": "proxy",
    }
    assert (missing["l7"]["dns"]["query"], missing["l7"]["dns"]["rcode"]) == ("nope.example.", 3)


def test_a_drop_of_another_version_keeps_its_reason() -> None:
    """A reason that this version has no number for is kept as a name, and never taken for policy."""
    line = "Mar 14 13:55:24.606: a/x:1 (ID:300) <> b/y:2 (ID:301) Gremlins (in the wire) DROPPED (UDP)"
    assert (flow(line)["drop_reason_desc"], flow(line)["event_type"]["type"]) == ("GREMLINS_IN_THE_WIRE", 1)


def test_a_table_without_identity_and_with_a_node_column_is_read() -> None:
    """The table's columns are found by its header, empty cells included."""
    text = (
        "TIMESTAMP             NODE      SOURCE        DESTINATION   TYPE          VERDICT     SUMMARY\n"
        "May  4 13:23:40.501   k8s1      a/x:1         b/y:2         to-endpoint   FORWARDED   DNS Answer  TTL: 4\n"
        "May  4 13:23:40.502   k8s1                                  UNKNOWN       DROPPED     \n"
    )
    first, second = read(text)
    assert (first["node_name"], first["flow"]["source"]["pod_name"], first["flow"]["verdict"]) == (
        "k8s1",
        "x",
        "FORWARDED",
    )
    assert (second["flow"]["verdict"], "source" in second["flow"]) == ("DROPPED", False)


def test_a_row_whose_header_is_missing_is_read_by_its_gaps() -> None:
    """A piece cut out of a table is still read."""
    (record,) = read("May  4 13:23:40.501   a/x:1   b/y:2   to-endpoint   FORWARDED   TCP Flags: SYN")
    assert (record["flow"]["source"]["pod_name"], record["flow"]["trace_observation_point"]) == (
        "x",
        "TO_ENDPOINT",
    )


def test_blocks_of_key_and_value_are_read_without_rules_between_them() -> None:
    """A block ends at a rule, a blank line, the next TIMESTAMP or the end of the input."""
    block = "  TIMESTAMP: May  4 13:23:40.501\n     SOURCE: a/x:1\nDESTINATION: b/y:2\n       TYPE: to-stack\n    VERDICT: FORWARDED\n    SUMMARY: UDP\n"
    for between in ("", "------------\n", "\n"):
        assert len([record for record in read(block + between + block) if "flow" in record]) == 2


@pytest.mark.parametrize(
    "line",
    [
        "Nov 18 09:30:12.296 EVENTS LOST: HUBBLE_RING_BUFFER CPU(3) 4096 (first: Nov 18 09:30:00.123, last: Nov 18 09:30:02.123)",
        "Nov 18 09:30:12.296 [k8s1]: EVENTS LOST: HUBBLE_RING_BUFFER CPU(3) 4096 (first: Nov 18 09:30:00.123, last: Nov 18 09:30:02.123)",
    ],
)
def test_lost_events_are_read_with_their_number_and_span(line: str) -> None:
    """A lost-events line becomes Hubble's own record of it."""
    (record,) = read(line)
    assert record["lost_events"] == {
        "source": "HUBBLE_RING_BUFFER",
        "num_events_lost": "4096",
        "cpu": 3,
        "first": "2026-11-18T09:30:00.123Z",
        "last": "2026-11-18T09:30:02.123Z",
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("$ hubble observe -n shop", "not a line of hubble observe"),
        ("Mar 14 13:55:24.606: a/x:1 (ID:300) -> b/y:2 (ID", "no flow in the line, or only a part of one"),
        (
            "Mar 14 13:55:24.606: a/x:1 (ID:300) -> b/y:2 (ID:4) http-request FORWARDED (HTTP/1.1 GET http:",
            "no flow in the line, or only a part of one",
        ),
    ],
)
def test_what_is_no_flow_is_named(line: str, reason: str) -> None:
    """A line that is not an event says why, and is not read as a part of one."""
    assert [reason] == read(line)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Nov 18 09:30:13.1 [vm]: ENDPOINT_CREATED (id: 1204)", "agent_event"),
        (
            "Nov 18 09:30:13.184: shop/web (ID:1204) DBG_GENERIC MARK: 0x3e8 CPU: 03 (No message)",
            "debug_event",
        ),
        (
            "  TIMESTAMP: Nov 18 09:30:13.1\n       TYPE: ENDPOINT_CREATED\n    DETAILS: id: 1204",
            "agent_event",
        ),
    ],
)
def test_agent_and_debug_events_are_records_of_their_own(line: str, kind: str) -> None:
    """What Hubble prints beside flows is told as what it is."""
    (record,) = read(line)
    assert (record[kind], record["time"].startswith("2026-11-18T09:30:13.1")) == ({}, True)


def test_a_line_that_was_cut_off_is_told_from_a_bad_one() -> None:
    """The last line without its end is where the capture was cut."""
    line = b"Mar 14 13:55:24.606: a/x:1 (ID:300) -> b/y:2 (ID:301) to-stack FORWARDED (UDP)"
    made = list(blocks(iter([line + b"\n" + line[:40]]), 1 << 20, LATEST))
    assert [block.cut for block in made if isinstance(block, Unreadable)] == [True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mar 14 13:55:24.606", "2026-03-14T13:55:24.606Z"),
        ("Nov 20 23:59:59.000", "2026-11-20T23:59:59.000Z"),
        ("Nov 22 00:00:00.000", "2025-11-22T00:00:00.000Z"),
        ("Feb 29 13:00:29.389", "2024-02-29T13:00:29.389Z"),
        ("2021-05-06T07:08:09.123456789+02:00", "2021-05-06T07:08:09.123456789+02:00"),
        ("Thu, 06 May 2021 07:08:09 +0200", "2021-05-06T05:08:09Z"),
        ("Feb 30 13:00:29.389", None),
        ("N/A", None),
    ],
)
def test_a_time_without_year_gets_the_latest_that_is_not_in_the_future(
    text: str, expected: str | None
) -> None:
    """The year is the last one in which the time is at most a day after the capture was written."""
    (record,) = read(f"{text}: a/x:1 (ID:300) -> b/y:2 (ID:301) to-stack FORWARDED (UDP)")
    assert expected == record.get("time")


def test_a_capture_over_new_year_keeps_its_order() -> None:
    """Events of 31 December and 1 January of one file are a moment apart."""
    lines = [
        f"{text}: a/x:1 (ID:300) -> b/y:2 (ID:301) to-stack FORWARDED (UDP)"
        for text in ("Dec 31 23:59:59.9", "Jan  1 00:00:00.1")
    ]
    made = [
        what["time"]
        for _, what in records(iter(lines), datetime(2026, 1, 1, tzinfo=UTC))
        if isinstance(what, dict)
    ]
    assert made == ["2025-12-31T23:59:59.9Z", "2026-01-01T00:00:00.1Z"]


def test_blocks_name_the_line_each_event_stands_in() -> None:
    """Events keep the line numbers of the text, and bad lines are told with theirs."""
    line = b"Mar 14 13:55:24.606: a/x:1 (ID:300) -> b/y:2 (ID:301) to-stack FORWARDED (UDP)"
    made = list(blocks(iter([line + b"\nwhat?\n", b"\n" + line[:20], line[20:]]), 1 << 20, LATEST))
    assert [Unreadable(2, "not a line of hubble observe")] == [
        block for block in made if isinstance(block, Unreadable)
    ]
    (block,) = [block for block in made if isinstance(block, Block)]
    assert [number for number, _ in block.lines()] == [1, 4]
    assert json.loads(block.lines()[1][1])["flow"]["source"]["pod_name"] == "x"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"$ hubble observe\nMar 14 13:55:24.606: a/x:1 -> b/y:2 to-stack FORWARDED (UDP)\n", True),
        (b"TIMESTAMP             SOURCE   DESTINATION   TYPE   VERDICT   SUMMARY\n", True),
        (
            b"  TIMESTAMP: Mar 14 13:55:24.606\n     SOURCE: a/x:1\n       TYPE: to-stack\n    VERDICT: DROPPED\n",
            True,
        ),
        (b'{"flow":{"time":"2026-11-18T09:30:00Z"}}\n', False),
        (b'2026-11-18T09:30:00.123456789Z stdout F {"flow":{}}\n', False),
        (b"hello\nworld\n", False),
        (b"Mar 14 13:55:24 host sshd[1]: Accepted publickey\n", False),
        (b"Mar 14 13:55:24: kernel: eth0 -> promiscuous\n", False),
        (b"", False),
    ],
)
def test_text_captures_are_told_by_their_content(head: bytes, expected: bool) -> None:
    """Printed events are recognised wherever among the first lines they begin; JSON and logs are not."""
    assert expected is is_text(head)


_PIECES = st.sampled_from(
    ["Mar 14 13:55:24.606", ": ", " -> ", " <> ", "a/x:1", "(ID:300)", "[::1]:99", " to-endpoint", " DROPPED", "FORWARDED", " (", ")", "TIMESTAMP: ",
     "TYPE: ", "TIMESTAMP   SOURCE", "   ", "\n", "EVENTS LOST: ", "CPU(1)", "DNS Answer ", "HTTP/1.1 ", "9" * 30, "\x1b[1m", "é", "²", "٣", ":", "-&gt;", "99"]
)  # fmt: skip


@given(st.lists(st.one_of(_PIECES, st.text(max_size=8)), max_size=30).map("".join))
def test_no_text_crashes_the_reader(text: str) -> None:
    """Whatever stands in a file, each line is a record or a reason, and records are JSON."""
    for number, what in records(iter(text.split("\n")), LATEST):
        assert number >= 1
        assert isinstance(what, str) or json.dumps(what)
    assert list(blocks(iter([text.encode("utf-8", "replace")]), 100, LATEST)) is not None


FLOW = "Mar 14 13:55:24.606: shop/web-0:40000 (ID:25001) -> 203.0.113.7:443 (world) to-stack FORWARDED (TCP Flags: SYN)"


def test_a_text_file_is_opened_like_any_capture(tmp_path: Path) -> None:
    """A text capture is recognised by content, read into FLOWS, its bad lines named and its want of labels told."""
    path = tmp_path / "capture.log"
    path.write_text(f"$ hubble observe\n{FLOW}\n{FLOW}\n")
    source = open_flows(path)
    table = pa.Table.from_batches(source.batches(), source.schema)
    assert (2, [f"{path}:1: not a line of hubble observe"]) == (table.num_rows, source.ledger.named)
    assert table["destination_ip"].to_pylist() == ["203.0.113.7"] * 2
    assert {("web-0", "shop", True), ("", "", False)} == {
        (row["pod"], row["namespace"], bool(row["pod"])) for row in source.endpoints.to_pylist()
    }
    advice = source.ledger.mask_advice()
    assert advice is not None
    assert f"{path}: text carries no labels" in advice


def test_text_among_json_is_still_told(tmp_path: Path) -> None:
    """A capture of both forms says that a part of it has no labels."""
    (tmp_path / "a.json").write_text(
        '{"flow":{"time":"2026-03-14T13:55:24Z","verdict":"FORWARDED","source":{"labels":["k8s:app=x"]},"node_name":"n"}}\n'
    )
    (tmp_path / "b.txt").write_text(FLOW + "\n")
    source = open_flows(tmp_path)
    assert sum(batch.num_rows for batch in source.batches()) == 2
    assert [str(tmp_path / "b.txt")] == source.ledger.texts


def test_the_year_is_the_files(tmp_path: Path) -> None:
    """Times without a year are of the year before the file was last written."""
    path = tmp_path / "capture.txt"
    path.write_text(FLOW + "\n")
    os.utime(path, (1_600_000_000, 1_600_000_000))
    (batch,) = open_flows(path).batches()
    assert datetime(2020, 3, 14, 13, 55, 24, 606000, UTC) == batch.column("time")[0].as_py()


@needs_shared
def test_text_and_json_give_the_same_columns() -> None:
    """The columns made of compact lines equal those of the JSON, as far as they are printed."""
    rows = {}
    for name in ("compact.txt", "flows.jsonl"):
        source = open_flows(SHARED / "wire" / name, dedup=False)
        rows[name] = pa.Table.from_batches(source.batches(), source.schema)
    told = (
        "event_type",
        "drop_reason_desc",
        "source_port",
        "icmp_type",
        "icmp_code",
        "http_method",
        "http_path",
    )
    text, json_ = rows["compact.txt"], rows["flows.jsonl"]
    assert 331 == text.num_rows == json_.num_rows
    keep = [place for place in range(331) if place not in (321, 326, 327, 330)]
    for column in told:
        assert json_[column].take(keep).to_pylist() == text[column].take(keep).to_pylist(), column


@needs_shared
@pytest.mark.parametrize("name", ["compact.txt", "compact-numeric.txt"])
def test_printing_what_was_read_gives_the_lines_again(name: str) -> None:
    """Compact lines read and printed are the same lines, byte for byte."""
    numeric = name == "compact-numeric.txt"
    style = Style(
        names=not numeric, time_format="RFC3339Nano" if numeric else "StampMilli", node_name=numeric
    )
    lines = (SHARED / "wire" / name).read_text().splitlines()
    made = [compact(record, style) for record in read("\n".join(lines))]
    if numeric:  # the last event's addresses are no addresses
        lines, made = lines[:-1], made[:-1]
    assert [pair for pair in zip(lines, made, strict=True) if pair[0] != pair[1]] == []
