"""The systems of `tests.cluster` recorded in the ways captures differ in the field, each with its truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.bench.field import FIELD
from tests.cluster import Capture, Cluster, lines, truth, write
from tests.cluster.systems import SYSTEMS

CAPTURES: Mapping[str, Capture] = {
    "1.19": Capture(),
    "1.14": Capture(version="1.14"),
    "node missing": Capture(),
    "no dns": Capture(dns=False),
    "no http": Capture(http=False),
    "socket, from_endpoint, allowed verdicts": Capture(from_endpoint=True),
    "no verdicts, no sock": Capture(sock=False, allowed_verdicts=False),
    "audit": Capture(audit=True),
    "two exporters, shuffled": Capture(twice=True, shuffled=True),
}
"""Name of a way to record -> how; `node missing` takes the last node away, by name."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One recording of one system, with what is true of it on its day and on a later one."""

    name: str
    capture: Path
    truth: Mapping[str, Any]
    fresh: Mapping[str, Any]
    partial: bool = False
    """Whether something of the cluster was not seen, so that its workloads may stay ungoverned."""


def variants(folder: Path, count: int, wanted: str = "") -> Iterator[Variant]:
    """Record every system in every way, about `count` events each, into a folder; `wanted` is part of the name."""
    for system, build in {**SYSTEMS, **FIELD}.items():
        # What the policies in force let through is what is meant; without them nothing would have been refused.
        cluster = build()
        for way, capture in CAPTURES.items():
            name = f"{system} / {way}"
            if wanted in name:
                yield _recorded(name, cluster, _of(cluster, way, capture), folder, count)


def _of(cluster: Cluster, way: str, capture: Capture) -> Capture:
    return replace(capture, without_nodes=(cluster.nodes[-1].name,)) if way == "node missing" else capture


def _recorded(name: str, cluster: Cluster, capture: Capture, folder: Path, count: int) -> Variant:
    path = folder / f"{''.join(c if c.isalnum() else '-' for c in name)}.jsonl"
    write(path, lines(cluster, count, capture))
    return Variant(
        name, path, truth(cluster), truth(cluster, day=1), bool(capture.without_nodes or capture.namespace)
    )
