"""What a cluster is, as plain values: nodes, workloads, who talks to whom, and the policies in force.

Parties are named by strings: ``namespace/workload``, ``world:NAME`` for an `Outside`, ``entity:host``,
``entity:remote-node``, ``entity:kube-apiserver``, ``entity:health`` and ``entity:ingress``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Labels = Mapping[str, str]
Policy = Mapping[str, Any]

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "cilium")


@dataclass(frozen=True, slots=True)
class Node:
    """A Kubernetes node; a control-plane node carries the API server and takes no ordinary pods."""

    name: str
    labels: Labels = field(default_factory=dict)
    control_plane: bool = False


@dataclass(frozen=True, slots=True)
class Workload:
    """Pods of one kind. A CronJob's ``replicas`` are its runs during a capture, each an identity of its own.

    ``noise`` adds the labels that differ per pod or rollout on clusters which keep them in the identity.
    ``cluster`` names another cluster of the mesh: its pods are seen, its nodes are not.
    """

    namespace: str
    name: str
    kind: str = "Deployment"
    replicas: int = 2
    labels: Labels = field(default_factory=dict)
    account: str = ""
    probe: int = 0
    named_ports: Mapping[str, str] = field(default_factory=dict)
    noise: bool = False
    nodes: tuple[str, ...] = ()
    cluster: str = ""

    @property
    def key(self) -> str:
        """Return the name links use for it."""
        return f"{self.namespace}/{self.name}"

    @property
    def system(self) -> bool:
        """Tell whether it belongs to the platform, whose policies nobody asks for."""
        return self.namespace in SYSTEM_NAMESPACES or self.namespace.startswith("cilium-")


@dataclass(frozen=True, slots=True)
class Outside:
    """Hosts beyond the cluster: addresses, and the DNS name or ``*.`` wildcard with its subs, if any."""

    name: str
    ips: tuple[str, ...]
    dns: str = ""
    subs: tuple[str, ...] = ()
    cname: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A ClusterIP Service: its own port to the port of the pods behind it."""

    name: str
    workload: str
    ports: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Link:
    """One thing that talks to another. ``port`` is the pod's own, a pair is a range (low, high) in use.

    ``direct`` goes to the address, neither through the Service nor DNS. ``http`` holds (method, path) with
    ``{int} {uuid} {hex} {word}`` for values. ``intended`` False is what ought not to be let through.
    ``drops`` names a DropReason that is not policy's doing and hits some of the connections first.
    """

    src: str
    dst: str
    port: int | tuple[int, int] = 0
    proto: str = "TCP"
    icmp: int = -1
    http: tuple[tuple[str, str], ...] = ()
    weight: int = 10
    direct: bool = False
    intended: bool = True
    drops: str = ""


@dataclass(frozen=True, slots=True)
class Scan:
    """A pod or host that tries ports nobody offers; ``targets`` empty is everyone."""

    src: str
    probes: int = 200
    targets: tuple[str, ...] = ()
    proto: str = "TCP"
    ports: tuple[int, int] = (1, 9999)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A whole cluster, its traffic and its policies; ``seed`` makes all of it reproducible.

    ``visible`` holds "dns" and "http" where every pod's lookups and requests pass the proxy without a rule
    (a visibility annotation or policy); rules in ``policies`` redirect on their own.
    ``lb`` is "socket" (SOCK events, packets carry pod addresses), "packet" (replies are reverse-translated) or
    "mixed". ``routing`` is "tunnel" or "native". ``init`` has pods whose first packets still carry reserved:init and
    are dropped, as such endpoints are always default deny. ``config`` is handed to the judge as in conformance cases.
    """

    name: str = "default"
    nodes: tuple[Node, ...] = (Node("node-0", control_plane=True), Node("node-1"), Node("node-2"))
    workloads: tuple[Workload, ...] = ()
    outside: tuple[Outside, ...] = ()
    services: tuple[Service, ...] = ()
    links: tuple[Link, ...] = ()
    scans: tuple[Scan, ...] = ()
    policies: tuple[Policy, ...] = ()
    resolver: str = "kube-system/coredns"
    visible: frozenset[str] = frozenset({"dns"})
    families: tuple[str, ...] = ("IPv4",)
    routing: str = "tunnel"
    lb: str = "socket"
    config: Mapping[str, Any] = field(default_factory=dict)
    namespace_labels: Mapping[str, Labels] = field(default_factory=dict)
    health: bool = True
    ndp: bool = True
    init: bool = False
    seed: int = 1

    def workload(self, key: str) -> Workload:
        """Return the workload ``namespace/name``; KeyError when there is none."""
        for each in self.workloads:
            if each.key == key:
                return each
        raise KeyError(key)

    def with_policies(self, *policies: Policy) -> Cluster:
        """Return the same cluster with these policies in force."""
        return replace(self, policies=policies)


@dataclass(frozen=True, slots=True)
class Capture:
    """How a cluster was recorded: which Hubble, which day, and what of it reached the file.

    ``day`` above 0 is a later day of the same cluster (new pods, runs, hashes, numbers). ``namespace`` keeps what
    ``hubble observe -n`` would. ``dns`` False records no lookups, and so no names. ``audit`` is PolicyAuditMode:
    nothing is denied, would-be denials are told. ``twice`` is two exporters on the first node, repeating uuids.
    ``lost`` is how many lost_events records appear.
    """

    version: str = "1.19"
    start: str = "2026-11-18T08:00:00"
    hours: float = 1.0
    day: int = 0
    seed: int = 0
    without_nodes: tuple[str, ...] = ()
    namespace: str = ""
    dns: bool = True
    http: bool = True
    sock: bool = True
    audit: bool = False
    allowed_verdicts: bool = True
    from_endpoint: bool = False
    twice: bool = False
    shuffled: bool = False
    lost: int = 2
    node_status: bool = True
