"""A signal breaks the work off even where Python passes nothing on."""

import subprocess
import sys

import pytest

_IMPATIENT = """
import signal, time
from flowmine.cli import signals

with signals.catching():
    try:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            try:
                raise OSError
            except OSError:
                signal.raise_signal(signal.SIGTERM)
            print("cleaned")
            signals._PATIENCE = 0
            signal.raise_signal(signal.SIGINT)
            print("never")
    except signals.Broken:
        print(signals.broken_by())
"""

_PROGRAM = """
import signal, sys, time
from flowmine.cli.signals import Broken, broken_by, catching

class Odd:
    def __del__(self):
        signal.raise_signal(int(sys.argv[1]))

class HalfMade:
    def __del__(self):
        raise AttributeError

begun = time.monotonic()
try:
    with catching():
        Odd()
        time.sleep(20)
except Broken:
    print(broken_by(), time.monotonic() - begun < 10)
    HalfMade()
    left = HalfMade()
"""


@pytest.mark.parametrize(("number", "word"), [(2, "interrupted"), (15, "terminated")])
def test_a_signal_within_a_destructor_is_raised_after_it(number: int, word: str) -> None:
    """Nothing is told of destructors, of this or of what is half made, and what waits is woken."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(number)], capture_output=True, text=True, timeout=60
    )
    assert (f"({number}, '{word}') True\n", "") == (done.stdout, done.stderr)


def test_what_cleans_up_is_not_broken_off_by_the_impatient() -> None:
    """Further signals are let pass while the first one's exception is dealt with, but not for ever."""
    done = subprocess.run([sys.executable, "-c", _IMPATIENT], capture_output=True, text=True, timeout=60)
    assert ("cleaned\n(2, 'interrupted')\n", "") == (done.stdout, done.stderr)
