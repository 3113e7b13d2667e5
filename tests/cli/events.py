"""Hand-made capture lines for the tests of the command line."""

import json
from pathlib import Path
from typing import Any

LABELS = {
    "web": ["k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop"],
    "api": ["k8s:app=api", "k8s:io.kubernetes.pod.namespace=shop"],
}


def pod(name: str, number: int) -> dict[str, Any]:
    """A pod of the namespace shop, local to the node that sees it."""
    return {
        "ID": number,
        "identity": 25000 + number,
        "namespace": "shop",
        "labels": LABELS[name],
        "pod_name": f"{name}-7d9c8b6f5d-x2x7k",
        "workloads": [{"name": name, "kind": "Deployment"}],
    }


def flow(second: int, **fields: Any) -> dict[str, Any]:
    """A delivered connection from web to api's port 8080 at a second of a minute, with fields replaced."""
    made = {
        "time": f"2026-11-18T09:30:{second:02}.5Z",
        "uuid": f"00000000-0000-4000-8000-{second:012}",
        "verdict": "FORWARDED",
        "IP": {"source": "10.0.0.1", "destination": "10.0.0.2", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 8080, "flags": {"SYN": True}}},
        "source": pod("web", 1),
        "destination": pod("api", 2),
        "Type": "L3_L4",
        "node_name": "default/node-1",
        "event_type": {"type": 4},
        "traffic_direction": "INGRESS",
        "trace_observation_point": "TO_ENDPOINT",
        "is_reply": False,
        "Summary": "TCP Flags: SYN",
    }
    return {**made, **fields}


def record(second: int, **fields: Any) -> dict[str, Any]:
    """A flow as the exporter wraps it."""
    made = flow(second, **fields)
    return {"flow": made, "node_name": made["node_name"], "time": made["time"]}


def drop(second: int, **fields: Any) -> dict[str, Any]:
    """A connection from web to the world's port 443 that policies refused."""
    refused = {
        "verdict": "DROPPED",
        "drop_reason_desc": "POLICY_DENIED",
        "IP": {"source": "10.0.0.1", "destination": "192.0.2.9", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40001, "destination_port": 443, "flags": {"SYN": True}}},
        "destination": {"identity": 2, "labels": ["reserved:world"]},
        "event_type": {"type": 1, "sub_type": 133},
        "traffic_direction": "EGRESS",
        "trace_observation_point": None,
        "is_reply": None,
    }
    made = record(second, **{**refused, **fields})
    made["flow"] = {key: value for key, value in made["flow"].items() if value is not None}
    return made


def lost(second: int, count: int = 5) -> dict[str, Any]:
    """Hubble's word that it lost events."""
    told = {"source": "HUBBLE_RING_BUFFER", "num_events_lost": str(count)}
    return {"lost_events": told, "node_name": "default/node-1", "time": f"2026-11-18T09:30:{second:02}.5Z"}


def capture(path: Path, *records: dict[str, Any]) -> str:
    """Write records as lines of a file, and return its name."""
    path.write_text("".join(json.dumps(one) + "\n" for one in records), "utf-8")
    return str(path)
