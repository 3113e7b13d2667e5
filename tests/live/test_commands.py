"""`flowmine capture`, `tail` and `migrate` from the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowmine.cli import main
from flowmine.ingest.capturewindow import manifest_of, windows
from flowmine.ingest.replay import Pace, Replay
from tests.ingest.relaying import events
from tests.live.recording import SAMPLES, flows

THREE_TIER = str(SAMPLES / "three-tier")
LINKDING = str(SAMPLES / "linkding")


def run(*args: str | Path, code: int = 0) -> Result:
    """Run a command line that leaves with a code."""
    result = CliRunner().invoke(main, [str(each) for each in args])
    assert code == result.exit_code, result.output
    return result


def test_a_capture_is_read_by_every_command_as_its_files_are(tmp_path: Path) -> None:
    """Edges, flows in Hubble's compact form, and recommendations are the same text."""
    run("capture", THREE_TIER, "-d", tmp_path / "out", "-q")
    for line in (("edges", "-q", "-o", "json"), ("recommend", "-q"), ("drops", "-q", "-o", "json")):
        there = CliRunner().invoke(main, [*line, THREE_TIER])
        here = CliRunner().invoke(main, [*line, str(tmp_path / "out")])
        assert (there.exit_code, there.stdout) == (here.exit_code, here.stdout)


@pytest.mark.parametrize(
    "filters",
    [
        ("--verdict", "DROPPED"),
        ("--not", "--verdict", "DROPPED"),
        ("-n", "shop"),
        ("--from-pod", "shop/web"),
        ("--to-label", "app=db"),
        ("--to-port", "53"),
        ("--protocol", "udp"),
        ("--protocol", "http"),
        ("--type", "trace:to-endpoint"),
        ("--type", "policy-verdict"),
        ("--to-fqdn", "*.com"),
        ("--to-identity", "world"),
        ("--ip", "10.0.0.0/8"),
        ("--tcp-flags", "SYN"),
        ("--drop-reason-desc", "POLICY_DENIED"),
        ("--http-method", "GET"),
        ("--http-path", "/api"),
        ("--traffic-direction", "egress"),
        ("--node-name", "*1"),
        ("--to-workload", "Deployment/web"),
        ("--verdict", "FORWARDED", "--first", "7"),
        ("--verdict", "FORWARDED", "--last", "7"),
        ("--since", "2026-11-18T10:00:00Z", "--until", "2026-11-18T12:00:00Z"),
    ],
)
def test_filters_choose_the_same_events_from_a_capture(recorded_once: Path, filters: tuple[str, ...]) -> None:
    """Every filter of `hubble observe` about what a capture keeps means the same there."""
    chosen = []
    for given in (THREE_TIER, recorded_once):
        lines = map(json.loads, run("flows", given, "-q", "-o", "json", *filters).stdout.splitlines())
        chosen.append([line["flow"]["uuid"] for line in lines if "flow" in line])
    assert sorted(chosen[0]) == sorted(chosen[1])


@pytest.fixture(scope="module")
def recorded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of the three-tier sample."""
    out = tmp_path_factory.mktemp("recorded") / "out"
    run("capture", THREE_TIER, "-d", out, "-q")
    return out


def test_compact_lines_of_a_capture_are_those_of_the_file(recorded_once: Path) -> None:
    """Layer 3 and 4 events are printed alike; of layer 7 Hubble's own summary is not kept, of verdicts the match."""
    there, here = (
        run("flows", given, "-q", "--type", "trace").stdout.splitlines()
        for given in (THREE_TIER, recorded_once)
    )
    assert sorted(there) == sorted(here)


@pytest.mark.parametrize("name", ["--interface", "--trace-id", "--http-header"])
def test_filters_on_what_a_capture_does_not_keep_are_refused(recorded_once: Path, name: str) -> None:
    """They would find nothing where there may be something."""
    value = "Host:x" if name == "--http-header" else "x"
    assert "keeps no" in run("edges", recorded_once, "-q", name, value, code=2).output


def test_a_second_run_adds_nothing(tmp_path: Path) -> None:
    """What was recorded is passed over, and the summary says so."""
    run("capture", THREE_TIER, "-d", tmp_path / "out")
    result = run("capture", THREE_TIER, "-d", tmp_path / "out")
    assert "0 events recorded in 0 new windows" in result.stderr
    assert flows(THREE_TIER) == flows(tmp_path / "out")


def _beyond(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if "--max-peers" in line]


def test_tail_keeps_as_many_peers_as_edges(tmp_path: Path) -> None:
    """What is beyond them is told as `edges` tells it, looks and states in between or not."""
    asked = ("--max-peers", "5")
    whole = _beyond(run("edges", THREE_TIER, *asked))
    assert whole and whole == _beyond(run("tail", THREE_TIER, *asked, "--state", tmp_path, "--every", "1ms"))
    assert whole == _beyond(run("tail", THREE_TIER, *asked, "--state", tmp_path))
    assert whole == _beyond(run("edges", tmp_path, *asked))


def test_a_folder_is_redacted_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """A folder that is passed on never holds a window with what the others hide."""
    run("capture", THREE_TIER, "-d", tmp_path / "out", "--redact", "ips,pods", "-q")
    assert (tmp_path / "out.redact-key").exists()
    assert not list((tmp_path / "out").rglob("*key*"))
    message = run("capture", LINKDING, "-d", tmp_path / "out", code=2).output
    assert "has ips and pods redacted, and this run is to redact nothing" in message


def test_a_misspelt_part_makes_no_key(tmp_path: Path) -> None:
    """Nothing is written where the question is wrong."""
    message = run("capture", THREE_TIER, "-d", tmp_path / "out", "--redact", "ip", code=2).output
    assert "cannot redact ip: it is ips or pods" in message
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (("tail", THREE_TIER, "--policies-out", "x", "-n", "shop"), "--policies-out takes no filters"),
        (("tail", THREE_TIER, "--until-settled"), "--until-settled needs --settle"),
        (("tail", THREE_TIER, "--retain", "1d"), "give --state DIR too"),
        (("tail", THREE_TIER, "--l7", "grpc"), "--l7 takes http and dns, not grpc"),
        (("tail", THREE_TIER, "--settle", "soon"), "write a duration"),
        (("tail", THREE_TIER, "--metrics-port", "x"), "write a port, or HOST:PORT"),
        (("capture", THREE_TIER, "-d", "x", "--retain", "much"), "write 36h, 14d"),
        (("capture", THREE_TIER, "-d", "x", "--window", "0"), "write a duration"),
        (("capture", THREE_TIER), "Missing option '-d'"),
        (("tail",), "no input"),
    ],
)
def test_what_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...], told: str
) -> None:
    """Each contradiction is a sentence, exit 2."""
    monkeypatch.chdir(tmp_path)
    assert told in run(*line, code=2).output


def test_a_tail_in_a_pipe_is_json_lines(tmp_path: Path) -> None:
    """Every line is a value with a time and an event; what policies in force would deny is among them."""
    result = run(
        "tail", LINKDING, "--policies", SAMPLES / "linkding" / "policies", "--state", tmp_path / "state"
    )
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert {"lost", "edge", "drop"} <= {each["event"] for each in told}
    assert all("at" in each for each in told)
    again = run("tail", LINKDING, "--state", tmp_path / "state")
    assert [] == [line for line in again.stdout.splitlines() if json.loads(line)["event"] == "edge"]
    assert "0 of them new in this run" in again.stderr


def test_state_is_an_input_of_commands_about_edges(tmp_path: Path) -> None:
    """recommend and edges read it; flows says why it cannot."""
    run("tail", LINKDING, "--state", tmp_path / "state", "-q")
    there, here = (run("recommend", given, "-q").stdout for given in (LINKDING, tmp_path / "state"))
    assert there == here
    assert "holds edges, not events" in run("flows", tmp_path / "state", code=2).output


def test_the_recommendation_is_kept_in_a_folder(tmp_path: Path) -> None:
    """As recommend writes it; each file that is written is told."""
    result = run("tail", LINKDING, "--policies-out", tmp_path / "tail", "-q", "--cilium", "1.16")
    run("recommend", LINKDING, "-o", tmp_path / "recommend", "-q", "--cilium", "1.16")
    there, here = (
        {path.relative_to(tmp_path / name): path.read_text() for path in (tmp_path / name).rglob("*.yaml")}
        for name in ("recommend", "tail")
    )
    assert there == here
    told = [each["path"] for each in map(json.loads, result.stdout.splitlines()) if each["event"] == "policy"]
    assert sorted(told) == sorted(str(tmp_path / "tail" / path) for path in here)


def test_the_view_shows_counts_and_news() -> None:
    """What a terminal gets: how much, from where, what is new."""
    text = run("tail", LINKDING, "-o", "view", "-q").stdout
    assert "3,483 flows" in text
    assert "lost by Hubble" in text
    assert "linkding/linkding" in text


def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    """What is of this version is left alone."""
    run("capture", THREE_TIER, "-d", tmp_path / "out", "-q")
    assert "0 windows brought up to date" in run("migrate", tmp_path / "out").stderr


def started(*args: str) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    command = [sys.executable, "-m", "flowmine", *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_recording_ends_in_good_order_when_told_to(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, or a pod's end, finishes the open window; nothing that came is lost, and the code is 0."""
    with Replay(events(3000), pace=Pace(rate=1000)) as server:
        process = started(
            "capture", "--server", server.address, "-d", str(tmp_path / "out"), "--since", "2026-11-01"
        )
        deadline = time.monotonic() + 30
        while not list((tmp_path / "out").glob(".lock")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(2.0)
        os.kill(process.pid, number)
        _, told = process.communicate(timeout=30)
    assert 0 == process.returncode, told
    count = sum(manifest_of(window).flows for window in windows(tmp_path / "out"))
    assert f"{count:,} events recorded" in told
    assert count > 0
    assert not list((tmp_path / "out").glob(".tmp-*"))


def test_a_tail_of_a_server_ends_in_time(tmp_path: Path) -> None:
    """--for ends it, with what is known written down."""
    with Replay(events(500)) as server:
        line = (
            "tail",
            "--server",
            server.address,
            "--since",
            "2026-11-01",
            "--for",
            "2s",
            "--state",
            str(tmp_path),
        )
        process = started(*line, "--every", "1s")
        out, told = process.communicate(timeout=60)
    assert 0 == process.returncode, told
    assert [5432] == [each["port"] for each in map(json.loads, out.splitlines()) if each["event"] == "edge"]
    assert [500] == [manifest_of(window).flows for window in windows(tmp_path)]


def test_a_tail_that_ends_without_its_policies_is_an_error(tmp_path: Path) -> None:
    """The file that cannot be written is named once more at the end, whatever the run is to fail on."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "linkding").write_text("in the way")
    result = run("tail", LINKDING, "--policies-out", tmp_path / "out", "--fail-on", "never", code=2)
    problems = [each for each in map(json.loads, result.stdout.splitlines()) if each["event"] == "problem"]
    assert "cannot be written" in problems[-1]["problem"]
    assert f"flowmine: {problems[-1]['problem']}" == result.stderr.splitlines()[-1]
