"""sample_flows/ is what the generator writes, and tells the stories that its systems' authors tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.samples import samples, unpacked, write_samples
from tests.cluster.systems import SYSTEMS

ROOT = Path(__file__).parents[1] / "sample_flows"
NAMES = ("empire", "linkding", "node", "three-tier")


@cache
def recorded(name: str) -> tuple[dict[str, Any], ...]:
    """Return the flows of a sample folder's captures."""
    found = []
    for path in sorted((ROOT / name).rglob("*")):
        if path.is_file() and "policies" not in path.parts and path.name != "README.md":
            for line in unpacked(path).splitlines():
                event = json.loads(line[line.index(b"{") :])
                found += [event["flow"]] if "flow" in event else []
    return tuple(found)


def party(flow: dict[str, Any], end: str) -> str:
    """Return who an end is: workload of a pod, a node, or its address."""
    pod = flow[end].get("pod_name", "")
    if pod:
        workloads = [w for w in _workloads() if pod == w or pod.startswith(f"{w}-")]
        return max(workloads, key=len)
    if "reserved:host" in flow[end]["labels"]:
        return str(flow["node_name"]).rpartition("/")[2]
    return str(flow["IP"][end])


@cache
def _workloads() -> tuple[str, ...]:
    return tuple(w.name for name in NAMES for w in SYSTEMS[name]().workloads)


def outcomes(name: str, src: str, dst: str, port: int) -> set[str]:
    """Return what became of connections: "delivered", "EGRESS" or "INGRESS" dropped there, "403" by the proxy."""
    return {outcome for flow in recorded(name) for outcome in _outcome(flow, src, dst, port)}


def _outcome(flow: dict[str, Any], src: str, dst: str, port: int) -> Iterator[str]:
    body = next(iter(flow["l4"].values()))
    there = (party(flow, "source"), party(flow, "destination"), body.get("destination_port"))
    back = (party(flow, "destination"), party(flow, "source"), body.get("source_port"))
    if there == (src, dst, port):
        if flow["Type"] == "L7" and flow["verdict"] == "DROPPED":
            yield "403"
        elif flow.get("drop_reason_desc", "").startswith("POLICY"):
            yield flow["traffic_direction"]
        elif flow.get("trace_observation_point") in ("TO_ENDPOINT", "TO_HOST"):
            yield "delivered"
    elif back == (src, dst, port) and flow["Type"] == "L3_L4" and flow.get("is_reply"):
        yield "delivered"


STORIES = [
    ("three-tier", "backend", "database", 7379, "delivered"),
    ("three-tier", "frontend", "backend", 80, "delivered"),
    ("three-tier", "batch", "database", 7379, "INGRESS"),
    ("three-tier", "database", "frontend", 80, "EGRESS"),
    ("three-tier", "database", "coredns", 53, "EGRESS"),
    ("three-tier", "backend", "93.184.215.14", 80, "EGRESS"),
    ("three-tier", "backend", "142.250.1.100", 443, "delivered"),
    ("three-tier", "172.27.224.3", "database", 7379, "INGRESS"),
    ("three-tier", "102.213.50.174", "database", 443, "delivered"),
    ("three-tier", "172.27.224.3", "backend", 80, "delivered 403"),
    ("three-tier", "198.51.100.7", "frontend", 443, "delivered"),
    ("linkding", "linkding", "linkding-db", 5432, "delivered"),
    ("linkding", "prometheus", "linkding-db", 9187, "delivered"),
    ("linkding", "edb-operator", "linkding-db", 8000, "delivered"),
    ("linkding", "toolbox", "linkding", 9090, "INGRESS"),
    ("linkding", "toolbox", "linkding-db", 5432, "INGRESS"),
    ("linkding", "linkding", "140.82.121.6", 443, "delivered"),
    ("linkding", "linkding", "140.82.121.6", 22, "EGRESS"),
    ("linkding", "cloudflared", "198.41.192.27", 7844, "delivered"),
    ("linkding", "linkding-db", "130.117.252.10", 80, "EGRESS"),
    ("linkding", "linkding-db", "172.18.0.2", 6443, "delivered"),
    ("linkding", "linkding", "172.18.0.2", 6443, "EGRESS"),
    ("linkding", "bookmark-sync", "coredns", 53, "EGRESS"),
    ("linkding", "bookmark-sync", "linkding", 9090, "EGRESS"),
    ("linkding", "192.168.1.77", "linkding", 9090, "INGRESS"),
    ("linkding", "sensitive", "auth", 80, "delivered"),
    ("linkding", "sensitive", "auth", 8443, "EGRESS"),
    ("linkding", "reporting", "auth", 80, "EGRESS"),
    ("linkding", "reporting", "coredns", 53, "EGRESS"),
    ("empire", "tiefighter", "deathstar", 80, "delivered"),
    ("empire", "xwing", "deathstar", 80, "delivered"),
    ("empire", "tiefighter", "coredns", 53, "delivered"),
    ("empire", "coredns", "deathstar", 80, "INGRESS"),
    ("empire", "rebel-base", "deathstar", 80, "INGRESS"),
    ("empire", "tiefighter", "kubernetes-dashboard", 8443, "EGRESS"),
    ("empire", "prometheus-core", "deathstar", 80, "INGRESS"),
    ("empire", "prometheus-core", "deathstar", 8080, "delivered 403"),
    ("empire", "tiefighter", "104.198.14.52", 443, "delivered"),
    ("empire", "tiefighter", "142.250.185.78", 443, "EGRESS"),
    ("node", "203.0.113.9", "worker-1", 22, "delivered"),
    ("node", "198.51.100.23", "worker-1", 22, "delivered"),
    ("node", "198.51.100.23", "worker-1", 6443, "INGRESS"),
    ("node", "198.51.100.23", "worker-2", 6443, "delivered"),
    ("node", "198.51.100.77", "worker-1", 30080, "INGRESS"),
    ("node", "172.18.0.2", "worker-1", 10250, "delivered"),
    ("node", "tiefighter", "10.0.4.10", 443, "delivered"),
    ("node", "tiefighter", "deathstar", 80, "delivered"),
]


@pytest.mark.parametrize(("name", "src", "dst", "port", "expected"), STORIES)
def test_story(name: str, src: str, dst: str, port: int, expected: str) -> None:
    """A sample shows what its author says becomes of a connection, and nothing else."""
    assert set(expected.split()) == outcomes(name, src, dst, port)


def test_samples_are_what_the_generator_writes() -> None:
    """`python -m tests.cluster samples` gives every file of sample_flows/ byte for byte, and there is no other."""
    there = {
        str(path.relative_to(ROOT)): unpacked(path)
        for path in ROOT.rglob("*")
        if path.is_file() and len(path.relative_to(ROOT).parts) > 1
    }
    made = {
        f"{name}/{place}": content for name, files in samples().items() for place, content in files.items()
    }
    assert sorted(made) == sorted(there)
    assert [place for place in made if made[place] != there[place]] == []


def test_writing_samples_leaves_right_files_alone(tmp_path: Path) -> None:
    """Samples are written where they are missing or wrong, with no trace of when, and else not touched."""
    first = write_samples(tmp_path)
    capture = tmp_path / "three-tier" / "flows.jsonl.gz"
    assert capture in first
    assert capture.read_bytes()[4:8] == b"\0\0\0\0"
    capture.write_bytes(b"")
    assert [capture] == write_samples(tmp_path)
    assert write_samples(tmp_path) == []


@pytest.mark.parametrize("name", NAMES)
def test_sample_is_of_a_handy_size(name: str) -> None:
    """A sample has 1,500 to 5,000 flows and is small enough to live in the repository."""
    assert 1500 <= len(recorded(name)) <= 5000
    assert sum(p.stat().st_size for p in (ROOT / name).rglob("*") if p.is_file()) < 700_000


@pytest.mark.parametrize("name", NAMES)
def test_sample_policies_are_those_in_force(name: str) -> None:
    """The YAML beside a capture is the policies its verdicts come from, one object a file named after it."""
    there = {p.stem: yaml.safe_load(p.read_text()) for p in (ROOT / name / "policies").iterdir()}
    assert {p["metadata"]["name"]: dict(p) for p in SYSTEMS[name]().policies} == there


def test_each_sample_has_its_own_cluster() -> None:
    """No two samples share a cluster name, so that one run over all keeps them apart."""
    clusters = [
        {label for f in recorded(name) for label in f["source"]["labels"] if "policy.cluster=" in label}
        for name in NAMES
    ]
    assert [1] * len(NAMES) == [len(c) for c in clusters]
    assert len(NAMES) == len(set[str]().union(*clusters))
