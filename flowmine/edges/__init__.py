"""From FLOWS to EDGES: `partial` and `merge` add up what events say, `settle` decides what it means."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import pyarrow as pa

from flowmine.edges.observe import COLUMNS, REQUEST_COLUMNS, Parts, merge, partial
from flowmine.edges.settle import Edges, settle
from flowmine.edges.stored import empty, parts_of, tables_of

if TYPE_CHECKING:
    from flowmine.ledger import Ledger

__all__ = [
    "COLUMNS",
    "REQUEST_COLUMNS",
    "Edges",
    "FlowSource",
    "Parts",
    "aggregate",
    "empty",
    "gather",
    "merge",
    "partial",
    "parts_of",
    "settle",
    "tables_of",
]

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


@runtime_checkable
class StateSource(Protocol):
    """A source that may hold Parts beside its events: folders of state."""

    def batches_and_state(self, kept: list[dict[str, pa.Table]]) -> Iterable[pa.RecordBatch]: ...


def aggregate(source: FlowSource, *, requests: bool = False, complete: bool = False) -> Edges:
    """Read a source to its end and return its EDGES, in memory bounded by the number of distinct edges."""
    parts = gather(source, requests=requests)
    return settle(parts, source.endpoints, source.pods, source.ledger.table(), complete=complete)


def gather(source: FlowSource, *, requests: bool = False) -> Parts:
    """Read a source to its end and return what its events add up to, yet to be settled."""
    pending = [empty()]
    kept: list[dict[str, pa.Table]] = []
    batches = source.batches_and_state(kept) if isinstance(source, StateSource) else source.batches()
    for batch in batches:
        pending.append(partial(batch, requests=requests))
        pending += [parts_of(kept.pop(), requests=requests) for _ in kept[:]]
        if len(pending) >= _MERGE_EVERY:
            pending = [merge(pending)]
    pending += [parts_of(tables, requests=requests) for tables in kept]
    return merge(pending)
