"""Several processes: the bytes of one, and no smaller answer where one of them dies."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowmine.edges import COLUMNS
from flowmine.errors import InputError, UsageError
from flowmine.ingest import open_flows
from flowmine.ingest.blocks import Block
from flowmine.ingest.division import Portion
from flowmine.ingest.files import find
from flowmine.ingest.ranges import ranges
from flowmine.ingest.slots import OwnSlots
from flowmine.scale import aggregate, processes
from flowmine.scale.messages import Finished, Keyed, Pass, Read
from flowmine.scale.packing import unpacked
from tests.bench.peers import scan
from tests.scale.making import capture, read, told

_LINES = capture(6000)
_BAD = (b"this is no JSON\n", b'{"flow":{"time":7}}\n', b"\n")


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut small captures into many portions."""
    monkeypatch.setattr("flowmine.ingest.lockstep._ALONE", 1 << 16)
    monkeypatch.setattr("flowmine.ingest.lockstep._LARGEST", 1 << 16)
    monkeypatch.setattr("flowmine.ingest.lockstep._SMALLEST", 1 << 14)


def _children() -> set[str]:
    found = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    return {line for line in found.stdout.splitlines() if "flowmine.scale" in line}


def test_a_plain_file_gives_the_bytes_of_one_process(tmp_path: Path) -> None:
    """One file, split at line ends, with bad lines in it: every table and the ledger are the same."""
    path = tmp_path / "flows.jsonl"
    lines = list(_LINES)
    for place in (4500, 3000, 70):
        lines[place:place] = _BAD
    path.write_bytes(b"".join(lines))
    one = told(read(path, jobs=1))
    assert one == told(read(path, jobs=2)) == told(read(path, jobs=3))
    assert any("flows.jsonl:3004: " in place for place in one["told"].named)


def test_what_can_be_done_meanwhile_is_done_once_where_others_read(tmp_path: Path) -> None:
    """It is called when portions are given out, and not where this process reads all."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(_LINES))
    calls: list[int] = []
    for jobs in (1, 2):
        source = open_flows(str(path), columns=COLUMNS)
        aggregate(source, jobs=jobs, meanwhile=lambda jobs=jobs: calls.append(jobs))
    assert calls == [2]


def test_repeated_flows_count_once_however_far_apart_their_readers(tmp_path: Path) -> None:
    """Two exporters of one node, and a file that repeats itself: duplicates are those of one process."""
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    first.write_bytes(b"".join(_LINES) + b"".join(_LINES[:1500]))
    second.write_bytes(b"".join(_LINES[2000:4000]))
    one = read(first, second, jobs=1)
    assert told(one) == told(read(first, second, jobs=3))
    assert one[1].ledger.total("duplicate") > 3000


@pytest.mark.parametrize("kind", ["gzip", "array", "pretty", "bare", "BOM"])
def test_any_layout_gives_the_bytes_of_one_process(tmp_path: Path, kind: str) -> None:
    """What cannot be split where it lies is read here, and decoded elsewhere."""
    data = b"".join(_LINES[:2500])
    made = {
        "gzip": gzip.compress(data),
        "array": b"[" + b",\n".join(_LINES[:2500]) + b"]",
        "pretty": b"\n".join(json.dumps(json.loads(line), indent=1).encode() for line in _LINES[:2500]),
        "bare": data.replace(b'{"flow":', b"").replace(b'},"node_name"', b',"node_name"'),
        "BOM": b"\xef\xbb\xbf" + data,
    }
    path = tmp_path / "flows"
    path.write_bytes(made[kind])
    assert told(read(path, jobs=1)) == told(read(path, jobs=2))


def test_many_files_spread(tmp_path: Path) -> None:
    """A folder of rotated files of two clusters, some compressed, is read in its canonical order."""
    for day in range(3):
        for system in ("shop", "linkding"):
            data = b"".join(capture(700, system, day))
            path = tmp_path / f"{system}-{day}.log"
            path.write_bytes(gzip.compress(data) if day == 1 else data)
    assert told(read(tmp_path, jobs=1)) == told(read(tmp_path, jobs=2))


@pytest.fixture
def _no_wait_without_end() -> Iterator[None]:
    """Processes that wait for each other would wait for ever."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("no answer"))
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("_no_wait_without_end")
def test_files_with_and_without_uuids_are_read_to_their_ends(tmp_path: Path) -> None:
    """Of some nothing is asked of whoever tells repeated flows apart, and they are read sooner than those before them."""
    for number in range(12):
        data = b"".join(capture(150, day=number)[: 3 if number % 2 else 150])
        if number % 2:
            data = re.sub(rb'"uuid":"[^"]*",', b"", data)
        (tmp_path / f"{number:02}.jsonl.gz").write_bytes(gzip.compress(data))
    one = told(read(tmp_path, jobs=1))
    assert one["told"].flows > 150
    assert one == told(read(tmp_path, jobs=2)) == told(read(tmp_path, jobs=3))


def test_lines_cut_in_pieces_by_a_runtime_are_put_together(tmp_path: Path) -> None:
    """A record that goes on in the next portion is read by one process, and is not lost."""
    path = tmp_path / "cri.log"
    stamp = b"2026-11-18T08:00:00.000000000Z stdout "
    path.write_bytes(
        b"".join(stamp + b"P " + line[:300] + b"\n" + stamp + b"F " + line[300:] for line in _LINES[:900])
    )
    one = read(path, jobs=1)
    assert told(one) == told(read(path, jobs=2))
    assert one[1].ledger.flows > 850


def test_a_scan_stays_under_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a pod called by ever more addresses each process sends no more than the cap; the others are counted."""
    path = tmp_path / "scan.jsonl"
    path.write_text("".join(f"{line}\n" for line in scan(7000)))
    sent: list[int] = []
    for kind in (processes._Here, processes._There):

        def weighed(worker: Any, hear: Callable[[Any], object] = kind.hear) -> object:
            answer = hear(worker)
            if isinstance(answer, Finished):
                sent.append(unpacked(answer.parts).rows.num_rows)
            return answer

        monkeypatch.setattr(kind, "hear", weighed)
    made = []
    for jobs in (1, 2):
        source = open_flows(path, columns=COLUMNS)
        made.append((aggregate(source, jobs=jobs, max_peers=100), source))
    assert told(made[0]) == told(made[1])
    edges, _ = made[1]
    assert 100 == edges.edges.num_rows
    assert 6900 == sum(row["count"] for row in edges.ledger.to_pylist() if row["kind"] == "folded")
    assert [100, 100] == sent


def test_files_of_nothing_are_told_the_same(tmp_path: Path) -> None:
    """An empty file among others is a note; one with no event at all is an error that names it."""
    good, empty, bad = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "c.jsonl"
    good.write_bytes(b"".join(_LINES[:100]))
    empty.write_bytes(b"\n\n")
    bad.write_bytes(b'{"flow":{\n' * 3000)
    assert told(read(good, empty, jobs=1)) == told(read(good, empty, jobs=2))
    for jobs in (1, 2):
        with pytest.raises(InputError, match=r"c\.jsonl: no Hubble event in it \(line 1: not JSON\)"):
            read(good, bad, jobs=jobs)


def test_strict_names_the_first_bad_line_of_all(tmp_path: Path) -> None:
    """The first bad line in order, with its number in the file, though a later one is found sooner."""
    path = tmp_path / "flows.jsonl"
    lines = list(_LINES)
    lines[5500:5500] = [b"later\n"] * 200
    lines[3210] = lines[3210][:-20] + b"\n"
    path.write_bytes(b"".join(lines))
    for jobs in (1, 3):
        with pytest.raises(InputError, match=r"flows\.jsonl:3211: not JSON"):
            read(path, jobs=jobs, strict=True)
    assert set() == _children()


def test_a_process_that_dies_is_an_error_that_names_its_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed from outside, as for want of memory: no answer, no process left, and what to do."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(_LINES))
    told_of: list[object] = []
    tell = processes._There.tell

    def killed(worker: processes._There, told: object) -> None:
        told_of.append(told)
        if len(told_of) == 4:
            os.kill(worker._reader.process.pid, signal.SIGKILL)
        tell(worker, told)

    monkeypatch.setattr(processes._There, "tell", killed)
    with pytest.raises(
        InputError, match=r"flows\.jsonl: the process that read it died \(killed by signal 9\)"
    ):
        read(path, jobs=2)
    assert set() == _children()


_INTERRUPTED = """
import sys
from flowmine.edges import COLUMNS
from flowmine.ingest import open_flows
from flowmine.ingest.blocks import Block
from flowmine.ingest.division import Portion
from flowmine.scale import aggregate
while True:  # however fast it reads, it is met reading
    aggregate(open_flows(sys.argv[1], columns=COLUMNS), jobs=3)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_end_from_outside_leaves_no_process_behind(tmp_path: Path, how: signal.Signals) -> None:
    """Ctrl-C, and even a kill of the process that was asked, ends the others."""
    path = tmp_path / "flows.jsonl"
    with path.open("wb") as out:
        for _ in range(20):
            out.writelines(_LINES)
    asked = subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTED, str(path)],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    group = f"ps -o pid= -s {asked.pid}"
    while asked.poll() is None and len(subprocess.getoutput(group).split()) < 3:
        time.sleep(0.05)
    assert asked.poll() is None
    if how == signal.SIGINT:
        os.killpg(asked.pid, how)
    else:
        os.kill(asked.pid, how)
    assert asked.wait(30) != 0
    deadline = time.monotonic() + 20
    while subprocess.getoutput(group).split() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [] == subprocess.getoutput(group).split()


def test_ranges_are_whole_lines_and_all_of_them(tmp_path: Path) -> None:
    """Ranges follow each other without gap, end at line ends, and a line longer than a range stays whole."""
    path = tmp_path / "flows.jsonl"
    data = (
        _LINES[1]
        + _LINES[2].replace(b'"Summary":"', b'"Summary":"' + b"x" * 200_000)
        + b"".join(_LINES[3:99])
    )
    path.write_bytes(data + _LINES[99][:-1])
    (one,), _ = find([path])
    found = list(ranges(one, 5000, 5000))
    assert len(found) > 10
    assert data + _LINES[99][:-1] == b"".join(path.read_bytes()[each.start : each.end] for each in found)
    assert all(path.read_bytes()[each.end - 1 : each.end] == b"\n" for each in found[:-1])


def test_filters_and_other_sources_are_read_by_one_process(tmp_path: Path) -> None:
    """Where every event is asked about, the answer comes from one process, whatever the number asked for."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(_LINES[:500]))
    options = {"keep": lambda record: record["flow"].get("verdict") == "FORWARDED"}
    assert told(read(path, jobs=1, **options)) == told(read(path, jobs=2, **options))


def test_no_process_is_no_answer(tmp_path: Path) -> None:
    """Less than one process is refused."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(_LINES[:10]))
    with pytest.raises(UsageError, match="at least one process"):
        aggregate(open_flows(path, columns=COLUMNS), jobs=0)


class _Ends:
    """A reading of files of one block each, and the other end of every connection to those who read them."""

    def __init__(self) -> None:
        self.connection, self.told, self.sum = self, list[object](), None

    def portions(self, _: object) -> Iterator[Portion]:
        """Yield a block and the end of each file."""
        for place in range(9):
            yield Portion(2 * place, place, "flows", Block(b"{}\n", 1))
            yield Portion(2 * place + 1, place, "flows", None)

    def new(self, _: object) -> None:
        """Tell of no flow that it was read before."""

    def send(self, told: object) -> None:
        """Take what is told."""
        self.told.append(told)

    def recv(self) -> Keyed:
        """Answer what is told, each in turn, but never that it was added up."""
        reads = [told.portion.number for told in self.told if isinstance(told, Read)]
        keyed = sum(isinstance(told, Pass) for told in self.told)
        return Keyed(reads[keyed], None)


def test_the_end_of_a_file_holds_up_no_other_file() -> None:
    """While the first is added up, those behind it are judged, and more are given."""
    both: Any = _Ends()
    there, here = processes._There(both), processes._Here(both)
    here.unread[-1] = 0  # this process has something else to do
    line = processes._Line(both, [there], here, OwnSlots())
    for _ in range(6):
        line.fill()
        line._hear(there)
        line._advance()
    assert [told.number for told in both.told if isinstance(told, Pass)] == [0, 2, 4, 6, 8, 10]
