"""Capture to EDGES, beside DuckDB's read_json with a GROUP BY over the same keys: ``python -m tests.bench.edges``.

Both read the same file in the same run: flowmine in one process with all its semantics (delivery, replies, names,
settling), DuckDB on all cores with the keys and counts of EDGES as far as one pass of SQL can give them. Its plain
counts by labels and port, which tell neither calls from replies nor delivery, stand beside for scale.
"""

from pathlib import Path

import click

from tests.bench.measure import Measured, measure

RATE = 10_000
"""Flows a second of a big cluster: about 1 TB of JSON a day."""

_ENDPOINT = "STRUCT(ID INT, identity INT, namespace VARCHAR, labels VARCHAR[], pod_name VARCHAR)"
_PORTS = "STRUCT(source_port INT, destination_port INT, flags STRUCT(SYN BOOL, ACK BOOL))"
_FLOW = f"""STRUCT(time TIMESTAMP, uuid VARCHAR, verdict VARCHAR, drop_reason_desc VARCHAR,
  IP STRUCT(source VARCHAR, destination VARCHAR, source_xlated VARCHAR),
  l4 STRUCT(TCP {_PORTS}, UDP {_PORTS}, SCTP {_PORTS}, ICMPv4 STRUCT("type" INT), ICMPv6 STRUCT("type" INT)),
  source {_ENDPOINT}, destination {_ENDPOINT}, "Type" VARCHAR, node_name VARCHAR,
  source_names VARCHAR[], destination_names VARCHAR[], destination_service STRUCT(name VARCHAR, namespace VARCHAR),
  l7 STRUCT("type" VARCHAR, dns STRUCT("query" VARCHAR, ips VARCHAR[])), event_type STRUCT("type" INT),
  is_reply BOOL, reply BOOL, traffic_direction VARCHAR, trace_observation_point VARCHAR, trace_reason VARCHAR)"""

# The keys of EDGES and as much of its answers as one pass of SQL can give: no names, no listeners, no settling.
_QUERY = f"""
WITH flows AS (
  SELECT flow.*, coalesce(flow.is_reply, flow.reply, flow.l4.TCP.flags.SYN AND flow.l4.TCP.flags.ACK, false) AS back,
    coalesce(flow.l4.TCP, flow.l4.UDP, flow.l4.SCTP) AS ports
  FROM read_json(?, format='newline_delimited', columns={{flow: '{_FLOW}'}})),
connections AS (
  SELECT uuid, time, verdict, drop_reason_desc LIKE 'POLICY%' AS policy, trace_observation_point AS point,
    traffic_direction AS side, back, source.ID AS source_id, destination.ID AS destination_id,
    CASE WHEN back THEN destination.labels ELSE source.labels END AS initiator,
    CASE WHEN back THEN source.labels ELSE destination.labels END AS responder,
    CASE WHEN back THEN IP.destination ELSE IP.source END AS initiator_ip,
    CASE WHEN back THEN IP.source ELSE IP.destination END AS responder_ip,
    CASE WHEN back THEN ports.source_port
         ELSE coalesce(ports.destination_port, l4.ICMPv4.type, l4.ICMPv6.type) END AS port,
    CASE WHEN l4.TCP IS NOT NULL THEN 'TCP' WHEN l4.UDP IS NOT NULL THEN 'UDP' WHEN l4.SCTP IS NOT NULL THEN 'SCTP'
         ELSE 'ICMP' END AS protocol
  FROM flows WHERE "Type" <> 'SOCK')
SELECT count(*) FROM (
  SELECT initiator, responder, protocol, port,
    CASE WHEN initiator[1] LIKE 'reserved:%' THEN initiator_ip END AS initiator_ip,
    CASE WHEN responder[1] LIKE 'reserved:%' THEN responder_ip END AS responder_ip,
    count(DISTINCT uuid) AS events, count(*) FILTER (back OR point = 'TO_ENDPOINT') AS delivered,
    count(*) FILTER (verdict = 'DROPPED' AND side = 'EGRESS' AND policy) AS dropped_egress,
    count(*) FILTER (verdict = 'DROPPED' AND side = 'INGRESS' AND policy) AS dropped_ingress,
    count(*) FILTER (verdict = 'AUDIT') AS audited,
    count(*) FILTER (source_id > 0) AS seen_egress, count(*) FILTER (destination_id > 0) AS seen_ingress,
    min(time) AS first, max(time) AS last, max(time) FILTER (verdict = 'DROPPED') AS last_drop, min(uuid) AS sample
  FROM connections GROUP BY ALL)
"""

_PLAIN = """
SELECT count(*) FROM (
  SELECT flow.source.labels, flow.destination.labels, flow.l4.TCP.destination_port, flow.l4.UDP.destination_port,
    flow.verdict, flow.is_reply, count(*), min(flow.time), max(flow.time)
  FROM read_json(?, format='newline_delimited', columns={flow: 'STRUCT(time VARCHAR, verdict VARCHAR,
    l4 STRUCT(TCP STRUCT(destination_port INT), UDP STRUCT(destination_port INT)),
    source STRUCT(labels VARCHAR[]), destination STRUCT(labels VARCHAR[]), is_reply BOOL)'})
  GROUP BY ALL)
"""


def flowmine(path: str) -> dict[str, int]:
    """Read a capture to EDGES in this process, as the commands do; return counts."""
    from flowmine.arrow import for_commands

    for_commands()
    from flowmine.edges import COLUMNS
    from flowmine.ingest import open_flows
    from flowmine.scale import aggregate

    source = open_flows(path, columns=COLUMNS)
    made = aggregate(source, jobs=1)
    return {"edges": made.edges.num_rows, "endpoints": made.endpoints.num_rows}


def duckdb(path: str) -> dict[str, int]:
    """Group the same file by the keys of EDGES, with its counts, with DuckDB on all cores; return the groups."""
    return _asked(_QUERY, path)


def duckdb_plain(path: str) -> dict[str, int]:
    """Count the events by labels, port, verdict and reply alone."""
    return _asked(_PLAIN, path)


def _asked(query: str, path: str) -> dict[str, int]:
    import duckdb as db

    connection = db.connect()
    connection.execute("SET enable_progress_bar = false")
    row = connection.execute(query, [path]).fetchone()
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


def made(flows: int, rate: int = RATE) -> Path:
    """Return a capture of that many flows, ``rate`` a second, made once by the project's own generator."""
    import subprocess
    import sys
    import tempfile

    path = Path(tempfile.gettempdir()) / f"flowmine-bench-{flows}-at-{rate}.jsonl"
    if not path.exists():
        generator = [sys.executable, "-m", "tests.cluster", "three-tier"]
        subprocess.run(
            [*generator, "--flows", str(flows), "--rate", str(rate), "--out", str(path)], check=True
        )
    return path


def compare(path: Path, runs: int) -> None:
    """Print the table for one capture."""
    size = path.stat().st_size
    with path.open("rb") as lines:
        flows = sum(chunk.count(b"\n") for chunk in iter(lambda: lines.read(1 << 24), b""))
    print(f"{path}: {flows:,} events, {size / 1e6:,.0f} MB")
    ours, theirs, plain = (_fastest(name, str(path), runs) for name in ("flowmine", "duckdb", "duckdb_plain"))
    print(_line("flowmine, one process", ours, flows, size))
    print(_line("DuckDB, the same keys", theirs, flows, size))
    print(_line("DuckDB, plain counts", plain, flows, size))
    print(f"ratio {theirs.seconds / ours.seconds:.2f} (1 = as fast as DuckDB for the same keys and counts)")


if __name__ == "__main__":
    main()
