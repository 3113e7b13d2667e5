"""Files by name, on this machine or in an object store: ``s3://bucket/folder/*.gz`` and the like, through fsspec."""

import glob
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, NamedTuple

from flowmine.errors import InputError, UsageError

__all__ = ["Facts", "facts", "is_remote", "matching", "opened", "whole_lines"]

_REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://")
_BLOCK = 8 << 20
_READ, _LOOK = 1 << 20, 1 << 16


class Facts(NamedTuple):
    """Size in bytes, and when it was last written."""

    size: int
    written: datetime


def is_remote(name: str) -> bool:
    """Tell whether a name is that of something in an object store."""
    return bool(_REMOTE.match(name))


def matching(name: str) -> list[str]:
    """Return the names that a remote name, pattern or folder stands for, sorted; none where there is nothing.

    Raise InputError where the store cannot be asked, UsageError where the library for it is missing.
    """
    store, path = _store(name)
    try:
        if glob.has_magic(path):
            found = store.glob(path)
        else:
            found = store.find(path) if store.isdir(path) else [path] if store.exists(path) else []
        return sorted(str(store.unstrip_protocol(one)) for one in found)
    except Exception as error:  # each store has errors of its own
        raise InputError(f"{name}: cannot be listed ({error})") from error


def facts(name: str) -> Facts:
    """Return what a store says of a remote name. Raises as `matching`."""
    store, path = _store(name)
    try:
        told = store.info(path)
        written = told.get("LastModified") or told.get("mtime") or told.get("created")
    except Exception as error:
        raise InputError(f"{name}: cannot be read ({error})") from error
    if isinstance(written, int | float):
        written = datetime.fromtimestamp(written, UTC)
    return Facts(int(told["size"]), written if isinstance(written, datetime) else datetime.now(UTC))


def opened(name: str) -> Any:
    """Open a file to read its bytes.

    Raise OSError where that cannot be; UsageError where the library for a store is missing.
    """
    if not is_remote(name):
        return open(name, "rb", buffering=0)  # noqa: PTH123 (as it was named)
    store, path = _store(name)
    try:
        return store.open(path, "rb", block_size=_BLOCK)
    except OSError:
        raise
    except Exception as error:
        raise OSError(str(error)) from error


def whole_lines(file: Any, name: str, size: int, end: int | None = None) -> Iterator[bytes]:
    """Yield what an open file holds up to ``end``, from where it stands, in chunks of about ``size`` bytes.

    Those of a file on this machine end where a line does, if one ends near, so that nobody has to put lines together.
    """
    start = file.tell()
    while end is None or start < end:
        most = _READ if is_remote(name) else size
        if end is not None and start + most >= end:
            most = end - start
        elif not is_remote(name):
            file.seek(start + most)
            most += file.read(_LOOK).find(b"\n") + 1
            file.seek(start)
        chunk = file.read(most)
        if not chunk:
            return
        start += len(chunk)
        yield chunk
        del chunk  # and then read the next


def _store(name: str) -> tuple[Any, str]:
    try:
        url_to_fs = import_module("fsspec.core").url_to_fs
    except ImportError as error:
        raise UsageError(f"{name}: object stores need more: pip install 'flowmine[dask]'") from error
    try:
        store, path = url_to_fs(name)
    except ImportError as error:
        raise UsageError(f"{name}: this store needs a library of its own ({error})") from error
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error
    return store, str(path)
