"""`flowmine capture`: record a live server, or other captures, as Parquet that every command reads."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowmine.cli.exitcodes import FailOn, fails_on, reading_classes
from flowmine.cli.filters import FilteredCommand
from flowmine.cli.inputs import Capture, capture_inputs
from flowmine.cli.running import BATCH_ROWS, followed, give_memory_back, seconds, stopping

if TYPE_CHECKING:
    from flowmine.ingest.captureredact import Redaction
    from flowmine.ingest.filters import Selection

__all__ = ["capture"]


@click.command(cls=FilteredCommand, short_help="Record flows as Parquet, days of them.")
@capture_inputs
@click.option(
    "-d",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="The folder to record into; what is there is kept, and gone on from.",
)
@click.option(
    "--window",
    callback=seconds,
    metavar="DURATION",
    default="10m",
    show_default=True,
    help="How long one window is; a crash loses no more than the open one.",
)
@click.option(
    "--redact", metavar="ips,pods", default="", help="Replace addresses or pod names by pseudonyms."
)
@click.option(
    "--redact-key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The key of the pseudonyms (default: DIR.redact-key, made at first use); do not pass it on.",
)
@click.option("--retain", metavar="14d|50GB", help="Remove the oldest windows beyond a time or a size.")
@fails_on("capture")
def capture(
    capture: Capture,
    selection: "Selection",
    out: Path,
    window: float,
    redact: str,
    redact_key: Path | None,
    retain: str | None,
    failing: FailOn,
) -> int:
    """Record flows from a live server, or from captures, into a folder that every command reads as INPUT.

    A live server is followed until Ctrl-C or --for. Run again, it goes on where it stopped. Compressed and stored by
    column, a capture is about a fiftieth of its JSON and read several times as fast; `flowmine help capture` shows how to
    query it with DuckDB or pandas.
    """
    from flowmine.edges import telling
    from flowmine.ingest.capture import Cut, Recorder
    from flowmine.ingest.captureretain import Retention, parse_retention
    from flowmine.ingest.capturewindow import Folder, manifest_of, serial_of
    from flowmine.live.feed import Feed
    from flowmine.live.record import record

    retention = parse_retention(retain) if retain else Retention()
    redaction = _redaction(redact, redact_key, out)
    give_memory_back()
    capture = followed(capture)
    with Folder(out) as folder, stopping() as (stopped, when_stopped):
        folder.put_view()
        windows = folder.windows()
        _same_redaction(windows, redaction)
        cursor = manifest_of(max(windows, key=serial_of)).cursor if windows else {}
        with capture.reading(selection, bar=capture.live is None, **_options(capture, cursor)) as reading:
            if capture.live is not None:
                when_stopped(reading.source.stop)  # type: ignore[union-attr]
            feed = Feed(reading.source, cursor, asked=str(selection))
            if feed.other:
                _say(capture, f"{out} holds a capture of other inputs; this one is added to it")
            recorder = Recorder(
                folder, Cut(seconds=window), telling, clock=time.monotonic, redactor=redaction
            )
            events = windows_written = 0
            for written in record(feed, recorder, stopped):
                events, windows_written = written.flows, windows_written + 1
                _prune(capture, folder, retention)
            noun = "window" if windows_written == 1 else "windows"
            reading.tell(f"{events:,} events recorded in {windows_written:,} new {noun} of {out}")
    return failing.code(reading_classes(reading.source.ledger))


def _options(capture: Capture, cursor: dict[str, Any]) -> dict[str, Any]:
    live = {"tick": 1.0, "resume": cursor.get("relay", {})} if capture.live is not None else {}
    return {"batch_rows": BATCH_ROWS, **live}


def _redaction(what: str, key: Path | None, out: Path) -> "Redaction | None":
    """Return the pseudonyms asked for. Raise UsageError for what cannot be replaced, InputError without a key."""
    from flowmine.ingest.captureredact import Redaction, read_key

    if not what:
        return None
    path = key or out.parent / f"{out.name}.redact-key"
    parts = tuple(part.strip() for part in what.split(",") if part.strip())
    made = Redaction(parts, b"\0" * 32)  # an unknown part is told before a key is made
    out.parent.mkdir(parents=True, exist_ok=True)
    return Redaction(made.what, read_key(path))


def _same_redaction(windows: list[Path], redaction: "Redaction | None") -> None:
    """Raise UsageError where a folder's windows are redacted otherwise: one that is passed on must not hold both."""
    from flowmine.errors import UsageError
    from flowmine.ingest.capturewindow import manifest_of

    wanted = redaction.what if redaction else ()
    for window in windows:
        there = manifest_of(window).redacted
        if there != wanted:
            raise UsageError(
                f"{window} has {' and '.join(there) or 'nothing'} redacted, and this run is to redact "
                f"{' and '.join(wanted) or 'nothing'}: record into another folder"
            )


def _prune(capture: Capture, folder: Any, retention: Any) -> None:
    from flowmine.ingest.captureretain import prune

    for path in prune(folder, retention):
        _say(capture, f"{path}: removed, it is beyond what --retain keeps")


def _say(capture: Capture, text: str) -> None:
    if not capture.quiet:
        click.echo(text, err=True)
