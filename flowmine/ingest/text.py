"""What `hubble observe` prints for people, read back: compact lines, blocks of key and value, and the table.

Text holds no labels, no direction and, but for compact lines, no identity and no telling a reply: those fields are
absent, so that a recommendation is refused. Each event becomes a line of Hubble's JSON in the place of its own line,
and goes the way of every other capture from there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from typing import Any

import msgspec

from flowmine.ingest.blocks import Block, Unreadable
from flowmine.ingest.textline import VERDICT, Printed, flow_of
from flowmine.ingest.texttime import TIME, rfc3339

__all__ = ["blocks", "is_text", "records"]

Record = dict[str, Any]

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_ARROW = re.compile(r" (?:-&gt;|&lt;-|&lt;&gt;) ")
_HEADINGS = (
    "TIMESTAMP",
    "NODE",
    "SOURCE",
    "DESTINATION",
    "FROM",
    "TYPE",
    "MARK",
    "CPU",
    "VERDICT",
    "SUMMARY",
    "DETAILS",
    "MESSAGE",
)
_HEADER = re.compile(r"\s*TIMESTAMP\s{2,}(?:NODE|SOURCE)\b")
_LOOKED_AT = 200
_LONGEST = 1 << 15
"""A line is at most a few hundred characters long; of a longer one only this much is kept."""
_FIELD = re.compile(r"\s*(?P<key>[A-Z][A-Z/ ]*?):(?: (?P<value>.*))?")
_RULE = re.compile(r"-{4,}")
_IDENTITY = r"\((?P<{}>ID:[0-9]+|[a-z][a-z0-9:-]*)\)"
_COMPACT = re.compile(rf"(?P<time>{TIME}):?(?: \[(?P<node>[^\]]*)\])?: (?P<rest>.*)")
_ENDS = re.compile(
    rf"(?P<left>\S*)(?: {_IDENTITY.format('left_id')})? (?P<arrow>->|<-|<>) "
    rf"(?P<right>\S*)(?: {_IDENTITY.format('right_id')})? "
    rf"(?P<type>.*?) ?(?<= )(?P<verdict>{VERDICT})(?: \((?P<summary>.*)\))?"
)
_LOST = re.compile(rf"(?P<time>{TIME})(?: \[(?P<node>[^\]]*)\])?:? EVENTS LOST: (?P<source>\w+) (?P<rest>.*)")
_LOST_COUNT = re.compile(
    rf"CPU\((?P<cpu>[0-9]+)\) (?:- )?(?P<count>[0-9]{{1,20}})(?: \(first: (?P<first>{TIME}), last: (?P<last>{TIME})\))?"
)
_ROW = re.compile(rf"(?P<time>{TIME})\s{{2,}}(?P<rest>\S.*)|(?P<empty>{TIME})\s{{2,}}")
_OTHER_EVENTS = {
    "DETAILS": "agent_event",
    "FROM": "debug_event",
    "MARK": "debug_event",
    "MESSAGE": "debug_event",
}
_AGENT = re.compile(r"[A-Z][A-Z0-9_]+ \(.*\)")


@dataclass(slots=True)
class _Reader:
    """What must be remembered between lines: the table's columns, and the block being read."""

    latest: datetime
    header: str = ""
    block: dict[str, str] = field(default_factory=dict)

    def line(self, text: str) -> Iterator[Record | str]:
        """Yield the records that a line completes, or the reason why it is none."""
        text = _COLOR.sub("", text).rstrip()
        if _ARROW.search(text):
            text = unescape(text)
        if not text.strip() or _RULE.fullmatch(text.strip()):
            yield from self.end()
            return
        stripped = text.strip()
        if stripped.startswith("TIMESTAMP ") and "  " in stripped:
            self.header = stripped
            return
        row = _ROW.fullmatch(stripped)
        if row:
            yield self._row(stripped, row)
            return
        if _COMPACT.match(stripped) or _LOST.match(stripped):
            yield self._compact(stripped)
            return
        pair = _FIELD.fullmatch(text)
        if pair and pair["key"] in _HEADINGS:
            if pair["key"] in self.block:
                yield from self.end()
            self.block[pair["key"]] = (pair["value"] or "").rstrip()
            return
        yield "not a line of hubble observe"

    def end(self) -> Iterator[Record | str]:
        """Yield the record of the block read so far, if any."""
        if self.block:
            block, self.block = self.block, {}
            yield self._cells(block)

    def _record(self, time: str, node: str | None, kind: str, value: Record) -> Record:
        moment = rfc3339(time, self.latest)
        outer: Record = {"node_name": node} if node else {}
        if moment is not None:
            outer["time"] = moment
        return {kind: (value | outer) if kind == "flow" else value, **outer}

    def _compact(self, text: str) -> Record | str:
        lost = _LOST.fullmatch(text)
        if lost:
            return self._lost(lost["time"], lost["node"], lost["source"], lost["rest"])
        line = _COMPACT.fullmatch(text)
        ends = _ENDS.fullmatch(line["rest"]) if line else None
        if line is None or ends is None:
            kind = _event_kind(line["rest"]) if line else None
            if line is None or kind is None:
                return "no flow in the line, or only a part of one"
            return self._record(line["time"], line["node"], kind, {})
        return self._record(line["time"], line["node"], "flow", flow_of(_printed(ends, bool(line["node"]))))

    def _row(self, text: str, row: re.Match[str]) -> Record | str:
        """Read a row of the table: by the places of the header's columns, else by runs of spaces between cells."""
        titles = self.header.split() or ["TIMESTAMP", "SOURCE", "DESTINATION", "TYPE", "VERDICT", "SUMMARY"]
        cells = _by_place(text, self.header, titles) or _by_space(row, titles)
        if cells is None:
            return "a row of a table without its columns"
        return self._cells(dict(zip(titles, cells, strict=True)))

    def _cells(self, cells: dict[str, str]) -> Record | str:
        time, node = cells.get("TIMESTAMP", ""), cells.get("NODE")
        if re.fullmatch(TIME, time) is None:
            return "not a time of hubble observe"
        if not cells.keys() >= {"SOURCE", "TYPE", "VERDICT"}:
            kind = next((kind for title, kind in _OTHER_EVENTS.items() if title in cells), None)
            return self._record(time, node, kind, {}) if kind else "only a part of an event"
        if cells["TYPE"] == "EVENTS LOST":
            return self._lost(time, node, cells["SOURCE"], cells.get("SUMMARY", ""))
        if re.fullmatch(VERDICT, cells["VERDICT"]) is None:
            return "no verdict"
        printed = Printed(
            cells["SOURCE"],
            cells.get("DESTINATION", ""),
            cells["TYPE"],
            cells["VERDICT"],
            cells.get("SUMMARY", ""),
        )
        return self._record(time, node, "flow", flow_of(printed))

    def _lost(self, time: str, node: str | None, source: str, text: str) -> Record | str:
        count = _LOST_COUNT.fullmatch(text)
        if count is None:
            return "lost events without a number"
        lost: Record = {"source": source, "num_events_lost": count["count"], "cpu": int(count["cpu"][:6])}
        for name in ("first", "last"):
            moment = rfc3339(count[name], self.latest) if count[name] else None
            if moment is not None:
                lost[name] = moment
        return self._record(time, node, "lost_events", lost)


def _printed(ends: re.Match[str], has_node: bool) -> Printed:
    """Return the parts of a compact line, a reply's ends put back in their order.

    Until 2020 an arrow always pointed from source to destination, replies included; such lines name the node and no
    identity. There it tells nothing.
    """
    left, right = (ends["left"], ends["left_id"] or ""), (ends["right"], ends["right_id"] or "")
    is_reply = {"->": False, "<-": True, "<>": None}[ends["arrow"]]
    if is_reply:
        left, right = right, left
    if is_reply is False and has_node and not left[1] and not right[1]:
        is_reply = None
    return Printed(
        left[0],
        right[0],
        ends["type"].strip(),
        ends["verdict"],
        ends["summary"] or "",
        left[1],
        right[1],
        is_reply,
    )


def _event_kind(rest: str) -> str | None:
    """Return which of Hubble's other events a line is: those of the agent (``--type agent``) or of its debugging."""
    if " MARK: " in rest:
        return "debug_event"
    return "agent_event" if _AGENT.fullmatch(rest) else None


def _by_place(text: str, header: str, titles: list[str]) -> list[str] | None:
    """Cut a row where the header's columns begin; None unless spaces stand before each of those places."""
    starts = [match.start() for match in re.finditer(r"\S+", header)]
    if not starts or any(text[max(start - 2, 0) : start].strip() for start in starts[1:]):
        return None
    ends = [*starts[1:], len(text)]
    return [text[start:end].strip() for start, end in zip(starts, ends, strict=True)] if titles else None


def _by_space(row: re.Match[str], titles: list[str]) -> list[str] | None:
    if row["time"] is None:
        return None
    for gap in (r"\s{3,}", r"\s{2,}"):
        cells = [row["time"], *re.split(gap, row["rest"], maxsplit=len(titles) - 2)]
        if len(cells) == len(titles) - 1 and titles[-1] == "SUMMARY":
            cells.append("")
        if len(cells) == len(titles):
            return cells
    return None


def records(lines: Iterator[str], latest: datetime) -> Iterator[tuple[int, Record | str]]:
    """Yield the records of a text capture, each with the number (from 1) of the line that ends it, or why it has none.

    ``latest`` is the moment by which the capture was complete (see `texttime.rfc3339`).
    """
    reader = _Reader(latest)
    number = 0
    for number, line in enumerate(lines, 1):
        yield from ((number, what) for what in reader.line(line))
    yield from ((number, what) for what in reader.end())


def is_text(head: bytes) -> bool:
    """Tell from its beginning whether a file holds what `hubble observe` prints for people: an event, or the header."""
    lines = head.decode("utf-8", "replace").splitlines()[:_LOOKED_AT]
    found = records((line[:_LONGEST] for line in lines), datetime.max.replace(tzinfo=UTC))
    return any(isinstance(what, dict) for _, what in found) or any(_HEADER.match(line) for line in lines)


def blocks(chunks: Iterator[bytes], size: int, latest: datetime) -> Iterator[Block | Unreadable]:
    """Yield a text capture as blocks of about ``size`` bytes of Hubble's JSON, and the lines that are no events."""
    lines = _Lines(chunks)
    made: list[bytes] = []
    places: list[int] = []
    held = 0
    for number, what in records(iter(lines), latest):
        if isinstance(what, str):
            yield Unreadable(number, what, cut=lines.unended)
            continue
        made.append(msgspec.json.encode(what))
        places.append(number)
        held += len(made[-1])
        if held >= size:
            yield Block(b"\n".join(made), places[0], tuple(places))
            made, places, held = [], [], 0
    if made:
        yield Block(b"\n".join(made), places[0], tuple(places))


class _Lines:
    """The lines of some chunks; ``unended`` is true from the last one on, where that has no end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.unended = False

    def __iter__(self) -> Iterator[str]:
        rest = b""
        for chunk in self._chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace")
            rest = rest[:_LONGEST]
        if rest:
            self.unended = True
            yield rest.decode("utf-8", "replace")
