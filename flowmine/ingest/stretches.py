"""Cut blocks of JSON lines, as Hubble writes them, into the stretches that lines share, in bulk.

Hubble writes the fields of a flow in one order. A line is therefore its own time and uuid, and five runs of members:

| stretch     | from … to, in Hubble's order                    | of its own, overwritten below         |
|-------------|-------------------------------------------------|---------------------------------------|
| head        | what follows the uuid … ``IP``                  | hardware addresses                    |
| l4          | ``l4``                                          | the two ports                         |
| source      | ``source``                                      |                                       |
| destination | ``destination``                                 |                                       |
| tail        | ``Type`` … the end of the flow, ``node_name``   | a socket's cookie and cgroup; the     |
|             |                                                 | time after it, equal to the first     |

With what is a line's own taken out, thousands of lines have a few hundred different stretches, to be decoded once each
(`stretchrows`). Nothing here has to know JSON: every cut follows a ``}``, and a line put together of runs of whole
members is an object of these members. Whoever decodes the stretches proves that they are such runs. A line of any other
form is left to whoever reads whole lines.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flowmine.ingest import places
from flowmine.ingest.places import Bytes, Mask, Places, Words, is_text

__all__ = [
    "HEAD",
    "HEAD_WITHOUT_UUID",
    "KINDS",
    "TIME",
    "UUID",
    "Numbers",
    "Ports",
    "Span",
    "Stretches",
    "Texts",
    "cut",
    "has_line_end",
    "of_lines",
]

KINDS = ("head", "l4", "source", "destination", "tail")

TIME, UUID = 30, 36
"""Bytes that a time and a uuid have."""
HEAD, HEAD_WITHOUT_UUID = 95, 49
"""Where the head begins: behind `{"flow":{"time":"…","uuid":"…",`."""
_LEAST = 64
_NO_ADDRESS = b"0" * 17
_LAST_PORT = 0xFFFF
_DIGITS = 20
"""Most digits of a socket's numbers, which have 64 bits."""


Numbers: TypeAlias = npt.NDArray[np.int32]
"""Numbers of stretches among `Texts`."""


class Texts(Protocol):
    """Different stretches, numbered from 0 on. They may become more, of blocks cut later; none becomes another."""

    def __len__(self) -> int: ...

    def some(self, numbers: Places) -> list[bytes]:
        """Return those with some numbers."""


class Span(NamedTuple):
    """Whole lines of a block: where they begin and end, and how many line ends are before them."""

    start: int
    stop: int
    ends: int


class Ports(NamedTuple):
    """The ports read from each ``l4``; -1 where they were left in it."""

    source: Numbers
    destination: Numbers

    @classmethod
    def of(cls, source: Places, destination: Places) -> "Ports":
        """Return them in half the memory: they are kept longer than all else of a block."""
        return cls(source.astype(np.int32), destination.astype(np.int32))


@dataclass(frozen=True, slots=True)
class Stretches:
    """The lines of one block, those of the usual form taken apart.

    ``times`` and ``uuids`` (None where lines have none) are texts of plain ASCII, one a line; ``texts`` are the
    different stretches, and ``codes`` (`KINDS` x lines) the number there of each line's. ``begins`` say where in the
    block each line is, ``others`` where all else is that is not blank, and ``ends`` how many line ends there are.
    """

    begins: Places
    times: pa.StringArray
    uuids: pa.StringArray | None
    texts: Texts
    codes: Numbers
    ports: Ports
    others: list[Span]
    ends: int


_AFTER = {kind: b'},"' + key for kind, key in enumerate((b'l4":{', b"sourc", b"desti", b'Type"'), 1)}
_END = len(_AFTER) + 1
_PATTERN = np.arange(1, _END + 1)


class _Lines(NamedTuple):
    """Where lines are: begin, the five ``}`` after which each is cut or ends, the ``}`` before the first and before
    the last of these; and how many lines there are of any form.
    """

    begins: Places
    marks: Places
    inside: Places
    closing: Places
    whole: int

    def only(self, usual: Mask) -> "_Lines":
        if usual.all():
            return self
        begins, marks, inside, closing = (places[usual] for places in self[:-1])
        return _Lines(begins, marks, inside, closing, self.whole)

    @property
    def few(self) -> bool:
        """Whether less than half of all lines are of the usual form."""
        return 2 * len(self.begins) < self.whole


def cut(data: bytes | memoryview) -> Stretches | None:
    """Return the stretches of a block; None where not even half of its lines are of the usual form, or one has two ends."""
    if len(data) < _LEAST:
        return None
    made = np.empty(len(data) + _LEAST, np.uint8)
    made[: len(data)], made[len(data) :] = np.frombuffer(data, np.uint8), 0
    words = places.words(made)
    lines = _lines(made, words, len(data))
    if lines is None or lines.few:
        return None
    uuid = bool(is_text(words, lines.begins[:1] + 47, b'","uuid"')[0])
    head = HEAD if uuid else HEAD_WITHOUT_UUID
    rows = places.texts(made, lines.begins, head)
    usual = _begin_as_usual(rows, uuid=uuid) & _end_as_they_begin(made, lines, rows)
    usual &= lines.begins + head < lines.marks[:, 0]
    if not usual.all():
        lines, rows = lines.only(usual), rows[usual]
        if lines.few:
            return None
    times, uuids = (np.ascontiguousarray(rows[:, at : at + wide]) for at, wide in ((17, TIME), (57, UUID)))
    _overwrite_hardware(made, lines.inside, lines.begins + head, lines.marks[:, 0])
    ports = _overwrite_ports(made, words, lines.marks)
    _overwrite_cookies(made, words, lines.marks[:, -2] + 2, lines.closing)
    texts, codes = _encoded(made, lines, head)
    if has_line_end(np.frombuffer(texts.texts.buffers()[2], np.uint8)):
        return None
    where = lines.begins, lines.marks[:, -1]
    return of_lines(data, where, times, uuids if uuid else None, texts, codes, ports)


def of_lines(
    data: bytes | memoryview,
    where: tuple[Places, Places],
    times: Bytes,
    uuids: Bytes | None,
    texts: Texts,
    codes: Numbers,
    ports: Ports,
) -> Stretches:
    """Return the stretches of the lines of a block that are ``where`` they begin, and where their last ``}`` is."""
    begins, ends = where
    others, line_ends = _others(data, begins, ends + 2)
    spelled = None if uuids is None else _strings(uuids)
    return Stretches(begins, _strings(times), spelled, texts, codes, ports, others, line_ends)


def _lines(block: Bytes, words: Words, length: int) -> _Lines | None:
    """Return the lines that have each cut once, and in order; None where there is none.

    What follows the ``length`` bytes of the block are zeros.
    """
    closes, following = places.last_of_words(block, length, b"}")
    kinds = ((following >> np.uint64(8)).astype(np.uint8) == ord("\n")) * np.uint8(_END)
    for kind, text in _AFTER.items():
        kinds += (following == places.word(text)) * np.uint8(kind)
    found = np.flatnonzero(kinds != 0)
    cuts = kinds[found]
    usual = np.ones(len(found), bool)
    for kind, at, text in ((2, 4, b'ource":{'), (3, 8, b'nation":')):
        of_kind = np.flatnonzero(cuts == kind)
        usual[of_kind] &= is_text(words, closes[found[of_kind]] + at, text)
    found, cuts = found[usual], cuts[usual]
    last = np.flatnonzero(cuts == _END)
    if not len(last):
        return None
    begins = np.append(0, closes[found[last[:-1]]] + 2)
    usual = np.diff(last, prepend=-1) == _END
    marks = last[usual][:, None] + (_PATTERN - _END)
    equal = cuts[marks] == _PATTERN
    ordered = equal.all(axis=1) if not equal.all() else np.ones(len(marks), bool)
    if not ordered.any():
        return None
    at = found[marks[ordered]]
    inside, closing = closes[np.maximum(at[:, 0] - 1, 0)], closes[at[:, -1] - 1]
    return _Lines(begins[usual][ordered], closes[at], inside, closing, len(last))


def _begin_as_usual(rows: Bytes, *, uuid: bool) -> Mask:
    """Tell which lines begin in the usual way, by the ``rows`` of their beginnings, up to the head."""
    usual = places.stands(rows, 0, b'{"flow":{"time":"') & ~places.odd(rows[:, 17:47])
    if uuid:
        usual &= places.stands(rows, 47, b'","uuid":"') & ~places.odd(rows[:, 57:93])
    usual &= (rows[:, -2] == ord('"')) & (rows[:, -1] == ord(","))
    return usual


def _end_as_they_begin(block: Bytes, lines: _Lines, rows: Bytes) -> Mask:
    """Tell which lines end with the very time that they begin with."""
    ends = places.texts(block, lines.marks[:, -1] - 40, 40)
    usual: Mask = places.stands(ends, 0, b',"time":"') & (ends[:, -1] == ord('"'))
    usual &= places.same(rows[:, 17:47], ends[:, 9:39])
    usual &= lines.marks[:, -2] + 2 < lines.marks[:, -1] - 40
    return usual


def _strings(texts: Bytes) -> pa.StringArray:
    """Return texts of ASCII, a row each, as an array."""
    rows, width = texts.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(texts)))


@dataclass(frozen=True, slots=True, eq=False)
class _OfBlock:
    """The `Texts` of one block."""

    texts: pa.BinaryArray

    def __len__(self) -> int:
        return len(self.texts)

    def some(self, numbers: Places) -> list[bytes]:
        found: list[bytes] = self.texts.take(pa.array(numbers)).to_numpy(zero_copy_only=False).tolist()
        return found


def has_line_end(texts: Bytes) -> bool:
    """Tell whether a line ends within some stretches: it is none of the usual form, though its cuts are."""
    return bool((texts == ord("\n")).any())


def _encoded(made: Bytes, lines: _Lines, head: int) -> tuple[_OfBlock, Numbers]:
    """Return the different stretches, and which of them each line has of each kind."""
    count = 2 * len(KINDS)
    offsets = np.empty(len(lines.begins) * count + 1, np.int32)
    offsets[0] = 0
    edges = offsets[1:].reshape(
        -1, count
    )  # where what lies between stretches ends, and each stretch, in turn
    edges[:, 0] = lines.begins + head
    edges[:, 1:-1:2] = lines.marks[:, :-1] + 1
    edges[:, 2::2] = lines.marks[:, :-1] + 2
    edges[:, -1] = lines.marks[:, -1] - 40
    is_stretch = np.packbits(np.tile([False, True], edges.size // 2), bitorder="little")
    buffers = [pa.py_buffer(is_stretch), pa.py_buffer(offsets), pa.py_buffer(made)]
    found = pa.Array.from_buffers(pa.binary(), edges.size, buffers).dictionary_encode()
    codes = np.frombuffer(found.indices.buffers()[1], np.int32)[: edges.size].reshape(-1, count)
    return _OfBlock(found.dictionary), np.ascontiguousarray(codes[:, 1::2].T)


def _overwrite_hardware(made: Bytes, ends: Places, starts: Places, stops: Places) -> None:
    """Overwrite hardware addresses, which no column has; ``ends`` is where their object ends, if there is one.

    ``,"ethernet":{"source":"…","destination":"…"}``, 17 bytes each.
    """
    ends = ends[(ends - starts > 75) & (ends < stops)]
    rows = places.texts(made, ends - 75, 75)
    usual = places.stands(rows, 0, b',"ethernet":{"source":"') & (rows[:, -1] == ord('"'))
    usual &= places.stands(rows, 40, b'","destination":"')
    usual &= ~places.odd(rows[:, 23:40]) & ~places.odd(rows[:, 57:74])
    for back in (52, 18):
        places.put(made, ends[usual] - back, _NO_ADDRESS)


def _overwrite_ports(made: Bytes, words: Words, marks: Places) -> Ports:
    """Read the two ports of TCP and UDP, and overwrite each with as many ones."""
    source, destination = (np.full(len(marks), -1, np.int64) for _ in range(2))
    rows = np.flatnonzero(marks[:, 1] - marks[:, 0] > 51)
    at = marks[rows, 0] + 29
    texts = places.texts(made, at - 16, 24)
    usual = places.stands(texts, 0, b':{"source_port":')
    first, width = places.numbers(places.column(texts, 16))
    usual &= is_text(words, at + width, b',"destination_port":')
    other = at + width + 20
    second, second_width = places.numbers(words[other])
    behind = made[other + second_width]
    usual &= (first > 0) & (second > 0) & ((behind == ord(",")) | (behind == ord("}")))
    usual &= (first <= _LAST_PORT) & (second <= _LAST_PORT)
    source[rows[usual]], destination[rows[usual]] = first[usual], second[usual]
    for begins, widths in ((at, width), (other, second_width)):
        places.overwrite(made, (begins + widths)[usual], widths[usual])
    return Ports.of(source, destination)


def _overwrite_cookies(made: Bytes, words: Words, tails: Places, closing: Places) -> None:
    """Overwrite the numbers of sockets, which no column has; ``closing`` is where the flow ends.

    ``"Type":"SOCK",…,"socket_cookie":"…","cgroup_id":"…","Summary":"TCP"}``.
    """
    rows = np.flatnonzero(closing - tails > 150)
    ends = closing[rows[is_text(words, tails[rows] + 4, b'e":"SOCK')]]
    usual = is_text(words, ends - 8, b'y":"TCP"') | is_text(words, ends - 8, b'y":"UDP"')
    usual &= is_text(words, ends - 17, b'","Summar')
    group = places.before(made, ends - 17, _DIGITS)
    at = ends - 17 - group
    usual &= is_text(words, at - 15, b'","cgroup_id":"') & (group > 0)
    cookie = places.before(made, at - 15, _DIGITS)
    usual &= is_text(words, at - 15 - cookie - 17, b'"socket_cookie":"') & (cookie > 0)
    places.overwrite(made, (at - 15)[usual], cookie[usual])
    places.overwrite(made, (at + group)[usual], group[usual])


def _others(data: bytes | memoryview, begins: Places, ends: Places) -> tuple[list[Span], int]:
    """Return where in the block there is something that is none of the lines, and how many line ends there are in all."""
    starts, stops = np.append(0, ends), np.append(begins, len(data))
    gaps = np.flatnonzero(stops > starts)
    found, in_gaps = [], 0
    for lines, start, stop in zip(gaps.tolist(), starts[gaps].tolist(), stops[gaps].tolist(), strict=True):
        gap = bytes(data[start:stop])
        if gap.strip():
            found.append(Span(start, stop, lines + in_gaps))
        in_gaps += gap.count(b"\n")
    return found, len(begins) + in_gaps
