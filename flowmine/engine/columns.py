"""Columns as numbers: each value by its place among the distinct ones, and so each combination of several columns."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.engine.index import Ints
from flowmine.engine.queries import NONE

__all__ = ["distinct", "numbered"]

_ROOM = 1 << 62


def numbered(column: pa.ChunkedArray) -> tuple[Ints, list[Any]]:
    """Return each row's number among the column's distinct values, -1 for null, and those values."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    array = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    codes = pc.fill_null(array.indices.cast(pa.int64()), NONE).to_numpy(zero_copy_only=False)
    return codes, array.dictionary.to_pylist()


def distinct(*columns: Ints) -> tuple[Ints, Ints]:
    """Return where each distinct combination of some columns (numbers from -1 on) first stands, and each row's place among these."""
    packed = columns[0].astype(np.int64) + 1
    for column in columns[1:]:
        size = int(column.max(initial=NONE)) + 2
        if int(packed.max(initial=0)) >= _ROOM // size:
            packed = np.unique(packed, return_inverse=True)[1]
        packed = packed * size + column + 1
    _, first, number = np.unique(packed, return_index=True, return_inverse=True)
    return first, number
