"""A live Hubble server as a source of flows: the same batches, endpoints and ledger as a capture's."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.errors import InputError, UsageError
from flowmine.ingest.dedup import keys_of
from flowmine.ingest.events import tell
from flowmine.ingest.filters import Selection
from flowmine.ingest.relay.address import Server
from flowmine.ingest.relay.cursors import Bools, Cursor, Cursors, Events, Marks
from flowmine.ingest.relay.request import MASKS, flows_request
from flowmine.ingest.relay.session import Chunk, Counts, Interrupted, Returned, Session, Timing
from flowmine.ingest.relay.status import Node, Status
from flowmine.ingest.source import Progress
from flowmine.ingest.times import nanoseconds
from flowmine.ingest.wire import Decoder, new_endpoints, record
from flowmine.ledger import Ledger
from flowmine.schema import FLOWS

__all__ = ["Relay", "RelayOptions", "open_relay"]

_ADMITTED = frozenset({"time", "uuid", "node_name"})
_AWAY = frozenset({"NODE_UNAVAILABLE", "NODE_GONE", "NODE_ERROR"})


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """How to read: see `open_relay`."""

    selection: Selection = field(default_factory=Selection)
    follow: bool = False
    lasting: float | None = None
    tick: float | None = None
    patient: bool = False
    resume: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    strict: bool = False
    keep_query: bool = False
    batch_rows: int = 1 << 16
    progress: Callable[[Progress], None] | None = None
    timing: Timing = field(default_factory=Timing)
    marks: Marks = field(default_factory=Marks)


def open_relay(
    server: Server, *, columns: Collection[str] | None = None, options: RelayOptions | None = None
) -> "Relay":
    """Open a stream of flows from hubble-relay, or from one node's Hubble; nothing is asked before it is read.

    ``columns`` of FLOWS are made, all by default, and only the fields they need are asked for. Of the options:
    ``selection`` holds the filters, sent to the server, the window, and how many (of each node, as Hubble counts).
    Without ``since``, ``last`` or ``first`` that is all that is held, or with ``follow`` what comes from now on.
    ``follow`` goes on through all failures, for ``lasting`` seconds where given, or until `Relay.stop`. With ``tick``
    a batch, perhaps empty, is yielded at least every so many seconds. ``patient`` waits for a server that is not
    there yet. ``resume`` takes the `Relay.cursors` of an earlier reading, and goes on from there. ``strict`` makes the
    first message that cannot be read an error. Events that are sent twice are passed on once.

    Raise UsageError for a column that FLOWS does not have, and options that contradict each other.
    """
    wanted = frozenset(FLOWS.names if columns is None else columns)
    if unknown := wanted.difference(FLOWS.names):
        raise UsageError(f"no such column of FLOWS: {', '.join(sorted(unknown))}")
    chosen = options or RelayOptions()
    flows_request(chosen.selection, follow=chosen.follow, mask=())
    return Relay(server, wanted, chosen)


class Relay:
    """A server opened by `open_relay`; each call of `batches` or `records` is a reading of its own."""

    def __init__(self, server: Server, columns: frozenset[str], options: RelayOptions) -> None:
        """Read ``columns`` of FLOWS from ``server``."""
        self._server, self._columns, self._options = server, columns, options
        self._masks = 0
        self._begin()

    def _begin(self) -> None:
        options = self._options
        self._ledger, self._endpoints = Ledger(), new_endpoints()
        resumed = {name: Cursor(int(time), int(key)) for name, (time, key) in options.resume.items()}
        self._reached: dict[str, Cursor] = dict(resumed)
        self._at = Cursors(self._ledger, options.marks, resumed)
        self._started = self._whole_events = False
        self._blind: int | None = None
        self._session = Session(
            self._server,
            self._request,
            follow=options.follow,
            timing=options.timing,
            patient=options.patient,
        )

    @property
    def schema(self) -> pa.Schema:
        """The columns of the batches: FLOWS, or those asked for, in its order."""
        return pa.schema([one for one in FLOWS if one.name in self._columns])

    @property
    def names(self) -> tuple[str, ...]:
        """What is read."""
        return (self._server.address,)

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

    @property
    def counts(self) -> Counts:
        """What happened to the connection so far: reconnections, messages, how often the server was held back."""
        return self._session.counts

    @property
    def status(self) -> Status:
        """What the server says of itself and its nodes, last; connects where that is not done yet.

        Raise InputError where it cannot be reached.
        """
        return self._session.status if self._session.counts.connections else self._session.connect()

    @property
    def cursors(self) -> dict[str, tuple[int, int]]:
        """How far each node is read, by the batches that were yielded: what ``resume`` takes (JSON keeps it)."""
        return {name: (cursor.time, cursor.key) for name, cursor in self._reached.items()}

    def stop(self) -> None:
        """End the reading, from any thread or a signal handler; what has arrived is still yielded."""
        self._session.stop()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the flows, in batches of about ``batch_rows`` rows or more.

        Raise InputError where the server cannot be reached, or ends a stream that is not followed too often.
        """
        if self._started:
            self._begin()
        options = self._options
        heard: list[tuple[int, dict[str, Any]]] = []
        decoder = Decoder(
            self._server.address,
            self._ledger,
            self._endpoints,
            columns=self._columns | _ADMITTED,
            keep_query=options.keep_query,
            strict=options.strict,
            heard=lambda event, before: heard.append((before, event)),
        )
        held: list[pa.RecordBatch] = []
        due = self._due()
        for frames in self._chunks():
            batch = decoder.batch(frames)
            held += [part.select(self.schema.names) for part in self._in_order(batch, heard)]
            heard.clear()
            if sum(one.num_rows for one in held) >= options.batch_rows or time.monotonic() >= due:
                yield self._whole(held)
                held, due = [], self._due()
        decoder.end()
        self._end()
        if held or self._reached != self._at.snapshot():
            yield self._whole(held)

    def records(self) -> Iterator[tuple[bytes, dict[str, Any], str]]:
        """Yield every event, flows and others, with all its fields: its JSON, its canonical form, where it came from."""
        if self._started:
            self._begin()
        self._whole_events = True
        count = 0
        for frames in self._chunks():
            found = [one for one in map(self._record, frames) if one is not None]
            fresh = self._fresh_records(found)
            for event, new in zip(found, fresh.tolist(), strict=True):
                count += 1
                if new:
                    yield msgspec.json.encode(event), event, f"{self._server.address}:{count}"
            self._reached = self._at.snapshot()
        self._end()

    def _request(self) -> bytes:
        """Return the request as it is now: from the start, or from where the nodes were read to."""
        options = self._options
        chosen = options.selection
        since = self._at.since() if options.follow or options.resume else None
        if since is not None:
            since = max(since, chosen.since or 0)
        self._at.covered = since is not None or chosen.since is not None
        self._at.wanting = False
        mask = () if self._whole_events else MASKS[self._masks](self._columns | _ADMITTED)
        return flows_request(chosen, follow=options.follow, mask=mask, since=since)

    def _due(self) -> float:
        tick = self._options.tick
        return float("inf") if tick is None else time.monotonic() + tick

    def _chunks(self) -> Iterator[list[bytes]]:
        """Yield what arrives, empty now and then, and see to all that happens besides."""
        options = self._options
        self._started = True
        for event in self._session.events(tick=options.tick or 1.0, lasting=options.lasting):
            match event:
                case Chunk(frames):
                    self._see_again()
                    yield frames
                    if self._at.wanting:
                        self._session.reopen("a node came back: what it has kept is asked for")
                    self._tell_progress()
                case Interrupted(why):
                    now = time.time_ns()
                    self._ledger.add("reconnect", why, first=now)
                    self._at.interrupt("the stream was interrupted")
                    if self._at.since() is None and self._blind is None:
                        self._blind = now
                    self._weaken(why)
                case Returned(nodes):
                    self._back(nodes)

    def _see_again(self) -> None:
        """Tell of the time without a stream where no event had come before, from which to go on."""
        if self._blind is not None:
            if self._options.follow:
                self._ledger.add(
                    "gap", "no stream before the first event", first=self._blind, last=time.time_ns()
                )
            self._blind = None

    def _back(self, nodes: tuple[Node, ...]) -> None:
        """See to nodes that were away: relay goes on with some of them by itself, and not with others."""
        now = time.time_ns()
        for node in nodes:
            began, newest = now - node.uptime, self._at.newest(node.name)
            self._at.interrupt("the node's agent restarted or moved", [node.name], began)
            if newest is not None and newest <= began:
                self._session.reopen(f"{node.name} came back")

    def _heard(self, event: dict[str, Any]) -> None:
        """Take in an event that is no flow."""
        status = event.get("node_status")
        if status is None or status.get("state_change") not in _AWAY:
            return
        if self._weaken(str(status.get("message", ""))):
            self._session.reopen("the server does not know a field that was asked for")
        names = [str(name) for name in status.get("node_names") or ()]
        self._at.interrupt("the node was away from relay", names, nanoseconds(event.get("time")))

    def _weaken(self, words: str) -> bool:
        """Choose the next field mask where a server's words say that it does not know a field of this one."""
        if "fieldmask" not in words.replace(" ", "").lower() or self._masks + 1 == len(MASKS):
            return False
        self._masks += 1
        return True

    def _end(self) -> None:
        self._at.end(time.time_ns())
        counts = self._session.counts
        if counts.throttled:
            self._ledger.add("backpressure", "the server waited for this program", count=counts.throttled)
        self._ledger.complete = True

    def _whole(self, held: list[pa.RecordBatch]) -> pa.RecordBatch:
        """Return the held rows as one batch, and note that the nodes are read so far."""
        self._reached = self._at.snapshot()
        table = pa.Table.from_batches(held, self.schema).combine_chunks()
        return (table.to_batches() or [pa.RecordBatch.from_pylist([], self.schema)])[0]

    def _in_order(
        self, batch: pa.RecordBatch, heard: list[tuple[int, dict[str, Any]]]
    ) -> Iterator[pa.RecordBatch]:
        """Yield what is new of a batch; take in what was ``heard`` after so many rows just there."""
        start = 0
        for end, event in [*heard, (batch.num_rows, None)]:
            if end > start:
                yield self._fresh(batch.slice(start, end - start))
            start = end
            if event is not None:
                self._heard(event)

    def _fresh(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Leave out what was read before; count the rest."""
        nodes = pc.fill_null(batch.column("node_name"), "").dictionary_encode()
        times = batch.column("time").cast(pa.int64())
        new = self._admit(nodes, times, batch.column("uuid"))
        if not new.all():
            batch = batch.filter(pa.array(new))
        self._ledger.flows += batch.num_rows
        bounds = pc.min_max(batch.column("time").cast(pa.int64()))
        self._ledger.window.add(batch.num_rows, bounds["min"].as_py(), bounds["max"].as_py())
        return batch

    def _admit(self, nodes: pa.DictionaryArray, times: pa.Array, uuids: pa.Array) -> Bools:
        latest = pc.max(times).as_py()
        moments = pc.fill_null(times, 0 if latest is None else latest).to_numpy(zero_copy_only=False)
        codes = nodes.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return self._at.admit(Events(codes, nodes.dictionary.to_pylist(), moments, keys_of(uuids)))

    def _record(self, frame: bytes) -> dict[str, Any] | None:
        try:
            return record(frame)
        except InputError as error:
            self._ledger.add_bad(self._server.address, str(error))
            if self._options.strict:
                raise InputError(f"{self._server.address}: {error}") from error
            return None

    def _fresh_records(self, events: list[dict[str, Any]]) -> Bools:
        """Tell for each event whether it was not read before; what is no flow is told to the ledger."""
        new = np.ones(len(events), bool)
        start = 0
        for place, event in enumerate([*events, {}]):
            if "flow" in event:
                continue
            if place > start:
                new[start:place] = self._fresh_flows([one["flow"] for one in events[start:place]])
            start = place + 1
            kind = next((kind for kind in event if kind in ("lost_events", "node_status")), None)
            if kind is not None:
                tell(self._ledger, kind, event)
                self._heard(event)
        return new

    def _fresh_flows(self, flows: list[dict[str, Any]]) -> Bools:
        times = pa.array([nanoseconds(flow.get("time")) for flow in flows], pa.int64())
        nodes = pa.array([str(flow.get("node_name", "")) for flow in flows], pa.string())
        uuids = pa.array([flow.get("uuid") for flow in flows], pa.string())
        new = self._admit(nodes.dictionary_encode(), times, uuids)
        bounds = pc.min_max(times.filter(pa.array(new)))
        count = int(np.count_nonzero(new))
        self._ledger.flows += count
        self._ledger.window.add(count, bounds["min"].as_py(), bounds["max"].as_py())
        return new

    def _tell_progress(self) -> None:
        if self._options.progress is not None:
            self._options.progress(Progress(self._session.counts.bytes, None, self._ledger.flows))
