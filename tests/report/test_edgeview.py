"""What people call the ends of edges, and what a table of edges leaves together or apart."""

from typing import Any

import pyarrow as pa
import pytest

from flowmine.edges import Edges, settle
from flowmine.edges.observe import partial
from flowmine.labels import CanonicalEndpoint, canonical, endpoint_id
from flowmine.report.edgeview import edge_records, edge_table, wide_edges
from flowmine.schema import EDGES, ENDPOINTS, FLOWS, HOURS, LEDGER, NAMES, PODS, REASONS, REQUESTS, SAMPLES

WEB = canonical(cluster_name="c", namespace="shop", labels=["k8s:app=web"])
API = canonical(cluster_name="c", namespace="shop", labels=["k8s:app=api", "k8s:track=stable"])
CANARY = canonical(cluster_name="c", namespace="shop", labels=["k8s:app=api", "k8s:track=canary"])
FAR = canonical(cluster_name="d", namespace="shop", labels=["k8s:app=web"])
WORLD = canonical(cluster_name="c", labels=["reserved:world"])
STRIPE = canonical(cluster_name="c", labels=["cidr:192.0.2.0/24", "reserved:world"])
API_SERVER = canonical(cluster_name="c", labels=["reserved:kube-apiserver", "reserved:remote-node"])
EMPTY = settle(
    partial(pa.RecordBatch.from_pylist([], schema=FLOWS)),
    ENDPOINTS.empty_table(),
    PODS.empty_table(),
    LEDGER.empty_table(),
)


def endpoint(one: CanonicalEndpoint, workload: str) -> dict[str, Any]:
    """A row of ENDPOINTS."""
    kind, _, name = workload.partition("/")
    return {
        "id": endpoint_id(one),
        "cluster_name": one.cluster_name,
        "namespace": one.namespace,
        "labels": list(one.labels),
        "reserved": list(one.reserved),
        "pod": "",
        "identities": [],
        "workload_kind": kind,
        "workload_name": name,
        "workloads": 1 if name else 0,
        "pods": [],
    }


def edge(
    initiator: CanonicalEndpoint | None, responder: CanonicalEndpoint | None, port: int = 80, **columns: Any
) -> dict[str, Any]:
    """A delivered edge seen once, as a row of EDGES."""
    counts = {field.name: 0 for field in EDGES if field.type == pa.uint64()}
    made = {
        **counts,
        "initiator": endpoint_id(initiator) if initiator else 0,
        "responder": endpoint_id(responder) if responder else 0,
        "protocol": "TCP",
        "port": port,
        "outcome": "delivered",
        "changed": False,
        "delivered": 1,
        "events": 1,
        "first": 1_794_994_200_000_000_000,
        "last": 1_794_994_200_000_000_000,
    }
    return {**made, **columns}


def table(schema: pa.Schema, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as a table of one of the schemas, enumerations over their fixed dictionary."""
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if pa.types.is_dictionary(field.type):
            values = pa.array(values, pa.string()).dictionary_encode().cast(field.type)
        columns.append(values if isinstance(values, pa.Array) else pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def edges(
    rows: list[dict[str, Any]], workloads: dict[CanonicalEndpoint, str], **sides: list[dict[str, Any]]
) -> Edges:
    """Settled edges made by hand."""
    schemas = {"names": NAMES, "hours": HOURS, "reasons": REASONS, "samples": SAMPLES, "requests": REQUESTS}
    made = {name: table(schema, sides.get(name, [])) for name, schema in schemas.items()}
    ends = table(ENDPOINTS, [endpoint(one, workload) for one, workload in workloads.items()])
    return Edges(
        edges=table(EDGES, rows),
        endpoints=ends,
        pods=PODS.empty_table(),
        seen=EMPTY.seen,
        ledger=EMPTY.ledger,
        **made,
    )


def ends_of(found: Edges) -> list[tuple[str, str]]:
    """The first two columns of the table."""
    return [(row[0], row[1]) for row in edge_table(found).rows]


NAMED = {WEB: "Deployment/web", API: "Deployment/api", WORLD: "", STRIPE: "", API_SERVER: ""}


def test_workloads_entities_names_and_addresses() -> None:
    """A pod is called by its workload, an entity by its name, the outside by the domain name asked for, or as world."""
    rows = [
        edge(WEB, API),
        edge(WEB, API_SERVER, responder_ip="172.18.0.2"),
        edge(WEB, STRIPE, 443, responder_ip="192.0.2.9"),
        edge(WORLD, WEB, initiator_ip="198.51.100.1"),
        edge(None, WEB, initiator_ip="198.51.100.2"),
        edge(WEB, None),
    ]
    asked = [
        {"subject": endpoint_id(WEB), "ip": "192.0.2.9", "name": name, "source": "dns"}
        for name in ("b.example", "a.example")
    ]
    other = [{"subject": endpoint_id(API), "ip": "198.51.100.1", "name": "not.asked.by.web", "source": "dns"}]
    assert ends_of(edges(rows, NAMED, names=asked + other)) == [
        ("shop/web", "a.example (+1) 192.0.2.9"),
        ("shop/web", "kube-apiserver 172.18.0.2"),
        ("shop/web", "shop/api"),
        ("shop/web", "unknown"),
        ("unknown 198.51.100.2", "shop/web"),
        ("world 198.51.100.1", "shop/web"),
    ]


def test_clusters_are_told_apart_where_there_are_several() -> None:
    """With pods of two clusters each is called with its own."""
    assert ends_of(edges([edge(WEB, FAR)], {WEB: "Deployment/web", FAR: "Deployment/web"})) == [
        ("c:shop/web", "d:shop/web")
    ]


def test_endpoints_of_one_name_are_told_apart_by_labels() -> None:
    """Pods of one workload with different labels are shown with what differs."""
    found = edges(
        [edge(WEB, API), edge(WEB, CANARY)],
        {WEB: "Deployment/web", API: "Deployment/api", CANARY: "Deployment/api"},
    )
    assert ends_of(found) == [
        ("shop/web", "shop/api {track=canary}"),
        ("shop/web", "shop/api {track=stable}"),
    ]


def test_addresses_of_one_place_are_one_row_that_counts() -> None:
    """The nameless world is one row a port and outcome, with sums; JSON keeps every edge."""
    rows = [
        edge(WORLD, WEB, initiator_ip="198.51.100.1", events=2, delivered=2),
        edge(WORLD, WEB, initiator_ip="198.51.100.2", last=1_794_994_260_000_000_000),
        edge(
            WORLD,
            WEB,
            initiator_ip="198.51.100.3",
            outcome="dropped",
            delivered=0,
            dropped_ingress=3,
            events=3,
        ),
        edge(WORLD, WEB, 443, initiator_ip="198.51.100.1"),
    ]
    found = edges(rows, NAMED)
    assert [row[:7] + row[8:] for row in edge_table(found).rows] == [
        ("world (2 addresses)", "shop/web", "TCP/80", "delivered", "3", "3", "0", "2026-11-18 09:31:00"),
        ("world 198.51.100.3", "shop/web", "TCP/80", "dropped", "3", "0", "3", "2026-11-18 09:30:00"),
        ("world 198.51.100.1", "shop/web", "TCP/443", "delivered", "1", "1", "0", "2026-11-18 09:30:00"),
    ]
    assert len(list(edge_records(found))) == 4


def test_the_most_frequent_reasons_come_first() -> None:
    """Two reasons are told, by how often they were given, and how many more there are."""
    given = [("POLICY_DENIED", 1), ("POLICY_DENY", 9), ("TTL_EXCEEDED", 1), ("POLICY_DENIED", 5)]
    reasons = [
        {"edge": 0, "side": "egress", "drop_reason": reason, "count": count} for reason, count in given
    ]
    (row,) = edge_table(edges([edge(WEB, API, outcome="dropped", changed=True)], NAMED, reasons=reasons)).rows
    assert (row[3], row[7]) == ("dropped (changed)", "POLICY_DENY egress, POLICY_DENIED egress, 1 more")


def test_wide_columns_follow_the_edges_order() -> None:
    """Each end's columns stand in the row of its edge, null where nothing is known of it."""
    wide = wide_edges(edges([edge(WEB, API), edge(None, WEB)], NAMED))
    assert wide.column("initiator_workload_name").to_pylist() == ["web", None]
    assert wide.column("responder_labels").to_pylist() == [list(API.labels), list(WEB.labels)]


@pytest.mark.parametrize(
    ("protocol", "port", "expected"),
    [("ICMPv4", 8, "ICMPv4/8"), (None, None, "unknown"), ("VRRP", None, "VRRP")],
)
def test_where_a_connection_goes(protocol: str | None, port: int | None, expected: str) -> None:
    """Protocol and port or ICMP type, whichever are known."""
    (row,) = edge_table(edges([edge(WEB, API, port, protocol=protocol)], NAMED)).rows  # type: ignore[arg-type]
    assert row[2] == expected
