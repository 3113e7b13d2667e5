"""Usual flows that wait to be told once together with those of the next portions: the more there are, the fewer differ."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from flowmine.ingest.columns import Builder
from flowmine.ingest.folding import Fold, Ints, Mask, Telling
from flowmine.ingest.fresh import window_of
from flowmine.ingest.stretchrows import StretchRows
from flowmine.ledger import Entry

__all__ = ["Unfolded", "Waiting"]

_ENOUGH = 1 << 16
"""Flows that are told once together, at least: with half as many it takes a tenth longer; with twice as many two processes
take no less time, and more memory.
"""


@dataclass(frozen=True, slots=True)
class Unfolded:
    """Some flows of a portion (`folding.Lot`), each by itself. Endpoints must be `held` as long as there are any.

    ``kept`` says which of the rows they are, None for all: of the others is told what is told of any that is read.
    """

    rows: StretchRows
    places: Ints
    kept: Mask | None = None

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self.rows.length

    @property
    def window(self) -> Entry:
        """How many are kept, and when they were."""
        times = self.rows.time.cast(pa.int64())
        return window_of(times if self.kept is None else times.filter(pa.array(self.kept)))

    @property
    def uuids(self) -> pa.Array:
        """Of each row."""
        return self.rows.text("uuid")

    def nodes(self, chosen: Mask) -> pa.Array:
        """Return the emitting nodes of some."""
        return self.rows.text("node_name").filter(pa.array(chosen))

    def only(self, chosen: Mask) -> "Unfolded":
        """Return some of the flows."""
        return Unfolded(self.rows, self.places, chosen)


class Waiting:
    """The flows of one reading that are not yet told once."""

    def __init__(self, builder: Builder, telling: Telling) -> None:
        """Have none; ``builder`` makes their columns, ``telling`` says which are alike."""
        self._builder, self._telling = builder, telling
        self._lots: list[Unfolded] = []

    def __len__(self) -> int:
        return sum(lot.count for lot in self._lots)

    def add(self, lot: Unfolded) -> None:
        """Let some more wait."""
        self._lots.append(lot)

    def enough(self) -> list[Fold]:
        """Return all that wait as few folds, if they are enough; none wait then. Raises as `Builder.batch`."""
        return self.all() if len(self) >= _ENOUGH else []

    def all(self) -> list[Fold]:
        """Return all that wait, however few they are. Raises as `Builder.batch`."""
        lots, self._lots = self._lots, []
        return self.folded(lots)

    def folded(self, lots: list[Unfolded]) -> list[Fold]:
        """Return some flows told once, in one fold if that can be, and take them off the list: they need not be held.

        Raises as `Builder.batch`.
        """
        whole = lots[0].rows.joined([lot.rows for lot in lots[1:]]) if lots else None
        if whole is not None:
            places = np.concatenate([lot.places for lot in lots])
            masks = [np.ones(lot.count, bool) if lot.kept is None else lot.kept for lot in lots]
            lots[:] = [Unfolded(whole, places, np.concatenate(masks))]
        return [self._folded(lot) for lot in lots]

    def _folded(self, lot: Unfolded) -> Fold:
        made = self._builder.fold(lot.rows, lot.places, self._telling)
        return made if lot.kept is None or lot.kept.all() else made.only(lot.kept)
