"""Time what comes after aggregation, on a large cluster: ``python -m tests.bench.recommend``.

The edges are made from columns (`tests.bench.large`), so no capture is read, in a process of their own, for that takes more
memory than what is measured. So does each step: `settle`, `recommend` with its proof by the engine, and `simulate` of
these edges by as many policies. Seconds of CPU are told beside those of the clock, for a machine with other work on it.
"""

import gc
import os
import pickle
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from flowmine.advise.inforce import InForce
from flowmine.advise.recommend import recommend
from flowmine.advise.simulate import simulate
from flowmine.edges import Edges, settle
from flowmine.engine.policyset import PolicySet
from tests.bench.engine import policy
from tests.bench.large import large_edges, large_parts
from tests.bench.measure import measure

_STEPS = ("settled", "recommended", "simulated")


def made(workloads: str, edges: str, kept: str) -> None:
    """Make the edges of a large cluster, and keep them in a file."""
    Path(kept).write_bytes(pickle.dumps(large_edges(int(workloads), int(edges)), protocol=5))


def settled(workloads: str, edges: str, policies: str, kept: str) -> dict[str, Any]:
    """Settle the Parts of a large cluster."""
    parts = large_parts(int(workloads), int(edges))
    return _timed(lambda: settle(*parts), lambda found: f"{found.edges.num_rows:,} edges")


def recommended(workloads: str, edges: str, policies: str, kept: str) -> dict[str, Any]:
    """Recommend policies for its edges, and prove them."""
    seen = _kept(kept)
    return _timed(lambda: recommend(seen), lambda found: f"{len(found.policies):,} policies")


def simulated(workloads: str, edges: str, policies: str, kept: str) -> dict[str, Any]:
    """Judge its edges by policies that know the workloads and not their traffic: nearly all would be denied."""
    seen = _kept(kept)
    tried = [policy(number, int(workloads)) for number in range(int(policies))]
    return _timed(
        lambda: simulate(seen, InForce(PolicySet.from_policies(tried))),
        lambda found: f"{found.judged:,} judged by {len(tried):,} policies, {len(found.shifts):,} changes",
    )


def _kept(path: str) -> Edges:
    with Path(path).open("rb") as file:
        found: Edges = pickle.load(file)
    return found


def _timed(step: Callable[[], Any], told: Callable[[Any], str]) -> dict[str, Any]:
    """Run a step as the command line does; return what it took and the most memory it had, its inputs included."""
    gc.collect()
    gc.disable()
    before = _peak()
    wall, cpu = time.perf_counter(), time.process_time()
    found = step()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall, "cpu": cpu, "before": before, "peak": _peak(), "found": told(found)}


def _peak() -> float:
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


@click.command(help=__doc__)
@click.option("--workloads", default=2_000, show_default=True)
@click.option("--edges", default=1_000_000, show_default=True, help="Distinct edges, about.")
@click.option("--policies", default=3_000, show_default=True, help="Policies that the edges are judged by.")
@click.option("--only", type=click.Choice(_STEPS), multiple=True, help="Steps to run (default: all).")
def main(workloads: int, edges: int, policies: int, only: tuple[str, ...]) -> None:
    """Print what each step made, how long it took, and the memory it had."""
    cores = {min(os.sched_getaffinity(0))} if hasattr(os, "sched_getaffinity") else None
    steps = only or _STEPS
    with TemporaryDirectory() as folder:
        kept = f"{folder}/edges"
        if set(steps) - {"settled"}:
            measure("tests.bench.recommend", "made", str(workloads), str(edges), kept)
        for step in steps:
            numbers = (str(workloads), str(edges), str(policies))
            got = measure("tests.bench.recommend", step, *numbers, kept, cores=cores).returned
            print(
                f"{step:<12} {got['wall']:7.1f} s {got['cpu']:7.1f} s of CPU {got['peak']:7,.0f} MB at most "
                f"({got['before']:,.0f} MB before): {got['found']}"
            )


if __name__ == "__main__":
    main()
