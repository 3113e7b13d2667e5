"""Arrow without pandas where no DataFrame is made: in the processes of the command line.

At the first array it makes, pyarrow imports pandas if it is installed, only to ask whether the values are a Series.
That costs every command of flowmine 0.4 s and 50 MB. Told once that there is no pandas, pyarrow goes on without, until
a DataFrame is asked for. It then makes no Python values of times with nanoseconds, which commands therefore never ask
for; a program that imports flowmine may, and is left alone.
"""

import sys
import threading
from collections.abc import Sequence
from types import ModuleType

__all__ = ["for_commands", "without_pandas"]

_processes_commands = False


def for_commands() -> None:
    """Say, before any table is made, that this process runs a command of flowmine and nothing else."""
    global _processes_commands
    _processes_commands = True


class _NoPandas:
    """A finder of modules that finds no pandas in the thread that made it."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Raise ImportError for pandas; find nothing else."""
        if name == "pandas" and threading.get_ident() == self._thread:
            raise ImportError("not needed to make an array")


def without_pandas() -> None:
    """Make pyarrow's first array without importing pandas, if this process runs a command (`for_commands`)."""
    if not _processes_commands or "pandas" in sys.modules:
        return
    import pyarrow as pa

    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)
