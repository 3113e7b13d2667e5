"""One request for flows, answered as each node would and relay merges it: in the order of time.

Source of what the fields of a request mean: Cilium ``pkg/hubble/observer/local_observer.go``, ``pkg/hubble/relay/observer``.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.json_format import MessageToDict

from flowmine.errors import UsageError
from flowmine.ingest.filters import Selection, flow_filters, matcher
from flowmine.ingest.pb.flow_pb2 import LostEventSource
from flowmine.ingest.pb.observer_pb2 import GetFlowsResponse
from flowmine.ingest.pb.pool import POOL
from flowmine.ingest.replay.capture import FLOW, LOST, STATUS
from flowmine.ingest.replay.masks import mask_of
from flowmine.ingest.replay.timeline import Events, Timeline
from flowmine.ingest.wirescan import Bools

__all__ = ["Chunk", "Reading", "Wanted", "moment"]

_SECOND = 1_000_000_000
_BACK = 512
_ALL = 1 << 62
_FAR = np.iinfo(np.int64).max


class Wanted(NamedTuple):
    """What a `GetFlowsRequest` asks for: times in nanoseconds, None for no bound; ``matches`` None for all flows."""

    number: int
    first: bool
    follow: bool
    since: int | None
    until: int | None
    paths: tuple[str, ...]
    matches: Callable[[dict[str, Any]], bool] | None

    @property
    def limited(self) -> bool:
        """Tell whether fewer than all are asked for: Hubble's command line asks for all by the largest number."""
        return 0 < self.number < _ALL

    @classmethod
    def of(cls, request: Any) -> "Wanted":
        """Read a request. Raise ValueError where it contradicts itself, or asks for what cannot be understood."""
        if request.first and request.follow:
            raise ValueError("first cannot be specified with follow")
        since, until = (moment(request, name) for name in ("since", "until"))
        paths = tuple(sorted(request.field_mask.paths))
        mask_of(paths)
        return cls(request.number, request.first, request.follow, since, until, paths, _matcher(request))


def moment(request: Any, name: str) -> int | None:
    """Return a request's ``since`` or ``until`` in nanoseconds; None for none. Raise ValueError for what is no time."""
    if not request.HasField(name):
        return None
    given = getattr(request, name)
    if not (0 <= given.nanos < _SECOND and -62135596800 <= given.seconds < 253402300800):
        raise ValueError(f"{name} is no time: {given.seconds} s and {given.nanos} ns")
    return int(given.seconds * _SECOND + given.nanos)


def _matcher(request: Any) -> Callable[[dict[str, Any]], bool] | None:
    """Return the predicate of the lists of filters over canonical records; None where there is no filter."""
    if not request.whitelist and not request.blacklist:
        return None
    allow, deny = (
        tuple(made for one in filters for made in _filters(one))
        for filters in (request.whitelist, request.blacklist)
    )
    try:
        return matcher(Selection(allow=allow, deny=deny))
    except UsageError as error:
        raise ValueError(f"failed to build filter: {error}") from error


def _filters(given: Any) -> tuple[Any, ...]:
    text = json.dumps(MessageToDict(given, preserving_proto_field_name=True, descriptor_pool=POOL))
    try:
        return flow_filters(text)
    except UsageError as error:
        raise ValueError(f"failed to build filter: {error}") from error


class Chunk(NamedTuple):
    """Messages ready to be sent: first those that tell what was overwritten, then events."""

    told: list[bytes]
    events: list[bytes]


class Reading:
    """The state of one stream: how far it is, node by node."""

    def __init__(self, timeline: Timeline, wanted: Wanted) -> None:
        """Find where each node's answer begins."""
        self._timeline, self._wanted = timeline, wanted
        nodes = range(len(timeline.capture.node_names))
        self._starts = np.array([self._start(node) for node in nodes], np.int64)
        self._counts = np.zeros(len(nodes), np.int64)
        self._done = np.zeros(len(nodes), bool)
        self._end = _FAR if wanted.follow else timeline.arrived
        self._next = min(int(self._starts.min()), timeline.arrived)
        self._again: list[tuple[int, int, int]] = []
        self._silent: set[int] = set()

    @property
    def over(self) -> bool:
        """Tell whether all was given that was asked for."""
        return not self._again and (self._next >= self._end or bool(self._done.all()))

    @property
    def next(self) -> int:
        """The event that is looked at next."""
        return self._next

    @property
    def idle(self) -> bool:
        """Tell whether nothing can be given before more events come."""
        return not self._again and self._next >= self._timeline.arrived

    def lose(self, node: int) -> None:
        """Give nothing of a node from now on."""
        self._silent.add(node)

    def regain(self, node: int) -> None:
        """Ask a node the original request once more, as relay does where one comes back."""
        self._silent.discard(node)
        self._starts[node] = start = self._start(node)
        self._counts[node], self._done[node] = 0, False
        if start < self._next:
            self._again.append((node, start, self._next))

    def chunk(self, most: int) -> Chunk:
        """Return what comes next, at most so many events, perhaps none, where neither `over` nor `idle`."""
        if self._again:
            node, begin, end = self._again.pop(0)
            events = self._timeline.events(begin, min(end, begin + most))
            if events.end < end:
                self._again.insert(0, (node, events.end, end))
            chosen = self._choose(events) & (events.nodes == node)
        else:
            events = self._timeline.events(
                self._next, min(self._end, self._timeline.arrived, self._next + most)
            )
            self._next = events.end
            chosen = self._choose(events)
        told = self._overwritten(events, chosen)
        block = self._timeline.block(events, self._wanted.paths)
        return Chunk(told, block.pick(chosen, events.offset))

    def _start(self, node: int) -> int:
        """Return the event with which a node's answer begins."""
        wanted, timeline = self._wanted, self._timeline
        if wanted.since is not None or wanted.first:
            return timeline.oldest(node)
        if not wanted.number:
            paced = wanted.follow and timeline.pace.rate is not None
            return timeline.arrived if paced else timeline.oldest(node)
        if wanted.matches is None:
            return timeline.newest(node, wanted.number)
        return self._newest_matching(node, wanted.number)

    def _newest_matching(self, node: int, count: int) -> int:
        """Return the event with which the newest ``count`` matching flows of a node begin."""
        end = self._timeline.arrived
        while len(numbers := self._timeline.before(node, end, _BACK)):
            for number in numbers[::-1].tolist():
                count -= self._matches(number)
                if not count:
                    return int(number)
            end = int(numbers[0])
        return min(end, self._timeline.oldest(node))

    def _matches(self, number: int) -> bool:
        matches = self._wanted.matches
        record = self._timeline.record(number)
        return matches is not None and "flow" in record and matches(record)

    def _choose(self, events: Events) -> Bools:
        """Tell which of some events are given; lost ones pass whatever is asked for."""
        wanted = self._wanted
        chosen: Bools = (events.numbers >= self._starts[events.nodes]) & ~self._done[events.nodes]
        for node in self._silent:
            chosen &= events.nodes != node
        flows = events.kinds == FLOW
        chosen &= flows | (events.kinds == LOST) | ((events.kinds == STATUS) & (not wanted.limited))
        if wanted.until is not None:
            self._finish(events, chosen, chosen & flows & (events.times > wanted.until))
        if wanted.since is not None:
            chosen &= ~flows | (events.times >= wanted.since)
        if wanted.matches is not None:
            for place in np.flatnonzero(chosen & flows).tolist():
                chosen[place] = self._matches(int(events.numbers[place]))
        if wanted.limited and not wanted.follow:
            self._count(events, chosen, flows)
        return chosen

    def _finish(self, events: Events, chosen: Bools, over: Bools) -> None:
        """End the answer of each node with its first event that is ``over``."""
        for node in np.unique(events.nodes[over]).tolist():
            own = events.nodes == node
            chosen &= ~own | (events.numbers < events.numbers[over & own][0])
            self._done[node] = True

    def _count(self, events: Events, chosen: Bools, flows: Bools) -> None:
        """End the answer of each node with the last flow of the number asked for."""
        for node in np.unique(events.nodes[chosen & flows]).tolist():
            own = events.nodes == node
            given = events.numbers[chosen & flows & own]
            left = self._wanted.number - int(self._counts[node])
            self._counts[node] += min(left, len(given))
            if len(given) >= left:
                chosen &= ~own | (events.numbers <= given[left - 1])
                self._done[node] = True

    def _overwritten(self, events: Events, chosen: Bools) -> list[bytes]:
        """Leave out what the rings hold no more, since the client was slow; return messages that tell so."""
        if self._timeline.pace.ring is None:
            return []
        oldest = np.array([self._timeline.oldest(node) for node in range(len(self._starts))])
        gone = chosen & (events.numbers < oldest[events.nodes])
        if not gone.any():
            return []
        chosen &= ~gone
        told = []
        for node in np.unique(events.nodes[gone]).tolist():
            own = gone & (events.nodes == node)
            name, last = self._timeline.capture.node_names[node], int(events.times[own][-1])
            told.append(_lost(name, last, int(np.count_nonzero(own))))
        return told


def _lost(node: str, moment: int, count: int) -> bytes:
    response = GetFlowsResponse(node_name=node)
    response.time.FromNanoseconds(moment)
    response.lost_events.source = LostEventSource.Value("HUBBLE_RING_BUFFER")
    response.lost_events.num_events_lost = count
    made: bytes = response.SerializeToString()
    return made
