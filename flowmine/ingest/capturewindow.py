"""A window on disk: a folder of Parquet files and a manifest that is there whole, or not at all.

It is written under a name that begins with ``.tmp-``, every file synced, and then renamed: the rename is the moment at
which it exists. A window may be written again, as a further generation of the same name (``NAME.2`` after ``NAME.1``);
the last one counts, and those before it are swept away. The kernel's lock on ``.lock`` keeps a second writer out and
goes with its process.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.errors import InputError, SchemaError
from flowmine.ingest.capturedistinct import SEAL, seal
from flowmine.outputs import write_whole
from flowmine.schema import VERSION

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = [
    "MANIFEST",
    "VIEW",
    "Folder",
    "Manifest",
    "Pending",
    "is_window",
    "manifest_of",
    "opened",
    "readable",
    "serial_of",
    "sound",
    "stem_of",
    "table_of",
    "windows",
]

MANIFEST = "manifest.json"
"""The file that makes a folder a window; its first key is ``flowmine``."""

VIEW = "capture.sql"
"""The file beside the windows of a capture that joins their tables for DuckDB."""

_TEMPORARY = ".tmp-"
_log = logging.getLogger(__name__)
_ROW_GROUP = 1 << 17
_PLAIN = frozenset({"uuid", "time", "first", "last", "place"})
"""Columns whose values hardly repeat: they are stored without a dictionary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a window holds: ``flowmine`` is its kind, ``capture`` (events) or ``state`` (what edges are made of).

    ``first`` and ``last`` are the earliest and latest event time in nanoseconds, ``flows`` how many events it stands for,
    ``cursor`` from where its source is to be read on. ``bad``, ``versions``, ``texts`` and ``notes`` are those of
    `flowmine.ledger.Ledger`, ``redacted`` what was replaced by pseudonyms, ``requests`` whether requests are in it.
    ``expected`` and ``carried`` are the fields that its events should carry and those that any of them does.
    """

    flowmine: str
    schema: int = VERSION
    first: int | None = None
    last: int | None = None
    flows: int = 0
    bad: int = 0
    versions: dict[str, int] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    redacted: tuple[str, ...] = ()
    requests: bool = False
    expected: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    cursor: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Head:
    flowmine: str
    schema: int


def is_window(folder: Path) -> bool:
    """Tell whether a folder is a window of this project, of whatever schema version."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            return file.read(64).lstrip(b"{ \n").startswith(b'"flowmine"')
    except OSError:
        return False


def manifest_of(window: Path, *, any_version: bool = False) -> Manifest:
    """Return a window's manifest.

    Raise InputError where it cannot be read, and SchemaError, with the way out, where the window is of another schema
    version (unless ``any_version``).
    """
    path = window / MANIFEST
    try:
        data = path.read_bytes()
        head = msgspec.json.decode(data, type=_Head)
        if head.schema != VERSION and not any_version:
            raise SchemaError(_other_version(window, head.schema))
        return msgspec.json.decode(data, type=Manifest)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not the manifest of a window ({error})") from error


def _other_version(window: Path, version: int) -> str:
    if version > VERSION:
        return (
            f"{window}: written by a newer flowmine (schema version {version}, this one knows {VERSION}): "
            "pip install --upgrade flowmine"
        )
    return (
        f"{window}: of schema version {version}, this flowmine reads {VERSION}: "
        f"run `flowmine migrate {window.parent}` once"
    )


def stem_of(window: Path) -> tuple[str, int]:
    """Return a window's name without its generation, and the generation, 0 where it has none.

    >>> stem_of(Path("20261118T093000-000007.3"))
    ('20261118T093000-000007', 3)
    """
    stem, dot, generation = window.name.rpartition(".")
    return (stem, int(generation)) if dot and generation.isdigit() else (window.name, 0)


def serial_of(window: Path) -> int:
    """Return the number with which a window's name ends: it grows with every window of a folder; 0 for none.

    >>> serial_of(Path("20261118T093000-000007.3"))
    7
    """
    number = stem_of(window)[0].rpartition("-")[2]
    return int(number) if number.isdigit() else 0


def windows(folder: Path) -> list[Path]:
    """Return the windows in a folder, sorted by name, of each its last generation."""
    latest: dict[str, tuple[int, Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not path.name.startswith(".") and path.is_dir() and is_window(path):
            stem, generation = stem_of(path)
            latest[stem] = max(latest.get(stem, (-1, path)), (generation, path))
    return [path for _, path in sorted(latest.values(), key=lambda one: one[1].name)]


def opened(window: Path, name: str) -> "pq.ParquetFile":
    """Open one of a window's tables. Raise InputError where it is missing or no Parquet."""
    from pyarrow.parquet import ParquetFile

    with readable(window, name) as path:
        return ParquetFile(path)


def table_of(window: Path, name: str) -> pa.Table:
    """Return one of a window's tables, whole and sound. Raise InputError where it is missing or damaged."""
    with readable(window, name):
        return sound(opened(window, name).read())


def sound(table: pa.Table) -> pa.Table:
    """Return a table whose every value can be had, and whose lists lack none.

    Raise pyarrow.ArrowInvalid for any other: Arrow reads it all the same.
    """
    table.validate(full=True)
    for column in table.columns:
        if pa.types.is_list(column.type) and pc.list_flatten(column).null_count:
            raise pa.ArrowInvalid("lists lack values")
    return table


@contextmanager
def readable(window: Path, name: str) -> Iterator[Path]:
    """Yield the path of one of a window's tables; raise InputError where it cannot be read within the block."""
    path = window / f"{name}.parquet"
    try:
        yield path
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        told = str(error).splitlines() or [type(error).__name__]
        raise InputError(f"{path}: cannot be read ({told[0]})") from error


class Pending:
    """A window that is being written; it does not exist until `finish`."""

    def __init__(self, folder: Path, name: str) -> None:
        """Begin a window called ``name`` in a folder."""
        self._folder, self._name = folder, name
        self._path = folder / f"{_TEMPORARY}{name}"
        self._writers: dict[str, pq.ParquetWriter] = {}
        try:
            with _told(self._path):
                shutil.rmtree(self._path, ignore_errors=True)
                self._path.mkdir(parents=True)
        except BaseException:
            shutil.rmtree(self._path, ignore_errors=True)
            raise

    def write(self, name: str, rows: pa.Table | pa.RecordBatch) -> None:
        """Add rows to one of the window's tables, at once as a row group of their own."""
        from pyarrow.parquet import ParquetWriter

        with _told(self._path):
            if name not in self._writers:
                self._writers[name] = ParquetWriter(
                    self._path / f"{name}.parquet",
                    rows.schema,
                    compression="zstd",
                    use_dictionary=[column for column in rows.schema.names if column not in _PLAIN],
                )
            table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
            self._writers[name].write_table(table, row_group_size=_ROW_GROUP)

    def finish(self, manifest: Manifest) -> Path:
        """Sync everything, give the window its name, and return its path."""
        target = self._folder / self._name
        with _told(self._path):
            for name, writer in self._writers.items():
                if name == "places":
                    writer.add_key_value_metadata({SEAL: seal(self._path / "flows.parquet")})
                writer.close()
                _sync(self._path / f"{name}.parquet")
            (self._path / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
            _sync(self._path / MANIFEST)
            _sync(self._path)
            self._path.rename(target)
            _sync(self._folder)
        _log.info("%s: written, %s events", target, f"{manifest.flows:,}")
        return target

    def abandon(self) -> None:
        """Leave nothing behind."""
        for writer in self._writers.values():
            with suppress(OSError, pa.ArrowException):  # of a disk that is full
                writer.close()
        shutil.rmtree(self._path, ignore_errors=True)


class Folder:
    """A folder of windows with one writer, this one; use it as a context."""

    def __init__(self, path: Path) -> None:
        """Name the folder, which need not exist."""
        self.path = path
        self._lock = -1

    def __enter__(self) -> "Folder":
        """Make and lock the folder, and sweep away what a writer that was killed left.

        Raise InputError where another process writes there, or the folder cannot be made.
        """
        with _told(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(
                self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666
            )
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.__exit__()
            raise InputError(
                f"{self.path}: another flowmine is writing there; name another folder"
            ) from error
        self.sweep()
        return self

    def __exit__(self, *_: object) -> None:
        """Let others write."""
        os.close(self._lock)

    def sweep(self) -> None:
        """Remove unfinished windows, and generations that a later one stands for."""
        kept = {path.name for path in self.windows()}
        for path in list(self.path.iterdir()):
            stale = (
                not path.name.startswith(".") and path.is_dir() and is_window(path) and path.name not in kept
            )
            if stale or path.name.startswith(_TEMPORARY):
                self.remove(path)

    def windows(self) -> list[Path]:
        """Return the finished windows, sorted by name."""
        return windows(self.path)

    def remove(self, window: Path) -> None:
        """Remove a window at once: it is renamed first, so that nobody reads half of one."""
        _log.debug("%s: removed", window)
        with _told(window):
            if window.is_file():
                window.unlink()
                return
            hidden = window.with_name(f"{_TEMPORARY}{window.name.removeprefix(_TEMPORARY)}-removed")
            shutil.rmtree(hidden, ignore_errors=True)
            window.rename(hidden)
            shutil.rmtree(hidden)

    def put_view(self) -> None:
        """Write the view that joins a capture's tables beside its windows."""
        from importlib.resources import files

        text = files("flowmine").joinpath("ingest", VIEW).read_bytes()
        with _told(self.path):
            write_whole(self.path / VIEW, text)

    def next_serial(self) -> int:
        """Return a number higher than that of every window so far; names end with it."""
        return max(map(serial_of, self.windows()), default=0) + 1

    def put(self, name: str, manifest: Manifest, tables: Mapping[str, pa.Table]) -> Path:
        """Write a window of whole tables under a name with a generation, and remove the generations before it."""
        pending = Pending(self.path, name)
        try:
            for table, rows in tables.items():
                pending.write(table, rows)
            path = pending.finish(manifest)
        except BaseException:
            pending.abandon()
            raise
        stem, generation = stem_of(path)
        for other in (*self.path.glob(stem), *self.path.glob(f"{stem}.*")):
            if stem_of(other) < (stem, generation):
                self.remove(other)
        return path


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    except UnicodeError as error:
        raise InputError(f"{path}: the name is no UTF-8, which Arrow needs; name another folder") from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
