"""What was seen behind a rule: how many events, when, over how many hours, and at which sides."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_

import pyarrow as pa
import pyarrow.compute as pc

from flowmine.edges import Edges

__all__ = ["Evidence", "Witness"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = 1 << 62
"""Microseconds of no time."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Events behind a rule: ``flows`` a count, ``hours`` distinct clock hours of the ``window`` of the capture in which
    anything was seen, sides whose own node told of them."""

    flows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    hours: int = 0
    egress: bool = False
    ingress: bool = False
    window: int = 0

    @property
    def sides(self) -> str:
        """Name the sides at which it was seen."""
        if self.egress and self.ingress:
            return "seen at both sides"
        return (
            "seen at the caller's side" if self.egress else "seen at the called side" if self.ingress else ""
        )

    @property
    def _of_window(self) -> str:
        if self.window <= 1:
            return f"{self.hours} hour"
        only = "only " if self.hours == 1 else ""
        return f"{only}{self.hours} of {self.window} hours"

    def __str__(self) -> str:
        if not self.flows:
            return "no flow was seen"
        text = f"{self.flows:,} flow{'s' * (self.flows != 1)}"
        if self.hours:
            text += f" in {self._of_window}"
        if self.first and self.last:
            text += f", {_span(self.first, self.last)}"
        return f"{text}, {self.sides}" if self.egress or self.ingress else text


class Witness:
    """Answers what was seen behind any rows of EDGES."""

    def __init__(self, edges: Edges) -> None:
        """Take the columns needed, once."""
        table = edges.edges
        self._flows = table["events"].to_pylist()
        self._first, self._last = (
            pc.fill_null(_microseconds(table[name]), none).to_pylist()
            for name, none in (("first", _NEVER), ("last", -_NEVER))
        )
        self._egress, self._ingress = (
            pc.not_equal(table[name], 0).to_pylist() for name in ("seen_egress", "seen_ingress")
        )
        hours = edges.hours.filter(pc.greater_equal(edges.hours["hour"], 0))
        coded = hours["hour"].combine_chunks().dictionary_encode()
        self.hours = len(coded.dictionary)
        """Distinct clock hours in which anything was seen."""
        self._hours = [0] * table.num_rows
        """Of each row a bit for each of them."""
        for edge, hour in zip(hours["edge"].to_pylist(), coded.indices.to_pylist(), strict=True):
            self._hours[edge] |= 1 << hour

    def of(self, rows: Iterable[int]) -> Evidence:
        """Return the evidence of some rows together."""
        rows = tuple(rows)
        return Evidence(
            flows=sum(map(self._flows.__getitem__, rows)),
            first=_moment(min(map(self._first.__getitem__, rows), default=_NEVER)),
            last=_moment(max(map(self._last.__getitem__, rows), default=_NEVER)),
            hours=reduce(or_, map(self._hours.__getitem__, rows), 0).bit_count(),
            egress=any(map(self._egress.__getitem__, rows)),
            ingress=any(map(self._ingress.__getitem__, rows)),
            window=self.hours,
        )


def _microseconds(times: pa.ChunkedArray) -> pa.ChunkedArray:
    return times.cast(pa.timestamp("us", tz="UTC"), safe=False).cast(pa.int64())


def _moment(microseconds: int) -> datetime | None:
    if abs(microseconds) == _NEVER:
        return None
    return _EPOCH + timedelta(microseconds=microseconds)


def _span(first: datetime, last: datetime) -> str:
    start, end = f"{first:%Y-%m-%d %H:%M}", f"{last:%Y-%m-%d %H:%M}"
    if start == end:
        return f"{start} UTC"
    return f"{start} to {end[11:] if start[:10] == end[:10] else end} UTC"
