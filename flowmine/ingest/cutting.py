"""Which code cuts blocks of lines into stretches: numpy's, or for much to read that which numba compiles, if it is here."""

import logging
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

from flowmine.ingest import stretches
from flowmine.ingest.stretches import Stretches

__all__ = ["Cut", "cutter", "load"]

Cut: TypeAlias = Callable[[bytes], Stretches | None]
"""What takes a block of lines apart, as `stretches.cut` does."""

_log = logging.getLogger(__name__)


def cutter(*, compiled: bool) -> Cut:
    """Return what cuts the blocks of one reading, by compiled code if that is wanted and can be had."""
    if compiled and load():
        from flowmine.ingest.compiled import Cutter

        return Cutter().cut
    return stretches.cut


@cache
def load() -> bool:
    """Load the compiled code; tell whether it is there. Numba compiles it the first time, and keeps it in a cache."""
    try:
        from flowmine.ingest.compiled import Cutter

        Cutter().cut(b"\n")
    except ImportError:
        return False
    except Exception as error:  # of a compiler, on whatever machine: what it would do can be done without it
        _log.info("not compiled: %s", str(error).partition("\n")[0])
        return False
    return True
