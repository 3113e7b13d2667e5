"""Points in time as ``--since`` and ``--until`` write them: a Go duration before now, or one of a few date formats."""

import re
from datetime import UTC, datetime, timedelta, timezone

from flowmine.errors import UsageError

__all__ = ["nanoseconds", "point_in_time"]

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_DURATION = re.compile(r"([-+]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)")
_TERM = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_DATE = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:T(?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9})\d*)?)?)?"
    r"(?P<zone>Z|[-+]\d\d:\d\d))?"
)
_LONGEST = 100
"""Characters of a duration; Python would refuse to read numbers of some thousand digits."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def point_in_time(text: str, now: int) -> int:
    """Return nanoseconds since the epoch for ``5m``, ``1h30m``, ``2026-11-18``, RFC 3339, or RFC 1123 with a zone.

    Durations are subtracted from ``now`` (nanoseconds). Dates are those of ``hubble/pkg/time``. Raise UsageError
    where the text is none of these.
    """
    duration = _DURATION.fullmatch(text) if len(text) <= _LONGEST else None
    if duration:
        length = sum(_scaled(number, _UNITS[unit]) for number, unit in _TERM.findall(duration[2]))
        return now - (-length if duration[1] == "-" else length)
    try:
        return nanoseconds(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no point in time: write a duration before now (5m, 1h30m), a date (2026-11-18), "
            "RFC 3339 (2026-11-18T09:30:05Z) or RFC 1123 (Wed, 18 Nov 2026 09:30:05 +0000)"
        ) from None


def nanoseconds(text: str) -> int:
    """Return nanoseconds since the epoch for an absolute date. Raise ValueError where it is none.

    >>> nanoseconds("1970-01-01T00:00:01.5Z")
    1500000000
    """
    match = _DATE.fullmatch(text)
    if not match:
        return _whole(datetime.strptime(text, "%a, %d %b %Y %H:%M:%S %z"))
    part = match.groupdict(default="0")
    moment = datetime.fromisoformat(part["date"]).replace(
        hour=int(part["hour"]),
        minute=int(part["minute"]),
        second=int(part["second"]),
        tzinfo=_zone(part["zone"]),
    )
    return _whole(moment) + int((match["fraction"] or "").ljust(9, "0"))


def _scaled(number: str, unit: int) -> int:
    whole, _, fraction = number.partition(".")
    return int(whole or 0) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)


def _zone(text: str) -> timezone:
    if text in ("0", "Z"):
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)


def _whole(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1) * 10**9
