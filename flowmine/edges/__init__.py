"""From FLOWS to EDGES: `partial` and `merge` add up what events say, `settle` decides what it means."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from flowmine.edges.observe import COLUMNS, REQUEST_COLUMNS, Parts, merge, partial
from flowmine.edges.settle import Edges, settle
from flowmine.schema import FLOWS

if TYPE_CHECKING:
    from flowmine.ledger import Ledger

__all__ = ["COLUMNS", "REQUEST_COLUMNS", "Edges", "Parts", "aggregate", "merge", "partial", "settle"]

_MERGE_EVERY = 16


class FlowSource(Protocol):
    """What `flowmine.ingest.open_flows` returns."""

    @property
    def endpoints(self) -> pa.Table: ...
    @property
    def pods(self) -> pa.Table: ...
    @property
    def ledger(self) -> "Ledger": ...
    def batches(self) -> Iterable[pa.RecordBatch]: ...


def aggregate(source: FlowSource, *, requests: bool = False, complete: bool = False) -> Edges:
    """Read a source to its end and return its EDGES, in memory bounded by the number of distinct edges."""
    pending = [empty()]
    for batch in source.batches():
        pending.append(partial(batch, requests=requests))
        if len(pending) >= _MERGE_EVERY:
            pending = [merge(pending)]
    return settle(merge(pending), source.endpoints, source.pods, source.ledger.table(), complete=complete)


def empty() -> Parts:
    """Return the Parts of no event at all: the neutral element of `merge`."""
    return partial(pa.RecordBatch.from_pylist([], schema=FLOWS))
