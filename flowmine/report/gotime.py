"""Times as `hubble observe --time-format` prints them: UTC, truncated to what the format shows."""

from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["TIME_FORMATS", "format_time"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _stamp_milli(at: datetime, nanos: int) -> str:
    return f"{_MONTHS[at.month - 1]} {at.day:2} {at:%H:%M:%S}.{nanos // 10**6:03}"


def _rfc3339(digits: int) -> Callable[[datetime, int], str]:
    def render(at: datetime, nanos: int) -> str:
        fraction = f"{nanos:09}"[:digits].rstrip("0")
        return f"{at.year:04}-{at:%m-%dT%H:%M:%S}{'.' if fraction else ''}{fraction}Z"

    return render


def _rfc1123(at: datetime, _nanos: int) -> str:
    return f"{_DAYS[at.weekday()]}, {at:%d} {_MONTHS[at.month - 1]} {at.year:04} {at:%H:%M:%S} +0000"


_FORMATS: dict[str, Callable[[datetime, int], str]] = {
    "StampMilli": _stamp_milli,
    "YearMonthDay": lambda at, _: f"{at.year:04}-{at:%m-%d}",
    "YearMonthDayHour": lambda at, _: f"{at.year:04}-{at:%m-%dT%H}Z",
    "YearMonthDayHourMinute": lambda at, _: f"{at.year:04}-{at:%m-%dT%H:%M}Z",
    "RFC3339": _rfc3339(0),
    "RFC3339Milli": _rfc3339(3),
    "RFC3339Micro": _rfc3339(6),
    "RFC3339Nano": _rfc3339(9),
    "RFC1123Z": _rfc1123,
}

TIME_FORMATS = tuple(_FORMATS)
"""Names of the formats (Cilium ``hubble/pkg/time``)."""


def format_time(nanoseconds: int | None, name: str) -> str:
    """Return a time, given in nanoseconds since the epoch, in one of `TIME_FORMATS`; ``N/A`` where there is none.

    >>> format_time(1_500_000_000, "RFC3339Nano")
    '1970-01-01T00:00:01.5Z'
    """
    if nanoseconds is None:
        return "N/A"
    seconds, nanos = divmod(nanoseconds, 10**9)
    return _FORMATS[name](datetime.fromtimestamp(seconds, UTC), nanos)
