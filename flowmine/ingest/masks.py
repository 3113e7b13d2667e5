"""Which fields no flow of a capture carries: what an exporter's field mask left out."""

from collections.abc import Callable, Collection

import numpy as np

from flowmine.ingest.intern import Endpoints
from flowmine.ingest.rows import Rows
from flowmine.schema import ENUMS

__all__ = ["Presence"]

_FORWARDED = ENUMS["verdict"].index("FORWARDED")

_OF_ENDPOINTS = ("labels", "identity", "ID", "pod_name", "namespace")

_PRESENT: dict[str, Callable[[Rows], bool]] = {
    "time": lambda rows: rows.time.null_count < rows.length,
    "verdict": lambda rows: bool(rows.has("verdict").any()),
    "IP": lambda rows: bool(rows.has("IP").any()),
    "l4": lambda rows: bool((rows.l4.protocol >= 0).any()),
    "Type": lambda rows: bool(rows.has("Type").any()),
    "node_name": lambda rows: rows.text("node_name").null_count < rows.length,
    "event_type": lambda rows: not rows.events[2].all(),
    "traffic_direction": lambda rows: bool(rows.directions.any()),
    "trace_observation_point": lambda rows: bool(rows.points.any()),
    "is_reply": lambda rows: rows.replies.null_count < rows.length,
}
"""Field -> whether any of the rows carries it."""

_EXPECTED: dict[str, tuple[frozenset[str], Callable[[Rows], bool]]] = {
    "trace_observation_point": (
        frozenset({"event_type"}),
        lambda rows: bool(((rows.events[0] == 4) | rows.events[2]).any()),
    ),
    "is_reply": (frozenset({"verdict"}), lambda rows: bool(np.any(rows.codes("verdict") == _FORWARDED))),
}
"""Fields that only some events carry -> the fields needed to tell, and whether any of the rows should carry it."""


class Presence:
    """What fields were seen so far; a field is looked for until it is found."""

    def __init__(self, fields: Collection[str], endpoints: Endpoints) -> None:
        """Look for those of ``fields``, the ones that are decoded."""
        self.flows = 0
        self._endpoints = endpoints if {"source", "destination"} <= set(fields) else None
        self._absent = [name for name in _PRESENT if name in fields]
        self._expected = set(fields) - {
            name for name, (needs, _) in _EXPECTED.items() if needs <= set(fields)
        }

    def look(self, rows: Rows) -> None:
        """Look at a batch."""
        if not rows.length:
            return
        self.flows += rows.flows
        self._absent = [name for name in self._absent if not _PRESENT[name](rows)]
        for name in self._absent:
            if name not in self._expected and _EXPECTED[name][1](rows):
                self._expected.add(name)

    def join(self, flows: int, absent: Collection[str], expected: Collection[str]) -> None:
        """Add what another saw (`seen`), who looked for the same fields."""
        self.flows += flows
        self._absent = [name for name in self._absent if name in absent]
        self._expected |= set(expected)

    def seen(self) -> tuple[int, list[str], set[str]]:
        """Return how many flows were looked at, the fields that none had, and those that any should have had."""
        return self.flows, self._absent, self._expected

    def missing(self) -> list[str]:
        """Return the fields that flows should have carried and none did, sorted."""
        if not self.flows:
            return []
        found = [name for name in self._absent if name in self._expected]
        if self._endpoints is not None:
            found += [name for name in _OF_ENDPOINTS if name not in self._endpoints.seen]
        return sorted(found)
