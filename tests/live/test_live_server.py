"""Recording and following a live server, over real sockets: stopped, resumed, killed, nothing lost or counted twice."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from flowmine.edges import COLUMNS, aggregate, telling
from flowmine.ingest import open_flows
from flowmine.ingest.capture import Cut, Recorder
from flowmine.ingest.capturewindow import Folder, manifest_of, serial_of, windows
from flowmine.ingest.replay import Pace, Replay
from flowmine.live.feed import Feed
from flowmine.live.record import record
from flowmine.live.state import Store, load
from flowmine.live.tail import Every, Tail
from tests.ingest.making import lines
from tests.ingest.making import record as made
from tests.ingest.relaying import events, relay, stamp
from tests.live.recording import flows

COUNT = 3000
PACE = Pace(rate=1500)


def expected() -> list[str]:
    """Return the uuids of all events, sorted."""
    return sorted(made(number)["flow"]["uuid"] for number in range(COUNT))


def recording(address: str, out: Path, *, enough: int = COUNT) -> None:
    """Record a server into a folder, on from where the last recording stopped, until so many events are there."""
    with Folder(out) as folder:
        paths = folder.windows()
        held = sum(manifest_of(path).flows for path in paths)
        cursor: dict[str, Any] = manifest_of(max(paths, key=serial_of)).cursor if paths else {}
        source = relay(address, follow=True, batch_rows=300, tick=0.05, resume=cursor.get("relay", {}))
        feed = Feed(source, cursor)
        recorder = Recorder(folder, Cut(1e9, 600), telling, clock=lambda: 0.0)
        for _ in record(feed, recorder, lambda: held + feed.flows >= enough):
            pass


@pytest.mark.parametrize("enough", [1, 700, 1500])
def test_a_recording_goes_on_where_it_stopped(tmp_path: Path, enough: int) -> None:
    """Stopped in the middle and begun again, the windows hold every event once."""
    with Replay(events(COUNT), pace=PACE) as server:
        recording(server.address, tmp_path / "out", enough=enough)
        assert enough <= flows(tmp_path / "out").num_rows
        recording(server.address, tmp_path / "out")
    assert expected() == sorted(flows(tmp_path / "out")["uuid"].to_pylist())


def test_a_crash_loses_the_open_window_and_the_next_run_reads_it_again(tmp_path: Path) -> None:
    """The cursor is that of the last finished window, so that what was in the open one comes again."""
    with Replay(events(COUNT), pace=PACE) as server:
        with Folder(tmp_path / "out") as folder:
            recorder = Recorder(folder, Cut(1e9, 600), telling, clock=lambda: 0.0)
            run = record(Feed(relay(server.address, follow=True, batch_rows=300, tick=0.05)), recorder)
            next(run)
            run.close()  # as if killed: the open window is never finished
        held = flows(tmp_path / "out").num_rows
        recording(server.address, tmp_path / "out")
    assert held >= 600
    assert expected() == sorted(flows(tmp_path / "out")["uuid"].to_pylist())


def following(address: str, state: Path, *, enough: int = COUNT) -> Tail:
    """Follow a server with state, on from where the last run stopped, until so many events are there."""
    with Folder(state) as folder:
        before = load(folder)
        resume = before.cursor.get("relay", {})
        columns = (*COLUMNS, "node_name")
        source = relay(address, columns=columns, follow=True, batch_rows=300, tick=0.05, resume=resume)
        feed = Feed(source, before.cursor)
        store = Store(folder, clock=lambda: 0.0)
        tail = Tail(feed, Every(look=0.0, checkpoint=0.0), before=before, store=store)
        list(tail.ticks(lambda: before.ledger.flows + feed.flows >= enough))
    return tail


@pytest.mark.parametrize("enough", [1, 700, 1500])
def test_edges_of_two_runs_are_those_of_one(tmp_path: Path, enough: int) -> None:
    """Counts of events add up to all there were."""
    with Replay(events(COUNT), pace=PACE) as server:
        first = following(server.address, tmp_path / "state", enough=enough)
        tail = following(server.address, tmp_path / "state")
    assert (True, COUNT) == (first.tally.flows >= enough, first.tally.flows + tail.tally.flows)
    content = lines(*(made(n, time=stamp(n), node_name=f"default/node-{n % 2}") for n in range(COUNT)))
    there = aggregate(open_flows(io.BytesIO(content), columns=COLUMNS)).edges
    assert there == tail.edges.edges
    assert there == aggregate(open_flows(tmp_path / "state", columns=COLUMNS)).edges


def test_a_cursor_survives_as_json(tmp_path: Path) -> None:
    """What a window keeps of a server's nodes is what the next run resumes from, to the last bit of a uuid's key."""
    with Replay(events(COUNT)) as server:
        source = relay(server.address, batch_rows=300, tick=0.05)
        feed = Feed(source)
        list(feed.batches())
        kept = json.loads(json.dumps(feed.cursor))
        assert {name: tuple(cursor) for name, cursor in kept["relay"].items()} == source.cursors
        again = relay(server.address, batch_rows=300, tick=0.05, resume=kept["relay"])
        assert 0 == sum(batch.num_rows for batch in again.batches())


def test_windows_of_a_quiet_server_are_cut_by_the_clock(tmp_path: Path) -> None:
    """A server that sends little still has its windows finished in time: empty batches let time be seen to pass."""
    at = iter(range(0, 1 << 30, 40))
    with Replay(events(10)) as server, Folder(tmp_path / "out") as folder:
        source = relay(server.address, follow=True, lasting=1.0, tick=0.05, resume={})
        recorder = Recorder(folder, Cut(seconds=100.0), telling, clock=lambda: float(next(at)))
        for _ in record(Feed(source), recorder):
            pass
    assert all(manifest_of(window).flows for window in windows(tmp_path / "out"))
