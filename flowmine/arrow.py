"""How the processes of the command line use Arrow: without pandas where no DataFrame is made, and in little memory.

At the first array it makes, pyarrow imports pandas if it is installed, only to ask whether the values are a Series.
That costs every command of flowmine 0.4 s and 50 MB. Told once that there is no pandas, pyarrow goes on without, until
a DataFrame is asked for. It then makes no Python values of times with nanoseconds, which commands therefore never ask
for; a program that imports flowmine may, and is left alone. What groups and joins tables imports what reads datasets,
file systems of clouds among it, which no command does: it is told that there is none. And it reads what the options of
functions say of themselves, for a help text of each, which takes half the time of their import: it is told nothing.

Arrow and glibc are told to share one heap and to keep what is free in it for the next batch: with a pool of Arrow's own,
and a heap of each thread's, a long reading takes 70 MB more, and without keeping a tenth more time. Once all is read,
columns come whole and do not come again: what is free then goes back to the system.
"""

import atexit
import ctypes
import gc
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = [
    "MMAP_THRESHOLD",
    "TRIM_THRESHOLD",
    "after_reading",
    "for_commands",
    "imported_lean",
    "is_command",
    "set_allocation",
]

_HEAPS, TRIM_THRESHOLD, MMAP_THRESHOLD = -8, -1, -3
"""Parameters of glibc's ``mallopt`` (malloc.h)."""

_OBJECTS = 100_000
"""Objects made, less those let go, after which cycles are looked for; Python's own figure costs a command a twentieth."""

_HELP = "pyarrow.vendored.docscrape"

_processes_commands = False


def for_commands() -> None:
    """Say, before any table is made, that this process runs a command of flowmine and nothing else."""
    global _processes_commands
    _processes_commands = True
    gc.set_threshold(_OBJECTS)
    atexit.register(gc.freeze)  # the system takes back what is left, sooner than cycles in it are looked for
    sys.modules.setdefault(_HELP, _Untold(_HELP))
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # Arrow reads it when it is imported
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nothing is multiplied, and threads would spin
    set_allocation(_HEAPS, 1)
    set_allocation(TRIM_THRESHOLD, 64 << 20)
    set_allocation(MMAP_THRESHOLD, 32 << 20)


def is_command() -> bool:
    """Tell whether this process runs a command of flowmine and nothing else."""
    return _processes_commands


def after_reading() -> None:
    """Give back what batches needed, and from now on each large column as soon as it is not needed any more.

    Do nothing in programs that import flowmine, or where there is another allocator.
    """
    if _processes_commands:
        set_allocation(MMAP_THRESHOLD, 1 << 20)
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
        if trim is not None:
            trim(0)


def set_allocation(parameter: int, value: int) -> None:
    """Set a parameter of glibc's allocator; do nothing where there is another one."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(parameter, value)


class _Untold(ModuleType):
    """A module that reads help texts, and finds nothing in them, whatever is asked."""

    def __getattr__(self, name: str) -> Any:
        """Return what reads a text, and finds no section of it."""
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_: defaultdict(list)


class _Without:
    """A finder of modules that finds some not, in the thread that made it."""

    def __init__(self, *names: str) -> None:
        self._names, self._thread = names, threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Raise ImportError for what is not to be found; find nothing else."""
        if name in self._names and threading.get_ident() == self._thread:
            raise ImportError("not needed")


def imported_lean() -> None:
    """Have pyarrow import what it needs, and no more, if this process runs a command (`for_commands`)."""
    if not _processes_commands or "pandas" in sys.modules:
        return
    import pyarrow as pa

    finder = _Without("pandas", "pyarrow.dataset")
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
        import_module("pyarrow.acero")
    finally:
        sys.meta_path.remove(finder)
