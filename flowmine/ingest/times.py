"""Times as Hubble writes them, RFC 3339 with up to nine digits, to nanoseconds since the epoch."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pyarrow as pa

from flowmine.schema import TIME

__all__ = ["column", "epoch", "nanoseconds"]

_RFC3339 = re.compile(
    r"(?P<main>\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:[.,](?P<part>\d{1,18}))?\s?(?P<zone>[Zz]|[+-]\d\d:?\d\d)?\s*"
)
_LIMIT = 2**63


def epoch(number: int) -> int | None:
    """Return nanoseconds since the epoch for a number of seconds, milli-, micro- or nanoseconds, told by its size.

    >>> epoch(1794994200), epoch(1794994200000), epoch(5)
    (1794994200000000000, 1794994200000000000, None)
    """
    for digits, unit in ((11, 10**9), (14, 10**6), (17, 10**3), (19, 1)):
        if 10**8 < number < 10**digits:
            return number * unit
    return None


def nanoseconds(text: object) -> int | None:
    """Return nanoseconds since the epoch; None where the text is no time, or none that 64 bits can hold.

    A time without zone is UTC.

    >>> nanoseconds("1970-01-01T00:00:01.000000002Z")
    1000000002
    """
    if not isinstance(text, str):
        return None
    found = _RFC3339.fullmatch(text)
    if not found:
        return epoch(int(text)) if text.isascii() and text.isdigit() and len(text) < 20 else None
    zone = "+00:00" if (found["zone"] or "Z") in "Zz" else found["zone"]
    try:
        moment = datetime.fromisoformat(found["main"].replace(" ", "T").upper() + zone)
    except ValueError:
        return None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    part = int((found["part"] or "0")[:9].ljust(9, "0"))
    result = (since.days * 86400 + since.seconds) * 10**9 + part
    return result if -_LIMIT < result < _LIMIT else None


def column(texts: Sequence[str | None] | pa.Array, unreadable: Callable[[str], None]) -> pa.Array:
    """Return times as a FLOWS ``time`` column; one that cannot be read is null, and told to ``unreadable``."""
    try:
        return (texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string())).cast(TIME)
    except pa.ArrowInvalid:
        texts = texts.to_pylist() if isinstance(texts, pa.Array) else texts
    values = [nanoseconds(text) for text in texts]
    for text, value in zip(texts, values, strict=True):
        if value is None and text is not None:
            unreadable("a time that cannot be read")
    return pa.array(values, pa.int64()).cast(TIME)
