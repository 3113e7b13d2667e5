"""Whatever is given to a reader, nothing but an error of flowmine's comes out, in one line, in time and in little memory."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.bounds import within
from tests.fuzz.edits import EDIT, edited
from tests.fuzz.found import FOUND
from tests.fuzz.targets import READERS, TARGETS, samples_of

_EDITS = st.lists(st.tuples(*(st.integers(*bounds) for bounds in EDIT)), min_size=1, max_size=6)
_DEAR = ("capture-", "state-", "json-file", "page", "listed", "compressed")
"""Whose readers open folders or write whole pages: fewer examples."""


def _examples(name: str) -> int:
    return 30 if name.startswith(_DEAR) else 60 if name in ("json", "text") else 100


@pytest.mark.parametrize("name", TARGETS)
def test_an_input_that_was_changed_is_read_or_refused(name: str) -> None:
    """Good inputs with a few edits are read, or refused with an error of flowmine's in one line."""
    samples = samples_of(name)

    @settings(max_examples=_examples(name), suppress_health_check=list(HealthCheck), database=None)
    @given(which=st.integers(0, len(samples) - 1), edits=_EDITS)
    def read(which: int, edits: list[tuple[int, int, int, int]]) -> None:
        data = edited(samples[which], edits)
        with within(len(data)):
            TARGETS[name](data)

    read()


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_changed_was_good(name: str) -> None:
    """Nothing is refused before it is changed, else the edits would try nothing."""
    READERS[name](samples_of(name)[0])


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, some in FOUND.items() for data in some])
def test_what_broke_a_reader_once_does_not_now(name: str, data: bytes) -> None:
    """Each input on which a reader failed is read or refused."""
    with within(len(data)):
        TARGETS[name](data)


def test_small_inputs_that_could_be_large_take_little() -> None:
    """Inputs that unfold, nest or repeat without end are read or refused in little memory and time."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.fuzz.bounds"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (0, "") == (done.returncode, done.stderr), done.stdout


def test_the_command_tries_a_target(tmp_path: Path) -> None:
    """`python -m tests.fuzz TARGET` reports that nothing was found, and leaves nothing behind."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "redact-key", "--seconds", "0.2", "--seed", "7"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (0, "redact-key: --seed 7\nredact-key: nothing found\n") == (done.returncode, done.stdout)
    assert [] == list(tmp_path.iterdir())
