"""Pass on what was not read before, and count it."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.ingest.dedup import keys_of
from flowmine.ledger import Entry, Ledger

__all__ = ["passed_on", "repeatable_keys", "tell_again", "tell_passed_on", "window_of"]


def repeatable_keys(uuids: pa.Array) -> npt.NDArray[np.uint64] | None:
    """Return a key for the uuid of each flow (`dedup.keys_of`); None where none has a uuid."""
    return keys_of(uuids) if uuids.null_count < len(uuids) else None


def passed_on(batch: pa.RecordBatch, new: npt.NDArray[np.bool_] | None, ledger: Ledger) -> pa.RecordBatch:
    """Return the flows that are ``new`` (all, for None); tell the ledger of these, and of the others as duplicates."""
    if new is not None and not new.all():
        tell_again(batch.column("node_name").filter(pa.array(~new)), ledger)
        batch = batch.filter(pa.array(new))
    tell_passed_on(window_of(batch.column("time").cast(pa.int64())), ledger)
    return batch


def tell_again(nodes: pa.Array, ledger: Ledger) -> None:
    """Tell the ledger of flows that were read before, by their ``node_name``."""
    for node, count in zip(*pc.value_counts(nodes).flatten(), strict=True):
        ledger.add("duplicate", "uuid", node=node.as_py() or "", count=count.as_py())


def window_of(times: pa.Array) -> Entry:
    """Return how many flows there are, and when they were, by their times in nanoseconds."""
    bounds = pc.min_max(times)
    return Entry(len(times), bounds["min"].as_py(), bounds["max"].as_py())


def tell_passed_on(window: Entry, ledger: Ledger) -> None:
    """Tell the ledger of flows that are passed on: how many there are, and when they were."""
    ledger.flows += window.count
    ledger.window.add(window.count, window.first, window.last)
