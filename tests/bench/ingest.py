"""Capture to FLOWS: ``python -m tests.bench.ingest FILE`` prints flows/s, MB/s and peak memory, and how they grow.

The yardstick is a bare typed msgspec decode of the same bytes, which makes no column and looks up no endpoint.
"""

import io
import tempfile
from pathlib import Path

import click

from tests.bench.measure import Measured, measure


def whole(path: str) -> int:
    """Read all columns; return the number of flows."""
    from flowmine.ingest import open_flows

    return sum(batch.num_rows for batch in open_flows(path, dedup=False).batches())


def edges(path: str) -> int:
    """Read the columns that edges need, equal uuids once; return the number of flows."""
    from flowmine.edges import COLUMNS
    from flowmine.ingest import open_flows

    source = open_flows(path, columns=COLUMNS)
    return sum(batch.num_rows for batch in source.batches()) + source.ledger.total("duplicate")


def decode(path: str) -> int:
    """Decode the same records with msgspec and drop them; return the number of flows."""
    from flowmine.ingest.compression import decompress
    from flowmine.ingest.framing import blocks
    from flowmine.ingest.shapes import decoders, fields_of
    from flowmine.schema import FLOWS

    lean = decoders(fields_of(FLOWS.names)).lean
    stream = io.BytesIO(Path(path).read_bytes())
    pieces = decompress(iter(lambda: stream.read(1 << 18), b""))
    found = (lean.decode_lines(block.data) for block in blocks(pieces, 1 << 21) if hasattr(block, "data"))
    return sum(one.flow is not None for records in found for one in records)


def _line(name: str, got: Measured, size: int) -> str:
    rate = got.returned / got.seconds
    megabytes = size / got.seconds / 1e6
    return f"{name:<34} {got.seconds:7.2f} s {rate:10,.0f} flows/s {megabytes:7.0f} MB/s {got.peak / 1e6:6.0f} MB peak"


def _repeated(path: Path, times: int, folder: str) -> Path:
    """Return a file that holds the bytes of another so many times."""
    made = Path(folder, f"{times}-{path.name}")
    with made.open("wb") as out:
        for _ in range(times):
            out.write(path.read_bytes())
    return made


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--runs", default=3, help="Runs of each; the fastest counts.")
@click.option("--grow", default=10, help="How many times as large a file to show the memory on.")
def main(file: Path, runs: int, grow: int) -> None:
    """Measure the reading of FILE, plain or compressed."""
    module = "tests.bench.ingest"
    size = file.stat().st_size
    best = {
        name: min((measure(module, name, str(file)) for _ in range(runs)), key=lambda got: got.seconds)
        for name in ("decode", "whole", "edges")
    }
    click.echo(_line("msgspec decode alone", best["decode"], size))
    click.echo(_line("FLOWS, all columns", best["whole"], size))
    click.echo(_line("FLOWS, columns of edges, dedup", best["edges"], size))
    click.echo(
        f"edges' columns at {best['decode'].seconds / best['edges'].seconds:.2f} of the bare decode's speed"
    )
    with tempfile.TemporaryDirectory() as folder:
        grown = measure(module, "whole", str(_repeated(file, grow, folder)))
    click.echo(_line(f"FLOWS, all columns, {grow} times the file", grown, size * grow))


if __name__ == "__main__":
    main()
