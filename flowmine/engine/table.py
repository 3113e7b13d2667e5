"""Connections to judge out of Arrow tables: PARTIES and QUERIES become the engine's columns without a loop over rows."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine import schema
from flowmine.engine.columns import numbered
from flowmine.engine.index import Ints
from flowmine.engine.l7 import Request, canonical_name
from flowmine.engine.party import Party
from flowmine.engine.queries import NONE, Queries, single_protocol
from flowmine.errors import InputError, SchemaError

__all__ = ["parties_from_table", "queries_from_table"]


def queries_from_table(queries: pa.Table, parties: pa.Table) -> Queries:
    """Return the batch of a QUERIES table over a PARTIES table.

    Raise SchemaError where a table has other columns or names a party that is not there, InputError where a protocol
    or a named port is none.
    """
    schema.check(queries, schema.QUERIES, "QUERIES")
    schema.check(parties, schema.PARTIES, "PARTIES")
    for end in ("source", "destination"):
        highest = pc.max(queries[end]).as_py()
        if queries[end].null_count or (highest is not None and highest >= len(parties)):
            raise SchemaError(f"QUERIES: {end} names no row of PARTIES ({len(parties)} rows)")
    protocol, protocols = numbered(queries["protocol"])
    bits = np.array([int(single_protocol(name)) for name in protocols] + [0], np.int64)
    request, requests = _requests(queries)
    name, names = numbered(queries["dns_query"])
    return Queries(
        tuple(parties_from_table(parties)),
        queries["source"].to_numpy().astype(np.int64),
        queries["destination"].to_numpy().astype(np.int64),
        bits[protocol],
        pc.fill_null(queries["port"], 0).to_numpy().astype(np.int64),
        request,
        requests,
        name,
        tuple(canonical_name(each) for each in names),
    )


def parties_from_table(parties: pa.Table) -> Iterable[Party]:
    """Yield the rows of a PARTIES table. Raise InputError where a named port is none."""
    for row in parties.to_pylist():
        ports = dict(_named_port(text) for text in row["named_ports"] or ())
        yield Party.of({**row, "named_ports": ports})


def _named_port(text: str) -> tuple[str, str]:
    name, equals, port = text.partition("=")
    if not equals:
        raise InputError(f"named port {text!r}, expected name=port/protocol like 'http=8080/TCP'")
    return name, port


def _requests(queries: pa.Table) -> tuple[Ints, tuple[Request, ...]]:
    columns = [numbered(queries[name]) for name in ("http_method", "http_path", "http_host")]
    codes = np.stack([code for code, _ in columns])
    distinct, numbers = np.unique(codes, axis=1, return_inverse=True)
    values = [[*texts, ""] for _, texts in columns]  # the code of null, -1, is the last
    made = [Request(*(values[part][some[part]] for part in range(3))) for some in distinct.T.tolist()]
    absent = (codes < 0).all(axis=0)
    return np.where(absent, NONE, numbers.reshape(-1)), tuple(made)
