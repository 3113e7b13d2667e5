"""Make Parts smaller where time is told more finely than it is needed."""

import pyarrow as pa
import pyarrow.compute as pc

from flowmine.edges import Parts, in_hours

__all__ = ["folded", "timeless"]

_DAY = 24


def timeless(parts: Parts) -> Parts:
    """Return Parts without hours: as many rows as connections, whatever the time they span; EDGES are the same."""
    return in_hours(parts, pa.nulls(parts.rows.num_rows, pa.int32()).fill_null(-1))


def folded(parts: Parts) -> Parts:
    """Return Parts in which the hours of every day but the last are told as the first hour of their day.

    EDGES are the same; of evidence, days then count as one hour each.
    """
    hours = parts.rows["hour"]
    latest = pc.max(hours).as_py() or 0
    days = pc.multiply(pc.divide(hours, pa.scalar(_DAY, pa.int32())), pa.scalar(_DAY, pa.int32()))
    old = pc.and_(pc.greater_equal(hours, 0), pc.less(hours, latest - latest % _DAY))
    return in_hours(parts, pc.if_else(old, days, hours))
