"""A bar in the notebook while a capture is read; nothing anywhere else, and nothing left when it is read."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import Any

from flowmine.ingest import Progress

__all__ = ["Bar", "bar_html", "displayed", "in_notebook", "shown_progress"]

_EVERY = 0.25
_PATIENCE = 0.5


@contextmanager
def shown_progress(what: str) -> Iterator[Callable[[Progress], None] | None]:
    """Show how far a reading is within the block, where a notebook runs this; yield what feeds it, else None.

    What is read within half a second shows nothing.
    """
    if not in_notebook():
        yield None
        return
    bar = Bar(what)
    try:
        yield bar.feed
    finally:
        bar.close()


def in_notebook() -> bool:
    """Tell whether a kernel of Jupyter runs this: a terminal's IPython has none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


class Bar:
    """One display that is written over: after half a second, a few times a second, and emptied at the end.

    ``show`` is given HTML and what it returned the time before; ``clock`` counts seconds.
    """

    def __init__(
        self,
        what: str,
        show: Callable[[str, Any], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Name what is read."""
        self._what, self._show, self._clock = what, show or displayed, clock
        self._began = clock()
        self._due = self._began + _PATIENCE
        self._handle: Any = None

    def feed(self, progress: Progress) -> None:
        """Show how far the reading is, where it is time to."""
        now = self._clock()
        if now >= self._due:
            self._due = now + _EVERY
            self._handle = self._show(bar_html(self._what, progress, now - self._began), self._handle)

    def close(self) -> None:
        """Leave nothing behind."""
        if self._handle is not None:
            self._show("", self._handle)


def displayed(html: str, handle: Any) -> Any:
    """Display HTML, in the place of what was displayed before."""
    shower: Any = import_module("IPython.display")
    if handle is None:
        return shower.display(shower.HTML(html), display_id=True)
    handle.update(shower.HTML(html))
    return handle


def bar_html(what: str, progress: Progress, elapsed: float) -> str:
    """Return the bar as HTML: the part of the bytes that is read, flows, and flows a second."""
    rate = f", {progress.flows / elapsed:,.0f} a second" if elapsed > 0 else ""
    value = f' value="{progress.read}" max="{progress.total}"' if progress.total else ""
    return f"<progress{value}></progress> {escape(what)}: {progress.flows:,} flows{rate}"
