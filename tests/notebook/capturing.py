"""Captures for the tests of notebooks: the samples, and hostile ones."""

from functools import cache
from pathlib import Path
from typing import Any

import flowmine
from flowmine.notebook.flows import Flows
from tests.cli.events import drop, record
from tests.ingest.making import lines

SAMPLES = Path(__file__).parents[2] / "sample_flows"
THREE_TIER = SAMPLES / "three-tier" / "flows.jsonl.gz"
IN_FORCE = SAMPLES / "three-tier" / "policies"

HOSTILE = "<script>alert(1)</script>\"'&\u202e\x1b[31m" + "x" * 10_000


@cache
def three_tier() -> Flows:
    """The flows of a sample, read once for all tests."""
    return flowmine.read(THREE_TIER)


def hostile(folder: Path, *, labels: bool = True) -> Path:
    """Write a capture in which every name that a pod or a client can choose is an attack, ``labels`` among them."""
    path = folder / "hostile.jsonl"
    evil: dict[str, Any] = {
        "ID": 7,
        "identity": 25007,
        "cluster_name": HOSTILE if labels else "default",
        "namespace": "shop",
        "labels": [f"k8s:app={HOSTILE if labels else 'web'}", "k8s:io.kubernetes.pod.namespace=shop"],
        "pod_name": HOSTILE,
        "workloads": [{"name": HOSTILE, "kind": "Deployment"}],
    }
    path.write_bytes(
        lines(
            record(1, source=evil, source_names=[HOSTILE]),
            record(2, source=evil, destination_service={"name": HOSTILE, "namespace": "shop"}),
            {
                "flow": drop(3, source=evil, destination_names=[f"{HOSTILE}.example.org"]),
                "node_name": HOSTILE,
            },
        )
    )
    return path
