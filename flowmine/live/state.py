"""Edges kept on disk while they grow: Parts in windows, so that any later run, and every command, goes on from there.

Each run writes windows of its own. The open one is written again, whole, as its next generation at every checkpoint;
after `SPAN`, or once it is full, it is closed and the next one begins. A crash loses what came after the last checkpoint, which the next run
reads again: the cursor and the edges are in one window, and a window is there whole or not at all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flowmine.edges import Parts, empty, merge, parts_of, tables_of
from flowmine.ingest import open_flows
from flowmine.ingest.capture import manifest_of_ledger, since
from flowmine.ingest.capturewindow import Folder, manifest_of, serial_of
from flowmine.ledger import Ledger
from flowmine.schema import ENDPOINTS, PODS

__all__ = ["SPAN", "Before", "Store", "is_full", "load"]

SPAN = 3600.0
"""Seconds after which a window is closed and not written again."""

_MANY_ROWS, _MANY_HOURS, _MOST_ROWS = 10_000, 4, 200_000


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier runs left: Parts, the tables beside, and from where to read on."""

    parts: Parts
    endpoints: pa.Table
    pods: pa.Table
    ledger: Ledger
    cursor: dict[str, Any]


def is_full(parts: Parts) -> bool:
    """Tell whether Parts are better closed: many hours at once (a capture read fast), or very many connections.

    What is open is merged and written again and again; what is closed is not.
    """
    rows = parts.rows.num_rows
    if rows <= _MANY_ROWS:
        return False
    hours: int = pc.count_distinct(parts.rows["hour"]).as_py()
    return rows > _MOST_ROWS or hours > _MANY_HOURS


def load(folder: Folder) -> Before:
    """Return what a folder of state holds.

    Raise SchemaError where a window is of another schema version, InputError where one cannot be read.
    """
    paths = folder.windows()
    if not paths:
        return Before(empty(), ENDPOINTS.empty_table(), PODS.empty_table(), Ledger(), {})
    source = open_flows(*paths)
    kept: list[dict[str, pa.Table]] = []
    parts = empty()
    for _ in source.batches_and_state(kept):
        parts = merge([parts, *(parts_of(kept.pop()) for _ in kept[:])])
    last = max(paths, key=serial_of)
    return Before(parts, source.endpoints, source.pods, source.ledger, manifest_of(last).cursor)


class Store:
    """The windows that one run writes to a folder of state."""

    def __init__(self, folder: Folder, *, clock: Callable[[], float], requests: bool = False) -> None:
        """Write to a folder that is entered; ``clock`` counts seconds, ``requests`` says what the Parts hold."""
        self._folder, self._clock, self._requests = folder, clock, requests
        self._told = Ledger()
        self._next()

    def _next(self) -> None:
        self._serial = self._folder.next_serial()
        self._generation, self._name = 0, ""
        self._begun = self._clock()

    def skip(self, ledger: Ledger) -> None:
        """Leave out of the windows what the ledger tells so far: an earlier run told it."""
        self._told = ledger.merge([])

    def checkpoint(
        self, parts: Parts, beside: Mapping[str, pa.Table], ledger: Ledger, cursor: Mapping[str, Any]
    ) -> bool:
        """Write the open window again: all the Parts since it was opened, and the cursor after them.

        ``beside`` are the source's ``endpoints`` and ``pods``. Return whether the
        window is closed with this, and the next Parts must begin afresh.
        """
        told = since(ledger, self._told)
        manifest = manifest_of_ledger("state", told)
        first, last = _bounds(parts)
        manifest = replace(manifest, first=first, last=last, requests=self._requests, cursor=dict(cursor))
        if not self._name:
            moment = datetime.fromtimestamp((first or 0) // 10**9, UTC)
            self._name = f"{moment:%Y%m%dT%H%M%S}-{self._serial:06}"
        tables = {
            **tables_of(parts),
            "endpoints": beside["endpoints"],
            "pods": beside["pods"],
            "ledger": told.table().filter(pc.not_equal(told.table()["kind"], "masked")),
        }
        self._generation += 1
        self._folder.put(f"{self._name}.{self._generation}", manifest, tables)
        closed = self._clock() - self._begun >= SPAN or is_full(parts)
        if closed:
            self._told = ledger.merge([])
            self._next()
        return closed


def _bounds(parts: Parts) -> tuple[int | None, int | None]:
    """Return the earliest and latest time of any event, in nanoseconds; None where none has one."""
    first, last = (parts.rows[name].cast(pa.int64()) for name in ("first", "last"))
    known = pc.filter(first, pc.greater_equal(first, 0))
    return pc.min(known).as_py(), pc.max(last).as_py() if len(known) else None
