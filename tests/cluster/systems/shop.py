"""An online shop of twelve services behind an ingress controller: the cluster that benchmarks are made of."""

from __future__ import annotations

from tests.cluster.fence import fence
from tests.cluster.model import Cluster, Link, Node, Outside, Scan, Service, Workload
from tests.cluster.parts import coredns, users

_CALLS: dict[str, dict[str, int]] = {
    "frontend": {
        "cart": 7070,
        "catalog": 3550,
        "currency": 7000,
        "shipping": 50052,
        "checkout": 5050,
        "recommendation": 8081,
        "ads": 9555,
    },
    "checkout": {
        "cart": 7070,
        "catalog": 3550,
        "currency": 7000,
        "shipping": 50052,
        "payment": 50051,
        "email": 8080,
    },
    "recommendation": {"catalog": 3550},
    "cart": {"redis": 6379},
    "load": {"frontend": 8080},
}
_PAGES = (
    ("GET", "/"),
    ("GET", "/product/{hex}"),
    ("GET", "/cart"),
    ("POST", "/cart"),
    ("GET", "/order/{uuid}"),
    ("GET", "/user/{int}/orders/{int}"),
)


def shop() -> Cluster:
    """Return the shop, with the least that it needs as the policies in force."""
    listens = {callee: port for calls in _CALLS.values() for callee, port in calls.items()}
    workloads = [
        Workload(
            "shop", name, "StatefulSet" if name == "redis" else "Deployment", 2, {"app": name}, name, port
        )
        for name, port in listens.items()
    ]
    workloads.append(Workload("shop", "load", replicas=1, labels={"app": "load"}))
    gateway = Workload(
        "ingress-nginx",
        "controller",
        labels={"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"},
        account="ingress-nginx",
    )
    links = [
        Link(f"shop/{caller}", f"shop/{callee}", port)
        for caller, calls in _CALLS.items()
        for callee, port in calls.items()
    ]
    links += [
        Link("world:user", gateway.key, 443, weight=30),
        Link(gateway.key, "shop/frontend", 8080, http=_PAGES, weight=30),
        Link(gateway.key, "entity:kube-apiserver", 6443, weight=2),
        Link("shop/payment", "world:stripe", 443),
    ]
    services = [Service(name, f"shop/{name}", {port: port}) for name, port in listens.items()]
    cluster = Cluster(
        name="shop",
        nodes=(Node("cp", control_plane=True), *(Node(f"node-{i}") for i in range(1, 5))),
        workloads=(*workloads, gateway, coredns()),
        outside=(
            users(240, "203.0.113"),
            Outside("stripe", ("198.51.100.80", "198.51.100.81"), "api.stripe.com"),
        ),
        services=(*services, Service("kube-dns", "kube-system/coredns", {53: 53})),
        links=tuple(links),
        scans=(Scan("shop/load", 150),),
        visible=frozenset({"dns", "http"}),
        seed=5,
    )
    return cluster.with_policies(*fence(cluster, [w.key for w in workloads]))
