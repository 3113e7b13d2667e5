"""What `stretches.cut` does, a line at a time, in code that numba compiles for the machine.

A block is an array of bytes with 64 zeros at least behind its lines. Eight bytes are looked at together, as one number.

Arrays are addresses here, of which nothing is known but the type, and rows stand one after the other: so the code
needs nothing of numba when it runs (`machinecode`).

Stretches are kept: ``text`` has them one after the other, and each has four numbers in ``entries``: where it begins
(and the next one, where it ends), a hash of it, and, if it is a head, the source and the destination that came with it
last. These nearly always come with it again: so they need neither be searched for where they end nor be hashed, but
only compared. ``table`` finds a stretch by its hash: a power of two of numbers, plus one; 0 is free. ``count`` has
three numbers: how many stretches there are, the highest place in ``table``, and how many lines the last block had.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["BEHIND", "ROW", "cut"]

BEHIND = 64
"""Zeros behind a block."""
_HEAD, _TIME, _UUID = 95, 30, 36
"""As in `stretches`, whose own numbers, were they changed, would not make numba compile this anew."""
ROW = 9
"""What is found of a line: where it begins, and its last ``}``; the numbers of its five stretches; its two ports."""

_Bytes: TypeAlias = npt.NDArray[np.uint8]
_Numbers: TypeAlias = npt.NDArray[np.int64]
_Word: TypeAlias = np.uint64
_Text: TypeAlias = tuple[tuple[int, _Word], ...]
"""A text of eight bytes or more: words that stand in it, and where."""


def _word(text: bytes) -> _Word:
    return np.uint64(int.from_bytes(text, "little"))


def _text(text: bytes) -> _Text:
    places = [*range(0, len(text) - 7, 8), *([len(text) - 8] if len(text) % 8 else [])]
    return tuple((place, _word(text[place : place + 8])) for place in places)


_ZERO, _ONES, _HIGH = _word(b""), _word(b"\1" * 8), _word(b"\x80" * 8)
_BRACES, _QUOTES, _BACKSLASHES, _SPACES = (_word(char * 8) for char in (b"}", b'"', b"\\", b" "))
_L4, _SOURCE, _DESTINATION, _TAIL, _END, _NONE = range(6)
_IS_L4, _IS_TAIL = _word(b'},"l4":{'), _word(b'},"Type"')
_IS_SOURCE, _IS_DESTINATION = _text(b'},"source":{'), _text(b'},"destination":')
_BEGIN, _THEN_UUID, _OUTER_TIME = _text(b'{"flow":{"time":"'), _text(b'","uuid":"'), _text(b',"time":"')
_ETHERNET, _ETHERNET_TO = _text(b',"ethernet":{"source":"'), _text(b'","destination":"')
_PORT, _TO_PORT = _text(b':{"source_port":'), _text(b',"destination_port":')
_IS_SOCKET, _SUMMARY, _OF_TCP, _OF_UDP = (
    _text(text) for text in (b'e":"SOCK', b'","Summar', b'y":"TCP"', b'y":"UDP"')
)
_COOKIE, _CGROUP = _text(b'"socket_cookie":"'), _text(b'","cgroup_id":"')
_QUOTE, _COMMA, _CLOSE, _LINE_END, _NOUGHT, _NINE = b'",}\n09'
_OTHER_PORT, _LAST_PORT, _DIGITS, _UNKNOWN = 0x31, 0xFFFF, 20, -1
_START, _HASH, _ITS_SOURCE, _ITS_DESTINATION = range(4)
_MIX = tuple(
    np.uint64(factor)
    for factor in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)
)
_HALF = np.uint64(32)


@intrinsic
def _word_at(_: Any, block: Any, place: Any) -> Any:
    """Return the eight bytes from a place on, the first the lowest."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        start = builder.bitcast(builder.gep(values[0], [values[1]]), ir.IntType(64).as_pointer())
        return builder.load(start, align=1)

    return types.uint64(block, types.int64), build


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _stands(block: _Bytes, place: int, text: _Text) -> bool:
    """Tell whether a text stands at a place."""
    different = _ZERO
    for step, word in text:
        different |= _word_at(block, place + step) ^ word
    return different == _ZERO


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _same(block: _Bytes, place: int, other: _Bytes, start: int, count: int) -> bool:
    """Tell whether as many bytes are the same."""
    step = 0
    if count < 8:
        while step < count and block[place + step] == other[start + step]:
            step += 1
        return step == count
    while step + 32 <= count:
        different = _word_at(block, place + step) ^ _word_at(other, start + step)
        for further in (8, 16, 24):
            different |= _word_at(block, place + step + further) ^ _word_at(other, start + step + further)
        if different != _ZERO:
            return False
        step += 32
    while step + 8 <= count:
        if _word_at(block, place + step) != _word_at(other, start + step):
            return False
        step += 8
    return step == count or _word_at(block, place + count - 8) == _word_at(other, start + count - 8)


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _odd(word: _Word) -> _Word:
    """Return the high bit of bytes that are not ASCII which JSON writes as it is: 0 where all are."""
    quotes, backslashes = word ^ _QUOTES, word ^ _BACKSLASHES
    found = ((quotes - _ONES) & ~quotes) | ((backslashes - _ONES) & ~backslashes) | (word - _SPACES)
    return (found | (word + _ONES) | word) & _HIGH


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _plain(block: _Bytes, start: int, count: int) -> bool:
    """Tell whether as many bytes, eight at least, are all ASCII that JSON writes as it is."""
    found = _odd(_word_at(block, start + count - 8))
    for place in range(start, start + count - 7, 8):
        found |= _odd(_word_at(block, place))
    return found == _ZERO


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _next_cut(block: _Bytes, place: int, length: int) -> tuple[int, int, int]:
    """Return where the next ``}`` is after which a line is cut or ends, its kind, and the last other one before it."""
    last = -1
    while place < length:
        found = _word_at(block, place) ^ _BRACES
        if (found - _ONES) & ~found & _HIGH == _ZERO:
            place += 8
            continue
        while block[place] != _CLOSE:
            place += 1
        word = _word_at(block, place)
        if word == _IS_L4:
            return place, _L4, last
        if word == _IS_SOURCE[0][1] and _stands(block, place, _IS_SOURCE):
            return place, _SOURCE, last
        if word == _IS_DESTINATION[0][1] and _stands(block, place, _IS_DESTINATION):
            return place, _DESTINATION, last
        if word == _IS_TAIL:
            return place, _TAIL, last
        if block[place + 1] == _LINE_END:
            return place, _END, last
        last = place
        place += 1
    return length, _NONE, last


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _line_end(block: _Bytes, place: int, kind: int, length: int) -> int:
    """Return the ``}`` before the end of a line in which a cut is at a place; the end of the block if there is none."""
    while kind < _END:
        place, kind, _ = _next_cut(block, place + 1, length)
    return place


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _hash(block: _Bytes, start: int, stop: int) -> _Word:
    one, two, three, four = np.uint64(stop - start), _MIX[1], _MIX[2], _MIX[3]
    while start + 32 <= stop:
        one = (one ^ _word_at(block, start)) * _MIX[0]
        two = (two ^ _word_at(block, start + 8)) * _MIX[1]
        three = (three ^ _word_at(block, start + 16)) * _MIX[2]
        four = (four ^ _word_at(block, start + 24)) * _MIX[3]
        one, two, three, four = (
            one ^ one >> _HALF,
            two ^ two >> _HALF,
            three ^ three >> _HALF,
            four ^ four >> _HALF,
        )
        start += 32
    while start + 8 <= stop:
        one = (one ^ _word_at(block, start)) * _MIX[0]
        one ^= one >> _HALF
        start += 8
    if start < stop:
        rest = _word_at(block, start) << np.uint64(8 * (8 - (stop - start)))
        two = (two ^ rest) * _MIX[1]
        two ^= two >> _HALF
    mixed = (one ^ two * _MIX[2]) * _MIX[0] ^ (three ^ four * _MIX[3]) * _MIX[1]
    return mixed ^ mixed >> _HALF


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _number(
    block: _Bytes, start: int, stop: int, text: _Bytes, entries: _Numbers, table: _Numbers, count: _Numbers
) -> int:
    """Return the number of a stretch, which is kept if it is a new one."""
    hashed, wide = np.int64(_hash(block, start, stop)), stop - start
    slot = hashed & count[1]
    while table[slot]:
        number = table[slot] - 1
        begins = entries[4 * number + _START]
        is_wide = entries[4 * number + 4 + _START] - begins == wide
        if is_wide and entries[4 * number + _HASH] == hashed and _same(block, start, text, begins, wide):
            return number
        slot = (slot + 1) & count[1]
    number = count[0]
    count[0] = table[slot] = number + 1
    begins = entries[4 * number + _START]
    for step in range(wide):
        text[begins + step] = block[start + step]
    entries[4 * number + _HASH] = hashed
    entries[4 * number + _ITS_SOURCE] = entries[4 * number + _ITS_DESTINATION] = _UNKNOWN
    entries[4 * number + 4 + _START] = begins + wide
    return number


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _again(block: _Bytes, start: int, length: int, number: int, text: _Bytes, entries: _Numbers) -> int:
    """Return the last byte of a stretch that is the one of a number; -1 where it is not."""
    if number == _UNKNOWN:
        return -1
    begins = entries[4 * number + _START]
    wide = entries[4 * number + 4 + _START] - begins
    if start + wide > length or not _same(block, start, text, begins, wide):
        return -1
    return start + wide - 1


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _overwrite_hardware(block: _Bytes, head: int, end: int) -> None:
    """Overwrite hardware addresses; ``end`` is where their object ends, if there is one."""
    source, destination = end - 52, end - 18
    if end - head <= 75 or block[end - 1] != _QUOTE:
        return
    if not (_stands(block, source - 23, _ETHERNET) and _stands(block, destination - 17, _ETHERNET_TO)):
        return
    if _plain(block, source, 17) and _plain(block, destination, 17):
        for step in range(17):
            block[source + step] = block[destination + step] = _NOUGHT


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _port(block: _Bytes, place: int) -> tuple[int, int]:
    """Return the port that stands at a place, and how many digits it has; 0 where there is none."""
    value: Any = 0
    wide = 0
    while wide < 6 and _NOUGHT <= block[place + wide] <= _NINE:
        value = value * 10 + np.int64(block[place + wide]) - _NOUGHT
        wide += 1
    if block[place] == _NOUGHT or value > _LAST_PORT:
        return 0, 0
    return value, wide


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _overwrite(block: _Bytes, start: int, wide: int) -> None:
    for place in range(start, start + wide):
        block[place] = _OTHER_PORT


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _overwrite_ports(block: _Bytes, first: int, second: int) -> tuple[int, int]:
    """Read the two ports of TCP and UDP, and overwrite them; -1 and -1 where they are not."""
    place = first + 29
    if second - first <= 51 or not _stands(block, place - 16, _PORT):
        return -1, -1
    source, wide = _port(block, place)
    if not source or not _stands(block, place + wide, _TO_PORT):
        return -1, -1
    other = place + wide + 20
    destination, other_wide = _port(block, other)
    behind = block[other + other_wide]
    if not destination or (behind != _COMMA and behind != _CLOSE):
        return -1, -1
    _overwrite(block, place, wide)
    _overwrite(block, other, other_wide)
    return source, destination


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _digits(block: _Bytes, stop: int) -> int:
    """Return how many digits stand before a place, at most as many as 64 bits have."""
    wide = 0
    while wide < _DIGITS and _NOUGHT <= block[stop - wide - 1] <= _NINE:
        wide += 1
    return wide


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _overwrite_cookies(block: _Bytes, tail: int, closing: int) -> None:
    """Overwrite the numbers of sockets; ``closing`` is where the flow ends."""
    if closing - tail <= 150 or not _stands(block, tail + 4, _IS_SOCKET):
        return
    if not (_stands(block, closing - 8, _OF_TCP) or _stands(block, closing - 8, _OF_UDP)):
        return
    group = _digits(block, closing - 17)
    place = closing - 17 - group
    if not group or not _stands(block, closing - 17, _SUMMARY) or not _stands(block, place - 15, _CGROUP):
        return
    cookie = _digits(block, place - 15)
    if cookie and _stands(block, place - 15 - cookie - 17, _COOKIE):
        _overwrite(block, place - 15 - cookie, cookie)
        _overwrite(block, place, group)


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _line(
    block: _Bytes,
    begin: int,
    length: int,
    head: int,
    kept: tuple[_Bytes, _Numbers, _Numbers, _Numbers],
    rows: _Numbers,
    row: int,
) -> tuple[int, bool]:
    """Return the ``}`` before the end of the line, and whether it is of the usual form: then its row is filled in."""
    text, entries, table, count = kept
    at_l4, kind, inside = _next_cut(block, begin, length)
    start = begin + head
    if kind != _L4 or start >= at_l4 or not _begins(block, begin, head):
        return _line_end(block, at_l4, kind, length), False
    at_source, kind, _ = _next_cut(block, at_l4 + 1, length)
    if kind != _SOURCE:
        return _line_end(block, at_source, kind, length), False
    _overwrite_hardware(block, start, inside)
    of_head = _number(block, start, at_l4 + 1, text, entries, table, count)
    source, destination = entries[4 * of_head + _ITS_SOURCE], entries[4 * of_head + _ITS_DESTINATION]
    at_destination = _again(block, at_source + 2, length, source, text, entries)
    if at_destination < 0 or not _stands(block, at_destination, _IS_DESTINATION):
        at_destination, kind, _ = _next_cut(block, at_source + 1, length)
        if kind != _DESTINATION:
            return _line_end(block, at_destination, kind, length), False
        source = _number(block, at_source + 2, at_destination + 1, text, entries, table, count)
        entries[4 * of_head + _ITS_SOURCE] = source
    at_tail = _again(block, at_destination + 2, length, destination, text, entries)
    if at_tail < 0 or _word_at(block, at_tail) != _IS_TAIL:
        at_tail, kind, _ = _next_cut(block, at_destination + 1, length)
        if kind != _TAIL:
            return _line_end(block, at_tail, kind, length), False
        destination = _number(block, at_destination + 2, at_tail + 1, text, entries, table, count)
        entries[4 * of_head + _ITS_DESTINATION] = destination
    end, kind, closing = _next_cut(block, at_tail + 1, length)
    if kind != _END or at_tail + 2 >= end - 40 or not _ends(block, begin, end):
        return _line_end(block, end, kind, length), False
    rows[ROW * row + 7], rows[ROW * row + 8] = _overwrite_ports(block, at_l4, at_source)
    _overwrite_cookies(block, at_tail + 2, closing)
    rows[ROW * row + 0], rows[ROW * row + 1], rows[ROW * row + 2] = begin, end, of_head
    rows[ROW * row + 3] = _number(block, at_l4 + 2, at_source + 1, text, entries, table, count)
    rows[ROW * row + 4], rows[ROW * row + 5] = source, destination
    rows[ROW * row + 6] = _number(block, at_tail + 2, end - 40, text, entries, table, count)
    return end, True


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _begins(block: _Bytes, begin: int, head: int) -> bool:
    """Tell whether a line begins in the usual way: with its time, and its uuid if there is place for it."""
    if not (_stands(block, begin, _BEGIN) and _plain(block, begin + 17, _TIME)):
        return False
    if head == _HEAD and not (_stands(block, begin + 47, _THEN_UUID) and _plain(block, begin + 57, _UUID)):
        return False
    return bool(block[begin + head - 2] == _QUOTE and block[begin + head - 1] == _COMMA)


@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _ends(block: _Bytes, begin: int, end: int) -> bool:
    """Tell whether a line ends with the very time that it begins with."""
    if not (_stands(block, end - 40, _OUTER_TIME) and block[end - 1] == _QUOTE):
        return False
    return _same(block, begin + 17, block, end - 31, _TIME)


def cut(
    block: _Bytes,
    length: int,
    head: int,
    text: _Bytes,
    entries: _Numbers,
    table: _Numbers,
    count: _Numbers,
    rows: _Numbers,
    times: _Bytes,
    uuids: _Bytes,
) -> int:
    """Fill in a row, the time and the uuid of each line of the usual form; return how many these are.

    ``head`` is where heads begin in their lines. Numbers of a line's own are overwritten in the block.
    """
    kept = text, entries, table, count
    usual = lines = begin = 0
    while begin < length:
        end, found = _line(block, begin, length, head, kept, rows, usual)
        if end >= length:
            break
        lines += 1
        if found:
            for step in range(_TIME):
                times[_TIME * usual + step] = block[begin + 17 + step]
            if head == _HEAD:
                for step in range(_UUID):
                    uuids[_UUID * usual + step] = block[begin + 57 + step]
            usual += 1
        begin = end + 2
    count[2] = lines
    return usual


def compiled() -> str:
    """Compile `cut`; return it in the language of LLVM. That takes some seconds."""
    bytes_, numbers, number = types.CPointer(types.uint8), types.CPointer(types.int64), types.int64
    signature = number(bytes_, number, number, bytes_, numbers, numbers, numbers, numbers, bytes_, bytes_)
    made = njit(signature, no_cpython_wrapper=True, no_cfunc_wrapper=True)(cut)
    return str(made.inspect_llvm(made.signatures[0]))
