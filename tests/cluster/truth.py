"""Tell what really talks to what in a cluster, in the form of the corpora's ``truth.json``."""

from __future__ import annotations

from typing import Any

from tests.cluster.deploy import Deployed
from tests.cluster.judge import Bench, Judge
from tests.cluster.model import Capture, Cluster, Link
from tests.cluster.plan import Connection, Planner

_ENTITIES = ("host", "remote-node", "kube-apiserver", "health", "ingress")


def truth(cluster: Cluster, day: int = 0, judge: Judge | None = None, audit: bool = False) -> dict[str, Any]:
    """Return identities, outside hosts, edges, noise and ungoverned workloads of a cluster on a day.

    ``denied`` marks an intended edge that the policies in force drop, ``intended: false`` one that they drop and
    ought to. What they drop so early that no capture can show it (its name never resolves) is left out; what
    nobody intended and nothing stops is as good as intended, for no capture tells the two apart. ``audit`` is for
    captures in audit mode, where nothing is stopped and so nothing left out.
    """
    deployed = Deployed(cluster, day)
    bench = Bench(cluster, judge)
    plan = Planner(deployed, Capture(day=day)).plan(0)
    bench.settle(plan)
    return {
        "identities": _identities(deployed),
        "ungoverned": sorted({p.key for p in deployed.every_pod() if cluster.workload(_base(p.key)).system}),
        "noise": [
            {"kind": "scan", "src": key} for scan in cluster.scans for key in _keys(deployed, scan.src)
        ],
        "outside": {each.name: _host(deployed, each.name) for each in cluster.outside},
        "edges": _edges(plan, audit),
    }


def _base(key: str) -> str:
    return "/".join(key.split("/")[:2])


def _keys(deployed: Deployed, party: str) -> list[str]:
    pods = deployed.pods.get(party)
    return sorted({pod.key for pod in pods}) if pods else [party]


def _identities(deployed: Deployed) -> list[dict[str, Any]]:
    found = {pod.key: pod for pod in deployed.every_pod()}
    shown = [{"key": k, "identity": p.identity, "labels": list(p.labels)} for k, p in found.items()]
    node = deployed.cluster.nodes[0].name
    for name in _ENTITIES:
        end = deployed.apiserver() if name == "kube-apiserver" else deployed.entity(name, node)
        shown.append({"key": f"entity:{name}", "identity": end.identity, "labels": list(end.labels)})
    return shown


def _host(deployed: Deployed, name: str) -> dict[str, Any]:
    host = deployed.outside[name]
    shown: dict[str, Any] = {"ips": list(host.ips)}
    if host.dns.startswith("*."):
        subs = [full.removesuffix(host.dns[1:]) for full in deployed.names_of(host)]
        return shown | {"wild": host.dns, "subs": subs}
    return shown | ({"name": host.dns} if host.dns else {})


def _edges(plan: list[Connection], audit: bool) -> list[dict[str, Any]]:
    edges: dict[tuple[Any, ...], dict[str, Any]] = {}
    for c in plan:
        if c.link is None and not c.queries:
            continue  # health checks and scans
        if c.needs is not None and _denied(c.needs) and not audit:
            continue
        port = c.link.port if c.link is not None and isinstance(c.link.port, tuple) else c.port
        key = (c.src.key, c.dst.key, c.proto, port)
        edge = _edge(c, port)
        known = edges.setdefault(key, edge)
        _join(known, edge)
    return list(edges.values())


def _edge(c: Connection, port: int | tuple[int, int]) -> dict[str, Any]:
    edge: dict[str, Any] = {"src": c.src.key, "dst": c.dst.key, "proto": c.proto}
    if c.icmp:
        edge["icmp"] = c.port
    else:
        edge["port"] = list(port) if isinstance(port, tuple) else port
    if c.service is not None:
        edge |= {"svc": c.service[0].name, "svc_port": c.service[1]}
    link = c.link or Link(c.src.key, c.dst.key)
    denied = _denied(c)
    if link.http and link.intended:
        edge["http"] = [list(each) for each in link.http]
    if c.queries:
        edge["dns"] = [[q.name, list(q.ips)] for q in c.queries if q.ips]
    if denied:
        edge |= {"denied": True} if link.intended else {"intended": False}
    return edge


def _join(known: dict[str, Any], other: dict[str, Any]) -> None:
    """Fold another sight of an edge into the first: what is let through for one is intended for both."""
    for name in ("http", "dns"):
        if name in other:
            known[name] = known.get(name, []) + [x for x in other[name] if x not in known.get(name, [])]
    if "denied" not in other and "intended" not in other:
        known.pop("denied", None)
        known.pop("intended", None)
    elif "denied" in other and "intended" in known:
        del known["intended"]
        known["denied"] = True


def _denied(c: Connection) -> bool:
    if c.verdict.get("verdict") == "denied":
        return True
    flags = [a.get("http_allowed", a.get("dns_allowed")) for a in c.answers]
    return bool(flags) and all(flag is False for flag in flags)
