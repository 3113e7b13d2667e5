"""Who there is in a capture: every endpoint once, parsed, with the names that its pods and workloads go by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from flowmine.labels import (
    CLUSTER_KEY,
    NAMESPACE_KEY,
    NAMESPACE_LABELS_PREFIX,
    Label,
    parse,
)
from flowmine.peers import Kind, entities_of, kind_of

__all__ = ["Party", "Universe", "survey"]

_ENTITY_ORDER = (
    "kube-apiserver",
    "ingress",
    "health",
    "init",
    "unmanaged",
    "host",
    "remote-node",
)
_NOT_POD_SOURCES = frozenset({"reserved", "cidr", "cidrgroup", "fqdn", "node"})


@dataclass(frozen=True, slots=True)
class Party:
    """One endpoint of the capture: what policies can tell apart.

    ``keys`` are a pod's labels by bare key, without those that only repeat its namespace and cluster; ``workloads``
    the distinct ``Kind/name`` seen for its pods, ``pods`` their names.
    """

    id: int
    cluster: str
    namespace: str
    kind: Kind
    labels: tuple[Label, ...]
    entity: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    workloads: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """How a person would call it: its workload or labels, its entity, or what little is known."""
        if self.kind is not Kind.POD:
            return self.entity or ",".join(str(label) for label in self.labels) or "an unlabelled peer"
        name = self.workloads[0].partition("/")[2] if self.workloads else ""
        name = name or ",".join(f"{key}={value}" for key, value in sorted(self.keys.items()))
        return f"{self.namespace}/{name}"


@dataclass(frozen=True, slots=True)
class Universe:
    """All parties by id. ``folded`` maps an endpoint seen before its labels were known to what it became."""

    parties: Mapping[int, Party]
    folded: Mapping[int, int]

    def party(self, identifier: int) -> Party | None:
        """Return the party behind an id, an ``init`` one as the pod it became; None where nothing is known."""
        return self.parties.get(self.folded.get(identifier, identifier))

    def pods(self) -> Iterator[Party]:
        """Yield every pod, in the order of their ids, those folded away apart."""
        for identifier, party in self.parties.items():
            if party.kind is Kind.POD and identifier not in self.folded:
                yield party


def survey(endpoints: pa.Table, pods: pa.Table) -> Universe:
    """Parse ENDPOINTS and PODS into a universe.

    An endpoint is ``init`` until Cilium knows its labels; such a party folds into the pod of the same name
    (``daemon`` regenerates the endpoint under its new identity).
    """
    names = _pod_rows(pods)
    parties = {
        row["id"]: _party(row, names.get(row["id"], []))
        for row in sorted(endpoints.to_pylist(), key=lambda row: row["id"])
    }
    return Universe(parties, _folds(parties, endpoints, names))


def _pod_rows(pods: pa.Table) -> dict[int, list[tuple[str, str]]]:
    rows: dict[int, list[tuple[str, str]]] = {}
    columns = (pods.column(name).to_pylist() for name in ("endpoint", "pod_name", "workload"))
    for endpoint, pod, workload in sorted(zip(*columns, strict=True)):
        rows.setdefault(endpoint, []).append((pod, workload))
    return rows


def _party(row: dict[str, Any], pods: list[tuple[str, str]]) -> Party:
    labels = tuple(sorted(parse(text) for text in row["labels"] or ()))
    kind = kind_of(row["labels"] or ())
    workloads = {workload for _, workload in pods if workload}
    if row["workload_name"]:
        workloads.add(f"{row['workload_kind']}/{row['workload_name']}")
    entities = entities_of(labels)
    return Party(
        id=row["id"],
        cluster=row["cluster_name"],
        namespace=row["namespace"],
        kind=kind,
        labels=labels,
        entity=next((name for name in _ENTITY_ORDER if name in entities), next(iter(entities), "")),
        keys=_keys(labels) if kind is Kind.POD else {},
        workloads=tuple(sorted(workloads)),
        pods=tuple(dict.fromkeys([*(pod for pod, _ in pods), *(row["pods"] or ())])),
    )


def _keys(labels: tuple[Label, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for label in labels:
        if label.source in _NOT_POD_SOURCES or label.key in (NAMESPACE_KEY, CLUSTER_KEY):
            continue
        if not label.key.startswith(NAMESPACE_LABELS_PREFIX):
            found.setdefault(label.key, label.value)
    return found


def _folds(
    parties: Mapping[int, Party], endpoints: pa.Table, names: Mapping[int, list[tuple[str, str]]]
) -> dict[int, int]:
    homes: dict[tuple[str, str, str], int] = {}
    for party in parties.values():
        if party.kind is Kind.POD:
            for pod, _ in names.get(party.id, []):
                homes.setdefault((party.cluster, party.namespace, pod), party.id)
    folded = {}
    for row in endpoints.select(["id", "cluster_name", "namespace", "pod"]).to_pylist():
        home = homes.get((row["cluster_name"], row["namespace"], row["pod"])) if row["pod"] else None
        if home is not None and home != row["id"]:
            folded[row["id"]] = home
    return folded
