"""What was seen behind a rule: how many events, when, over how many hours, and at which sides."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from flowmine.edges import Edges

__all__ = ["Evidence", "Witness"]


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
        for column in ("first", "last"):
            times = table[column].cast(pa.timestamp("us", tz="UTC"), safe=False)
            table = table.set_column(table.schema.get_field_index(column), column, times)
        self._rows = list(
            zip(
                *(
                    table[name].to_pylist()
                    for name in ("events", "first", "last", "seen_egress", "seen_ingress")
                ),
                strict=True,
            )
        )
        self._hours: dict[int, set[int]] = defaultdict(set)
        for edge, hour in zip(edges.hours["edge"].to_pylist(), edges.hours["hour"].to_pylist(), strict=True):
            if hour >= 0:
                self._hours[edge].add(hour)
        every = {hour for hours in self._hours.values() for hour in hours}
        self.hours = len(every)
        """Distinct clock hours in which anything was seen."""

    def of(self, rows: Iterable[int]) -> Evidence:
        """Return the evidence of some rows together."""
        chosen = [self._rows[row] for row in rows]
        hours = {hour for row in rows for hour in self._hours.get(row, ())}
        return Evidence(
            flows=sum(row[0] for row in chosen),
            first=min((row[1] for row in chosen if row[1]), default=None),
            last=max((row[2] for row in chosen if row[2]), default=None),
            hours=len(hours),
            egress=any(row[3] for row in chosen),
            ingress=any(row[4] for row in chosen),
            window=self.hours,
        )


def _span(first: datetime, last: datetime) -> str:
    start, end = f"{first:%Y-%m-%d %H:%M}", f"{last:%Y-%m-%d %H:%M}"
    if start == end:
        return f"{start} UTC"
    return f"{start} to {end[11:] if start[:10] == end[:10] else end} UTC"
