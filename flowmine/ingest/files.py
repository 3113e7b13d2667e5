"""The inputs of one reading: paths, patterns, folders, streams; each opened, decompressed and recognised."""

import glob
import io
import logging
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from flowmine.errors import InputError
from flowmine.ingest.ahead import ahead
from flowmine.ingest.capturewindow import MANIFEST, VIEW, is_window, manifest_of, windows
from flowmine.ingest.compression import CutShort, Readable, compression_of, decompress
from flowmine.ingest.formats import HEAD, Format, first_time, format_of, holds_events
from flowmine.ingest.framing import decoded_text, is_by_value, is_marked
from flowmine.ingest.stores import Facts, facts, is_remote, matching, opened, whole_lines
from flowmine.ingest.times import nanoseconds

__all__ = ["Input", "find", "input_of"]

_READ = 1 << 20
_LOOK = 1 << 16
"""Bytes that are read first: of many files no more is needed to tell what they are."""
_Any = TypeVar("_Any")
_log = logging.getLogger(__name__)


class Input:
    """One stream of bytes to read: a file, or something opened already.

    ``size`` is in bytes as stored, None where it cannot be known; ``read`` counts those read so far; ``cut`` says
    why the content ended too early, where it did; ``written`` is when a file was last written, for a stream now;
    ``format`` and ``begins`` (the first event time, nanoseconds) are known after `recognise`.
    """

    def __init__(
        self,
        name: str,
        path: Path | None = None,
        stream: Readable | None = None,
        *,
        pipe: Path | None = None,
        remote: Facts | None = None,
    ) -> None:
        """Read ``path``, or ``stream``, or ``pipe``, which can be opened only once, or ``name`` from an object store
        that tells this of it; messages call it ``name``.
        """
        known = remote or (None if path is None else _facts(path))
        self.window = path if path is not None and path.is_dir() else None
        self.name, self.size = name, _size(self.window) if self.window else known and known.size
        self.written = known.written if known else datetime.now(UTC)
        self.read, self.cut = 0, ""
        self.compression: str | None = None
        self.is_lines = False
        """Whether the stored bytes are the lines themselves; known after `recognise`."""
        self.format: Format | None = None
        self.begins: int | None = None
        self._path, self._stream, self._pipe = path, stream, pipe
        self._remote = remote is not None
        self._started: Iterator[bytes] | None = None
        self._marked = False

    def reads(self, stream: object) -> bool:
        """Tell whether the input reads this very stream."""
        return stream is self._stream

    @property
    def repeatable(self) -> bool:
        """Whether the input can be read more than once."""
        return self._path is not None or self._remote

    @property
    def compressed(self) -> bool:
        """Whether the content is compressed; how (``compression``), is known after `recognise`."""
        return self.compression is not None

    @property
    def described(self) -> str:
        """What it was recognised as."""
        if self.window is not None:
            return "a window of a recording"
        return "empty" if self.format is None else f"read as {self.format.name}"

    def recognise(self, *, in_folder: bool) -> str | None:
        """Look at the beginning; return why the input is not to be read, None where it is.

        In a folder only what holds an event at its beginning counts as a capture.
        """
        content = self._content()
        head = b""
        for chunk in content:
            head += chunk
            if len(head) >= HEAD:
                break
        if self.repeatable:
            self.read = 0
        else:
            self._started = _chained(head, content)
        if not head.strip() and self.cut:
            return self.cut
        if not head.strip():
            return "it is empty" if in_folder else None
        self.format = format_of(head[:HEAD])
        self.is_lines = self._are_lines(head[:HEAD])
        self.begins = nanoseconds(first_time(head))
        if self.window is not None:
            self.begins = manifest_of(self.window).first
        if self.format is None:
            return "not a capture of Hubble flows"
        if not self.format.readable:
            return self.format.hint
        if in_folder and self.format.name == "json" and not holds_events(head[:HEAD]):
            return "JSON, but no Hubble events"
        return None

    def _are_lines(self, head: bytes) -> bool:
        plain = self.repeatable and self.window is None and not self.compressed and not self._marked
        return plain and self.format is not None and self.format.name == "json" and not is_by_value(head)

    def content(self, size: int, *, in_thread: bool = False) -> Iterator[bytes]:
        """Yield the content, decompressed, as UTF-8; where it `is_lines`, in whole lines of about ``size`` bytes.

        With ``in_thread`` what is compressed is decompressed beside the reader. Raise InputError where it cannot be read.
        """
        content = self._again(size)
        return ahead(content) if in_thread and self.compressed else content

    def pieces(self, pieces: Iterator[_Any]) -> Iterator[_Any]:
        """Yield a window's pieces, and count the window as read after the last."""
        self.read = 0
        yield from pieces
        self.read = self.size or 0

    def _again(self, size: int) -> Iterator[bytes]:
        if not self.repeatable:
            started, self._started = self._started, None
            if started is None:
                raise InputError(f"{self.name}: can be read only once")
            return started
        self.read, self.cut = 0, ""
        return self._raw(size) if self.is_lines else self._content()

    def _content(self) -> Iterator[bytes]:
        return decoded_text(self._until_cut(self._decompressed()))

    def _decompressed(self) -> Iterator[bytes]:
        raw = self._raw()
        first = next(raw, b"")
        self.compression, self._marked = compression_of(first), is_marked(first)
        return decompress(_chained(first, raw), self._raw_again if self.repeatable else None)

    def _raw_again(self) -> Iterator[bytes]:
        self.read = 0
        return self._raw()

    def _raw(self, size: int | None = None) -> Iterator[bytes]:
        try:
            path = self.window / MANIFEST if self.window else self._path or self._pipe or self.name
            stream: Any = self._stream or opened(str(path))
            try:
                for chunk in whole_lines(stream, str(path), size) if size else _all_of(stream):
                    self.read += len(chunk)
                    yield chunk
            finally:
                if stream is not self._stream:
                    stream.close()
        except OSError as error:
            raise InputError(f"{self.name}: cannot be read ({error.strerror or error})") from error

    def _until_cut(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from chunks
        except CutShort as error:
            self.cut = str(error)


def _facts(path: Path) -> Facts:
    status = path.stat()
    return Facts(status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def _size(window: Path) -> int:
    return sum(path.stat().st_size for path in window.glob("*.parquet"))


def _all_of(stream: Any) -> Iterator[bytes]:
    size = _LOOK
    while chunk := stream.read(size):
        yield chunk
        size = _READ


def _chained(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def find(
    inputs: Iterable[str | os.PathLike[str] | BinaryIO], *, recursive: bool = True
) -> tuple[list[Input], list[str]]:
    """Return the captures that the inputs name, in canonical order, and a note for each file that was left out.

    A path, a glob pattern, a folder (with its folders where ``recursive``), ``-`` for standard input, or an open
    binary stream. A file named twice is read once. Raise InputError for what does not exist or is no capture, TypeError
    for what is none of these.
    """
    inputs = list(inputs)
    _check(inputs)
    found: list[Input] = []
    notes: list[str] = []
    seen: set[tuple[int, int]] = set()
    for one in inputs:
        if not isinstance(one, (str, os.PathLike)) or os.fspath(one) == "-":
            _add_stream(found, one, notes)
        elif is_remote(os.fspath(one)):
            _add_remote(os.fspath(one), found, notes)
        else:
            for path in _matching(os.fspath(one)):
                if path.is_dir():
                    _add_folder(path, found, notes, seen, recursive=recursive)
                elif _is_new(path, seen):
                    _add(found, _of(path))
                else:
                    notes.append(f"{path}: named more than once, read once")
    found.sort(key=lambda one: (one.begins or 0, one.name))
    for each in found:
        _log.debug("%s: %s%s", each.name, each.described, ", compressed" if each.compressed else "")
    for note in notes:
        _log.info("%s", note)
    return found, notes


def input_of(name: str) -> Input:
    """Return a file, or what an object store has, that was found before. Raise InputError where it is not there."""
    if is_remote(name):
        return Input(name, remote=facts(name))
    try:
        return _of(Path(name))
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror or error})") from error


def _check(inputs: list[Any]) -> None:
    for one in inputs:
        if isinstance(one, io.TextIOBase):
            raise TypeError(
                f"captures are read as bytes: open {getattr(one, 'name', 'the stream')} with mode 'rb'"
            )
        if not (isinstance(one, (str, os.PathLike)) or hasattr(one, "read")):
            raise TypeError(
                "an input is a path or an open binary stream, several are arguments of their own (*paths), "
                f"not a {type(one).__name__}"
            )


def _add_remote(name: str, found: list[Input], notes: list[str]) -> None:
    """Add what a name, pattern or folder of an object store stands for, each once; in a folder only captures."""
    names = matching(name)
    if not names:
        raise InputError(
            f"{name}: nothing by this name; name a capture, a folder of captures, or - for standard input"
        )
    before = len(found)
    for each in names:
        if any(each == other.name for other in found):
            notes.append(f"{each}: named more than once, read once")
            continue
        one = Input(each, remote=facts(each))
        if reason := one.recognise(in_folder=len(names) > 1):
            notes.append(f"{each}: left out: {reason}")
        else:
            found.append(one)
    if len(found) == before and notes:
        raise InputError(f"{name}: no capture of Hubble flows there ({'; '.join(notes[-3:])})")


def _matching(text: str) -> list[Path]:
    if os.path.lexists(text):
        return [Path(text)]
    paths = sorted(Path(path) for path in glob.glob(text, recursive=True)) if glob.has_magic(text) else []  # noqa: PTH207
    if not paths:
        reason = "no file matches" if glob.has_magic(text) else "no such file or folder"
        raise InputError(f"{text}: {reason}; name a capture, a folder of captures, or - for standard input")
    return paths


def _is_new(path: Path, seen: set[tuple[int, int]]) -> bool:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    key = (status.st_dev, status.st_ino)
    new = key not in seen
    seen.add(key)
    return new


def _of(path: Path) -> Input:
    if path.name == MANIFEST and is_window(path.parent):
        return Input(str(path.parent), path.parent)
    regular = stat.S_ISREG(path.stat().st_mode)
    return Input(str(path), path) if regular else Input(str(path), pipe=path)


def _add(found: list[Input], one: Input) -> None:
    if reason := one.recognise(in_folder=False):
        raise InputError(f"{one.name}: {reason}")
    found.append(one)


def _add_stream(found: list[Input], one: str | os.PathLike[str] | BinaryIO, notes: list[str]) -> None:
    if isinstance(one, (str, os.PathLike)):
        name, stream = "stdin", sys.stdin.buffer
    else:
        name, stream = str(getattr(one, "name", None) or "stream"), one
    if any(other.reads(stream) for other in found):
        notes.append(f"{name}: named more than once, read once")
    else:
        _add(found, Input(name, stream=stream))


def _add_folder(
    folder: Path, found: list[Input], notes: list[str], seen: set[tuple[int, int]], *, recursive: bool
) -> None:
    """Add the captures of a folder; every other file is named in a note, hidden ones apart."""
    before = len(found)
    named = False
    for path in _files(folder, recursive=recursive):
        if not _is_new(path, seen):
            named = True
            continue
        one = Input(str(path), path)
        try:
            reason = one.recognise(in_folder=True)
        except InputError as error:
            reason = str(error).removeprefix(f"{path}: ")
        if reason:
            notes.append(f"{path}: left out: {reason}")
        else:
            found.append(one)
    if len(found) == before and not named:
        detail = f" ({'; '.join(notes[-3:])})" if notes else ""
        raise InputError(f"{folder}: no capture of Hubble flows in this folder{detail}")


def _files(folder: Path, *, recursive: bool) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        if MANIFEST in names and is_window(Path(parent)):
            folders.clear()
            yield Path(parent)
            continue
        folders[:] = _descended(Path(parent), folders, recursive=recursive)
        if VIEW in names and any(is_window(Path(parent, name)) for name in folders):
            names.remove(VIEW)
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _descended(parent: Path, folders: list[str], *, recursive: bool) -> list[str]:
    """Return the folders to look into, sorted: windows, of each the last generation, and others where ``recursive``."""
    latest = {path.name for path in windows(parent)}
    return sorted(
        name
        for name in folders
        if not name.startswith(".") and (name in latest if is_window(parent / name) else recursive)
    )
