"""Record FLOWS to windows: folders of Parquet that every command reads again.

| file             | holds                                                            |
|------------------|------------------------------------------------------------------|
| flows.parquet    | FLOWS, in the order of reading                                   |
| distinct.parquet | what these add up to (`flowmine.ingest.capturedistinct`)         |
| places.parquet   | which of these each event is                                     |
| endpoints.parquet| ENDPOINTS that are an end of any of them                         |
| pods.parquet     | PODS of these                                                    |
| names.parquet    | NAMES: who got which name for which address                      |
| ledger.parquet   | LEDGER: what was lost, skipped or repeated meanwhile             |
| manifest.json    | schema version, bounds, and where the source is to be read on    |

A crash loses the open window and nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.ingest.capturedistinct import distinct
from flowmine.ingest.capturewindow import Folder, Manifest, Pending
from flowmine.ingest.folding import Telling
from flowmine.ledger import Ledger
from flowmine.schema import ENUMS, FLOWS, NAMES

__all__ = ["Cut", "Recorder", "Redactor", "manifest_of_ledger", "since"]

_ROW_GROUP = 1 << 17


class Redactor(Protocol):
    """What replaces private values by pseudonyms: `flowmine.ingest.captureredact.Redaction`."""

    @property
    def what(self) -> tuple[str, ...]: ...
    def flows(self, batch: pa.RecordBatch, endpoints: Callable[[], pa.Table]) -> pa.RecordBatch: ...
    def beside(self, tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]: ...
    @property
    def text(self) -> Callable[[str], str]: ...


@dataclass(frozen=True, slots=True)
class Cut:
    """When a window is full: after so many seconds of the clock, or so many events."""

    seconds: float = 600.0
    events: int = 1 << 21


class Recorder:
    """Writes batches to the windows of a folder, one after the other."""

    def __init__(
        self,
        folder: Folder,
        cut: Cut,
        telling: Telling,
        *,
        clock: Callable[[], float],
        redactor: Redactor | None = None,
    ) -> None:
        """Write to a folder that is entered; ``telling`` says which events are alike, ``clock`` counts seconds."""
        self._folder, self._cut, self._telling, self._clock = folder, cut, telling, clock
        self._redactor = redactor
        self._serial = folder.next_serial()
        self._before = Ledger()
        self._latest = 0
        self._open()

    def _open(self) -> None:
        self._pending: Pending | None = None
        self._begun = self._clock()
        self._held: list[pa.RecordBatch] = []
        self._names: list[pa.Table] = []
        self._rows = self._held_rows = 0
        self._first: int | None = None
        self._last: int | None = None
        self._ids = np.zeros(0, np.uint64)
        self._expected: set[str] = set()
        self._carried: set[str] = set()

    @property
    def events(self) -> int:
        """How many events the open window has."""
        return self._rows

    @property
    def due(self) -> bool:
        """Whether the open window is full."""
        return self._rows >= self._cut.events or self._clock() - self._begun >= self._cut.seconds

    def add(self, batch: pa.RecordBatch, names: pa.Table, endpoints: Callable[[], pa.Table]) -> None:
        """Add events, all columns of FLOWS, and the NAMES that they tell; ``endpoints`` returns the ENDPOINTS so far."""
        if not batch.num_rows:
            return
        self._rows += batch.num_rows
        bounds = pc.min_max(batch.column("time").cast(pa.int64()))
        first, last = bounds["min"].as_py(), bounds["max"].as_py()
        if first is not None:
            self._first = first if self._first is None else min(self._first, first)
            self._last = last if self._last is None else max(self._last, last)
        ends = [batch.column(name).to_numpy(zero_copy_only=False) for name in ("source", "destination")]
        self._ids = np.unique(np.concatenate([self._ids, *ends]))
        self._look(batch)
        if names.num_rows:
            self._names = [_added_up([*self._names, names])]
        self._held.append(batch if self._redactor is None else self._redactor.flows(batch, endpoints))
        self._held_rows += batch.num_rows
        if self._held_rows >= _ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._held, FLOWS)
        self._held, self._held_rows = [], 0
        if self._pending is None:
            self._pending = Pending(self._folder.path, self._name())
        for start in range(0, max(1, table.num_rows), _ROW_GROUP):
            group = table.slice(start, _ROW_GROUP)
            shared, places = distinct(group, self._telling)
            for name, rows in (("flows", group), ("distinct", shared), ("places", places)):
                self._pending.write(name, rows)

    def _name(self) -> str:
        first = datetime.fromtimestamp((self._first or self._latest) // 10**9, UTC)
        return f"{first:%Y%m%dT%H%M%S}-{self._serial:06}"

    def _look(self, batch: pa.RecordBatch) -> None:
        """Note which fields the events carry, and which they should."""
        for name, carries in _CARRIES.items():
            if name not in self._carried and carries(batch):
                self._carried.add(name)
        for name, expects in _EXPECTS.items():
            if name not in self._expected and expects(batch):
                self._expected.add(name)

    def close(
        self, endpoints: pa.Table, pods: pa.Table, ledger: Ledger, cursor: Mapping[str, Any]
    ) -> Path | None:
        """Finish the open window and open the next; None where there is nothing to keep.

        The tables and the ledger are the source's so far; of them the window takes what is its own.
        """
        told = since(ledger, self._before)
        if not self._rows and not told.entries:
            self._open()
            return None
        if self._held or self._pending is None:
            self._flush()
        assert self._pending is not None
        ids = pa.array(self._ids)
        beside = {
            "endpoints": endpoints.filter(pc.is_in(endpoints["id"], value_set=ids)),
            "pods": pods.filter(pc.is_in(pods["endpoint"], value_set=ids)),
            "names": _added_up(self._names),
            "ledger": told.table().filter(pc.not_equal(told.table()["kind"], "masked")),
        }
        carried = self._carried | _carried_by_ends(beside["endpoints"], beside["pods"])
        for name, table in (beside if self._redactor is None else self._redactor.beside(beside)).items():
            self._pending.write(name, table)
        manifest = manifest_of_ledger("capture", told)
        manifest = replace(
            manifest,
            notes=tuple(map(self._redactor.text, manifest.notes)) if self._redactor else manifest.notes,
            first=self._first,
            last=self._last,
            flows=self._rows,
            redacted=self._redactor.what if self._redactor else (),
            expected=tuple(sorted(self._expected)),
            carried=tuple(sorted(carried)),
            cursor=dict(cursor),
        )
        path = self._pending.finish(manifest)
        self._before = ledger.merge([])
        self._latest = self._last or self._latest
        self._serial += 1
        self._open()
        return path

    def skip(self, ledger: Ledger) -> None:
        """Leave out of the next window what the ledger tells so far: an earlier window told it."""
        self._before = ledger.merge([])

    def abandon(self) -> None:
        """Leave nothing of the open window."""
        if self._pending is not None:
            self._pending.abandon()
            self._pending = None


def since(now: Ledger, before: Ledger) -> Ledger:
    """Return what a ledger tells beyond what it told before; times of what went on are those of the whole."""
    made = Ledger(
        flows=now.flows - before.flows,
        bad=now.bad - before.bad,
        named=now.named[len(before.named) :],
        notes=now.notes[len(before.notes) :],
        texts=list(now.texts),
    )
    for (node, kind, source), entry in now.entries.items():
        told = before.entries.get((node, kind, source))
        if count := entry.count - (told.count if told else 0):
            first = entry.first if told is None else told.last or entry.first
            made.add(kind, source, node=node, count=count, first=first, last=entry.last)
    for version, count in now.versions.items():
        if more := count - before.versions.get(version, 0):
            made.versions[version] = more
    made.window.add(now.window.count - before.window.count, now.window.first, now.window.last)
    return made


def manifest_of_ledger(kind: str, told: Ledger) -> Manifest:
    """Return a manifest with what a ledger says and its table does not."""
    return Manifest(
        flowmine=kind,
        first=told.window.first,
        last=told.window.last,
        flows=told.flows,
        bad=told.bad,
        versions=told.versions,
        texts=tuple(told.texts),
        notes=(*told.named, *(note for note in told.notes if ": left out: " not in note)),
    )


def _added_up(tables: list[pa.Table]) -> pa.Table:
    table = pa.concat_tables([NAMES.empty_table(), *(each.cast(NAMES) for each in tables)])
    keys = ["subject", "ip", "name", "source"]
    made = table.group_by(keys, use_threads=False).aggregate([("first", "min"), ("last", "max")])
    return made.rename_columns([*keys, "first", "last"]).cast(NAMES)


_FORWARDED = ENUMS["verdict"].index("FORWARDED")
_TRACE = 4


def _any(column: pa.Array) -> bool:
    return int(column.null_count) < len(column)


def _known(name: str) -> Callable[[pa.RecordBatch], bool]:
    def carries(batch: pa.RecordBatch) -> bool:
        codes = batch.column(name).indices.to_numpy(zero_copy_only=False)
        return bool((codes > 0).any())

    return carries


_CARRIES: dict[str, Callable[[pa.RecordBatch], bool]] = {
    "time": lambda batch: _any(batch.column("time")),
    "verdict": _known("verdict"),
    "IP": lambda batch: _any(batch.column("source_ip")) or _any(batch.column("destination_ip")),
    "l4": lambda batch: _any(batch.column("protocol")),
    "Type": _known("Type"),
    "node_name": lambda batch: _any(batch.column("node_name")),
    "event_type": lambda batch: _any(batch.column("event_type")),
    "traffic_direction": _known("traffic_direction"),
    "trace_observation_point": _known("trace_observation_point"),
    "is_reply": lambda batch: _any(batch.column("is_reply")),
}
"""Field -> whether any event carries it (as `flowmine.ingest.masks` has it)."""

_EXPECTS: dict[str, Callable[[pa.RecordBatch], bool]] = {
    **dict.fromkeys(
        (
            *(name for name in _CARRIES if name not in ("trace_observation_point", "is_reply")),
            *("labels", "identity", "ID", "pod_name", "namespace"),
        ),
        lambda batch: batch.num_rows > 0,
    ),
    "trace_observation_point": lambda batch: bool(
        pc.any(pc.equal(pc.fill_null(batch.column("event_type"), _TRACE), _TRACE)).as_py()
    ),
    "is_reply": lambda batch: bool(pc.any(pc.equal(batch.column("verdict").indices, _FORWARDED)).as_py()),
}


def _carried_by_ends(endpoints: pa.Table, pods: pa.Table) -> set[str]:
    told = {
        "labels": pc.any(pc.greater(pc.list_value_length(endpoints["labels"]), 0)).as_py(),
        "identity": pc.any(pc.greater(pc.list_value_length(endpoints["identities"]), 0)).as_py(),
        "namespace": pc.any(pc.not_equal(endpoints["namespace"], "")).as_py(),
        "pod_name": pods.num_rows > 0,
        "ID": pc.any(pods["local"]).as_py(),
    }
    return {name for name, carried in told.items() if carried}
