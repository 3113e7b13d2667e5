"""A process that reads portions of the inputs for another (`flowmine.scale.processes` starts it).

It is told what to do over a socket, one message after the other, and ends when the socket does:

| told             | answers                                                                             |
|------------------|-------------------------------------------------------------------------------------|
| `Read`           | `Keyed` where repeated flows must be told, and waits for `Pass`; else `Done`        |
| `Pass`           | `Done`                                                                              |
| `Finish`         | `Finished`                                                                          |

What cannot be read is answered with `Failed`.
"""

import signal
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from typing import Any

from flowmine.edges import Sum, Sums, empty, telling
from flowmine.ingest.division import Folds, New, Portion, Reader, Settings, Share
from flowmine.ingest.slots import SharedSlots, Slots
from flowmine.scale.messages import Done, Failed, Finish, Finished, Keyed, Pass, Read
from flowmine.scale.packing import packed

__all__ = ["Work", "main", "ready"]


class Work:
    """The portions of one worker."""

    def __init__(self, settings: Settings, how: Sums, slots: Slots) -> None:
        """Read as the settings say and add up as ``how`` says; ``slots`` have what is in slots."""
        self._reader = Reader(settings, telling, slots)
        self._held: dict[int, tuple[Share, Folds]] = {}
        self.sum = Sum(how)

    def answer(self, told: Read | Pass | Finish) -> Keyed | Done | Failed | Finished:
        """Do what is told."""
        try:
            if isinstance(told, Read):
                return self._read(told.portion)
            if isinstance(told, Pass):
                return self._done(told.number, *self._held.pop(told.number), told.new)
            return self._finished()
        except Exception as error:  # whatever it is, it is raised again where the answer is wanted
            if isinstance(told, Read):
                error.add_note(f"while reading {told.portion.name}")
                return Failed(told.portion.number, error)
            return Failed(told.number if isinstance(told, Pass) else None, error)

    def _read(self, portion: Portion) -> Keyed | Done:
        share, folds = self._reader.read(portion)
        if folds is None:
            return Done(portion.number, share)
        keys = self._reader.keys(folds)
        if keys is None:
            return self._done(portion.number, share, folds, None)
        self._held[portion.number] = share, folds
        return Keyed(portion.number, keys)

    def _finished(self) -> Finished:
        rest, whole = self._reader.end()
        for batch in rest:
            self.sum.add_flows(batch)
        return Finished(packed(self.sum.parts()), whole)

    def _done(self, number: int, share: Share, folds: Folds, new: New) -> Done:
        for batch in self._reader.passed_on(share, folds, new):
            self.sum.add_flows(batch)
        return Done(number, share)


def ready() -> None:
    """Import what is needed to add up, for this process and all that are forked of it."""
    empty()


def main(descriptor: int, slots: int) -> None:
    """Work for whoever is at the other end of a socket, until it is closed; ``slots`` is the file of `SharedSlots`."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # the other end is interrupted as well, and closes the socket
    connection: Any = Connection(descriptor)
    inbox: SimpleQueue[Any] = SimpleQueue()
    outbox: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=(connection, inbox), daemon=True).start()
    begin = inbox.get()
    if begin is None:
        return
    speaking = threading.Thread(target=_speak, args=(connection, outbox), daemon=True)
    speaking.start()
    settings, how = begin
    work = Work(settings, how, SharedSlots(slots))
    while (told := inbox.get()) is not None:
        outbox.put(ForkingPickler.dumps(work.answer(told)))
        if isinstance(told, Finish):  # while the other end goes on, this process is taken down
            break
    outbox.put(None)
    speaking.join()


def _listen(connection: Any, inbox: "SimpleQueue[Any]") -> None:
    """Take in whatever comes, so that the other end never waits; None at the end."""
    try:
        while True:
            inbox.put(connection.recv())
    except (EOFError, OSError):
        inbox.put(None)


def _speak(connection: Any, outbox: "SimpleQueue[Any]") -> None:
    """Send what there is to tell, pickled, while this process works on: the other end may be busy. None is the end."""
    with suppress(OSError):  # it is gone, which `_listen` hears
        while (told := outbox.get()) is not None:
            connection.send_bytes(told)
