"""Captures recorded for tests: from any inputs, in windows of so many events."""

import io
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from flowmine.edges import COLUMNS, REQUEST_COLUMNS, Edges, aggregate, telling
from flowmine.ingest import open_flows
from flowmine.ingest.capture import Cut, Recorder
from flowmine.ingest.capturewindow import Folder
from flowmine.live.feed import Feed
from flowmine.live.record import Written, record

SAMPLES = Path(__file__).parents[2] / "sample_flows"


def recorded(
    out: Path,
    *inputs: str | Path | bytes,
    events: int = 1 << 21,
    batch_rows: int = 1 << 16,
    cursor: dict[str, Any] | None = None,
    **recorder: Any,
) -> list[Written]:
    """Record inputs (bytes are the content of one) into a folder, a window every so many events."""
    opened: list[str | Path | BinaryIO] = [
        io.BytesIO(each) if isinstance(each, bytes) else each for each in inputs
    ]
    source = open_flows(*opened, batch_rows=batch_rows)
    with Folder(out) as folder:
        made = Recorder(folder, Cut(seconds=1e9, events=events), telling, clock=lambda: 0.0, **recorder)
        return list(record(Feed(source, cursor), made))


def flows(*inputs: str | Path, **options: Any) -> pa.Table:
    """Return the FLOWS of inputs, sorted by time and uuid."""
    source = open_flows(*inputs, **options)
    table = pa.Table.from_batches(source.batches(), source.schema)
    return table.sort_by([("time", "ascending"), ("uuid", "ascending")])


def edges(*inputs: str | Path) -> Edges:
    """Return the EDGES of inputs, with requests."""
    return aggregate(open_flows(*inputs, columns=(*COLUMNS, *REQUEST_COLUMNS)), requests=True)


def tables(found: Edges) -> dict[str, pa.Table]:
    """Return the tables of EDGES by name."""
    return {name: getattr(found, name) for name in Edges.__dataclass_fields__}
