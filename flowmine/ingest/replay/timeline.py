"""When the events of a capture come: all at once or at a pace, once or several times, into rings that overflow."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmine.errors import UsageError
from flowmine.ingest.replay.blocks import Block, Shelf, block_of
from flowmine.ingest.replay.capture import BLOCK, FLOW, Capture, Ints
from flowmine.ingest.replay.masks import Mask, mask_of, masked
from flowmine.ingest.wire import record

__all__ = ["Events", "Pace", "Timeline"]

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How events come: ``rate`` a second from the first stream on, or all before it; the whole capture ``repeat``
    times; of each node the newest ``ring`` are kept, or all. Raise UsageError for what cannot be.
    """

    rate: float | None = None
    repeat: int = 1
    ring: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if (self.rate is not None and self.rate <= 0) or self.repeat < 1 or (self.ring or 1) < 1:
            raise UsageError("rate, repeat and ring must be positive")


@dataclass(frozen=True, slots=True)
class Events:
    """Some events that follow one another: what they are, and where they lie.

    They are of one ``round`` of the capture, and of one block, which begins with event ``base`` of the capture; they
    begin ``offset`` events into it.
    """

    numbers: Ints
    times: Ints
    kinds: npt.NDArray[np.int8]
    nodes: Ints
    round: int
    offset: int
    base: int

    @property
    def end(self) -> int:
        """The event behind the last of them."""
        return int(self.numbers[-1]) + 1


class _Places:
    """Places of some events in the capture, which comes again and again."""

    def __init__(self, places: Ints, size: int) -> None:
        self._places, self._size = places, size

    def count(self, number: int) -> int:
        """Return how many come before event ``number``."""
        rounds, rest = divmod(number, self._size)
        return rounds * len(self._places) + int(np.searchsorted(self._places, rest))

    def number(self, count: int) -> int:
        """Return the number of the one before which ``count`` of them come."""
        if not len(self._places):
            return 0
        rounds, rest = divmod(count, len(self._places))
        return rounds * self._size + int(self._places[rest])


class Timeline:
    """The events of a capture at a pace; safe for several threads."""

    def __init__(self, capture: Capture, pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin before the first stream."""
        self.capture, self.pace = capture, pace
        self.total = len(capture) * pace.repeat
        self.first = 0
        """The event with which the present rings began."""
        self._clock, self._began = clock, None if pace.rate else 0.0
        self._changed = threading.Condition()
        span = int(capture.times[-1] - capture.times[0])
        self.period = span // _SECOND + 1
        """Seconds from one round to the next."""
        names = range(len(capture.node_names))
        size = len(capture)
        self._of_node = [_Places(np.flatnonzero(capture.nodes == node), size) for node in names]
        flows = capture.kinds == FLOW
        self._flows_of_node = [
            _Places(np.flatnonzero((capture.nodes == node) & flows), size) for node in names
        ]
        self._shelves: dict[tuple[str, ...], Shelf] = {}

    def begin(self) -> None:
        """Let events come from now on, if they do not yet."""
        with self._changed:
            if self._began is None:
                self._began = self._clock()

    @property
    def arrived(self) -> int:
        """How many events have come."""
        if self.pace.rate is None:
            return self.total
        if self._began is None:
            return 0
        return min(self.total, int((self._clock() - self._began) * self.pace.rate))

    @property
    def over(self) -> bool:
        """Tell whether no more will come."""
        return self.arrived >= self.total

    def restart(self) -> None:
        """Empty the rings: what has come is forgotten."""
        self.first = self.arrived
        self.wake()

    def wake(self) -> None:
        """Wake all who `wait`."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, stopped: Callable[[], bool]) -> None:
        """Wait for a moment in which events may come, or until `wake`; not at all where ``stopped``."""
        with self._changed:
            if not stopped():
                self._changed.wait(0.25 if self.over else min(0.25, 32 / (self.pace.rate or 1000)))

    def oldest(self, node: int) -> int:
        """Return the oldest event that a node still has, or will have next."""
        places, come = self._of_node[node], self.arrived
        kept = places.count(self.first)
        if self.pace.ring is not None:
            kept = max(kept, places.count(come) - self.pace.ring)
        return places.number(kept)

    def newest(self, node: int, count: int) -> int:
        """Return the event with which the newest ``count`` flows begin that a node still has."""
        places = self._flows_of_node[node]
        oldest = self.oldest(node)
        back = places.count(self.arrived) - count
        return max(oldest, places.number(max(back, places.count(oldest))))

    def before(self, node: int, number: int, most: int) -> Ints:
        """Return a node's last events before event ``number``, ascending, at most ``most``, none older than its ring."""
        places = self._of_node[node]
        end = places.count(number)
        begin = max(places.count(self.oldest(node)), end - most)
        return np.array([places.number(count) for count in range(begin, end)], np.int64)

    def counts(self, node: int | None = None) -> tuple[int, int, int]:
        """Return how many flows the rings, or a node's, hold, how many they can, and how many have come."""
        if node is None:
            each = [self.counts(one) for one in range(len(self.capture.node_names))]
            held, room, come = (sum(column) for column in zip(*each, strict=True))
            return held, room, come
        places, now = self._flows_of_node[node], self.arrived
        come = places.count(now)
        held = come - places.count(min(now, self.oldest(node)))
        return held, places.count(self.total) if self.pace.ring is None else self.pace.ring, come

    def events(self, begin: int, end: int) -> Events:
        """Return events from ``begin`` on, at least one, at most up to ``end`` or to the end of a block."""
        size = len(self.capture)
        rounds, place = divmod(begin, size)
        offset = place % BLOCK
        stop = min(end - begin + place, place - offset + BLOCK, size)
        return Events(
            np.arange(begin, begin + stop - place),
            self.capture.times[place:stop] + rounds * self.period * _SECOND,
            self.capture.kinds[place:stop],
            self.capture.nodes[place:stop],
            rounds,
            offset,
            place - offset,
        )

    def record(self, number: int) -> dict[str, Any]:
        """Return an event as a canonical record, as of its round."""
        rounds, place = divmod(number, len(self.capture))
        if not rounds:
            return self.capture.records(np.array([place]))[0]
        events = self.events(number, number + 1)
        (sent,) = self.block(events).pick(np.ones(1, bool), events.offset)
        return record(sent)

    def block(self, events: Events, paths: tuple[str, ...] = ()) -> Block:
        """Return the block in which events lie, of their round; with the fields of a mask's paths, or with all."""
        with self._changed:
            if paths not in self._shelves:
                self._shelves[paths] = Shelf()
            shelf = self._shelves[paths]
        mask = mask_of(paths)
        return shelf.get(events.base, lambda: self._make(events.base, mask)).again(events.round, self.period)

    def _make(self, base: int, mask: Mask) -> Block:
        frames = self.capture.frames(base, base + BLOCK)
        if mask:
            for place in np.flatnonzero(self.capture.kinds[base : base + BLOCK] == FLOW).tolist():
                frames[place] = masked(frames[place], mask)
        return block_of(frames)

    def close(self) -> None:
        """Remove what was kept in files, the capture's too."""
        for shelf in self._shelves.values():
            shelf.close()
        self.capture.close()
