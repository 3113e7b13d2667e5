"""Processes started before the inputs are opened: only where they will read, and none stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowmine.cli import main
from flowmine.scale.readers import Readers, known_early, worth
from tests.scale.making import capture, read, told

_PART = 256 << 20


def _children() -> list[str]:
    found = subprocess.run(
        ["ps", "-ww", "-o", "args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    return [line for line in found.stdout.splitlines() if "flowmine.scale" in line]


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """Return a small capture."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(capture(300)))
    return path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the number of processes whenever some are started."""
    counts: list[int] = []
    init = Readers.__init__

    def counting(self: Readers, others: int, *, compiled: bool = False) -> None:
        counts.append(others)
        init(self, others, compiled=compiled)

    monkeypatch.setattr(Readers, "__init__", counting)
    return counts


def test_sizes_tell_early_how_many_processes_will_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as there are cores and quarters of a gigabyte of different files; one where more than sizes must be known."""
    monkeypatch.setattr("flowmine.scale.readers._cores", lambda: 2)
    large, small, link, packed = (tmp_path / name for name in ("large", "small", "link", "packed.gz"))
    for path, size in ((large, 2 * _PART), (small, _PART), (packed, _PART // 4)):
        with path.open("wb") as out:
            out.truncate(size)
    os.link(small, link)
    names = {
        "large": [large],
        "both": [small, large],
        "twice": [small, link],
        "folder": [tmp_path, large],
        "packed": [packed],
    }
    names |= {"none": [], "missing": [large, tmp_path / "missing"], "pattern": [tmp_path / "l*"]}
    expected = {
        "large": 2,
        "both": 2,
        "twice": 1,
        "folder": 1,
        "none": 1,
        "missing": 1,
        "pattern": 1,
        "packed": 2,
    }
    sizes = {name: known_early([str(path) for path in paths]) for name, paths in names.items()}
    assert expected == {name: worth(size) for name, size in sizes.items()}
    assert {"folder", "none", "missing", "pattern"} == {name for name, size in sizes.items() if size is None}
    assert [1, 1, 1, 2, 2] == [worth(size) for size in (None, 0, 2 * _PART - 1, 2 * _PART, 9 * _PART)]


def test_processes_started_before_read_as_those_started_now(flows: Path, started: list[int]) -> None:
    """They are used once, if they are as many as are asked for, and have ended then."""
    with Readers(2) as readers:
        one, early, again = told(read(flows, jobs=1)), told(read(flows, jobs=3, readers=readers)), started[:]
        assert (one, [2], 0, []) == (early, again, readers.waiting, _children())
        assert one == told(read(flows, jobs=3, readers=readers))
    with Readers(2) as readers:
        assert one == told(read(flows, jobs=2, readers=readers))
        assert (2, 2) == (readers.waiting, len(_children()))
    assert ([2, 2, 2, 1], []) == (started, _children())


def test_a_command_starts_them_once(flows: Path, started: list[int]) -> None:
    """Those started early are those that read, and have ended when the command has."""
    done = CliRunner().invoke(main, ["edges", str(flows), "-o", "csv", "-j", "2"])
    assert (0, [1], []) == (done.exit_code, started, _children())


@pytest.mark.parametrize(
    "options", [[], ["-j", "1"], ["-j", "2", "--port", "8080"], ["-j", "2", "--last", "7"]]
)
def test_a_command_starts_none_that_will_not_read(
    flows: Path, started: list[int], options: list[str]
) -> None:
    """Small inputs are read by one process, and so is whatever filters ask about."""
    done = CliRunner().invoke(main, ["edges", str(flows), "-o", "csv", *options])
    assert (0, []) == (done.exit_code, started)


def test_none_is_left_where_the_input_turns_out_to_be_no_capture(tmp_path: Path, started: list[int]) -> None:
    """The error is the one line that it always is."""
    path = tmp_path / "flows.txt"
    path.write_text("nothing of the kind\n")
    done = CliRunner().invoke(main, ["edges", str(path), "-j", "2"])
    assert (2, [1], []) == (done.exit_code, started, _children())
    assert f"{path}: not a capture of Hubble flows" in done.stderr


_FORKS = """
import os, signal, sys, threading
from flowmine.arrow import for_commands
for_commands()
from flowmine.scale.readers import Readers

def fails(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, fails)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
if sys.argv[1] == "threads":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
own = open("/proc/self/cmdline").read()
kept = open(os.devnull)
with Readers(2) as readers:
    first, second = readers.take()
    for reader in (first, second):
        folder = f"/proc/{reader.process.pid}"
        forked = open(f"{folder}/cmdline").read() == own
        print(forked, end=" ")
        if forked:
            while os.readlink(f"{folder}/fd/0") != os.devnull or len(os.listdir(f"{folder}/fd")) > 5:
                pass
    os.kill(second.process.pid, signal.SIGHUP)
    os.kill(second.process.pid, signal.SIGINT)
    os.kill(first.process.pid, signal.SIGTERM)
    print(first.how_it_died(), "|", end=" ")
    os.kill(second.process.pid, signal.SIGKILL)
    print(second.how_it_died(), end=" ")
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("| none left")
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are forked on Linux alone")
@pytest.mark.parametrize(("threads", "forked"), [("alone", True), ("threads", False)])
def test_a_command_without_threads_forks_them(threads: str, forked: bool) -> None:
    """They have no other file open, read nothing, and are ended by signals whatever the command would do."""
    done = subprocess.run(
        [sys.executable, "-c", _FORKS, threads], input="unread", capture_output=True, text=True, timeout=60
    )
    told = f"{forked} {forked} killed by signal 15 | killed by signal 9 | none left\n"
    assert (told, "") == (done.stdout, done.stderr)
