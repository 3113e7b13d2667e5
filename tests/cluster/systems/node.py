"""Nodes under the host firewall: one open to the cluster and to SSH only, beside a small Star Wars demo."""

from __future__ import annotations

from tests.cluster.model import Cluster, Link, Node, Outside, Policy, Service, Workload
from tests.cluster.parts import ccnp, coredns, port


def _policies() -> tuple[Policy, ...]:
    by_node = ccnp(
        "host-ns",
        nodeSelector={"matchLabels": {"node-access": "example"}},
        ingress=[{"fromEntities": ["cluster"]}, {"toPorts": port("22", "TCP")}],
    )
    by_endpoint = ccnp(
        "host-es",
        endpointSelector={"matchLabels": {"reserved:host": ""}},
        ingress=[{"fromEntities": ["cluster"]}],
    )
    return by_node, by_endpoint


def node() -> Cluster:
    """Return a cluster of three nodes, of which the policies guard the one labelled ``node-access=example``."""
    ship, station, host = "default/tiefighter", "default/deathstar", "entity:host"
    return Cluster(
        name="node",
        nodes=(
            Node("server", {"node-role.kubernetes.io/control-plane": ""}, control_plane=True),
            Node("worker-1", {"node-access": "example"}),
            Node("worker-2", {"node-access": "other"}),
        ),
        workloads=(
            Workload("default", "deathstar", labels={"org": "empire", "class": "deathstar"}, probe=80),
            Workload("default", "tiefighter", "Pod", 1, {"org": "empire", "class": "tiefighter"}),
            Workload("default", "xwing", "Pod", 1, {"org": "alliance", "class": "xwing"}),
            Workload(
                "local-path-storage",
                "local-path-provisioner",
                replicas=1,
                labels={"app": "local-path-provisioner"},
                account="local-path-provisioner-service-account",
            ),
            coredns(),
        ),
        outside=(
            Outside("admin", ("203.0.113.9",)),
            Outside("stranger", ("198.51.100.23", "198.51.100.77", "203.0.113.200")),
            Outside("outpost", ("10.0.4.10", "10.0.4.11")),
            Outside("registry", ("192.0.2.80",), "registry.example.org"),
        ),
        services=(
            Service("deathstar", station, {80: 80}),
            Service("kube-dns", "kube-system/coredns", {53: 53}),
        ),
        links=(
            Link(ship, station, 80, http=(("POST", "/v1/request-landing"),), weight=16),
            Link("default/xwing", station, 80, weight=6),
            Link(ship, "world:outpost", 443, weight=5),
            Link("local-path-storage/local-path-provisioner", "entity:kube-apiserver", 6443, weight=5),
            Link(ship, "world:registry", 443, weight=3),
            Link("world:admin", host, 22, weight=6),
            Link("entity:remote-node", host, 10250, weight=8),
            Link("entity:remote-node", host, proto="ICMP", icmp=8, weight=3),
            Link("default/xwing", host, 10250, weight=2),
            Link("world:stranger", host, 22, weight=2),
            Link("world:stranger", host, 6443, weight=2, intended=False),
            Link("world:stranger", host, 30080, weight=2, intended=False),
        ),
        policies=_policies(),
        routing="native",
        config={"host_firewall": True},
        seed=3,
    )
