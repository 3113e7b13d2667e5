"""Versions of Cilium as people and events write them."""

from collections.abc import Iterable

from flowmine.errors import UsageError

__all__ = ["oldest_version", "parse_version"]


def parse_version(text: str) -> tuple[int, int]:
    """Return (major, minor) of a `--cilium` value. Raise UsageError where it is none, or older than 1.14."""
    parts = text.removeprefix("v").split(".")
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() and len(part) < 5 for part in parts[:2]):
        raise UsageError(f"--cilium {text}: write a version such as 1.19")
    version = int(parts[0]), int(parts[1])
    if version < (1, 14):
        raise UsageError(f"--cilium {text}: 1.14 is the oldest version that is written for")
    return version


def oldest_version(versions: Iterable[str]) -> tuple[int, int] | None:
    """Return the oldest version that sent events, of those that can be read and written for; None where none can."""
    found = []
    for text in versions:
        try:
            found.append(parse_version(text))
        except UsageError:
            continue
    return min(found, default=None)
