"""Logs: what `-v` and `--log-format json` write to stderr, and what they never do."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowmine.cli import main
from flowmine.cli.logs import LIMIT, SPAN, Limit
from tests.cli.events import capture, record

PASSWORD = "hunter2-correct-horse"


@pytest.fixture
def flawed(tmp_path: Path) -> str:
    """A capture of two flows with a line between them that is none."""
    path = Path(capture(tmp_path / "flows.jsonl", record(0), record(1)))
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + b"bad\n" + second)
    return str(path)


def test_nothing_is_logged_unless_asked_for(flawed: str) -> None:
    """Without -v stderr holds the summary alone."""
    assert "skipped: not JSON" not in CliRunner().invoke(main, ["edges", flawed, "-q"]).stderr


def test_each_line_skipped_is_logged_with_its_place_and_why(flawed: str) -> None:
    """-v names file and line."""
    told = CliRunner().invoke(main, ["edges", flawed, "-q", "-v"]).stderr.splitlines()
    assert [f"info flowmine.ledger: {flawed}:2: skipped: not JSON"] == [
        line.partition(" ")[2] for line in told if "skipped" in line
    ]


@pytest.mark.parametrize("command", ["edges", "flows"])
def test_each_field_left_out_is_logged_with_its_place(tmp_path: Path, command: str) -> None:
    """A field of a wrong type, and bytes that are no text, name file and line as well."""
    broken = {"source": "10.0.0.1", "destination": 5}
    path = Path(capture(tmp_path / "flows.jsonl", record(0), record(1, IP=broken), record(2, uuid="nöde")))
    path.write_bytes(path.read_bytes().replace("ö".encode(), b"\xff").replace(b"\\u00f6", b"\xff"))
    told = CliRunner().invoke(main, [command, str(path), "-q", "-v"]).stderr.splitlines()
    found = [
        line.partition("flowmine.ledger: ")[2].removeprefix(f"{path}:") for line in told if "skipped" in line
    ]
    assert ["2: skipped: field flow.IP.destination", "3: skipped: bytes that are not UTF-8, replaced"] == [
        text.partition(": Expected")[0] for text in found
    ]


def test_several_processes_log_what_one_does(tmp_path: Path) -> None:
    """Lines keep their numbers in the file, whichever process read them."""
    good = record(0)
    path = tmp_path / "large.jsonl"
    line = json.dumps(good).encode() + b"\n"
    path.write_bytes((line * 20_000 + b"bad\n") * 3)
    told = [_skipped(str(path), jobs) for jobs in ("1", "2")]
    assert [f"{path}:{20_001 * number}" for number in (1, 2, 3)] == told[0] == told[1]


def _skipped(path: str, jobs: str) -> list[str]:
    line = ["edges", path, "-q", "-v", "--log-format", "json", "--jobs", jobs]
    done = subprocess.run(
        [sys.executable, "-m", "flowmine", *line], capture_output=True, check=True, timeout=120
    )
    found = map(json.loads, done.stderr.splitlines())
    return [each["place"] for each in found if each.get("kind") == "skipped"]


def test_as_json_every_line_of_stderr_is_an_object(flawed: str) -> None:
    """Logs, summary and errors alike; an error is told as one."""
    told = CliRunner().invoke(main, ["edges", flawed, "-vv", "--log-format", "json"]).stderr.splitlines()
    assert {"info", "debug"} == {json.loads(line)["level"] for line in told}
    told = CliRunner().invoke(main, ["edges", f"{flawed}.gone", "--log-format", "json"]).stderr.splitlines()
    assert ["error"] == [json.loads(line)["level"] for line in told]


def test_logging_ends_with_the_command(flawed: str) -> None:
    """The next command in the same process logs nothing, and stderr is as it was."""
    CliRunner().invoke(main, ["edges", flawed, "-vv", "--log-format", "json"])
    assert [] == logging.getLogger("flowmine").handlers
    assert not logging.getLogger("flowmine.ledger").isEnabledFor(logging.INFO)
    assert "{" not in CliRunner().invoke(main, ["edges", flawed]).stderr


def test_a_flood_of_one_kind_is_cut_off_and_counted() -> None:
    """So many a minute pass; the next after a pause says how many did not."""
    now = [0.0]
    limit = Limit(lambda: now[0])
    passed = [limit.filter(_record("%s: bad")) for _ in range(LIMIT + 5)]
    assert [True] * LIMIT + [False] * 5 == passed
    assert limit.filter(_record("another kind"))
    now[0] = SPAN
    after = _record("%s: bad")
    assert limit.filter(after) and "5 more like it were left out" in after.getMessage()


def _record(message: str) -> logging.LogRecord:
    return logging.LogRecord("flowmine", logging.INFO, "", 0, message, None, None)


def test_a_password_in_a_broken_file_is_in_no_log(tmp_path: Path) -> None:
    """YAML's own errors quote the line that they are about: -vv tells the way that an error came, not its words."""
    config = tmp_path / "hubble.yaml"
    config.write_text(f'tls: true\nbasic-auth-password: "{PASSWORD}\n')
    environment = {**os.environ, "HUBBLE_CONFIG": str(config)}
    for form in ("text", "json"):
        line = [sys.executable, "-m", "flowmine", "flows", "-vv", "--log-format", form]
        done = subprocess.run(line, env=environment, capture_output=True, check=False, timeout=60)
        assert (2, False) == (done.returncode, PASSWORD.encode() in done.stderr)
        assert b"settings.py" in done.stderr
