"""Arrow without pandas, until somebody asks for a DataFrame.

At the first array it makes, pyarrow imports pandas if it is installed, only to ask whether the values are a Series.
That costs every command of flowmine 0.4 s and 50 MB. Told once that there is no pandas, pyarrow goes on without, and
looks again when a DataFrame is asked for or given; so nothing is lost to whoever uses one.
"""

import sys
import threading
from collections.abc import Sequence
from types import ModuleType

import pyarrow as pa

__all__ = ["without_pandas"]


class _NoPandas:
    """A finder of modules that finds no pandas in the thread that made it."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Raise ImportError for pandas; find nothing else."""
        if name == "pandas" and threading.get_ident() == self._thread:
            raise ImportError("not needed to make an array")


def without_pandas() -> None:
    """Make pyarrow's first array without importing pandas; do nothing where pandas is imported already."""
    if "pandas" in sys.modules:
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)
