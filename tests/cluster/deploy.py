"""A cluster on one day: pods with names, addresses and numeric identities, and every other end of a flow."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tests.cluster.model import Cluster, Outside, Policy, Service, Workload

NAMESPACE = "io.kubernetes.pod.namespace"
POD_CIDR = {"IPv4": "10.244", "IPv6": "fd00:10:244"}
_CLUSTER_LABEL = "k8s:io.cilium.k8s.policy.cluster"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_WORLD = {"IPv4": (9, "reserved:world-ipv4"), "IPv6": (10, "reserved:world-ipv6")}


@dataclass(slots=True, eq=False)
class End:
    """One end of a flow. ``judged`` are the labels a verdict is asked with; ``labels`` those Hubble shows."""

    kind: str
    key: str
    addresses: dict[str, str]
    identity: int
    labels: tuple[str, ...]
    node: str = ""
    namespace: str = ""
    pod: str = ""
    workload: tuple[str, str] = ("", "")
    endpoint: int = 0
    cluster: str = ""
    named_ports: dict[str, str] = field(default_factory=dict)
    judged: tuple[str, ...] = ()
    window: tuple[float, float] = (0.0, 1.0)
    shown: dict[tuple[bool, bool], dict[str, Any]] = field(default_factory=dict)

    def party(self, family: str, names: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return this end as a party of a verdict query (the form of conformance cases)."""
        party: dict[str, Any] = {"labels": list(self.judged or self.labels)}
        if self.kind != "pod":
            party["ip"] = self.addresses[family]
        if names:
            party["names"] = list(names)
        if self.named_ports:
            party["named_ports"] = self.named_ports
        return party


class Deployed:
    """The ends of a cluster on ``day``; another day has other pod names, run ids, hashes and numbers."""

    def __init__(self, cluster: Cluster, day: int = 0) -> None:
        self.cluster = cluster
        self.day = day
        self.rng = random.Random(f"{cluster.name}/{cluster.seed}/{day}/pods")
        self.prefixes = sorted(policy_prefixes(cluster.policies), key=lambda net: (-net.prefixlen, str(net)))
        self._placed = 0
        self.pods: dict[str, list[End]] = {w.key: self._pods(w) for w in cluster.workloads}
        self._number()
        self._behind = {
            (s.workload, port): (s, own) for s in cluster.services for own, port in s.ports.items()
        }
        self._places = {(s.workload, s.name): i for i, s in enumerate(cluster.services)}
        self.outside = {each.name: each for each in cluster.outside}
        self._world: dict[str, End] = {}
        self._learned: dict[str, int] = {}
        self._entities: dict[tuple[str, str], End] = {}

    # ---- pods

    def _pods(self, workload: Workload) -> list[End]:
        nodes = self._nodes_for(workload)
        release = self._hash(10)
        count = len(nodes) if workload.kind == "DaemonSet" else workload.replicas
        return [self._pod(workload, i, count, nodes[i % len(nodes)], release) for i in range(count)]

    def _nodes_for(self, workload: Workload) -> list[str]:
        nodes = list(self.cluster.nodes)
        if workload.cluster:
            return [""]
        if workload.nodes:
            return list(workload.nodes)
        if workload.kind == "DaemonSet":
            return [n.name for n in nodes]
        names = [n.name for n in nodes if not n.control_plane] or [n.name for n in nodes]
        first = self.rng.randrange(len(names))
        return names[first:] + names[:first]

    def _pod(self, workload: Workload, i: int, count: int, node: str, release: str) -> End:
        name, per_pod, window = self._name(workload, i, count, release)
        labels = self._labels(workload, per_pod)
        return End(
            kind="pod",
            key=workload.key,
            addresses=self._addresses(node),
            identity=0,
            labels=labels,
            node=node,
            judged=self._judged(labels),
            namespace=workload.namespace,
            pod=name,
            workload=(workload.name, workload.kind) if workload.kind != "Pod" else (name, "Pod"),
            endpoint=self.rng.randrange(20, 4000) if node else 0,
            cluster=workload.cluster or self.cluster.name,
            named_ports=dict(workload.named_ports),
            window=window,
        )

    def _name(
        self, workload: Workload, i: int, count: int, release: str
    ) -> tuple[str, dict[str, str], tuple[float, float]]:
        """Return a pod's name, the labels that are its own, and the part of the capture it lives in."""
        name, window, own = workload.name, (0.0, 1.0), {}
        if workload.kind == "StatefulSet":
            pod = f"{name}-{i}"
            own = {"statefulset.kubernetes.io/pod-name": pod, "apps.kubernetes.io/pod-index": str(i)}
            own["controller-revision-hash"] = f"{name}-{release}"
        elif workload.kind == "DaemonSet":
            pod = f"{name}-{self._hash(5)}"
            own = {"controller-revision-hash": release, "pod-template-generation": str(1 + self.day)}
        elif workload.kind == "CronJob":
            run = f"{name}-{29000000 + 1440 * self.day + 30 * i + workload.replicas}"
            pod = f"{run}-{self._hash(5)}"
            own = {"controller-uid": self._uid(), "batch.kubernetes.io/controller-uid": self._uid()}
            window = (i / count, (i + 1) / count)
        elif workload.kind == "Pod":
            pod = name if count == 1 else f"{name}-{i}"
        else:
            pod = f"{name}-{release}-{self._hash(5)}"
            own = {"pod-template-hash": release}
        own = own if workload.noise else {}
        if workload.kind == "CronJob":  # these two survive Cilium's default label filter
            own |= {"job-name": run, "batch.kubernetes.io/job-name": run}
        return pod, own, window

    def _labels(self, workload: Workload, per_pod: dict[str, str]) -> tuple[str, ...]:
        namespace = workload.namespace
        labels = dict(workload.labels or {"app": workload.name}) | per_pod
        labels[NAMESPACE] = namespace
        labels["io.cilium.k8s.policy.cluster"] = workload.cluster or self.cluster.name
        labels["io.cilium.k8s.policy.serviceaccount"] = workload.account or "default"
        of_namespace = {"kubernetes.io/metadata.name": namespace}
        of_namespace |= dict(self.cluster.namespace_labels.get(namespace, {}))
        labels |= {f"io.cilium.k8s.namespace.labels.{k}": v for k, v in of_namespace.items()}
        return tuple(sorted(f"k8s:{k}={v}" for k, v in labels.items()))

    def _judged(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return labels with this cluster called ``default``, as a judge of conformance cases knows it."""
        mine = f"{_CLUSTER_LABEL}={self.cluster.name}"
        return tuple(f"{_CLUSTER_LABEL}=default" if label == mine else label for label in labels)

    def _addresses(self, node: str) -> dict[str, str]:
        index = next((k for k, n in enumerate(self.cluster.nodes) if n.name == node), 100)
        host = 10 + self._placed % 240
        index += self._placed // 240 * max(7, len(self.cluster.nodes))
        self._placed += 1
        v4, v6 = POD_CIDR["IPv4"], POD_CIDR["IPv6"]
        both = {"IPv4": f"{v4}.{index % 256}.{host}", "IPv6": f"{v6}:{index:x}::{host:x}"}
        return {family: both[family] for family in self.cluster.families}

    def _number(self) -> None:
        """Give each set of labels a numeric identity; numbers are dealt anew each day, as clusters do."""
        sets = sorted({pod.labels for pods in self.pods.values() for pod in pods})
        numbers = [1000 + 7 * k + self.cluster.seed % 900 for k in range(len(sets))]
        self.rng.shuffle(numbers)
        identities = dict(zip(sets, numbers, strict=True))
        for pods in self.pods.values():
            several = len({pod.labels for pod in pods}) > 1
            for pod in pods:
                pod.identity = identities[pod.labels]
                pod.key = f"{pod.key}/{pod.pod}" if several else pod.key

    def _hash(self, length: int) -> str:
        return "".join(self.rng.choices(_ALPHABET, k=length))

    def _uid(self) -> str:
        return uuid(self.rng)

    # ---- everything that is not a pod

    def every_pod(self) -> Iterator[End]:
        """Yield all pods, those of other clusters too."""
        for pods in self.pods.values():
            yield from pods

    def world(self, ip: str, name: str = "world") -> End:
        """Return the end of an outside address, with the label of the longest prefix a policy knows."""
        if ip not in self._world:
            family = "IPv6" if ":" in ip else "IPv4"
            identity, label = _WORLD[family] if len(self.cluster.families) > 1 else (2, "reserved:world")
            labels: tuple[str, ...] = (label,)
            address = ipaddress.ip_address(ip)
            known = next((net for net in self.prefixes if address in net), None)
            if known is not None:
                identity = 16777217 + self.prefixes.index(known)
                labels = (f"cidr:{known}".replace(":", "-").replace("cidr-", "cidr:"), label)
            self._world[ip] = End("world", f"world:{name}", {family: ip}, identity, labels, judged=(label,))
        return self._world[ip]

    def named(self, end: End, selector: str, legacy: bool) -> End:
        """Return an outside end as seen once its name was learned for a toFQDNs selector."""
        ip = next(iter(end.addresses.values()))
        label = f"cidr:{ip}/{128 if ':' in ip else 32}".replace(":", "-").replace("cidr-", "cidr:")
        label = label if legacy else f"fqdn:{selector}"
        key = f"{ip} {label}"
        if key not in self._world:
            number = self._learned.setdefault(label, 16777217 + 500 + len(self._learned))
            labels = (label, *end.judged)
            self._world[key] = replace(end, identity=number, labels=labels, shown={})
        return self._world[key]

    def entity(self, name: str, node: str) -> End:
        """Return ``host``, ``router`` (host's address towards pods), ``remote-node``, ``health`` … of a node."""
        if (name, node) not in self._entities:
            self._entities[name, node] = self._entity(name, node)
        return self._entities[name, node]

    def _entity(self, name: str, node: str) -> End:
        if name == "kube-apiserver" and not node:
            v6 = {"IPv6": "2001:db8:ffff::250"} if "IPv6" in self.cluster.families else {}
            labels = ("reserved:kube-apiserver", "reserved:world")
            return End(
                "entity", "entity:kube-apiserver", {"IPv4": "192.0.2.250"} | v6, 16777217 + 900, labels
            )
        index, found = next((i, n) for i, n in enumerate(self.cluster.nodes) if n.name == node)
        addresses = {"IPv4": f"172.18.0.{2 + index}", "IPv6": f"fc00:f853:ccd:e793::{2 + index:x}"}
        endpoint = 0
        own: tuple[str, ...] = ()
        if name in ("router", "health", "ingress"):
            last = {"router": 1, "health": 4, "ingress": 5}[name]
            v4, v6s = POD_CIDR["IPv4"], POD_CIDR["IPv6"]
            addresses = {"IPv4": f"{v4}.{index}.{last}", "IPv6": f"{v6s}:{index:x}::{last}"}
            endpoint = self.rng.randrange(20, 4000)
        if name in ("host", "router") and self.cluster.config.get("host_firewall", False):
            own = tuple(sorted(f"k8s:{k}={v}" for k, v in found.labels.items()))
            endpoint = 200 + index
        identity, *labels = _RESERVED[name]
        kept = {f: addresses[f] for f in self.cluster.families}
        place = "" if name in ("remote-node", "kube-apiserver") else node
        key = f"entity:{'host' if name == 'router' else name}"
        return End("entity", key, kept, int(identity), (*own, *map(str, labels)), place, endpoint=endpoint)

    def apiserver(self) -> End:
        """Return the API server: a control-plane node's, or one outside when no node carries it."""
        return self.entity(
            "kube-apiserver", next((n.name for n in self.cluster.nodes if n.control_plane), "")
        )

    def service_for(self, key: str, port: int) -> tuple[Service, int] | None:
        """Return the Service in front of a workload's port and its own port, if there is one."""
        return self._behind.get(("/".join(key.split("/")[:2]), port))

    def service_address(self, service: Service, family: str) -> str:
        """Return a Service's ClusterIP."""
        i = 10 + self._places[service.workload, service.name]
        return f"10.96.{i // 250}.{i % 250}" if family == "IPv4" else f"fd00:10:96::{i:x}"

    def names_of(self, host: Outside) -> list[str]:
        """Return the names an outside host goes by; a later day has other names under its wildcard."""
        if not host.dns.startswith("*."):
            return [host.dns] if host.dns else []
        subs = (
            list(host.subs) if self.day == 0 else [f"{s}{self.day}" for s in host.subs] + list(host.subs[:1])
        )
        return [host.dns.replace("*", sub, 1) for sub in subs]


_RESERVED: dict[str, tuple[Any, ...]] = {
    "host": (1, "reserved:host"),
    "router": (1, "reserved:host"),
    "remote-node": (6, "reserved:remote-node"),
    "kube-apiserver": (7, "reserved:kube-apiserver", "reserved:remote-node"),
    "health": (4, "reserved:health"),
    "ingress": (8, "reserved:ingress"),
}


def uuid(rng: random.Random) -> str:
    """Return a random UUID (version 4) drawn from ``rng``."""
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _values(node: Any, names: tuple[str, ...]) -> Iterator[Any]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in names:
                yield value
            yield from _values(value, names)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _values(value, names)


def policy_prefixes(
    policies: tuple[Policy, ...],
) -> set[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Return every CIDR that policies name: Cilium gives addresses in them an identity of their own."""
    names = ("fromCIDR", "toCIDR", "cidr")
    found: set[ipaddress.IPv4Network | ipaddress.IPv6Network] = set()
    for value in _values(list(policies), names):
        for text in value if isinstance(value, list) else [value]:
            try:
                found.add(ipaddress.ip_network(text, strict=False))
            except ValueError:
                continue  # a CIDR that the API server refuses leaves no trace in the datapath
    return found


def fqdn_selectors(policies: tuple[Policy, ...]) -> list[str]:
    """Return the names and patterns of all toFQDNs rules."""
    rules = [rule for rules in _values(list(policies), ("toFQDNs",)) for rule in rules]
    return sorted({str(value) for rule in rules for value in rule.values()})
