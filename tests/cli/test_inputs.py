"""Reading captures: the bar where a person looks, and the closing summary."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from flowmine.ledger import Ledger
from flowmine.report.summary import summary_lines
from tests.cli.events import capture, record

START = 1_794_994_200_000_000_000


def told(ledger: Ledger, *facts: str) -> list[str]:
    """The summary of a ledger."""
    return list(summary_lines(ledger, facts))


def test_a_clean_reading_is_one_line() -> None:
    """Nothing lost, skipped or left out is not spoken of; what a command tells comes last."""
    ledger = Ledger(flows=1, versions={"1.19.4": 1})
    ledger.window.add(1, START, START)
    window = "from 2026-11-18T09:30:00Z to 2026-11-18T09:30:00Z (0 seconds)"
    assert told(ledger, "3 workloads") == [f"1 flow read, {window}, seen by Cilium 1.19.4", "3 workloads"]


def test_a_capture_without_times_has_no_window() -> None:
    """Where no event has a time, none is told."""
    assert told(Ledger(flows=2)) == ["2 flows read"]


def test_long_windows_are_told_in_the_unit_that_fits() -> None:
    """A window is told in seconds, minutes, hours or days."""
    lengths = []
    for seconds in (119, 120, 7_199, 7_200, 172_800):
        ledger = Ledger(flows=2)
        ledger.window.add(2, START, START + seconds * 10**9)
        lengths.append(told(ledger)[0].partition("(")[2].rstrip(")"))
    assert lengths == ["119 seconds", "2 minutes", "119 minutes", "2 hours", "2 days"]


def test_every_trouble_is_told() -> None:
    """Bad lines with the first few named, losses, repetitions, cuts, nodes, masks and notes each get their line."""
    ledger = Ledger(flows=1_000)
    for line in range(7):
        ledger.add_bad(f"a.jsonl:{line}", "no JSON")
    ledger.add("lost", "HUBBLE_RING_BUFFER", count=1_200)
    ledger.add("lost", "OBSERVER_EVENTS_QUEUE", count=3)
    ledger.add("duplicate", "uuid", node="n1")
    ledger.add("cut", "b.jsonl.gz")
    ledger.add("node_status", "NODE_ERROR")
    ledger.add("masked", "is_reply")
    ledger.notes.append("notes.txt: left out")
    lines = told(ledger)
    assert lines[:7] == [
        "1,000 flows read",
        "7 lines skipped: no JSON 7",
        *(f"  a.jsonl:{line}: no JSON" for line in range(5)),
    ]
    assert lines[7:12] == [
        "  and 2 more",
        "1,203 events lost by Hubble: HUBBLE_RING_BUFFER 1,200, OBSERVER_EVENTS_QUEUE 3",
        "1 event read twice, counted once",
        "b.jsonl.gz ends in the middle; it was read up to there",
        "nodes came, went or failed: NODE_ERROR 1",
    ]
    assert lines[12].startswith("no event carries is_reply: ")
    assert lines[13:] == ["notes.txt: left out"]


def test_every_kind_of_skipping_is_told_with_its_reason() -> None:
    """Fields and events that are no flows are told where no line was bad, and beside bad lines."""
    ledger = Ledger()
    ledger.add("skipped", "unknown verdict 'FOO'")
    assert told(ledger)[1] == "1 field or other event passed over: unknown verdict 'FOO' 1"
    ledger.add("skipped", "agent_event", count=1200)
    ledger.add_bad("a.jsonl:7", "not JSON")
    assert told(ledger)[1:] == [
        "1 line skipped, 1,201 fields or other events passed over: agent_event 1,200, not JSON 1, unknown verdict 'FOO' 1",
        "  a.jsonl:7: not JSON",
    ]
    for number in range(40):
        ledger.add("skipped", f"reason {number:02}")
    assert told(ledger)[1].endswith("reason 17 1 and 23 more")


def test_hostile_names_are_shown_and_not_sent() -> None:
    """A file or a reason cannot drive the terminal that reads the summary."""
    ledger = Ledger()
    ledger.add_bad("\x1b[2J.jsonl:1", "bad\r")
    assert not set("".join(told(ledger, "\x1b"))) & set("\x1b\r")


def on_a_terminal(*args: str) -> tuple[bytes, bytes]:
    """Run the command line with stderr a terminal and stdout a pipe; return what each got."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "flowmine", *args]
    environment = {**os.environ, "TERM": "xterm-256color"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
        os.close(theirs)
        assert process.stdout is not None
        data, screen = process.stdout.read(), b""
        while chunk := _read(ours):
            screen += chunk
        process.wait(60)
    os.close(ours)
    return data, screen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so where the other end is closed
        return b""


def test_a_bar_is_shown_to_people_alone(tmp_path: Path) -> None:
    """A terminal on stderr gets a bar, which leaves the data alone; -q is without."""
    path = capture(tmp_path / "a.jsonl", *(record(second) for second in range(60)))
    data, screen = on_a_terminal("edges", path)
    quiet, nothing = on_a_terminal("edges", "-q", path)
    assert (b"reading" in screen, b"60 flows read" in screen) == (True, True)
    assert (data, nothing) == (quiet, b"")
    assert data.startswith(b"FROM ")
