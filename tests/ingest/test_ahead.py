"""Reading ahead in a thread: the same pieces, the same errors, and no thread left behind."""

import threading
from collections.abc import Iterator

import pytest

from flowmine.ingest.ahead import ahead


def _threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "flowmine-ahead"]


def test_the_pieces_come_in_order() -> None:
    """What the iterator yields is yielded, then it ends."""
    pieces = [bytes([number]) for number in range(100)]
    assert pieces == list(ahead(iter(pieces)))
    assert [] == _threads()


def test_an_error_comes_after_what_was_yielded_before_it() -> None:
    """The exception of the thread is raised in the reader, at its place."""

    def failing() -> Iterator[bytes]:
        yield b"a"
        raise OSError("broken")

    got = ahead(failing())
    assert b"a" == next(got)
    with pytest.raises(OSError, match="broken"):
        next(got)
    assert [] == _threads()


def test_a_reader_that_stops_early_ends_the_thread() -> None:
    """Closing the iterator stops the work, even one without an end."""

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x"

    got = ahead(endless())
    assert b"x" == next(got)
    got.close()  # type: ignore[attr-defined]
    assert [] == _threads()


def test_only_a_few_pieces_are_held() -> None:
    """A slow reader is not run away from."""
    made: list[int] = []

    def counted() -> Iterator[bytes]:
        for number in range(1000):
            made.append(number)
            yield b"x"

    got = ahead(counted(), depth=2)
    for _ in range(10):
        next(got)
    assert len(made) <= 10 + 2 + 2
    got.close()  # type: ignore[attr-defined]
