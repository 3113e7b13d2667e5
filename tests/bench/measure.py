"""Run one contender of a benchmark in a process of its own, and say how long it took and how much memory it had."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Measured", "measure", "report"]


@dataclass(frozen=True, slots=True)
class Measured:
    """``seconds`` of wall clock of the work itself, ``peak`` resident bytes of its process (and of each that it started,
    taken as large as the largest), and what it ``returned``.
    """

    seconds: float
    peak: int
    returned: Any


def measure(module: str, function: str, *arguments: str, cores: set[int] | None = None) -> Measured:
    """Call ``module.function(*arguments)`` in a fresh interpreter, on the given cores where that is possible."""
    code = f"from tests.bench.measure import report; from {module} import {function} as f; report(f, {list(arguments)!r})"

    def pin() -> None:
        if cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cores)

    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True, preexec_fn=pin
    )
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def report(function: Callable[..., Any], arguments: list[str]) -> None:
    """Time the call and print what `measure` reads."""
    started = 0

    def count(event: str, _: tuple[Any, ...]) -> None:
        nonlocal started
        started += event == "os.fork"

    sys.addaudithook(count)
    start = time.perf_counter()
    returned = function(*arguments)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    own, child = (
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    others = started or os.cpu_count() or 1  # who starts them in another way has one for each core
    peak = (own + others * child) * unit
    print(json.dumps({"seconds": seconds, "peak": peak, "returned": returned}))
