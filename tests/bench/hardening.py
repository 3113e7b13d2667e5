"""Inject every fault of `tests.faults` into the command line, and print what came of it: ``python -m tests.bench.hardening``."""

import sys
import tempfile
from pathlib import Path

from tests.faults.registry import FAULTS, Fault
from tests.faults.test_faults import MODULES

__all__ = ["main"]


def row(fault: Fault) -> str:
    """Inject a fault; return its row of the table. Raise AssertionError where anything was lost."""
    with tempfile.TemporaryDirectory() as folder:
        tried = fault.inject(Path(folder))
    kept = (fault.inject.__doc__ or "").strip().split("\n")[0]
    return f"| {fault.title.replace('|', chr(92) + '|')} | {tried:,} | {kept.replace('|', chr(92) + '|')} | nothing |"


def main() -> None:
    """Print the table, a row as it is done; end with an error at the first fault by which anything was lost."""
    print("| fault | injected | what came of it | lost |", "|---|--:|---|---|", sep="\n", flush=True)
    for fault in FAULTS:
        print(row(fault), flush=True)
    print(f"{len(FAULTS)} faults of {len(MODULES)} kinds", file=sys.stderr)


if __name__ == "__main__":
    main()
