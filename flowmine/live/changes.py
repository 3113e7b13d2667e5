"""What is new between two looks at the same growing traffic: edges never seen, drops never seen."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.edges import Edges
from flowmine.schema import EDGE_KEY

__all__ = ["Change", "Known", "What", "only"]


class What(StrEnum):
    """What happened to an edge."""

    EDGE = "edge"
    DROP = "drop"
    WOULD_DROP = "would_drop"


@dataclass(frozen=True, slots=True)
class Change:
    """What happened, and to which row of EDGES; ``reasons`` are the new ones, as ``side:reason``."""

    what: What
    row: int
    reasons: tuple[str, ...] = ()


_Key = tuple[object, ...]


@dataclass(slots=True)
class _Edge:
    passed: bool = False
    reasons: frozenset[str] = frozenset()


class Known:
    """The edges known so far, and of each the reasons for which it was dropped."""

    def __init__(self) -> None:
        """Begin with none."""
        self._edges: dict[_Key, _Edge] = defaultdict(_Edge)

    def update(self, edges: Edges) -> tuple[list[Change], list[int]]:
        """Return what is new in EDGES, in their order, and the rows that were delivered or audited for the first time."""
        reasons: dict[int, set[str]] = defaultdict(set)
        columns = (edges.reasons[name].to_pylist() for name in ("edge", "side", "drop_reason"))
        for edge, side, reason in zip(*columns, strict=True):
            reasons[edge].add(f"{side}:{reason}")
        changes: list[Change] = []
        passed: list[int] = []
        keys = zip(*(edges.edges[name].to_pylist() for name in EDGE_KEY), strict=True)
        outcomes = edges.edges["outcome"].to_pylist()
        for row, (key, outcome) in enumerate(zip(keys, outcomes, strict=True)):
            new = key not in self._edges
            known = self._edges[key]
            if new:
                changes.append(Change(What.EDGE, row))
            if more := reasons[row] - known.reasons if row in reasons else set():
                changes.append(Change(What.DROP, row, tuple(sorted(more))))
                known.reasons |= more
            if not known.passed and outcome in ("delivered", "audited"):
                known.passed = True
                passed.append(row)
        return changes, passed

    def __len__(self) -> int:
        """Return how many edges are known."""
        return len(self._edges)


def only(edges: Edges, rows: Iterable[int]) -> Edges:
    """Return the given rows of EDGES, in order, with what belongs to them; endpoints, pods and seen stay whole."""
    chosen = np.array(sorted(set(rows)), np.int64)
    table = edges.edges.take(pa.array(chosen))
    subjects = pa.chunked_array([*table["initiator"].chunks, *table["responder"].chunks], pa.uint64())
    side = {
        name: _renumbered(getattr(edges, name), chosen)
        for name in ("hours", "reasons", "samples", "requests")
    }
    names = edges.names.filter(pc.is_in(edges.names["subject"], value_set=subjects))
    return replace(edges, edges=table, names=names, **side)


def _renumbered(
    table: pa.Table, chosen: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.int64]]
) -> pa.Table:
    kept = table.filter(pc.is_in(table["edge"], value_set=pa.array(chosen, pa.uint32())))
    places = np.searchsorted(np.asarray(chosen), kept["edge"].to_numpy()).astype(np.uint32)
    return kept.set_column(kept.schema.get_field_index("edge"), "edge", pa.array(places))
