"""Captures made by hand for tests: who there is and who talked to whom, as `Edges`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from flowmine.edges import Edges
from flowmine.labels import (
    CLUSTER_KEY,
    NAMESPACE_KEY,
    NAMESPACE_LABELS_PREFIX,
    CanonicalEndpoint,
    canonical,
    endpoint_id,
)
from flowmine.schema import (
    EDGES,
    ENDPOINTS,
    HOURS,
    LEDGER,
    NAMES,
    PODS,
    REASONS,
    REQUESTS,
    SAMPLES,
)

__all__ = ["END", "START", "Capture", "End", "place", "pod"]

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
END = START + timedelta(hours=2)
_SEEN = pa.schema(
    [("endpoint", pa.uint64()), ("egress", pa.bool_()), ("ingress", pa.bool_()), ("reason", pa.string())]
)


@dataclass(frozen=True)
class End:
    """One end of an edge: its canonical endpoint, its pods, and where it is no pod its address."""

    endpoint: CanonicalEndpoint
    pods: tuple[str, ...] = ()
    workload: str = ""
    ip: str | None = None

    @property
    def id(self) -> int:
        return endpoint_id(self.endpoint)


def pod(namespace: str, name: str = "", workload: str = "", cluster: str = "default", **labels: str) -> End:
    """A pod by its labels (`_` in a key stands for what keywords cannot hold: see `labels`)."""
    texts = [f"k8s:{key}={value}" for key, value in labels.items()]
    texts += [f"k8s:{NAMESPACE_KEY}={namespace}", f"k8s:{CLUSTER_KEY}={cluster}"]
    texts.append(f"k8s:{NAMESPACE_LABELS_PREFIX}kubernetes.io/metadata.name={namespace}")
    return End(canonical(cluster_name=cluster, labels=texts), (name,) if name else (), workload)


def place(*labels: str, ip: str | None = None, cluster: str = "default") -> End:
    """An entity or an outside address: `place("reserved:world", ip="1.2.3.4")`."""
    return End(canonical(cluster_name=cluster, labels=labels), ip=ip)


@dataclass
class Capture:
    """Collects edges, names and half-seen ends; `edges()` makes the tables."""

    rows: list[dict[str, object]] = field(default_factory=list)
    ends: dict[int, End] = field(default_factory=dict)
    names: list[dict[str, object]] = field(default_factory=list)
    requests: list[tuple[int, str, str]] = field(default_factory=list)
    unseen: dict[int, tuple[bool, bool, str]] = field(default_factory=dict)

    def add(self, *ends: End) -> "Capture":
        for end in ends:
            known = self.ends.get(end.id)
            pods = tuple(sorted({*(known.pods if known else ()), *end.pods}))
            self.ends[end.id] = End(end.endpoint, pods, end.workload or (known.workload if known else ""))
        return self

    def talk(
        self,
        source: End,
        target: End,
        port: int | None,
        protocol: str = "TCP",
        outcome: str = "delivered",
        events: int = 100,
        last: datetime = END,
        refused: int = 0,
    ) -> "Capture":
        self.add(source, target)
        self.rows.append(
            {
                "initiator": source.id,
                "responder": target.id,
                "protocol": protocol,
                "port": port,
                "initiator_ip": source.ip,
                "responder_ip": target.ip,
                "outcome": outcome,
                "changed": False,
                "delivered": events if outcome == "delivered" else 0,
                "events": events,
                "refused": refused,
                "first": START,
                "last": last,
            }
        )
        return self

    def name(self, subject: End, ip: str, name: str) -> "Capture":
        self.names.append(
            {"subject": subject.id, "ip": ip, "name": name, "source": "dns", "first": START, "last": END}
        )
        return self

    def half_see(
        self, end: End, *, egress: bool = False, ingress: bool = False, reason: str = "half seen"
    ) -> None:
        self.unseen[end.id] = (egress, ingress, reason)

    def edges(self, order: Iterable[int] | None = None) -> Edges:
        rows = [self.rows[place] for place in order] if order else self.rows
        complete = [{**dict.fromkeys(EDGES.names, 0), "last_delivered": END, **row} for row in rows]
        for row in complete:
            row["responder_service"] = row["last_drop"] = None
        nothing = {
            schema_name: schema.empty_table()
            for schema_name, schema in (
                ("hours", HOURS),
                ("reasons", REASONS),
                ("samples", SAMPLES),
                ("requests", REQUESTS),
                ("ledger", LEDGER),
            )
        }
        return Edges(
            edges=pa.Table.from_pylist(complete, schema=EDGES),
            names=pa.Table.from_pylist(self.names, schema=NAMES),
            endpoints=pa.Table.from_pylist([_endpoint(end) for end in self.ends.values()], schema=ENDPOINTS),
            pods=pa.Table.from_pylist(
                [_pod(end, name) for end in self.ends.values() for name in end.pods], schema=PODS
            ),
            seen=pa.Table.from_pylist(
                [self._seen(end.id) for end in self.ends.values() if end.id & 1], schema=_SEEN
            ),
            **nothing,
        )

    def _seen(self, identifier: int) -> dict[str, object]:
        egress, ingress, reason = self.unseen.get(identifier, (True, True, ""))
        return {"endpoint": identifier, "egress": egress, "ingress": ingress, "reason": reason}


def _endpoint(end: End) -> dict[str, object]:
    kind, _, name = end.workload.partition("/")
    return {
        "id": end.id,
        "cluster_name": end.endpoint.cluster_name,
        "namespace": end.endpoint.namespace,
        "labels": list(end.endpoint.labels),
        "reserved": list(end.endpoint.reserved),
        "pod": end.endpoint.pod,
        "identities": [],
        "workload_kind": kind,
        "workload_name": name,
        "workloads": 1 if name else 0,
        "pods": list(end.pods),
    }


def _pod(end: End, name: str) -> dict[str, object]:
    return {
        "endpoint": end.id,
        "namespace": end.endpoint.namespace,
        "pod_name": name,
        "local": True,
        "workload": end.workload,
    }
