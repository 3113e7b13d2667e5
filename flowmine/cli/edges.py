"""`flowmine edges`: who talked to whom, on which port, with what outcome."""

import io
import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowmine.cli.display import show_table, write_bytes, write_lines, write_text
from flowmine.cli.exitcodes import FailOn, fails_on, reading_classes
from flowmine.cli.filters import FilteredCommand
from flowmine.cli.inputs import Capture, capture_inputs
from flowmine.cli.scaleoptions import scale_options

if TYPE_CHECKING:
    from flowmine.edges import Edges
    from flowmine.ingest.filters import Selection

__all__ = ["edges"]


@click.command(cls=FilteredCommand)
@capture_inputs
@scale_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "csv", "parquet", "arrow"]),
    default="table",
    show_default=True,
    help="Names resolved in table, json and csv; the columns of EDGES and ENDPOINTS in parquet and arrow.",
)
@click.option(
    "-d", "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="PATH", help="Write to a file."
)
@fails_on("edges")
def edges(capture: Capture, selection: "Selection", output: str, out: Path | None, failing: FailOn) -> int:
    """Show who talked to whom, on which port, and what became of it.

    An edge is what one policy rule would be about: who began it, who answered, protocol and port, and the address of
    an end outside. Filters that hide part of the traffic change what edges are seen and how they are judged.
    """
    from flowmine.edges import COLUMNS

    with capture.reading(selection, columns=COLUMNS) as reading:
        found = reading.edges(meanwhile=_import_views)
        reading.tell(_told(found))
        reading.end()
        _FORMATS[output](found, out)
    outcomes = dict.fromkeys(found.edges.column("outcome").unique().to_pylist(), True)
    return failing.code(outcomes | reading_classes(reading.source.ledger))


def _import_views() -> None:
    import_module("flowmine.report.edgeview")
    import_module("flowmine.report.summary")


def _told(found: "Edges") -> str:
    import pyarrow.compute as pc

    counts = {
        row["values"]: row["counts"] for row in pc.value_counts(found.edges.column("outcome")).to_pylist()
    }
    parts = ", ".join(f"{outcome} {counts[outcome]:,}" for outcome in sorted(counts))
    total = found.edges.num_rows
    return f"{total:,} edge{'' if total == 1 else 's'}: {parts}" if counts else "no edges"


def _table(found: "Edges", out: Path | None) -> None:
    from flowmine.report.edgeview import edge_table

    show_table(edge_table(found), out)


def _json(found: "Edges", out: Path | None) -> None:
    from flowmine.report.edgeview import edge_records

    write_lines(_array(edge_records(found)), out)


def _array(values: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Yield a JSON array, one value a line."""
    before = "["
    for value in values:
        yield before + json.dumps(value, ensure_ascii=False)
        before = ","
    yield "]" if before == "," else "[]"


def _csv(found: "Edges", out: Path | None) -> None:
    from flowmine.report.edgeview import edge_csv

    write_text(edge_csv(found), out)


def _parquet(found: "Edges", out: Path | None) -> None:
    import pyarrow.parquet as pq

    from flowmine.report.edgeview import wide_edges

    buffer = io.BytesIO()
    pq.write_table(wide_edges(found), buffer)
    write_bytes(buffer.getvalue(), out)


def _arrow(found: "Edges", out: Path | None) -> None:
    """Write Arrow's file format to a path, its stream format to a pipe."""
    import pyarrow as pa

    from flowmine.report.edgeview import wide_edges

    table, buffer = wide_edges(found), io.BytesIO()
    with (pa.ipc.new_file if out else pa.ipc.new_stream)(buffer, table.schema) as writer:
        writer.write_table(table)
    write_bytes(buffer.getvalue(), out)


_FORMATS: dict[str, Callable[["Edges", Path | None], None]] = {
    "table": _table,
    "json": _json,
    "csv": _csv,
    "parquet": _parquet,
    "arrow": _arrow,
}
