"""The truth of a capture as questions to the engine: who is who, and what each edge asks for."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Party = dict[str, Any]
Query = dict[str, Any]

WORLD_CROWD = 32
"""Nameless addresses of one host from which on it stands for the whole internet."""

_CLUSTER = "k8s:io.cilium.k8s.policy.cluster="
_ADDRESSES = 12
_NAMES = 6


@dataclass(frozen=True, slots=True, order=True)
class Triple:
    """Who wants to reach whom, over what: keys of the truth, a protocol and a port, range or ICMP type."""

    src: str
    dst: str
    protocol: str
    low: int
    high: int

    def __str__(self) -> str:
        """Return `shop/frontend -> shop/cart 7070/TCP`."""
        span = f"{self.low}" if self.low == self.high else f"{self.low}-{self.high}"
        return f"{self.src} -> {self.dst} {span}/{self.protocol}"


@dataclass(frozen=True)
class Truth:
    """One truth file, parsed. ``known`` is the truth of the day of the capture: whose names were learnable."""

    data: Mapping[str, Any]
    seed: int = 1
    rng: random.Random = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rng", random.Random(self.seed))

    @cached_property
    def labels(self) -> dict[str, list[str]]:
        """Labels by key."""
        return {each["key"]: list(each["labels"]) for each in self.data["identities"]}

    @cached_property
    def pods(self) -> list[str]:
        """Keys of all pods."""
        return [key for key in self.labels if not key.startswith("entity:")]

    @cached_property
    def governed(self) -> list[str]:
        """Keys of the pods whose policies are demanded: not the platform's, and not another cluster's."""
        spared = set(self.data.get("ungoverned", ()))
        return [
            key for key in self.pods if key not in spared and f"{_CLUSTER}{self.cluster}" in self._homes(key)
        ]

    def _homes(self, key: str) -> list[str]:
        labels = [label for label in self.labels[key] if label.startswith(_CLUSTER)]
        return labels or [f"{_CLUSTER}{self.cluster}"]

    @cached_property
    def edges(self) -> list[Mapping[str, Any]]:
        """Edges that are meant and were let through; what a kubelet asks of its pods needs no policy."""
        return [
            edge
            for edge in self.data["edges"]
            if edge.get("intended", True) and not edge.get("denied") and edge["src"] != "entity:host"
        ]

    @cached_property
    def dual(self) -> bool:
        """Whether there is IPv6 in it, so that outside addresses need the labels of dual stack."""
        return any(":" in ip for host in self.data["outside"].values() for ip in host["ips"])

    @cached_property
    def cluster(self) -> str:
        """The name of the cluster that most pods are of; policies are those of its agents."""
        named = Counter(
            label.removeprefix(_CLUSTER)
            for key in self.pods
            for label in self.labels[key]
            if label.startswith(_CLUSTER)
        )
        return named.most_common(1)[0][0] if named else "default"

    @cached_property
    def resolvers(self) -> set[str]:
        """Keys of those that answer DNS."""
        return {edge["dst"] for edge in self.data["edges"] if edge.get("dns") or edge.get("port") == 53}

    def triple(self, edge: Mapping[str, Any]) -> Triple:
        """Return what an edge asks for."""
        if "icmp" in edge:
            proto = "ICMPv6" if "6" in str(edge.get("proto", "")) else "ICMP"
            return Triple(edge["src"], edge["dst"], proto, edge["icmp"], edge["icmp"])
        port = edge["port"]
        low, high = port if isinstance(port, (list, tuple)) else (port, port)
        return Triple(edge["src"], edge["dst"], edge["proto"], low, high)

    def is_crowd(self, key: str) -> bool:
        """Tell whether a key is an outside host that stands for the whole internet."""
        host = self.data["outside"].get(key.removeprefix("world:"), {}) if key.startswith("world:") else {}
        return bool(host) and not self.names_of(host) and len(host["ips"]) >= WORLD_CROWD

    def implied(self, key: str) -> list[str]:
        """Return the entities whose rule means this one too: a control-plane node is a remote node as well."""
        if not key.startswith("entity:"):
            return []
        own = set(self.labels.get(key, ()))
        return [
            other
            for other, labels in self.labels.items()
            if other.startswith("entity:") and set(labels) < own
        ]

    def names_of(self, host: Mapping[str, Any], fresh: bool = False) -> list[str]:
        """Return the DNS names of an outside host, under a wildcard also (`fresh`) ones that nobody saw."""
        if "wild" not in host:
            return [host["name"]] if host.get("name") else []
        suffix = host["wild"].lstrip("*")
        seen = [sub + suffix for sub in host.get("subs", ())]
        return [f"fresh-{self.rng.getrandbits(24):06x}{suffix}" for _ in range(2)] if fresh else seen

    def parties(self, key: str, fresh: bool = False) -> list[Party]:
        """Return the parties behind a key: one, or of an outside host a sample of its addresses and names."""
        if not key.startswith("world:"):
            return [{"labels": self.labels[key]}]
        host = self.data["outside"][key.removeprefix("world:")]
        ips = host["ips"] if len(host["ips"]) <= _ADDRESSES else self.rng.sample(host["ips"], _ADDRESSES)
        names = self.names_of(host, fresh)
        names = names if len(names) <= _NAMES else self.rng.sample(names, _NAMES)
        return [outside(ip, [name] if name else [], self.dual) for ip in ips for name in names or [""]]

    def ports(self, triple: Triple) -> list[int]:
        """Return the ports to try: all of a small range, the ends and a sample of a large one."""
        if triple.high - triple.low < 12:
            return list(range(triple.low, triple.high + 1))
        return [triple.low, triple.high, *(self.rng.randint(triple.low, triple.high) for _ in range(10))]

    def requests(self, edge: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return one request of every kind on an edge, its ids filled in anew."""
        return [{"method": method, "path": self._filled(path)} for method, path in edge.get("http", ())]

    def _filled(self, path: str) -> str:
        fills = {
            "{int}": lambda: str(self.rng.randint(1, 99999)),
            "{uuid}": lambda: str(uuid.UUID(int=self.rng.getrandbits(128), version=4)),
            "{hex}": lambda: f"{self.rng.getrandbits(96):024x}",
            "{word}": lambda: "".join(self.rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(7)),
        }
        for hole, fill in fills.items():
            while hole in path:
                path = path.replace(hole, fill(), 1)
        return path


def outside(ip: str, names: Sequence[str], dual: bool) -> Party:
    """Return the party of an address beyond the cluster, with the names learned for it."""
    family = "6" if ":" in ip else "4"
    world = f"reserved:world-ipv{family}" if dual else "reserved:world"
    return {"labels": [world], "ip": ip, "names": list(names)}


def strangers(truth: Truth) -> Iterator[Party]:
    """Yield outside parties that no truth knows: far away, private, of the other family, with a name and without."""
    known = {ip for host in truth.data["outside"].values() for ip in host["ips"]}
    names = ["", "stranger.example.org", "cdn.unknown-vendor.net"]
    ips = ["192.0.2.77", "8.8.4.4", "45.33.32.156", "172.30.9.9", "10.200.7.7", "100.100.3.3"]
    ips += ["2001:db8:77::1", "fd12:3456::9"] if truth.dual else []
    for place, ip in enumerate(ips):
        if ip not in known:
            name = names[place % len(names)]
            yield outside(ip, [name] if name else [], truth.dual)
