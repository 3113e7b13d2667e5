"""Hand-made FLOWS for the tests of edges: one call an event, only what matters to it named."""

from typing import Any

import pyarrow as pa

from flowmine.labels import canonical, endpoint_id
from flowmine.schema import ENDPOINTS, ENUMS, FLOWS, LEDGER, PODS

ABSENT = (
    "protocol",
    "l7_type",
    "auth_type",
)  # null where there is none; other enumerations have an "unknown"
WEB = canonical(cluster_name="c", namespace="shop", labels=["k8s:app=web"])
API = canonical(cluster_name="c", namespace="shop", labels=["k8s:app=api"])
DNS = canonical(cluster_name="c", namespace="kube-system", labels=["k8s:k8s-app=kube-dns"])
HOST = canonical(cluster_name="c", labels=["reserved:host"])
WORLD = canonical(cluster_name="c", labels=["reserved:world"])
INIT = canonical(cluster_name="c", namespace="shop", labels=["reserved:init"], pod_name="web-1")
NO_LEDGER = pa.Table.from_pylist([], schema=LEDGER)


def batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Return rows as one FLOWS batch, enumerations over their fixed dictionaries."""
    columns = []
    for field in FLOWS:
        values = [row.get(field.name) for row in rows]
        if pa.types.is_dictionary(field.type):
            names = ENUMS[field.name]
            codes = [
                None if v is None and field.name in ABSENT else names.index(v) if v is not None else 0
                for v in values
            ]
            columns.append(pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(names)))
        else:
            columns.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=FLOWS)


_serial = iter(range(1, 1 << 30))


def event(source: Any, destination: Any, **columns: Any) -> dict[str, Any]:
    """Return one event between two canonical endpoints; TCP 40000 -> 80, FORWARDED, L3_L4, trace unless said."""
    number = next(_serial)
    row = {
        "time": number * 1_000_000_000,
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "node_name": "c/node-1",
        "verdict": "FORWARDED",
        "Type": "L3_L4",
        "event_type": 4,
        "source": endpoint_id(source),
        "destination": endpoint_id(destination),
        "source_ip": "10.0.0.1",
        "destination_ip": "10.0.0.2",
        "protocol": "TCP",
        "source_port": 40000,
        "destination_port": 80,
        "unknown_count": 1,
    }
    return {**row, **columns}


def answered(row: dict[str, Any], **columns: Any) -> dict[str, Any]:
    """Return the reply to an event, delivered."""
    turned = {
        "source": row["destination"],
        "destination": row["source"],
        "source_ip": row["destination_ip"],
        "destination_ip": row["source_ip"],
        "source_port": row["destination_port"],
        "destination_port": row["source_port"],
        "trace_observation_point": "TO_ENDPOINT",
        "trace_reason": "REPLY",
        "is_reply": True,
        "uuid": row["uuid"].replace("-4000-", "-4001-"),
    }
    return {**row, **turned, **columns}


def endpoints(*known: Any) -> pa.Table:
    """Return the ENDPOINTS of canonical endpoints."""
    rows = [
        {
            "id": endpoint_id(e),
            "cluster_name": e.cluster_name,
            "namespace": e.namespace,
            "labels": list(e.labels),
            "reserved": list(e.reserved),
            "pod": e.pod,
            "identities": [],
            "workload_kind": "",
            "workload_name": "",
            "workloads": 0,
            "pods": [],
        }
        for e in known
    ]
    return pa.Table.from_pylist(rows, schema=ENDPOINTS)


def pods(*known: tuple[Any, str, bool]) -> pa.Table:
    """Return PODS of (endpoint, pod name, seen at its own node)."""
    rows = [
        {
            "endpoint": endpoint_id(e),
            "namespace": e.namespace,
            "pod_name": name,
            "local": local,
            "workload": "",
        }
        for e, name, local in known
    ]
    return pa.Table.from_pylist(rows, schema=PODS)
