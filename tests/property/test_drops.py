"""Over random clusters with holes in their policies: every drop is explained, admitted by its change, and nothing else moves."""

from __future__ import annotations

import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from flowmine.advise.admitedits import combined
from flowmine.advise.drops import drops
from flowmine.advise.inforce import InForce, in_force, own_cluster
from flowmine.advise.simulate import ShiftKind, simulate
from flowmine.edges import Edges, aggregate
from flowmine.ingest import open_flows
from flowmine.policy.files import Document
from tests.cluster import Capture, Cluster, lines, random_cluster, write

SEEDS = (0, 1, 4, 6, 8, 12, 13, 16, 19, 24, 28, 33)


def holed(seed: int) -> Cluster:
    """A random cluster whose policies lack entries that its traffic needs."""
    cluster, rng = random_cluster(seed, governed=True), random.Random(seed)
    policies = [deepcopy(dict(policy)) for policy in cluster.policies]
    for policy in policies:
        for spec in [policy["spec"]] if "spec" in policy else policy["specs"]:
            for side in ("ingress", "egress"):
                entries = spec.get(side) or []
                if len(entries) > 1 and rng.random() < 0.8:
                    entries.pop(rng.randrange(len(entries)))
                elif entries and rng.random() < 0.3:
                    spec[side] = [{}]
    return cluster.with_policies(*policies)


def recorded(cluster: Cluster, path: Path, audit: bool) -> Edges:
    """The edges of a capture of the cluster."""
    write(path, lines(cluster, 1500, Capture(audit=audit)))
    return aggregate(open_flows(str(path)), requests=True)


def policies_of(cluster: Cluster, edges: Edges, objects: list[dict[str, Any]]) -> InForce:
    """Policies as those in force."""
    documents = [Document("policies.yaml", number, 1, each) for number, each in enumerate(objects, 1)]
    return in_force(documents, cluster=own_cluster(edges)[0], settings={"ipv6": len(cluster.families) > 1})


@pytest.mark.parametrize("seed", SEEDS)
def test_all_changes_together_admit_all_drops(seed: int, tmp_path: Path) -> None:
    """The policies explain the capture; with all changes nothing is refused, nothing breaks, and only what is told opens."""
    cluster = holed(seed)
    edges = recorded(cluster, tmp_path / "flows.json", audit=seed % 5 == 4)
    policies = policies_of(cluster, edges, [dict(each) for each in cluster.policies])
    report = drops(edges, policies)
    assert () == simulate(edges, policies).of(ShiftKind.DENIED)
    assert [drop.group for drop in report.standing if not drop.edits] == []
    made = combined([(drop.admission, "") for drop in report.standing if drop.admission], policies)
    kept = [dict(value) for ref, value in policies.manifests.items() if ref not in made]
    after = policies_of(cluster, edges, [*kept, *(dict(manifest) for manifest, _ in made.values())])
    assert () == after.ineffective
    assert () == drops(edges, after).standing
    trial = simulate(edges, after, policies)
    assert () == trial.of(ShiftKind.DENIED, ShiftKind.NEWLY_DENIED)
    opened = {row for shift in trial.of(ShiftKind.NEWLY_ALLOWED) for row in shift.rows}
    asked = {row for drop in report.standing for row in drop.group.rows}
    scanned = {row for scan in report.scans for row in scan.rows}
    assert asked <= opened
    assert bool(opened - asked - scanned) <= any(drop.also for drop in report.standing)
