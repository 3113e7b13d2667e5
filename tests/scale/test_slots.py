"""What lies in no plain file is read by several processes as by one: compressed, streamed, broken or odd."""

import bz2
import gzip
import io
import json
import lzma
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from flowmine import scale
from flowmine.edges import COLUMNS, aggregate
from flowmine.errors import InputError
from flowmine.ingest import open_flows
from flowmine.ingest.blocks import Block, Unreadable
from flowmine.ingest.files import Input
from flowmine.ingest.framing import by_line
from flowmine.ingest.slots import SharedSlots, Slot, blocks_in, slots
from tests.scale.making import capture, read, told

_LINES = capture(2500)
_LONG = _LINES[7].replace(b'"Summary":"', b'"Summary":"' + b"x" * 300_000)
_CONTENT = b"".join((*_LINES[:900], b"no JSON\n", b"\n\n", *_LINES[900:], b"no JSON either\n", _LINES[3]))
_SIZE = 1 << 16


@pytest.fixture(autouse=True)
def _small_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small captures fill many slots."""
    for name in ("_ALONE", "_LARGEST", "_SMALLEST"):
        monkeypatch.setattr(f"flowmine.ingest.lockstep.{name}", _SIZE)


def _damaged(data: bytes) -> bytes:
    place = len(data) * 2 // 3
    return data[:place] + bytes(255 - byte for byte in data[place : place + 40]) + data[place + 40 :]


_ZIPPED = gzip.compress(_CONTENT)
_STORED = {
    "gzip": _ZIPPED,
    "gzip, many members": b"".join(gzip.compress(line) for line in _CONTENT[:400_000].splitlines(True)),
    "gzip, padded": _ZIPPED + b"\0" * 700,
    "gzip, cut": _ZIPPED[:-5000],
    "gzip, cut in the last bytes": _ZIPPED[:-3],
    "gzip, damaged": _damaged(_ZIPPED),
    "gzip, wrong checksum": _ZIPPED[:-8] + b"\1\2\3\4" + _ZIPPED[-4:],
    "gzip, more behind": _ZIPPED + b"something else",
    "gzip, long line": gzip.compress(_LINES[0] + _LONG + b"no JSON\n" + _CONTENT + _LONG[:-1]),
    "gzip, mark": gzip.compress(b"\xef\xbb\xbf" + _CONTENT),
    "gzip, UTF-16": gzip.compress(b"\xff\xfe" + b"".join(_LINES[:400]).decode().encode("utf-16-le")),
    "gzip, pretty": gzip.compress(
        b"\n".join(json.dumps(json.loads(line), indent=1).encode() for line in _LINES[:400])
    ),
    "gzip, blank lines": gzip.compress(
        b"".join((*_LINES[:70], b"\n" * 200_000, *_LINES[70:900], b"no JSON\n", b"\n" * 10, b"no JSON\n"))
    ),
    "zstd": zstandard.compress(_CONTENT),
    "bzip2": bz2.compress(_CONTENT),
    "xz": lzma.compress(_CONTENT),
    "xz, cut": lzma.compress(_CONTENT)[:-3000],
}


@pytest.mark.parametrize("kind", _STORED)
def test_what_is_compressed_gives_the_same_bytes_read_in_any_way(tmp_path: Path, kind: str) -> None:
    """Tables, and what the ledger tells of bad lines by their numbers, of cuts and of damage."""
    path = tmp_path / "flows"
    path.write_bytes(_STORED[kind])
    source = open_flows(path, columns=COLUMNS)
    assert told((aggregate(source), source)) == told(read(path, jobs=1)) == told(read(path, jobs=2))


@pytest.mark.parametrize("kind", _STORED)
def test_what_is_compressed_among_others_gives_the_same_bytes(tmp_path: Path, kind: str) -> None:
    """A small file is inflated by who reads it, and tells the same as all do; what others have too counts once."""
    for number in range(3):
        (tmp_path / f"a{number}").write_bytes(b"".join(_LINES[number * 500 : number * 500 + 900]))
        later = b"".join(capture(200, day=1 + number))
        (tmp_path / f"z{number}.gz").write_bytes(gzip.compress(b"".join(_LINES[number * 300 :: 2]) + later))
    (tmp_path / "flows").write_bytes(_STORED[kind])
    source = open_flows(tmp_path, columns=COLUMNS)
    assert told((aggregate(source), source)) == told(read(tmp_path, jobs=1)) == told(read(tmp_path, jobs=2))


def test_a_file_that_was_there_and_is_not_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error, and not a smaller answer; so are lines that are refused, by their numbers in the file."""
    monkeypatch.setattr("flowmine.ingest.division._BLOCK", _SIZE)
    for number in range(3):
        (tmp_path / f"{number}.gz").write_bytes(gzip.compress(_CONTENT))
    for jobs in (1, 2):
        with pytest.raises(InputError, match=r"0\.gz:901: not JSON"):
            read(tmp_path, jobs=jobs, strict=True)
        source = open_flows(tmp_path, columns=COLUMNS)
        (tmp_path / "1.gz").rename(tmp_path / "gone")
        with pytest.raises(InputError, match=r"1\.gz: cannot be read \(No such file"):
            scale.aggregate(source, jobs=jobs)
        (tmp_path / "gone").rename(tmp_path / "1.gz")


def test_blank_lines_count_wherever_a_plain_file_is_divided(tmp_path: Path) -> None:
    """They are numbered as all lines are, also where nothing else is in a block."""
    path = tmp_path / "flows"
    path.write_bytes(gzip.decompress(_STORED["gzip, blank lines"]))
    one = told(read(path, jobs=1))
    assert one == told(read(path, jobs=2))
    assert [f"{path}:200901: not JSON", f"{path}:200912: not JSON"] == one["told"].named


@pytest.mark.parametrize("kind", ["plain", "gzip", "gzip, cut", "zstd"])
def test_a_stream_gives_the_bytes_of_one_process(kind: str) -> None:
    """What can be read only once."""
    data = _STORED.get(kind, _CONTENT)
    one, two = (told(read(io.BytesIO(data), jobs=jobs)) for jobs in (1, 2))
    assert one == two
    assert one["told"].flows > 1000


def test_a_system_without_files_in_memory_has_temporary_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One without name, of which nothing is left."""
    path, folder = tmp_path / "flows", tmp_path / "temporary"
    path.write_bytes(_STORED["gzip"])
    folder.mkdir()
    one = told(read(path, jobs=1))
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert one == told(read(path, jobs=2))
    assert [] == list(folder.iterdir())


def test_several_compressed_files_are_read_in_step(tmp_path: Path) -> None:
    """Files that overlap in time, of every compression, more of them than are inflated in threads of their own."""
    for place, kind in enumerate(("gzip", "zstd", "gzip, cut", "bzip2", "gzip, padded", "xz")):
        (tmp_path / f"{place}.log").write_bytes(_STORED[kind])
    one = read(tmp_path, jobs=1)
    assert told(one) == told(read(tmp_path, jobs=2))
    assert one[1].ledger.total("duplicate") > 3000


@pytest.mark.parametrize("kind", ["gzip", "zstd", "gzip, more behind"])
def test_strict_names_the_first_bad_line(tmp_path: Path, kind: str) -> None:
    """By its number in the content."""
    path = tmp_path / "flows"
    path.write_bytes(_STORED[kind])
    for jobs in (1, 2):
        with pytest.raises(InputError, match=r"flows:901: not JSON"):
            read(path, jobs=jobs, strict=True)


def _file() -> int:
    return os.memfd_create("test")


def _read(found: Iterator[Slot | Block | Unreadable], of: SharedSlots) -> Iterator[Block | Unreadable]:
    """Yield what is in slots, each given back when it was read."""
    for one in found:
        assert isinstance(one, Slot)
        yield from blocks_in(one, of, _SIZE)
        of.give_back(one.number)


@pytest.mark.parametrize("kind", ["plain", "gzip", "gzip, cut", "gzip, damaged", "gzip, long line", "zstd"])
def test_slots_hold_every_line_once_and_are_used_again(tmp_path: Path, kind: str) -> None:
    """What is read of the slots in turn is what one reader reads, whole lines each; no more than two are ever in use."""
    path = tmp_path / "flows"
    path.write_bytes(_STORED.get(kind, _CONTENT))
    one, again, of = Input(str(path), path), Input(str(path), path), SharedSlots(_file())
    for each in (one, again):
        each.recognise(in_folder=False)
    expected = b"".join(
        block.data for block in by_line(one.content(_SIZE), _SIZE) if isinstance(block, Block)
    )
    found = [
        block.data for block in _read(slots(again, _SIZE, of, alone=True), of) if isinstance(block, Block)
    ]
    assert (expected, one.cut) == (b"".join(found), again.cut)
    assert all(data.endswith(b"\n") for data in found[:-1])
    assert len(found) > 10
    assert (max(map(len, found)) <= _SIZE) == (kind in ("gzip", "gzip, cut"))  # inflated where read
    assert of.take() < 2


@pytest.mark.parametrize("kind", ["gzip", "gzip, damaged", "zstd"])
def test_slots_that_who_writes_them_reads_are_small(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """Every other one is near: no line is lost, doubled or cut for that."""
    size = 1 << 19
    monkeypatch.setattr("flowmine.ingest.slots._NEAR", size // 8)
    monkeypatch.setattr("flowmine.ingest.slots._FIRST", size)
    monkeypatch.setattr("flowmine.ingest.compression._GATHERED", 1)
    path, of = tmp_path / "flows", SharedSlots(_file())
    path.write_bytes(_STORED[kind])
    one, again = Input(str(path), path), Input(str(path), path)
    for each in (one, again):
        each.recognise(in_folder=False)
    found, rest = [], slots(again, size, of, alone=True)
    while (slot := next(rest, None)) is not None:
        assert isinstance(slot, Slot)
        found.append((of.near, bytes(of.view(slot.number, slot.length))))
        of.give_back(slot.number)
        of.near = not of.near
    assert b"".join(one.content(size)) == b"".join(text for _, text in found)
    assert all(text.endswith(b"\n") for _, text in found[:-1])
    near, far = ([len(text) for was, text in found[:-1] if was is wanted] for wanted in (True, False))
    assert min(len(near), len(far)) > 2
    assert 2 * max(near) < min(far) or kind == "gzip, damaged"  # which is read again, in larger pieces


def test_a_line_that_is_too_long_is_told_and_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the number that one reader gives it, and so are the lines after it."""
    for module in ("framing", "slots"):
        monkeypatch.setattr(f"flowmine.ingest.{module}.LONGEST", 2_000_000)
    content = b"".join(
        (*_LINES[:90], _LONG, *_LINES[90:150], b"x" * 4_100_000 + b"\n", _LINES[5], _LONG[:-1])
    )
    path, of = tmp_path / "flows", SharedSlots(_file())
    for data in (content, gzip.compress(content)):
        path.write_bytes(data)
        one = Input(str(path), path)
        one.recognise(in_folder=False)
        lines = done = 0
        long = []
        for each in slots(one, _SIZE, of, alone=True):
            assert isinstance(each, Slot)
            before = done
            for block in blocks_in(each, of, _SIZE):
                if isinstance(block, Unreadable):
                    long.append(before + block.line)
                    done = before + block.line
                else:
                    done = before + block.first - 1 + block.ends
                    lines += len(block.lines())
        assert ([152], 153) == (long, lines)


def test_no_room_is_an_error_that_says_what_to_do() -> None:
    """Where the file of the slots has no room, as a full disk has none."""
    full = SharedSlots(os.open("/dev/full", os.O_RDWR))
    for write in (lambda: full.write(0, 0, b"x"), lambda: full.room(0, 4096)):
        with pytest.raises(InputError, match=r"no room .*; try again with --jobs 1"):
            write()
