"""Capture to EDGES, beside DuckDB's read_json with a GROUP BY over the same keys: ``python -m tests.bench.edges``.

Both read the same file in the same run: flowmine in one process with all its semantics (delivery, replies, names,
settling), DuckDB on all cores with the plain counts that somebody would write by hand.
"""

from pathlib import Path

import click

from tests.bench.measure import Measured, measure

_QUERY = """
SELECT count(*) FROM (
  SELECT flow.source.labels AS source, flow.destination.labels AS destination,
    CASE WHEN list_contains(flow.source.labels, 'reserved:world') THEN flow.IP.source END AS source_ip,
    CASE WHEN list_contains(flow.destination.labels, 'reserved:world') THEN flow.IP.destination END AS destination_ip,
    CASE WHEN flow.is_reply THEN coalesce(flow.l4.TCP.source_port, flow.l4.UDP.source_port)
         ELSE coalesce(flow.l4.TCP.destination_port, flow.l4.UDP.destination_port) END AS port,
    flow.l4.TCP IS NOT NULL AS tcp, flow.is_reply AS reply, flow.verdict AS verdict,
    count(*) AS events, min(flow.time) AS first, max(flow.time) AS last
  FROM read_json(?, format='newline_delimited', columns={flow: 'STRUCT(time VARCHAR, uuid VARCHAR, verdict VARCHAR,
    IP STRUCT(source VARCHAR, destination VARCHAR),
    l4 STRUCT(TCP STRUCT(source_port INT, destination_port INT, flags STRUCT(SYN BOOL, ACK BOOL)),
              UDP STRUCT(source_port INT, destination_port INT)),
    source STRUCT(labels VARCHAR[], pod_name VARCHAR), destination STRUCT(labels VARCHAR[], pod_name VARCHAR),
    "Type" VARCHAR, is_reply BOOL, traffic_direction VARCHAR, trace_observation_point VARCHAR)'})
  GROUP BY ALL)
"""


def flowmine(path: str) -> dict[str, int]:
    """Read a capture to EDGES in this process; return counts."""
    from flowmine.edges import COLUMNS, aggregate
    from flowmine.ingest import open_flows

    source = open_flows(path, columns=COLUMNS)
    made = aggregate(source)
    return {"edges": made.edges.num_rows, "endpoints": made.endpoints.num_rows}


def duckdb(path: str) -> dict[str, int]:
    """Group the same file by the same keys with DuckDB on all cores; return the number of groups."""
    import duckdb as db

    connection = db.connect()
    connection.execute("SET enable_progress_bar = false")
    row = connection.execute(_QUERY, [path]).fetchone()
    return {"edges": row[0] if row else 0}


def _line(name: str, got: Measured, flows: int, size: int) -> str:
    rate = flows / got.seconds
    return (
        f"{name:<28} {got.seconds:7.2f} s {rate:10,.0f} flows/s {size / got.seconds / 1e6:7.0f} MB/s "
        f"{got.peak / 1e6:7.0f} MB peak  {got.returned}"
    )


def _fastest(name: str, path: str, runs: int) -> Measured:
    return min((measure("tests.bench.edges", name, path) for _ in range(runs)), key=lambda got: got.seconds)


@click.command(help=__doc__)
@click.argument("capture", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option(
    "--flows", default=500_000, show_default=True, help="Size of the capture made where none is given."
)
@click.option("--runs", default=3, show_default=True, help="Runs of each; the fastest counts.")
@click.option("--growth/--no-growth", default=False, help="Also read a capture ten times as large.")
def main(capture: Path | None, flows: int, runs: int, growth: bool) -> None:
    """Print both contenders and their ratio."""
    path = capture or made(flows)
    compare(path, runs)
    if growth:
        compare(made(flows * 10), 1)


def made(flows: int) -> Path:
    """Return a capture of that many flows, made once by the project's own generator."""
    import subprocess
    import sys
    import tempfile

    path = Path(tempfile.gettempdir()) / f"flowmine-bench-{flows}.jsonl"
    if not path.exists():
        command = [
            sys.executable,
            "-m",
            "tests.cluster",
            "three-tier",
            "--flows",
            str(flows),
            "--out",
            str(path),
        ]
        subprocess.run(command, check=True)
    return path


def compare(path: Path, runs: int) -> None:
    """Print the table for one capture."""
    size = path.stat().st_size
    with path.open("rb") as lines:
        flows = sum(chunk.count(b"\n") for chunk in iter(lambda: lines.read(1 << 24), b""))
    print(f"{path}: {flows:,} events, {size / 1e6:,.0f} MB")
    ours, theirs = _fastest("flowmine", str(path), runs), _fastest("duckdb", str(path), runs)
    print(_line("flowmine, one process", ours, flows, size))
    print(_line("DuckDB, all cores", theirs, flows, size))
    print(f"ratio {theirs.seconds / ours.seconds:.2f} (1 = as fast as DuckDB)")


if __name__ == "__main__":
    main()
