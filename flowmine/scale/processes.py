"""Read a source with several processes: the same portions, in the same order, with the same answer as one.

This process is one of them. It inflates what is compressed, for all, tells repeated flows, and while the others have
enough to read, it reads too: with one process more than cores, those that read would wait for who feeds them.
"""

import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

from flowmine.edges import Parts, Sums
from flowmine.errors import InputError
from flowmine.ingest.division import Division, Portion
from flowmine.ingest.slots import SharedSlots, Slot, Slots
from flowmine.scale.alone import add_own
from flowmine.scale.messages import Done, Failed, Finish, Finished, Keyed, Pass, Read
from flowmine.scale.packing import unpacked
from flowmine.scale.readers import Reader, Readers
from flowmine.scale.worker import Work, ready

__all__ = ["gather"]

_AHEAD, _MOST_AHEAD = 2, 3
"""Portions that another process has to read at a time, at least and at most: the one that it reads, and those that wait."""
_ENOUGH = 40 << 20
"""Bytes of them that are enough, for as long as this process takes to read a portion itself."""

_UNJUDGED, _UNJUDGED_BYTES = 8, 192 << 20
"""Portions for each process that are given and not yet judged, and bytes of them, at most: what is read of them is held."""

_FEW = 3
"""Processes that leave none of the cores to a thread that inflates: with more of them inflating is all that one can do."""


def gather(
    division: Division,
    jobs: int,
    how: Sums,
    started: Readers | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Parts:
    """Return what a source adds up to, read by ``jobs`` processes: this one, and those ``started`` before, if they are enough.

    ``meanwhile`` is called once while they read. Raise as `flowmine.ingest.source.Source.batches`; InputError naming the
    input where a process died; Undividable where only one process can read the inputs.
    """
    others = jobs - 1
    taken = started if started is not None and started.waiting == others else None
    with taken or Readers(others, compiled=division.settings.compiled) as readers:
        there = [_There(reader) for reader in readers.take()]
        for other in there:
            other.tell((division.settings, how))
        slots = SharedSlots(os.dup(readers.slots), beside=jobs > _FEW)
        ready()  # where readers were not forked of this process
        line = _Line(division, there, _Here(Work(division.settings, how, slots)), slots)
        line.fill()
        meanwhile()
        line.run()
        for worker in line.workers:
            worker.tell(Finish())
        found = [worker.hear() for worker in line.workers]
        for one in found:
            if isinstance(one, Failed):
                raise one.error
        parts = [unpacked(one.parts) for one in found if isinstance(one, Finished)]
        division.end([one.whole for one in found if isinstance(one, Finished)])
        return how.of(*parts)


class _Worker(ABC):
    """Who reads portions, and what it was told to read."""

    def __init__(self) -> None:
        """Have nothing to read yet."""
        self.reads: deque[Portion] = deque()
        self.unread: dict[int, int] = {}
        """Of those of which nothing was heard yet, by their numbers, the bytes; none where they are not known."""

    def give(self, portion: Portion) -> None:
        """Tell it to read a portion. Raise InputError where it died."""
        self.reads.append(portion)
        self.unread[portion.number] = portion.size
        self.tell(Read(portion))

    @abstractmethod
    def tell(self, told: object) -> None:
        """Send a message. Raise InputError where it died."""

    @abstractmethod
    def hear(self) -> Any:
        """Return the next answer. Raise InputError where it died."""


class _There(_Worker):
    """Another process."""

    def __init__(self, reader: Reader) -> None:
        """Talk to a process that was started."""
        super().__init__()
        self._reader = reader

    @property
    def socket(self) -> Any:
        """What to wait for."""
        return self._reader.connection

    @property
    def has_enough(self) -> bool:
        """Whether it will be busy for a while."""
        count = len(self.unread)
        return count >= _MOST_AHEAD or (count >= _AHEAD and sum(self.unread.values()) >= _ENOUGH)

    def tell(self, told: object) -> None:
        with self._alive():
            self._reader.connection.send(told)

    def hear(self) -> Any:
        with self._alive():
            return self._reader.connection.recv()

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


class _Here(_Worker):
    """This process, which does what it was told when it is asked for the answer."""

    def __init__(self, work: Work) -> None:
        """Do so as another process would."""
        super().__init__()
        self._work = work
        self.sum = work.sum
        """Takes in what no other may read, too."""
        self._told: deque[Any] = deque()

    @property
    def is_told(self) -> bool:
        """Whether there is something to do."""
        return bool(self._told)

    def tell(self, told: object) -> None:
        self._told.append(told)

    def hear(self) -> Any:
        return self._work.answer(self._told.popleft())


class _Line:
    """The portions under way, in order: which are judged for repeated flows, and which are joined."""

    def __init__(self, division: Division, there: list[_There], here: _Here, slots: Slots) -> None:
        self._division, self._there, self._here, self._slots = division, there, here, slots
        self.workers: list[_Worker] = [here, *there]
        self._portions: Iterator[Portion] = division.portions(slots)
        self._more = True
        self._lent: dict[int, Slot] = {}
        self._unjudged: deque[Portion] = deque()
        self._unjoined: deque[Portion] = deque()
        self._answers: dict[int, Keyed | Done | Failed] = {}
        self._readers: dict[int, _Worker] = {}

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
                by_socket = {worker.socket: worker for worker in self._there}
                heard = wait(list(by_socket), timeout=0 if self._here.is_told else None)
                for socket in heard:
                    self._hear(by_socket[socket])
                if not heard:
                    self._hear(self._here)

    def _has_room(self) -> bool:
        count = len(self.workers)
        size = sum(portion.size for portion in self._unjudged)
        return len(self._unjudged) < _UNJUDGED * count and size < _UNJUDGED_BYTES * count

    def _free(self) -> _Worker | None:
        least = min(self._there, key=lambda worker: (len(worker.unread), len(worker.reads)))
        if not least.has_enough:
            return least
        return None if self._here.unread else self._here

    def _give(self, worker: _Worker) -> bool:
        """Give a worker the next portion; tell whether there was one."""
        self._slots.near = worker is self._here
        portion = next(self._portions, None)
        if portion is None:
            return False
        if portion.content is not None:  # and not the end of an input
            self._unjudged.append(portion)
        self._unjoined.append(portion)
        if portion.is_elsewhere:
            self._readers[portion.number] = worker
            if isinstance(portion.content, Slot):
                self._lent[portion.number] = portion.content
            worker.give(portion)
        return True

    def _hear(self, worker: _Worker) -> None:
        answer = worker.hear()
        self._answers[answer.number] = answer
        worker.unread.pop(answer.number, None)
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
            add_own(self._division, portion, self._here.sum)
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
