"""Which code does what takes longest: numpy's, or for much to read that which numba compiles, if it is here."""

import logging
from collections.abc import Callable
from functools import cache
from typing import Literal, TypeAlias

from flowmine.ingest import stretches
from flowmine.ingest.dedup import SeenIds
from flowmine.ingest.stretches import Stretches

__all__ = ["Compiled", "Cut", "cutter", "load", "seen_ids"]

Compiled: TypeAlias = Literal["no", "kept", "made"]
"""Whether compiled code is to be used: not, if it was made earlier, or also if it has to be made."""

Cut: TypeAlias = Callable[[bytes | memoryview], Stretches | None]
"""What takes a block of lines apart, as `stretches.cut` does."""

_log = logging.getLogger(__name__)


def cutter(compiled: Compiled = "no") -> Cut:
    """Return what cuts the blocks of one reading, by compiled code if that is wanted and can be had."""
    if load(compiled):
        from flowmine.ingest.compiled import Cutter
        from flowmine.ingest.machinecode import made

        return Cutter(made().cut).cut
    return stretches.cut


def seen_ids(compiled: Compiled = "no") -> SeenIds:
    """Return what tells repeated events of one reading, by compiled code if that is wanted and can be had."""
    if load(compiled):
        from flowmine.ingest.machinecode import made

        return SeenIds(first_seen=made().first_seen)
    return SeenIds()


@cache
def load(compiled: Compiled) -> bool:
    """Load the compiled code if it is wanted; tell whether it is there."""
    if compiled == "no":
        return False
    try:
        from flowmine.ingest.machinecode import kept, made

        return (made() if compiled == "made" else kept()) is not None
    except ImportError:
        return False
    except Exception as error:  # of a compiler, on whatever machine: what it would do can be done without it
        _log.info("not compiled: %s", str(error).partition("\n")[0])
        return False
