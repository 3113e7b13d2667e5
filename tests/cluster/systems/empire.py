"""The empire: one namespace that keeps to itself, but for names, metrics and one site on the internet."""

from __future__ import annotations

from typing import Any

from tests.cluster.model import Cluster, Link, Node, Outside, Policy, Service, Workload
from tests.cluster.parts import coredns, port

_PODS: dict[str, Any] = {"endpointSelector": {"matchLabels": {}}}
_NAMESPACE = "k8s:io.kubernetes.pod.namespace"


def _policy() -> Policy:
    own = [{"matchLabels": {_NAMESPACE: "empire"}}]
    names = [{"matchLabels": {_NAMESPACE: "kube-system", "k8s:k8s-app": "kube-dns"}}]
    scraper = [{"matchLabels": {_NAMESPACE: "monitoring", "app": "prometheus"}}]
    metrics = port("8080", "TCP")
    metrics[0]["rules"] = {"http": [{"method": "GET", "path": "/metrics"}]}
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "allow-within-namespace", "namespace": "empire"},
        "specs": [
            _PODS | {"egress": [{"toEndpoints": own}], "ingress": [{"fromEndpoints": own}]},
            _PODS | {"egress": [{"toEndpoints": names}]},
            _PODS | {"ingress": [{"fromEndpoints": scraper, "toPorts": metrics}]},
            _PODS | {"egress": [{"toFQDNs": [{"matchName": "cilium.io"}]}]},
        ],
    }


def _links() -> tuple[Link, ...]:
    ship, station, scraper = "empire/tiefighter", "empire/deathstar", "monitoring/prometheus-core"
    landing = (("POST", "/v1/request-landing"), ("GET", "/v1"))
    return (
        Link(ship, station, 80, http=landing, weight=20),
        Link("empire/xwing", station, 80, http=(("GET", "/v1"),), weight=8),
        Link(ship, station, 80, http=(("GET", "/v1"),), weight=4, direct=True),
        Link(scraper, station, 8080, http=(("GET", "/metrics"),), weight=10),
        Link(ship, "world:cilium", 443, weight=8),
        Link(ship, "world:cilium", 80, weight=3),
        Link("kube-system/coredns", station, 80, weight=2, direct=True, intended=False),
        Link(ship, "kube-system/kubernetes-dashboard", 8443, weight=3, intended=False),
        Link(scraper, station, 80, http=(("GET", "/v1"),), weight=3, intended=False),
        Link(scraper, station, 8080, http=(("GET", "/random_get"),), weight=2, intended=False),
        Link(ship, "world:google", 443, weight=3, intended=False),
        Link("empire/xwing", "world:google", 80, weight=2, intended=False),
        Link("default/rebel-base", station, 80, weight=2, intended=False),
    )


def empire() -> Cluster:
    """Return the Star Wars demo in namespace ``empire``, its DNS made visible by annotation (Cilium 1.14)."""
    return Cluster(
        name="empire",
        nodes=(Node("ip-10-0-12-1", control_plane=True), Node("ip-10-0-12-7"), Node("ip-10-0-12-9")),
        workloads=(
            Workload("empire", "deathstar", labels={"org": "empire", "class": "deathstar"}, probe=80),
            Workload("empire", "tiefighter", "Pod", 1, {"org": "empire", "class": "tiefighter"}),
            Workload("empire", "xwing", "Pod", 1, {"org": "alliance", "class": "xwing"}),
            Workload(
                "monitoring", "prometheus-core", replicas=1, labels={"app": "prometheus", "component": "core"}
            ),
            Workload(
                "kube-system",
                "kubernetes-dashboard",
                replicas=1,
                labels={"k8s-app": "kubernetes-dashboard"},
                account="kubernetes-dashboard",
            ),
            Workload("default", "rebel-base", replicas=1, labels={"app": "rebel-base"}),
            coredns(),
        ),
        outside=(
            Outside("cilium", ("104.198.14.52",), "cilium.io"),
            Outside("google", ("142.250.185.78", "142.250.185.110"), "google.com"),
        ),
        services=(
            Service("deathstar", "empire/deathstar", {80: 80, 8080: 8080}),
            Service("kubernetes-dashboard", "kube-system/kubernetes-dashboard", {443: 8443}),
            Service("kube-dns", "kube-system/coredns", {53: 53}),
        ),
        links=_links(),
        policies=(_policy(),),
        lb="packet",
        seed=4,
    )
