"""Processes that read for this one, started as early as it is known that they will.

A command forks them as soon as it has imported what all of them need: they share it, and begin at once. Where that is
not safe, in a program with threads or on another system than Linux, they are started anew, and all import side by side.
"""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from multiprocessing import Pipe
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import flowmine
from flowmine.arrow import is_command

if TYPE_CHECKING:
    from flowmine.ingest.whichcode import Compiled

__all__ = ["Reader", "Readers", "known_early", "weight", "worth", "worth_compiling"]

_SHARED, _WHICH = "flowmine.scale.worker", "flowmine.ingest.whichcode"
_WORK = (
    "from flowmine.arrow import for_commands; for_commands(); "
    "import sys; from flowmine.scale.worker import main; main(*map(int, sys.argv[1:]))"
)
_WORTH = 256 << 20
"""Bytes to be read for which a process of their own is worth its start."""
_WORTH_LOADING = 64 << 20
"""Bytes to be read by each process for which compiled code is worth the moment that it takes to load."""
_WORTH_COMPILING = 640 << 20
"""Bytes to be read by each process for which it may be compiled, which takes seconds, but once on a machine."""
_EXPANDED = 8
"""Bytes that come of one that is compressed, at least: JSON of flows repeats itself more than that."""
_OF_ARROW = "jemalloc_bg_thd"
"""The thread of an allocator that comes with Arrow, which does nothing here, and is made for forks."""
_COMPRESSED = (".gz", ".zst", ".bz2", ".xz")


class _Process(Protocol):
    """A process that was started, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int: ...

    def kill(self) -> None: ...

    def wait(self) -> int: ...


class Reader:
    """A process that reads, and the connection to it."""

    def __init__(self, slots: int) -> None:
        """Start the process, which has the file ``slots`` too."""
        self.connection, theirs = Pipe()
        with theirs:
            self.process: _Process = (_forked if _may_fork() else _anew)(theirs.fileno(), slots)

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


def _anew(descriptor: int, slots: int) -> _Process:
    """Start a process that finds flowmine where this one did."""
    package = str(Path(flowmine.__file__).parents[1])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _WORK, str(descriptor), str(slots)],
        pass_fds=[descriptor, slots],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )


def _may_fork() -> bool:
    """Tell whether a process like this one can go on alone: whatever another thread does or holds would be lost."""
    threads = Path("/proc/self/task")
    if not is_command() or sys.platform != "linux" or not threads.is_dir():
        return False
    others = [each for each in threads.iterdir() if each.name != str(os.getpid())]
    try:
        return all((each / "comm").read_text().strip() == _OF_ARROW for each in others)
    except OSError:  # one ended meanwhile
        return False


def _forked(descriptor: int, slots: int) -> _Process:
    """Start a process that has imported what this one has."""
    main = import_module(_SHARED).main
    with _deaf(signal.SIGTERM, signal.SIGHUP):
        pid = os.fork()
        if not pid:
            _default(signal.SIGTERM, signal.SIGHUP)
    if pid:
        return _Fork(pid)
    code = 1
    try:
        _keep_only(descriptor, slots)
        main(descriptor, slots)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)  # and nothing that this process was about to do


def _default(*signals: signal.Signals) -> None:
    """Let signals end this process, as they do by themselves, but for those that are ignored."""
    for number in signals:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _keep_only(*descriptors: int) -> None:
    """Close all files of this process but some, its output and its errors; nothing more comes in."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    every = {int(each.name) for each in Path("/proc/self/fd").iterdir()}
    for number in every.difference((0, 1, 2, *descriptors)):
        with suppress(OSError):  # the list itself was one
            os.close(number)


class _Fork:
    """A process that was forked."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def kill(self) -> None:
        """End it, if it did not end by itself."""
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end; return its exit code, or the number of the signal that ended it, negative."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code


class Readers:
    """Processes that wait to be told what to read, for one reading; a context that leaves none of them behind."""

    def __init__(self, others: int, *, compiled: "Compiled" = "no") -> None:
        """Start so many other processes, which will read by compiled code or not."""
        with ExitStack() as stack:
            self.slots = _nameless()
            """A file that all of them have; for `flowmine.ingest.slots.SharedSlots`."""
            stack.callback(os.close, self.slots)
            if _may_fork():
                import_module(_SHARED).ready()
                import_module(_WHICH).load(compiled)
            with _deaf(signal.SIGINT):  # which they never hear, from their first moment on: this one does
                self._each = [stack.enter_context(Reader(self.slots)) for _ in range(others)]
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


def known_early(inputs: Sequence[str]) -> int | None:
    """Return about how many bytes are to be read, as far as names and sizes of files tell; None where they do not."""
    sizes: dict[tuple[int, int], int] = {}
    for name in inputs:
        try:
            status = os.stat(name)  # noqa: PTH116 (no, of a name too long)
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        compressed = name.endswith(_COMPRESSED)
        sizes[status.st_dev, status.st_ino] = weight(status.st_size, compressed=compressed)
    return sum(sizes.values()) if sizes else None


def worth(size: int | None) -> int:
    """Return how many processes so many bytes are worth; one where that is not known."""
    return 1 if size is None else max(1, min(_cores(), size // _WORTH))


def worth_compiling(size: int | None, jobs: int, *, recorded: bool = False) -> "Compiled":
    """Tell which compiled code so many bytes, read by ``jobs`` processes, are worth; none where that is not known.

    Captures that are ``recorded`` have less use of it.
    """
    each = 0 if size is None else weight(size, compressed=recorded) // jobs
    if each < _WORTH_LOADING:
        return "no"
    return "made" if each >= _WORTH_COMPILING and not recorded else "kept"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _deaf(*signals: signal.Signals) -> Iterator[None]:
    """Hear no such signal within the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
