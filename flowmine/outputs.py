"""Files that commands write: each whole or absent, written beside its place and renamed; none outside its folder."""

import contextlib
import logging
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

__all__ = ["LeadsOut", "draft", "refuse_ways_out", "write_all", "write_whole"]

_log = logging.getLogger(__name__)


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
    there = _status(path)
    beside = path.with_name(f".tmp-{path.name[:100]}-{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(beside, flags, 0o666 if mode is None else mode)
    try:
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
    return beside


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write several files: all of them, or none, and folders where there are none. Raise OSError where that cannot be."""
    made: list[Path] = []
    drafts: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            _make_folders(path.parent, made)
            drafts[path] = draft(path, data)
        _put_in_place(drafts)
    finally:
        for beside in drafts.values():
            beside.unlink(missing_ok=True)
        for folder in reversed(made):
            with contextlib.suppress(OSError):  # those that hold new files stay
                folder.rmdir()
    for path, data in files.items():
        _log.info("%s: written, %s bytes", path, f"{len(data):,}")


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
            kept[path] = None
            if path.exists() or path.is_symlink():
                kept[path] = _kept(path)
            beside.replace(path)
    except BaseException:
        for path, before in kept.items():
            if before is not None:
                before.replace(path)
            elif not drafts[path].exists():
                path.unlink(missing_ok=True)
        raise
    finally:
        for before in kept.values():
            if before is not None:
                before.unlink(missing_ok=True)


def _kept(path: Path) -> Path:
    """Give what is at a path a second name, which takes no room, and return it."""
    before = path.with_name(f".tmp-{path.name[:100]}-{secrets.token_hex(8)}.old")
    try:
        os.link(path, before, follow_symlinks=False)
    except OSError:  # a file system without hard links
        return draft(path, path.read_bytes())
    return before


def _make_folders(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it; note those that were not there."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir()
        made.append(each)


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
