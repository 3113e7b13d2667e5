"""Much to read is read by compiled code: the same answer, by however many processes."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from flowmine.ingest import open_flows, whichcode
from flowmine.ingest.whichcode import Compiled
from flowmine.scale import reading
from flowmine.scale.readers import worth_compiling
from tests.live.recording import recorded
from tests.scale.making import capture, read, told

_LINES = [*capture(2000)]
_COMMAND = """
import sys
from flowmine.arrow import for_commands
for_commands()
from flowmine.scale import readers
readers._WORTH_LOADING = readers._WORTH_COMPILING = 0
from flowmine.cli import main
try:
    main(sys.argv[1:])
finally:
    print("compiled" if "flowmine.ingest.machinecode" in sys.modules else "not compiled", file=sys.stderr)
"""


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """Return a capture with lines of every kind."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join([*_LINES[:900], b"not JSON\n", *_LINES[900:], *_LINES[:40]]))
    return path


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_answer_is_the_same(flows: Path, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All tables have the same bytes, and the ledger tells the same."""
    plain = told(read(flows, jobs=jobs))
    monkeypatch.setattr(reading, "worth_compiling", lambda *_, **__: "made")
    assert plain == told(read(flows, jobs=jobs))


@pytest.mark.parametrize("command", ["edges", "drops"])
def test_a_command_loads_it_before_its_processes_are_forked(flows: Path, command: str) -> None:
    """It is compiled code by which they read: the process that waits for them has loaded it, and needs it not itself."""
    line = [command, str(flows), "-o", "json", "-j", "2", "-q"]
    compiled, plain = (
        subprocess.run([sys.executable, *how, *line], capture_output=True, text=True, timeout=120)
        for how in (("-c", _COMMAND), ("-m", "flowmine"))
    )
    assert ("compiled\n", plain.stdout, plain.returncode) == (
        compiled.stderr,
        compiled.stdout,
        compiled.returncode,
    )


def test_little_is_not_worth_it(flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading is worth it from some megabytes for each process on, compiling from more, where the size is known."""
    sizes = None, (128 << 20) - 1, 128 << 20, (1280 << 20) - 1, 1280 << 20
    assert ["no", "no", "kept", "kept", "made"] == [worth_compiling(size, 2) for size in sizes]
    sizes = None, (8 << 20) - 1, 8 << 20, 1 << 40
    assert ["no", "no", "kept", "kept"] == [worth_compiling(size, 1, recorded=True) for size in sizes]
    for compiled in get_args(Compiled):
        lines = open_flows(flows).divided(compiled=compiled)
        assert lines is not None
        assert compiled == lines.settings.compiled
    monkeypatch.setattr(
        whichcode, "load", lambda how: how != "no" and pytest.fail("nothing is to be compiled")
    )
    read(flows, jobs=1)


def test_what_is_recorded_is_read_alike(flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events that two recorded captures have are told apart by compiled code too."""
    stored = [flows.parent / name for name in ("one", "two")]
    for each in stored:
        recorded(each, flows)
    assert open_flows(*stored).is_recorded
    assert not open_flows(flows).is_recorded
    plain = told(read(*stored, jobs=1))
    asked: list[bool] = []

    def worth(*_: object, recorded: bool) -> Compiled:
        asked.append(recorded)
        return "made"

    monkeypatch.setattr(reading, "worth_compiling", worth)
    assert plain == told(read(*stored, jobs=1))
    assert asked == [True]
