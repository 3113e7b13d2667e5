"""Lines handed to readers in other processes through a file without name, in slots that are written again and again.

What is decompressed, or comes from a stream, can be read only where it is opened. Lines written into a slot are read as
those of a plain file are, by whoever has the file's descriptor. The file is gone with the last process that has it.
"""

import mmap
import os
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from flowmine.errors import InputError
from flowmine.ingest.blocks import LONGEST, Block, Unreadable, line_ends, too_long
from flowmine.ingest.files import Input
from flowmine.ingest.formats import HEAD, first_time
from flowmine.ingest.framing import blocks, is_by_value, is_marked, peeked
from flowmine.ingest.stores import opened
from flowmine.ingest.times import nanoseconds

__all__ = ["OwnSlots", "SharedSlots", "Slot", "Slots", "blocks_in", "slots"]

_LOOK = 1 << 16
_APART = 1 << 27
"""Bytes from one slot to the next, more than any holds; room is taken only by what is written."""
_STEP = 1 << 22
"""Bytes by which more of a slot is held, so that it need not be made anew for each that holds a little more."""
_FIRST = 1 << 22
"""Bytes in the first slot that is inflated: each holds at most as much as those before it, so that reading begins soon."""
_NEAR = 1 << 23
"""Bytes in a slot that who writes it reads as well: while it does, no other is written, unless a thread does so."""
_AT_ONCE = 1 << 20
"""Bytes that are inflated at a time: they stay in a core's own memory until all is done with them."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Whole lines, so many bytes, in a slot; the first begins at ``begins`` (nanoseconds, where it tells)."""

    number: int
    length: int
    begins: int | None


class Slots(ABC):
    """As many slots as are in use at a time."""

    def __init__(self, *, beside: bool) -> None:
        """Have no slot yet; ``beside`` is whether what is compressed is inflated in a thread, with a core for it."""
        self.beside = beside
        self.near = False
        """Whether the next slot is read by the very process that writes it."""
        self._free: deque[int] = deque()
        self._count = 0

    def take(self) -> int:
        """Return a slot to be written."""
        if self._free:
            return self._free.pop()  # the one given back last, for its memory is the nearest
        self._count += 1
        return self._count - 1

    def give_back(self, number: int) -> None:
        """Let a slot be written again: its content was read."""
        self._free.append(number)

    def size(self, most: int) -> int:
        """Return how many bytes are to be in the next slot, of as many at most."""
        return min(most, _NEAR) if self.near and not self.beside else most

    @abstractmethod
    def room(self, number: int, size: int) -> mmap.mmap | bytearray:
        """Return the memory of a slot, at least ``size`` bytes. Raise InputError where there is no room."""

    @abstractmethod
    def write(self, number: int, at: int, data: bytes) -> None:
        """Write into a slot. Raise InputError where there is no room."""

    @abstractmethod
    def view(self, number: int, size: int) -> memoryview:
        """Return the first bytes of a slot as they are: until it is given back, and written again."""


class SharedSlots(Slots):
    """The slots of one file, which all processes read that have its descriptor."""

    def __init__(self, descriptor: int, *, beside: bool = False) -> None:
        """Use an empty file, open to be read and written; it is closed when nobody uses the slots any more."""
        super().__init__(beside=beside)
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        self._rooms: dict[int, mmap.mmap] = {}

    def room(self, number: int, size: int) -> mmap.mmap | bytearray:
        room = self._rooms.get(number)
        if room is None or len(room) < size:
            # A full disk is an error here, and a signal later.
            zeros = bytes(1 if hasattr(os, "memfd_create") else size)
            self.write(number, size - len(zeros), zeros)
            room = self._mapped(number, size)
        return room

    def write(self, number: int, at: int, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                done = os.pwrite(self._descriptor, left, number * _APART + at)
                left, at = left[done:], at + done
        except OSError as error:
            raise InputError(
                f"no room for what several processes are to read ({error.strerror or error}); try again with --jobs 1"
            ) from error

    def view(self, number: int, size: int) -> memoryview:
        room = self._rooms.get(number)
        if room is None or len(room) < size:
            there = os.fstat(self._descriptor).st_size - number * _APART
            room = self._mapped(number, min(there, -(-size // _STEP) * _STEP))
        return memoryview(room)[:size]

    def _mapped(self, number: int, size: int) -> mmap.mmap:
        room = self._rooms[number] = mmap.mmap(self._descriptor, size, offset=number * _APART)
        return room


class OwnSlots(Slots):
    """Slots that only the process which writes them reads: in its memory, and in no file."""

    def __init__(self) -> None:
        """Have no slot yet."""
        super().__init__(beside=True)
        self._own: dict[int, bytearray] = {}

    def room(self, number: int, size: int) -> bytearray:
        if len(self._own.get(number, b"")) < size:
            self._own[number] = bytearray(size)
        return self._own[number]

    def write(self, number: int, at: int, data: bytes) -> None:
        room, end = self._own.get(number, bytearray()), at + len(data)
        if len(room) < end:  # another one, for there may be a view of this
            held, room = room, bytearray(-(-end // _STEP) * _STEP)
            room[: len(held)] = held
            self._own[number] = room
        room[at:end] = data

    def view(self, number: int, size: int) -> memoryview:
        return memoryview(self._own[number])[:size]


def slots(one: Input, size: int, into: Slots, *, alone: bool) -> Iterator[Slot | Block | Unreadable]:
    """Yield the lines of a JSON input in slots of about ``size`` bytes; as blocks, where values are not lines.

    Where the input is not ``alone`` they end where blocks do (`framing.blocks`), so that it falls in with the others as
    it does with one reader. Raise InputError where it cannot be read.
    """
    fast = alone and one.repeatable and one.compression == "gzip"
    given = (yield from _inflated(one, size, into)) if fast else 0
    if given is None:
        return
    head, content = peeked(_behind(one.content(size), given), HEAD)
    if is_by_value(head) and not given:
        yield from blocks(content, size)
    else:
        yield from _by_line(content, size, into)


def _inflated(one: Input, size: int, into: Slots) -> Generator[Slot, None, int | None]:
    """Yield the lines of gzip, inflated where they are read. Return None after the last.

    Whatever is not lines and sound throughout is left to who reads anything: return how many bytes were none of it.
    """
    inflating: Any = import_module("isal.igzip").IGzipFile

    number, given, rest, one.read, one.cut = into.take(), 0, b"", 0, ""
    try:
        with opened(one.name) as stored, inflating(fileobj=stored) as content:
            straight = getattr(content, "_buffer", content)  # else all is written twice
            while True:
                wanted = into.size(size)
                room, most = into.room(number, wanted), min(wanted, given + _FIRST)
                room[: len(rest)] = rest
                held = len(rest)
                while held < most and (
                    got := straight.readinto(memoryview(room)[held : min(held + _AT_ONCE, most)])
                ):
                    held += got
                one.read = stored.tell()
                whole = held if held < most else room.rfind(b"\n", 0, most) + 1
                odd = not given and (
                    is_marked(bytes(room[:4])) or is_by_value(bytes(room[: min(HEAD, held)]))
                )
                if odd or not whole:
                    into.give_back(number)
                    return given if odd or held else None
                rest = bytes(room[whole:held])
                yield _slot(number, whole, into)
                given += whole
                if held < most:
                    return None
                number = into.take()
    except Exception:  # whatever it is, who reads anything meets it again
        into.give_back(number)
        return given


def _behind(content: Iterator[bytes], given: int) -> Iterator[bytes]:
    """Leave out the first bytes of a content."""
    for chunk in content:
        if len(chunk) > given:
            yield chunk[given:]
        given -= min(given, len(chunk))


def _by_line(content: Iterator[bytes], size: int, into: Slots) -> Iterator[Slot]:
    """Do so as `framing.by_line` does. Of a line that is too long, a slot has as much as tells that it is."""
    number, held, whole, dropping, wanted = into.take(), 0, 0, False, into.size(size)
    for piece in content:
        for start in range(0, len(piece), LONGEST):
            chunk = piece if len(piece) <= LONGEST else piece[start : start + LONGEST]
            if dropping:
                _, end, chunk = chunk.partition(b"\n")
                dropping = not end
            into.write(number, held, chunk)
            cut = chunk.rfind(b"\n") + 1
            whole = held + cut if cut else whole
            held += len(chunk)
            if whole < wanted and held <= LONGEST:
                continue
            rest = bytes(into.view(number, held)[whole:]) if whole else b""
            yield _slot(number, whole or held, into)
            dropping = not whole
            number, held, whole, wanted = into.take(), len(rest), 0, into.size(size)
            into.write(number, 0, rest)
    if held:
        yield _slot(number, held, into)
    else:
        into.give_back(number)


def _slot(number: int, length: int, into: Slots) -> Slot:
    head = bytes(into.view(number, min(HEAD, length)))
    return Slot(number, length, nanoseconds(first_time(head)))


def blocks_in(found: Slot, of: Slots, size: int) -> Iterator[Block | Unreadable]:
    """Yield the lines of a slot in blocks of about ``size`` bytes, numbered from 1, and what is too long for a line.

    Each is a view of the slot, to be let go of before the slot is given back.
    """
    text = of.view(found.number, found.length)
    start, line = 0, 1
    while start < len(text):
        end = _line_end(text, min(start + size, len(text)))
        if end - start > LONGEST and not line_ends(text[start:end]):
            yield too_long(line, LONGEST)
            return
        block = Block(text[start:end], line, unended=text[end - 1] != ord("\n"))
        yield block
        start, line = end, line + block.ends
        del block


def _line_end(text: memoryview, place: int) -> int:
    """Return where the line ends that goes on at a place; the end of all, where it does not end."""
    for start in range(place - 1, len(text), _LOOK):
        if end := bytes(text[start : start + _LOOK]).find(b"\n") + 1:
            return start + end
    return len(text)
