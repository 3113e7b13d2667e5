"""Ctrl-C, SIGTERM and a closed terminal, at any moment: the work is broken off, cleaned up after, and told in a line."""

import _thread
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from flowmine.outputs import put_off

__all__ = ["Broken", "broken_by", "catching", "ignore"]

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "the terminal is gone"}
_SOON = 0.005
"""Seconds until a signal is raised again."""
_PATIENCE = 2.0
"""Seconds in which what cleans up after a signal is not broken off by another, as by a second Ctrl-C."""
_came: list[tuple[int, float]] = []
"""Signals that came, and when."""


class Broken(KeyboardInterrupt):
    """A signal broke the work off."""


def broken_by() -> tuple[int, str] | None:
    """Return the signal that came, and a word for it; None for none."""
    if not _came:
        return None
    number, _ = _came[0]
    return number, _WORDS[signal.Signals(number)]


def ignore() -> None:
    """Let nothing break off the cleaning up."""
    if threading.current_thread() is threading.main_thread():
        for number in _WORDS:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def catching() -> Iterator[None]:
    """Within the block a signal raises `Broken`, wherever the program is; one that is ignored stays so (`nohup`).

    Where Python cannot pass on what is raised (in a destructor, in a callback of a library), it is raised again after.
    Nothing is told of what else destructors raise from then on, to the end of the program.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _came.clear()
    before = {number: signal.getsignal(number) for number in _WORDS}
    hook = sys.unraisablehook

    def raised_again(told: Any) -> None:
        if isinstance(told.exc_value, KeyboardInterrupt):
            _thread.start_new_thread(_interrupt, (_came[0][0] if _came else signal.SIGINT,))
        elif not _came:  # what was broken off half made cannot be put away
            hook(told)

    sys.unraisablehook = raised_again
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _raise)
    try:
        yield
    finally:
        if not _came:
            sys.unraisablehook = hook
        for number, handler in before.items():
            if signal.getsignal(number) is _raise and handler is not None:
                signal.signal(number, handler)


def _interrupt(number: int) -> None:
    """Send the main thread a signal, once it is out of what passes nothing on: there, it would be lost again."""
    time.sleep(_SOON)
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, number)


def _raise(number: int, _frame: FrameType | None) -> None:
    if put_off(number):
        return
    now = time.monotonic()
    _came.append((number, now))
    if not (_is_cleaning() and now - _came[0][1] < _PATIENCE):
        raise Broken


def _is_cleaning() -> bool:
    """Tell whether what runs is a ``finally`` or ``except`` of what a signal broke off."""
    error = sys.exception()
    while error is not None and not isinstance(error, Broken):
        error = error.__context__
    return error is not None
