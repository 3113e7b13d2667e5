"""Time a recommendation after aggregation, on one core: ``python -m tests.bench.recommend``.

The cluster is a made one of that many workloads and links; only `recommend` is timed, its proof by the engine included.
"""

import gc
import os
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from flowmine.advise.recommend import recommend
from flowmine.edges import aggregate
from flowmine.ingest import open_flows
from tests.cluster import large_cluster, lines, write


@click.command(help=__doc__)
@click.option("--workloads", default=500, show_default=True)
@click.option("--links", default=100_000, show_default=True)
@click.option("--events", default=400_000, show_default=True, help="About how many events show them.")
def main(workloads: int, links: int, events: int) -> None:
    """Print what was recommended, how long it took, and the memory it had."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {0})
    with TemporaryDirectory() as folder:
        capture = Path(folder) / "large.jsonl"
        write(capture, lines(large_cluster(workloads, links), events))
        edges = aggregate(open_flows(capture))
    gc.disable()  # as the command line does
    wall, cpu = time.perf_counter(), time.process_time()
    found = recommend(edges)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{edges.edges.num_rows:,} edges, {len(found.policies):,} policies: {wall:.1f} s, {cpu:.1f} s of CPU, {peak:,.0f} MB"
    )


if __name__ == "__main__":
    main()
