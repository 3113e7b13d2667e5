"""Processes that read for this one, started as early as it is known that they will: all then import at once."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import Pipe
from pathlib import Path
from types import TracebackType

import flowmine

__all__ = ["Reader", "Readers", "known_early", "weight", "worth"]

_WORK = (
    "from flowmine.arrow import for_commands; for_commands(); "
    "import sys; from flowmine.scale.worker import main; main(*map(int, sys.argv[1:]))"
)
_WORTH = 512 << 20
"""Bytes to be read for which a process of their own is worth its start, half a second."""
_EXPANDED = 8
"""Bytes that come of one that is compressed, at least: JSON of flows repeats itself more than that."""
_COMPRESSED = (".gz", ".zst", ".bz2", ".xz")


class Reader:
    """A process that reads, and the connection to it."""

    def __init__(self, slots: int) -> None:
        """Start the process, which has the file ``slots`` too. It finds flowmine where this one did."""
        self.connection, theirs = Pipe()
        package = str(Path(flowmine.__file__).parents[1])
        path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        with theirs, _deaf():
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _WORK, str(theirs.fileno()), str(slots)],
                pass_fds=[theirs.fileno(), slots],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
            )

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no process behind: it holds nothing that has to be put in order."""
        self.connection.close()
        self.process.kill()
        self.process.wait()

    def how_it_died(self) -> str:
        """Wait for the end of the process, and say how it came."""
        code = self.process.wait()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


class Readers:
    """Processes that wait to be told what to read, for one reading; a context that leaves none of them behind."""

    def __init__(self, jobs: int) -> None:
        """Start ``jobs`` processes."""
        with ExitStack() as stack:
            self.slots = _nameless()
            """A file that all of them have; for `flowmine.ingest.slots.SharedSlots`."""
            stack.callback(os.close, self.slots)
            self._each = [stack.enter_context(Reader(self.slots)) for _ in range(jobs)]
            self._stack = stack.pop_all()

    def __enter__(self) -> "Readers":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def waiting(self) -> int:
        """How many processes there are to be taken."""
        return len(self._each)

    def take(self) -> list[Reader]:
        """Return the processes, the first time; none once they were taken."""
        taken, self._each = self._each, []
        return taken


def _nameless() -> int:
    """Return an open file, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("flowmine")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def weight(size: int, *, compressed: bool) -> int:
    """Return about how many bytes are to be read of a file of a size."""
    return size * _EXPANDED if compressed else size


def known_early(inputs: Sequence[str], jobs: int | None) -> int:
    """Return how many processes will read, as far as the names and sizes of files tell; 1 where they do not tell it."""
    sizes: dict[tuple[int, int], int] = {}
    for name in inputs:
        try:
            status = os.stat(name)  # noqa: PTH116 (no, of a name too long)
        except (OSError, ValueError):
            return 1
        if not stat.S_ISREG(status.st_mode):
            return 1
        compressed = name.endswith(_COMPRESSED)
        sizes[status.st_dev, status.st_ino] = weight(status.st_size, compressed=compressed)
    return (jobs or worth(sum(sizes.values()))) if sizes else 1


def worth(size: int | None) -> int:
    """Return how many processes so many bytes are worth; one where that is not known."""
    return 1 if size is None else max(1, min(_cores(), size // _WORTH))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _deaf() -> Iterator[None]:
    """Let a process that is started within the block never hear Ctrl-C, from its first moment on: this one does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
