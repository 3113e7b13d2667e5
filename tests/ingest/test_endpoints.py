"""Endpoints: one id for one endpoint, whichever event shows it, and everything told of it joined."""

from typing import Any

import msgspec
import pyarrow as pa
import pytest

from flowmine.errors import InputError
from flowmine.ingest import intern
from flowmine.ingest.intern import Endpoints
from flowmine.labels import UNKNOWN_ID
from flowmine.schema import ENDPOINTS, PODS, check
from tests.ingest.making import CLIENT, SERVER, WORLD, lines, opened, read, record


def _pair(
    source: dict[str, Any], destination: dict[str, Any], node: str = "default/node-1"
) -> dict[str, Any]:
    return record(source=source, destination=destination, uuid=None, node_name=node)


def _without(endpoint: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in endpoint.items() if key not in names}


def test_one_pod_has_one_id_in_its_own_and_in_other_nodes_events() -> None:
    """With or without ID, workloads, cluster_name: the same labels are the same endpoint."""
    forms = [
        CLIENT,
        _without(CLIENT, "ID", "workloads"),
        _without(CLIENT, "cluster_name"),
        _without(CLIENT, "identity"),
        {**CLIENT, "labels": CLIENT["labels"][::-1]},
        {**CLIENT, "cluster_name": "wrong; the label wins"},
    ]
    source = opened(lines(*(_pair(form, SERVER) for form in forms)))
    assert 1 == len(set(read(source)["source"].to_pylist()))
    (found,) = [one for one in source.endpoints.to_pylist() if one["namespace"] == "shop"]
    assert ([25001], "Deployment", "web", 1, ["web-7d9c8b6f5d-x2x7k"]) == (
        found["identities"],
        found["workload_kind"],
        found["workload_name"],
        found["workloads"],
        found["pods"],
    )


def test_without_a_label_the_cluster_is_cluster_name_or_that_of_the_emitting_node() -> None:
    """1.14 without cluster_name and 1.19 with it give one id where the node's name tells the cluster."""
    bare = {"namespace": "shop", "labels": ["k8s:app=web"], "pod_name": "web-1"}
    source = opened(
        lines(
            _pair({**bare, "cluster_name": "prod"}, WORLD, "prod/node-1"),
            _pair(bare, WORLD, "prod/node-2"),
            _pair(bare, WORLD, "test/node-1"),
            _pair(bare, WORLD, "node-without-cluster"),
        )
    )
    ids = read(source)["source"].to_pylist()
    clusters = {one["id"]: one["cluster_name"] for one in source.endpoints.to_pylist()}
    assert ["prod", "prod", "test", ""] == [clusters[one] for one in ids]


def test_places_of_two_clusters_stay_apart() -> None:
    """host and world of one cluster are not those of another."""
    host = {"identity": 1, "labels": ["reserved:host"]}
    source = opened(lines(_pair(host, WORLD, "a/n"), _pair(host, WORLD, "b/n")))
    table = read(source)
    assert (2, 2) == (len(set(table["source"].to_pylist())), len(set(table["destination"].to_pylist())))


@pytest.mark.parametrize(
    ("endpoint", "labels", "reserved", "pod"),
    [
        ({"identity": 2}, ["reserved:world"], ["world"], ""),
        ({"identity": "2"}, ["reserved:world"], ["world"], ""),
        (
            {"identity": 16777217, "labels": ["reserved:kube-apiserver", "reserved:world"]},
            ["reserved:kube-apiserver", "reserved:world"],
            ["kube-apiserver", "world"],
            "",
        ),
        ({"namespace": "a", "pod_name": "p-0"}, [], [], "p-0"),
        ({"namespace": "a", "podName": "p-0", "clusterName": "default"}, [], [], "p-0"),
        (
            {"namespace": "a", "pod_name": "p-0", "identity": 6, "labels": ["reserved:remote-node"]},
            ["reserved:remote-node"],
            ["remote-node"],
            "",
        ),
        (
            {"namespace": "a", "pod_name": "p-0", "identity": 5, "labels": ["reserved:init"]},
            ["reserved:init"],
            ["init"],
            "p-0",
        ),
    ],
)
def test_reserved_and_masked_endpoints(
    endpoint: dict[str, Any], labels: list[str], reserved: list[str], pod: str
) -> None:
    """Identities below 256 stand for their label; a pod without labels is told by its name; identity beats name."""
    source = opened(lines(_pair(endpoint, {})))
    assert [UNKNOWN_ID] == read(source)["destination"].to_pylist()
    (found,) = source.endpoints.to_pylist()
    assert (labels, reserved, pod) == (found["labels"], found["reserved"], found["pod"])


@pytest.mark.parametrize("endpoint", [None, {}, {"identity": 0}, {"identity": 40000}, "text", 5, [1], None])
def test_an_end_of_which_nothing_is_told_is_unknown(endpoint: Any) -> None:
    """Absent, empty, null, of a wrong type, or an identity alone, which is reused: id 0, and no row."""
    source = opened(lines(_pair(endpoint, endpoint), {"flow": {"verdict": "FORWARDED", "source": None}}))
    assert {UNKNOWN_ID} == set(read(source)["source"].to_pylist())
    assert 0 == source.endpoints.num_rows


def test_pods_are_told_with_whether_they_were_seen_at_their_own_node() -> None:
    """A pod is local once an event carried its endpoint number; its workload is known from such events only."""
    source = opened(lines(_pair(CLIENT, SERVER), _pair(_without(CLIENT, "ID", "workloads"), SERVER)))
    read(source)
    check(source.pods, PODS, "pods")
    check(source.endpoints, ENDPOINTS, "endpoints")
    found = {
        (one["namespace"], one["pod_name"]): (one["local"], one["workload"])
        for one in source.pods.to_pylist()
    }
    assert {
        ("db", "pg-0"): (False, ""),
        ("shop", "web-7d9c8b6f5d-x2x7k"): (True, "Deployment/web"),
    } == found


def test_the_few_kept_do_not_depend_on_the_order() -> None:
    """Of many pods and identities the smallest few are kept, whatever came first; all are in PODS."""
    events = [
        _pair({**CLIENT, "pod_name": f"web-{number:02}", "identity": 1000 + number}, SERVER)
        for number in range(30)
    ]
    tables = []
    for order in (events, events[::-1], events[1::2] + events[::2]):
        source = opened(lines(*order))
        read(source)
        tables.append((source.endpoints, source.pods))
    assert tables[0] == tables[1] == tables[2]
    assert 31 == tables[0][1].num_rows
    found = next(one for one in tables[0][0].to_pylist() if one["namespace"] == "shop")
    assert [f"web-{number:02}" for number in range(8)] == found["pods"]


def test_two_endpoints_with_one_id_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collision of the 64-bit hash is never merged silently."""
    monkeypatch.setattr(intern, "endpoint_id", lambda _: 42)
    with pytest.raises(InputError, match="same 64-bit id 0x2a"):
        read(opened(lines(_pair(CLIENT, SERVER))))


def test_the_cache_of_raw_forms_is_bounded_and_forgets_nothing_of_the_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the cache is emptied, ids and rows stay the same."""
    forms = [
        msgspec.Raw(
            msgspec.json.encode({**CLIENT, "pod_name": f"web-{number}", "labels": [f"k8s:app={number}"]})
        )
        for number in range(200)
    ]

    def ids(endpoints: Endpoints, raws: list[msgspec.Raw]) -> list[int]:
        endpoints.make_room()
        numbers = endpoints.numbers(raws)
        found: list[int] = endpoints.ids(numbers, lambda rows: pa.array(["default/n"] * len(rows)))[
            0
        ].tolist()
        return found

    plain, small = Endpoints(), Endpoints()
    first = [ids(plain, forms[at : at + 50]) for at in range(0, 200, 50)]
    monkeypatch.setattr(intern, "_CACHE_BYTES", 10_000)
    for _ in range(2):
        assert first == [ids(small, forms[at : at + 50]) for at in range(0, 200, 50)]
    assert plain.table() == small.table()
    assert plain.pods() == small.pods()
