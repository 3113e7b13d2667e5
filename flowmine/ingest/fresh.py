"""Pass on what was not read before, and count it."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.ingest.dedup import keys_of
from flowmine.ledger import Ledger

__all__ = ["passed_on", "repeatable_keys"]


def repeatable_keys(batch: pa.RecordBatch) -> npt.NDArray[np.uint64] | None:
    """Return a key for the uuid of each flow (`dedup.keys_of`); None where none has a uuid."""
    uuids = batch.column("uuid")
    return keys_of(uuids) if uuids.null_count < len(uuids) else None


def passed_on(batch: pa.RecordBatch, new: npt.NDArray[np.bool_] | None, ledger: Ledger) -> pa.RecordBatch:
    """Return the flows that are ``new`` (all, for None); tell the ledger of these, and of the others as duplicates."""
    if new is not None and not new.all():
        again = batch.filter(pa.array(~new))
        nodes = pc.value_counts(again.column("node_name"))
        for node, count in zip(*nodes.flatten(), strict=True):
            ledger.add("duplicate", "uuid", node=node.as_py() or "", count=count.as_py())
        batch = batch.filter(pa.array(new))
    ledger.flows += batch.num_rows
    bounds = pc.min_max(batch.column("time").cast(pa.int64()))
    ledger.window.add(batch.num_rows, bounds["min"].as_py(), bounds["max"].as_py())
    return batch
