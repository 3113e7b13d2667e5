"""Decide which connections happen and when: every link at least once for every pair of identities, then by weight."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.cluster.deploy import Deployed, End, uuid
from tests.cluster.model import Capture, Cluster, Link, Scan, Service

SECOND = 1_000_000_000
EVENTS_A_CONNECTION = 8
_LOOKUP_AGAIN = 0.25
_SEARCH = 0.2
_WORDS = ("amber", "basil", "cedar", "dahlia", "ember", "fennel", "ginger", "hazel", "indigo", "juniper")


@dataclass(frozen=True, slots=True)
class Query:
    """One DNS question and its answer; ``name`` without the final dot."""

    name: str
    qtype: str = "A"
    ips: tuple[str, ...] = ()
    cname: str = ""
    rcode: int = 0


@dataclass(slots=True, eq=False)
class Connection:
    """One connection attempt; ``start`` in nanoseconds from the capture's start. ``verdict`` comes from the judge."""

    start: int
    src: End
    dst: End
    family: str
    proto: str
    port: int
    client: int
    link: Link | None = None
    service: tuple[Service, int] | None = None
    requests: tuple[tuple[str, str], ...] = ()
    queries: tuple[Query, ...] = ()
    name: str = ""
    needs: Connection | None = None
    listening: bool = True
    drops: str = ""
    verdict: dict[str, object] = field(default_factory=dict)
    answers: list[dict[str, object]] = field(default_factory=list)

    @property
    def icmp(self) -> bool:
        """Tell whether ``port`` is an ICMP type."""
        return self.proto.startswith("ICMP")


def all_links(cluster: Cluster) -> tuple[Link, ...]:
    """Return the stated links and those that follow from them: kubelet probes and DNS lookups."""
    probes = [Link("entity:host", w.key, w.probe, weight=2) for w in cluster.workloads if w.probe]
    return (*cluster.links, *probes, *dns_links(cluster))


def dns_links(cluster: Cluster) -> list[Link]:
    """Return one link to the resolver for every workload that has a name to look up."""
    sources: dict[str, None] = {}
    for link in cluster.links:
        if (
            not link.direct
            and "/" in link.src
            and link.src != cluster.resolver
            and target_name(cluster, link)
        ):
            sources[link.src] = None
    resolvers = [w for w in cluster.workloads if w.key == cluster.resolver]
    return [Link(src, cluster.resolver, 53, "UDP", weight=0) for src in sources if resolvers]


def target_name(cluster: Cluster, link: Link) -> str:
    """Return the name (or wildcard) a client looks up before it follows a link, "" for none."""
    if link.dst.startswith("world:"):
        return next(o.dns for o in cluster.outside if f"world:{o.name}" == link.dst)
    for service in cluster.services:
        if service.workload == link.dst and link.port in service.ports.values():
            return f"{service.name}.{link.dst.split('/')[0]}.svc.cluster.local"
    return ""


class Planner:
    """Plans one capture of a deployed cluster; the same arguments give the same plan."""

    def __init__(self, deployed: Deployed, capture: Capture) -> None:
        self.deployed = deployed
        self.cluster = deployed.cluster
        self.rng = random.Random(f"{self.cluster.name}/{self.cluster.seed}/{capture.day}/{capture.seed}/plan")
        self.span = int(capture.hours * 3600 * SECOND)
        ports = [link.port for link in all_links(self.cluster)]
        self.listeners = {p for p in ports if isinstance(p, int)}
        self._asked: dict[Link, list[str]] = {}
        self.ranges = [p for p in ports if isinstance(p, tuple)]

    def plan(self, events: int) -> list[Connection]:
        """Return connections in order of time that give about ``events`` events, never fewer than all links."""
        links = [link for link in all_links(self.cluster) if link.dst != self.cluster.resolver or link.weight]
        base = [c for link in links for c in self._each_pair(link)]
        base += [c for scan in self.cluster.scans for c in self._scan(scan)]
        base += list(self._health()) if self.cluster.health else []
        weights = [link.weight for link in links]
        for _ in range(max(0, events // EVENTS_A_CONNECTION - len(base)) if links else 0):
            link = self.rng.choices(links, weights)[0]
            base += self._some_pair(link)
        base.sort(key=lambda c: c.start)
        return self._with_lookups(base)

    # ---- who meets whom

    def ends(self, name: str, other: End | None) -> list[End]:
        """Return the ends a party's name stands for, as seen from ``other`` where that matters."""
        kind, _, rest = name.partition(":")
        if kind == "world":
            return [self.deployed.world(ip, rest) for ip in self.deployed.outside[rest].ips]
        if kind != "entity":
            return self.deployed.pods[name]
        nodes = [n.name for n in self.cluster.nodes]
        if rest == "kube-apiserver":
            return [self.deployed.apiserver()]
        if rest == "remote-node":
            away = [n for n in nodes if other is None or n != other.node]
            return [self.deployed.entity("remote-node", n) for n in away]
        if rest == "host" and other is not None and other.kind == "pod":
            return [self.deployed.entity("router", other.node)] if other.node else []
        return [self.deployed.entity(rest, n) for n in nodes]

    def _pairs(self, link: Link) -> list[tuple[End, End]]:
        if link.src.startswith("entity:"):
            return [(s, d) for d in self.ends(link.dst, None) for s in self.ends(link.src, d) if s is not d]
        return [(s, d) for s in self.ends(link.src, None) for d in self.ends(link.dst, s) if s is not d]

    def _each_pair(self, link: Link) -> Iterator[Connection]:
        """Yield connections that show a link whole: identities, families, names, ports' bounds, requests."""
        pairs: dict[tuple[object, ...], tuple[End, End]] = {}
        seen_from: dict[str, int] = {}
        for s, d in self._pairs(link):
            outside = s.addresses.values() if s.kind == "world" else d.addresses.values()
            key = (s.labels, d.labels, *(outside if "world" in (s.kind, d.kind) else ()))
            seen_from[s.key + d.key] = seen_from.get(s.key + d.key, 0) + 1
            if key not in pairs and (s.kind != "world" or seen_from[s.key + d.key] <= 24):
                pairs[key] = (s, d)
        ports = [*link.port] if isinstance(link.port, tuple) else [link.port]
        names = self._names(link) or [""]
        turns = max(len(link.http), len(names), len(ports))
        for s, d in pairs.values():
            for family in self._families(s, d):
                for turn in range(turns):
                    request = (link.http[turn % len(link.http)],) if link.http else ()
                    made = self._connect(link, s, d, family, ports[turn % len(ports)], request)
                    if made is not None:
                        made.name = names[turn % len(names)]
                        yield made

    def _some_pair(self, link: Link) -> list[Connection]:
        """Return one connection over a link, drawn at random (none where two runs never overlap)."""
        src = self.rng.choice(self.ends(link.src, None)) if not link.src.startswith("entity:") else None
        targets = self.ends(link.dst, src)
        dst = self.rng.choice(targets) if targets else None
        src = src or self.rng.choice(self.ends(link.src, dst) or [None])  # type: ignore[list-item]
        if src is None or dst is None or src is dst:
            return []
        families = self._families(src, dst)
        if not families:
            return []
        port = self.rng.randint(*link.port) if isinstance(link.port, tuple) else link.port
        request = tuple(self.rng.choices(link.http, k=self.rng.choice((1, 1, 2)))) if link.http else ()
        made = self._connect(link, src, dst, self.rng.choice(families), port, request)
        if made is None:
            return []
        names = self._names(link)
        made.name = self.rng.choice(names) if names else ""
        return [made]

    def _names(self, link: Link) -> list[str]:
        if link not in self._asked:
            self._asked[link] = self._names_of(link)
        return self._asked[link]

    def _names_of(self, link: Link) -> list[str]:
        if link.direct or not target_name(self.cluster, link):
            return []
        if link.dst.startswith("world:"):
            return self.deployed.names_of(self.deployed.outside[link.dst[6:]])
        return [target_name(self.cluster, link)]

    @staticmethod
    def _families(src: End, dst: End) -> list[str]:
        return [family for family in src.addresses if family in dst.addresses]

    def _connect(
        self, link: Link, src: End, dst: End, family: str, port: int, request: tuple[tuple[str, str], ...]
    ) -> Connection | None:
        low, high = max(src.window[0], dst.window[0]), min(src.window[1], dst.window[1])
        if low >= high or not (src.node or dst.node):
            return None  # two runs that never overlap; two ends of which no node here sees anything
        proto, number = link.proto, port
        if link.icmp >= 0:
            v6 = family == "IPv6"
            proto, number = (
                ("ICMPv6", 128) if v6 and link.icmp == 8 else ("ICMPv6" if v6 else "ICMP", link.icmp)
            )
        made = Connection(
            start=int(self.rng.uniform(low, high) * self.span) + 100_000_000,
            src=src,
            dst=dst,
            family=family,
            proto=proto,
            port=number,
            client=self.client_port(),
            link=link,
            requests=tuple((method, self._fill(path)) for method, path in request),
            drops=link.drops if self.rng.random() < 0.1 else "",
        )
        if not link.direct and src.kind == "pod" and dst.kind == "pod" and link.icmp < 0:
            made.service = self.deployed.service_for(link.dst, port)
        return made

    def client_port(self) -> int:
        """Return an ephemeral port that nobody listens on."""
        while True:
            port = self.rng.randrange(32768, 61000)
            if not self._listened(port):
                return port

    def _listened(self, port: int) -> bool:
        return port in self.listeners or any(low <= port <= high for low, high in self.ranges)

    def _fill(self, path: str) -> str:
        rng = self.rng
        while "{int}" in path:
            path = path.replace("{int}", str(rng.randrange(1, 1_000_000)), 1)
        while "{uuid}" in path:
            path = path.replace("{uuid}", uuid(rng), 1)
        while "{hex}" in path:
            path = path.replace("{hex}", f"{rng.getrandbits(48):012x}", 1)
        while "{word}" in path:
            path = path.replace("{word}", rng.choice(_WORDS), 1)
        return path

    # ---- what nobody asked for

    def _scan(self, scan: Scan) -> Iterator[Connection]:
        """Yield a scan's probes, in a few bursts, to ports that the target does not offer."""
        targets = [end for key in scan.targets for end in self.ends(key, None)]
        targets = targets or [p for key, pods in self.deployed.pods.items() if key != scan.src for p in pods]
        sources = self.ends(scan.src, None)
        bursts = [self.rng.randrange(self.span) for _ in range(3)]
        closed = [p for p in range(scan.ports[0], scan.ports[1] + 1) if not self._listened(p)]
        for k in range(scan.probes if closed else 0):
            src, dst = sources[k % len(sources)], self.rng.choice(targets)
            families = self._families(src, dst)
            if src is dst or not families:
                continue
            port = self.rng.choice(closed)
            start = bursts[k % len(bursts)] + k * 40_000_000 + 100_000_000
            yield Connection(
                start, src, dst, families[0], scan.proto, port, self.client_port(), listening=False
            )

    def _health(self) -> Iterator[Connection]:
        """Yield what cilium-health does: every node asks every other's health endpoint."""
        nodes = [n.name for n in self.cluster.nodes]
        for a in nodes:
            for b in nodes:
                if a == b:
                    continue
                src, dst = self.deployed.entity("remote-node", a), self.deployed.entity("health", b)
                family = self.cluster.families[0]
                for proto, port in (("ICMP", 8) if family == "IPv4" else ("ICMPv6", 128), ("TCP", 4240)):
                    start = self.rng.randrange(self.span)
                    yield Connection(start, src, dst, family, proto, port, self.client_port())

    # ---- names come first

    def _with_lookups(self, base: list[Connection]) -> list[Connection]:
        """Return the plan with a DNS lookup before each connection that needs its name (again)."""
        resolvers = self.deployed.pods.get(self.cluster.resolver, [])
        known: dict[tuple[str, str], Connection] = {}
        planned: list[Connection] = []
        for each in base:
            if each.name and each.src.kind == "pod" and resolvers and each.src.node:
                key = (each.src.pod, each.name)
                if key not in known or self.rng.random() < _LOOKUP_AGAIN:
                    known[key] = self._lookup(each, self.rng.choice(resolvers))
                    planned.append(known[key])
                each.needs = known[key]
            planned.append(each)
        planned.sort(key=lambda c: c.start)
        return planned

    def _lookup(self, asker: Connection, resolver: End) -> Connection:
        families = self._families(asker.src, resolver) or [asker.family]
        made = Connection(
            start=asker.start - self.rng.randrange(20_000_000, 70_000_000),
            src=asker.src,
            dst=resolver,
            family=families[0],
            proto="UDP",
            port=53,
            client=self.client_port(),
            service=self.deployed.service_for(self.cluster.resolver, 53),
            queries=tuple(self._queries(asker)),
        )
        return made

    def _queries(self, asker: Connection) -> Iterator[Query]:
        name, cname = asker.name, ""
        if asker.service is not None:
            service = asker.service[0]
            answers = {f: self.deployed.service_address(service, f) for f in self.cluster.families}
        else:
            host = self.deployed.outside[asker.dst.key.partition(":")[2]]
            cname = host.cname
            answers = {asker.family: asker.dst.addresses[asker.family]}
            if self.rng.random() < _SEARCH:  # the resolver's search list comes first, and misses
                for suffix in (f"{asker.src.namespace}.svc", "svc", ""):
                    yield Query(".".join(p for p in (name, suffix, "cluster.local") if p), rcode=3)
        for family, qtype in (("IPv4", "A"), ("IPv6", "AAAA")):
            if family in answers:
                yield Query(name, qtype, (answers[family],), cname)
