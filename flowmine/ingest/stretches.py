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
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["KINDS", "Ports", "Stretches", "cut"]

KINDS = ("head", "l4", "source", "destination", "tail")

_Places = npt.NDArray[np.int64]
_Bytes = npt.NDArray[np.uint8]
_Words = npt.NDArray[np.uint64]
_Mask = npt.NDArray[np.bool_]

_TIME, _UUID, _HARDWARE = 30, 36, 17
_HEAD, _HEAD_WITHOUT_UUID = 95, 49
"""Where the head begins: behind `{"flow":{"time":"…","uuid":"…",`."""
_LEAST = 64


class Ports(NamedTuple):
    """The ports read from each ``l4``; -1 where they were left in it."""

    source: npt.NDArray[np.int64]
    destination: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stretches:
    """The lines of one block, those of the usual form taken apart.

    ``times`` and ``uuids`` (None where lines have none) are texts of plain ASCII, one a line; ``texts`` (binary) are the
    different stretches, and ``codes`` (int32, lines x `KINDS`) the place there of each line's. ``begins`` say where in the
    block each line is, ``others`` where all else is that is not blank, and ``ends`` how many line ends there are.
    """

    begins: _Places
    times: pa.StringArray
    uuids: pa.StringArray | None
    texts: pa.BinaryArray
    codes: npt.NDArray[np.int32]
    ports: Ports
    others: list[tuple[int, int]]
    ends: int


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


_AFTER = {kind: _word(b'},"' + key) for kind, key in enumerate((b'l4":{', b"sourc", b"desti", b'Type"'), 1)}
_END = len(_AFTER) + 1
_PATTERN = np.arange(1, _END + 1)


class _Lines(NamedTuple):
    """Where lines are: begin, the five ``}`` after which each is cut or ends, the ``}`` before the first and before
    the last of these; and how many lines there are of any form.
    """

    begins: _Places
    marks: _Places
    inside: _Places
    closing: _Places
    whole: int

    def only(self, usual: _Mask) -> "_Lines":
        if usual.all():
            return self
        begins, marks, inside, closing = (places[usual] for places in self[:-1])
        return _Lines(begins, marks, inside, closing, self.whole)

    @property
    def few(self) -> bool:
        """Whether less than half of all lines are of the usual form."""
        return 2 * len(self.begins) < self.whole


def cut(data: bytes) -> Stretches | None:
    """Return the stretches of a block; None where not even half of its lines are of the usual form."""
    if len(data) < _LEAST:
        return None
    block, words = np.frombuffer(data, np.uint8), _unaligned(data)
    lines = _lines(block, words)
    if lines is None or lines.few:
        return None
    uuid = bool(_is(words, lines.begins[:1] + 47, b'","uuid"')[0])
    usual = _begin_as_usual(block, words, lines.begins, uuid=uuid) & _end_as_they_begin(block, words, lines)
    head = _HEAD if uuid else _HEAD_WITHOUT_UUID
    usual &= lines.begins + head < lines.marks[:, 0]
    lines = lines.only(usual)
    if lines.few:
        return None
    times, uuids = (_texts(words, lines.begins + at, width) for at, width in ((17, _TIME), (57, _UUID)))
    odd = (_odd(times) | _odd(uuids)) if uuid else _odd(times)
    if odd.any():
        lines, times, uuids = lines.only(~odd), times[~odd], uuids[~odd]
        if lines.few:
            return None
    made = np.empty(len(data) + _LEAST, np.uint8)
    made[: len(data)], made[len(data) :] = block, 0
    open_ = _unaligned(made)
    _overwrite_hardware(made, open_, lines.inside, lines.begins + head, lines.marks[:, 0])
    ports = _overwrite_ports(made, open_, lines.marks)
    _overwrite_cookies(made, open_, lines.marks[:, -2] + 2, lines.closing)
    texts, codes = _encoded(made, lines, head)
    gaps = _gaps(data, lines.begins, lines.marks[:, -1] + 2)
    others = [(start, stop) for start, stop in gaps if data[start:stop].strip()]
    line_ends = len(lines.begins) + sum(data.count(b"\n", start, stop) for start, stop in gaps)
    return Stretches(
        lines.begins,
        _strings(times),
        _strings(uuids) if uuid else None,
        texts,
        codes,
        ports,
        others,
        line_ends,
    )


def _unaligned(data: bytes | _Bytes) -> _Words:
    """Return the eight bytes from every place on as one number each."""
    return np.ndarray((len(data) - 7,), "<u8", data, 0, (1,))


def _is(words: _Words, places: _Places, text: bytes) -> _Mask:
    """Tell at which places a text of eight bytes stands."""
    return np.asarray(words[places] == _word(text))


def _lines(block: _Bytes, words: _Words) -> _Lines | None:
    """Return the lines that have each cut once, and in order; None where there is none."""
    closes = np.flatnonzero(block == ord("}"))
    closes = closes[: np.searchsorted(closes, len(block) - 1)]
    inner = closes[: np.searchsorted(closes, len(block) - 24)]
    follows = words[inner]
    kinds = np.zeros(len(closes), np.int8)
    for kind, after in _AFTER.items():
        kinds[: len(inner)][follows == after] = kind
    _confirm(kinds, closes, 2, words, 4, b'ource":{')
    _confirm(kinds, closes, 3, words, 8, b'nation":')
    kinds[block[closes + 1] == ord("\n")] = _END
    found = np.flatnonzero(kinds)
    cuts = kinds[found]
    last = np.flatnonzero(cuts == _END)
    if not len(last):
        return None
    begins = np.append(0, closes[found[last[:-1]]] + 2)
    usual = np.diff(last, prepend=-1) == _END
    marks = last[usual][:, None] + (_PATTERN - _END)
    ordered = (cuts[marks] == _PATTERN).all(axis=1)
    if not ordered.any():
        return None
    places = found[marks[ordered]]
    inside, closing = closes[np.maximum(places[:, 0] - 1, 0)], closes[places[:, -1] - 1]
    return _Lines(begins[usual][ordered], closes[places], inside, closing, len(last))


def _confirm(
    kinds: npt.NDArray[np.int8], closes: _Places, kind: int, words: _Words, at: int, text: bytes
) -> None:
    """Let a kind of cut stand only where a text follows so many bytes on."""
    found = np.flatnonzero(kinds == kind)
    kinds[found[~_is(words, closes[found] + at, text)]] = 0


def _begin_as_usual(block: _Bytes, words: _Words, begins: _Places, *, uuid: bool) -> _Mask:
    usual: _Mask = (
        _is(words, begins, b'{"flow":') & _is(words, begins + 8, b'{"time":') & (block[begins + 16] == 34)
    )
    if not uuid:
        usual &= (block[begins + 47] == ord('"')) & (block[begins + 48] == ord(","))
        return usual
    usual &= _is(words, begins + 47, b'","uuid"') & _is(words, begins + 49, b'"uuid":"')
    usual &= (block[begins + 93] == ord('"')) & (block[begins + 94] == ord(","))
    return usual


def _end_as_they_begin(block: _Bytes, words: _Words, lines: _Lines) -> _Mask:
    """Tell which lines end with the very time that they begin with."""
    ends = lines.marks[:, -1]
    usual: _Mask = _is(words, ends - 40, b',"time":') & (block[ends - 32] == 34) & (block[ends - 1] == 34)
    for place in (0, 8, 16, 22):
        usual &= words[ends - 31 + place] == words[lines.begins + 17 + place]
    usual &= lines.marks[:, -2] + 2 < ends - 40
    return usual


def _texts(words: _Words, places: _Places, width: int) -> _Bytes:
    """Return the bytes from each place on, a row each."""
    made = np.empty((len(places), width), np.uint8)
    for start in (*range(0, width - 7, 8), width - 8):
        made[:, start : start + 8] = words[places + start].view(np.uint8).reshape(-1, 8)
    return made


def _odd(texts: _Bytes) -> _Mask:
    """Tell which texts are not ASCII that JSON writes as it is."""
    odd = (texts < 0x20) | (texts > 0x7E) | (texts == ord('"')) | (texts == ord("\\"))
    return np.asarray(odd.any(axis=1)) if odd.any() else np.zeros(len(texts), bool)


def _strings(texts: _Bytes) -> pa.StringArray:
    """Return texts of ASCII, a row each, as an array."""
    rows, width = texts.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(texts)))


def _encoded(made: _Bytes, lines: _Lines, head: int) -> tuple[pa.BinaryArray, npt.NDArray[np.int32]]:
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
    codes = np.frombuffer(found.indices.buffers()[1], np.int32)[: edges.size].reshape(-1, count)[:, 1::2]
    return found.dictionary, codes


def _overwrite_hardware(made: _Bytes, words: _Words, ends: _Places, starts: _Places, stops: _Places) -> None:
    """Overwrite hardware addresses, which no column has; ``ends`` is where their object ends, if there is one.

    ``,"ethernet":{"source":"…","destination":"…"}``, 17 bytes each.
    """
    ends = ends[(ends - starts > 75) & (ends < stops)]
    usual = np.ones(len(ends), bool)
    for back, text in ((75, b',"ethern'), (67, b'et":{"so'), (60, b'ource":"'), (35, b'","desti')):
        usual &= _is(words, ends - back, text)
    usual &= _is(words, ends - 27, b'nation":') & (made[ends - 19] == 34) & (made[ends - 1] == 34)
    for back in (52, 18):
        usual &= ~_odd(_texts(words, ends - back, _HARDWARE))
    for back in (52, 18):
        for step in (0, 8, 9):
            words[ends[usual] - back + step] = _word(b"00000000")


def _overwrite_ports(made: _Bytes, words: _Words, marks: _Places) -> Ports:
    """Read the two ports of TCP and UDP, and overwrite each with as many ones."""
    source, destination = (np.full(len(marks), -1, np.int64) for _ in range(2))
    rows = np.flatnonzero(marks[:, 1] - marks[:, 0] > 51)
    at = marks[rows, 0] + 29
    usual = _is(words, at - 16, b':{"sourc') & _is(words, at - 8, b'e_port":')
    first, width = _number(words[at])
    after = at + width
    for place, text in ((0, b',"destin'), (8, b"ation_po"), (12, b'n_port":')):
        usual &= _is(words, after + place, text)
    second, second_width = _number(words[after + 20])
    behind = made[after + 20 + second_width]
    usual &= (first > 0) & (second > 0) & ((behind == ord(",")) | (behind == ord("}")))
    source[rows[usual]], destination[rows[usual]] = first[usual], second[usual]
    _overwrite(made, at[usual], width[usual])
    _overwrite(made, after[usual] + 20, second_width[usual])
    return Ports(source, destination)


def _number(words: _Words) -> tuple[_Places, _Places]:
    """Return the port that each word begins with and how many digits it has; 0 where it is none."""
    value, width = np.zeros(len(words), np.int64), np.zeros(len(words), np.int64)
    going = (words & np.uint64(0xFF)) != ord("0")
    for place in range(6):
        digit = (words >> np.uint64(8 * place) & np.uint64(0xFF)).astype(np.int64) - ord("0")
        going &= (digit >= 0) & (digit <= 9)
        value = np.where(going, value * 10 + digit, value)
        width += going
    return np.where(value > 0xFFFF, 0, value), width


def _overwrite(made: _Bytes, places: _Places, widths: _Places) -> None:
    for step in range(int(widths.max(initial=0))):
        made[places[widths > step] + step] = ord("1")


def _overwrite_cookies(made: _Bytes, words: _Words, tails: _Places, closing: _Places) -> None:
    """Overwrite the numbers of sockets, which no column has; ``closing`` is where the flow ends.

    ``"Type":"SOCK",…,"socket_cookie":"…","cgroup_id":"…","Summary":"TCP"}``.
    """
    rows = np.flatnonzero(closing - tails > 150)
    ends = closing[rows[_is(words, tails[rows] + 4, b'e":"SOCK')]]
    usual = _is(words, ends - 8, b'y":"TCP"') | _is(words, ends - 8, b'y":"UDP"')
    usual &= _is(words, ends - 17, b'","Summa') & (made[ends - 9] == ord("r"))
    group = _digits_before(made, ends - 17)
    at = ends - 17 - group
    usual &= _is(words, at - 15, b'","cgrou') & _is(words, at - 8, b'up_id":"') & (group > 0)
    cookie = _digits_before(made, at - 15)
    first = at - 15 - cookie
    usual &= _is(words, first - 17, b'"socket_') & _is(words, first - 9, b'cookie":') & (cookie > 0)
    usual &= made[first - 1] == ord('"')
    _overwrite(made, first[usual], cookie[usual])
    _overwrite(made, at[usual], group[usual])


def _digits_before(made: _Bytes, ends: _Places) -> _Places:
    """Return how many digits, at most 20, stand right before each place."""
    width, going = np.zeros(len(ends), np.int64), np.ones(len(ends), bool)
    for step in range(1, 21):
        digit = made[ends - step]
        going &= (digit >= ord("0")) & (digit <= ord("9"))
        if not going.any():
            break
        width += going
    return width


def _gaps(data: bytes, begins: _Places, ends: _Places) -> list[tuple[int, int]]:
    """Return where in the block there is something that is none of the lines."""
    starts, stops = np.append(0, ends), np.append(begins, len(data))
    gaps = np.flatnonzero(stops > starts)
    return list(zip(starts[gaps].tolist(), stops[gaps].tolist(), strict=True))
