"""Changes to files, shown as a unified diff or written: all of them, or none."""

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowmine.errors import UsageError
from flowmine.outputs import refuse_ways_out, write_all

__all__ = ["Change", "unified_diff", "write_changes"]


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one file: its name in the folder, where it is, its bytes before (None: there is none) and after."""

    name: str
    path: Path
    before: bytes | None
    after: bytes


def unified_diff(changes: Iterable[Change]) -> str:
    """Return the changes as `git apply` and `patch -p1` take them, in the folder itself."""
    return "".join(line for change in changes for line in _diff(change))


def _diff(change: Change) -> Iterator[str]:
    before, after = ((each or b"").decode("utf-8") for each in (change.before, change.after))
    tab = "\t" if " " in change.name else ""
    old = "/dev/null" if change.before is None else f"a/{change.name}{tab}"
    for line in difflib.unified_diff(_lines(before), _lines(after), old, f"b/{change.name}{tab}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Split at line feeds alone, as diff does."""
    return [f"{line}\n" for line in text.split("\n")[:-1]] + [line for line in text.split("\n")[-1:] if line]


def write_changes(changes: Sequence[Change]) -> None:
    """Write all changes: each beside its file first, then all put in place; where one fails, none is left.

    Raise UsageError where a file has changed since it was read, or cannot be written.
    """
    try:
        for change in changes:
            _check_unchanged(change)
            refuse_ways_out(_root(change), change.path)
        write_all({change.path: change.after for change in changes})
    except OSError as error:
        where = error.filename or "the folder"
        raise UsageError(
            f"{where}: cannot be written, nothing was changed: {error.strerror or error}"
        ) from error


def _check_unchanged(change: Change) -> None:
    found = change.path.read_bytes() if os.path.lexists(change.path) else None
    if found != change.before:
        raise UsageError(f"{change.path}: it changed meanwhile, nothing was written; run the command again")


def _root(change: Change) -> Path:
    """Return the folder that a change is in."""
    return change.path.parents[len(Path(change.name).parts) - 1]
