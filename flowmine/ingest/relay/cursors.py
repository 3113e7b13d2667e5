"""Where each node's events are read to, which of those sent again were read, and what was missed in between.

Hubble keeps the last few thousand events of a node and overwrites them without a word; relay asks a node that comes back
the original request again, within the open stream, and does not say so. Both are told by the events themselves:

================================================ ===========================================================
seen                                             meaning
================================================ ===========================================================
a new connection, or a node said to be away      the node *catches up*: its newest event is the anchor
an event read before, well before the newest     relay asks the node again: it catches up as well
the anchor comes back                            nothing is missing between the anchor and what follows it
an event well after the anchor, and no anchor    what lay between was overwritten: a gap, with both its ends
the end, and neither                             a gap up to the end
================================================ ===========================================================
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flowmine.ingest.dedup import SeenIds
from flowmine.ledger import Ledger

__all__ = ["Cursor", "Cursors", "Events", "Marks"]

_SECOND = 10**9
_PAUSES = 16
_STRETCHES = 64
_EVER = 1 << 62

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]


class Cursor(NamedTuple):
    """The newest event of a node that was passed on: its time in nanoseconds, and its uuid's key."""

    time: int
    key: int


class Events(NamedTuple):
    """The flows of a chunk: node numbers and the names they index, times in nanoseconds, keys of uuids."""

    codes: Ints
    names: Sequence[str]
    times: Ints
    keys: Keys


@dataclass(frozen=True, slots=True)
class Marks:
    """How far apart is far, in nanoseconds.

    ``overlap`` is how much before the oldest cursor a resumption begins; ``disorder`` how far a node's events may come
    out of the order of their times; ``window`` how many uuids are remembered (a power of two).
    """

    overlap: int = 10 * _SECOND
    disorder: int = 1 * _SECOND
    window: int = 1 << 20


@dataclass(slots=True)
class _Node:
    newest: Cursor
    forgotten: int = -_EVER
    """The newest time of its events whose uuids are no longer remembered: nothing up to then is new."""
    trail: deque[list[int]] = field(default_factory=deque)
    """How its events lie in memory: number of a stretch of memory, the newest time of its events there."""
    anchor: Cursor | None = None
    why: str = ""
    next: int | None = None
    """The earliest new event after the anchor, while that has not come back."""
    proved: int = -_EVER
    """The time of the last anchor that came back."""
    pauses: deque[tuple[Cursor, int]] = field(default_factory=lambda: deque(maxlen=_PAUSES))
    """The last stretches without events, longer than `Marks.disorder`: the event before, the time of the next."""


class Cursors:
    """The cursors of all nodes, and the uuids of late."""

    def __init__(self, ledger: Ledger, marks: Marks, resumed: Mapping[str, Cursor] | None = None) -> None:
        """Begin, or go on from the cursors of an earlier reading; duplicates and gaps go to the ledger."""
        self._ledger, self._marks = ledger, marks
        self._seen = SeenIds(marks.window)
        self._passed = self._interruptions = 0
        self.covered = False
        """Whether what is asked for goes back to the cursors, so that relay sends again what a node has kept."""
        self.wanting = False
        """Whether to ask anew would bring back what a node may have sent meanwhile."""
        self._nodes = {
            name: _Node(cursor, cursor.time, anchor=cursor, why="a restart of this program")
            for name, cursor in (resumed or {}).items()
        }

    def snapshot(self) -> dict[str, Cursor]:
        """Return the cursor of every node, from which a later reading goes on."""
        return {name: node.newest for name, node in self._nodes.items()}

    def newest(self, name: str) -> int | None:
        """Return the time of a node's newest event, None where there was none."""
        node = self._nodes.get(name)
        return None if node is None else node.newest.time

    @property
    def catching_up(self) -> tuple[str, ...]:
        """The nodes of which it is not known yet whether something is missing, sorted."""
        return tuple(sorted(name for name, node in self._nodes.items() if node.anchor is not None))

    def since(self) -> int | None:
        """Return from when to ask again, in nanoseconds, so that no node misses anything; None before any event."""
        times = [(node.anchor or node.newest).time for node in self._nodes.values()]
        return max(0, min(times) - self._marks.overlap) if times else None

    def interrupt(self, why: str, names: Iterable[str] | None = None, at: int | None = None) -> None:
        """Take it that nodes (all by default) may have been missed for a while; ``why`` names the cause.

        With ``at``, in nanoseconds, it was then; a node whose events went on since is judged by these.
        """
        self._interruptions += 1
        for name in self._nodes if names is None else names:
            node = self._nodes.get(name)
            if node is None or node.anchor is not None:
                continue
            node.why = f"{why} ({self._interruptions})"
            if at is None or node.newest.time <= at + self._marks.disorder:
                node.anchor, node.next = node.newest, None
            else:
                self._told_late(name, node, at)

    def _told_late(self, name: str, node: _Node, at: int) -> None:
        """See to the pause in a node's events around a moment, of which word came only after they went on."""
        around = [
            pause for pause in node.pauses if pause[0].time <= at + self._marks.disorder and pause[1] >= at
        ]
        last = around[0][0].time if around else at
        if abs(node.proved - last) <= self._marks.disorder:
            return  # the last event before that moment came back, so nothing is missing after it
        if not around:
            self._ledger.add("gap", node.why, node=name, first=at)
        elif self.covered:
            self._ledger.add("gap", node.why, node=name, first=around[0][0].time, last=around[0][1])
        else:
            node.anchor, node.next = around[0]
            self.wanting = True

    def admit(self, events: Events) -> Bools:
        """Return which events were not read before; move the cursors, and tell the ledger of what is missing."""
        old = self._too_old(events)
        fresh = np.zeros(len(old), bool)
        fresh[~old] = self._seen.first_seen(events.keys[~old])
        order = np.lexsort((events.times, events.codes))
        bounds = np.flatnonzero(np.diff(events.codes[order], prepend=-1, append=-1))
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            rows = order[start:end]
            self._follow(events.names[int(events.codes[rows[0]])], events, rows, fresh[rows])
        self._passed += int(np.count_nonzero(fresh))
        return fresh

    def end(self, now: int) -> None:
        """Tell of nodes that never came back; ``now`` is the end of their gap, in nanoseconds."""
        for name, node in self._nodes.items():
            if node.anchor is not None:
                self._gap(name, node, now if node.next is None else node.next)

    def _too_old(self, events: Events) -> Bools:
        """Return which events were read so long ago that their uuids are forgotten."""
        limits = np.array([self._forgotten(name) for name in events.names], np.int64)
        found: Bools = events.times <= limits[events.codes]
        return found

    @property
    def _stretch(self) -> int:
        """The number of the stretch of memory, a 64th of it, that is being filled."""
        return self._passed // (self._marks.window // _STRETCHES)

    def _forgotten(self, name: str) -> int:
        node = self._nodes.get(name)
        if node is None:
            return -_EVER
        while node.trail and node.trail[0][0] < self._stretch - _STRETCHES + 3:
            node.forgotten = max(node.forgotten, node.trail.popleft()[1])
        return node.forgotten

    def _follow(self, name: str, events: Events, rows: Ints, fresh: Bools) -> None:
        """Take in one node's events, sorted by time."""
        times, keys = events.times[rows], events.keys[rows]
        repeated = int(len(rows) - np.count_nonzero(fresh))
        if repeated:
            self._ledger.add("duplicate", "uuid", node=name, count=repeated)
        node = self._nodes.get(name)
        if node is not None:
            if node.anchor is None and repeated:
                again = times[~fresh]
                if int(again[0]) < node.newest.time - self._marks.disorder:
                    self.interrupt("a node that came back to relay", [name])
            if node.anchor is not None:
                self._catch_up(name, node, times, keys, fresh)
        if repeated == len(rows):
            return
        last = int(np.flatnonzero(fresh)[-1])
        newest = Cursor(int(times[last]), int(keys[last]))
        if node is None:
            node = self._nodes[name] = _Node(newest)
        if node.trail and node.trail[-1][0] == self._stretch:
            node.trail[-1][1] = max(node.trail[-1][1], newest.time)
        else:
            node.trail.append([self._stretch, newest.time])
        self._note_pauses(node, times[fresh], keys[fresh])
        if newest.time >= node.newest.time:
            node.newest = newest

    def _note_pauses(self, node: _Node, times: Ints, keys: Keys) -> None:
        moments = np.concatenate(([node.newest.time], times))
        for place in np.flatnonzero(np.diff(moments) > self._marks.disorder)[-_PAUSES:].tolist():
            before = Cursor(int(times[place - 1]), int(keys[place - 1])) if place else node.newest
            node.pauses.append((before, int(moments[place + 1])))

    def _catch_up(self, name: str, node: _Node, times: Ints, keys: Keys, fresh: Bools) -> None:
        """Look for a node's anchor, or for proof that it will not come."""
        assert node.anchor is not None
        if node.anchor.key and (keys == np.uint64(node.anchor.key)).any():
            node.proved = node.anchor.time
            node.anchor = node.next = None
            return
        after = times[fresh & (times > node.anchor.time)]
        if not len(after):
            return
        node.next = int(after[0]) if node.next is None else min(node.next, int(after[0]))
        if int(after[-1]) <= node.anchor.time + self._marks.disorder:
            return
        if self.covered:
            self._gap(name, node, node.next)
        else:
            self.wanting = True

    def _gap(self, name: str, node: _Node, end: int) -> None:
        assert node.anchor is not None
        self._ledger.add("gap", node.why, node=name, first=node.anchor.time, last=max(end, node.anchor.time))
        node.anchor = node.next = None
