"""The two kinds of calls on a connection: one answer, and a stream of answers that is taken in chunks."""

import threading
import time
from collections.abc import Callable

from flowmine.ingest.relay.frames import MOST_FRAME
from flowmine.ingest.relay.rpc import Broken, Refused, ended

__all__ = ["WINDOW", "Call"]

WINDOW = 8 << 20
"""How many bytes the server may send ahead of what was taken: the bound of memory."""

_ENOUGH = 4096
_MOST_MESSAGE = 64 << 20
_HEAD = 5


class Call:
    """One call: the connection's thread feeds it, another takes from it.

    What was not taken yet is never more than `WINDOW` bytes: the server is given leave for as much as was taken, so a
    slow taker holds the server back. ``throttled`` counts how often it did, ``throttled_seconds`` for how long.
    """

    def __init__(self, number: int, grant: Callable[[int, int], None]) -> None:
        """Make the call with stream ``number``; ``grant(number, bytes)`` lets the server send more."""
        self.number = number
        self.throttled, self.throttled_seconds = 0, 0.0
        self.messages = 0
        """How many messages have arrived."""
        self._grant = grant
        self._changed = threading.Condition()
        self._ready: list[bytes] = []
        self._rest = b""
        self._owed, self._blocked_at = 0, 0.0
        self._answered = self._over = False
        self._failure: Broken | Refused | None = None

    @property
    def blocked(self) -> bool:
        """Tell whether the server waits for leave to send more."""
        return bool(self._blocked_at)

    def feed(self, payload: bytes, size: int) -> None:
        """Take the content of a DATA frame which counts as ``size`` bytes. Raise Broken where it is no gRPC."""
        with self._changed:
            self._owed += size
            if self._owed > WINDOW - MOST_FRAME and not self._blocked_at:
                self.throttled += 1
                self._blocked_at = time.monotonic()
            rest = self._rest + payload if self._rest else payload
            place, end = 0, len(rest)
            while end - place >= _HEAD:
                length = int.from_bytes(rest[place + 1 : place + _HEAD])
                if rest[place] or length > _MOST_MESSAGE:
                    raise Broken("it sent a message that is compressed, too large or no gRPC at all")
                if end - place - _HEAD < length:
                    break
                place += _HEAD + length
                self._ready.append(rest[place - length : place])
                self.messages += 1
            self._rest = rest[place:]

    def told(self) -> None:
        """Wake who waits, after one or more `feed`."""
        with self._changed:
            self._changed.notify_all()

    def headers(self, headers: dict[str, str], *, last: bool) -> None:
        """Take headers: the answer's first, or with ``last`` what it ended with."""
        status = headers.get(":status")
        if last or (not self._answered and status != "200"):
            self.end(ended(headers))
        elif not self._answered and not headers.get("content-type", "").startswith("application/grpc"):
            self.end(Broken("it answers as a web server does, so this is not hubble-relay's gRPC port"))
        self._answered = True

    def end(self, failure: Broken | Refused | None) -> None:
        """Tell that nothing more comes."""
        with self._changed:
            if not self._over:
                self._over, self._failure = True, failure
            self._changed.notify_all()

    def take(self, timeout: float | None = None, linger: float = 0.0) -> list[bytes] | None:
        """Return the messages that have arrived, after waiting for some; empty at a timeout; None at the end.

        Where they are few, wait ``linger`` seconds for more, for many at once cost less to read. Raise Broken or
        Refused where the call failed; what had arrived before is returned first.
        """
        with self._changed:
            if self._changed.wait_for(lambda: self._ready or self._over, timeout) and linger:
                self._changed.wait_for(self._has_enough, linger)
            taken, self._ready = self._ready, []
            owed, self._owed = self._owed, 0
            if self._blocked_at:
                self.throttled_seconds += time.monotonic() - self._blocked_at
                self._blocked_at = 0.0
            if not taken and self._over:
                if self._failure is not None:
                    raise self._failure
                return None
        if owed and not self._over:
            self._grant(self.number, owed)
        return taken

    def _has_enough(self) -> bool:
        return len(self._ready) >= _ENOUGH or self.blocked or self._over

    def answer(self, timeout: float) -> bytes:
        """Return the one message of a call that has one. Raise Broken or Refused."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._over, timeout):
                raise Refused("DEADLINE_EXCEEDED", f"no answer within {timeout:g} s")
            if self._failure is not None:
                raise self._failure
            if len(self._ready) != 1:
                raise Refused("INTERNAL", f"{len(self._ready)} answers to one question")
            return self._ready[0]
