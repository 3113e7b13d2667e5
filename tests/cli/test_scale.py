"""The options of scale: any engine gives the same output, and folded peers are told."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from flowmine.cli import main, scaleoptions
from flowmine.edges import MAX_PEERS
from tests.cli.events import capture, record


def _capture(folder: Path) -> Path:
    outside = {"identity": 2, "labels": ["reserved:world"]}
    events = [
        record(n, source=outside, IP={"source": f"192.0.2.{n}", "destination": "10.0.0.2"}) for n in range(30)
    ]
    return capture(folder / "flows.json", record(59), *events)


@pytest.mark.parametrize("command", ["edges", "recommend", "drops", "report", "simulate", "explain"])
def test_commands_that_make_edges_have_the_options(command: str) -> None:
    """Their help names all four."""
    shown = CliRunner().invoke(main, [command, "--help"]).output
    assert [] == [name for name in ("--jobs", "--engine", "--scheduler", "--max-peers") if name not in shown]


def test_several_processes_print_what_one_prints(tmp_path: Path) -> None:
    """Output, summary and exit code are the same."""
    path = str(_capture(tmp_path))
    one, two = (CliRunner().invoke(main, ["edges", path, "-o", "csv", "-j", jobs]) for jobs in ("1", "2"))
    assert (0, one.stdout, one.stderr) == (two.exit_code, two.stdout, two.stderr)


def test_folded_peers_are_told_with_the_workload_and_the_option(tmp_path: Path) -> None:
    """With five outside peers kept of 30, the summary says how many events are in no edge, and of whom."""
    done = CliRunner().invoke(main, ["edges", str(_capture(tmp_path)), "--max-peers", "5", "-o", "csv"])
    assert 1 + 5 + 1 == len(done.stdout.splitlines())
    assert (
        "25 events were with peers beyond --max-peers 5 of a workload, and are in no edge: default/shop/api\n"
        in done.stderr
    )


def test_a_scheduler_needs_its_engine(tmp_path: Path) -> None:
    """An address of a scheduler without Dask is an error of usage."""
    done = CliRunner().invoke(main, ["edges", str(_capture(tmp_path)), "--scheduler", "tcp://127.0.0.1:1"])
    assert (2, True) == (done.exit_code, "--engine dask" in done.stderr)


def test_the_default_is_that_of_the_library() -> None:
    """The number that help shows is the one that is used without the command line."""
    assert MAX_PEERS == scaleoptions._MAX_PEERS
