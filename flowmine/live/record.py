"""`flowmine capture`: events of a relay or of files to windows on disk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from flowmine.edges.event import Event
from flowmine.edges.names import names
from flowmine.ingest.capture import Recorder
from flowmine.live.feed import Feed

__all__ = ["Written", "record"]


@dataclass(frozen=True, slots=True)
class Written:
    """A window that was finished, and how many events are recorded so far in this run."""

    path: Path
    flows: int


def record(feed: Feed, recorder: Recorder, stop: Callable[[], bool] = lambda: False) -> Iterator[Written]:
    """Record what a feed yields until it ends or ``stop`` says so, and yield each window that is finished.

    The open window is finished at the end. A caller that goes away before, or a crash, loses it and nothing else: the
    next run reads on after the window before it.
    """
    try:
        yield from _recorded(feed, recorder, stop)
    except BaseException:
        recorder.abandon()
        raise


def _recorded(feed: Feed, recorder: Recorder, stop: Callable[[], bool]) -> Iterator[Written]:
    source, flows = feed.source, 0
    for batch in feed.batches():
        if not flows and feed.skipped is not None:
            recorder.skip(feed.skipped)
        recorder.add(batch, names(Event(batch)), lambda: source.endpoints)
        flows += batch.num_rows
        if recorder.due and (path := _closed(feed, recorder)):
            yield Written(path, flows)
        if stop():
            break
    if not flows and feed.skipped is not None:
        recorder.skip(feed.skipped)
    if path := _closed(feed, recorder):
        yield Written(path, flows)


def _closed(feed: Feed, recorder: Recorder) -> Path | None:
    source = feed.source
    return recorder.close(source.endpoints, source.pods, source.ledger, feed.cursor)
