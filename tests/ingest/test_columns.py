"""What each column of FLOWS holds."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flowmine.errors import UsageError
from flowmine.schema import FLOWS, check
from tests.ingest.making import CLIENT, SERVER, WORLD, lines, opened, read, record, row, rows


def test_a_plain_flow_fills_every_column_as_the_schema_says() -> None:
    """One flow of 1.19 gives one row with its fields under Hubble's names."""
    source = opened(lines(record(7)))
    table = read(source)
    check(table, FLOWS, "flows")
    (found,) = table.to_pylist()
    ids = {one["pods"][0]: one["id"] for one in source.endpoints.to_pylist()}
    assert {key: value for key, value in found.items() if value is not None and key != "time"} == {
        "uuid": "00000007-2a9a-504f-8861-aeafd0b2ae29",
        "node_name": "default/node-1",
        "verdict": "FORWARDED",
        "Type": "L3_L4",
        "event_type": 4,
        "event_sub_type": 3,
        "trace_observation_point": "TO_STACK",
        "trace_reason": "NEW",
        "traffic_direction": "EGRESS",
        "is_reply": False,
        "source": ids["web-7d9c8b6f5d-x2x7k"],
        "destination": ids["pg-0"],
        "source_local": True,
        "destination_local": False,
        "source_pod": "web-7d9c8b6f5d-x2x7k",
        "destination_pod": "pg-0",
        "source_identity": CLIENT["identity"],
        "destination_identity": SERVER["identity"],
        "source_ip": "10.244.1.21",
        "destination_ip": "10.244.2.9",
        "protocol": "TCP",
        "source_port": 40007,
        "destination_port": 5432,
        "tcp_flags": 2,
        "sock_xlate_point": "SOCK_XLATE_POINT_UNKNOWN",
        "ingress_count": 0,
        "egress_count": 1,
        "unknown_count": 0,
    }
    assert table["time"].cast("int64").to_pylist() == [
        int(datetime(2026, 11, 18, 9, 30, tzinfo=UTC).timestamp()) * 10**9 + 70_456_789
    ]


@pytest.mark.parametrize(
    ("changes", "column", "expected"),
    [
        ({"is_reply": None}, "is_reply", None),
        ({"is_reply": None, "reply": True}, "is_reply", True),
        ({"is_reply": None, "reply": False}, "is_reply", None),
        ({"is_reply": False, "reply": True}, "is_reply", False),
        ({"verdict": "DROPPED", "drop_reason": 133}, "drop_reason_desc", "POLICY_DENIED"),
        ({"drop_reason": 181, "drop_reason_desc": "POLICY_DENY"}, "drop_reason_desc", "POLICY_DENY"),
        ({"drop_reason_desc": "SOMETHING_NEW"}, "drop_reason_desc", "SOMETHING_NEW"),
        ({"drop_reason_desc": 133}, "drop_reason_desc", "POLICY_DENIED"),
        ({"drop_reason": 250}, "drop_reason_desc", "DROP_REASON_250"),
        ({"drop_reason_desc": "DROP_REASON_UNKNOWN"}, "drop_reason_desc", None),
        ({"verdict": 2}, "verdict", "DROPPED"),
        ({"verdict": "2"}, "verdict", "DROPPED"),
        ({"verdict": "ALLOWED"}, "verdict", "FORWARDED"),
        ({"verdict": "denied"}, "verdict", "DROPPED"),
        ({"verdict": None}, "verdict", "VERDICT_UNKNOWN"),
        ({"trace_observation_point": 101}, "trace_observation_point", "TO_ENDPOINT"),
        ({"trace_observation_point": None}, "trace_observation_point", "TO_STACK"),
        ({"trace_observation_point": None, "event_type": {"type": 4}}, "trace_observation_point", "UNKNOWN_POINT"),
        ({"traffic_direction": 1}, "traffic_direction", "INGRESS"),
        ({"event_type": {"type": 4}}, "event_sub_type", 0),
        ({"event_type": None}, "event_type", None),
        ({"event_type": None}, "event_sub_type", None),
        ({"auth_type": "SPIRE"}, "auth_type", "SPIRE"),
        ({"l4": None}, "protocol", None),
        ({"l4": {"ICMPv4": {"type": 8}}}, "icmp_type", 8),
        ({"l4": {"ICMPv4": {}}}, "icmp_type", 0),
        ({"l4": {"ICMPv4": {"type": 3, "code": 4}}}, "icmp_code", 4),
        ({"l4": {"ICMPv4": {"type": 8}}}, "source_port", None),
        ({"l4": {"ICMPv6": {"type": 128}}}, "protocol", "ICMPv6"),
        ({"l4": {"SCTP": {"source_port": 1, "destination_port": 9}}}, "destination_port", 9),
        ({"l4": {"VRRP": {"type": 1, "vrid": 51}}}, "protocol", "VRRP"),
        ({"l4": {"VRRP": {"type": 1, "vrid": 51}}}, "icmp_type", None),
        ({"l4": {"IGMP": {"type": 22}}}, "protocol", "IGMP"),
        ({"l4": {"UDP": {"destination_port": 53}}}, "source_port", None),
        ({"l4": {"UDP": {"destination_port": 53}}}, "tcp_flags", None),
        ({"l4": {"tcp": {"source_port": 1, "destination_port": 80}}}, "protocol", "TCP"),
        ({"l4": {"TCP": {"destination_port": "8080"}}}, "destination_port", 8080),
        ({"l4": {"TCP": {"destination_port": 80, "flags": {"NS": True, "FIN": True}}}}, "tcp_flags", 257),
        ({"ip": {"source": "10.0.0.1"}, "IP": None}, "source_ip", "10.0.0.1"),
        ({"IP": {"source": "10.0.0.1", "source_xlated": "10.96.0.1"}}, "source_xlated", "10.96.0.1"),
        ({"IP": {"source": "10.0.0.1", "destination": "10.0.0.2", "ipVersion": 4}}, "source_ip", "10.0.0.1"),
        ({"destination_names": ["a.example", "b.example"]}, "destination_names", ["a.example", "b.example"]),
        ({"destination_service": {"name": "api", "namespace": "shop"}}, "destination_service", "shop/api"),
        ({"node_labels": ["zone=a", "os=linux"]}, "node_labels", ["zone=a", "os=linux"]),
        ({"sock_xlate_point": 2}, "sock_xlate_point", "SOCK_XLATE_POINT_POST_DIRECTION_FWD"),
        (
            {
                "egress_denied_by": [
                    {"name": "b", "namespace": "shop", "kind": "CiliumNetworkPolicy", "revision": "4"},
                    {"name": "a", "kind": "CiliumClusterwideNetworkPolicy", "revision": "18446744073709551615"},
                ]
            },
            "egress_denied_by",
            ["CiliumClusterwideNetworkPolicy//a", "CiliumNetworkPolicy/shop/b"],
        ),
        ({"aggregate": {"ingress_flow_count": 17, "egress_flow_count": 3}}, "ingress_count", 17),
        ({"aggregate": {"ingress_flow_count": 17, "egress_flow_count": 3}}, "egress_count", 3),
        ({"aggregate": {}}, "egress_count", 1),
        ({"traffic_direction": None}, "unknown_count", 1),
        ({"Type": None, "l7": {"type": "REQUEST", "dns": {"query": "a."}}}, "Type", "L7"),
    ],
)  # fmt: skip
def test_a_field_in_any_spelling_fills_its_column(
    changes: dict[str, Any], column: str, expected: object
) -> None:
    """Absent, deprecated, numbered, quoted and hand-made fields mean what Hubble means by them."""
    assert expected == row(**changes)[column]


@pytest.mark.parametrize(
    ("url", "path", "host"),
    [
        ("http://user:HUBBLE_REDACTED@api.shop:8080/v1/items/42", "/v1/items/42", "api.shop:8080"),
        ("http://api.shop/v1/orders?id=4&k=secret", "/v1/orders?", "api.shop"),
        ("//api.shop:443", None, "api.shop:443"),
        ("http://api.shop", "/", "api.shop"),
        ("/api/v1/orders?id=42", "/api/v1/orders?", None),
        ("/a#fragment", "/a", None),
        ("*", "*", None),
    ],
)
def test_a_url_gives_path_and_authority_and_no_secret(url: str, path: str | None, host: str | None) -> None:
    """Of a URL the path, whether it had a query, and the authority without user are kept."""
    found = row(Type="L7", l7={"type": "REQUEST", "http": {"method": "GET", "url": url}})
    assert (path or "", host) == (found["http_path"] or "", found["http_host"])


def test_keep_query_keeps_the_query() -> None:
    """With keep_query the query stays in the path."""
    data = lines(record(l7={"http": {"url": "/a?b=c#d"}}))
    assert ["/a?b=c"] == [one["http_path"] for one in rows(data, keep_query=True)]


def test_dns_names_are_lower_case_without_the_last_dot() -> None:
    """A DNS answer gives the name asked for, its addresses and the response code."""
    dns = {"query": "API.Stripe.com.", "ips": ["198.51.100.7"], "rcode": "NXDOMAIN", "ttl": 5}
    found = row(Type="L7", l7={"type": "RESPONSE", "dns": dns})
    expected = ("RESPONSE", "api.stripe.com", ["198.51.100.7"], 3)
    assert expected == (found["l7_type"], found["dns_query"], found["dns_ips"], found["dns_rcode"])


@pytest.mark.parametrize(
    ("source", "destination", "expected"),
    [
        (CLIENT, SERVER, (True, False)),
        (SERVER, CLIENT, (False, True)),
        ({**CLIENT, "ID": None}, SERVER, (None, None)),
        ({"identity": 1, "labels": ["reserved:host"]}, CLIENT, (True, True)),
        ({"identity": 1, "labels": ["reserved:host"]}, SERVER, (True, None)),
        (CLIENT, WORLD, (True, False)),
        (WORLD, SERVER, (False, None)),
        ({"identity": 6, "labels": ["reserved:remote-node"]}, SERVER, (False, None)),
        ({}, {}, (None, None)),
    ],
)
def test_an_end_is_local_where_the_event_says_so(
    source: dict[str, Any], destination: dict[str, Any], expected: tuple[bool | None, bool | None]
) -> None:
    """An endpoint number or the host's identity is local, a place elsewhere is not, a masked number is unknown."""
    found = row(source=source, destination=destination)
    assert expected == (found["source_local"], found["destination_local"])


def test_only_the_columns_asked_for_are_made_in_the_schemas_order() -> None:
    """A projection holds just its columns, and the same values as the whole."""
    data = lines(*(record(number) for number in range(5)))
    whole = read(opened(data))
    for names in (
        ["verdict"],
        ["destination", "time", "source_port"],
        ["ingress_count", "Type", "dns_query"],
    ):
        part = read(opened(data, columns=names))
        assert sorted(names) == sorted(part.schema.names)
        assert part == whole.select(part.schema.names)


def test_a_column_that_does_not_exist_is_an_error() -> None:
    """The name of an unknown column is told."""
    with pytest.raises(UsageError, match="no such column of FLOWS: colour"):
        opened(b"", columns=["colour"])


def test_batches_hold_at_most_the_rows_asked_for_and_the_same_rows_at_any_size() -> None:
    """The batch size changes how rows are grouped and nothing else."""
    data = lines(*(record(number) for number in range(25)))
    whole = read(opened(data))
    for size in (1, 2, 7, 25, 100):
        source = opened(data, batch_rows=size)
        batches = list(source.batches())
        assert all(0 < batch.num_rows <= size for batch in batches)
        assert whole == type(whole).from_batches(batches, source.schema)
