"""Kill recorders and tails in the middle, again and again: what `tests/live/test_kill.py` runs in a process of its own.

Run as ``python -m tests.live.killed capture|tail INPUT OUT KILLS SEED``. The children are forked from a process that has
everything imported, so that a hundred of them take seconds.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from flowmine.edges import COLUMNS, telling
from flowmine.ingest import open_flows
from flowmine.ingest.capture import Cut, Recorder
from flowmine.ingest.capturewindow import Folder, manifest_of, serial_of
from flowmine.live.feed import Feed
from flowmine.live.record import record
from flowmine.live.state import Store, load
from flowmine.live.tail import Every, Tail

ROWS = 400


def capture(given: Path, out: Path) -> None:
    """Record on to the end, a window every few hundred events."""
    with Folder(out) as folder:
        paths = folder.windows()
        cursor = manifest_of(max(paths, key=serial_of)).cursor if paths else {}
        recorder = Recorder(folder, Cut(1e9, 2 * ROWS), telling, clock=time.monotonic)
        for _ in record(Feed(open_flows(given, batch_rows=ROWS), cursor), recorder):
            pass


def tail(given: Path, out: Path) -> None:
    """Follow on to the end, with a checkpoint at every batch, and a new window now and then."""
    ticks = iter(range(1 << 30))
    with Folder(out) as folder:
        before = load(folder)
        source = open_flows(given, columns=(*COLUMNS, "node_name"), batch_rows=ROWS)
        store = Store(folder, clock=lambda: 600.0 * next(ticks))
        every = Every(look=1e9, checkpoint=0.0)
        for _ in Tail(Feed(source, before.cursor), every, before=before, store=store).ticks():
            pass


WAYS: dict[str, Callable[[Path, Path], None]] = {"capture": capture, "tail": tail}


def run(way: str, given: Path, out: Path, after: float | None) -> bool:
    """Run in a child, killed after so many seconds; tell whether it was, and did not end before."""
    child = os.fork()
    if child == 0:
        WAYS[way](given, out)
        os._exit(0)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{way} failed")
    return os.WIFSIGNALED(status)


def main(way: str, given: str, out: str, kills: str, seed: str) -> None:
    """Kill so many runs, then let one run to its end; print how many were killed."""
    chance = random.Random(int(seed))
    begun = time.monotonic()
    run(way, Path(given), Path(f"{out}.once"), None)
    whole = time.monotonic() - begun
    killed = 0
    for _ in range(int(kills)):
        killed += run(way, Path(given), Path(out), chance.uniform(0, whole) * chance.choice((0.1, 0.3, 0.9)))
    run(way, Path(given), Path(out), None)
    print(killed)


if __name__ == "__main__":
    main(*sys.argv[1:])
