"""Tables as another program, or a broken one, would have written them: a column missing, of another type, or of odd values."""

from collections.abc import Iterator

import pyarrow as pa

__all__ = ["odd_tables"]

_TEXTS = ("", "\x00", "-", ":", "/", "=", "reserved:", "10.0.0.0/99", "9" * 40, "<b>", "\U0010ffff", " ")
_BROKEN = b"\xff\xfe"


def odd_tables(table: pa.Table) -> Iterator[pa.Table]:
    """Yield the table as it is, without rows, and for each column some tables in which only that column is odd."""
    yield table
    yield table.slice(0, 0)
    yield table.select([])
    for place, name in enumerate(table.schema.names):
        yield table.remove_column(place)
        yield table.append_column(name, table[name])
        for column in _odd(table[name].combine_chunks(), table.num_rows):
            yield table.set_column(place, name, column)


def _odd(column: pa.Array, rows: int) -> Iterator[pa.Array]:
    kind = column.type
    yield pa.nulls(rows, kind)
    yield pa.nulls(rows)
    yield pa.array([b"\xff\x00"] * rows, pa.binary())
    yield pa.array([1.5, float("nan"), float("inf"), -1e300][:rows] * rows, pa.float64())[:rows]
    yield pa.array([[{"a": 1}]] * rows)
    yield pa.array([_TEXTS[row % len(_TEXTS)] for row in range(rows)], pa.large_string())
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        yield from _whole(kind, rows)
    elif pa.types.is_string(kind):
        yield pa.array([_TEXTS[row % len(_TEXTS)] for row in range(rows)], kind)
        yield _not_text(rows)
    elif pa.types.is_list(kind):
        yield pa.array([None if row % 3 else [] for row in range(rows)], kind)
        yield pa.array([[None, None] for _ in range(rows)], kind)
        if pa.types.is_string(kind.value_type):
            yield pa.array([list(_TEXTS) for _ in range(rows)], kind)
    elif pa.types.is_dictionary(kind):
        yield pa.array([_TEXTS[row % len(_TEXTS)] for row in range(rows)]).dictionary_encode()
        yield pa.array(list(range(rows)), pa.int64()).dictionary_encode()


def _whole(kind: pa.DataType, rows: int) -> Iterator[pa.Array]:
    width = 64 if pa.types.is_timestamp(kind) else kind.bit_width
    signed = pa.types.is_timestamp(kind) or pa.types.is_signed_integer(kind)
    least, most = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    plain = pa.int64() if pa.types.is_timestamp(kind) else kind
    for values in ([least], [most], [least, most], [0, 1, None], [1], [0]):
        yield pa.array([values[row % len(values)] for row in range(rows)], plain).cast(kind)
    for other in (pa.int8(), pa.uint64(), pa.timestamp("s"), pa.bool_()):
        yield pa.array([row % 2 for row in range(rows)], pa.int64()).cast(other)


def _not_text(rows: int) -> pa.Array:
    offsets = pa.array(range(0, 2 * rows + 1, 2), pa.int32())
    return pa.StringArray.from_buffers(rows, offsets.buffers()[1], pa.py_buffer(_BROKEN * rows))
