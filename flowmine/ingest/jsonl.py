"""Decode blocks of Hubble's JSON into flow structs; what is no plain flow takes the lenient way, line by line."""

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from flowmine.errors import InputError
from flowmine.ingest.blocks import Block, Unreadable
from flowmine.ingest.events import tell
from flowmine.ingest.fitting import drop, fit
from flowmine.ingest.normal import canonical_record, record_kind
from flowmine.ingest.rows import Rows, Tools
from flowmine.ingest.shapes import NO_ADDRESSES, Decoders, is_odd
from flowmine.ingest.stretches import Span, Stretches, cut
from flowmine.ingest.stretchrows import decoded
from flowmine.ingest.structrows import StructRows
from flowmine.ingest.wrappers import Partials, payloads, unwrapped
from flowmine.ledger import Ledger

__all__ = ["Keep", "Lines", "Parts", "tell_cut", "tell_nothing"]

Keep = Callable[[dict[str, Any]], bool]
"""A predicate over a record in canonical form (`normal.canonical_record`)."""

Parts: TypeAlias = list[tuple[Rows, npt.NDArray[np.int64]]]
"""The flows of one block by their form, each with its place: in order of these they are as they were in the block."""

_BAD = (ValueError, RecursionError, OverflowError)
_WAYS = {"lean": ("lean", "tolerant"), "tolerant": ("tolerant",), "bare": ("bare",), "lines": ()}
_MOST_MISSES = 3
"""Blocks in a row with nothing around their lines, after which it is not looked for."""
_FIELD = re.compile(r"^(?P<what>.*) - at `\$\.(?P<path>[\w.]+)")


class Lines:
    """The decoder of one input: flows out, everything else into the ledger.

    Lines as Hubble writes them are cut into stretches (`rows`), also those that a collector put something around. For
    others the plain way is a typed decoder over a whole block. It passes over the outer ``node_name`` and ``time``, which
    repeat the flow's. What it did not read whole is read again by itself; where that is most of a block, the file is
    read another way from there on: as flows without wrapper, or line by line.
    """

    def __init__(
        self,
        name: str,
        decoders: Decoders,
        ledger: Ledger,
        *,
        keep: Keep | None = None,
        strict: bool = False,
        cut: Callable[[bytes], Stretches | None] = cut,
    ) -> None:
        """Decode the input called ``name``; with ``strict`` the first bad line raises InputError.

        ``cut`` takes blocks apart whose lines had something around them; others come taken apart.
        """
        self._name, self._decoders, self._ledger = name, decoders, ledger
        self._keep, self._strict = keep, strict
        self._way = "lean"
        self._partials = Partials()
        self._cut_apart, self._misses = cut, 0
        self.events = 0
        """How many events, flows and others, were recognised."""
        self.failure = ""
        """What was wrong with the first line that was not."""

    def rows(self, block: Block | Unreadable, tools: Tools) -> Parts:
        """Return the flows of a block; raise InputError for a bad line with ``strict``."""
        if isinstance(block, Block) and self._keep is None and block.stretches is None:
            block = self._unwrapped(block)
        stretches = block.stretches if isinstance(block, Block) and self._keep is None else None
        usual = stretches and decoded(stretches, self._decoders, tools)
        if isinstance(block, Block) and stretches and usual:
            self.events += usual.length
            return [(usual, stretches.begins), *self._others(block, stretches.others, tools)]
        flows = self.flows(block)
        return [(StructRows(flows, tools), np.arange(len(flows)))] if flows else []

    def _unwrapped(self, block: Block) -> Block:
        """Return a block without what is around its lines, taken apart; the same one where there is nothing."""
        if self._misses >= _MOST_MISSES or self._partials.count:
            return block
        found = unwrapped(block.lines(), self._partials)
        if found is None:
            self._misses += 1
            return block
        self._misses = 0
        texts, numbers = found
        data = b"\n".join(texts) + (b"" if block.unended else b"\n")
        return Block(data, block.first, numbers, block.unended, self._cut_apart(data))

    def _others(self, block: Block, spans: list[Span], tools: Tools) -> Parts:
        """Return the flows of the lines that are of another form."""
        flows: list[Any] = []
        places: list[int] = []
        for span, lines in zip(spans, block.parts(spans), strict=True):
            flows += self.flows(lines)
            places += [span.start] * (len(flows) - len(places))
        return [(StructRows(flows, tools), np.array(places))] if flows else []

    def flows(self, block: Block | Unreadable) -> list[Any]:
        """Return the flow structs of a block, in order; raise InputError for a bad line with ``strict``."""
        flows = self._flows(block)
        self.events += len(flows)
        return flows

    def _flows(self, block: Block | Unreadable) -> list[Any]:
        if isinstance(block, Unreadable):
            self._unreadable(block)
            return []
        if self._keep is not None:
            return self._line_by_line(block)
        records = self._decoded(block)
        if records is None:
            return self._line_by_line(block)
        flows = records if self._way == "bare" else [record.flow for record in records]
        odd = self._odd(flows)
        if not odd:
            return flows
        if len(odd) * 2 > len(flows) and self._change_way(flows[odd[0]]):
            return self._flows(block)
        return self._mend(block, flows, odd)

    def records(self, block: Block | Unreadable) -> Iterator[tuple[bytes, dict[str, Any], str]]:
        """Yield every record of a block: its bytes without wrapper, its canonical form, its ``file:line``."""
        if isinstance(block, Unreadable):
            self._unreadable(block)
            return
        for line, text, last in self._lines(block):
            try:
                found = [self._repaired_record(line, payload) for payload in payloads(text, self._partials)]
            except _BAD as error:
                self._bad(line, error, last)
                continue
            for raw, kind, record in found:
                if kind in ("flow", "bare"):
                    self.events += 1
                    if self._keep is not None and not self._keep(record):
                        continue
                else:
                    self._tell(kind, record)
                yield raw if kind != "bare" else _wrapped(raw, record), record, f"{self._name}:{line}"

    @property
    def waits(self) -> bool:
        """Whether a line that a log driver cut in pieces is yet to be finished."""
        return self._partials.count > 0

    def end(self) -> list[Any]:
        """Return the flows of lines that a log driver cut in pieces and never finished; tell the others."""
        flows: list[Any] = []
        for text in self._partials.rest():
            flows += self._lenient(0, text, last=True)
        return flows

    def _decoded(self, block: Block) -> list[Any] | None:
        """Return the records of a block in the way that the last blocks were read, or a more tolerant one."""
        for way in _WAYS[self._way]:
            try:
                records: list[Any] = getattr(self._decoders, way).decode_lines(block.data)
            except _BAD:
                continue
            if len(records) != block.ends and len(records) != len(block.lines()):
                return None  # one goes on in the next line, which this decoder takes for a blank
            self._way = way
            return records
        return None

    def _odd(self, flows: list[Any]) -> list[int]:
        """Return the places of flows that the typed decoder may have read in part only."""
        if self._way == "bare":
            return [
                place
                for place, flow in enumerate(flows)
                if flow.node_name is None or flow.IP is NO_ADDRESSES or bytes(flow.flow)
            ]
        try:
            names = [flow.node_name for flow in flows]
            times = [flow.time for flow in flows]
            if None not in names and None not in times and NO_ADDRESSES not in [flow.IP for flow in flows]:
                return []
        except AttributeError:
            pass
        return [
            place
            for place, flow in enumerate(flows)
            if flow is None or flow.node_name is None or flow.time is None or flow.IP is NO_ADDRESSES
        ]

    def _change_way(self, odd: Any) -> bool:
        """Choose another way for a file most of whose records the present one did not read whole; tell whether."""
        if self._way == "lines":
            return False
        self._way = "bare" if odd is None else "lines"
        return True

    def _mend(self, block: Block, flows: list[Any], odd: list[int]) -> list[Any]:
        lines = block.lines()
        if len(lines) != len(flows):
            return self._line_by_line(block)
        result: list[Any] = []
        done = 0
        for place in odd:
            result += flows[done:place]
            line, text = lines[place]
            result += self._one(line, text, last=block.unended and place == len(lines) - 1)
            done = place + 1
        return result + flows[done:]

    def _lines(self, block: Block) -> Iterator[tuple[int, bytes, bool]]:
        lines = block.lines()
        for place, (line, text) in enumerate(lines):
            yield line, text, block.unended and place == len(lines) - 1

    def _line_by_line(self, block: Block) -> list[Any]:
        return [flow for line, text, last in self._lines(block) for flow in self._one(line, text, last=last)]

    def _one(self, line: int, text: bytes, *, last: bool) -> list[Any]:
        """Return the flows of one line, which is most likely a plain one."""
        if self._keep is None:
            try:
                flow = self._plain(text)
            except _BAD:
                flow = None
            if flow is not None:
                return [flow]
        return self._lenient(line, text, last=last)

    def _plain(self, text: bytes) -> Any:
        """Return the flow of a ``{"flow": …}`` line; None where there is more to it."""
        record = self._decoders.full.decode(text)
        flow = record.flow
        if flow is None or ((flow.node_name is None or flow.IP is NO_ADDRESSES) and is_odd(text)):
            return None
        if flow.node_name is None:
            flow.node_name = record.node_name
        if flow.time is None:
            flow.time = record.time
        return flow

    def _lenient(self, line: int, text: bytes, *, last: bool) -> list[Any]:
        """Return the flows of any line: wrapped, bare, in another spelling; tell the rest."""
        try:
            found = list(payloads(text, self._partials))
        except UnicodeDecodeError:
            return self._repaired(line, text, last=last)
        except _BAD as error:
            self._bad(line, error, last)
            return []
        flows: list[Any] = []
        for payload in found:
            try:
                flow = self._payload(line, payload)
            except UnicodeDecodeError:
                flows += self._repaired(line, payload, last=last)
                continue
            except _BAD as error:
                self._bad(line, error, last)
                continue
            if flow is not None:
                flows.append(flow)
        return flows

    def _repaired(self, line: int, text: bytes, *, last: bool) -> list[Any]:
        """Read a line whose bytes are not all UTF-8 with the broken ones replaced."""
        return self._lenient(line, self._replaced(line, text), last=last)

    def _repaired_record(self, line: int, payload: bytes) -> tuple[bytes, str, dict[str, Any]]:
        """Return an event as `_record` does, its bytes that are not UTF-8 replaced."""
        try:
            return self._record(line, payload)
        except UnicodeDecodeError:
            return self._record(line, self._replaced(line, payload))

    def _replaced(self, line: int, text: bytes) -> bytes:
        place = f"{self._name}:{line}"
        self._ledger.add("skipped", "bytes that are not UTF-8, replaced", place=place)
        if self._strict:
            raise InputError(f"{place}: bytes that are not UTF-8")
        return text.decode("utf-8", "replace").encode()

    def _payload(self, line: int, payload: bytes) -> Any:
        if self._keep is None:
            try:
                if (flow := self._plain(payload)) is not None:
                    return flow
            except msgspec.ValidationError:
                pass
        _, kind, record = self._record(line, payload)
        if kind not in ("flow", "bare"):
            self._tell(kind, record)
        elif self._keep is not None and not self._keep(record):
            self.events += 1
        else:
            return self._typed(line, record)
        return None

    def _record(self, line: int, payload: bytes) -> tuple[bytes, str, dict[str, Any]]:
        """Return an event: its bytes, which kind it is, its canonical form, of which each field fits."""
        value = msgspec.json.decode(payload)
        kind = record_kind(value) if isinstance(value, dict) else None
        if kind is None:
            raise ValueError("not a Hubble event")
        record = canonical_record(value, kind)
        self._fitted(line, record, fit)
        return payload, kind, record

    def _typed(self, line: int, record: dict[str, Any]) -> Any:
        """Return the struct of a canonical record."""
        return self._fitted(line, record, lambda left: self._plain(msgspec.json.encode(left)))

    def _fitted(self, line: int, record: dict[str, Any], how: Callable[[dict[str, Any]], Any]) -> Any:
        """Return what is made of a record; a field of a wrong type is left out and told."""
        for _ in range(16):
            try:
                return how(record)
            except msgspec.ValidationError as error:
                found = _FIELD.match(str(error))
                if not found or not drop(record, found["path"].split(".")):
                    raise
                place = f"{self._name}:{line}"
                self._ledger.add("skipped", f"field {found['path']}: {found['what']}", place=place)
                if self._strict:
                    raise InputError(f"{place}: {error}") from error
        raise ValueError("too many fields of a wrong type")

    def _tell(self, kind: str, record: dict[str, Any]) -> None:
        self.events += 1
        tell(self._ledger, kind, record)

    def _unreadable(self, stretch: Unreadable) -> None:
        if stretch.cut:
            self._cut(stretch.line, stretch.reason)
        else:
            self._fail(stretch.line, stretch.reason)

    def _bad(self, line: int, error: Exception, last: bool) -> None:
        text = str(error)
        if last and "truncated" in text:
            self._cut(line, "the last line is cut short")
        elif isinstance(error, msgspec.ValidationError):
            self._fail(line, "a field of a wrong type", text)
        elif isinstance(error, RecursionError):
            self._fail(line, "nested too deeply")
        elif isinstance(error, msgspec.DecodeError):
            self._fail(line, "not JSON", text)
        elif isinstance(error, UnicodeDecodeError):
            self._fail(line, "not UTF-8")
        else:
            self._fail(line, text)

    def cut_input(self, reason: str) -> None:
        """Tell that the input itself ended too early; raise InputError with ``strict``."""
        self._tell_cut(self._name, reason)

    def _cut(self, line: int, reason: str) -> None:
        self._tell_cut(f"{self._name}:{line}", reason)

    def _tell_cut(self, place: str, reason: str) -> None:
        tell_cut(self._name, place, reason, self._ledger, strict=self._strict)

    def _fail(self, line: int, reason: str, detail: str = "") -> None:
        place = f"{self._name}:{line}"
        self.failure = self.failure or f"line {line}: {reason}"
        self._ledger.add_bad(place, reason, detail)
        if self._strict:
            raise InputError(f"{place}: {reason}{f' ({detail})' if detail else ''}")


def tell_cut(name: str, place: str, reason: str, ledger: Ledger, *, strict: bool) -> None:
    """Tell that an input ends too early, at a place; raise InputError with ``strict``."""
    ledger.add("cut", name)
    ledger.notes.append(f"{place}: {reason}")
    if strict:
        raise InputError(f"{place}: {reason}")


def tell_nothing(name: str, events: int, failure: str, ledger: Ledger) -> None:
    """Tell that an input held no event; raise InputError where it held something else, of which ``failure`` tells."""
    if not events and failure:
        raise InputError(f"{name}: no Hubble event in it ({failure})")
    if not events:
        ledger.notes.append(f"{name}: no event in it")


def _wrapped(raw: bytes, record: dict[str, Any]) -> bytes:
    """Return a bare flow as Hubble prints it: with its node and time around it."""
    outer = {name: record[name] for name in ("node_name", "time") if name in record}
    rest = msgspec.json.encode(outer)[1:]
    return b'{"flow":' + raw + (b"," if outer else b"") + rest
