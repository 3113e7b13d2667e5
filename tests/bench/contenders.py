"""What a user would do instead, and the bare parsing of the same lines: each reads a capture and returns a count."""

import gzip
import os
import sys
from itertools import count
from pathlib import Path
from typing import Any

from tests.bench.edges import duckdb, duckdb_plain, flowmine

__all__ = [
    "cores_of",
    "dask_engine",
    "duckdb",
    "duckdb_plain",
    "flowmine",
    "flowmine_all",
    "flowmine_without_numba",
    "hubble_audit2policy",
    "isal_inflate",
    "jq_loop",
    "orjson_loop",
    "polars_scan",
    "pyarrow_json",
    "recorded",
    "rotated",
    "simdjson_parse",
    "spin",
]


def cores_of() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def flowmine_all(path: str) -> dict[str, int]:
    """Read to EDGES with a process a core."""
    return _edges(path, jobs=cores_of())


def flowmine_without_numba(path: str) -> dict[str, int]:
    """Read as `flowmine_all` where the extra ``fast`` is not installed."""
    sys.modules["llvmlite"] = None  # type: ignore[assignment]
    return flowmine_all(path)


def dask_engine(path: str) -> dict[str, int]:
    """Read to EDGES on a local Dask cluster with a worker a core."""
    return _edges(path, engine="dask", jobs=cores_of())


def _edges(path: str, **options: Any) -> dict[str, int]:
    from flowmine.arrow import for_commands

    for_commands()
    from flowmine.edges import COLUMNS
    from flowmine.ingest import open_flows
    from flowmine.scale import aggregate

    made = aggregate(open_flows(path, columns=COLUMNS), **options)
    return {"edges": made.edges.num_rows, "endpoints": made.endpoints.num_rows}


def polars_scan(path: str) -> dict[str, int]:
    """Count by labels, port, verdict and reply with polars, on all cores."""
    import polars as pl

    labels = pl.Struct({"labels": pl.List(pl.String)})
    ports = pl.Struct({"destination_port": pl.Int64})
    flow = pl.Struct(
        {
            "time": pl.String,
            "verdict": pl.String,
            "l4": pl.Struct({"TCP": ports, "UDP": ports}),
            "source": labels,
            "destination": labels,
            "is_reply": pl.Boolean,
        }
    )
    fields = pl.scan_ndjson(path, schema={"flow": flow}, ignore_errors=True).select(
        pl.col("flow").struct.unnest()
    )
    keys = [
        pl.col("source").struct.field("labels").list.join(",").alias("a"),
        pl.col("destination").struct.field("labels").list.join(",").alias("b"),
        pl.col("l4").struct.field("TCP").struct.field("destination_port").alias("tcp"),
        pl.col("l4").struct.field("UDP").struct.field("destination_port").alias("udp"),
        "verdict",
        "is_reply",
    ]
    grouped = fields.group_by(keys).agg(
        pl.len(), pl.col("time").min().alias("first"), pl.col("time").max().alias("last")
    )
    return {"edges": grouped.collect(engine="streaming").height}


def pyarrow_json(path: str) -> dict[str, int]:
    """Read the same fields into a table with pyarrow, on all cores; nothing is grouped."""
    import pyarrow as pa
    from pyarrow import json

    end = pa.struct([("labels", pa.list_(pa.string()))])
    ports = pa.struct([("destination_port", pa.int64())])
    flow = pa.struct(
        [
            ("time", pa.string()),
            ("verdict", pa.string()),
            ("l4", pa.struct([("TCP", ports), ("UDP", ports)])),
            ("source", end),
            ("destination", end),
            ("is_reply", pa.bool_()),
        ]
    )
    parse = json.ParseOptions(explicit_schema=pa.schema([("flow", flow)]), unexpected_field_behavior="ignore")
    table = json.read_json(path, json.ReadOptions(block_size=16 << 20), parse)
    return {"rows": table.num_rows}


def orjson_loop(path: str) -> dict[str, int]:
    """Count by labels, port, verdict and reply with orjson, line by line, as a script would."""
    from collections import Counter

    import orjson

    counts: Counter[Any] = Counter()
    with Path(path).open("rb") as lines:
        for line in lines:
            flow = orjson.loads(line).get("flow")
            if flow is None:
                continue
            ports = next(iter(flow.get("l4", {"": {}}).values()))
            ends = (tuple(flow.get(end, {}).get("labels", ())) for end in ("source", "destination"))
            key = (*ends, ports.get("destination_port"), flow.get("verdict"), flow.get("is_reply"))
            counts[key] += 1
    return {"edges": len(counts)}


def hubble_audit2policy(path: str) -> dict[str, int]:
    """Write policies of the capture with hubble-audit2policy."""
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(Path(sys.executable).with_name("hubble-audit2policy")),
            path,
            "-o",
            folder,
            "--no-enrich",
        ]
        subprocess.run(command, check=True, capture_output=True)
        return {"policies": len(list(Path(folder).iterdir()))}


def jq_loop(path: str) -> dict[str, int]:
    """Count by labels, port, verdict and reply with jq and sort, as a shell would."""
    import subprocess

    wanted = ".source.labels, .destination.labels, (.l4 // {} | map(.destination_port?) | .[0]), .verdict, .is_reply"
    command = f"jq -c '.flow // empty | [{wanted}]' \"$1\" | sort | uniq -c | wc -l"
    done = subprocess.run(["sh", "-c", command, "sh", path], check=True, capture_output=True, text=True)
    return {"edges": int(done.stdout)}


def simdjson_parse(path: str) -> dict[str, int]:
    """Parse every line with pysimdjson and look at nothing: what parsing alone costs."""
    import simdjson

    parser = simdjson.Parser()
    parsed = 0
    with Path(path).open("rb") as lines:
        for line in lines:
            parser.parse(line)
            parsed += 1
    return {"rows": parsed}


def isal_inflate(path: str) -> dict[str, int]:
    """Inflate a compressed capture with isal, and look at nothing."""
    from isal import igzip

    inflated = 0
    with igzip.open(path, "rb") as content:
        while chunk := content.read(1 << 20):
            inflated += len(chunk)
    return {"bytes": inflated}


def recorded(path: Path) -> Path:
    """Return the same capture as `flowmine capture` records it, made once."""
    import subprocess

    made = path.with_suffix(".recorded")
    if not made.exists():
        command = [sys.executable, "-m", "flowmine", "capture", "-q", str(path), "-d", str(made)]
        subprocess.run(command, check=True)
    return made


def compressed(path: Path) -> Path:
    """Return the same capture compressed, made once."""
    made = path.with_suffix(path.suffix + ".gz")
    if not made.exists():
        with path.open("rb") as content, gzip.open(made, "wb", compresslevel=6) as out:
            while chunk := content.read(1 << 22):
                out.write(chunk)
    return made


def rotated(path: Path) -> Path:
    """Return the same capture as an exporter leaves it, made once: a folder of files of 10 MB, each compressed."""
    made = path.with_suffix(".rotated")
    if not made.exists():
        beside = path.with_suffix(".rotating")
        beside.mkdir(exist_ok=True)
        with path.open("rb") as content:
            for number in count():
                if not (lines := content.readlines(10_000_000)):
                    break
                (beside / f"events-{number:05}.log.gz").write_bytes(gzip.compress(b"".join(lines), 6))
        beside.rename(made)
    return made


def spin() -> int:
    """Keep one core busy with nothing that another could be in the way of."""
    return sum(number & 1 for number in range(10_000_000))
