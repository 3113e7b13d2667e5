"""Small made events for the tests of ingest, and the ways in which the world writes them down."""

import copy
import io
import json
from typing import Any

import pyarrow as pa

from flowmine.ingest import Source, open_flows

CLIENT = {
    "ID": 1204,
    "identity": 25001,
    "cluster_name": "default",
    "namespace": "shop",
    "labels": [
        "k8s:app=web",
        "k8s:io.cilium.k8s.policy.cluster=default",
        "k8s:io.kubernetes.pod.namespace=shop",
    ],
    "pod_name": "web-7d9c8b6f5d-x2x7k",
    "workloads": [{"name": "web", "kind": "Deployment"}],
}
SERVER = {
    "identity": 25003,
    "cluster_name": "default",
    "namespace": "db",
    "labels": [
        "k8s:app=pg",
        "k8s:io.cilium.k8s.policy.cluster=default",
        "k8s:io.kubernetes.pod.namespace=db",
    ],
    "pod_name": "pg-0",
}
WORLD = {"identity": 2, "labels": ["reserved:world"]}


def flow(number: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a forwarded TCP flow, its time, uuid and source port by number; None as a change leaves a field out."""
    made: dict[str, Any] = {
        "time": f"2026-11-18T09:30:{number // 60 % 60:02d}.{number % 60:02d}0456789Z",
        "uuid": f"{number:08x}-2a9a-504f-8861-aeafd0b2ae29",
        "emitter": {"name": "Hubble", "version": "1.19.4+g1b1c3e2a"},
        "verdict": "FORWARDED",
        "IP": {"source": "10.244.1.21", "destination": "10.244.2.9", "ipVersion": "IPv4"},
        "l4": {
            "TCP": {"source_port": 40000 + number % 1000, "destination_port": 5432, "flags": {"SYN": True}}
        },
        "source": copy.deepcopy(CLIENT),
        "destination": copy.deepcopy(SERVER),
        "Type": "L3_L4",
        "node_name": "default/node-1",
        "event_type": {"type": 4, "sub_type": 3},
        "traffic_direction": "EGRESS",
        "trace_observation_point": "TO_STACK",
        "trace_reason": "NEW",
        "is_reply": False,
        "Summary": "TCP Flags: SYN",
    }
    made |= changes
    return {key: value for key, value in made.items() if value is not None}


def record(number: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a flow in Hubble's wrapper."""
    made = flow(number, **changes)
    return {"flow": made} | {name: made[name] for name in ("node_name", "time") if name in made}


def lines(*records: Any) -> bytes:
    """Return records as JSON lines."""
    return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in records)


def opened(data: bytes, **options: Any) -> Source:
    """Open bytes as a stream."""
    return open_flows(io.BytesIO(data), **options)


def read(source: Source) -> pa.Table:
    """Read a source whole."""
    return pa.Table.from_batches(source.batches(), source.schema)


def rows(data: bytes, **options: Any) -> list[dict[str, Any]]:
    """Return the FLOWS rows of bytes."""
    result: list[dict[str, Any]] = read(opened(data, **options)).to_pylist()
    return result


def row(**changes: Any) -> dict[str, Any]:
    """Return the one FLOWS row of a made flow."""
    (found,) = rows(lines(record(**changes)))
    return found
