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
_TIME = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
_MARKS = re.compile(
    rb"(?P<time>" + _TIME + rb')|(?<="uuid":")(?P<uuid>[0-9a-f-]{36})|(?<=_port":)(?P<port>[3-6]\d{4})\b'
)


def replay(
    cluster: Cluster, count: int, capture: Capture | None = None, judge: Judge | None = None
) -> Iterator[bytes]:
    """Yield exactly ``count`` JSON lines: a generated block over and over, later each time, never the same uuid.

    Identities, links and shares of kinds of events stay those of the block; times go on from block to block and
    client ports move, so that connections stay apart.
    """
    capture = capture or Capture()
    block = [_Template(line) for line in lines(cluster, min(count, _BLOCK), capture, judge)]
    ports = {link.port for link in all_links(cluster) if isinstance(link.port, int)}
    yield from islice(_stamped(block, capture, ports, random.Random(cluster.seed)), count)


class _Template:
    """A line cut at its times, uuid and client ports."""

    __slots__ = ("at", "kinds", "pieces", "ports")

    def __init__(self, line: bytes) -> None:
        self.pieces: list[bytes] = []
        self.kinds: list[str] = []
        self.ports: list[int] = []
        self.at = b""
        end = 0
        for mark in _MARKS.finditer(line):
            kind = str(mark.lastgroup)
            self.pieces.append(line[end : mark.start()])
            self.kinds.append(kind)
            self.ports.append(int(mark.group()) if kind == "port" else 0)
            self.at = mark.group() if kind == "time" else self.at
            end = mark.end()
        self.pieces.append(line[end:])


def _stamped(
    block: list[_Template], capture: Capture, listeners: set[int], rng: random.Random
) -> Iterator[bytes]:
    clock = _Clock(timedelta(hours=capture.hours))
    turn = 0
    while block:
        shift = turn * 1009
        for template in block:
            out: list[bytes] = []
            time = clock.later(template.at, turn) if template.at else b""
            for piece, kind, port in zip(template.pieces, template.kinds, template.ports, strict=False):
                out.append(piece)
                if kind == "time":
                    out.append(time)
                elif kind == "uuid":
                    text = b"%032x" % rng.getrandbits(128)
                    out.append(b"-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])))
                else:
                    moved = _LOW + (port - _LOW + shift) % (_HIGH - _LOW)
                    moved += moved in listeners
                    out.append(b"%d" % (port if port in listeners else moved))
            out.append(template.pieces[-1])
            yield b"".join(out)
        turn += 1


class _Clock:
    """Moves times on by whole spans of the block, one conversion a second of it."""

    def __init__(self, span: timedelta) -> None:
        self.span = span
        self.known: dict[tuple[bytes, int], bytes] = {}

    def later(self, at: bytes, turn: int) -> bytes:
        """Return the RFC 3339 time ``turn`` spans after ``at``."""
        if not turn:
            return at
        key = (at[:19], turn)
        if key not in self.known:
            moved = datetime.fromisoformat(at[:19].decode()).replace(tzinfo=UTC) + turn * self.span
            self.known = {key: moved.strftime("%Y-%m-%dT%H:%M:%S").encode()} | (
                self.known if len(self.known) < 10_000 else {}
            )
        return self.known[key] + at[19:]
