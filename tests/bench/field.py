"""One cluster with everything at once that recommendations get wrong in the field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.cluster import Cluster, Link, Node, Outside, Scan, Service, Workload

__all__ = ["FIELD", "field_cluster"]


def _workload(name: str, namespace: str = "app", **more: object) -> Workload:
    labels = more.pop("labels", None) or {"app": name}
    return Workload(namespace, name, labels=labels, **more)  # type: ignore[arg-type]


_WORKLOADS = (
    _workload(
        "web", labels={"app.kubernetes.io/name": "shop", "app.kubernetes.io/component": "web"}, noise=True
    ),
    _workload(
        "api", labels={"app.kubernetes.io/name": "shop", "app.kubernetes.io/component": "api"}, probe=8080
    ),
    _workload("worker", labels={"app.kubernetes.io/name": "shop"}, replicas=3),
    _workload("db", kind="StatefulSet", noise=True),
    _workload("report", kind="CronJob", replicas=4),
    _workload("media", replicas=2),
    _workload("phone"),
    _workload("core", namespace="telco"),
    _workload("radio", namespace="telco"),
    _workload("pinger", namespace="telco"),
    _workload("cache", namespace="one"),
    _workload("cache", namespace="two"),
    _workload("idle"),
    _workload("crawler"),
    _workload("metrics", namespace="monitoring", kind="DaemonSet"),
    _workload("coredns", namespace="kube-system", labels={"k8s-app": "kube-dns"}),
)

_OUTSIDE = (
    Outside("users", tuple(f"198.51.100.{n}" for n in range(1, 180))),
    Outside("partner", ("203.0.113.10", "203.0.113.200", "192.0.2.44")),
    Outside("office", tuple(f"10.77.3.{n}" for n in range(1, 7))),
    Outside("vpn", ("172.27.224.3",)),
    Outside("legacy", ("10.250.4.17",)),
    Outside("stripe", ("54.187.174.169", "54.187.205.235"), dns="api.stripe.com"),
    Outside("mail", ("203.0.113.99",), dns="smtp.mailer.example", cname="edge-7.cdn.example.net"),
    Outside(
        "cloud",
        ("142.250.1.1", "142.250.1.2"),
        dns="*.cloud.google.com",
        subs=("run", "sql", "storage", "pubsub"),
    ),
)

_LINKS = (
    Link("world:users", "app/web", 443, weight=40),
    Link("world:users", "app/web", 80, weight=15),
    Link("world:partner", "app/api", 8080, weight=6),
    Link("world:office", "app/api", 9443, weight=12),
    Link("world:vpn", "app/db", 5432, weight=2),
    Link(
        "app/web",
        "app/api",
        8080,
        http=(("GET", "/v1/user/{int}"), ("GET", "/docs/{word}"), ("PUT", "/item/{uuid}")),
    ),
    Link("app/api", "app/db", 5432),
    Link("app/worker", "app/db", 5432),
    Link("app/worker", "one/cache", 6379),
    Link("app/api", "two/cache", 6379),
    Link("app/report", "app/db", 5432),
    Link("app/report", "world:stripe", 443),
    Link("app/api", "world:stripe", 443),
    Link("app/api", "world:mail", 587),
    Link("app/worker", "world:cloud", 443, weight=20),
    Link("app/worker", "world:legacy", 1521),
    Link("app/phone", "app/media", (30000, 30100), proto="UDP", weight=60),
    Link("app/phone", "app/media", 5060, proto="UDP"),
    Link("telco/radio", "telco/core", 36412, proto="SCTP"),
    Link("telco/pinger", "telco/core", icmp=8),
    Link("telco/pinger", "entity:remote-node", icmp=8),
    Link("app/worker", "entity:kube-apiserver", 6443),
    Link("entity:ingress", "app/web", 443),
    Link("entity:remote-node", "app/web", 443),
    Link("monitoring/metrics", "app/web", 9100),
    Link("monitoring/metrics", "app/api", 9100),
    Link("monitoring/metrics", "app/worker", 9100),
    Link("monitoring/metrics", "app/db", 9100),
    Link("monitoring/metrics", "one/cache", 9100),
    Link("monitoring/metrics", "two/cache", 9100),
    Link("app/crawler", "app/api", 8080),
)

_SERVICES = (
    Service("api", "app/api", {80: 8080}),
    Service("db", "app/db", {5432: 5432}),
    Service("kube-dns", "kube-system/coredns", {53: 53}),
)


def field_cluster() -> Cluster:
    """Return the cluster: no policy in force, dual stack, a scan, labels that change, ranges, SCTP, ICMP, outside of all kinds."""
    return Cluster(
        name="field",
        nodes=(Node("node-0", control_plane=True), Node("node-1"), Node("node-2")),
        workloads=_WORKLOADS,
        outside=_OUTSIDE,
        services=_SERVICES,
        links=_LINKS,
        scans=(Scan("app/crawler", probes=300),),
        visible=frozenset({"dns", "http"}),
        lb="mixed",
        seed=7,
    )


def _dual_stack() -> Cluster:
    """Return the same cluster with both families, its outside hosts too."""
    outside = tuple(
        replace(host, ips=host.ips + tuple(f"2001:db8:{place}::{n:x}" for n in range(1, len(host.ips) + 1)))
        for place, host in enumerate(_OUTSIDE)
    )
    return replace(field_cluster(), families=("IPv4", "IPv6"), outside=outside)


def _mesh() -> Cluster:
    """Return the same cluster in a mesh: pods of another cluster call it and are called."""
    return replace(
        field_cluster(),
        workloads=(*_WORKLOADS, _workload("remote", namespace="far", cluster="other")),
        links=(*_LINKS, Link("far/remote", "app/api", 8080), Link("app/worker", "far/remote", 9000)),
    )


FIELD: Mapping[str, Callable[[], Cluster]] = {
    "field": field_cluster,
    "field in dual stack": _dual_stack,
    "field in a mesh": _mesh,
}
"""Name -> what builds the cluster."""
