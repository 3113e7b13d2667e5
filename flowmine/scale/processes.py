"""Read a source with several processes: the same portions, in the same order, with the same answer as one."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any

from flowmine.edges import Parts, Sum, Sums
from flowmine.errors import InputError
from flowmine.ingest.division import Division, Portion
from flowmine.ingest.slots import SharedSlots, Slot, Slots
from flowmine.scale.alone import add_own
from flowmine.scale.messages import Done, Failed, Finish, Finished, Keyed, Pass, Read
from flowmine.scale.packing import unpacked
from flowmine.scale.readers import Reader, Readers
from flowmine.scale.worker import ready

__all__ = ["gather"]

_AHEAD = 2
"""Portions that a worker has to read at a time: one that it reads, and one that waits."""
_BEHIND = 3
"""How much nicer workers are that read what is inflated for them: as many as there are cores want, with this process, more
than there are, and with equal shares all would wait for who inflates."""


def gather(
    division: Division,
    jobs: int,
    how: Sums,
    started: Readers | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Parts:
    """Return what a source adds up to, read by ``jobs`` processes: those ``started`` before, if they are as many.

    ``meanwhile`` is called once while they read. Raise as `flowmine.ingest.source.Source.batches`; InputError naming the
    input where a process died; Undividable where only one process can read the inputs.
    """
    taken = started if started is not None and started.waiting == jobs else None
    with taken or Readers(jobs, compiled=division.settings.compiled) as readers:
        workers = [_Worker(reader) for reader in readers.take()]
        for worker in workers:
            worker.tell((division.settings, how))
        line = _Line(division, workers, how, SharedSlots(os.dup(readers.slots)))
        line.fill()
        ready()  # where readers were not forked of this process
        meanwhile()
        line.run()
        for worker in workers:
            worker.tell(Finish())
        found = [worker.hear() for worker in workers]
        for one in found:
            if isinstance(one, Failed):
                raise one.error
        parts = [unpacked(one.parts) for one in found if isinstance(one, Finished)]
        division.end([one.whole for one in found if isinstance(one, Finished)])
        return how.of(line.own.parts(), *parts)


class _Worker:
    """A process, and what it was told to read."""

    def __init__(self, reader: Reader) -> None:
        """Talk to a process that was started."""
        self._reader = reader
        self.reads: deque[Portion] = deque()
        self.unread: set[int] = set()
        """Numbers of those of which nothing was heard yet."""
        self._is_behind = False

    @property
    def socket(self) -> Any:
        """What to wait for."""
        return self._reader.connection

    def tell(self, told: object) -> None:
        """Send a message. Raise InputError where the process died."""
        if isinstance(told, Read):
            self.reads.append(told.portion)
            self.unread.add(told.portion.number)
        with self._alive():
            self._reader.connection.send(told)

    def hear(self) -> Any:
        """Return the next answer. Raise InputError where the process died."""
        with self._alive():
            return self._reader.connection.recv()

    def step_behind(self) -> None:
        """Let this process come first where both want a core."""
        if self._is_behind or not hasattr(os, "setpriority"):
            return
        self._is_behind = True
        with suppress(OSError):  # it died, which is told when it is to be heard
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, self._reader.process.pid, own + _BEHIND)

    @contextmanager
    def _alive(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            name = self.reads[0].name if self.reads else "the inputs"
            raise InputError(
                f"{name}: the process that read it died ({self._reader.how_it_died()}), perhaps for want of memory; "
                "there is no answer without it: try again with --jobs 1"
            ) from error


class _Line:
    """The portions under way, in order: which are judged for repeated flows, and which are joined."""

    def __init__(self, division: Division, workers: list[_Worker], how: Sums, slots: Slots) -> None:
        self._division, self._workers, self._slots = division, workers, slots
        self._portions: Iterator[Portion] = division.portions(slots)
        self._more = True
        self._lent: dict[int, Slot] = {}
        self._unjudged: deque[Portion] = deque()
        self._unjoined: deque[Portion] = deque()
        self._answers: dict[int, Keyed | Done | Failed] = {}
        self._readers: dict[int, _Worker] = {}
        self.own = Sum(how)
        """What was read here."""

    def fill(self) -> None:
        """Give portions to those who have not as many to read as they may have."""
        while self._more and self._has_room() and (free := self._free()):
            self._more = self._give(free)
            self._advance()

    def run(self) -> None:
        """Have all portions read."""
        while self._more or self._unjoined:
            self.fill()
            if self._unjoined and not self._advance():
                by_socket = {worker.socket: worker for worker in self._workers}
                for socket in wait(list(by_socket)):
                    self._hear(by_socket[socket])

    def _has_room(self) -> bool:
        return len(self._unjudged) < 2 * _AHEAD * len(self._workers)

    def _free(self) -> _Worker | None:
        least = min(self._workers, key=lambda worker: (len(worker.unread), len(worker.reads)))
        return least if len(least.unread) < _AHEAD else None

    def _give(self, worker: _Worker) -> bool:
        """Give a worker the next portion; tell whether there was one."""
        portion = next(self._portions, None)
        if portion is None:
            return False
        if portion.content is not None:  # and not the end of an input
            self._unjudged.append(portion)
        self._unjoined.append(portion)
        if portion.is_elsewhere:
            self._readers[portion.number] = worker
            if isinstance(portion.content, Slot):
                worker.step_behind()
                self._lent[portion.number] = portion.content
            worker.tell(Read(portion))
        return True

    def _hear(self, worker: _Worker) -> None:
        answer = worker.hear()
        self._answers[answer.number] = answer
        worker.unread.discard(answer.number)
        if slot := self._lent.pop(answer.number, None):
            self._slots.give_back(slot.number)
        if not isinstance(answer, Keyed):
            worker.reads = deque(one for one in worker.reads if one.number != answer.number)

    def _advance(self) -> bool:
        """Judge and join what can be, each in order; tell whether anything was."""
        done = False
        while self._unjudged and self._judge(self._unjudged[0]):
            self._unjudged.popleft()
            done = True
        while self._unjoined and self._join(self._unjoined[0]):
            self._unjoined.popleft()
            done = True
        return done

    def _judge(self, portion: Portion) -> bool:
        answer = self._answers.get(portion.number)
        if isinstance(answer, Keyed):
            del self._answers[portion.number]
            self._readers[portion.number].tell(Pass(portion.number, self._division.new(answer.keys)))
            return True
        return answer is not None  # one without keys; what is read here is judged when it is joined

    def _join(self, portion: Portion) -> bool:
        if not portion.is_elsewhere:
            add_own(self._division, portion, self.own)
            if portion.content is not None:
                self._unjudged.popleft()
            return True
        if self._unjudged and self._unjudged[0].number <= portion.number:
            return False
        answer = self._answers.get(portion.number)
        if isinstance(answer, Failed):
            error = answer.error
            raise self._division.told(portion, error) if isinstance(error, InputError) else error
        if not isinstance(answer, Done):
            return False
        self._division.join(portion, answer.share)
        del self._answers[portion.number], self._readers[portion.number]
        return True
