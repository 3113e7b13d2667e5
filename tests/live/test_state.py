"""Edges kept in a folder: what a later run and every command find there."""

import io
from pathlib import Path
from typing import Any

import pytest

from flowmine.edges import COLUMNS, Edges, aggregate
from flowmine.errors import InputError, SchemaError
from flowmine.ingest import open_flows
from flowmine.ingest.capturewindow import Folder, manifest_of, windows
from flowmine.live.feed import Feed
from flowmine.live.state import SPAN, Store, load
from flowmine.live.tail import Clocks, Every, Tail
from tests.ingest.making import lines, record
from tests.live.recording import SAMPLES, tables

LINES = [
    lines(record(number, l4={"TCP": {"source_port": 40000, "destination_port": 5432 + number % 7}}))
    for number in range(60)
]


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def followed(
    state: Path,
    *inputs: Any,
    batch_rows: int = 10,
    stop_after: int | None = None,
    clock: Hand | None = None,
    step: float = 0.0,
    checkpoint: float = 0.0,
) -> Tail:
    """Follow inputs to their end, or for so many looks, with state; each look lets the clock go on by ``step``.

    State is written every ``checkpoint`` seconds of that clock.
    """
    hand = clock or Hand()
    with Folder(state) as folder:
        before = load(folder)
        source = open_flows(*inputs, columns=(*COLUMNS, "node_name"), batch_rows=batch_rows)
        tail = Tail(
            Feed(source, before.cursor),
            Every(look=0.0, checkpoint=checkpoint),
            before=before,
            store=Store(folder, clock=hand),
            clocks=Clocks(elapsed=hand, now=lambda: 1794994200.0),
        )
        ticks = 0

        def enough() -> bool:
            nonlocal ticks
            ticks += 1
            hand.at += step
            return stop_after is not None and ticks >= stop_after

        list(tail.ticks(enough))
    return tail


def read(*inputs: str | Path) -> Edges:
    """Return the EDGES of inputs."""
    return aggregate(open_flows(*inputs, columns=COLUMNS))


def differing(one: Edges, other: Edges) -> list[str]:
    """Return the names of the tables in which two differ."""
    return [name for name, table in tables(one).items() if table != tables(other)[name]]


@pytest.mark.parametrize("system", ["linkding", "three-tier", "node"])
def test_state_is_an_input_like_the_capture_it_was_made_of(tmp_path: Path, system: str) -> None:
    """Every table of edges is the same from the folder of state as from the events."""
    followed(tmp_path / "state", SAMPLES / system, batch_rows=700)
    assert differing(read(SAMPLES / system), read(tmp_path / "state")) == []


@pytest.mark.parametrize("after", [1, 2, 5])
def test_a_second_run_goes_on_where_the_first_stopped(tmp_path: Path, after: int) -> None:
    """Stopped in the middle and run again, nothing is lost and nothing counted twice; a third run adds nothing."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"".join(LINES))
    followed(tmp_path / "state", path, stop_after=after)
    assert 10 * after == sum(read(tmp_path / "state").edges["events"].to_pylist())
    for _ in range(2):
        followed(tmp_path / "state", path)
        assert differing(read(path), read(tmp_path / "state")) == []


def test_a_file_that_has_grown_adds_what_is_new(tmp_path: Path) -> None:
    """Events appended since the last run are read, those before them passed over."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"".join(LINES[:25]))
    followed(tmp_path / "state", path)
    path.write_bytes(b"".join(LINES))
    tail = followed(tmp_path / "state", path)
    assert (35, 0, []) == (
        tail.tally.flows,
        tail.tally.changes["edge"],
        differing(read(path), read(tmp_path / "state")),
    )


def test_other_inputs_are_added(tmp_path: Path) -> None:
    """A second capture goes on top of the first, and the feed says that it is another."""
    for name, part in (("a", LINES[:30]), ("b", LINES[30:])):
        (tmp_path / name).write_bytes(b"".join(part))
        followed(tmp_path / "state", tmp_path / name)
    assert differing(read(tmp_path / "a", tmp_path / "b"), read(tmp_path / "state")) == ["ledger"] or (
        differing(read(tmp_path / "a", tmp_path / "b"), read(tmp_path / "state")) == []
    )


def test_streams_cannot_be_passed_over(tmp_path: Path) -> None:
    """What can be read only once is new, whatever is kept: there is no telling how much of it was read before."""
    for part in (LINES[:30], LINES[30:]):
        followed(tmp_path / "state", io.BytesIO(b"".join(part)))
    assert 60 == sum(read(tmp_path / "state").edges["events"].to_pylist())


def test_an_open_window_is_written_again_and_a_closed_one_is_not(tmp_path: Path) -> None:
    """One window a span of time, of each the last generation, however many checkpoints there were."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"".join(LINES))
    followed(tmp_path / "state", path, step=SPAN / 2)
    names = [window.name for window in windows(tmp_path / "state")]
    assert ["000001", "000002", "000003"] == [name.partition("-")[2].partition(".")[0] for name in names]
    assert len(names) == len(
        [each for each in (tmp_path / "state").iterdir() if not each.name.startswith(".")]
    )
    assert differing(read(path), read(tmp_path / "state")) == []


def test_a_window_that_is_full_is_closed_before_the_next_checkpoint(tmp_path: Path) -> None:
    """A capture of many hours read fast has windows of bounded size, whatever the clock says; nothing changes else."""
    path = tmp_path / "in.jsonl"
    events = (
        record(
            number,
            time=f"2026-11-16T{number // 2000:02d}:00:00Z",
            l4={"TCP": {"source_port": 40000, "destination_port": 1 + number % 2000}},
        )
        for number in range(24_000)
    )
    path.write_bytes(lines(*events))
    followed(tmp_path / "state", path, batch_rows=6_000, checkpoint=SPAN)
    counts = [manifest_of(window).flows for window in windows(tmp_path / "state")]
    assert (2, 24_000) == (len(counts), sum(counts))
    assert differing(read(path), read(tmp_path / "state")) == []


def test_state_of_another_version_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    """Nothing is begun beside it: the run ends with the command that migrates."""
    followed(tmp_path / "state", io.BytesIO(LINES[0]))
    (window,) = windows(tmp_path / "state")
    path = window / "manifest.json"
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 1'))
    with pytest.raises(SchemaError, match=r"run `flowmine migrate"):
        followed(tmp_path / "state", io.BytesIO(LINES[1]))


def test_events_cannot_be_had_from_state(tmp_path: Path) -> None:
    """Who asks it for events, or for some of its events, is told that it holds edges."""
    followed(tmp_path / "state", io.BytesIO(b"".join(LINES)))
    with pytest.raises(InputError, match="holds edges, not events"):
        list(open_flows(tmp_path / "state").batches())
    with pytest.raises(InputError, match="holds edges, not events"):
        list(open_flows(tmp_path / "state").records())
    with pytest.raises(InputError, match="no events can be filtered"):
        aggregate(open_flows(tmp_path / "state", keep=lambda _: True))


def test_the_ledger_is_kept_and_told_once(tmp_path: Path) -> None:
    """Lost events count once over two runs, in state as from the file."""
    lost = {
        "lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "12"},
        "node_name": "default/n1",
        "time": "2026-11-18T09:30:00Z",
    }
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"".join((*LINES[:20], lines(lost), *LINES[20:40], lines(lost), *LINES[40:])))
    followed(tmp_path / "state", path, stop_after=3)
    followed(tmp_path / "state", path)
    assert read(path).ledger == read(tmp_path / "state").ledger


def test_the_manifest_of_state_says_what_it_stands_for(tmp_path: Path) -> None:
    """How many events, from when to when, and from where to read on."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"".join(LINES))
    followed(tmp_path / "state", path)
    (window,) = windows(tmp_path / "state")
    found = manifest_of(window)
    assert ("state", 60, 60) == (found.flowmine, found.flows, found.cursor["flows"])
    assert 1794994200 * 10**9 + 456789 == found.first


def test_folding_changes_no_edge(tmp_path: Path) -> None:
    """Days told as hours, and no hours at all, leave every count, outcome and name as it was."""
    from flowmine.edges import empty, merge, partial, settle
    from flowmine.live.fold import folded, timeless

    source = open_flows(SAMPLES / "three-tier", columns=COLUMNS)
    parts = merge([empty(), *map(partial, source.batches())])
    whole = settle(parts, source.endpoints, source.pods, source.ledger.table())
    for fold in (folded, timeless):
        found = settle(fold(parts), source.endpoints, source.pods, source.ledger.table())
        assert set(differing(whole, found)) <= {"hours", "samples"}
        assert fold(fold(parts)).rows.num_rows == fold(parts).rows.num_rows
    assert timeless(parts).rows.num_rows < parts.rows.num_rows


def test_days_are_folded_but_the_last(tmp_path: Path) -> None:
    """A week of hours becomes six days and the hours of the seventh."""
    from flowmine.edges import merge, partial
    from flowmine.live.fold import folded

    week = [record(hour, time=f"2026-11-{16 + hour // 24}T{hour % 24:02d}:00:00Z") for hour in range(7 * 24)]
    source = open_flows(io.BytesIO(lines(*week)), columns=COLUMNS)
    parts = merge([partial(batch) for batch in source.batches()])
    assert (7 * 24, 6 + 24) == (parts.rows.num_rows, folded(parts).rows.num_rows)
    assert sum(parts.rows["events"].to_pylist()) == sum(folded(parts).rows["events"].to_pylist())
