"""How much of a folder of windows is kept: for so long, or so much."""

import re
from dataclasses import dataclass
from pathlib import Path

from flowmine.errors import UsageError
from flowmine.ingest.capturewindow import Folder, manifest_of

__all__ = ["Retention", "parse_retention", "prune"]

_DAY = 86_400 * 10**9
_UNITS = {
    **{"h": _DAY // 24, "d": _DAY, "w": 7 * _DAY},
    **{"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    **{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40},
}


@dataclass(frozen=True, slots=True)
class Retention:
    """``age`` in nanoseconds before the latest event kept, ``size`` in bytes as stored; None is no bound."""

    age: int | None = None
    size: int | None = None


def parse_retention(text: str) -> Retention:
    """Return what a text such as ``14d`` or ``50GB`` says. Raise UsageError where it cannot be understood.

    >>> parse_retention("50GB").size, parse_retention("1.5d").age
    (50000000000, 129600000000000)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text.strip())
    units = {unit.lower(): amount for unit, amount in _UNITS.items()}
    if not found or found[2].lower() not in units or not float(found[1]):
        raise UsageError(f"{text!r} is no time or size to keep: write 36h, 14d, 2w, 500MB, 50GB or 1TiB")
    amount = round(float(found[1]) * units[found[2].lower()])
    return Retention(size=amount) if "b" in found[2].lower() else Retention(age=amount)


def prune(folder: Folder, retention: Retention) -> list[Path]:
    """Remove the oldest windows that are too old or too many, never the last, and return them.

    Age is counted from the latest event in the folder, not from today: an old capture does not vanish for its age.
    """
    windows = [(path, manifest_of(path)) for path in folder.windows()]
    latest = max((one.last for _, one in windows if one.last is not None), default=None)
    room = retention.size
    gone = []
    for path, manifest in reversed(windows):
        size = sum(each.stat().st_size for each in path.iterdir())
        room = None if room is None else room - size
        old = (
            retention.age is not None
            and None not in (latest, manifest.last)
            and (latest or 0) - (manifest.last or 0) > retention.age
        )
        if path != windows[-1][0] and (old or (room is not None and room < 0)):
            gone.append(path)
    for path in gone:
        folder.remove(path)
    return gone[::-1]
