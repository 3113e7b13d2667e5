"""From FLOWS to EDGES: `partial` and `merge` add up what events say, `settle` decides what it means."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import pyarrow as pa

from flowmine.edges import telling
from flowmine.edges.fold import MAX_PEERS, fold
from flowmine.edges.observe import COLUMNS, REQUEST_COLUMNS, Parts, in_hours, merge, partial
from flowmine.edges.settle import Edges, settle
from flowmine.edges.stored import empty, parts_of, tables_of
from flowmine.edges.sums import Sum, Sums

if TYPE_CHECKING:
    from flowmine.ledger import Ledger

__all__ = [
    "COLUMNS",
    "MAX_PEERS",
    "REQUEST_COLUMNS",
    "Edges",
    "FlowSource",
    "Parts",
    "Sum",
    "Sums",
    "aggregate",
    "empty",
    "fold",
    "gather",
    "in_hours",
    "merge",
    "partial",
    "parts_of",
    "settle",
    "tables_of",
    "telling",
]


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


def aggregate(
    source: FlowSource, *, requests: bool = False, complete: bool = False, max_peers: int = MAX_PEERS
) -> Edges:
    """Read a source to its end and return its EDGES, in memory bounded by ``max_peers`` of each subject (`fold`)."""
    parts = gather(source, requests=requests, max_peers=max_peers)
    return settle(parts, source.endpoints, source.pods, source.ledger.table(), complete=complete)


def gather(source: FlowSource, *, requests: bool = False, max_peers: int = MAX_PEERS) -> Parts:
    """Read a source to its end and return what its events add up to, yet to be settled."""
    total = Sum(Sums(requests, max_peers))
    kept: list[dict[str, pa.Table]] = []
    batches = source.batches_and_state(kept) if isinstance(source, StateSource) else source.batches()
    for batch in batches:
        total.add_flows(batch)
        while kept:
            total.add(parts_of(kept.pop(), requests=requests))
    return total.parts()
