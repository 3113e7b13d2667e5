"""What events of a row group add up to, stored once: the same edges come of it, and nothing is used that is not so."""

import hashlib
import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flowmine.edges import COLUMNS, REQUEST_COLUMNS, Edges, Sum, Sums, settle, tables_of, telling
from flowmine.errors import FlowmineError
from flowmine.ingest import Source, capturegroups, open_flows
from flowmine.ingest.capturedistinct import DISTINCT, OF_REQUESTS, OWN, PLACES, SEAL, SHARED, distinct, seal
from flowmine.ingest.capturefold import Summed, of_distinct
from flowmine.ingest.capturewindow import windows
from flowmine.ingest.division import Reader
from flowmine.scale import aggregate
from flowmine.schema import ENUMS, FLOWS, HOUR
from tests.ingest.making import flow, lines
from tests.live.recording import SAMPLES, recorded
from tests.scale.making import capture, read, told

_LINES = b"".join(capture(6000))


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many events each row group was of which only the uuids were read."""
    rows: list[int] = []

    def noted(*given: object) -> Summed:
        made = Summed(*given)  # type: ignore[arg-type]
        rows.append(made.count)
        return made

    monkeypatch.setattr(capturegroups, "Summed", noted)
    return rows


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many events each row group was that was made of distinct ones by their places."""
    rows: list[int] = []

    def noted(*given: object) -> object:
        made = of_distinct(*given)  # type: ignore[arg-type]
        rows.append(len(made.rows))
        return made

    monkeypatch.setattr(capturegroups, "of_distinct", noted)
    return rows


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of a few thousand events."""
    monkeypatch.setattr("flowmine.ingest.capture._ROW_GROUP", 3000)
    monkeypatch.setattr("flowmine.ingest.capturewindow._ROW_GROUP", 3000)


def apart(*inputs: Path, columns: Sequence[str] = COLUMNS) -> tuple[Edges, Source]:
    """Return the edges of inputs, read as each of several processes reads its portions, and their source."""
    source = open_flows(*inputs, columns=columns)
    division = source.divided()
    assert division is not None
    reader, total = Reader(division.settings, telling), Sum(Sums())
    for portion in division.portions():
        if not portion.is_elsewhere:
            batch, _ = division.own(portion)
            if batch is not None:
                total.add_flows(batch)
            continue
        share, folds = reader.read(portion)
        if folds is not None:
            for batch in reader.passed_on(share, folds, division.new(reader.keys(folds))):
                total.add_flows(batch)
        division.join(portion, share)
    division.end([reader.end()[1]])
    return settle(total.parts(), source.endpoints, source.pods, source.ledger.table()), source


def without(folder: Path, to: Path) -> Path:
    """Return a copy of a recording as earlier versions wrote it."""
    shutil.copytree(folder, to)
    for window in windows(to):
        (window / "distinct.parquet").unlink()
        (window / "places.parquet").unlink()
    return to


def test_all_that_edges_are_made_of_is_shared_or_its_own() -> None:
    """Else what is stored of distinct events would never be of use."""
    assert {*COLUMNS, "node_name"} <= {*SHARED.names, *OWN}
    assert set(REQUEST_COLUMNS) == set(OF_REQUESTS)
    assert not set(SHARED.names) & set(OWN)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("system", ["empire", "linkding", "node", "three-tier"])
def test_edges_are_those_of_a_recording_without(tmp_path: Path, used: list[int], system: str) -> None:
    """Every table and the ledger, read by one process, by two, and from what earlier versions wrote."""
    recorded(tmp_path / "new", SAMPLES / system, events=2500)
    old = without(tmp_path / "new", tmp_path / "old")
    expected = told(read(old, jobs=1))
    assert expected == told(read(old, jobs=2)) == told(apart(old))
    assert [] == used
    assert expected == told(read(tmp_path / "new", jobs=2)) == told(apart(tmp_path / "new"))


@pytest.mark.usefixtures("small")
def test_requests_are_those_of_a_recording_without(tmp_path: Path, placed: list[int]) -> None:
    """What was asked differs where all else is equal: it is read of each event."""
    recorded(tmp_path / "new", _LINES)
    old = without(tmp_path / "new", tmp_path / "old")
    found = []
    for path in (tmp_path / "new", old):
        source = open_flows(path, columns=(*COLUMNS, *REQUEST_COLUMNS))
        found.append((aggregate(source, jobs=1, requests=True), source))
    assert told(found[0]) == told(found[1])
    assert (5997, True) == (sum(placed), found[0][0].requests.num_rows > 20)


@pytest.mark.usefixtures("small")
def test_edges_are_those_of_the_json_that_was_recorded(tmp_path: Path, used: list[int]) -> None:
    """In a capture whose events repeat, all row groups are made of distinct ones."""
    (tmp_path / "flows.jsonl").write_bytes(_LINES)
    recorded(tmp_path / "out", _LINES)
    here, there = told(apart(tmp_path / "out")), told(read(tmp_path / "flows.jsonl", jobs=1))
    assert [] == [name for name in there if name != "told" and here[name] != there[name]]
    assert here["told"].flows == sum(used)


@pytest.mark.usefixtures("small")
def test_events_of_a_recording_count_once_beside_their_files(tmp_path: Path) -> None:
    """Two recordings of the same and a file of half of it: repeated events are told by uuid, by any number of processes."""
    recorded(tmp_path / "a", _LINES, events=2500)
    recorded(tmp_path / "b", _LINES[: len(_LINES) // 2].rpartition(b"\n")[0])
    (tmp_path / "flows.jsonl").write_bytes(_LINES)
    one = read(tmp_path, jobs=1)
    assert told(one) == told(read(tmp_path, jobs=2)) == told(read(tmp_path, jobs=3))
    assert one[1].ledger.total("duplicate") > 8000


def test_events_that_hardly_repeat_have_none(tmp_path: Path, used: list[int]) -> None:
    """Each has a name of its own: nothing is stored twice, and edges are made of the events themselves."""
    names = [flow(number, destination_names=[f"{number}.example.com"]) for number in range(300)]
    recorded(tmp_path / "out", lines(*({"flow": each} for each in names)))
    (window,) = windows(tmp_path / "out")
    assert 0 == pq.read_metadata(window / "distinct.parquet").num_rows
    assert 300 == apart(tmp_path / "out")[1].ledger.flows
    assert [] == used


def test_what_another_program_wrote_again_is_read_itself(tmp_path: Path, used: list[int]) -> None:
    """Verdicts that somebody changed in flows.parquet are those that count, though distinct events say else."""
    recorded(tmp_path / "out", _LINES)
    (window,) = windows(tmp_path / "out")
    path = window / "flows.parquet"
    table = pq.read_table(path)
    verdict = pa.array(["AUDIT"] * table.num_rows)
    pq.write_table(
        table.set_column(table.schema.get_field_index("verdict"), "verdict", verdict),
        path,
        compression="zstd",
    )
    edges, _ = apart(tmp_path / "out")
    assert {"audited"} == set(edges.edges["outcome"].to_pylist())
    assert [] == used


def test_a_seal_is_of_one_file(tmp_path: Path) -> None:
    """Another value in it makes another seal; what is no Parquet has one too."""
    made = []
    for value in (1, 2):
        pq.write_table(pa.table({"a": [value]}), tmp_path / "one")
        made.append(seal(tmp_path / "one"))
    (tmp_path / "one").write_bytes(b"PAR1")
    assert 3 == len({*made, seal(tmp_path / "one")})


def _other(how: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        table = pq.read_table(path)
        pq.write_table(how(table).replace_schema_metadata(table.schema.metadata), path)

    return change


def _places(values: Callable[[pa.ChunkedArray], object]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: pa.table({"place": pa.array(values(table["place"]), pa.uint32())})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("places", _other(_places(lambda old: pc.add(old, 5000).to_pylist()))),
        ("places", _other(_places(lambda old: [None, *old.to_pylist()[1:]]))),
        ("distinct", _other(lambda table: table.slice(1))),
        ("distinct", _other(lambda table: table.set_column(
            table.schema.get_field_index("repeats"), "repeats", pc.add(table["repeats"], 1)))),
        ("distinct", _other(lambda table: table.drop_columns(["verdict"]))),
        ("distinct", _other(lambda table: table.set_column(
            table.schema.get_field_index("verdict"), "verdict", pa.array(["NO SUCH"] * table.num_rows)))),
        ("distinct", lambda path: path.write_bytes(
            path.read_bytes()[:50] + bytes(500) + path.read_bytes()[550:])),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(
    tmp_path: Path, name: str, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a window whose flows are as they were, damage of what lies beside them is an error."""
    recorded(tmp_path / "out", _LINES)
    (window,) = windows(tmp_path / "out")
    change(window / f"{name}.parquet")
    if name == "places":
        monkeypatch.setattr(capturegroups, "SEAL", b"ARROW:schema")
        found = pq.read_metadata(window / "places.parquet").metadata[b"ARROW:schema"]
        monkeypatch.setattr(capturegroups, "seal", lambda path: found)
    with pytest.raises(FlowmineError, match=r"(places|distinct)\.parquet: cannot be read|'verdict'"):
        apart(tmp_path / "out", columns=(*COLUMNS, *REQUEST_COLUMNS) if name == "places" else COLUMNS)


def test_places_of_fewer_events_are_not_used(tmp_path: Path, used: list[int]) -> None:
    """Tables that are not of these row groups are as good as none."""
    recorded(tmp_path / "out", _LINES)
    (window,) = windows(tmp_path / "out")
    shutil.copy(window / "names.parquet", window / "places.parquet")
    assert 5000 < apart(tmp_path / "out")[1].ledger.flows
    assert [] == used


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_row_group_of_very_many_events_is_read_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """It is small on disk, where they are alike, and never whole in memory."""
    recorded(tmp_path / "out", lines({"flow": flow(0, uuid=None)}))
    (window,) = windows(tmp_path / "out")
    event = pq.read_table(window / "flows.parquet")
    many = pa.concat_tables([event] * 1000).combine_chunks()
    pq.write_table(pa.concat_tables([many] * 200), window / "flows.parquet", row_group_size=1 << 20)
    sizes: list[int] = []
    table = capturegroups.conformed
    monkeypatch.setattr(
        capturegroups, "conformed", lambda one, schema: sizes.append(one.num_rows) or table(one, schema)
    )
    edges, source = read(tmp_path / "out", jobs=jobs)
    assert (200_000, [200_000]) == (source.ledger.flows, edges.edges["events"].to_pylist())
    assert (200_000, True) == (sum(sizes), max(sizes) <= 1 << 15)


def test_what_was_read_before_is_left_out_of_what_events_add_up_to(
    tmp_path: Path, used: list[int], placed: list[int]
) -> None:
    """Of a row group some of whose events a file before it had, the others are read after all."""
    half = _LINES[: len(_LINES) // 2].rpartition(b"\n")[0]
    (tmp_path / "a.jsonl").write_bytes(half)
    (tmp_path / "b.jsonl").write_bytes(_LINES)
    recorded(tmp_path / "out", _LINES)
    expected = told(read(tmp_path / "a.jsonl", tmp_path / "b.jsonl", jobs=1))
    found = told(read(tmp_path / "a.jsonl", tmp_path / "out", jobs=1))
    assert found == told(read(tmp_path / "a.jsonl", tmp_path / "out", jobs=2))
    assert [] == [name for name in expected if name != "told" and found[name] != expected[name]]
    assert expected["told"].flows == found["told"].flows
    assert expected["told"].total("duplicate") == found["told"].total("duplicate") > 1000
    assert (1, 1) == (len(used), len(placed))


def test_a_window_of_other_ports_that_tell_is_read_event_by_event(
    tmp_path: Path, used: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was added up by an earlier rule is not used."""
    monkeypatch.setattr("flowmine.ingest.capturewindow.SEAL", b"flows")
    recorded(tmp_path / "out", _LINES)
    assert 5000 < apart(tmp_path / "out")[1].ledger.flows
    assert [] == used


def test_the_seal_is_of_the_ports_that_tell() -> None:
    """Where another port tells something, what was added up before is wrong: the number in SEAL must be another one."""
    told = np.array(np.meshgrid([-1, 0, 1], range(-1, 512), [0, 1])).reshape(3, -1)
    both = telling.untold(told[0], told[1], told[2].astype(bool))
    every = np.arange(-1, 1 << 16)
    made = [*both, *(telling.ports(np.full(len(every), mask), every) for mask in (False, True))]
    digest = hashlib.sha256(
        b"".join(np.packbits(one).tobytes() if one.dtype == bool else one.tobytes() for one in made)
    )
    assert (b"flows, ports 1", "be73afca101f156c") == (SEAL, digest.hexdigest()[:16])


def _texts() -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(["", "a", "b", "a\0b", "\0", "ä"])


_OF = {
    "time": st.sampled_from([0, 1, 2, HOUR - 1, HOUR, 3 * HOUR + 1]),
    "uuid": _texts(),
    "source_ip": _texts(),
    "is_reply": st.none() | st.booleans(),
    "source": st.sampled_from([0, 1, 2**64 - 1]),
    "destination": st.sampled_from([0, 3]),
    "tcp_flags": st.none() | st.sampled_from([0, 2, 16, 18]),
    "verdict": st.sampled_from(["DROPPED", "FORWARDED"]),
    "protocol": st.none() | st.sampled_from(["TCP", "UDP"]),
    "source_port": st.none() | st.sampled_from([0, 80, 32768, 40000, 40001, 65535]),
    "destination_port": st.none() | st.sampled_from([0, 53, 32769, 40000, 65535]),
    "dns_ips": st.lists(st.sampled_from(["", "a", "b"]), max_size=2),
    "source_names": st.none() | st.lists(st.sampled_from(["", "a", "a\0b"]), max_size=2),
}
_NOTHING = {
    **{field.name: None for field in FLOWS},
    **{name: values[0] for name, values in ENUMS.items() if name not in ("protocol", "l7_type")},
    **dict.fromkeys(("source_local", "destination_local"), False),
}
_UNTOLD = ("source_port", "destination_port")


def _flows(rows: list[dict], times: int, chance: object) -> pa.Table:
    rows = [{**_NOTHING, **row} for row in rows] * times
    chance.shuffle(rows)  # type: ignore[attr-defined]
    return pa.Table.from_pylist(rows, FLOWS)


@given(st.lists(st.fixed_dictionaries(_OF), max_size=8), st.integers(1, 8), st.randoms())
def test_an_event_is_the_distinct_one_of_its_place(rows: list[dict], times: int, chance: object) -> None:
    """But for ports that do not tell; each has the earliest and latest of its events, and how many there are."""
    flows = _flows(rows, times, chance)
    made, places = distinct(flows, telling)
    assert (DISTINCT, PLACES) == (made.schema, places.schema)
    if places["place"].null_count == len(flows):
        assert 0 == made.num_rows
        return
    shared = [name for name in SHARED.names if name not in _UNTOLD]
    assert flows.select(shared) == made.select(shared).take(places["place"])
    by_place: dict[int, list[dict]] = {}
    for place, row in zip(places["place"].to_pylist(), _plain(flows), strict=True):
        by_place.setdefault(place, []).append(row)
    assert list(range(made.num_rows)) == sorted(by_place)
    for place, one in enumerate(_plain(made)):
        every = by_place[place]
        times_of = [row["time"] for row in every]
        assert (min(times_of), max(times_of), len(every)) == (one["time"], one["last"], one["repeats"])
        assert 1 == len({at // HOUR for at in times_of})
        uuids = {row["uuid"] for row in every if row["time"] == one["time"]}
        assert one["uuid"] == min(uuids, key=lambda text: (text is None, (text or "").encode()))


def _plain(table: pa.Table) -> list[dict]:
    """Return rows with times as integers."""
    for field in table.schema:
        if pa.types.is_timestamp(field.type):
            place = table.schema.get_field_index(field.name)
            table = table.set_column(place, field.name, table[field.name].cast(pa.int64()))
    return list(table.to_pylist())


@given(st.lists(st.fixed_dictionaries(_OF), min_size=1, max_size=8), st.integers(2, 8), st.randoms())
def test_distinct_events_add_up_to_what_all_do(rows: list[dict], times: int, chance: object) -> None:
    """Whatever ports, flags, hours and uuids they have, and however many are at the same time."""
    flows = _flows(rows, times, chance)
    made, _ = distinct(flows, telling)
    assume(made.num_rows)  # but for lists that cannot be told apart
    sums = []
    for table in (flows.select(COLUMNS), made.select([*COLUMNS, "last", "repeats"])):
        total = Sum(Sums())
        for batch in table.combine_chunks().to_batches():
            total.add_flows(batch)
        sums.append(tables_of(total.parts()))
    found, expected = ({name: sorted(map(str, _plain(one[name]))) for name in one} for one in sums)
    assert expected == found


def test_distinct_events_of_a_capture_are_a_fraction() -> None:
    """What is stored besides is worth it: most events are like another."""
    flows = pa.Table.from_batches(open_flows(io.BytesIO(_LINES)).batches())
    assert 0 < distinct(flows, telling)[0].num_rows * 3 < flows.num_rows
