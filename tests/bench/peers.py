"""A scan by ever more addresses, under ``--max-peers``: ``python -m tests.bench.peers``.

One pod is called by as many addresses as there are events, each once: without a cap the edges grow as the events do.
Printed are the time, the memory of the process that was asked and of the largest one it started, the edges kept and the
events counted as folded, for a scan and one three times as long.
"""

import json
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from tests.bench.measure import measure

_POD = {
    "ID": 7,
    "identity": 25007,
    "namespace": "shop",
    "labels": ["k8s:app=api", "k8s:io.kubernetes.pod.namespace=shop"],
    "pod_name": "api-7d9c8b6f5d-x2x7k",
    "workloads": [{"name": "api", "kind": "Deployment"}],
}


def scan(addresses: int) -> Iterator[str]:
    """Yield the events of a scan by so many addresses, as the exporter writes them."""
    for number in range(addresses):
        time = f"2026-11-18T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"
        source = f"{20 + number // 65536 // 256}.{number // 65536 % 256}.{number // 256 % 256}.{number % 256}"
        flow = {
            "time": time,
            "uuid": f"00000000-0000-4000-8000-{number:012}",
            "verdict": "FORWARDED",
            "IP": {"source": source, "destination": "10.0.0.2", "ipVersion": "IPv4"},
            "l4": {"TCP": {"source_port": 40000, "destination_port": 8080, "flags": {"SYN": True}}},
            "source": {"identity": 2, "labels": ["reserved:world"]},
            "destination": _POD,
            "Type": "L3_L4",
            "node_name": "default/node-1",
            "event_type": {"type": 4},
            "traffic_direction": "INGRESS",
            "trace_observation_point": "TO_ENDPOINT",
            "is_reply": False,
        }
        yield json.dumps({"flow": flow, "node_name": flow["node_name"], "time": time}, separators=(",", ":"))


def read(path: str, most: str, jobs: str, engine: str) -> dict[str, int]:
    """Read a scan to EDGES with so many peers kept; return the edges, the events folded, and kilobytes at the peak."""
    from flowmine.arrow import for_commands

    for_commands()
    from flowmine.edges import COLUMNS
    from flowmine.ingest import open_flows
    from flowmine.scale import aggregate

    source = open_flows(path, columns=COLUMNS)
    made = aggregate(source, jobs=int(jobs), engine=engine, max_peers=int(most))
    folded = [row["count"] for row in made.ledger.to_pylist() if row["kind"] == "folded"]
    own, worker = (
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {"edges": made.edges.num_rows, "folded": sum(folded), "own": own, "worker": worker}


@click.command(help=__doc__)
@click.option("--addresses", default=1_000_000, show_default=True, help="Of the shorter scan.")
@click.option("--max-peers", default=50_000, show_default=True)
@click.option("--jobs", default=1, show_default=True, help="Processes that read.")
@click.option("--engine", type=click.Choice(["processes", "dask"]), default="processes", show_default=True)
def main(addresses: int, max_peers: int, jobs: int, engine: str) -> None:
    """Print a line a scan."""
    with tempfile.TemporaryDirectory() as folder:
        for count in (addresses, addresses * 3):
            path = Path(folder) / f"scan-{count}.jsonl"
            with path.open("w") as out:
                out.writelines(f"{line}\n" for line in scan(count))
            got = measure("tests.bench.peers", "read", str(path), str(max_peers), str(jobs), engine)
            path.unlink()
            found = got.returned
            print(
                f"{count:10,} addresses: {got.seconds:6.1f} s, {found['own'] / 1e3:6,.0f} MB, "
                f"{found['worker'] / 1e3:6,.0f} MB the largest worker, "
                f"{found['edges']:,} edges, {found['folded']:,} events folded"
            )


if __name__ == "__main__":
    main()
