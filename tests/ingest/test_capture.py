"""Recording to windows and reading them again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowmine.errors import InputError, SchemaError, UsageError
from flowmine.ingest import open_flows
from flowmine.ingest.capturemigrate import migrate
from flowmine.ingest.captureretain import Retention, parse_retention, prune
from flowmine.ingest.capturewindow import Folder, manifest_of, windows
from flowmine.schema import FLOWS, VERSION
from tests.ingest.making import flow, lines, record
from tests.live.recording import SAMPLES, edges, flows, recorded, tables

SYSTEMS = ("empire", "linkding", "node", "three-tier")
WIRE = Path(__file__).parents[3] / "shared" / "wire" / "flows.in.jsonl"


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_capture_read_back_is_the_capture_that_was_recorded(tmp_path: Path, system: str) -> None:
    """Every column of every event, and every table that is made of them, is the same as from the files themselves."""
    recorded(tmp_path / "out", SAMPLES / system, events=1000, batch_rows=500)
    assert len(windows(tmp_path / "out")) > 1
    assert flows(SAMPLES / system) == flows(tmp_path / "out")
    there, here = tables(edges(SAMPLES / system)), tables(edges(tmp_path / "out"))
    assert [name for name in there if there[name] != here[name]] == []


@pytest.mark.skipif(not WIRE.exists(), reason="the golden events of ../shared are not here")
def test_every_kind_of_event_survives(tmp_path: Path) -> None:
    """Layer 7, ICMP, SOCK, SCTP, drops and verdicts keep all that FLOWS has of them."""
    recorded(tmp_path / "out", WIRE, events=100, batch_rows=50)
    assert flows(WIRE) == flows(tmp_path / "out")


def test_one_window_by_itself_is_a_capture(tmp_path: Path) -> None:
    """A window, its manifest or several windows named one by one are read as what they hold."""
    recorded(tmp_path / "out", SAMPLES / "three-tier", events=1000, batch_rows=500)
    every = windows(tmp_path / "out")
    parts = [flows(window).num_rows for window in every]
    assert [manifest_of(window).flows for window in every] == parts
    assert flows(every[0] / "manifest.json") == flows(every[0])
    assert flows(SAMPLES / "three-tier") == flows(*every)


def test_a_capture_beside_its_own_files_counts_nothing_twice(tmp_path: Path) -> None:
    """Windows and files are read in step, so that an event in both is told by its uuid."""
    recorded(tmp_path / "out", SAMPLES / "three-tier", events=1000, batch_rows=500)
    source = open_flows(tmp_path / "out", SAMPLES / "three-tier")
    count = sum(batch.num_rows for batch in source.batches())
    assert (flows(SAMPLES / "three-tier").num_rows, count) == (source.ledger.total("duplicate"), count)


def test_only_the_columns_asked_for_are_made(tmp_path: Path) -> None:
    """A reading of two columns has two columns, whatever else it needs on the way."""
    recorded(tmp_path / "out", SAMPLES / "empire")
    found = open_flows(tmp_path / "out", columns=("verdict", "destination_port"))
    assert {tuple(batch.schema.names) for batch in found.batches()} == {("verdict", "destination_port")}


def test_row_groups_outside_the_time_asked_for_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a span only stored groups that touch it are read; their other events may come along."""
    monkeypatch.setattr("flowmine.ingest.capture._ROW_GROUP", 1 << 15)
    events = [flow(number, time=f"2026-11-18T{number // 30000:02d}:00:00Z") for number in range(120_000)]
    recorded(tmp_path / "out", lines(*({"flow": each} for each in events)))
    (window,) = windows(tmp_path / "out")
    groups = pq.ParquetFile(window / "flows.parquet").metadata.num_row_groups
    hour = 1794960000 * 10**9  # 2026-11-18T00:00:00Z
    span = (hour + 3600 * 10**9, hour + 3600 * 10**9)
    found = open_flows(tmp_path / "out", span=span)
    count = sum(batch.num_rows for batch in found.batches())
    assert (4, True) == (groups, 30_000 <= count < 70_000)


def test_the_ledger_comes_along(tmp_path: Path) -> None:
    """Lost events, node status, duplicates and bad lines are told by a capture as by the file it was made of."""
    lost = {
        "lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "12"},
        "node_name": "default/n1",
        "time": "2026-11-18T09:30:00Z",
    }
    gone = {
        "node_status": {"state_change": "NODE_GONE", "node_names": ["default/n2"]},
        "time": "2026-11-18T09:31:00Z",
    }
    content = lines(record(1), lost, record(1), gone, record(2)) + b"{not json\n" + lines(record(3))
    (tmp_path / "in.jsonl").write_bytes(content)
    recorded(tmp_path / "out", tmp_path / "in.jsonl")
    ledgers = []
    for name in ("in.jsonl", "out"):
        source = open_flows(tmp_path / name)
        list(source.batches())
        ledgers.append(source.ledger)
    there, here = ledgers
    assert there.table() == here.table()
    assert (there.flows, there.bad, there.versions) == (here.flows, here.bad, here.versions)
    assert there.named == here.notes


@pytest.mark.parametrize("masked", [(), ("is_reply",), ("node_name", "traffic_direction"), ("event_type",)])
def test_what_a_field_mask_left_out_is_told_by_the_capture_too(
    tmp_path: Path, masked: tuple[str, ...]
) -> None:
    """The fields that no event carries are the same, over several windows."""
    events = [flow(number, **dict.fromkeys(masked)) for number in range(40)]
    content = lines(*({"flow": each} for each in events))
    (tmp_path / "in.jsonl").write_bytes(content)
    recorded(tmp_path / "out", tmp_path / "in.jsonl", events=10, batch_rows=10)
    told = []
    for name in ("in.jsonl", "out"):
        source = open_flows(tmp_path / name)
        list(source.batches())
        told.append(source.ledger.masked)
    assert told[0] == told[1]
    assert set(masked) <= set(told[1])


def test_a_window_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """What a killed writer left is no capture, is not read, and is swept away by the next writer."""
    recorded(tmp_path / "out", SAMPLES / "empire", events=1000, batch_rows=500)
    whole = flows(tmp_path / "out")
    first = windows(tmp_path / "out")[0]
    half = tmp_path / "out" / ".tmp-20261118T000000-000099"
    shutil.copytree(first, half)
    (half / "manifest.json").unlink()
    assert whole == flows(tmp_path / "out")
    with Folder(tmp_path / "out"):
        assert not half.exists()


def test_a_second_writer_is_kept_out(tmp_path: Path) -> None:
    """Two captures into one folder would mix their windows; the second is told so, and may write later."""
    second = Folder(tmp_path / "out")
    with Folder(tmp_path / "out"), pytest.raises(InputError, match="another flowmine is writing there"):
        second.__enter__()
    with Folder(tmp_path / "out") as folder:
        assert folder.windows() == []


def test_of_several_generations_the_last_counts(tmp_path: Path) -> None:
    """A crash between a window's renaming and the removal of the one before it counts nothing twice."""
    recorded(tmp_path / "out", SAMPLES / "empire", events=1000, batch_rows=500)
    whole = flows(tmp_path / "out")
    for window in windows(tmp_path / "out"):
        for generation in (1, 2, 10):
            shutil.copytree(window, window.with_name(f"{window.name}.{generation}"))
    assert whole == flows(tmp_path / "out")
    with Folder(tmp_path / "out") as folder:
        assert {path.suffix for path in folder.windows()} == {".10"}
        assert len(list(folder.path.iterdir())) == len(folder.windows()) + 1  # and the lock
    assert whole == flows(tmp_path / "out")


def older(window: Path) -> None:
    """Make a window what version 1 wrote."""
    path = window / "flows.parquet"
    names = ("source_pod", "destination_pod", "source_identity", "destination_identity")
    pq.write_table(pq.read_table(path).drop_columns(names), path)
    rewrite(window, lambda manifest: {**manifest, "schema": 1})


def rewrite(window: Path, change: Callable[[dict[str, object]], dict[str, object]]) -> None:
    """Change a window's manifest."""
    path = window / "manifest.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def test_another_version_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    """An older window names `flowmine migrate`, a newer one the upgrade; neither is read, and nothing is skipped."""
    recorded(tmp_path / "out", SAMPLES / "empire")
    (window,) = windows(tmp_path / "out")
    older(window)
    with pytest.raises(SchemaError, match=f"version 1.*`flowmine migrate {tmp_path / 'out'}`"):
        open_flows(tmp_path / "out")
    rewrite(window, lambda manifest: {**manifest, "schema": VERSION + 1})
    with pytest.raises(SchemaError, match="pip install --upgrade flowmine"):
        open_flows(tmp_path / "out")


def test_migration_keeps_all_that_was_there(tmp_path: Path) -> None:
    """After it the windows are read, with what the older version did not keep unknown, and nothing is left to do."""
    recorded(tmp_path / "out", SAMPLES / "empire", events=1000, batch_rows=500)
    before = flows(tmp_path / "out")
    for window in windows(tmp_path / "out"):
        older(window)
    assert len(list(migrate(tmp_path / "out"))) == len(windows(tmp_path / "out"))
    after = flows(tmp_path / "out")
    dropped = ("source_pod", "destination_pod", "source_identity", "destination_identity")
    assert before.drop_columns(dropped) == after.drop_columns(dropped)
    assert [after[name].null_count for name in dropped] == [after.num_rows] * 4
    assert list(migrate(tmp_path / "out")) == []


def test_no_way_back_is_said(tmp_path: Path) -> None:
    """A version from which no way leads is an error, and the window stays."""
    recorded(tmp_path / "out", SAMPLES / "empire")
    (window,) = windows(tmp_path / "out")
    rewrite(window, lambda manifest: {**manifest, "schema": 0})
    with pytest.raises(SchemaError, match="no way leads from schema version 0"):
        list(migrate(tmp_path / "out"))
    assert [window] == windows(tmp_path / "out")


def test_a_damaged_window_is_an_error_that_names_it(tmp_path: Path) -> None:
    """A missing or broken file of a finished window never passes for less traffic."""
    recorded(tmp_path / "out", SAMPLES / "empire")
    (window,) = windows(tmp_path / "out")
    (window / "flows.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"flows\.parquet: cannot be read"):
        list(open_flows(tmp_path / "out").batches())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14d", Retention(age=14 * 86400 * 10**9)),
        ("36h", Retention(age=36 * 3600 * 10**9)),
        ("2w", Retention(age=14 * 86400 * 10**9)),
        ("50GB", Retention(size=50 * 10**9)),
        ("1.5 GiB", Retention(size=3 << 29)),
        ("500mb", Retention(size=500 * 10**6)),
    ],
)
def test_how_much_to_keep(text: str, expected: Retention) -> None:
    """Times and sizes, decimal or binary, in any case."""
    assert expected == parse_retention(text)


@pytest.mark.parametrize("text", ["", "14", "d", "0d", "-1d", "14 days", "5m"])
def test_what_is_no_amount_to_keep(text: str) -> None:
    """Anything else is refused with examples."""
    with pytest.raises(UsageError, match="write 36h, 14d"):
        parse_retention(text)


def test_the_oldest_windows_go_first(tmp_path: Path) -> None:
    """Beyond an age or a size windows are removed, oldest first, whole, and never the last one."""
    hours = [flow(number, time=f"2026-11-18T{number:02d}:00:00Z") for number in range(24)]
    recorded(tmp_path / "out", lines(*({"flow": each} for each in hours)), events=1, batch_rows=1)
    assert len(windows(tmp_path / "out")) == 24
    with Folder(tmp_path / "out") as folder:
        assert len(prune(folder, Retention(age=10 * 3600 * 10**9))) == 13
        assert flows(tmp_path / "out").num_rows == 11
        size = sum(each.stat().st_size for window in folder.windows()[-3:] for each in window.iterdir())
        assert len(prune(folder, Retention(size=size))) == 8
        last = folder.windows()[-1]
        assert (len(prune(folder, Retention(age=0))), len(prune(folder, Retention(size=0)))) == (2, 0)
        assert [last] == folder.windows()


def test_a_window_holds_only_its_own_endpoints(tmp_path: Path) -> None:
    """Each window can be passed on by itself: it has the endpoints of its events, and no others."""
    recorded(tmp_path / "out", SAMPLES / "linkding", events=500, batch_rows=250)
    for window in windows(tmp_path / "out"):
        ends = set(pq.read_table(window / "endpoints.parquet")["id"].to_pylist())
        table = pq.read_table(window / "flows.parquet", columns=["source", "destination"])
        used = set(table["source"].to_pylist()) | set(table["destination"].to_pylist())
        assert ends == used - {0}


def test_the_manifest_says_when_and_how_much(tmp_path: Path) -> None:
    """First and last event time, how many, and by which versions of Cilium."""
    recorded(tmp_path / "out", lines(record(1), record(3), record(2)))
    (window,) = windows(tmp_path / "out")
    found = manifest_of(window)
    half_past = 1794994200 * 10**9  # 2026-11-18T09:30:00Z
    assert (half_past + 10_456_789, half_past + 30_456_789) == (found.first, found.last)
    assert (3, {"1.19.4+g1b1c3e2a": 3}, "capture", VERSION) == (
        found.flows,
        found.versions,
        found.flowmine,
        found.schema,
    )


def test_stored_flows_are_plain_parquet(tmp_path: Path) -> None:
    """Any reader of Parquet sees text for enumerations, and times in UTC."""
    recorded(tmp_path / "out", SAMPLES / "three-tier")
    (window,) = windows(tmp_path / "out")
    schema = pq.ParquetFile(window / "flows.parquet").schema
    kinds = {
        schema.column(place).name: str(schema.column(place).logical_type) for place in range(len(schema))
    }
    assert (kinds["verdict"], kinds["source_ip"]) == ("String", "String")
    assert "isAdjustedToUTC=true" in kinds["time"]
    assert pa.schema(FLOWS).names == pq.read_table(window / "flows.parquet").schema.names
