"""kill -9 at any moment: every finished window is readable, and the totals are those of the input."""

import subprocess
import sys
from pathlib import Path

import pytest

from flowmine.ingest.capturewindow import windows
from tests.live.recording import edges, flows, tables
from tests.live.test_state import differing, read

KILLS = 100


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of four thousand events."""
    path = tmp_path_factory.mktemp("given") / "in.jsonl"
    command = [sys.executable, "-m", "tests.cluster", "three-tier", "--flows", "4000", "--out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def killed(way: str, given: Path, out: Path) -> int:
    """Kill a hundred runs and let one end; return how many really were killed."""
    command = [
        sys.executable,
        "-W",
        "ignore::DeprecationWarning",
        "-m",
        "tests.live.killed",
        way,
        str(given),
        str(out),
        str(KILLS),
        "7",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (0, "") == (done.returncode, done.stderr)
    return int(done.stdout)


def test_a_hundred_kills_of_a_capture_lose_and_repeat_nothing(given: Path, tmp_path: Path) -> None:
    """Each finished window reads by itself, all of them together are the input, event by event."""
    assert killed("capture", given, tmp_path / "out") > KILLS // 3
    every = windows(tmp_path / "out")
    assert flows(given).num_rows == sum(flows(window).num_rows for window in every)
    assert flows(given) == flows(tmp_path / "out")
    there, here = tables(edges(given)), tables(edges(tmp_path / "out"))
    assert [name for name in there if there[name] != here[name]] == []


def test_a_hundred_kills_of_a_tail_lose_and_repeat_nothing(given: Path, tmp_path: Path) -> None:
    """State has no uuids to tell twice from once: the counts of every edge are those of the input all the same."""
    assert killed("tail", given, tmp_path / "out") > KILLS // 3
    assert windows(tmp_path / "out") != []  # how many depends on how fast the machine is
    assert differing(read(given), read(tmp_path / "out")) == []
