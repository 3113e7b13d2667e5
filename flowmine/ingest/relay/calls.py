"""A stream of answers, read from gRPC by a thread of its own and taken in chunks."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from flowmine.ingest.relay.rpc import Broken, Refused, failure_of, grpc

__all__ = ["WINDOW", "Call"]

WINDOW = 4 << 20
"""How many bytes are read ahead of what was taken: the bound of memory, apart from what gRPC itself reads ahead."""

_ENOUGH = 4096


class Call:
    """One call: a thread reads what arrives, another takes it.

    What was not taken yet is never more than `WINDOW` bytes: then the thread reads no more, and gRPC's flow control
    holds the server back. ``throttled`` counts how often it did, ``throttled_seconds`` for how long.
    """

    def __init__(self, answers: Any, ended: Callable[["Call"], None]) -> None:
        """Read ``answers``, an iterator that gRPC returned; tell when it has ``ended``."""
        self.throttled, self.throttled_seconds = 0, 0.0
        self.messages = 0
        """How many messages have arrived."""
        self._answers, self._ended = answers, ended
        self._changed = threading.Condition()
        self._ready: deque[bytes] = deque()
        self._arrived, self._taken, self._wanted = 0, 0, 0
        self._blocked_at = 0.0
        self._over = False
        self._failure: Broken | Refused | None = None
        self._thread = threading.Thread(target=self._run, name="flowmine-relay", daemon=True)
        self._thread.start()

    @property
    def blocked(self) -> bool:
        """Tell whether the server is held back."""
        return bool(self._blocked_at)

    def end(self, failure: Broken | Refused | None) -> None:
        """Take nothing more from the server; the call ends so, unless it has ended already."""
        with self._changed:
            if not self._over:
                self._over, self._failure = True, failure
            self._changed.notify_all()
        self._answers.cancel()

    def join(self) -> None:
        """Wait for the thread, after `end`."""
        self._thread.join()

    def take(self, timeout: float | None = None, linger: float = 0.0) -> list[bytes] | None:
        """Return the messages that have arrived, after waiting for some; empty at a timeout; None at the end.

        Where they are few, wait ``linger`` seconds for more, for many at once cost less to read. Raise Broken or
        Refused where the call failed; what had arrived before is returned first.
        """
        with self._changed:
            if self._wait(1, timeout) and linger:
                self._wait(_ENOUGH, linger)
            over = self._over
            taken = [self._ready.popleft() for _ in range(len(self._ready))]
            self._taken += sum(map(len, taken))
            if self._blocked_at:
                self.throttled_seconds += time.monotonic() - self._blocked_at
                self._blocked_at = 0.0
                self._changed.notify_all()
            if not taken and over:
                if self._failure is not None:
                    raise self._failure
                return None
        return taken

    def _wait(self, count: int, timeout: float | None) -> bool:
        """Wait until so many messages are here, or as many as may be, or no more come; tell whether it is so."""
        self._wanted = count
        enough = self._changed.wait_for(
            lambda: len(self._ready) >= count or bool(self._blocked_at) or self._over, timeout
        )
        self._wanted = 0
        return enough

    def _run(self) -> None:
        """Read until the call ends."""
        failure: Broken | Refused | None = None
        try:
            for message in self._answers:
                self._add(message)
                if self._over:
                    break
        except grpc.RpcError as error:
            failure = failure_of(error)
        self.end(failure)
        self._ended(self)

    def _add(self, message: bytes) -> None:
        """Keep a message, and wait where there are too many.

        Mostly without the lock, which would cost as much as all else here: only this thread adds to what it counts, and
        who waits says how many it wants before it looks whether they are here.
        """
        self._ready.append(message)
        self._arrived += len(message)
        self.messages += 1
        if self._arrived - self._taken > WINDOW:
            self._hold_back()
        elif 0 < self._wanted <= len(self._ready):
            with self._changed:
                self._changed.notify_all()

    def _hold_back(self) -> None:
        """Read no more until what is here was taken."""
        with self._changed:
            if self._over or self._arrived - self._taken <= WINDOW:
                return
            self.throttled += 1
            self._blocked_at = time.monotonic()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._over or not self._blocked_at)
