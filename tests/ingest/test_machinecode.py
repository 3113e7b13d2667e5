"""Compiled code is kept in a file, which is used only if it is whole and nobody else's."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flowmine.ingest import machinecode
from flowmine.ingest.compiled import Cutter
from flowmine.ingest.dedup import SeenIds
from flowmine.ingest.machinecode import kept, made
from flowmine.ingest.whichcode import load
from tests.cluster import replay
from tests.cluster.systems import SYSTEMS


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty folder of caches, with which nothing is loaded yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept.cache_clear()
    yield tmp_path / "flowmine"
    kept.cache_clear()


@pytest.fixture(scope="module")
def code() -> bytes:
    """Return what numba makes."""
    return machinecode._compiled()


@pytest.fixture
def place(caches: Path, code: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the code is kept, which takes no time to make."""
    monkeypatch.setattr(machinecode, "_compiled", lambda: code)
    made()
    (found,) = caches.iterdir()
    kept.cache_clear()
    return found


def test_code_is_made_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found again, belongs to its user, and does what it should."""
    monkeypatch.setattr(machinecode, "_compiled", lambda: pytest.fail("compiled again"))
    assert (0o600, 0o700) == (place.stat().st_mode & 0o777, place.parent.stat().st_mode & 0o777)
    lines = [*replay(SYSTEMS[sorted(SYSTEMS)[0]](), 100)]
    found = Cutter(made().cut).cut(b"".join(lines))
    assert found is not None
    assert len(lines) == len(found.begins) + len(found.others)


def test_what_was_not_made_is_not_kept(caches: Path) -> None:
    """Asked for what was made before, nothing is compiled, and no file is left."""
    assert kept() is None
    assert not caches.exists()
    load.cache_clear()
    assert not load("kept")
    load.cache_clear()


@pytest.mark.parametrize("broken", [b"", b"\0" * 20_000, "cut", "changed", "more"])
def test_what_is_not_whole_is_made_again(place: Path, broken: bytes | str) -> None:
    """Empty, cut, changed or longer: it is not run."""
    whole = place.read_bytes()
    broken = {
        "cut": whole[:-1],
        "changed": whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
        "more": whole + b"\0",
    }.get(str(broken), broken)
    assert isinstance(broken, bytes)
    place.write_bytes(broken)
    assert kept() is None
    assert made() is kept()
    assert whole == place.read_bytes()


def test_what_others_could_have_written_is_not_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that others may write, or have, and a link to one, are not."""
    place.chmod(0o620)
    assert kept() is None
    assert made() is not None
    assert place.stat().st_mode & 0o777 == 0o600
    kept.cache_clear()
    with monkeypatch.context() as other:
        other.setattr(os, "geteuid", lambda: place.stat().st_uid + 1)
        assert kept() is None
    kept.cache_clear()
    place.rename(place.with_name("elsewhere"))
    place.symlink_to("elsewhere")
    assert kept() is None
    kept.cache_clear()
    assert made() is not None
    assert not place.is_symlink()


def test_other_machines_and_kernels_have_other_code(
    place: Path, code: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a processor of another name, or with other features, another file is made."""
    for name, value in (("get_host_cpu_name", "other"), ("get_default_triple", "none-of-them")):
        monkeypatch.setattr(machinecode.llvm, name, lambda value=value: value)
        assert kept() is None
        kept.cache_clear()


def test_without_a_place_nothing_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caches: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Seconds are not spent in every run."""
    caches.write_text("a file where the folder should be")
    monkeypatch.setattr(machinecode, "_compiled", lambda: pytest.fail("compiled in vain"))
    load.cache_clear()
    with caplog.at_level("INFO"):
        assert not load("made")
    load.cache_clear()
    assert ["not compiled"] == [message.partition(":")[0] for message in caplog.messages]


def test_where_others_can_write_nothing_is_compiled(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that tells of another owner, seconds are not spent in every run."""
    monkeypatch.setattr(machinecode, "_compiled", lambda: pytest.fail("compiled in vain"))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(OSError, match="not this user's alone"):
        made()


def test_a_function_keeps_its_code(place: Path) -> None:
    """It may be called when nothing else of the code is there any more."""
    first_seen = made().first_seen
    kept.cache_clear()
    gc.collect()
    seen = SeenIds(64, first_seen)
    assert [True, False, True] == seen.first_seen(np.array([3, 3, 4], np.uint64)).tolist()


def test_code_that_fails_is_an_error() -> None:
    """What the code tells of a failure is not taken for an answer; less than it takes is not called."""
    failing = """
      define i32 @cut(ptr %answer, ptr %raised, ptr %block) { ret i32 -1 }
      define i32 @first_seen(ptr %answer, ptr %raised, ptr %ring) { ret i32 0 }"""
    module = machinecode.llvm.parse_assembly(failing)
    code = machinecode.Code(machinecode._machine().emit_object(module))
    assert code.first_seen(*[0] * 7) == 0
    with pytest.raises(RuntimeError, match="cut failed"):
        code.cut(*[0] * 11)
    with pytest.raises(TypeError, match="cut takes 11 arguments, not 10"):
        code.cut(*[0] * 10)
