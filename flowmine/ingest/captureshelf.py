"""Take in the pieces of stored windows while a source is read: endpoints, ledger, events that a filter keeps."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from flowmine.errors import InputError, UsageError
from flowmine.ingest.captureread import Kept, Stored, Told
from flowmine.ingest.capturerecords import UNKEPT, Ends, records
from flowmine.ingest.intern import Endpoints
from flowmine.ledger import Ledger
from flowmine.schema import FLOWS

__all__ = ["Shelf"]

Record = dict[str, Any]


class Shelf:
    """The windows of one reading."""

    def __init__(
        self,
        endpoints: Endpoints,
        ledger: Ledger,
        keep: Callable[[Record], bool] | None = None,
        needs: Collection[str] = (),
        kept: list[dict[str, pa.Table]] | None = None,
    ) -> None:
        """Tell the reading's endpoints and ledger; state goes to ``kept``, and where there is none is refused.

        ``needs`` are the fields that ``keep`` asks about.
        """
        self._unkept = sorted(set(UNKEPT).intersection(needs))
        self._endpoints, self._ledger, self._keep, self._kept = endpoints, ledger, keep, kept
        self._ends = Ends()
        self._expected: set[str] = set()
        self._carried: set[str] = set()

    def take(self, piece: Stored | Kept, name: str) -> pa.RecordBatch:
        """Return a piece's events that are to be kept; none of state, which is put by as it is.

        Raise InputError for state where nobody takes it or events are to be chosen from it, UsageError where they are
        to be chosen by what windows do not keep.
        """
        if self._unkept:
            raise UsageError(
                f"{name}: a recorded capture keeps no {', '.join(self._unkept)}, so that this filter cannot choose from it"
            )
        if piece.told is not None:
            self._hear(piece.told)
        if isinstance(piece, Kept):
            if self._kept is None:
                raise InputError(f"{name}: a state folder holds edges, not events; name a capture")
            if self._keep is not None:
                raise InputError(f"{name}: a state folder holds edges, from which no events can be filtered")
            self._kept.append(piece.tables)
            self._ledger.flows += piece.told.manifest.flows
            self._ledger.window.add(
                piece.told.manifest.flows, piece.told.manifest.first, piece.told.manifest.last
            )
            return pa.RecordBatch.from_pylist([], FLOWS)
        if self._keep is None or not piece.batch.num_rows:
            return piece.batch
        chosen = [self._keep(record) for record in records(piece.batch, self._ends)]
        return piece.batch.filter(pa.array(np.array(chosen, bool)))

    def records(self, piece: Stored | Kept, name: str) -> Iterator[tuple[bytes, Record, str]]:
        """Yield a piece's events that are to be kept: JSON, record, where it is. Raises as `take`."""
        for record in records(self.take(piece, name), self._ends):
            yield msgspec.json.encode(record), record, name

    def _hear(self, told: Told) -> None:
        """Join what a window says beside its events."""
        self._endpoints.absorb(told.endpoints, told.pods)
        self._ends.add(told.endpoints, told.pods)
        ledger, manifest = self._ledger, told.manifest
        times = {name: told.ledger[name].cast(pa.int64()).to_pylist() for name in ("first", "last")}
        for place, row in enumerate(told.ledger.select(["node", "kind", "source", "count"]).to_pylist()):
            span = {name: values[place] for name, values in times.items()}
            ledger.add(row["kind"], row["source"], node=row["node"], count=row["count"], **span)
        ledger.bad += manifest.bad
        for version, count in manifest.versions.items():
            ledger.versions[version] = ledger.versions.get(version, 0) + count
        ledger.texts += [text for text in manifest.texts if text not in ledger.texts]
        ledger.notes += [note for note in manifest.notes if note not in ledger.notes]
        self._expected.update(manifest.expected)
        self._carried.update(manifest.carried)

    def end(self) -> None:
        """Tell the ledger which fields no event of the windows carries."""
        for name in sorted(self._expected - self._carried):
            self._ledger.add("masked", name)
