"""Flows and edges counted the ways that people plot them: over time, as they were first seen, by namespace."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.advise.completeness import LEAST_HOURS, estimate
from flowmine.edges import Edges
from flowmine.errors import UsageError
from flowmine.ingest.filters import point_in_time
from flowmine.notebook.frame import Listing, columns
from flowmine.report.ends import End, Ends
from flowmine.schema import TIME

__all__ = ["FirstSeen", "first_seen", "namespaces", "timeline"]

_NAMESPACES = columns(("source destination outcome", "text"), ("edges", "count"), ("events", "events"))
_FIRST_SEEN = columns(("time", "ns"), ("new edges", "count"))


def timeline(flows: pa.Table, every: str, by: str) -> Listing:
    """Return how many flows there were of each value of a column, in each stretch of time.

    ``every`` is a duration (``1h``, ``5m``); stretches without flows are left out, flows without time too. Raise
    UsageError for a duration that is none or not above zero, and a column that FLOWS does not have.
    """
    length = -point_in_time(every, 0)
    if length <= 0:
        raise UsageError(f"{every!r}: write a duration, such as 5m or 1h")
    if by not in flows.schema.names:
        raise UsageError(f"no such column of the flows: {by} (known: {', '.join(flows.schema.names)})")
    at = flows.column("time").cast(pa.int64())
    begins = pc.multiply(pc.divide(at, length), length)
    value = _text(flows.column(by))
    counted = pa.table({"time": begins, by: value}).group_by(["time", by]).aggregate([([], "count_all")])
    counted = counted.filter(pc.is_valid(counted.column("time"))).sort_by(
        [("time", "ascending"), (by, "ascending")]
    )
    table = pa.table(
        {
            "time": counted.column("time").cast(TIME),
            by: counted.column(by),
            "flows": counted.column("count_all").cast(pa.uint64()),
        }
    )
    return Listing(f"{flows.num_rows:,} flows by {by}, every {every}", table)


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column whose values can be grouped by, as text."""
    if pa.types.is_nested(column.type):
        raise UsageError("flows can be counted by a column of single values, not of lists")
    return column.cast(pa.string())


class FirstSeen(Listing):
    """When edges were first seen: a row for each moment with new ones, and how many there were by then.

    ``seen`` are all that were delivered (addresses of one place count once), ``estimate`` how many there are at least (Chao2 over the hours of the
    capture, see `flowmine.advise.completeness`), None where the capture has too few hours to tell.
    """

    def __init__(self, table: pa.Table, seen: int, hours: int, estimated: float | None) -> None:
        """Take the curve, and what it is to be held against."""
        said = (
            f"{seen:,} of at least {estimated:,.1f} edges seen ({seen / estimated:.0%}, Chao2 over {hours:,} hours)"
            if estimated
            else f"{hours:,} hours are too few to say how many edges were not seen ({LEAST_HOURS} are enough)"
        )
        super().__init__(f"{seen:,} edges as they were first seen", table, (said,))
        self.seen, self.hours, self.estimate = seen, hours, estimated

    @property
    def share(self) -> float | None:
        """The part of the edges that was seen, from 0 to 1; None where that cannot be told."""
        return min(1.0, self.seen / self.estimate) if self.estimate else None


def first_seen(edges: Edges) -> FirstSeen:
    """Return the curve of new contacts over time, with the estimate of how many there are at least.

    A contact is who, whom, protocol and port of what was delivered; the addresses of a place (the nameless world, nodes)
    are one.
    """
    ends = Ends(edges)
    first: dict[tuple[object, ...], int] = {}
    contact_of: dict[int, tuple[object, ...]] = {}
    names = ("initiator", "responder", "initiator_ip", "responder_ip", "protocol", "port", "outcome")
    values = (edges.edges.column(name).to_pylist() for name in names)
    times = edges.edges.column("first").cast(pa.int64()).to_pylist()
    for row, (at, source, target, source_ip, target_ip, protocol, port, outcome) in enumerate(
        zip(times, *values, strict=True)
    ):
        if outcome != "delivered":
            continue
        one, other = ends.end(source, source_ip, target), ends.end(target, target_ip, source)
        contact = (one.cluster, one.place, other.cluster, other.place, protocol, port)
        contact_of[row] = contact
        if at is not None:
            first[contact] = min(at, first.get(contact, at))
    moments, new = np.unique(np.array(sorted(first.values()), np.int64), return_counts=True)
    counts = {"new": pa.array(new, pa.uint32()), "edges": pa.array(np.cumsum(new), pa.uint32())}
    table = pa.table({"time": pa.array(moments).cast(TIME), **counts}, schema=_FIRST_SEEN)
    hours, window = _hours(edges, contact_of)
    seen = len(set(contact_of.values()))
    found = estimate(hours, window) if window >= LEAST_HOURS else None
    return FirstSeen(table, seen, window, found)


def _hours(edges: Edges, contact_of: Mapping[int, object]) -> tuple[list[int], int]:
    """Return in how many hours each contact was seen, and how many hours there are."""
    hours: dict[object, set[int]] = {contact: set() for contact in contact_of.values()}
    every: set[int] = set()
    for edge, hour in zip(*(edges.hours.column(name).to_pylist() for name in ("edge", "hour")), strict=True):
        if hour >= 0:
            every.add(hour)
            if edge in contact_of:
                hours[contact_of[edge]].add(hour)
    return [len(found) for found in hours.values()], len(every)


def namespaces(edges: Edges) -> Listing:
    """Return how much went from each namespace to each other: a row for two of them and an outcome.

    What is in no namespace goes by its kind: world, an entity's name, or unknown.
    """
    ends = Ends(edges)
    counts: Counter[tuple[str, str, str]] = Counter()
    events: Counter[tuple[str, str, str]] = Counter()
    names = ("initiator", "responder", "initiator_ip", "responder_ip", "outcome", "events")
    for source, target, source_ip, target_ip, outcome, number in zip(
        *(edges.edges.column(name).to_pylist() for name in names), strict=True
    ):
        one, other = ends.end(source, source_ip, target), ends.end(target, target_ip, source)
        key = (_place(one), _place(other), outcome)
        counts[key] += 1
        events[key] += number
    rows = [
        {
            "source": key[0],
            "destination": key[1],
            "outcome": key[2],
            "edges": counts[key],
            "events": events[key],
        }
        for key in sorted(counts)
    ]
    every = {name for key in counts for name in key[:2]}
    return Listing(f"{len(every):,} namespaces and places", pa.Table.from_pylist(rows, _NAMESPACES))


def _place(end: End) -> str:
    return end.namespace or end.entity or end.kind
