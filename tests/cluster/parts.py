"""Pieces that several systems share: the resolver, users on the internet, and policy objects."""

from __future__ import annotations

from typing import Any

from tests.cluster.model import Outside, Workload

DNS_LABELS = {"io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns"}


def coredns() -> Workload:
    """Return the cluster's resolver."""
    return Workload("kube-system", "coredns", "Deployment", 2, {"k8s-app": "kube-dns"}, account="coredns")


def users(count: int = 199, net: str = "198.51.100") -> Outside:
    """Return many unrelated clients on the internet."""
    return Outside("user", tuple(f"{net}.{i}" for i in range(1, count + 1)))


def port(number: str, protocol: str = "") -> list[dict[str, Any]]:
    """Return a toPorts list of one port; without a protocol it is any, as many people write it."""
    return [{"ports": [{"port": number} | ({"protocol": protocol} if protocol else {})]}]


def lookup_rule() -> dict[str, Any]:
    """Return the egress rule that lets pods ask kube-dns for any name, through the DNS proxy."""
    ports = port("53", "UDP")
    ports[0]["rules"] = {"dns": [{"matchPattern": "*"}]}
    return {"toEndpoints": [{"matchLabels": dict(DNS_LABELS)}], "toPorts": ports}


def cnp(namespace: str, name: str, selector: dict[str, Any], **rules: Any) -> dict[str, Any]:
    """Return a CiliumNetworkPolicy object."""
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"endpointSelector": selector, **rules},
    }


def egress_world(*numbers: str) -> dict[str, Any]:
    """Return the rule that lets pods reach any outside host on some ports, as the linkding author wrote it."""
    return {"toEntities": ["world"], "toPorts": [item for number in numbers for item in port(number)]}


def from_namespaces(*namespaces: str) -> list[dict[str, Any]]:
    """Return ingress rules for the own namespace and for all pods of others."""
    others = [{"fromEndpoints": [{"matchLabels": {"io.kubernetes.pod.namespace": n}}]} for n in namespaces]
    return [{"fromEndpoints": [{}]}, *others]


def knp(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    """Return a Kubernetes NetworkPolicy object."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def ccnp(name: str, **spec: Any) -> dict[str, Any]:
    """Return a CiliumClusterwideNetworkPolicy object."""
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumClusterwideNetworkPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }
