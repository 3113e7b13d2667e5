"""Times as `hubble observe` prints them (``--time-format``), which by default leave out the year."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

__all__ = ["TIME", "rfc3339"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NAMES = "|".join(_MONTHS)

TIME = (
    rf"(?:(?:{_NAMES}) {{1,2}}[0-9]{{1,2}} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]{{1,9}})?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
    rf"|[A-Z][a-z]{{2}}, [0-9]{{2}} (?:{_NAMES}) [0-9]{{4}} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}} [+-][0-9]{{4}}"
    r"|N/A)"
)
"""Regular expression of every printed time: StampMilli (the default), RFC 3339 in any precision, RFC 1123Z."""

_STAMP = re.compile(rf"({_NAMES}) {{1,2}}([0-9]{{1,2}}) ([0-9:]{{8}})(?:\.([0-9]+))?")
_SLACK = timedelta(days=1)


def rfc3339(text: str, latest: datetime) -> str | None:
    """Return a printed time as RFC 3339; None for ``N/A`` and for a time that there cannot be.

    A time without a year gets the latest year in which it is no more than a day after ``latest``, the moment by
    which the capture was complete. So a capture over New Year keeps its order, and the answer depends on nothing else.

    >>> rfc3339("Dec 31 23:59:59.999", datetime(2026, 1, 1, 12, tzinfo=UTC))
    '2025-12-31T23:59:59.999Z'
    """
    stamp = _STAMP.fullmatch(text)
    if stamp:
        return _with_year(stamp, latest)
    if "," not in text:
        return None if text == "N/A" else text
    try:
        return parsedate_to_datetime(text).astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return None


def _with_year(stamp: re.Match[str], latest: datetime) -> str | None:
    name, day, clock, fraction = stamp.groups()
    month = _MONTHS.index(name) + 1
    for year in range(latest.year + 1, max(latest.year - 8, 1), -1):  # 29 February may be eight years ago
        try:
            moment = datetime.fromisoformat(f"{year:04}-{month:02}-{int(day):02}T{clock}+00:00")
        except ValueError:
            continue
        if moment - latest <= _SLACK:
            return f"{year:04}-{month:02}-{int(day):02}T{clock}{'.' + fraction if fraction else ''}Z"
    return None
