"""One capture under its filters: read when something is asked of it, and what was read is kept.

At most two readings happen, however much is asked: one that adds events up to edges, and one that keeps all columns of
all flows (for the flows' own table). Where the second comes first, edges are made of what it kept.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Protocol

import pyarrow as pa

from flowmine.edges import COLUMNS, REQUEST_COLUMNS, Edges, Parts, gather, settle
from flowmine.errors import UsageError
from flowmine.ingest import Keep, Progress, Source
from flowmine.ingest.filters import Selection
from flowmine.ingest.selecting import Keeper
from flowmine.ledger import Ledger
from flowmine.notebook.progress import shown_progress
from flowmine.schema import FLOWS

__all__ = ["Held", "Opener", "Reading"]

Told = Callable[[Progress], None]


class Opener(Protocol):
    """What opens the capture anew for each reading."""

    def __call__(
        self,
        *,
        columns: Collection[str] | None = None,
        keep: Keep | None = None,
        dedup: bool = True,
        progress: Told | None = None,
    ) -> Source: ...


@dataclass(frozen=True, slots=True)
class Held:
    """Flows in memory, with what is known of their ends: a source that can be read again and again."""

    flows: Sequence[pa.RecordBatch]
    endpoints: pa.Table
    pods: pa.Table
    ledger: Ledger

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the flows."""
        yield from self.flows

    @property
    def table(self) -> pa.Table:
        """The flows as one table."""
        return pa.Table.from_batches(self.flows, self.flows[0].schema if self.flows else FLOWS)


@dataclass(frozen=True)
class Reading:
    """A capture that ``opener`` opens, of which ``selections`` keep a part; ``names`` are what is read.

    Where flows are ``given``, these are the capture, and ``why_whole`` says why it cannot be filtered any more.
    """

    names: tuple[str, ...]
    opener: Opener | None = None
    selections: tuple[Selection, ...] = ()
    given: Held | None = None
    why_whole: str = ""
    _edges: dict[bool, Edges] = field(default_factory=dict, init=False, repr=False, compare=False)

    def filtered(self, selection: Selection) -> "Reading":
        """Return the reading of the part that one more selection keeps. Raise UsageError where it cannot be filtered."""
        if self.opener is None:
            raise UsageError(f"these flows cannot be filtered any more: {self.why_whole}")
        return replace(self, selections=(*self.selections, selection))

    @property
    def has_read(self) -> bool:
        """Whether anything was read yet."""
        return self.given is not None or "held" in self.__dict__ or "_gathered" in self.__dict__

    @cached_property
    def held(self) -> Held:
        """All columns of all flows."""
        if self.given is not None:
            return self.given
        with self._opened(None) as source:
            flows = tuple(source.batches())
            return Held(flows, source.endpoints, source.pods, source.ledger)

    @property
    def ledger(self) -> Ledger:
        """How far the capture can be trusted; reads it where nothing did."""
        return (
            self.held.ledger
            if "held" in self.__dict__ or self.given is not None
            else self._gathered[1].ledger
        )

    def edges(self, *, complete: bool = False) -> Edges:
        """Return the edges; ``complete`` vouches that the capture was not filtered when it was recorded."""
        if complete not in self._edges:
            parts, source = self._gathered
            ledger = source.ledger.table()
            self._edges[complete] = settle(parts, source.endpoints, source.pods, ledger, complete=complete)
        return self._edges[complete]

    @cached_property
    def _gathered(self) -> tuple[Parts, Held]:
        """What the events add up to, and all else that is known of them."""
        if self.given is not None or "held" in self.__dict__:
            return gather(self.held, requests=True), self.held
        with self._opened((*COLUMNS, *REQUEST_COLUMNS)) as source:
            parts = gather(source, requests=True)
            return parts, Held((), source.endpoints, source.pods, source.ledger)

    @contextmanager
    def _opened(self, columns: Collection[str] | None) -> Iterator[Source]:
        """Open the capture under its filters, with a bar in the notebook while it is read."""
        assert self.opener is not None  # what is held is not opened
        keep = None
        if self.selections:
            keep = Keeper(self.selections, partial(self.opener, dedup=False)).predicate()
        with shown_progress(_named(self.names)) as progress:
            yield self.opener(columns=columns, keep=keep, progress=progress)


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names):,} captures"
