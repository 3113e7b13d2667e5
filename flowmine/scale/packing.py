"""Parts as bytes, to travel between processes and machines: each table an Arrow IPC stream."""

import pyarrow as pa

from flowmine.edges import Parts, parts_of, tables_of

__all__ = ["packed", "unpacked"]


def packed(parts: Parts) -> dict[str, bytes]:
    """Return the tables of Parts by name, as Arrow IPC streams."""
    return {name: _stream(table) for name, table in tables_of(parts).items()}


def unpacked(streams: dict[str, bytes]) -> Parts:
    """Return Parts of their tables. Raise SchemaError where these are of another version."""
    return parts_of({name: pa.ipc.open_stream(stream).read_all() for name, stream in streams.items()})


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream
