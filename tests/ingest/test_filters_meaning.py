"""What each FlowFilter field means, on made events: the cases of Hubble's own filters, one by one."""

import sys
from typing import Any

import pytest

from flowmine.errors import UsageError
from flowmine.ingest.filters import (
    EventType,
    FlowFilter,
    Header,
    Interface,
    Selection,
    Workload,
    flow_filters,
    matcher,
    point_in_time,
    predicate,
)
from flowmine.ingest.filters.selector import selector
from flowmine.ingest.filters.urls import request_path

HTTP = {
    "method": "GET",
    "url": "http://api/v1/items/7?x=1",
    "code": 404,
    "headers": [{"key": "A", "value": "b"}],
}
FLOW: dict[str, Any] = {
    "uuid": "u1",
    "verdict": "DROPPED",
    "drop_reason_desc": "POLICY_DENIED",
    "IP": {
        "source": "10.0.0.1",
        "source_xlated": "192.0.2.1",
        "destination": "fd00::2",
        "ipVersion": "IPv6",
        "encrypted": True,
    },
    "l4": {"TCP": {"source_port": 40000, "destination_port": 443, "flags": {"SYN": True, "ACK": True}}},
    "source": {
        "identity": 25001,
        "cluster_name": "east",
        "namespace": "shop",
        "pod_name": "web-7d9c",
        "labels": ["k8s:app=web", "k8s:tier=front", "reserved:init"],
        "workloads": [{"name": "web", "kind": "Deployment"}],
    },
    "destination": {"identity": 2, "labels": ["cidr:10.1.0.0/16", "reserved:world"]},
    "destination_names": ["api.stripe.com"],
    "destination_service": {"namespace": "shop", "name": "api"},
    "node_name": "east/k8s1.example.com",
    "node_labels": ["kubernetes.io/arch=amd64"],
    "event_type": {"type": 4, "sub_type": 3},
    "traffic_direction": "EGRESS",
    "is_reply": True,
    "l7": {"http": HTTP, "dns": {"query": "api.stripe.com."}},
    "interface": {"index": 3, "name": "eth0"},
    "trace_context": {"parent": {"trace_id": "t1"}},
    "ip_trace_id": {"trace_id": "9"},
}


def matches(flow: dict[str, Any] | None = FLOW, **fields: tuple[Any, ...]) -> bool:
    """Whether a flow matches the FlowFilter of these fields."""
    return predicate(FlowFilter(**fields))(flow)


YES: list[dict[str, tuple[Any, ...]]] = [
    {"uuid": ("x", "u1")},
    {"source_ip": ("10.0.0.1",)},
    {"source_ip": ("10.0.0.0/24",)},
    {"source_ip": ("10.0.0.77/24",)},
    {"destination_ip": ("fd00::/64", "1.1.1.1")},
    {"source_ip_xlated": ("192.0.2.1",)},
    {"source_pod": ("shop/web",)},
    {"source_pod": ("shop/",)},
    {"source_pod": ("/web",)},
    {"source_pod": ("/",)},
    {"destination_fqdn": ("*.Stripe.com.",)},
    {"destination_fqdn": ("api.*",)},
    {"destination_fqdn": ("api*com",)},
    {"source_label": ("app=web",)},
    {"source_label": ("app=db", "tier")},
    {"destination_label": ("reserved:world",)},
    {"destination_label": ("cidr:10.0.0.0/8",)},
    {"destination_service": ("shop/a",)},
    {"source_workload": (Workload("web"),)},
    {"source_workload": (Workload("", "Deployment"),)},
    {"source_cluster_name": ("west", "east")},
    {"traffic_direction": ("EGRESS",)},
    {"verdict": ("DROPPED",)},
    {"drop_reason_desc": ("POLICY_DENIED",)},
    {"interface": (Interface(0, "eth0"),)},
    {"interface": (Interface(3),)},
    {"event_type": (EventType(4),)},
    {"event_type": (EventType(4, 3),)},
    {"event_type": (EventType(0, 3),)},
    {"http_status_code": ("404",)},
    {"http_status_code": ("40+",)},
    {"http_status_code": ("5+", "4+")},
    {"protocol": ("TCP",)},
    {"protocol": ("http",)},
    {"source_port": ("40000",)},
    {"destination_port": ("80", "443")},
    {"reply": (True,)},
    {"dns_query": (r"stripe\.com",)},
    {"source_identity": (25001,)},
    {"destination_identity": (2,)},
    {"http_method": ("get",)},
    {"http_path": ("^/v1/items/[0-9]+$",)},
    {"http_path": ("items",)},
    {"http_url": (r"x=\d",)},
    {"http_header": (Header("A", "b"),)},
    {"http_header": (Header("", "b"),)},
    {"tcp_flags": (frozenset({"SYN"}),)},
    {"tcp_flags": (frozenset({"FIN"}), frozenset({"SYN", "ACK"}))},
    {"node_name": ("k8s*",)},
    {"node_name": ("east/",)},
    {"node_name": ("e*/*.example.com",)},
    {"node_labels": ("kubernetes.io/arch in (amd64)",)},
    {"ip_version": ("IPv6",)},
    {"trace_id": ("t1",)},
    {"ip_trace_id": (9,)},
    {"encrypted": (True,)},
    {"cel_expression": ("_flow.verdict == Verdict.DROPPED",)},
    {"cel_expression": ("_flow.verdict == flow.Verdict.DROPPED",)},
    {"cel_expression": ("_flow.l4.TCP.destination_port == 443u",)},
    {"cel_expression": ("'k8s:app=web' in _flow.source.labels",)},
    {"cel_expression": ("has(_flow.l4.TCP) && !has(_flow.l4.UDP)",)},
    {"cel_expression": ("_flow.l4.UDP.destination_port == 0u",)},
    {"cel_expression": ("_flow.source.workloads.exists(w, w.kind == 'Deployment')",)},
    {"cel_expression": ("_flow.drop_reason_desc == DropReason.POLICY_DENIED",)},
    {"cel_expression": ("_flow.verdict == Verdict.AUDIT", "_flow.is_reply == true")},
    {"verdict": ("DROPPED",), "destination_port": ("443",)},
]

NO: list[dict[str, tuple[Any, ...]]] = [
    {"uuid": ("u",)},
    {"source_ip": ("10.0.0.2", "10.0.1.0/24", "::/0")},
    {"source_pod": ("web",)},
    {"source_pod": ("shop/we-",)},
    {"source_pod": ("shopping/web",)},
    {"destination_pod": ("/",)},
    {"destination_fqdn": ("stripe.com",)},
    {"source_fqdn": ("*",)},
    {"source_label": ("any:app!=web",)},
    {"source_label": ("app=web,tier=back",)},
    {"source_label": ("reserved:app=web",)},
    {"destination_label": ("cidr:10.1.2.0/24",)},
    {"destination_service": ("api",)},
    {"source_service": ("/",)},
    {"source_workload": (Workload("web", "StatefulSet"),)},
    {"destination_workload": (Workload(),)},
    {"destination_cluster_name": ("east",)},
    {"interface": (Interface(4, "eth0"),)},
    {"event_type": (EventType(4, 0),)},
    {"event_type": (EventType(5),)},
    {"http_status_code": ("4+",), "verdict": ("FORWARDED",)},
    {"http_status_code": ("41+",)},
    {"protocol": ("udp", "kafka")},
    {"destination_port": ("40000",)},
    {"reply": (False,)},
    {"http_path": ("x=1",)},
    {"http_header": (Header("a", ""),)},
    {"tcp_flags": (frozenset({"SYN", "FIN"}),)},
    {"node_name": ("west/k8s*",)},
    {"node_name": ("k8s1",)},
    {"node_labels": ("kubernetes.io/arch!=amd64",)},
    {"ip_version": ("IPv4", "IP_NOT_USED")},
    {"ip_trace_id": (8,)},
    {"encrypted": (False,)},
    {"cel_expression": ("_flow.source.labels[9] == ''",)},
    {"cel_expression": ("_flow.source.labels[9] == ''", "_flow.is_reply == true")},
    {"cel_expression": ("has(_flow.l4.UDP)",)},
]


@pytest.mark.parametrize("fields", YES, ids=str)
def test_fields_that_match(fields: dict[str, tuple[Any, ...]]) -> None:
    """One matching value of every given field is enough."""
    assert matches(**fields)


@pytest.mark.parametrize("fields", NO, ids=str)
def test_fields_that_do_not_match(fields: dict[str, tuple[Any, ...]]) -> None:
    """One field without a matching value is enough to refuse."""
    assert not matches(**fields)


NOTHING: list[tuple[dict[str, tuple[Any, ...]], bool, bool]] = [
    ({"verdict": ("VERDICT_UNKNOWN",)}, True, False),
    ({"drop_reason_desc": ("DROP_REASON_UNKNOWN",)}, True, False),
    ({"ip_version": ("IP_NOT_USED",)}, True, False),
    ({"traffic_direction": ("TRAFFIC_DIRECTION_UNKNOWN",)}, True, True),
    ({"source_identity": (0,)}, True, True),
    ({"encrypted": (False,)}, True, True),
    ({"reply": (False,)}, False, False),
    ({"event_type": (EventType(),)}, False, False),
    ({"source_label": ("!app",)}, True, True),
    ({"source_label": ("app",)}, False, False),
    ({"destination_port": ("0",)}, False, False),
    ({"tcp_flags": (frozenset(),)}, False, False),
    ({"interface": (Interface(),)}, False, False),
    ({"node_name": ("*",)}, False, False),
    ({"http_path": ("",)}, False, False),
    ({"cel_expression": ("_flow.verdict == Verdict.VERDICT_UNKNOWN",)}, True, True),
]


@pytest.mark.parametrize(("fields", "empty", "none"), NOTHING, ids=str)
def test_fields_on_an_empty_flow_and_on_no_flow(
    fields: dict[str, tuple[Any, ...]], empty: bool, none: bool
) -> None:
    """An unset field has protobuf's default; where there is no flow (lost events) some filters never match."""
    assert (empty, none) == (matches({}, **fields), matches(None, **fields))


def test_a_drop_of_unknown_direction_is_no_reply() -> None:
    """Unknown direction counts as no reply on drops, and as neither on other events."""
    assert matches({"verdict": "DROPPED"}, reply=(False,))
    assert not matches({"verdict": "FORWARDED"}, reply=(False, True))


def test_a_node_without_a_cluster_is_in_the_default_one() -> None:
    """A node name without a cluster stands for one of the cluster `default`."""
    assert matches({"node_name": "k8s1"}, node_name=("default/k8s1",))


SELECTORS = [
    ("app", True),
    ("!app", False),
    ("k8s:app", True),
    ("any:app=web", True),
    ("container:app", False),
    ("app==web", True),
    ("app = web", True),
    ("app!=web", False),
    ("other!=web", True),
    ("app in (web, db)", True),
    ("app notin (web)", False),
    ("other notin (web)", True),
    ("other in (web)", False),
    ("size>5", True),
    ("size<10", False),
    ("app>5", False),
    ("app=web,!canary,tier in (front,back)", True),
    ("example.com/part=x", True),
    ("empty=", True),
    ("empty in (,x)", True),
    ("", True),
]


@pytest.mark.parametrize(("text", "expected"), SELECTORS)
def test_label_selectors(text: str, expected: bool) -> None:
    """Selectors are Kubernetes' own, over labels of any source or the one named."""
    labels = ["k8s:app=web", "k8s:tier=front", "k8s:size=10", "k8s:example.com/part=x", "k8s:empty"]
    assert expected == selector(text)(labels)


@pytest.mark.parametrize(
    "text", ["a=b,", ",", "a b", "=x", "a in ()", "a=b c", "a in (b", "a=-b", "a>x", "!!a"]
)
def test_what_is_no_selector_is_refused(text: str) -> None:
    """A text that Kubernetes would not read is refused, and quoted."""
    with pytest.raises(UsageError, match="is no label selector"):
        selector(text)


PATHS = [
    ("http://api.shop/v1/orders?x=1", "/v1/orders"),
    ("http://api.shop", ""),
    ("http://user:pw@api.shop:80/a%20b", "/a b"),
    ("http://[fd00::1]:80/a", "/a"),
    ("/docs#top", "/docs#top"),
    ("//host/path", "//host/path"),
    ("mailto:x", ""),
    ("*", "*"),
    ("docs", None),
    ("http://api:port/x", None),
    ("/a%zz", None),
    ("/a\nb", None),
    ("", None),
]


@pytest.mark.parametrize(("url", "path"), PATHS)
def test_the_path_of_a_request(url: str, path: str | None) -> None:
    """The path is what Go finds in the URL of a request: unescaped, without query, None where it is none."""
    assert path == request_path(url)


NOW = 1_794_994_200_000_000_000
TIMES = [
    ("5m", NOW - 300 * 10**9),
    ("1h30m", NOW - 5400 * 10**9),
    ("1.5s", NOW - 1_500_000_000),
    ("-10ms", NOW + 10_000_000),
    ("0", NOW),
    ("2026-11-18", 1_794_960_000 * 10**9),
    ("2026-11-18T09Z", 1_794_992_400 * 10**9),
    ("2026-11-18T09:30Z", NOW),
    ("2026-11-18T09:30:00Z", NOW),
    ("2026-11-18T10:30:00.000000001+01:00", NOW + 1),
    ("Wed, 18 Nov 2026 09:30:00 +0000", NOW),
]


@pytest.mark.parametrize(("text", "expected"), TIMES)
def test_points_in_time(text: str, expected: int) -> None:
    """Durations go back from now, dates are absolute, to the nanosecond."""
    assert expected == point_in_time(text, NOW)


@pytest.mark.parametrize(
    "text", ["", "5", "5x", "2026-11-18T09:30:00", "2026-13-01", "2026-11-18T25:00:00Z", "1h 3m"]
)
def test_what_is_no_point_in_time_is_refused(text: str) -> None:
    """A text that is neither a duration nor a date with its zone is refused."""
    with pytest.raises(UsageError, match="is no point in time"):
        point_in_time(text, NOW)


def test_the_window_holds_both_its_ends() -> None:
    """Events at --since and at --until are within; one without a time counts as of 1970."""
    times = ["2026-11-18T09:29:59.999999999Z", "2026-11-18T09:30:00Z", "2026-11-18T09:30:00.000000001Z", None]
    records = [{"flow": {}, "time": at} for at in times]
    assert [matcher(Selection(since=NOW))(record) for record in records] == [False, True, True, False]
    assert [matcher(Selection(until=NOW))(record) for record in records] == [True, True, False, True]


def test_a_window_takes_the_flows_own_time_where_the_record_has_none() -> None:
    """A bare flow has no time around it, and its own counts."""
    assert matcher(Selection(since=NOW))({"flow": {"time": "2026-11-18T09:30:00Z"}})


def test_deny_wins_over_allow() -> None:
    """An event passes where one allow filter matches and no deny filter does."""
    allow = (FlowFilter(verdict=("DROPPED",)), FlowFilter(verdict=("AUDIT",)))
    passes = matcher(Selection(allow, (FlowFilter(protocol=("tcp",)),)))
    assert [
        passes({"flow": flow})
        for flow in ({"verdict": "DROPPED"}, {"verdict": "AUDIT"}, {"verdict": "ERROR"}, FLOW)
    ] == [True, True, False, False]


def test_filters_from_json() -> None:
    """Every kind of field is read, keys in either case, enumerations by name or number, numbers in quotes."""
    text = """{"sourcePod": ["a/"], "verdict": [2, "AUDIT", 77], "source_identity": ["5"], "tcp_flags": [{"SYN": true, "ACK": false}],
      "event_type": [{"type": 4, "match_sub_type": true, "subType": 2}, {"type": 1, "sub_type": 9}],
      "http_header": [{"key": "k"}], "destination_workload": [{"kind": "Job"}], "interface": [{"index": 1}], "reply": [false],
      "ipVersion": ["IPv4"], "experimental": {"cel_expression": ["true"]}, "uuid": null}"""
    expected = FlowFilter(
        source_pod=("a/",),
        verdict=("DROPPED", "AUDIT", 77),
        source_identity=(5,),
        tcp_flags=(frozenset({"SYN"}),),
        event_type=(EventType(4, 2), EventType(1)),
        http_header=(Header("k"),),
        destination_workload=(Workload("", "Job"),),
        interface=(Interface(1),),
        reply=(False,),
        ip_version=("IPv4",),
        cel_expression=("true",),
    )
    assert (expected,) == flow_filters(text)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"uuid":"x"}',
        '{"uuid":[1]}',
        '{"verdict":["X"]}',
        '{"reply":[1]}',
        '{"tcp_flags":[{"X":true}]}',
        "[" * 100_000,
    ],
)
def test_json_that_is_no_filter_is_refused(text: str) -> None:
    """JSON that does not have a FlowFilter's form is refused, and quoted."""
    with pytest.raises(UsageError, match="is no flow filter"):
        flow_filters(text)


def test_a_missing_package_is_told_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the optional CEL package the filter says what to install."""
    monkeypatch.setitem(sys.modules, "celpy", None)
    with pytest.raises(UsageError, match=r"pip install 'flowmine\[cel\]'"):
        predicate(FlowFilter(cel_expression=("true",)))
