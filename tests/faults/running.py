"""How faults are injected: the command line as a process of its own, and what may never be seen of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_flows" / "three-tier" / "flows.jsonl.gz"
POLICIES = ROOT / "sample_flows" / "three-tier" / "policies"

NO_WRITER: dict[str, list[str]] = {
    "recommend": [str(SAMPLE)],
    "visibility": ["-n", "default", str(SAMPLE)],
    "tail": [str(SAMPLE)],
    "flows": [str(SAMPLE)],
    "edges": [str(SAMPLE)],
    "drops": [str(SAMPLE)],
    "simulate": ["--policies", str(POLICIES), "-o", "json", str(SAMPLE)],
    "explain": ["--policies", str(POLICIES), str(SAMPLE)],
    "report": ["-o", "-", str(SAMPLE)],
    "diff": [str(POLICIES), str(POLICIES / "backend-policy.yaml")],
    "verdict": ["-p", str(POLICIES), "--from", "default/app=frontend", "--to", "default/app=backend", "--port", "80/TCP"],
    "trace": ["-p", str(POLICIES), "--from", "default/app=frontend", "--to", "default/app=backend", "--port", "80/TCP"],
    "validate": [str(POLICIES), "-o", "json"],
    "lint": [str(POLICIES), "-o", "json"],
    "help": ["options"],
    "version": [],
    "completion": ["bash"],
}  # fmt: skip
"""Every command that prints, and a line that makes it print something."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a run ended."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on stderr."""
        return self.err.splitlines()

    def without_traceback(self) -> "Done":
        """Return this run; fail where a bug shows."""
        assert "Traceback" not in self.err and self.code != 70, self.err
        return self


def flowmine(
    *args: str | bytes | Path,
    stdin: bytes = b"",
    cwd: Path | None = None,
    largest: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Done:
    """Run a command to its end; no file that it writes may grow beyond ``largest`` bytes.

    Such a run leaves no bytecode behind: Python would take what was cut short for whole in each later run.
    """
    unwritten = {} if largest is None else {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*limited(largest), *command(args)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env=surroundings({**unwritten, **(environment or {})}),
        timeout=120,
    )
    made = Done(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))
    assert made.code != 70, made.err
    return made if "-vv" in args else made.without_traceback()  # which shows where each error came from


def command(args: Sequence[str | bytes | Path]) -> list[str | bytes]:
    """Return the command line of a run."""
    return [
        sys.executable,
        "-m",
        "flowmine",
        *(str(each) if isinstance(each, Path) else each for each in args),
    ]


def surroundings(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which flowmine is found from everywhere."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **(more or {})}


def limited(largest: int | None) -> list[str]:
    """Return what runs a command whose files are of so many bytes at most: what a full disk does, wherever it is.

    It is a program of its own: what runs between fork and exec of a process with threads, as tests have, may abort.
    """
    limits = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); "
    run = "os.execv(sys.argv[2], sys.argv[2:])"
    return [] if largest is None else [sys.executable, "-c", limits + run, str(largest)]


def signalled(args: Sequence[str | Path], after: float, number: int = signal.SIGINT) -> Done:
    """Send a signal to a run and its children, as a terminal does, after so many seconds; fail where any child stays."""
    process = subprocess.Popen(
        command(args),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=surroundings(),
        process_group=0,
    )
    time.sleep(after)
    if process.poll() is None:
        os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert left(process.pid) == [], "a child is left"
    return Done(process.returncode, out, err.decode())


def left(group: int) -> list[int]:
    """Return the processes of a group that are still there a moment later."""
    for _ in range(50):
        found = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _group(path) == group]
        if not found:
            return []
        time.sleep(0.1)
    return found


def _group(process: Path) -> int | None:
    try:
        state, _, group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
    except OSError:
        return None
    return None if state == "Z" else int(group)


def litter(folder: Path) -> list[str]:
    """Return the names of what was left half-written in a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.tmp-*")) + sorted(
        str(path.relative_to(folder)) for path in folder.rglob(".tmp-*")
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder with its bytes, the lock of a recording apart."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
