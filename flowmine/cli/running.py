"""What commands that are left running share: durations, stopping in good order, a server that is followed."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

import click

from flowmine.errors import UsageError

if TYPE_CHECKING:
    from flowmine.cli.inputs import Capture

__all__ = ["BATCH_ROWS", "followed", "give_memory_back", "seconds", "stopping"]

BATCH_ROWS = 1 << 15
"""Of what is left running: half of the usual number, for as much less memory and no less speed."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def seconds(_ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Return the seconds of a duration as Go writes it (30s, 10m, 1h30m): the callback of an option."""
    from flowmine.ingest.filters import point_in_time

    if value is None:
        return None
    try:
        found = -point_in_time(value, 0) / 1e9
    except UsageError:
        found = 0.0
    if found <= 0:
        raise click.BadParameter(f"{value!r}: write a duration (30s, 10m, 1h30m)", param=param)
    return found


def followed(capture: "Capture") -> "Capture":
    """Let a live server be followed, which `hubble observe` does only when asked; unless the line says where it ends."""
    live = capture.live
    if live is None:
        return capture
    selection = live.window.selection
    ends = selection.first or selection.last or selection.until is not None
    window = replace(live.window, follow=live.window.follow or not ends)
    return replace(capture, live=replace(live, window=window))


def give_memory_back() -> None:
    """Let memory that is not used any more go back to the system soon: what is left running needs it only now and then.

    This takes back what `flowmine.arrow.for_commands` chose for commands that end, where speed counts for more: following
    at full rate takes a tenth more memory with that. Arrow has a pool of its own again, which keeps the few blocks that
    every batch needs; in a heap that gives all back at once the same costs a tenth of the speed.
    """
    import pyarrow as pa

    from flowmine.arrow import MMAP_THRESHOLD, TRIM_THRESHOLD, set_allocation

    try:
        pool = pa.jemalloc_memory_pool()
    except NotImplementedError:  # not in every build
        pool = pa.system_memory_pool()
    pa.set_memory_pool(pool)
    set_allocation(MMAP_THRESHOLD, 1 << 18)
    set_allocation(TRIM_THRESHOLD, 1 << 20)


@contextmanager
def stopping() -> Iterator[tuple[Callable[[], bool], Callable[[Callable[[], None]], None]]]:
    """Let the first Ctrl-C or SIGTERM within the block end the work in good order, and only the next one break it off.

    Yields whether one came, and what takes a function to call when one comes.
    """
    came = threading.Event()
    calls: list[Callable[[], None]] = []
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def once(_number: int, _frame: FrameType | None) -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        came.set()
        for call in calls:
            call()

    for number in _SIGNALS:
        signal.signal(number, once)
    try:
        yield came.is_set, calls.append
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
