"""Captures for the tests of scale, and one way to compare what is made of them."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from flowmine.edges import COLUMNS, Edges
from flowmine.ingest import Source, open_flows
from flowmine.scale import Readers, aggregate
from tests.cluster import Capture, replay
from tests.cluster.systems import SYSTEMS


def capture(count: int, system: str = "shop", day: int = 0) -> list[bytes]:
    """Return the lines of a capture."""
    return list(replay(SYSTEMS[system](), count, Capture(day=day)))


def read(
    *inputs: Path, jobs: int, columns: Any = COLUMNS, readers: Readers | None = None, **options: Any
) -> tuple[Edges, Source]:
    """Return the edges of inputs, and their source, read to its end by so many processes."""
    source = open_flows(*inputs, columns=columns, **options)
    return aggregate(source, jobs=jobs, readers=readers), source


def told(made: tuple[Edges, Source]) -> dict[str, Any]:
    """Return all that was made and told: the bytes of every table, and the ledger."""
    edges, source = made
    tables = {each.name: _bytes(getattr(edges, each.name)) for each in fields(Edges)}
    return {**tables, "told": source.ledger}


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    stream: bytes = sink.getvalue().to_pybytes()
    return stream
