"""`flowmine edges`: from a capture to who talked to whom, in every format."""

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from flowmine.cli import main
from flowmine.schema import EDGES
from tests.cli.events import capture, drop, lost, record


def run(*args: str, stdin: str | None = None) -> Result:
    """Run `flowmine edges`."""
    return CliRunner().invoke(main, ["edges", *args], input=stdin)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Two connections that arrived, one that did not, and lost events between."""
    return capture(tmp_path / "flows.jsonl", record(1), lost(2), record(3), drop(4))


def test_the_table_in_a_pipe_is_plain_aligned_text(path: str) -> None:
    """Ends have names, numbers align to the right, reasons are told."""
    assert run(path).stdout.splitlines() == [
        "FROM      TO               PORT      OUTCOME    EVENTS  DELIVERED  DROPPED  WHY                   LAST SEEN (UTC)",
        "shop/web  shop/api         TCP/8080  delivered       2          2        0                        2026-11-18 09:30:03",
        "shop/web  world 192.0.2.9  TCP/443   dropped         1          0        1  POLICY_DENIED egress  2026-11-18 09:30:04",
    ]


def test_json_tells_ends_counts_and_times(path: str) -> None:
    """JSON is one array with all that an edge is, label keys bare."""
    answered, refused = json.loads(run(path, "-o", "json").stdout)
    assert answered["initiator"] == {
        "title": "shop/web",
        "kind": "pod",
        "cluster": "default",
        "namespace": "shop",
        "workload": "Deployment/web",
        "labels": {"app": "web"},
    }
    assert (answered["protocol"], answered["port"], answered["outcome"]) == ("TCP", 8080, "delivered")
    assert (answered["delivered"], answered["events"], answered["last"]) == (2, 2, "2026-11-18T09:30:03.5Z")
    assert refused["responder"]["ip"] == "192.0.2.9"
    assert refused["reasons"] == [
        {"side": "egress", "drop_reason": "POLICY_DENIED", "denied_by": None, "count": 1}
    ]


def test_csv_has_a_row_an_edge(path: str) -> None:
    """CSV parses, with a heading, and says what the table says."""
    rows = list(csv.DictReader(io.StringIO(run(path, "-o", "csv").stdout)))
    assert [(row["initiator"], row["responder_ip"], row["port"], row["outcome"]) for row in rows] == [
        ("shop/web", "", "8080", "delivered"),
        ("shop/web", "192.0.2.9", "443", "dropped"),
    ]


def test_parquet_and_arrow_hold_the_columns_of_the_tables(path: str, tmp_path: Path) -> None:
    """Both hold EDGES as they are and the columns of ENDPOINTS for both ends, to a path and to a pipe."""
    parquet = pq.read_table(io.BytesIO(run(path, "-o", "parquet").stdout_bytes))
    stream = pa.ipc.open_stream(run(path, "-o", "arrow").stdout_bytes).read_all()
    target = tmp_path / "edges.arrow"
    assert run(path, "-o", "arrow", "-d", str(target)).exit_code == 0
    stored = pa.ipc.open_file(target).read_all()
    assert stream.schema.names[: len(EDGES)] == EDGES.names
    assert stream.schema.names == parquet.schema.names
    assert stored == stream
    pairs = zip(
        stored.column("initiator_namespace").to_pylist(),
        stored.column("responder_reserved").to_pylist(),
        strict=True,
    )
    assert sorted(pairs) == [("shop", []), ("shop", ["world"])]


def test_a_path_is_written_whole(path: str, tmp_path: Path) -> None:
    """-d writes the same bytes to a path, and leaves nothing beside it."""
    target = tmp_path / "out" / "edges.csv"
    target.parent.mkdir()
    assert run(path, "-o", "csv", "-d", str(target)).exit_code == 0
    assert target.read_text("utf-8") == run(path, "-o", "csv").stdout
    assert [target] == list(target.parent.iterdir())


def test_a_path_that_cannot_be_written_is_told(path: str, tmp_path: Path) -> None:
    """A folder that is not there is an error in one line."""
    target = tmp_path / "nosuch" / "edges.csv"
    result = run(path, "-q", "-o", "csv", "-d", str(target))
    assert (result.exit_code, result.stderr) == (
        2,
        f"flowmine: {target}: cannot be written: No such file or directory\n",
    )


def test_the_summary_tells_edges(path: str) -> None:
    """stderr ends with how many edges there are, by outcome; lost events are told whatever filters say."""
    assert run(path).stderr.splitlines()[-1] == "2 edges: delivered 1, dropped 1"
    told = run(path, "--verdict", "DROPPED").stderr.splitlines()
    assert (told[0].split(",")[0], told[-1]) == ("1 flow read", "1 edge: dropped 1")
    assert "5 events lost by Hubble: HUBBLE_RING_BUFFER 5" in told


@pytest.mark.parametrize(
    ("filters", "ports"),
    [
        (["--to-port", "443"], ["443"]),
        (["--not", "--to-port", "443"], ["8080"]),
        (["--first", "2"], ["8080"]),
        (["--last", "1"], ["443"]),
        (["--last", "2"], ["443", "8080"]),
        (["--since", "2026-11-18T09:30:04Z"], ["443"]),
        (["--verdict", "FORWARDED", "--last", "1"], ["8080"]),
        (["-n", "other"], []),
    ],
)
def test_filters_choose_what_edges_are_made_of(path: str, filters: list[str], ports: list[str]) -> None:
    """The filters of Hubble apply before edges are made, first and last among them."""
    rows = csv.DictReader(io.StringIO(run(path, "-o", "csv", *filters).stdout))
    assert ports == sorted(row["port"] for row in rows)


def test_last_counts_what_hubble_counts(path: str) -> None:
    """A lost event is one of the last three."""
    (row,) = [row for row in json.loads(run(path, "-o", "json", "--last", "3").stdout) if row["port"] == 8080]
    assert row["events"] == 1


def test_stdin_cannot_be_read_twice(path: str) -> None:
    """The last of a stream that is read once cannot be known before: that is said, not guessed."""
    result = run("-", "--last", "1", stdin="")
    assert (result.exit_code, "stdin can be read once" in result.stderr) == (2, True)


def test_nothing_gives_an_empty_answer(path: str) -> None:
    """Without edges JSON is an empty array, and the table its heading."""
    assert run(path, "-n", "other", "-o", "json").stdout == "[]\n"
    assert run(path, "-n", "other").stdout.startswith("FROM  TO  PORT")


def test_the_same_traffic_gives_the_same_bytes(path: str, tmp_path: Path) -> None:
    """The order of events in files, and of files on the line, changes nothing."""
    other = capture(tmp_path / "b.jsonl", drop(4), record(3))
    one = capture(tmp_path / "a.jsonl", record(1), lost(2))
    for output in ("table", "json", "csv", "parquet", "arrow"):
        answers = {run(*paths, "-o", output).stdout_bytes for paths in ([path], [other, one], [one, other])}
        assert len(answers) == 1, output


def test_files_that_are_no_captures_are_named(tmp_path: Path) -> None:
    """In a folder only captures are read, and the others are named on stderr."""
    capture(tmp_path / "a.jsonl", record(1))
    (tmp_path / "notes.txt").write_text("see you\n")
    result = run(str(tmp_path))
    assert (result.exit_code, any("notes.txt" in line for line in result.stderr.splitlines())) == (0, True)
