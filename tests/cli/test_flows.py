"""`flowmine flows`: events as Hubble prints them, in every layout, with talk on stderr."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowmine.cli import main
from tests.cli.events import capture, drop, flow, lost, record

SHARED = Path(__file__).parents[3] / "shared"
WIRE = SHARED / "wire"
LINE = "shop/web-7d9c8b6f5d-x2x7k:40000 (ID:25001) -> shop/api-7d9c8b6f5d-x2x7k:8080 (ID:25002) to-endpoint FORWARDED (TCP Flags: SYN)"

needs_wire = pytest.mark.skipif(not WIRE.is_dir(), reason="../shared/wire, Hubble's own output, is not here")


def run(*args: str, stdin: str | None = None) -> Result:
    """Run `flowmine flows`."""
    return CliRunner().invoke(main, ["flows", *args], input=stdin)


@needs_wire
@pytest.mark.parametrize(
    ("options", "name"),
    [
        ("", "compact.txt"),
        ("-o compact --numeric --print-node-name --time-format RFC3339Nano", "compact-numeric.txt"),
        ("-o dict", "dict.txt"),
        ("-o table", "tab.txt"),
        ("-o tab --color always", "tab.txt"),
        ("-o json", "flows.jsonl"),
        ("-o jsonpb", "flows.jsonl"),
    ],
)
def test_the_golden_capture_is_printed_as_hubble_printed_it(options: str, name: str) -> None:
    """Byte for byte, in every layout, from the file to stdout."""
    result = run(str(WIRE / "flows.in.jsonl"), *options.split())
    assert (result.exit_code, result.stdout_bytes) == (0, (WIRE / name).read_bytes())


@needs_wire
def test_a_recorded_line_selects_through_the_whole_command() -> None:
    """Lines of Hubble's own answers select the same events read from the file."""
    answers = [
        json.loads(line) for line in (SHARED / "hubble-cli" / "filters.jsonl").read_text("utf-8").splitlines()
    ]
    for answer in answers[::6]:
        result = run(str(WIRE / "flows.in.jsonl"), "-q", "-o", "json", *answer["args"])
        printed = [json.loads(line) for line in result.stdout.splitlines()]
        assert answer["uuids"] == [one["flow"].get("uuid", "") for one in printed if "flow" in one], answer[
            "args"
        ]


def test_what_was_read_is_told_on_stderr(tmp_path: Path) -> None:
    """Data is on stdout; the summary, what could not be read and what Hubble lost on stderr."""
    path = capture(tmp_path / "flows.jsonl", record(1), lost(2), record(9))
    with (tmp_path / "flows.jsonl").open("a") as file:
        file.write("{broken\n")
        file.write(json.dumps(record(10)) + "\n")
    result = run(path)
    told = result.stderr.splitlines()
    assert [f"Nov 18 09:30:{second}.500: {LINE}" for second in ("01", "09", "10")] == [
        line for line in result.stdout.splitlines() if "LOST" not in line
    ]
    assert told[0] == "3 flows read, from 2026-11-18T09:30:01Z to 2026-11-18T09:30:10Z (9 seconds)"
    assert told[1].startswith("1 line skipped: ")
    assert told[2].startswith(f"  {path}:4: ")
    assert told[3] == "5 events lost by Hubble: HUBBLE_RING_BUFFER 5"


def test_quiet_says_nothing_on_stderr(tmp_path: Path) -> None:
    """-q leaves the data alone."""
    assert run("-q", capture(tmp_path / "a.jsonl", record(1))).stderr == ""


def test_strict_makes_the_first_bad_line_an_error(tmp_path: Path) -> None:
    """With --strict the line is named and nothing is printed as if it were all."""
    path = capture(tmp_path / "a.jsonl", record(1))
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write("{broken\n")
        file.write(json.dumps(record(2)) + "\n")
    result = run("--strict", path)
    assert (result.exit_code, result.stderr.startswith(f"flowmine: {path}:2: ")) == (2, True)


def test_repeated_events_are_printed_as_often(tmp_path: Path) -> None:
    """An event that a capture holds twice is printed twice, as Hubble would."""
    assert len(run(capture(tmp_path / "a.jsonl", record(1), record(1))).stdout.splitlines()) == 2


def test_stdin_and_bare_flows_are_read() -> None:
    """A dash is stdin; a flow without its wrapper gets it in JSON."""
    result = run("-", "-o", "json", stdin=json.dumps(flow(1)) + "\n")
    assert json.loads(result.stdout) == record(1)


def test_first_and_last_count_every_kind_of_event(tmp_path: Path) -> None:
    """Lost events count among the first and the last, as in Hubble."""
    path = capture(tmp_path / "a.jsonl", record(1), lost(2), record(3), drop(4))
    assert [line[:19] for line in run(path, "--first", "2").stdout.splitlines()] == [
        "Nov 18 09:30:01.500",
        "Nov 18 09:30:02.500",
    ][:2]
    assert [line[:19] for line in run(path, "--last", "3").stdout.splitlines()] == [
        "Nov 18 09:30:02.500",
        "Nov 18 09:30:03.500",
        "Nov 18 09:30:04.500",
    ]
    assert len(run(path, "--last", "9").stdout.splitlines()) == 4


def test_trouble_with_nodes_goes_to_stderr(tmp_path: Path) -> None:
    """A node that failed is told on stderr, in JSON where JSON was asked for; one that came is not."""
    states = ("NODE_CONNECTED", "NODE_ERROR")
    records = [
        {"node_status": {"state_change": state, "node_names": ["a"], "message": "no"}, "node_name": "relay"}
        for state in states
    ]
    path = capture(tmp_path / "a.jsonl", *records, record(1))
    compact, as_json = run(path), run(path, "-o", "json")
    assert compact.stderr.splitlines()[0] == 'N/A [relay]: Error "no" on 1 nodes: a'
    assert json.loads(as_json.stderr.splitlines()[0]) == records[1]
    assert len(compact.stdout.splitlines()) == len(as_json.stdout.splitlines()) == 1


def test_times_and_colours_as_asked_for(tmp_path: Path) -> None:
    """--time-format takes Hubble's names in any case, --color always paints, a pipe is plain by itself."""
    path = capture(tmp_path / "a.jsonl", record(1))
    assert run(path, "--time-format", "rfc3339").stdout.startswith("2026-11-18T09:30:01Z: ")
    assert "\x1b[32mFORWARDED\x1b[0m" in run(path, "--color", "always").stdout
    assert "\x1b" not in run(path).output


def test_an_input_is_needed() -> None:
    """Without INPUT and without a server the command says so."""
    result = run("-n", "shop")
    assert (result.exit_code, "no input: name a capture" in result.stderr) == (2, True)


def test_following_a_capture_is_told_to_have_no_effect(tmp_path: Path) -> None:
    """--follow is taken, for pasted lines hold it, and said to do nothing."""
    result = run(capture(tmp_path / "a.jsonl", record(1)), "-f", "-q")
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == "flowmine: --follow has no effect on captures; they are read to their end\n"
