"""A homelab: linkding with its database behind a tunnel, and a namespace fenced by Kubernetes NetworkPolicies."""

from __future__ import annotations

from tests.cluster.model import Cluster, Link, Node, Outside, Policy, Service, Workload
from tests.cluster.parts import cnp, coredns, egress_world, from_namespaces, knp, lookup_rule, port

_MONITORING, _OPERATOR = "monitoring", "postgresql-operator-system"


def _linkding() -> tuple[Policy, ...]:
    watchers = from_namespaces(_MONITORING, _OPERATOR)
    app = cnp(
        "linkding",
        "linkding-app",
        {"matchLabels": {"policy-type": "app"}},
        ingress=watchers,
        egress=[lookup_rule(), {"toEndpoints": [{}]}, egress_world("443", "80", "7844")],
    )
    database = cnp(
        "linkding",
        "linkding-database",
        {"matchLabels": {"policy-type": "database"}},
        ingress=watchers,
        egress=[
            {"toEndpoints": [{}]},
            lookup_rule(),
            {"toEntities": ["kube-apiserver"], "toPorts": port("6443")},
            egress_world("443"),
        ],
    )
    return app, database, cnp("linkding", "deny-all", {}, ingress=[{}], egress=[{}])


def _payments() -> tuple[Policy, ...]:
    sensitive, auth = ({"matchLabels": {"app": name}} for name in ("sensitive", "auth"))
    out = [{"to": [{"podSelector": auth}], "ports": [{"port": 80}]}]
    into = [{"from": [{"podSelector": sensitive}], "ports": [{"port": 80}]}]
    both = {"policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []}
    return (
        knp("payments", "block-all", podSelector={}, **both),
        knp(
            "payments",
            "permit-sensitive-pod-egress",
            podSelector=sensitive,
            policyTypes=["Egress"],
            egress=out,
        ),
        knp("payments", "permit-auth-ingress", podSelector=auth, policyTypes=["Ingress"], ingress=into),
    )


def _links() -> tuple[Link, ...]:
    app, tunnel, database = "linkding/linkding", "linkding/cloudflared", "linkding/linkding-db"
    evil, sync, operator = "default/toolbox", "linkding/bookmark-sync", f"{_OPERATOR}/edb-operator"
    return (
        Link(tunnel, app, 9090, weight=20),
        Link(tunnel, "world:argotunnel", 7844, "UDP", weight=16),
        Link(tunnel, "world:argotunnel", 443, weight=3),
        Link(app, database, 5432, weight=20),
        Link(app, "world:github", 443, weight=4),
        Link(app, "world:archive", 443, weight=4),
        Link(app, "world:archive", 80, weight=2),
        Link(database, database, 5432, weight=8, direct=True),
        Link(database, "entity:kube-apiserver", 6443, weight=6),
        Link(database, "world:backup", 443, weight=4),
        Link(operator, database, 8000, weight=6, direct=True),
        Link(operator, database, 5432, weight=3, direct=True),
        Link(operator, "entity:kube-apiserver", 6443, weight=6),
        Link(f"{_MONITORING}/prometheus", app, 9090, weight=5, direct=True),
        Link(f"{_MONITORING}/prometheus", database, 9187, weight=5, direct=True),
        Link("payments/sensitive", "payments/auth", 80, weight=8, direct=True),
        Link("payments/sensitive", "payments/auth", 8443, weight=2, direct=True, intended=False),
        Link("payments/reporting", "payments/auth", 80, weight=2, intended=False),
        Link("payments/reporting", "payments/auth", 80, weight=2, direct=True, intended=False),
        Link("payments/auth", "payments/sensitive", 80, weight=1, direct=True, intended=False),
        Link(evil, app, 9090, weight=2, intended=False),
        Link(evil, database, 5432, weight=2, intended=False),
        Link(app, "world:github", 22, weight=1, intended=False),
        Link(app, evil, 80, weight=1, direct=True, intended=False),
        Link(app, "entity:kube-apiserver", 6443, weight=1, intended=False),
        Link(database, "world:backup", 80, weight=1, intended=False),
        Link(sync, app, 9090, weight=2, direct=True),
        Link(sync, database, 5432, weight=2, intended=False),
        Link(f"{_MONITORING}/prometheus", sync, 8080, weight=1, direct=True, intended=False),
        Link("world:neighbour", app, 9090, weight=1, intended=False),
    )


def linkding() -> Cluster:
    """Return the homelab cluster; what its deny-all and its port lists drop is in the traffic."""
    return Cluster(
        name="homelab",
        nodes=(Node("talos-cp", control_plane=True), Node("talos-w1"), Node("talos-w2")),
        workloads=(
            Workload(
                "linkding",
                "linkding",
                replicas=1,
                labels={"app": "linkding", "policy-type": "app"},
                probe=9090,
            ),
            Workload(
                "linkding", "cloudflared", labels={"app": "cloudflared", "policy-type": "app"}, probe=2000
            ),
            Workload(
                "linkding",
                "linkding-db",
                "StatefulSet",
                3,
                {"cnpg.io/cluster": "linkding-db", "policy-type": "database"},
                account="linkding-db",
                probe=8000,
            ),
            Workload("linkding", "bookmark-sync", "CronJob", 3, {"app": "bookmark-sync"}),
            Workload(
                "monitoring", "prometheus", "StatefulSet", 1, {"app": "prometheus"}, account="prometheus"
            ),
            Workload(_OPERATOR, "edb-operator", replicas=1, labels={"app": "edb"}, account="edb-operator"),
            Workload("payments", "sensitive", labels={"app": "sensitive"}),
            Workload("payments", "auth", labels={"app": "auth"}, probe=80),
            Workload("payments", "reporting", replicas=1, labels={"app": "reporting"}),
            Workload("default", "toolbox", replicas=1, labels={"app": "toolbox"}),
            coredns(),
        ),
        outside=(
            Outside("argotunnel", ("198.41.192.27", "198.41.200.113"), "region1.v2.argotunnel.com"),
            Outside("github", ("140.82.121.6",), "api.github.com"),
            Outside("archive", ("207.241.224.2",), "web.archive.org"),
            Outside(
                "backup", ("130.117.252.10",), "s3.eu-central-1.wasabisys.com", cname="s3.gw.wasabisys.com"
            ),
            Outside("neighbour", ("192.168.1.77",)),
        ),
        services=(
            Service("linkding", "linkding/linkding", {9090: 9090}),
            Service("linkding-db-rw", "linkding/linkding-db", {5432: 5432}),
            Service("auth", "payments/auth", {80: 80}),
            Service("kube-dns", "kube-system/coredns", {53: 53}),
        ),
        links=_links(),
        policies=(*_linkding(), *_payments()),
        seed=2,
    )
