"""Captures and recordings, read the ways in which commands read them."""

import io
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from flowmine.edges import aggregate, telling
from flowmine.ingest import Source, open_flows
from flowmine.ingest.capturewindow import Folder, manifest_of
from flowmine.ingest.division import Reader, Undividable
from flowmine.ingest.filters import matcher
from flowmine.ingest.filters.line import selection_of
from flowmine.ingest.replay.encode import KINDS, encoded
from flowmine.ingest.wire import Decoder, new_endpoints, record
from flowmine.ledger import Ledger
from flowmine.live.feed import Feed
from flowmine.live.state import load
from flowmine.report.hubble import Style, compact, dictionary, node_status, table
from tests.fuzz.samples import captures, compressed, frames, parquets, texts, window

__all__ = ["READERS", "SAMPLES"]

_STYLE = Style()


def _stream(data: bytes) -> None:
    """All columns, then only those that edges are made of, as bytes that can be read once."""
    source = open_flows(io.BytesIO(data), keep_query=True)
    for batch in source.batches():
        batch.validate(full=True)
    assert source.pods.num_rows >= 0 and source.endpoints.num_rows >= 0
    source.ledger.table()
    aggregate(open_flows(io.BytesIO(data)), requests=True)


def _strictly(data: bytes) -> None:
    for _ in open_flows(io.BytesIO(data), strict=True, dedup=False, batch_rows=1).batches():
        pass


def _file(data: bytes) -> None:
    """A file in a folder, recognised by its head; in portions as several processes would read it."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "flows.jsonl")
        path.write_bytes(data)
        aggregate(open_flows(folder))
        with suppress(Undividable):
            _divided(open_flows(path))


def _divided(source: Source) -> None:
    division = source.divided()
    assert division is not None
    reader = Reader(division.settings, telling)
    for portion in division.portions():
        if not portion.is_elsewhere:
            division.own(portion)
            continue
        share, batch = reader.read(portion)
        if batch is not None:
            reader.passed_on(share, batch, division.new(reader.keys(batch)))
        division.join(portion, share)
    division.end([reader.end()[1]])


def _printed(data: bytes) -> None:
    """Each event chosen by filters that look at everything, printed in each form, and sent by a replaying server."""
    keep = matcher(selection_of(["--port", "80", "--not", "--http-path", "x", "--ip", "10.0.0.0/8"]))
    for raw, one, _ in open_flows(io.BytesIO(data)).records():
        keep(one)
        compact(one, _STYLE)
        node_status(one, _STYLE)
        list(dictionary([one], _STYLE))
        list(table([one], _STYLE))
        assert isinstance(raw, bytes)
        for kind in KINDS:
            if kind in one:
                encoded(one, kind)


def _frame(data: bytes) -> None:
    """One message of a stream between others."""
    good = frames()[0]
    decoder = Decoder("stream", Ledger(), new_endpoints(), heard=lambda *_: None)
    batch = decoder.batch([good, data, good])
    batch.validate(full=True)
    assert batch.num_rows >= 2
    decoder.end()
    decoder.endpoints.table()
    record(data)


def _window(kind: str, name: str, data: bytes) -> None:
    """One file of a window, the others as they were."""
    whole = window(kind)
    with TemporaryDirectory() as folder:
        copy = Path(folder, "windows", whole.name)
        copy.mkdir(parents=True)
        for path in whole.iterdir():
            if path.name != name:
                os.link(path, copy / path.name)
        (copy / name).write_bytes(data)
        source = open_flows(copy.parent)
        if name == "manifest.json":
            Feed(source, manifest_of(copy).cursor)
        aggregate(source, requests=True)
        if kind == "capture":
            list(open_flows(copy.parent).records())
        with Folder(copy.parent) as opened:
            if kind == "state":
                load(opened)
        shutil.rmtree(copy)


READERS: dict[str, Callable[[bytes], None]] = {
    "json": _stream,
    "json-strict": _strictly,
    "json-file": _file,
    "json-printed": _printed,
    "compressed": _stream,
    "text": _stream,
    "text-printed": _printed,
    "frame": _frame,
}
SAMPLES: dict[str, Callable[[], tuple[bytes, ...]]] = {
    **dict.fromkeys(("json", "json-strict", "json-file", "json-printed"), captures),
    "compressed": compressed,
    **dict.fromkeys(("text", "text-printed"), texts),
    "frame": frames,
}
_TABLES = {
    "capture": ("flows", "distinct", "places", "endpoints", "pods", "names", "ledger"),
    "state": (
        *("rows", "drops", "deniers", "names", "services", "requests", "folded"),
        *("endpoints", "pods", "ledger"),
    ),
}


def _manifest(kind: str) -> tuple[bytes, ...]:
    return ((window(kind) / "manifest.json").read_bytes(),)


for _kind, _names in _TABLES.items():
    READERS[f"{_kind}-manifest"] = partial(_window, _kind, "manifest.json")
    SAMPLES[f"{_kind}-manifest"] = partial(_manifest, _kind)
    for _name in _names:
        READERS[f"{_kind}-{_name}"] = partial(_window, _kind, f"{_name}.parquet")
        SAMPLES[f"{_kind}-{_name}"] = partial(parquets, _kind, _name)
