"""Make captures of any size, fast: a block of real lines, stamped anew with times, uuids and client ports."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from tests.cluster.capture import lines
from tests.cluster.judge import Judge
from tests.cluster.model import Capture, Cluster
from tests.cluster.plan import all_links

_BLOCK = 20_000
_LOW, _HIGH = 32768, 61000
_MARKS = re.compile(rb'"(time|uuid|source_port|destination_port)":"?([^",}]+)')


def hours_at(rate: float) -> float:
    """Return the hours of a `Capture` that is replayed at so many flows a second: those in which a block passes."""
    return _BLOCK / rate / 3600


def replay(
    cluster: Cluster, count: int, capture: Capture | None = None, judge: Judge | None = None
) -> Iterator[bytes]:
    """Yield exactly ``count`` JSON lines: a generated block over and over, later each time, never the same uuid.

    Identities, links and shares of kinds of events stay those of the block; times go on from block to block and
    client ports move, so that connections stay apart.
    """
    capture = capture or Capture()
    ports = {link.port for link in all_links(cluster) if isinstance(link.port, int)}
    block = [_Template(line, ports) for line in lines(cluster, min(count, _BLOCK), capture, judge)]
    yield from islice(_stamped(block, capture, ports, random.Random(cluster.seed)), count)


class _Template:
    """A line cut at its times, uuid and client ports; ``parts`` is copied and filled in for each stamp."""

    __slots__ = ("at", "parts", "ports", "times", "uuid")

    def __init__(self, line: bytes, listeners: set[int]) -> None:
        self.parts: list[bytes] = []
        self.times: list[int] = []
        self.ports: list[tuple[int, int]] = []
        self.uuid = 0
        self.at = b""
        end = 0
        for mark in _MARKS.finditer(line):
            kind, text = mark.groups()
            if kind.endswith(b"_port") and (int(text) < _LOW or int(text) in listeners):
                continue
            self.parts += [line[end : mark.start(2)], text]
            place, end = len(self.parts) - 1, mark.end(2)
            if kind == b"time":
                self.times.append(place)
                self.at = text
            elif kind == b"uuid":
                self.uuid = place
            else:
                self.ports.append((place, int(text)))
        self.parts.append(line[end:])


def _stamped(
    block: list[_Template], capture: Capture, listeners: set[int], rng: random.Random
) -> Iterator[bytes]:
    clock = _Clock(timedelta(hours=capture.hours))
    bits, turn = rng.getrandbits, 0
    while block:
        shift = turn * 1009
        for template in block:
            parts = template.parts.copy()
            if template.times:
                time = clock.later(template.at, turn)
                for place in template.times:
                    parts[place] = time
            if template.uuid:
                text = b"%032x" % bits(128)
                parts[template.uuid] = b"%b-%b-4%b-a%b-%b" % (
                    text[:8], text[8:12], text[13:16], text[17:20], text[20:],
                )  # fmt: skip
            for place, port in template.ports:
                moved = _LOW + (port - _LOW + shift) % (_HIGH - _LOW)
                parts[place] = b"%d" % (moved + (moved in listeners))
            yield b"".join(parts)
        turn += 1


class _Clock:
    """Moves times on by whole spans of the block, one conversion a second of it."""

    def __init__(self, span: timedelta) -> None:
        self.span = span
        self.turn = 0
        self.known: dict[bytes, bytes] = {}

    def later(self, at: bytes, turn: int) -> bytes:
        """Return the RFC 3339 time ``turn`` spans after ``at``."""
        if not turn:
            return at
        second = at[:19]
        if turn != self.turn:
            self.turn, self.known = turn, {}
        if second not in self.known:
            moved = datetime.fromisoformat(second.decode()).replace(tzinfo=UTC) + turn * self.span
            self.known[second] = moved.strftime("%Y-%m-%dT%H:%M:%S").encode()
        return self.known[second] + at[19:]
