"""Changes to files, shown as a unified diff or written: all of them, or none."""

import contextlib
import difflib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowmine.errors import UsageError

__all__ = ["Change", "unified_diff", "write_changes"]

_NEW_FILE_MODE = 0o644


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
    made: list[Path] = []
    drafts: list[tuple[Change, Path]] = []
    try:
        for change in changes:
            _check_unchanged(change)
        for change in changes:
            made += _make_folders(change.path.parent)
            drafts.append((change, _draft(change.path, change.after)))
        _put_in_place(drafts)
    except OSError as error:
        where = error.filename or "the folder"
        raise UsageError(
            f"{where}: cannot be written, nothing was changed: {error.strerror or error}"
        ) from error
    finally:
        for _, draft in drafts:
            draft.unlink(missing_ok=True)
        for folder in reversed(made):
            with contextlib.suppress(OSError):  # those that hold new files stay
                folder.rmdir()


def _check_unchanged(change: Change) -> None:
    found = change.path.read_bytes() if os.path.lexists(change.path) else None
    if found != change.before:
        raise UsageError(f"{change.path}: it changed meanwhile, nothing was written; run the command again")


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; return those that were not there."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir()
    return missing[::-1]


def _draft(path: Path, data: bytes) -> Path:
    """Write the data to a new file beside the path, with the owner and the mode of what is there."""
    handle, name = tempfile.mkstemp(prefix=f".tmp-{path.name}-", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        there = path.stat() if path.exists() else None
        draft.chmod(there.st_mode & 0o7777 if there else _NEW_FILE_MODE)
        if there and (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
            with contextlib.suppress(OSError):  # only root may give files away
                os.chown(draft, there.st_uid, there.st_gid)
    except OSError:
        draft.unlink()
        raise
    return draft


def _put_in_place(drafts: Sequence[tuple[Change, Path]]) -> None:
    """Rename the drafts one after another; where one cannot be, put back what the others replaced."""
    done: list[Change] = []
    try:
        for change, draft in drafts:
            draft.replace(change.path)
            done.append(change)
    except OSError:
        for change in done:
            if change.before is None:
                change.path.unlink()
            else:
                _draft(change.path, change.before).replace(change.path)
        raise
