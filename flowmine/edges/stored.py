"""Parts as named tables, as they are stored, and back."""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from flowmine.edges.observe import Parts, partial
from flowmine.errors import SchemaError
from flowmine.schema import FLOWS

__all__ = ["empty", "parts_of", "tables_of"]

_NOT_COUNTS = ("a", "b", "ports", "subject")
_MOST = 1 << 48
"""More events of one kind than any row counts; a store that tells of more is damaged, and its sums would overflow."""


@cache
def empty() -> Parts:
    """Return the Parts of no event at all: the neutral element of `merge`."""
    return partial(pa.RecordBatch.from_pylist([], schema=FLOWS))


def tables_of(parts: Parts) -> dict[str, pa.Table]:
    """Return the tables of Parts by name."""
    return {each.name: getattr(parts, each.name) for each in fields(Parts)}


def parts_of(tables: Mapping[str, pa.Table], *, requests: bool = True) -> Parts:
    """Return Parts of their tables, what was asked (``requests``) left out unless wanted.

    Raise SchemaError where a table or a column is missing, of another type, or of values that no events add up to.
    """
    nothing = tables_of(empty())
    try:
        found = {
            name: _whole(_stored(tables, name, table).select(table.schema.names).cast(table.schema))
            for name, table in nothing.items()
        }
    except (KeyError, pa.ArrowException) as error:
        raise SchemaError(f"stored edges are not in the form that this version keeps: {error}") from error
    return Parts(**found if requests else {**found, "requests": nothing["requests"]})


def _whole(table: pa.Table) -> pa.Table:
    """Return a table that lacks no number but times, and can be added up. Raise pyarrow.ArrowInvalid for any other."""
    for name in table.schema.names:
        column = table[name]
        if column.null_count and pa.types.is_integer(column.type) and not name.startswith(("first", "last")):
            raise pa.ArrowInvalid(f"column {name!r} lacks values")
        if column.type == pa.uint64() and name not in _NOT_COUNTS and (pc.max(column).as_py() or 0) > _MOST:
            raise pa.ArrowInvalid(f"column {name!r} counts more than {_MOST:,}")
    return table


def _stored(tables: Mapping[str, pa.Table], name: str, nothing: pa.Table) -> pa.Table:
    """Return a stored table; of what is younger than the store, nothing."""
    return tables.get(name, nothing) if name == "folded" else tables[name]
