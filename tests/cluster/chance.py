"""Draw small clusters at random, for property tests: awkward labels, peers of every kind, all protocols."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from tests.cluster.fence import fence
from tests.cluster.model import Cluster, Link, Node, Outside, Scan, Service, Workload
from tests.cluster.parts import coredns, users

_NAMES = ("web", "api", "db", "cache", "queue", "worker", "auth", "mail", "search", "report")
_SPACES = ("shop", "bank", "ops")
_KINDS = ("Deployment", "Deployment", "Deployment", "StatefulSet", "DaemonSet", "CronJob")
_PORTS = (80, 443, 5432, 6379, 8080, 9090, 7000, 50051)


def random_cluster(seed: int, governed: bool = False) -> Cluster:
    """Return a small cluster drawn from ``seed``: two to four nodes, two to seven workloads, a dozen links.

    With ``governed`` some workloads have exact policies, so that scans and unintended links are dropped; the
    engine must then judge. The same seed gives the same cluster.
    """
    rng = random.Random(seed)
    nodes = [Node("cp", control_plane=True), *(Node(f"n{i}") for i in range(rng.randint(1, 3)))]
    workloads = _workloads(rng)
    outside = _outside(rng)
    cluster = Cluster(
        name=rng.choice(("default", "east")),
        nodes=tuple(nodes if rng.random() < 0.9 else nodes[1:]),
        workloads=(*workloads, coredns()),
        outside=outside,
        families=rng.choice((("IPv4",), ("IPv4",), ("IPv4", "IPv6"), ("IPv6", "IPv4"))),
        routing=rng.choice(("tunnel", "native")),
        lb=rng.choice(("socket", "packet", "mixed")),
        visible=rng.choice((frozenset({"dns"}), frozenset({"dns"}), frozenset({"dns", "http"}), frozenset())),
        init=rng.random() < 0.15,
        seed=seed,
    )
    links, services = _links(rng, workloads, outside)
    cluster = replace(cluster, links=links, services=services, scans=_scans(rng, workloads))
    if governed:
        mine = [w.key for w in workloads if not w.cluster]
        cluster = cluster.with_policies(*fence(cluster, rng.sample(mine, rng.randint(1, len(mine)))))
    return cluster


def large_cluster(workloads: int = 500, links: int = 5000, seed: int = 0) -> Cluster:
    """Return a plain cluster of many workloads, two pods each, and about ``links`` links among them."""
    rng = random.Random(seed)
    every = [
        Workload(f"team-{i % 25}", f"svc-{i}", labels={"app": f"svc-{i}"}, probe=8080)
        for i in range(workloads)
    ]
    services = tuple(Service(w.name, w.key, {80: 8080}) for w in every)
    drawn: dict[tuple[str, str, int], Link] = {}
    for _ in range(links):
        src, dst = rng.sample(every, 2)
        port = rng.choice((8080, 8080, 9090, 5432))
        drawn.setdefault((src.key, dst.key, port), Link(src.key, dst.key, port))
    return Cluster(
        name="large",
        nodes=(Node("cp", control_plane=True), *(Node(f"node-{i}") for i in range(20))),
        workloads=(*every, coredns()),
        services=(*services, Service("kube-dns", "kube-system/coredns", {53: 53})),
        links=tuple(drawn.values()),
        seed=seed,
    )


def clusters(governed: bool = False) -> st.SearchStrategy[Cluster]:
    """Return a Hypothesis strategy of random clusters."""
    return st.integers(0, 2**32 - 1).map(lambda seed: random_cluster(seed, governed))


def _workloads(rng: random.Random) -> list[Workload]:
    """Draw workloads; some share a name across namespaces, or labels but one, or carry labels that vary."""
    drawn: dict[str, Workload] = {}
    spaces = rng.sample(_SPACES, rng.randint(1, 3))
    for i in range(rng.randint(2, 7)):
        name, space = rng.choice(_NAMES), rng.choice(spaces)
        labels = {"app": name}
        if rng.random() < 0.4:
            labels = {"app": "suite", "tier": name}
        if rng.random() < 0.3:
            labels |= {"app.kubernetes.io/version": f"1.{i}.0", "helm.sh/chart": f"{name}-0.{i}"}
        if rng.random() < 0.2:
            labels["env"] = rng.choice(("prod", "test"))
        work = Workload(
            space,
            name,
            rng.choice(_KINDS),
            rng.randint(1, 3),
            labels,
            account=name if rng.random() < 0.5 else "",
            probe=rng.choice((0, 8080)),
            noise=rng.random() < 0.25,
            cluster="west" if rng.random() < 0.07 and i > 1 else "",
        )
        drawn.setdefault(work.key, work)
    return list(drawn.values())


def _outside(rng: random.Random) -> tuple[Outside, ...]:
    every = (
        users(40, "203.0.113"),
        Outside("saas", ("192.0.2.10", "192.0.2.11"), "api.saas.example", cname="edge.cdn.example"),
        Outside(
            "cloud", tuple(f"192.0.2.{i}" for i in range(40, 46)), "*.cloud.example", ("a", "b", "store-1")
        ),
        Outside("partner", ("198.51.100.7", "198.51.100.8")),
        Outside("six", ("2001:db8::7",), "six.example"),
    )
    return tuple(rng.sample(every, rng.randint(1, len(every))))


def _links(
    rng: random.Random, workloads: Sequence[Workload], outside: Sequence[Outside]
) -> tuple[tuple[Link, ...], tuple[Service, ...]]:
    """Draw links among pods, to and from outside and the API server, and Services before some of them."""
    links: dict[tuple[object, ...], Link] = {}
    mine = [w.key for w in workloads]
    far = [f"world:{o.name}" for o in outside]
    for _ in range(rng.randint(3, 12)):
        src, dst = rng.choice(mine), rng.choice(mine)
        shape = rng.random()
        if shape < 0.2:
            dst = rng.choice(far)
        elif shape < 0.35:
            src, dst = rng.choice(far), src
        elif shape < 0.42:
            dst = "entity:kube-apiserver"
        elif shape < 0.47:
            src, dst = rng.choice(("entity:remote-node", "entity:ingress")), src
        if src != dst:
            link = _link(rng, src, dst)
            links.setdefault((src, dst, link.port, link.proto), link)
    served = {
        link.dst: link.port for link in links.values() if link.dst in mine and isinstance(link.port, int)
    }
    services = [
        Service(key.split("/")[1], key, {rng.choice((port, 80)): port})
        for key, port in served.items()
        if port and rng.random() < 0.6
    ]
    services.append(Service("kube-dns", "kube-system/coredns", {53: 53}))
    return tuple(links.values()), tuple(services)


def _link(rng: random.Random, src: str, dst: str) -> Link:
    kind = rng.random()
    if dst == "entity:kube-apiserver":
        return Link(src, dst, 6443)
    if kind < 0.06:
        return Link(src, dst, proto="ICMP", icmp=8)
    if kind < 0.12:
        return Link(src, dst, (16384, 16384 + rng.randint(50, 2000)), "UDP")
    if kind < 0.18:
        return Link(src, dst, 3868, "SCTP")
    if kind < 0.28:
        return Link(
            src, dst, rng.choice((514, 8125)), "UDP", drops=rng.choice(("", "CT_MAP_INSERTION_FAILED"))
        )
    http: tuple[tuple[str, str], ...] = (("GET", "/items/{int}"), ("POST", "/items")) if kind < 0.5 else ()
    return Link(src, dst, rng.choice(_PORTS), http=http, direct=rng.random() < 0.3)


def _scans(rng: random.Random, workloads: Sequence[Workload]) -> tuple[Scan, ...]:
    if rng.random() < 0.6 or len(workloads) < 2:
        return ()
    return (Scan(rng.choice(workloads).key, rng.randint(30, 80), proto=rng.choice(("TCP", "TCP", "UDP"))),)
