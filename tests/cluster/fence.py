"""Write policies from what a cluster intends: the least that its own links need, for chosen workloads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.cluster.model import Cluster, Link, Outside, Policy, Workload
from tests.cluster.parts import cnp
from tests.cluster.plan import all_links

_MANY = 8  # more outside addresses than this, without a name, are the whole internet
_NAMESPACE = "io.kubernetes.pod.namespace"
_CLUSTER = "io.cilium.k8s.policy.cluster"


def fence(cluster: Cluster, keys: Iterable[str]) -> tuple[Policy, ...]:
    """Return one CiliumNetworkPolicy a workload that admits its intended links and no more.

    Selectors are the workloads' own stated labels, so workloads that share them share what they may.
    """
    return tuple(_policy(cluster, cluster.workload(key)) for key in keys)


def _policy(cluster: Cluster, workload: Workload) -> Policy:
    links = [link for link in all_links(cluster) if link.intended]
    ingress = [_rule(cluster, link, "from", link.src, workload) for link in links if link.dst == workload.key]
    egress = [_rule(cluster, link, "to", link.dst, workload) for link in links if link.src == workload.key]
    selector = {"matchLabels": _own(workload)}
    return cnp(
        workload.namespace, f"least-{workload.name}", selector, ingress=ingress or [{}], egress=egress or [{}]
    )


def _own(workload: Workload) -> dict[str, str]:
    return dict(workload.labels or {"app": workload.name})


def _rule(cluster: Cluster, link: Link, word: str, party: str, mine: Workload) -> dict[str, Any]:
    return _peer(cluster, word, party, mine, link.direct) | _what(cluster, link, word)


def _peer(cluster: Cluster, word: str, party: str, mine: Workload, direct: bool) -> dict[str, Any]:
    kind, _, name = party.partition(":")
    if kind == "entity":
        return {f"{word}Entities": [name]}
    if kind == "world":
        return _outside(next(o for o in cluster.outside if o.name == name), word, direct)
    workload = cluster.workload(party)
    labels = _own(workload)
    if workload.namespace != mine.namespace:
        labels[_NAMESPACE] = workload.namespace
    if workload.cluster:
        labels[_CLUSTER] = workload.cluster
    return {f"{word}Endpoints": [{"matchLabels": labels}]}


def _outside(host: Outside, word: str, direct: bool) -> dict[str, Any]:
    if word == "to" and host.dns and not direct:
        return {"toFQDNs": [{"matchPattern" if "*" in host.dns else "matchName": host.dns}]}
    if len(host.ips) > _MANY:
        return {f"{word}Entities": ["world"]}
    return {f"{word}CIDR": [f"{ip}/{128 if ':' in ip else 32}" for ip in host.ips]}


def _what(cluster: Cluster, link: Link, word: str) -> dict[str, Any]:
    if link.icmp >= 0:
        fields = [{"type": link.icmp, "family": "IPv4"}]
        fields += [{"type": 128, "family": "IPv6"}] if "IPv6" in cluster.families and link.icmp == 8 else []
        return {"icmps": [{"fields": fields}]}
    low, high = link.port if isinstance(link.port, tuple) else (link.port, link.port)
    port: dict[str, Any] = {"port": str(low), "protocol": link.proto}
    if high > low:
        port["endPort"] = high
    if word == "to" and link.dst == cluster.resolver and link.port == 53:
        return {"toPorts": [{"ports": [port], "rules": {"dns": [{"matchPattern": "*"}]}}]}
    return {"toPorts": [{"ports": [port]}]}
