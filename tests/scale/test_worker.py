"""What a worker answers: also what it could not add up is told to whoever asked, and no end of a process."""

import os
import pickle
import signal
import tempfile
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from flowmine.edges import COLUMNS, Sums
from flowmine.errors import InputError
from flowmine.ingest import open_flows
from flowmine.ingest.slots import SharedSlots
from flowmine.scale.messages import Done, Failed, Finish, Keyed, Pass, Read
from flowmine.scale.worker import Work, main
from tests.scale.making import capture


def _refuse(*_: object) -> NoReturn:
    raise InputError("two endpoints have one id")


@pytest.mark.parametrize("at_once", [True, False])
def test_what_fails_after_reading_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    """Flows that are told once when they are passed on, or when there are no more."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(capture(500)))
    division = open_flows(path, columns=COLUMNS).divided()
    assert division is not None
    with tempfile.TemporaryFile() as file:
        work = Work(division.settings, Sums(), SharedSlots(os.dup(file.fileno())))
        portion = next(division.portions())
        monkeypatch.setattr("flowmine.ingest.columns.Builder.fold", _refuse)
        monkeypatch.setattr("flowmine.ingest.waiting._ENOUGH", 1 if at_once else 1 << 15)
        assert isinstance(work.answer(Read(portion)), Keyed)
        passed = work.answer(Pass(portion.number, None))
        if at_once:
            assert isinstance(passed, Failed)
            assert (passed.number, str(passed.error)) == (portion.number, "two endpoints have one id")
        else:
            assert isinstance(passed, Done)
            ended = work.answer(Finish())
            assert isinstance(ended, Failed)
            assert (ended.number, str(ended.error)) == (None, "two endpoints have one id")


def test_what_cannot_be_told_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the answer hears that the process died, and does not wait for ever."""
    monkeypatch.setattr(
        "flowmine.scale.worker.Work", lambda *_: SimpleNamespace(answer=lambda told: lambda: told)
    )
    before = signal.getsignal(signal.SIGINT)
    ours, theirs = Pipe()
    with ours, theirs, tempfile.TemporaryFile() as file:
        ours.send((None, None))
        ours.send(Finish())
        with pytest.raises((AttributeError, pickle.PicklingError), match="pickle"):
            main(os.dup(theirs.fileno()), os.dup(file.fileno()))
    signal.signal(signal.SIGINT, before)
