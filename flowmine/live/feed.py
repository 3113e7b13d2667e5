"""A source read on from where an earlier run of the program stopped, and where it is to be read on after this one.

Files are read in the same order again, so the place is a number of events to pass over. A relay's place is its nodes'
newest events, which its own client resumes from: that source says ``cursors`` itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import pyarrow as pa

from flowmine.ledger import Ledger

__all__ = ["Feed", "LiveSource"]


class LiveSource(Protocol):
    """What `flowmine.ingest.open_flows` returns, or a stream of a relay, which has ``cursors`` as well."""

    @property
    def endpoints(self) -> pa.Table: ...
    @property
    def pods(self) -> pa.Table: ...
    @property
    def ledger(self) -> Ledger: ...
    def batches(self) -> Iterator[pa.RecordBatch]: ...


class Feed:
    """The batches of a source that earlier runs did not have; a context of one run."""

    def __init__(
        self, source: LiveSource, cursor: Mapping[str, Any] | None = None, *, asked: str = ""
    ) -> None:
        """Read ``source`` on from ``cursor``, what `cursor` returned at the end of an earlier run.

        ``asked`` says which events are asked for: other ones are at other places.
        """
        self.source = source
        self._place = _plain(getattr(source, "place", None), asked)
        before = dict(cursor or {})
        same = self._place is not None and before.get("inputs") == self._place
        self._skip = int(before.get("flows", 0)) if same else 0
        self.flows = 0
        self.other = "inputs" in before and not same
        """Whether what was read before was something else: events of both are counted twice."""
        self.skipped: Ledger | None = None
        """What the ledger told of what was passed over, once it is."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield what is new; a live source also yields batches without events, so that time is seen to pass."""
        for batch in self.source.batches():
            passed = min(batch.num_rows, max(0, self._skip - self.flows))
            self.flows += batch.num_rows
            if passed:
                self.skipped = self.source.ledger.merge([])
            if passed < batch.num_rows or not batch.num_rows:
                yield batch.slice(passed)

    @property
    def cursor(self) -> dict[str, Any]:
        """From where the next run reads on: after the batch that was yielded last."""
        live = getattr(self.source, "cursors", None)
        if live is not None:
            return {"relay": {name: list(cursor) for name, cursor in live.items()}}
        return {} if self._place is None else {"inputs": self._place, "flows": max(self.flows, self._skip)}


def _plain(place: tuple[tuple[str, int | None], ...] | None, asked: str) -> list[list[Any]] | None:
    """Return a place as JSON gives it back."""
    return None if place is None else [*(list(each) for each in place), [asked]]
