"""Read a source to its EDGES in one process, in several, or on Dask: the same bytes, whichever it is.

Names are imported on first use: a process that reads needs none of them, and they are started before all else is.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowmine.scale.readers import Readers
    from flowmine.scale.reading import aggregate, gather

__all__ = ["Readers", "aggregate", "gather"]

_HOMES = {"Readers": "readers", "aggregate": "reading", "gather": "reading"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"flowmine.scale.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'flowmine.scale' has no attribute {name!r}")
