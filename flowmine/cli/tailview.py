"""The live view of `flowmine tail` on a terminal: counts above, the latest news below."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flowmine.report.gotime import format_time
from flowmine.report.tables import clean

if TYPE_CHECKING:
    from flowmine.live.tail import Tick

__all__ = ["TailView"]

_KEPT = 200
_STYLES = {
    "edge": ("new", "green"),
    "drop": ("drop", "red"),
    "would_drop": ("would drop", "yellow"),
    "policy": ("policy", "cyan"),
    "stable": ("stable", "bold green"),
    "problem": ("problem", "bold red"),
}


class TailView:
    """Draws ticks; a context."""

    def __init__(
        self,
        names: tuple[str, ...],
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Name what is followed; draw on ``console`` (standard output by default), seconds counted by ``clock``."""
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        self._name = f"{names[0]}{more}" if names else ""
        self._console = console or Console()
        self._news: deque[tuple[str, str, str]] = deque(maxlen=_KEPT)
        self._live = Live(console=self._console, auto_refresh=False)
        self._clock = clock
        self._before = (clock(), 0)
        self._rate = 0.0

    def __enter__(self) -> "TailView":
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last picture standing."""
        self._live.stop()

    def shown(self, ticks: "Iterator[Tick]") -> "Iterator[Tick]":
        """Draw every tick, and pass it on."""
        for tick in ticks:
            now = self._clock()
            passed, flows = now - self._before[0], tick.tally.flows - self._before[1]
            self._rate = flows / passed if passed else 0.0
            self._before = (now, tick.tally.flows)
            at = format_time(int(tick.at * 1e9), "RFC3339").partition("T")[2].removesuffix("Z")
            self._news.extend((at, *line) for line in _news(tick))
            self._live.update(self.picture(tick), refresh=True)
            yield tick

    def picture(self, tick: "Tick") -> Group:
        """Return what is drawn of a tick: counts above, the latest news below."""
        tally = tick.tally
        rate = f"{tally.flows:,} flows, {self._rate:,.0f} a second"
        if tally.lag is not None:
            rate += f", newest {_age(tally.lag)} old"
        verdicts = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.verdicts.items()))
        told = {
            "lost by Hubble": sum(tally.lost.values()),
            "gaps": tally.gaps,
            "reconnects": tally.reconnects,
            "unreadable": tally.skipped,
            "times held back": tally.throttled,
        }
        trouble = ", ".join(f"{count:,} {name}" for name, count in told.items() if count)
        edges = f"{tally.edges:,} edges{', stable' if tally.stable else ''}; {verdicts}"
        head = [Text(clean(self._name), style="bold"), Text(rate), Text(edges)]
        head.append(Text(trouble or "nothing lost", style="yellow" if trouble else "green"))
        news = Table(box=None, show_header=False, pad_edge=False)
        news.add_column(width=8)
        news.add_column(width=11)
        news.add_column(ratio=1)
        room = max(3, self._console.height - len(head) - 2)
        for at, kind, text in list(self._news)[-room:]:
            word, style = _STYLES.get(kind, (kind, "magenta"))
            news.add_row(
                Text(at), Text(word, style=style), Text(clean(text), no_wrap=True, overflow="ellipsis")
            )
        for line in head:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*head, Text(), news)


def _age(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.1f} s"


def _news(tick: "Tick") -> Iterator[tuple[str, str]]:
    for gap in tick.gaps:
        yield gap["event"], f"{gap['node'] or 'relay'}: {gap['source']} ({gap['count']:,})"
    for change in tick.changes:
        yield change["event"], _edge(change)
    for each in tick.policies:
        yield "policy", f"{each.path} {each.what}"
    for problem in tick.problems:
        yield "problem", problem
    if tick.turned_stable:
        yield "stable", "nothing new was seen for the time of --settle"


def _edge(record: dict[str, Any]) -> str:
    port = (
        f"{record['protocol'] or 'unknown'}/{record['port']}"
        if record["port"] is not None
        else record["protocol"]
    )
    reasons = f" ({', '.join(record['new_reasons'])})" if record["new_reasons"] else ""
    ends = f"{record['initiator'].get('title', '?')} to {record['responder'].get('title', '?')}"
    return f"{ends} {port or 'unknown'} {record['outcome']}{reasons}"
