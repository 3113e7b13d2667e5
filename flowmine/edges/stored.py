"""Parts as named tables, as they are stored, and back."""

from collections.abc import Mapping
from dataclasses import fields

import pyarrow as pa

from flowmine.edges.observe import Parts, partial
from flowmine.errors import SchemaError
from flowmine.schema import FLOWS

__all__ = ["empty", "parts_of", "tables_of"]


def empty() -> Parts:
    """Return the Parts of no event at all: the neutral element of `merge`."""
    return partial(pa.RecordBatch.from_pylist([], schema=FLOWS))


def tables_of(parts: Parts) -> dict[str, pa.Table]:
    """Return the tables of Parts by name."""
    return {each.name: getattr(parts, each.name) for each in fields(Parts)}


def parts_of(tables: Mapping[str, pa.Table], *, requests: bool = True) -> Parts:
    """Return Parts of their tables, what was asked (``requests``) left out unless wanted.

    Raise SchemaError where a table or a column is missing, or of another type.
    """
    nothing = tables_of(empty())
    try:
        found = {
            name: _stored(tables, name, table).select(table.schema.names).cast(table.schema)
            for name, table in nothing.items()
        }
    except (KeyError, pa.ArrowException) as error:
        raise SchemaError(f"stored edges are not in the form that this version keeps: {error}") from error
    return Parts(**found if requests else {**found, "requests": nothing["requests"]})


def _stored(tables: Mapping[str, pa.Table], name: str, nothing: pa.Table) -> pa.Table:
    """Return a stored table; of what is younger than the store, nothing."""
    return tables.get(name, nothing) if name == "folded" else tables[name]
