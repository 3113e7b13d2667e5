"""The traffic generator: its events mean what real ones do, and its captures are reproducible."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests.cluster import (
    Capture,
    Cluster,
    Deny,
    Deployed,
    Link,
    Outside,
    Scan,
    Service,
    Workload,
    clusters,
    denying,
    events,
    large_cluster,
    lines,
    random_cluster,
    replay,
    truth,
    write,
)
from tests.cluster.parts import coredns, lookup_rule, users
from tests.cluster.systems import SYSTEMS

SHARED = Path(__file__).parents[2] / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the reference data in ../shared")

DENIALS = denying(
    Deny(src="k8s:app=web", dst="reserved:world", side="egress", port=443, rule=True),
    Deny(src="k8s:app=scanner", dst="k8s:app=db"),
)


def small(**changes: Any) -> Cluster:
    """Return a cluster with one of everything that policies=() can show."""
    cluster = Cluster(
        workloads=(
            Workload("shop", "web", probe=8080),
            Workload("shop", "db", "StatefulSet", 2, noise=True),
            Workload("shop", "nightly", "CronJob", 2),
            Workload("ops", "scanner", replicas=1),
            coredns(),
        ),
        outside=(
            users(30),
            Outside("saas", ("192.0.2.10",), "api.saas.example", cname="edge.cdn.example"),
            Outside("media", ("192.0.2.77",)),
        ),
        services=(Service("db", "shop/db", {80: 5432}), Service("kube-dns", "kube-system/coredns", {53: 53})),
        links=(
            Link("world:user", "shop/web", 8080, http=(("GET", "/item/{int}"),)),
            Link("shop/web", "shop/db", 5432),
            Link("shop/nightly", "shop/db", 5432),
            Link("shop/web", "world:saas", 443),
            Link("shop/web", "shop/db", 3868, "SCTP"),
            Link("shop/web", "shop/db", proto="ICMP", icmp=8),
            Link("world:media", "shop/web", (20000, 20010), "UDP"),
            Link("shop/web", "entity:kube-apiserver", 6443),
            Link("entity:remote-node", "shop/web", 9100),
        ),
        scans=(Scan("ops/scanner", 30), Scan("ops/scanner", 10, proto="UDP")),
        visible=frozenset({"dns", "http"}),
    )
    return replace(cluster, **changes)


def flows(
    cluster: Cluster, count: int = 800, capture: Capture | None = None, **more: Any
) -> list[dict[str, Any]]:
    """Return the flows of a capture, without what lies between them."""
    return [e["flow"] for e in events(cluster, count, capture, **more) if "flow" in e]


def ports(flow: dict[str, Any]) -> tuple[int, int]:
    """Return the source and destination port, 0 for none."""
    body = next(iter(flow["l4"].values()))
    return body.get("source_port", 0), body.get("destination_port", 0)


def traces(found: list[dict[str, Any]], point: str) -> list[dict[str, Any]]:
    """Return the trace events of one observation point that know their connection."""
    return [f for f in found if f.get("trace_observation_point") == point and "is_reply" in f]


def test_same_seed_gives_the_same_bytes() -> None:
    """A cluster recorded twice gives the same lines, and another seed gives others."""
    first = list(lines(small()))
    assert first == list(lines(small()))
    assert first != list(lines(small(seed=2)))


def test_events_come_in_order_of_time() -> None:
    """A capture is in order of time unless it is asked to be shuffled, which changes nothing else."""
    plain = list(lines(small()))
    times = [json.loads(line)["time"] for line in plain]
    assert sorted(times) == times
    shuffled = list(lines(small(), capture=Capture(shuffled=True)))
    assert shuffled != plain
    assert sorted(shuffled) == sorted(plain)


def test_only_the_local_end_has_an_id_and_workloads() -> None:
    """`ID` and `workloads` appear on an end exactly where the emitting node is its own."""
    cluster = small()
    home = {pod.pod: pod.node for pod in Deployed(cluster).every_pod()}
    for flow in flows(cluster):
        node = flow["node_name"].rpartition("/")[2]
        for end in (flow["source"], flow["destination"]):
            if "pod_name" in end:
                assert (home[end["pod_name"]] == node) == ("ID" in end) == ("workloads" in end)


@pytest.mark.parametrize(("version", "direction"), [("1.14", "INGRESS"), ("1.19", "EGRESS")])
def test_direction_of_a_forward_to_endpoint_depends_on_the_version(version: str, direction: str) -> None:
    """A forward TO_ENDPOINT says INGRESS in 1.14 and EGRESS since 1.15; replies say the connection's."""
    found = traces(flows(small(), capture=Capture(version=version)), "TO_ENDPOINT")
    forward = [f for f in found if not f["is_reply"] and f["l4"].get("ICMPv4", {}).get("type") != 3]
    assert {direction} == {f["traffic_direction"] for f in forward}
    assert {f["traffic_direction"] for f in found if f["is_reply"]} == {"EGRESS"}


def test_old_hubble_lacks_what_came_later() -> None:
    """A 1.14 capture has no uuid, emitter, trace reason, node labels, cluster name or policy names."""
    later = {"uuid", "emitter", "trace_reason", "node_labels", "egress_allowed_by", "egress_denied_by"}
    found = flows(small(), capture=Capture(version="1.14"), judge=DENIALS)
    assert set() == {name for flow in found for name in flow} & later
    assert not any("cluster_name" in flow[end] for flow in found for end in ("source", "destination"))


def test_remote_connections_are_seen_at_both_nodes_and_local_ones_once() -> None:
    """Between nodes a SYN leaves by the overlay and arrives at the endpoint; on one node it only arrives."""
    found = [f for f in flows(small()) if "SYN" in json.dumps(f["l4"]) and "workloads" in json.dumps(f)]
    points: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    nodes: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for f in found:
        if f.get("is_reply") is False and {"pod_name"} <= set(f["source"]) & set(f["destination"]):
            key = (f["source"]["pod_name"], f["destination"]["pod_name"], ports(f))
            points[key].add(f["trace_observation_point"])
            nodes[key].add(f["node_name"])
    assert any(len(n) == 1 for n in nodes.values())
    assert {frozenset({"TO_OVERLAY", "TO_ENDPOINT"})} == {
        frozenset(points[k] | {"TO_OVERLAY"}) for k, n in nodes.items() if len(n) == 2
    }
    assert {frozenset({"TO_ENDPOINT"})} == {frozenset(points[k]) for k, n in nodes.items() if len(n) == 1}


def test_names_come_only_after_an_answer() -> None:
    """`destination_names` of a pod's flow name only what an earlier answer told that very pod."""
    told: set[tuple[str, str, str]] = set()
    named = 0
    for flow in flows(small()):
        dns = flow.get("l7", {}).get("dns", {})
        for ip in dns.get("ips", ()):
            told.add((flow["destination"]["pod_name"], ip, dns["query"].rstrip(".")))
        for name in flow.get("destination_names", ()):
            named += 1
            assert (flow["source"]["pod_name"], flow["IP"]["destination"], name) in told
    assert named > 5
    assert {name for _, _, name in told} >= {"api.saas.example", "db.shop.svc.cluster.local"}


def test_services_show_in_socket_events_or_in_translated_replies() -> None:
    """With socket LB packets carry the pod's port; without it replies carry the Service's, and `source_xlated`."""
    socket, packet = (flows(small(lb=lb), capture=Capture(from_endpoint=True)) for lb in ("socket", "packet"))
    assert {"TRACED", "TRANSLATED"} == {f["verdict"] for f in socket if f["Type"] == "SOCK"}
    assert not any("source_xlated" in f["IP"] for f in socket)
    back = [f for f in packet if "source_xlated" in f["IP"] and "TCP" in f["l4"]]
    assert {80} == {ports(f)[0] for f in back}
    assert all(f["IP"]["source_xlated"].startswith("10.96.") and f["is_reply"] for f in back)
    asked = [f for f in packet if "destination_service" in f]
    assert {"FROM_ENDPOINT"} == {f["trace_observation_point"] for f in asked}
    assert not any(f["Type"] == "SOCK" for f in packet)


def test_a_refusal_ends_the_connection_on_the_side_that_refuses() -> None:
    """An egress refusal shows nothing at the destination, an ingress one a forwarded SYN at the source; no replies."""
    dropped: dict[tuple[Any, ...], str] = {}
    found = flows(small(), 1500, judge=DENIALS)
    for f in found:
        if f.get("drop_reason_desc", "").startswith("POLICY"):
            dropped[(f["IP"]["source"], f["IP"]["destination"], ports(f))] = f["traffic_direction"]
    assert {"EGRESS", "INGRESS"} == set(dropped.values())
    seen = Counter[str]()
    for f in found:
        if f["Type"] != "L3_L4" or f["verdict"] == "DROPPED":
            continue
        side = dropped.get((f["IP"]["source"], f["IP"]["destination"], ports(f)))
        assert (f["IP"]["destination"], f["IP"]["source"], ports(f)[::-1]) not in dropped
        if side:
            seen[side] += 1
            assert side == "INGRESS"
            assert f["trace_observation_point"] == "TO_OVERLAY"
    assert seen["INGRESS"] > 0


def test_deny_rules_are_named_and_default_deny_is_not() -> None:
    """POLICY_DENY comes with its match type on the verdict event; POLICY_DENIED names nothing."""
    found = [f for f in flows(small(), 1500, judge=DENIALS) if f["verdict"] == "DROPPED"]
    reasons = {
        f["drop_reason_desc"]: f["drop_reason"] for f in found if f["drop_reason_desc"].startswith("POLICY")
    }
    assert reasons == {"POLICY_DENIED": 133, "POLICY_DENY": 181}
    assert {1, 5} == {f["event_type"]["type"] for f in found}
    assert not any("is_reply" in f for f in found)
    verdicts = [f for f in found if f["event_type"]["type"] == 5]
    assert {"POLICY_DENY"} == {f["drop_reason_desc"] for f in verdicts if "policy_match_type" in f}


def test_audit_mode_denies_nothing() -> None:
    """Under audit the would-be denial is told by a verdict event and the connection goes on."""
    found = flows(small(), 1500, Capture(audit=True), judge=DENIALS)
    assert not any(f.get("drop_reason_desc", "").startswith("POLICY") for f in found)
    audited = [f for f in found if f["verdict"] == "AUDIT"]
    assert {"EGRESS", "INGRESS"} == {f["traffic_direction"] for f in audited}
    replied = {(f["IP"]["destination"], ports(f)[1]) for f in found if f.get("is_reply")}
    assert all((f["IP"]["source"], ports(f)[0]) in replied for f in audited if "TCP" in f["l4"])


def test_scans_find_closed_ports_when_nothing_stops_them() -> None:
    """A probe of a closed TCP port is reset, of a closed UDP port answered by an ICMP error marked RELATED."""
    found = flows(small())
    resets = [f for f in found if "RST" in json.dumps(f["l4"])]
    assert resets and all(f["is_reply"] for f in resets)
    errors = [f for f in found if f["l4"].get("ICMPv4", {}).get("type") == 3]
    assert {("RELATED", False)} == {(f["trace_reason"], f["is_reply"]) for f in errors if "trace_reason" in f}


def test_cron_runs_and_noise_labels_make_several_identities() -> None:
    """Each run of a CronJob and each noisy StatefulSet pod has an identity of its own, as their labels differ."""
    keys = [i["key"] for i in truth(small())["identities"]]
    assert sum(key.startswith("shop/nightly/") for key in keys) == 2
    assert [key for key in keys if key.startswith("shop/db")] == ["shop/db/db-0", "shop/db/db-1"]
    assert "shop/web" in keys


def test_a_later_day_has_new_pods_and_the_same_links() -> None:
    """Another day renames pods, runs and identities, and what is intended between workloads stays."""
    days = [truth(small(), day) for day in (0, 1)]
    runs = [{i["key"] for i in t["identities"] if "nightly" in i["key"]} for t in days]
    assert set() == runs[0] & runs[1]

    def meant(t: dict[str, Any]) -> set[tuple[Any, ...]]:
        def base(key: str) -> str:
            return "/".join(key.split("/")[:2])

        return {
            (base(e["src"]), base(e["dst"]), e["proto"], str(e.get("port", e.get("icmp"))))
            for e in t["edges"]
        }

    assert meant(days[0]) == meant(days[1])
    first, second = (
        {f["source"].get("pod_name") for f in flows(small(), capture=Capture(day=d))} for d in (0, 1)
    )
    assert not {p for p in first & second if p and p.startswith("web-")}


def test_every_intended_edge_is_in_the_capture() -> None:
    """Whatever the truth calls an edge, the smallest capture shows, from the address it names."""
    cluster = small()
    pods = {pod.pod: pod.key for pod in Deployed(cluster).every_pod()}
    outside = {ip: f"world:{o.name}" for o in cluster.outside for ip in o.ips}

    def key(flow: dict[str, Any], end: str) -> str:
        shown = flow[end]
        special = [x for x in shown["labels"] if x.startswith("reserved:")]
        kinds = {"reserved:host": "entity:host", "reserved:kube-apiserver": "entity:kube-apiserver"}
        kinds["reserved:remote-node"] = "entity:remote-node"
        named = next((kinds[x] for x in special if x in kinds), "")
        return pods.get(shown.get("pod_name", ""), "") or named or outside.get(flow["IP"][end], "")

    seen = set()
    for f in flows(cluster, 0):
        if f["Type"] == "L3_L4" and f.get("is_reply") is False:
            proto, body = next(iter(f["l4"].items()))
            port = body.get("type") if proto.startswith("ICMP") else body.get("destination_port")
            seen.add((key(f, "source"), key(f, "destination"), proto.replace("v4", ""), port))
    for edge in truth(cluster)["edges"]:
        port = edge.get("port", edge.get("icmp"))
        for each in port if isinstance(port, list) else [port]:
            assert (edge["src"], edge["dst"], edge["proto"], each) in seen


def test_a_missing_node_and_a_namespace_leave_what_they_should() -> None:
    """A capture without a node has none of its events; `-n` keeps flows with an end in the namespace."""
    without = list(events(small(), capture=Capture(without_nodes=("node-1",))))
    assert not any(e["node_name"].endswith("node-1") for e in without)
    statuses = {e["node_status"]["state_change"] for e in without if "node_status" in e}
    assert statuses == {"NODE_CONNECTED", "NODE_UNAVAILABLE"}
    mine = flows(small(), capture=Capture(namespace="ops"))
    assert mine and all(
        "ops" in (f["source"].get("namespace"), f["destination"].get("namespace")) for f in mine
    )


@pytest.mark.parametrize(
    ("capture", "kind"),
    [(Capture(dns=False), "dns"), (Capture(http=False), "http"), (Capture(sock=False), "SOCK")],
)
def test_kinds_of_events_can_be_left_out(capture: Capture, kind: str) -> None:
    """DNS, HTTP and SOCK events are there, and are not when the capture leaves them out; no DNS means no names."""

    def kinds(found: list[dict[str, Any]]) -> set[str]:
        return {k for f in found for k in (f["Type"], *f.get("l7", {}))}

    assert kind in kinds(flows(small()))
    found = flows(small(), capture=capture)
    assert kind not in kinds(found)
    assert (kind != "dns") == any("destination_names" in f for f in found)


def test_two_exporters_repeat_uuids() -> None:
    """A node exported twice gives the same events twice and no new ones."""
    once, twice = (
        Counter(f["uuid"] for f in flows(small(), capture=Capture(twice=t))) for t in (False, True)
    )
    assert set(once) == set(twice)
    assert {1, 2} == set(twice.values())


def test_families_of_a_dual_stack_cluster() -> None:
    """A dual-stack cluster speaks both families, and its world is labelled by family."""
    found = flows(
        small(families=("IPv4", "IPv6"), outside=(*small().outside, Outside("six", ("2001:db8::7",))))
    )
    assert {"IPv4", "IPv6"} == {f["IP"]["ipVersion"] for f in found if f["verdict"] == "FORWARDED"}
    worlds = {x for f in found for x in f["source"]["labels"] + f["destination"]["labels"] if "world" in x}
    assert worlds == {"reserved:world-ipv4", "reserved:world-ipv6"}


def test_replay_gives_any_number_of_distinct_lines() -> None:
    """A replayed capture has exactly the lines asked for, whole JSON, no uuid twice, times that go on."""
    found = [json.loads(line) for line in replay(small(), 45_000)]
    assert len(found) == 45_000
    uuids = [e["flow"]["uuid"] for e in found if "flow" in e]
    assert len(uuids) == len(set(uuids))
    times = [e["time"] for e in found]
    assert sorted(times) == times
    assert all(e["flow"]["time"] == e["time"] for e in found if "flow" in e)
    servers = {ports(e["flow"])[1] for e in found if e.get("flow", {}).get("trace_reason") == "NEW"}
    offered = {53, 80, 443, 3868, 4240, 5432, 6443, 8080, 9100, 0}
    assert {p for p in servers if p > 9999 and not 20000 <= p <= 20010} == set()
    assert offered - {80} <= servers


def test_writing_gives_the_same_bytes(tmp_path: Path) -> None:
    """A gzip'd capture holds no time of writing, and reads back as the lines written."""
    content = list(lines(small(), 100))
    paths = [tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.gz"]
    assert [len(content)] * 2 == [write(path, content) for path in paths]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert b"".join(content) == gzip.decompress(paths[0].read_bytes())


@settings(max_examples=25, deadline=None)
@given(clusters())
def test_random_clusters_record(cluster: Cluster) -> None:
    """Any random cluster gives a capture and a truth whose parties are all known."""
    told = truth(cluster)
    known = {i["key"] for i in told["identities"]} | {f"world:{name}" for name in told["outside"]}
    assert {end for e in told["edges"] for end in (e["src"], e["dst"])} <= known
    for flow in flows(cluster, 0):
        assert flow["IP"]["source"] and flow["source"]["labels"] and flow["destination"]["labels"]


def test_random_clusters_are_varied() -> None:
    """Among a hundred random clusters there is everything the synthesiser must cope with."""
    drawn = [random_cluster(seed) for seed in range(100)]
    links = [link for c in drawn for link in c.links]
    assert {"TCP", "UDP", "SCTP", "ICMP"} == {link.proto for link in links}
    assert {"Deployment", "StatefulSet", "DaemonSet", "CronJob"} <= {
        w.kind for c in drawn for w in c.workloads
    }
    assert any(w.cluster for c in drawn for w in c.workloads)
    assert any(isinstance(link.port, tuple) for link in links)
    assert {1, 2} == {len(c.families) for c in drawn}
    assert any(c.scans for c in drawn)


POLICIES = (
    {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "endpointSelector": {"matchLabels": {"app": "web"}},
            "ingress": [
                {"fromEntities": ["remote-node"]},
                {
                    "fromEntities": ["world"],
                    "toPorts": [
                        {
                            "ports": [{"port": "8080", "protocol": "TCP"}],
                            "rules": {"http": [{"path": "/item/[0-9]*[02468]"}]},
                        }
                    ],
                },
            ],
            "egress": [
                lookup_rule(),
                {"toEndpoints": [{}]},
                {"toFQDNs": [{"matchName": "api.saas.example"}]},
            ],
            "egressDeny": [{"toEntities": ["kube-apiserver"]}],
        },
    },
    {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "db", "namespace": "shop"},
        "spec": {
            "endpointSelector": {"matchLabels": {"app": "db"}},
            "ingress": [
                {"fromEndpoints": [{"matchLabels": {"app": "web"}}], "authentication": {"mode": "required"}}
            ],
        },
    },
)


def governed() -> list[dict[str, Any]]:
    """Return flows of the small cluster under policies that deny, redirect and demand authentication."""
    return flows(small(policies=POLICIES, visible=frozenset()), 2500)


def test_verdict_events_name_the_policies() -> None:
    """Under policies a verdict event names who allowed, and a deny rule who denied; the drop event does not."""
    found = governed()
    verdicts = [f for f in found if f["event_type"]["type"] == 5]
    allowed = {(p["name"], p["kind"]) for f in verdicts for p in f.get("egress_allowed_by", ())}
    assert allowed == {("web", "CiliumNetworkPolicy")}
    denied = [f for f in found if f.get("drop_reason_desc") == "POLICY_DENY"]
    named = {p["name"] for f in denied if f["event_type"]["type"] == 5 for p in f["egress_denied_by"]}
    assert named == {"web"}
    assert not any("egress_denied_by" in f for f in denied if f["event_type"]["type"] == 1)


def test_rules_redirect_to_the_proxy_and_the_proxy_denies() -> None:
    """An L7 rule gives REDIRECTED verdicts and L7 events, of which a denied request has no drop reason."""
    found = governed()
    redirected = [f for f in found if f["verdict"] == "REDIRECTED" and f["event_type"]["type"] == 5]
    assert {("EGRESS", 53), ("INGRESS", 8080)} == {(f["traffic_direction"], ports(f)[1]) for f in redirected}
    requests = [f for f in found if "http" in f.get("l7", {}) and f["l7"]["type"] == "REQUEST"]
    assert {"FORWARDED", "DROPPED"} == {f["verdict"] for f in requests}
    odd = [f for f in requests if f["l7"]["http"]["url"][-1] in "13579"]
    assert {"DROPPED"} == {f["verdict"] for f in odd}
    assert not any("drop_reason_desc" in f for f in requests)


def test_names_and_fqdn_identities_need_the_dns_proxy() -> None:
    """Where a rule sends lookups to the proxy the outside host is labelled by its toFQDNs rule and let through."""
    found = [f for f in governed() if f["IP"]["destination"] == "192.0.2.10" and f["Type"] == "L3_L4"]
    assert {("fqdn:api.saas.example", "reserved:world")} == {tuple(f["destination"]["labels"]) for f in found}
    assert {"FORWARDED"} == {f["verdict"] for f in found}
    blind = tuple(json.loads(json.dumps(POLICIES)))
    del blind[0]["spec"]["egress"][0]["toPorts"][0]["rules"]
    found = [
        f
        for f in flows(small(policies=blind, visible=frozenset()), 1500)
        if f["IP"]["destination"] == "192.0.2.10" and f["Type"] == "L3_L4"
    ]
    assert {"DROPPED"} == {f["verdict"] for f in found}


def test_authentication_drops_the_first_packet() -> None:
    """A rule that demands authentication drops what comes before it is done; the retry goes through."""
    found = [
        f
        for f in governed()
        if ports(f)[1] == 5432 and f["destination"].get("pod_name", "").startswith("db-")
    ]
    first = [f for f in found if f.get("drop_reason_desc") == "AUTH_REQUIRED"]
    assert {"SPIRE"} == {f["auth_type"] for f in first}
    assert {"web"} == {f["source"]["pod_name"].split("-")[0] for f in first}
    through = {
        (f["source"]["pod_name"], ports(f)[0])
        for f in found
        if f.get("trace_observation_point") == "TO_ENDPOINT"
    }
    assert {(f["source"]["pod_name"], ports(f)[0]) for f in first} <= through


@settings(max_examples=15, deadline=None)
@given(clusters(governed=True))
def test_policies_never_stop_what_they_were_written_for(cluster: Cluster) -> None:
    """Policies written from a cluster's own intent leave no intended edge denied."""
    assert [edge for edge in truth(cluster)["edges"] if "denied" in edge] == []


def test_starting_pods_are_init() -> None:
    """Pods that start show their first lookups under reserved:init, with their name and dropped."""
    found = [f for f in flows(small(init=True)) if f["source"]["labels"] == ["reserved:init"]]
    assert found
    assert {(5, "DROPPED", True)} == {
        (f["source"]["identity"], f["verdict"], "pod_name" in f["source"]) for f in found
    }


def test_large_clusters_keep_addresses_apart() -> None:
    """Hundreds of workloads get distinct pods, addresses, identities and Service addresses."""
    cluster = large_cluster(400, 600)
    deployed = Deployed(cluster)
    pods = list(deployed.every_pod())
    assert len(pods) == 802 == len({pod.pod for pod in pods}) == len({pod.addresses["IPv4"] for pod in pods})
    assert len({pod.identity for pod in pods}) == 401
    assert len({deployed.service_address(s, "IPv4") for s in cluster.services}) == 401
    assert len(flows(cluster, 0)) > 600


def _fields() -> dict[str, set[str]]:
    with (SHARED / "hubble-api" / "fields.csv").open() as file:
        found: dict[str, set[str]] = defaultdict(set)
        for row in csv.DictReader(file):
            if row["kind"] == "message":
                found[row["full_name"]].add(row["name"])
    return found


def _unknown(
    node: Any, message: str, fields: dict[str, set[str]], types: dict[tuple[str, str], str]
) -> Iterator[str]:
    for name, value in node.items():
        if name not in fields[message]:
            yield f"{message}.{name}"
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict) and types.get((message, name), "") in fields:
                yield from _unknown(each, types[message, name], fields, types)


@needs_shared
@pytest.mark.parametrize("version", ["1.14", "1.19"])
def test_every_field_is_one_of_hubbles(version: str) -> None:
    """Events hold no field that Hubble's protobuf messages do not have, at any depth."""
    fields = _fields()
    with (SHARED / "hubble-api" / "fields.csv").open() as file:
        types = {
            (r["full_name"], r["name"]): r["type"] for r in csv.DictReader(file) if r["kind"] == "message"
        }
    found = set[str]()
    for event in events(small(), 1500, Capture(version=version), DENIALS):
        found |= set(_unknown(event, "observer.GetFlowsResponse", fields, types))
    assert found == set()


@needs_shared
def test_truth_has_the_form_of_the_corpora() -> None:
    """The truth uses the keys of the reference truths and no others."""
    reference = json.loads((SHARED / "corpora" / "threetier.truth.json").read_text())
    mine = truth(small())
    assert set(reference) == set(mine)
    assert set(reference["identities"][0]) == set(mine["identities"][0])
    assert {k for e in mine["edges"] for k in e} <= {
        "src", "dst", "port", "proto", "icmp", "svc", "svc_port", "http", "dns", "intended", "denied",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(SYSTEMS))
def test_systems_give_a_capture_without_their_policies(name: str) -> None:
    """Every named system can be recorded before any policy is in force, and then nothing is denied."""
    cluster = SYSTEMS[name]().with_policies()
    found = flows(cluster, 0)
    assert len(found) > 200
    assert not any(f.get("drop_reason_desc", "").startswith("POLICY") for f in found)
