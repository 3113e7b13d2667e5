"""What a page is told as it happens: the latest of each kind of news, numbered, as server-sent events.

News of one kind replaces what was told before, so that a page that was away needs no list of what it missed: it is told
the latest of each kind that is newer than the last that it heard of.
"""

import asyncio
import json
import secrets
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["HEARTBEAT", "News"]

HEARTBEAT = 15.0
"""Seconds without news after which a line is sent all the same, so that a broken link is noticed."""

_RETRY = 1500
"""Milliseconds that a page waits before it connects again."""


@dataclass(slots=True, eq=False)
class _Listener:
    """One page that listens, in its event loop."""

    loop: asyncio.AbstractEventLoop
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def call(self) -> None:
        """Wake it, from any thread."""
        try:
            self.loop.call_soon_threadsafe(self.wake.set)
        except RuntimeError:  # its loop has ended
            return


class News:
    """Takes news from any thread, and yields them to any number of listeners."""

    def __init__(self, heartbeat: float = HEARTBEAT) -> None:
        """Begin with none; numbers are told apart from those of other runs of the program."""
        self._run = secrets.token_hex(4)
        self._heartbeat = heartbeat
        self._lock = threading.Lock()
        self._latest: dict[str, tuple[int, str]] = {}
        self._listeners: set[_Listener] = set()
        self._count = 0
        self._over = False

    def tell(self, kind: str, value: Any) -> None:
        """Tell news; what is the same as before is not told again."""
        data = json.dumps(value, ensure_ascii=True)
        with self._lock:
            if self._latest.get(kind, (0, ""))[1] == data:
                return
            self._count += 1
            self._latest[kind] = (self._count, data)
            listeners = list(self._listeners)
        for each in listeners:
            each.call()

    def close(self) -> None:
        """End every stream."""
        self._over = True
        with self._lock:
            listeners = list(self._listeners)
        for each in listeners:
            each.call()

    @property
    def listeners(self) -> int:
        """How many pages listen."""
        return len(self._listeners)

    async def stream(self, last: str = "") -> AsyncIterator[bytes]:
        """Yield events as they go over the wire, beginning after the one with the id ``last`` of this run, until closed."""
        heard = self._number(last)
        me = _Listener(asyncio.get_running_loop())
        with self._lock:
            self._listeners.add(me)
        try:
            yield f"retry: {_RETRY}\n\n".encode()
            while not self._over:
                me.wake.clear()
                some = self._since(heard)
                for number, kind, data in some:
                    heard = number
                    yield f"id: {self._run}-{number}\nevent: {kind}\ndata: {data}\n\n".encode()
                if some:
                    continue
                try:
                    await asyncio.wait_for(me.wake.wait(), self._heartbeat)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            with self._lock:
                self._listeners.discard(me)

    def _since(self, heard: int) -> list[tuple[int, str, str]]:
        with self._lock:
            found = [(number, kind, data) for kind, (number, data) in self._latest.items()]
        return sorted(each for each in found if each[0] > heard)

    def _number(self, last: str) -> int:
        run, _, number = last.rpartition("-")
        return int(number) if run == self._run and number.isascii() and number.isdigit() else 0
