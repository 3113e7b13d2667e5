"""A stream of flows that does not end by itself: connect, ask, watch, and after a failure do so again."""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from flowmine.errors import InputError
from flowmine.ingest.pb.observer_pb2 import Observer
from flowmine.ingest.relay.address import Server
from flowmine.ingest.relay.calls import Call
from flowmine.ingest.relay.connection import Connection
from flowmine.ingest.relay.rpc import Broken, Refused
from flowmine.ingest.relay.status import Node, Status, status_of
from flowmine.ingest.relay.watch import Watch

__all__ = ["Chunk", "Counts", "Interrupted", "Returned", "Session", "Timing"]

_log = logging.getLogger(__name__)
_FOR_GOOD = frozenset({"INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED"})

_GREETING = 8
"""So many messages, which may be about nodes only, are no sign that a stream works."""

_SENTENCES = {
    "UNAUTHENTICATED": "it wants to know who asks: --basic-auth-username with --basic-auth-password, or a client "
    "certificate (--tls-client-cert-file, --tls-client-key-file)",
    "PERMISSION_DENIED": "it does not let these credentials read flows",
    "UNIMPLEMENTED": "it speaks gRPC, and is no Hubble server: check the address",
    "INVALID_ARGUMENT": "it refuses the question: check the filters",
    "DEADLINE_EXCEEDED": "it takes connections, and does not answer: is relay overloaded, or still starting?",
    "UNAVAILABLE": "it is not ready: is relay still starting?",
}


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take at most, in seconds.

    ``connect`` and ``answer`` bound a connection and a question; ``watch`` is how often the link is tried;
    waits between attempts grow from ``first_wait`` to ``longest_wait``, less a random part; ``attempts`` is how many
    a stream that has an end is given. ``linger`` is how long few events wait for more, to be read together.
    """

    connect: float = 10.0
    answer: float = 10.0
    watch: float = 30.0
    first_wait: float = 0.5
    longest_wait: float = 30.0
    attempts: int = 5
    linger: float = 0.1

    def wait(self, attempt: int, chance: float) -> float:
        """Return how long to wait before an attempt, the first is 0; ``chance`` is between 0 and 1."""
        longest = min(self.longest_wait, self.first_wait * 2.0 ** min(attempt, 16))
        return longest * (0.5 + chance / 2)


@dataclass(slots=True)
class Counts:
    """What happened to a session so far. ``throttled`` is how often the server was held back by a slow reader."""

    connections: int = 0
    messages: int = 0
    bytes: int = 0
    throttled: int = 0
    throttled_seconds: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def reconnects(self) -> int:
        """How often it connected after the first time."""
        return max(0, self.connections - 1)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Messages that have arrived, none where nothing did for a while."""

    frames: list[bytes]


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The stream broke, and will be asked for again with the request as it is then."""

    why: str


@dataclass(frozen=True, slots=True)
class Returned:
    """Nodes whose agents restarted, moved or were away: relay may have ceased to ask them."""

    nodes: tuple[Node, ...]


class Session:
    """Asks one server for one stream, as often as it takes."""

    def __init__(
        self,
        server: Server,
        request: Callable[[], bytes],
        *,
        follow: bool,
        timing: Timing,
        patient: bool = False,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask ``server`` for what ``request`` returns, each time anew.

        With ``follow`` the stream goes on after any failure; ``patient`` tries on even where the first connection
        fails. ``chance`` and ``clock`` are for waiting.
        """
        self.server, self.counts, self.status = server, Counts(), Status()
        self._request, self._follow, self._timing, self._patient = request, follow, timing, patient
        self._chance, self._clock = chance, clock
        self._stopped = threading.Event()
        self._connection: Connection | None = None
        self._again = ""
        self._returned: deque[Node] = deque()

    def connect(self) -> Status:
        """Connect, if not connected, and return the server's status. Raise InputError where that fails."""
        if self._connection is None:
            try:
                self._open()
            except (Broken, Refused) as failure:
                raise self._error(failure) from failure
        return self.status

    def close(self) -> None:
        """Hang up where `connect` was all that was wanted."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def stop(self) -> None:
        """End the stream, from any thread or a signal handler; what has arrived is still passed on."""
        self._stopped.set()

    def reopen(self, why: str) -> None:
        """Ask for the stream anew, once what has arrived is taken."""
        self._again = self._again or why

    def events(
        self, *, tick: float = 1.0, lasting: float | None = None
    ) -> Iterator[Chunk | Interrupted | Returned]:
        """Yield what happens, at least every ``tick`` seconds something, for ``lasting`` seconds if these are given.

        Raise InputError where the first connection fails, or a stream with an end does so too often.
        """
        over = None if lasting is None else self._clock() + lasting
        attempt = 0
        while not self._is_over(over):
            before, began = self.counts.messages, self._clock()
            try:
                yield from self._stream(tick, over)
                if not self._follow and not self._again:
                    return
                failure: Broken | Refused = Broken(self._again or "the server ended the stream")
                attempt = 0 if self._again else attempt
            except (Broken, Refused) as error:
                failure = error
            self._again = ""
            if self._is_over(over):
                return
            if self.counts.messages - before > _GREETING or self._clock() - began > self._timing.longest_wait:
                attempt = 0
            yield Interrupted(self._count(failure, attempt))
            self._pause(attempt, over)
            attempt += 1

    def _count(self, failure: Broken | Refused, attempt: int) -> str:
        """Count a failure and return its text; raise InputError where it is the last."""
        why = str(failure)
        first = self.counts.connections == 0 and not self._patient
        hopeless = isinstance(failure, Refused) and failure.code in _FOR_GOOD and not self.counts.messages
        if (
            first
            or (hopeless and not self._patient)
            or (not self._follow and attempt + 1 >= self._timing.attempts)
        ):
            raise self._error(failure) from failure
        self.counts.failures[why] = self.counts.failures.get(why, 0) + 1
        return why

    def _is_hopeless(self, failure: Broken | Refused) -> bool:
        """Tell whether to ask again makes no sense; a field mask that is refused is asked for otherwise."""
        if self.counts.messages or isinstance(failure, Broken):
            return False
        return failure.code in _FOR_GOOD and "mask" not in failure.message.lower()

    def _is_over(self, over: float | None) -> bool:
        return self._stopped.is_set() or (over is not None and self._clock() >= over)

    def _pause(self, attempt: int, over: float | None) -> None:
        """Wait before the next attempt, unless stopped; no longer than there is time."""
        wait = self._timing.wait(attempt, self._chance())
        _log.debug("waiting %.1f s before asking %s again", wait, self.server.address)
        self._stopped.wait(wait if over is None else max(0.0, min(wait, over - self._clock())))

    def _open(self) -> Connection:
        """Connect and ask for the status. Raise Broken or Refused."""
        connection = Connection(self.server, self._timing.connect)
        try:
            self.status = status_of(connection, self._timing.answer)
        except BaseException:
            connection.close()
            raise
        self.counts.connections += 1
        self._connection = connection
        _log.debug("connected to %s, for the %s. time", self.server.address, self.counts.connections)
        return connection

    def _stream(self, tick: float, over: float | None) -> Iterator[Chunk | Returned]:
        """Yield what one connection brings. Raise Broken or Refused where it fails."""
        connection = self._connection or self._open()
        watch = None
        try:
            call = connection.call(Observer["GetFlows"].path, self._request())
            watch = Watch(
                connection,
                call,
                every=self._timing.watch,
                timeout=self._timing.answer,
                before=self.status,
                told=self._told,
            )
            yield from self._taken(call, tick, over)
        finally:
            self._connection = None
            connection.close()
            if watch is not None:
                watch.close()

    def _taken(self, call: Call, tick: float, over: float | None) -> Iterator[Chunk | Returned]:
        throttled, seconds = self.counts.throttled, self.counts.throttled_seconds
        ending = False
        while not ending:
            wait = tick if over is None else max(0.0, min(tick, over - self._clock()))
            ending = self._is_over(over) or bool(self._again)
            frames = call.take(0.0 if ending else wait, self._timing.linger)
            if frames is None:
                return
            self.counts.messages += len(frames)
            self.counts.bytes += sum(map(len, frames))
            self.counts.throttled = throttled + call.throttled
            self.counts.throttled_seconds = seconds + call.throttled_seconds
            yield Chunk(frames)
            if self._returned:
                yield Returned(tuple(self._returned.popleft() for _ in range(len(self._returned))))

    def _told(self, status: Status, back: tuple[Node, ...]) -> None:
        self.status = status
        self._returned.extend(back)

    def _error(self, failure: Broken | Refused) -> InputError:
        address = self.server.address
        if isinstance(failure, Broken):
            return InputError(f"{address}: {failure}")
        known = _SENTENCES.get(failure.code)
        words = f" ({failure.message})" if known and failure.message else ""
        return InputError(f"{address}: {known or failure}{words}")
