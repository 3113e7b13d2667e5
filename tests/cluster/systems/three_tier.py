"""The three-tier demo: frontend, backend and database in ``default``, as the tutorial leaves its policies."""

from __future__ import annotations

from tests.cluster.model import Cluster, Link, Node, Outside, Policy, Scan, Service, Workload
from tests.cluster.parts import cnp, coredns, lookup_rule, port, users

_APP = "demo"


def _tier(name: str, probe: int, kind: str = "Deployment") -> Workload:
    return Workload("default", name, kind, 2, {"app": _APP, "tier": name}, account=name, probe=probe)


def _policies() -> tuple[Policy, ...]:
    tier = {name: {"matchLabels": {"tier": name}} for name in ("frontend", "backend", "database")}
    database = cnp(
        "default",
        "database-policy",
        tier["database"],
        ingress=[
            {"fromEndpoints": [tier["backend"]], "toPorts": port("7379")},
            {"fromCIDRSet": [{"cidr": "102.213.50.174/32"}], "toPorts": port("443")},
        ],
        egress=[{}],
    )
    docs = port("80", "TCP")
    docs[0]["rules"] = {"http": [{"method": "GET", "path": "/docs"}]}
    backend = cnp(
        "default",
        "backend-policy",
        tier["backend"],
        ingress=[
            {"fromEndpoints": [tier["frontend"]], "toPorts": port("80")},
            {"fromCIDRSet": [{"cidr": "172.27.224.3/32"}], "toPorts": docs},
        ],
        egress=[
            {"toEndpoints": [tier["database"]], "toPorts": port("7379")},
            {"toFQDNs": [{"matchPattern": "*.cloud.google.com"}], "toPorts": [*port("443"), *port("80")]},
            lookup_rule(),
        ],
    )
    frontend = cnp(
        "default",
        "frontend-policy",
        tier["frontend"],
        ingress=[{"fromEntities": ["world"], "toPorts": [*port("443"), *port("80", "TCP")]}],
        egress=[{"toEndpoints": [tier["backend"]], "toPorts": port("80")}, lookup_rule()],
    )
    return database, backend, frontend


def three_tier() -> Cluster:
    """Return the cluster of the three-tier tutorial, its stories' traffic, and a batch pod that probes it."""
    google = tuple(f"142.250.{a}.{b}" for a, b in ((1, 100), (1, 101), (2, 7), (74, 14)))
    return Cluster(
        name="three-tier",
        nodes=(Node("kind-control-plane", control_plane=True), Node("kind-worker"), Node("kind-worker2")),
        workloads=(
            _tier("frontend", 80),
            _tier("backend", 80),
            _tier("database", 7379),
            Workload("default", "batch", "Deployment", 1, {"app": _APP, "tier": "batch"}, account="batch"),
            coredns(),
        ),
        outside=(
            Outside("google", google, "*.cloud.google.com", ("storage", "run", "console", "pubsub", "sql")),
            Outside("vpn", ("172.27.224.3",)),
            Outside("office", ("102.213.50.174",)),
            Outside("example", ("93.184.215.14",), "example.com"),
            users(),
        ),
        services=(
            Service("frontend", "default/frontend", {80: 80}),
            Service("backend", "default/backend", {80: 80}),
            Service("database", "default/database", {80: 7379}),
            Service("kube-dns", "kube-system/coredns", {53: 53}),
        ),
        links=(
            Link("world:user", "default/frontend", 80, weight=24),
            Link("world:user", "default/frontend", 443, weight=24),
            Link("default/frontend", "default/backend", 80, weight=24, drops="STALE_OR_UNROUTABLE_IP"),
            Link("default/backend", "default/database", 7379, weight=20),
            Link("default/backend", "world:google", 443, weight=10),
            Link("default/backend", "world:google", 80, weight=3),
            Link("world:vpn", "default/backend", 80, http=(("GET", "/docs"),), weight=3),
            Link("world:office", "default/database", 443, weight=2),
            Link("world:vpn", "default/backend", 80, http=(("GET", "/admin"),), weight=1, intended=False),
            Link("world:vpn", "default/database", 7379, weight=2, intended=False),
            Link("default/batch", "default/database", 7379, weight=3, direct=True, intended=False),
            Link("default/database", "default/frontend", 80, weight=1, direct=True, intended=False),
            Link("default/database", "default/backend", 80, weight=2, intended=False),
            Link("default/database", "world:example", 80, weight=1, intended=False),
            Link("default/backend", "world:example", 80, weight=2, intended=False),
            Link("world:user", "default/frontend", 80, "UDP", weight=1, intended=False),
        ),
        scans=(Scan("default/batch", 60, ("default/frontend", "default/backend", "default/database")),),
        policies=_policies(),
        seed=1,
    )
