"""A live server in place of INPUT: the same answers as of its capture, and whose options mean what."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowmine.cli import main
from flowmine.ingest import open_flows
from flowmine.ingest.replay import Replay
from tests.cli.events import capture, record

SAMPLE = Path(__file__).parents[2] / "sample_flows"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have no HUBBLE_* variables and no configuration of Hubble's."""
    for name in [name for name in os.environ if name.startswith(("HUBBLE_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A capture of sixty flows."""
    return capture(tmp_path / "a.jsonl", *(record(second) for second in range(60)))


@pytest.fixture
def server(path: str) -> Iterator[Replay]:
    """A server of that capture."""
    with Replay(open_flows(path)) as found:
        yield found


def run(*args: str) -> Result:
    """Run the command line."""
    return CliRunner().invoke(main, list(args))


@pytest.mark.parametrize("command", [["edges", "-o", "json"], ["edges", "-o", "csv"], ["recommend", "-q"]])
def test_a_server_is_answered_as_its_capture_is(server: Replay, path: str, command: list[str]) -> None:
    """What a command says of a server is what it says of the capture behind it."""
    live, file = run(*command, "--server", server.address), run(*command, path)
    assert (live.exit_code, live.stdout) == (file.exit_code, file.stdout)
    assert live.exit_code == 0


def test_events_are_printed_as_of_a_file(server: Replay, path: str) -> None:
    """`flows` prints a server's events as it prints a file's, filters and all."""
    for options in (["-o", "dict"], ["--verdict", "FORWARDED"], ["--not", "--port", "8080"]):
        live, file = (
            run("flows", "-q", "--server", server.address, *options),
            run("flows", "-q", path, *options),
        )
        assert live.stdout == file.stdout


def test_who_is_asked_is_shown(server: Replay) -> None:
    """The server's status is told on stderr, unless quiet."""
    told, quiet = run("edges", "--server", server.address), run("edges", "-q", "--server", server.address)
    assert told.stderr.startswith(f"{server.address}: Hubble ")
    assert quiet.stderr == ""


def test_variables_and_configuration_name_a_server(
    server: Replay, path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without INPUT, HUBBLE_SERVER or Hubble's own configuration says where to read; with INPUT neither does."""
    (tmp_path / ".config" / "hubble").mkdir(parents=True)
    (tmp_path / ".config" / "hubble" / "config.yaml").write_text(f"server: {server.address}\n")
    of_file = run("edges", "-o", "json")
    monkeypatch.setenv("HUBBLE_SERVER", "127.0.0.1:1")
    of_variable = run("edges", "-o", "json")
    of_input = run("edges", "-o", "json", path)
    assert of_file.stdout == of_input.stdout
    assert "127.0.0.1:1: nothing listens there" in of_variable.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["edges"],
            "no input: name a capture (a file, a folder, - for stdin), or a live server with --server or -P",
        ),
        (["edges", "--server", "x:1", "FILE"], "--server is for a live server, and INPUT names a capture"),
        (["edges", "--for", "10m", "FILE"], "--for is for a live server, and INPUT names a capture"),
        (["edges", "--tls", "--for", "yesterday"], "'yesterday' is no point in time"),
        (["edges", "--tls", "--for", "2026-01-01"], "--for 2026-01-01: write a duration (30s, 10m, 1h30m)"),
        (["edges", "--server", "relay"], "relay: no port"),
        (
            ["edges", "--kube-namespace", "cilium"],
            "--kube-namespace says where to forward a port: give -P too",
        ),
        (["edges", "--server", "x:1", "--basic-auth-username", "me"], "basic authentication takes both"),
        (
            ["recommend", "--last", "5", "FILE"],
            "recommend takes no --last with a capture: it would hide part",
        ),
        (["recommend", "--server", "x:1", "--verdict", "DROPPED"], "recommend takes no --verdict"),
    ],
)
def test_lines_that_make_no_sense_are_refused(args: list[str], message: str, path: str) -> None:
    """What is for servers alone, or for captures alone, or nothing at all, is told before anything is read."""
    result = run(*(path if arg == "FILE" else arg for arg in args))
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_recommendations_take_a_window_of_a_server(server: Replay) -> None:
    """Where a server is read, --last bounds the window and hides nothing within it."""
    result = run("recommend", "--server", server.address, "--last", "10")
    assert result.exit_code == 0
    assert [(one.number, one.first) for one in server.requests] == [(10, False)]


def test_reports_take_a_window_of_a_server(server: Replay, tmp_path: Path) -> None:
    """A report of a server's last events holds these, and of a capture no part is taken."""
    page = str(tmp_path / "report.json")
    result = run("report", "--server", server.address, "--last", "10", "-o", page)
    assert (0, True) == (result.exit_code, "10 flows read" in result.stderr)
    refused = run("report", "FILE", "--last", "10", "-o", page)
    assert "report takes no --last with a capture" in refused.stderr


def test_a_stream_is_followed_for_a_while(server: Replay) -> None:
    """--for follows, and ends with the answer on what came."""
    result = run("edges", "--server", server.address, "--last", "60", "--for", "500ms", "-o", "json")
    assert (result.exit_code, "60 flows read" in result.stderr) == (0, True)
    assert server.requests[0].follow


def test_ctrl_c_ends_the_reading_and_not_the_answer(server: Replay) -> None:
    """A stream that is followed without end is answered at the first Ctrl-C."""
    command = [
        sys.executable,
        "-m",
        "flowmine",
        "edges",
        "--server",
        server.address,
        "--follow",
        "--last",
        "60",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the server's status: it is being read
        while server.sent < 60:
            pass
        process.send_signal(signal.SIGINT)
        data, told = process.communicate(timeout=60)
    assert (process.returncode, "60 flows read" in told) == (0, True), told
    assert data.startswith("FROM ")


def test_followed_events_are_printed_as_they_come(server: Replay) -> None:
    """In a pipe too, an event is there before the stream ends."""
    command = [
        sys.executable,
        "-m",
        "flowmine",
        "flows",
        "--server",
        server.address,
        "--follow",
        "--last",
        "1",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert "FORWARDED" in line


def test_help_lists_the_options_of_servers_apart() -> None:
    """The help of commands that read has a heading for servers."""
    for command in ("edges", "recommend"):
        told = run(command, "--help").stdout
        assert "A live server, in place of INPUT:" in told
        assert "--tls-server-name" in told.partition("A live server")[2]
