"""Read in the background what is captured, as `flowmine tail` does, and tell how it goes."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from flowmine.edges import Edges, Sums
from flowmine.errors import FlowmineError
from flowmine.ledger import Ledger
from flowmine.live.feed import Feed
from flowmine.live.tail import Every, Tail, Tick

__all__ = ["Follower", "State"]

_LOOK = 2.0
_REFRESH = 20.0
"""Seconds after which counts are shown anew although no edge is new."""

_SILENT = 4.0
"""Seconds without a sign of the stream, which gives one every second, after which it counts as interrupted."""


@dataclass(frozen=True, slots=True)
class State:
    """How the reading goes: ``phase`` is still (nothing is read any more), live, interrupted, ended or failed."""

    phase: str
    why: str = ""
    flows: int = 0
    edges: int = 0


class _Heard:
    """A live source, with the moment when it last gave a sign."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.at = time.monotonic()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._source.batches():
            self.at = time.monotonic()
            yield batch
            self.at = time.monotonic()


class Follower:
    """Follows a live source from a thread of its own while a ``with`` block runs."""

    def __init__(
        self,
        source: Any,
        show: Callable[[Edges, Ledger], None],
        tell: Callable[[State], None],
        *,
        look: float = _LOOK,
        silent: float = _SILENT,
    ) -> None:
        """Follow ``source``: edges that changed are for ``show``, and how it goes for ``tell``."""
        self._source = _Heard(source)
        self._show, self._tell = show, tell
        self._look, self._silent = look, silent
        self._over = threading.Event()
        self._busy = False
        self._now = State("live")
        self._shown = (0.0, -1)
        self._threads = [
            threading.Thread(target=run, name=f"flowmine-{name}", daemon=True)
            for name, run in (("follow", self._follow), ("pulse", self._watch))
        ]

    def __enter__(self) -> "Follower":
        """Begin."""
        self._tell(self._now)
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """End; the threads are given a moment, and do not hold the program up."""
        self._over.set()
        self._source.stop()
        for each in self._threads:
            each.join(3.0)

    def _follow(self) -> None:
        tail = Tail(Feed(self._source), Every(look=self._look), how=Sums(requests=True))
        try:
            for tick in tail.ticks(self._over.is_set):
                self._now = State("live", "", tick.tally.flows, tick.tally.edges)
                if self._over.is_set():
                    break
                if self._is_due(tick):
                    self._draw(tail, tick)
                self._tell(self._now)
            if self._over.is_set():  # whoever looks at it has gone
                return
            if self._shown[1] != tail.tally.flows:
                self._show(tail.edges, self._source.ledger)
            self._end("ended", "the stream has ended")
        except FlowmineError as error:
            self._end("failed", str(error))
        except Exception:
            traceback.print_exc()
            self._end("failed", "an error of flowmine's own: see the terminal")

    def _is_due(self, tick: Tick) -> bool:
        at, flows = self._shown
        grown = tick.tally.flows != flows
        return bool(tick.changes) or (grown and time.monotonic() - at >= _REFRESH)

    def _draw(self, tail: Tail, tick: Tick) -> None:
        self._busy = True
        try:
            self._show(tail.edges, self._source.ledger)
        finally:
            self._shown = (time.monotonic(), tick.tally.flows)
            self._busy = False

    def _end(self, phase: str, why: str) -> None:
        self._over.set()
        self._tell(State(phase, why, self._now.flows, self._now.edges))

    def _watch(self) -> None:
        """Tell when the stream gives no sign; while edges are being drawn it cannot."""
        while not self._over.wait(1.0):
            silent = time.monotonic() - self._source.at
            if silent > self._silent and not self._busy:
                why = _last_failure(self._source.ledger)
                self._tell(State("interrupted", why, self._now.flows, self._now.edges))


def _last_failure(ledger: Ledger) -> str:
    """Return why the stream broke off last, as the ledger has it."""
    found = [
        (entry.last or entry.first or 0, source)
        for (_, kind, source), entry in list(ledger.entries.items())
        if kind == "reconnect"
    ]
    return max(found)[1] if found else "no sign of the server"
