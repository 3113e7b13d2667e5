"""Captured flows as one source: FLOWS batches, and the endpoints and the ledger that grow while it is read."""

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from flowmine.errors import UsageError
from flowmine.ingest.ahead import ahead
from flowmine.ingest.blocks import Block, Unreadable
from flowmine.ingest.capturegroups import Span
from flowmine.ingest.captureread import Kept, Stored
from flowmine.ingest.captureshelf import Shelf
from flowmine.ingest.columns import Builder
from flowmine.ingest.dedup import SeenIds, keys_of
from flowmine.ingest.division import Division, Settings
from flowmine.ingest.files import Input, find
from flowmine.ingest.fresh import passed_on, repeatable_keys
from flowmine.ingest.intern import Endpoints
from flowmine.ingest.jsonl import Keep, Lines, tell_nothing
from flowmine.ingest.lockstep import Want, in_step
from flowmine.ingest.shapes import decoders, fields_of
from flowmine.ingest.structrows import StructRows
from flowmine.ingest.times import nanoseconds
from flowmine.ingest.whichcode import Compiled
from flowmine.ledger import Ledger
from flowmine.schema import FLOWS

__all__ = ["Options", "Progress", "Source", "open_flows"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a reading is: bytes as stored (``total`` None where unknown) and events passed on."""

    read: int
    total: int | None
    flows: int


@dataclass(frozen=True, slots=True)
class Options:
    """How to read: see `open_flows`."""

    columns: frozenset[str]
    keep: Keep | None = None
    dedup: bool = True
    strict: bool = False
    keep_query: bool = False
    batch_rows: int = 1 << 15
    progress: Callable[[Progress], None] | None = None
    span: Span = (None, None)
    needs: frozenset[str] = frozenset()


def open_flows(
    *inputs: str | os.PathLike[str] | BinaryIO,
    columns: Collection[str] | None = None,
    keep: Keep | None = None,
    dedup: bool = True,
    strict: bool = False,
    keep_query: bool = False,
    batch_rows: int = 1 << 15,
    progress: Callable[[Progress], None] | None = None,
    recursive: bool = True,
    span: Span = (None, None),
    needs: Collection[str] = (),
) -> "Source":
    """Open captures of Hubble flows, whatever their layout, compression and log wrapper, and recognise them.

    Folders of windows that flowmine itself recorded are captures too.

    ``inputs`` are paths, glob patterns, folders (only files whose content is a capture are read; ``recursive``),
    ``-`` for standard input, or open binary streams. ``columns`` of FLOWS are made, all by default. ``keep`` is asked
    about every flow, as a record in canonical form (much slower than without). ``dedup`` counts equal uuids once,
    exactly over a window of a million events. ``strict`` makes the first bad line an error. ``keep_query`` keeps the
    queries of HTTP paths. ``batch_rows`` is the most rows of a batch; ``progress`` is called now and then.
    ``span``, from and to in nanoseconds, spares the reading of stored row groups that lie wholly outside;
    ``needs`` are the fields of FlowFilter that ``keep``, or whoever chooses among `Source.records`, asks about: recorded
    windows that do not keep one of them are refused.

    Raise InputError where an input does not exist, cannot be read or is no capture, UsageError for no input or a column
    that FLOWS does not have, and TypeError for an input that is none of these, such as a list of paths.
    """
    if not inputs:
        raise UsageError("no input: name a capture, a folder of captures, or - for standard input")
    wanted = frozenset(FLOWS.names if columns is None else columns)
    if unknown := wanted.difference(FLOWS.names):
        raise UsageError(f"no such column of FLOWS: {', '.join(sorted(unknown))}")
    if batch_rows < 1:
        raise UsageError(f"batch_rows must be at least 1, not {batch_rows}")
    found, notes = find(inputs, recursive=recursive)
    options = Options(wanted, keep, dedup, strict, keep_query, batch_rows, progress, span, frozenset(needs))
    return Source(found, notes, options)


class Source:
    """Captures opened by `open_flows`. Each call of `batches` or `records` is a reading of its own."""

    def __init__(self, inputs: list[Input], notes: list[str], options: Options) -> None:
        """Read ``inputs`` in the order given; ``notes`` are about files left out."""
        self._inputs, self._notes, self._options = inputs, notes, options
        self._begin()

    def _begin(self) -> None:
        texts = [one.name for one in self._inputs if one.format is not None and one.format.name == "text"]
        self._ledger = Ledger(notes=list(self._notes), texts=texts)
        self._endpoints = Endpoints()
        self._seen = SeenIds()

    @property
    def schema(self) -> pa.Schema:
        """The columns of the batches: FLOWS, or those asked for, in its order."""
        return pa.schema([field for field in FLOWS if field.name in self._options.columns])

    @property
    def names(self) -> tuple[str, ...]:
        """What is read, in the order in which it is."""
        return tuple(one.name for one in self._inputs)

    @property
    def place(self) -> tuple[tuple[str, int | None], ...] | None:
        """What tells whether another reading is of the same inputs, and so in the same order: the name and the first
        event time of each. None where one can be read only once.
        """
        if not all(one.repeatable for one in self._inputs):
            return None
        return tuple((one.name, one.begins) for one in self._inputs)

    @property
    def size(self) -> int | None:
        """Bytes to be read as stored; None where that cannot be known."""
        sizes = [size for size, _ in self.sizes]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @property
    def sizes(self) -> list[tuple[int | None, bool]]:
        """Bytes of each input as stored, None where that cannot be known, and whether they are compressed."""
        return [(one.size, one.compressed) for one in self._inputs]

    @property
    def is_recorded(self) -> bool:
        """Whether all inputs are windows of recorded captures."""
        return all(one.window is not None for one in self._inputs)

    @property
    def ledger(self) -> Ledger:
        """The completeness of the last reading, or of the one going on."""
        return self._ledger

    @property
    def endpoints(self) -> pa.Table:
        """Every endpoint read so far, as ENDPOINTS."""
        return self._endpoints.table()

    @property
    def pods(self) -> pa.Table:
        """Every pod read so far, as PODS."""
        return self._endpoints.pods()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the flows, at most ``batch_rows`` a batch, in a canonical order whatever the order of the inputs.

        Raise InputError for an input that cannot be read on, or with ``strict`` for the first bad line.
        """
        return self._batches(None)

    def batches_and_state(self, kept: list[dict[str, pa.Table]]) -> Iterator[pa.RecordBatch]:
        """Yield as `batches` does; what folders of state hold, which have no events, is added to ``kept``.

        A batch without rows follows each addition. Raise InputError as `batches` does, which refuses state.
        """
        return self._batches(kept)

    def _batches(self, kept: list[dict[str, pa.Table]] | None) -> Iterator[pa.RecordBatch]:
        self._begin()
        options = self._options
        extra = Settings(options.columns, options.dedup).extra
        builder = Builder(
            options.columns | extra, self._endpoints, self._ledger, keep_query=options.keep_query
        )
        typed = decoders(fields_of(options.columns | extra))
        readers = [self._lines(one, typed) for one in self._inputs]
        shelf = Shelf(self._endpoints, self._ledger, options.keep, options.needs, kept)
        wanted = FLOWS.names if options.keep else options.columns | extra
        held: list[pa.RecordBatch] = []
        rows = 0
        want = Want(frozenset(wanted), options.span, stretches=options.keep is None)
        pieces = in_step(self._inputs, want)
        for place, block in ahead(pieces, 1) if all(one.repeatable for one in self._inputs) else pieces:
            if isinstance(block, Stored | Kept):
                made = [shelf.take(block, self._inputs[place].name)]
            elif isinstance(block, Block | Unreadable):
                made = builder.in_order(readers[place].rows(block, builder.tools))
            else:
                flows = self._finish(place, readers[place])
                made = [builder.batch(StructRows(flows, builder.tools))] if flows else []
            batches = [self._fresh(batch).select(self.schema.names) for batch in made]
            if isinstance(block, Kept):
                yield from batches
                continue
            held += batches
            rows += sum(batch.num_rows for batch in batches)
            self._tell_progress()
            if rows >= options.batch_rows:
                *full, rest = _cut(held, options.batch_rows, self.schema)
                held, rows = (
                    [rest.take(np.arange(rest.num_rows))],
                    rest.num_rows,
                )  # and not all that it is cut from
                yield from full
        builder.end()
        shelf.end()
        self._ledger.complete = True
        self._tell_progress()
        if rows:
            yield from _cut(held, options.batch_rows, self.schema)

    def divided(self, *, compiled: Compiled = "no") -> Division | None:
        """Begin a reading that several readers do at once; None where events are chosen one by one.

        They use compiled code where that is wanted and can be had.
        """
        options = self._options
        if options.keep is not None:
            return None
        self._begin()
        settings = Settings(options.columns, options.dedup, options.strict, options.keep_query, compiled)
        return Division(
            self._inputs,
            settings,
            self._ledger,
            self._endpoints,
            Want(options.columns | settings.extra, options.span),
            self._tell_progress,
        )

    def records(self) -> Iterator[tuple[bytes, dict[str, Any], str]]:
        """Yield every event, flows and others, in the order of `batches`: its JSON without log wrapper as Hubble
        wrote it, its canonical form, and its ``file:line``.
        """
        self._begin()
        readers = [self._lines(one, decoders(fields_of(()))) for one in self._inputs]
        shelf = Shelf(self._endpoints, self._ledger, self._options.keep, self._options.needs)
        for place, block in in_step(self._inputs, Want(frozenset(FLOWS.names), self._options.span)):
            if isinstance(block, Stored | Kept):
                found = list(shelf.records(block, self._inputs[place].name))
            elif isinstance(block, Block | Unreadable):
                found = list(readers[place].records(block))
            else:
                self._finish(place, readers[place])
                continue
            fresh = self._fresh_records([record for _, record, _ in found])
            for one, new in zip(found, fresh, strict=True):
                if new:
                    yield one
            self._tell_progress()
        self._ledger.complete = True

    def _lines(self, one: Input, made: Any) -> Lines:
        options = self._options
        return Lines(one.name, made, self._ledger, keep=options.keep, strict=options.strict)

    def _finish(self, place: int, reader: Lines) -> list[Any]:
        """Return the flows left at the end of an input; tell where it was cut, or held nothing of use."""
        one = self._inputs[place]
        if one.window is not None:
            return []
        flows = reader.end()
        if one.cut:
            reader.cut_input(one.cut)
        tell_nothing(one.name, reader.events + len(flows), reader.failure, self._ledger)
        return flows

    def _fresh(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Leave out what was read before; count the rest."""
        keys = repeatable_keys(batch.column("uuid")) if self._options.dedup else None
        return passed_on(batch, None if keys is None else self._seen.first_seen(keys), self._ledger)

    def _fresh_records(self, records: list[dict[str, Any]]) -> list[bool]:
        """Tell for each record whether it was not read before; count the flows among the fresh ones."""
        uuids = [record.get("flow", {}).get("uuid") for record in records]
        new = np.ones(len(records), bool)
        if self._options.dedup and records:
            texts = [uuid if isinstance(uuid, str) else None for uuid in uuids]
            new = self._seen.first_seen(keys_of(pa.array(texts, pa.string())))
        for record, fresh in zip(records, new.tolist(), strict=True):
            if not fresh:
                self._ledger.add("duplicate", "uuid", node=str(record.get("node_name") or ""))
            elif "flow" in record:
                at = nanoseconds(record["flow"].get("time", record.get("time")))
                self._ledger.flows += 1
                self._ledger.window.add(1, at, at)
        result: list[bool] = new.tolist()
        return result

    def _tell_progress(self) -> None:
        if self._options.progress is not None:
            read = sum(one.read for one in self._inputs)
            self._options.progress(Progress(read, self.size, self._ledger.flows))


def _cut(held: list[pa.RecordBatch], most: int, schema: pa.Schema) -> list[pa.RecordBatch]:
    """Return the rows in batches of ``most``, the last of them the rest, perhaps empty."""
    table = pa.Table.from_batches(held, schema)
    whole = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema)]
    batch = whole[0]
    starts = range(0, batch.num_rows + 1, most)
    return [batch.slice(start, most) for start in starts]
