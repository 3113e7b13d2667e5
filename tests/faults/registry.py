"""The faults that are injected: one table, run by a test each and counted by ``python -m tests.bench.hardening``."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Case = Callable[[Path], int]
"""From an empty folder to how many faults were injected; fails where anything was lost."""

FAULTS: list["Fault"] = []


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: what it is called in the table, and what injects it."""

    title: str
    inject: Case


def fault(title: str) -> Callable[[Case], Case]:
    """Add a function to the table."""

    def add(inject: Case) -> Case:
        FAULTS.append(Fault(title, inject))
        return inject

    return add
