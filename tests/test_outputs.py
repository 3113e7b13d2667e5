"""Files that commands write are whole or absent, whatever breaks the writing off, and wherever."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from flowmine import outputs

_OLD = {"a": b"old a", "b": b"old b"}
_NEW = {"a": b"new a", "b": b"new b", "in/deep/c": b"new c"}


class _Stop(BaseException):
    """What a signal raises."""


@contextmanager
def _broken_at(step: int) -> Iterator[list[int]]:
    """Within the block raise at the so-many-eth moment at which Python may pass on a signal within `outputs`.

    These are where a function begins and where a call of C has ended. Yields the number of moments so far.
    """
    count = [0]

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "c_return"):
            return
        within: FrameType | None = frame
        while within is not None and within.f_code.co_filename != outputs.__file__:
            within = within.f_back
        if within is None:
            return
        count[0] += 1
        if count[0] >= step and not outputs.put_off(signal.SIGINT):
            sys.setprofile(None)
            raise _Stop

    sys.setprofile(look)
    try:
        yield count
    finally:
        sys.setprofile(None)


def _contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def _replace(folder: Path) -> None:
    outputs.write_all({folder / name: data for name, data in _NEW.items()})


def _make(folder: Path) -> None:
    outputs.make_folder(folder / "in" / "new", _NEW)


def _one(folder: Path) -> None:
    outputs.write_whole(folder / "a", b"new a")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that was not closed
@pytest.mark.parametrize("links", [True, False], ids=["links", "no-links"])
@pytest.mark.parametrize(("call", "least"), [(_replace, 100), (_make, 100), (_one, 15)])
def test_what_is_broken_off_leaves_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[[Path], None], least: int, links: bool
) -> None:
    """At every moment all is as it was or all is made, on file systems without hard links too."""

    def none(*_: object, **__: object) -> None:
        raise OSError

    if not links:
        monkeypatch.setattr("os.link", none)
    monkeypatch.setattr("signal.raise_signal", lambda _: None)
    monkeypatch.setattr(outputs, "_late", [])

    def tried(step: int) -> tuple[int, bool, dict[str, bytes | None], dict[str, bytes | None]]:
        folder = tmp_path / str(step)
        folder.mkdir()
        for name, data in _OLD.items():
            (folder / name).write_bytes(data)
        before, broken = _contents(folder), False
        with _broken_at(step) as count:
            try:
                call(folder)
            except _Stop:
                broken = True
        return count[0], broken, before, _contents(folder)

    steps, broken, before, whole = tried(sys.maxsize)
    assert not broken and whole != before and steps >= least
    ends = []
    for step in range(1, steps + 1):
        _, broken, before, found = tried(step)
        assert found in (before, whole), (step, found)
        assert broken or found == whole
        ends.append(found == whole)
    assert not ends[0] and ends[-1]
    assert sorted(ends) == ends
