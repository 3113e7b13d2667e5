"""A bar in the notebook while a capture is read; nothing anywhere else, and nothing left when it is read."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import Any

from flowmine.ingest import Progress

__all__ = ["bar_html", "shown_progress"]

_EVERY = 0.25
_PATIENCE = 0.5


@contextmanager
def shown_progress(what: str) -> Iterator[Callable[[Progress], None] | None]:
    """Show how far a reading is within the block, where a notebook runs this; yield what feeds it, else None.

    What is read within half a second shows nothing.
    """
    if not _in_notebook():
        yield None
        return
    bar = _Bar(what)
    try:
        yield bar.feed
    finally:
        bar.close()


def _in_notebook() -> bool:
    """Tell whether a kernel of Jupyter runs this: a terminal's IPython has none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


class _Bar:
    """One display that is written over."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._clock = what, clock
        self._began = clock()
        self._due = self._began + _PATIENCE
        self._display: Any = None

    def feed(self, progress: Progress) -> None:
        now = self._clock()
        if now < self._due:
            return
        self._due = now + _EVERY
        self._write(bar_html(self._what, progress, now - self._began))

    def close(self) -> None:
        if self._display is not None:
            self._write("")

    def _write(self, html: str) -> None:
        shower: Any = import_module("IPython.display")
        if self._display is None:
            self._display = shower.display(shower.HTML(html), display_id=True)
        else:
            self._display.update(shower.HTML(html))


def bar_html(what: str, progress: Progress, elapsed: float) -> str:
    """Return the bar as HTML: the part of the bytes that is read, flows, and flows a second."""
    rate = f", {progress.flows / elapsed:,.0f} a second" if elapsed > 0 else ""
    value = f' value="{progress.read}" max="{progress.total}"' if progress.total else ""
    return f"<progress{value}></progress> {escape(what)}: {progress.flows:,} flows{rate}"
