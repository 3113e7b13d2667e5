"""Which files are read, in which order, and what is said of the others."""

import gzip
import io
import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import flowmine
from flowmine.errors import InputError, UsageError
from flowmine.ingest import Progress, open_flows
from tests.ingest.making import lines, opened, read, record


def _numbers(*inputs: object, **options: object) -> list[int]:
    table = read(open_flows(*inputs, **options))  # type: ignore[arg-type]
    return [int(uuid[:8], 16) for uuid in table["uuid"].to_pylist()]


@pytest.fixture
def rotated(tmp_path: Path) -> Path:
    """Two nodes' exporter folders with rotated, compressed and foreign files."""
    for node, start in (("node-1", 0), ("node-2", 3)):
        folder = tmp_path / node
        folder.mkdir()
        events = [record(start + number * 10, node_name=f"default/{node}") for number in range(6)]
        (folder / "events.log").write_bytes(lines(*events[4:]))
        (folder / "events-2026-11-18T09-30-40.000.log.gz").write_bytes(gzip.compress(lines(*events[2:4])))
        (folder / "events-2026-11-18T09-30-20.000.log").write_bytes(lines(*events[:2]))
    (tmp_path / "README.md").write_text("# Notes\n")
    (tmp_path / "truth.json").write_text('{\n  "edges": [{"src": "a", "l4": 3}]\n}\n')
    (tmp_path / "policy.yaml").write_text("kind: CiliumNetworkPolicy\n")
    (tmp_path / "empty.log").write_text("")
    (tmp_path / ".hidden.jsonl").write_bytes(lines(record(99)))
    return tmp_path


def test_a_folder_is_read_with_its_folders_and_foreign_files_are_named(rotated: Path) -> None:
    """Only files whose content is a capture are read; each other one has a note with the reason."""
    source = open_flows(rotated)
    expected = sorted([*range(0, 60, 10), *range(3, 63, 10)])
    assert expected == sorted(int(uuid[:8], 16) for uuid in read(source)["uuid"].to_pylist())
    assert [
        f"{rotated}/README.md: left out: not a capture of Hubble flows",
        f"{rotated}/empty.log: left out: it is empty",
        f"{rotated}/policy.yaml: left out: not a capture of Hubble flows",
        f"{rotated}/truth.json: left out: JSON, but no Hubble events",
    ] == source.ledger.notes


def test_without_recursive_only_the_folder_itself_is_read(rotated: Path) -> None:
    """Files of inner folders are not looked at."""
    assert 6 == len(_numbers(rotated / "node-1", recursive=False))
    with pytest.raises(InputError, match="no capture of Hubble flows in this folder"):
        open_flows(rotated, recursive=False)


def test_the_order_of_the_arguments_does_not_matter(rotated: Path) -> None:
    """Any order of the same inputs gives the same rows in the same order."""
    files = sorted(rotated.glob("node-*/*"))
    expected = _numbers(*files)
    for order in itertools.islice(itertools.permutations(files), 0, 720, 97):
        assert expected == _numbers(*order)
    assert expected == _numbers(rotated)
    assert expected == _numbers(str(rotated / "node-*" / "*"))


def test_captures_that_overlap_are_read_side_by_side(tmp_path: Path) -> None:
    """Blocks of several files come by time, so that what two files repeat lies close together."""
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(lines(*(record(number, Summary="x" * 2000) for number in range(3000))))
    source = open_flows(tmp_path, columns=["uuid"], dedup=False, batch_rows=1)
    seen = [int(batch["uuid"][0].as_py()[:8], 16) for batch in source.batches()]
    apart = [len(seen) - seen[::-1].index(number) - seen.index(number) for number in range(0, 3000, 100)]
    assert (9000, True) == (len(seen), max(apart) < 3000)


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    """The same file by another name or pattern does not count twice, even without dedup."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(record(0, uuid=None)))
    (tmp_path / "link.jsonl").symlink_to(path)
    source = open_flows(path, str(tmp_path / "*.jsonl"), tmp_path, dedup=False)
    assert 1 == read(source).num_rows
    assert any("named more than once" in note for note in source.ledger.notes)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing.jsonl", "no such file or folder"), ("*.nothing", "no file matches")],
)
def test_what_does_not_exist_is_an_error_that_says_what_to_name(
    tmp_path: Path, name: str, reason: str
) -> None:
    """A wrong path is told with the three kinds of input there are."""
    with pytest.raises(InputError, match=rf"{reason}; name a capture, a folder of captures, or - for"):
        open_flows(tmp_path / name)


def test_no_input_is_a_usage_error() -> None:
    """Nothing named, nothing guessed."""
    with pytest.raises(UsageError, match="no input"):
        open_flows()


@pytest.mark.parametrize("given", [["flows.jsonl"], None, b"flows.jsonl", 3])
def test_what_is_no_input_is_a_type_error_that_says_what_one_is(given: object) -> None:
    """A list of paths, or nothing at all, is a programmer's mistake, told before any file is opened."""
    for read_it in (open_flows, flowmine.read):
        with pytest.raises(
            TypeError, match=rf"several are arguments of their own.*not a {type(given).__name__}$"
        ):
            read_it("no such file", given)  # type: ignore[arg-type]


def test_text_is_no_binary_stream(tmp_path: Path) -> None:
    """A file opened as text is refused by name, with the mode to open it in."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(lines(record(1)))
    with path.open() as text, pytest.raises(TypeError, match=r"open .*flows\.jsonl with mode 'rb'"):
        open_flows(text)  # type: ignore[arg-type]


def test_paths_may_be_of_pathlib(rotated: Path) -> None:
    """Files, folders and patterns are the same as text and as `pathlib.Path`."""
    for path in (rotated, rotated / "node-1" / "events.log", rotated / "*" / "*.log"):
        assert _numbers(str(path)) == _numbers(path)
        assert flowmine.read(str(path)).edges().to_pandas().equals(flowmine.read(path).edges().to_pandas())


def test_links_in_a_ring_are_an_error(tmp_path: Path) -> None:
    """What the system cannot open is named with the system's reason."""
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InputError, match=r"a: cannot be read \(.*symbolic links"):
        open_flows(tmp_path / "a")


def test_a_dangling_link_is_an_error(tmp_path: Path) -> None:
    """A link to nowhere is no silent nothing."""
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="cannot be read"):
        open_flows(tmp_path / "a.jsonl")


def test_standard_input_and_pipes_are_read(tmp_path: Path) -> None:
    """A dash is standard input; a named pipe is read as it comes."""
    code = "import flowmine.ingest as i; print(sum(b.num_rows for b in i.open_flows('-').batches()))"
    data = gzip.compress(lines(*(record(number) for number in range(500))))
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert b"500\n" == done.stdout
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(lines(record(0), record(1)),))
    writer.start()
    assert [0, 1] == _numbers(pipe)
    writer.join()


def test_a_stream_named_twice_is_read_once() -> None:
    """Two readers of one stream would tear its lines."""
    stream = io.BytesIO(lines(*(record(number, uuid=None) for number in range(2000))))
    source = open_flows(stream, stream)
    assert 2000 == read(source).num_rows
    assert ["stream: named more than once, read once"] == source.ledger.notes


def test_a_stream_can_be_read_only_once_and_a_file_again(tmp_path: Path) -> None:
    """A second reading of a stream is an error and not an empty answer."""
    source = opened(lines(record(0)))
    assert 1 == read(source).num_rows
    with pytest.raises(InputError, match="only once"):
        read(source)
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(record(0)))
    again = open_flows(path)
    assert read(again) == read(again)
    assert 1 == again.ledger.flows


def test_progress_is_told_in_bytes_as_stored_and_flows(tmp_path: Path) -> None:
    """The last report is the whole: all bytes of the files, all flows."""
    reports: list[Progress] = []
    sizes = 0
    for name in ("a.gz", "b"):
        data = lines(*(record(number + ord(name[0]) * 10_000) for number in range(2000)))
        (tmp_path / name).write_bytes(gzip.compress(data) if name == "a.gz" else data)
        sizes += (tmp_path / name).stat().st_size
    read(open_flows(tmp_path, progress=reports.append))
    assert Progress(sizes, sizes, 4000) == reports[-1]
    assert [one.read for one in reports] == sorted(one.read for one in reports)
    read(open_flows(io.BytesIO(lines(record(0))), progress=reports.append))
    assert (None, 1) == (reports[-1].total, reports[-1].flows)


def test_a_reading_that_stops_early_does_not_claim_to_be_complete(tmp_path: Path) -> None:
    """Whoever takes one batch only sees it in the ledger."""
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(lines(*(record(number) for number in range(5000)))))
    source = open_flows(path, batch_rows=10)
    batches = source.batches()
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert not source.ledger.complete
    read(source)
    assert source.ledger.complete


def test_a_read_error_in_the_middle_is_an_error(tmp_path: Path) -> None:
    """A failing disk does not end in a smaller answer."""

    class Failing(io.RawIOBase):
        def __init__(self) -> None:
            self.served = 0

        def read(self, size: int = -1) -> bytes:
            self.served += 1
            if self.served > 3:
                raise OSError(5, "Input/output error")
            return lines(*(record(number) for number in range(200)))

    for data in (Failing(), gzip.GzipFile(fileobj=io.BytesIO(b"no gzip"))):
        with pytest.raises(InputError, match="cannot be read"):
            read(open_flows(data))  # type: ignore[arg-type]


def test_many_overlapping_files_need_few_open_files(tmp_path: Path) -> None:
    """Two hundred files of the same hour are read with less than sixty open at once."""
    for place in range(200):
        (tmp_path / f"{place:03}.jsonl").write_bytes(
            lines(*(record(place * 10 + number) for number in range(3)))
        )
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))\n"
        "from flowmine.ingest import open_flows\n"
        "print(sum(b.num_rows for b in open_flows(sys.argv[1]).batches()))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True)
    assert b"600\n" == done.stdout
