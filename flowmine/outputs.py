"""Files that commands write: each whole or absent, written beside its place and renamed; none outside its folder."""

import contextlib
import logging
import os
import secrets
import shutil
import signal
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "LeadsOut",
    "draft",
    "make_folder",
    "put_off",
    "refuse_ways_out",
    "unbroken",
    "write_all",
    "write_whole",
]

_log = logging.getLogger(__name__)
_unbroken = 0
_late: list[int] = []
"""Signals that came within `unbroken`."""


class LeadsOut(OSError):
    """A symbolic link in an output folder leads out of it."""


def write_whole(path: Path, data: bytes | memoryview, *, mode: int | None = None) -> None:
    """Write a file: whole, or as it was before. A device, a pipe or `/dev/stdout` is written straight into.

    What is there keeps its mode; a symbolic link is replaced, and not followed. ``mode`` is that of a new file (default:
    as usual). Raise OSError where it cannot be written.
    """
    if _is_stream(path):
        with path.open("wb") as stream:
            stream.write(data)
        return
    beside = draft(path, data, mode=mode)
    try:
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _log.info("%s: written, %s bytes", path, f"{len(data):,}")


def draft(path: Path, data: bytes | memoryview, *, mode: int | None = None) -> Path:
    """Write the data to a new file beside the path, with the owner and the mode of what is there; return where it is."""
    beside = _beside(path)
    _write(beside, data, path, mode)
    return beside


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write several files: all of them, or none, and folders where there are none. Raise OSError where that cannot be."""
    made: list[Path] = []
    drafts: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            _make_folders(path.parent, made)
            drafts[path] = _beside(path)
            _write(drafts[path], data, path)
        with unbroken():
            _put_in_place(drafts)
    finally:
        for beside in drafts.values():
            beside.unlink(missing_ok=True)
        _remove_empty(made)
    for path, data in files.items():
        _log.info("%s: written, %s bytes", path, f"{len(data):,}")


def make_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder that holds files, by relative path, in one step. Raise OSError where that cannot be."""
    beside = _beside(target)
    made: list[Path] = []
    try:
        _make_folders(beside, made)
        write_all({beside / path: data for path, data in files.items()})
        beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        _remove_empty(made)


@contextmanager
def unbroken() -> Iterator[None]:
    """Within the block no signal breaks off what runs: for moments. One that came is raised after it."""
    global _unbroken
    _unbroken += 1
    try:
        yield
    finally:
        _unbroken -= 1
    if _late and not _unbroken:
        signal.raise_signal(_late.pop(0))


def put_off(number: int) -> bool:
    """Note a signal that came within `unbroken`, and tell whether it was within: then it is to be ignored now."""
    if _unbroken:
        _late.append(number)
    return bool(_unbroken)


def refuse_ways_out(root: Path, path: Path) -> None:
    """Raise LeadsOut where a symbolic link on the way from a folder to a path in it leads out of the folder."""
    inside = root.resolve()
    for step in (*reversed([each for each in path.parents if root in each.parents]), path):
        if step.is_symlink() and not step.resolve().is_relative_to(inside):
            raise LeadsOut(
                0, f"it is a symbolic link that leads out of {root}, to {step.resolve()}", str(step)
            )


def _put_in_place(drafts: Mapping[Path, Path]) -> None:
    """Rename the drafts one after another; where one cannot be, put back what the others replaced."""
    kept: dict[Path, Path | None] = {}
    try:
        for path, beside in drafts.items():
            kept[path] = _beside(path, ".old") if path.exists() or path.is_symlink() else None
            before = kept[path]
            if before is not None:
                _keep(path, before)
            beside.replace(path)
    except BaseException:
        for path, before in kept.items():
            if drafts[path].exists():  # it took no place yet
                continue
            if before is None:
                path.unlink(missing_ok=True)
            else:
                before.replace(path)
        raise
    finally:
        for before in kept.values():
            if before is not None:
                before.unlink(missing_ok=True)


def _keep(path: Path, before: Path) -> None:
    """Give what is at a path a second name, which takes no room."""
    try:
        os.link(path, before, follow_symlinks=False)
    except OSError:  # a file system without hard links
        _write(before, path.read_bytes(), path)


def _beside(path: Path, ending: str = "") -> Path:
    """Return a name of its own beside a path. It is noted before anything has it: so whatever breaks off, it is found."""
    return path.with_name(f".tmp-{path.name[:100]}-{secrets.token_hex(8)}{ending}")


def _write(beside: Path, data: bytes | memoryview, path: Path, mode: int | None = None) -> None:
    """Write a new file, with the owner and the mode of what is at another path; leave none where that fails."""
    there = _status(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(beside, flags, 0o666 if mode is None else mode)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            if there is not None:
                os.fchmod(stream.fileno(), stat.S_IMODE(there.st_mode))
                if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
                    with contextlib.suppress(OSError):  # only root may give files away
                        os.fchown(stream.fileno(), there.st_uid, there.st_gid)
            os.fsync(stream.fileno())
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _make_folders(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it; note those that were not there."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        made.append(each)
        each.mkdir()


def _remove_empty(made: list[Path]) -> None:
    """Remove the folders that were made for nothing; those that hold new files stay."""
    for folder in reversed(made):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _status(path: Path) -> os.stat_result | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _is_stream(path: Path) -> bool:
    """Tell whether a path is no place for a file: a device, a pipe, or a way to what is open already."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return True
    return path.is_symlink() and path.parent.resolve().parts[:2] in {("/", "dev"), ("/", "proc")}
