"""What `stretches.cut` and `dedup.SeenIds` do, one by one, in code that numba compiles for the machine.

A block is an array of bytes, of which 64 at least can be read behind its lines; it is not written to.

Arrays are addresses here, of which nothing is known but the type, and rows stand one after the other: so the code
needs nothing of numba when it runs (`machinecode`).

Stretches are kept: ``text`` has them one after the other, and each has four numbers in ``entries``: where it begins
(and the next one, where it ends), a hash of it, and, if it is a head, the source and the destination that came with it
last. These nearly always come with it again: so they need neither be searched for where they end nor be hashed, but
only compared. ``table`` finds a stretch by its hash: numbers, plus one; 0 is free. Of it a power of two is used, more the more
stretches there are. ``count`` has three numbers: how many stretches there are, the last place in ``table`` that is used,
and how many lines the last block had.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit, types

from flowmine.ingest.kernelwords import (
    HIGH,
    ONES,
    ZERO,
    Bytes,
    copy,
    fetch,
    hash_of,
    inner,
    is_plain,
    is_same,
    stands,
    text_of,
    word_at,
    word_of,
)

__all__ = ["compiled"]

_HEAD, _TIME, _UUID = 95, 30, 36
"""As in `stretches`, whose own numbers, were they changed, would not make numba compile this anew."""
_AHEAD, _FETCHED = 2048, 1600
"""How far behind a line's begin bytes are asked for, which then are near when it is their turn, and how many: a line's."""
_ROW = 9
"""What is found of a line: where it begins, and its last ``}``; the numbers of its five stretches; its two ports."""

_Numbers: TypeAlias = npt.NDArray[np.int64]
_Keys: TypeAlias = npt.NDArray[np.uint64]
_Places: TypeAlias = npt.NDArray[np.uint32]
_Kept: TypeAlias = tuple[Bytes, _Numbers, _Numbers, _Numbers]
_BRACES = word_of(b"}" * 8)
_L4, _SOURCE, _DESTINATION, _TAIL, _END, _NONE = range(6)
_IS_L4, _IS_TAIL = word_of(b'},"l4":{'), word_of(b'},"Type"')
_IS_SOURCE, _IS_DESTINATION = text_of(b'},"source":{'), text_of(b'},"destination":')
_BEGIN, _THEN_UUID, _OUTER_TIME = text_of(b'{"flow":{"time":"'), text_of(b'","uuid":"'), text_of(b',"time":"')
_ETHERNET, _ETHERNET_TO = text_of(b',"ethernet":{"source":"'), text_of(b'","destination":"')
_PORT, _TO_PORT = text_of(b':{"source_port":'), text_of(b',"destination_port":')
_IS_SOCKET, _SUMMARY, _OF_TCP, _OF_UDP = (
    text_of(text) for text in (b'e":"SOCK', b'","Summar', b'y":"TCP"', b'y":"UDP"')
)
_COOKIE, _CGROUP = text_of(b'"socket_cookie":"'), text_of(b'","cgroup_id":"')
_QUOTE, _COMMA, _CLOSE, _LINE_END, _NOUGHT, _NINE = b'",}\n09'
_OTHER_PORT, _LAST_PORT, _DIGITS, _UNKNOWN = 0x31, 0xFFFF, 20, -1
_START, _HASH, _ITS_SOURCE, _ITS_DESTINATION = range(4)


@inner
def _next_cut(block: Bytes, place: int, length: int) -> tuple[int, int, int]:
    """Return where the next ``}`` is after which a line is cut or ends, its kind, and the last other one before it."""
    last = -1
    while place < length:
        found = word_at(block, place) ^ _BRACES
        if (found - ONES) & ~found & HIGH == ZERO:
            place += 8
            continue
        while block[place] != _CLOSE:
            place += 1
        word = word_at(block, place)
        if word == _IS_L4:
            return place, _L4, last
        if word == _IS_SOURCE[0][1] and stands(block, place, _IS_SOURCE):
            return place, _SOURCE, last
        if word == _IS_DESTINATION[0][1] and stands(block, place, _IS_DESTINATION):
            return place, _DESTINATION, last
        if word == _IS_TAIL:
            return place, _TAIL, last
        if block[place + 1] == _LINE_END:
            return place, _END, last
        last = place
        place += 1
    return length, _NONE, last


@inner
def _line_end(block: Bytes, place: int, kind: int, length: int) -> int:
    """Return the ``}`` before the end of a line in which a cut is at a place; the end of the block if there is none."""
    while kind < _END:
        place, kind, _ = _next_cut(block, place + 1, length)
    return place


@inner
def _number(block: Bytes, start: int, stop: int, kept: _Kept) -> int:
    """Return the number of a stretch, which is kept if it is a new one."""
    text, entries, table, count = kept
    hashed, wide = np.int64(hash_of(block, start, stop)), stop - start
    slot = hashed & count[1]
    while table[slot]:
        number = table[slot] - 1
        begins = entries[4 * number + _START]
        is_wide = entries[4 * number + 4 + _START] - begins == wide
        if is_wide and entries[4 * number + _HASH] == hashed and is_same(block, start, text, begins, wide):
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
    if 2 * number > count[1]:
        _spread(entries, table, count)
    return number


@inner
def _spread(entries: _Numbers, table: _Numbers, count: _Numbers) -> None:
    """Use twice as much of the table: it is half full."""
    count[1] = last = 2 * count[1] + 1
    for slot in range(last + 1):
        table[slot] = 0
    for number in range(count[0]):
        slot = entries[4 * number + _HASH] & last
        while table[slot]:
            slot = (slot + 1) & last
        table[slot] = number + 1


@inner
def _again(block: Bytes, start: int, length: int, number: int, text: Bytes, entries: _Numbers) -> int:
    """Return the last byte of a stretch that is the one of a number; -1 where it is not."""
    if number == _UNKNOWN:
        return -1
    begins = entries[4 * number + _START]
    wide = entries[4 * number + 4 + _START] - begins
    if start + wide > length or not is_same(block, start, text, begins, wide):
        return -1
    return start + wide - 1


@inner
def _without_hardware(block: Bytes, head: int, stop: int, end: int, scratch: Bytes) -> bool:
    """Copy a head that has hardware addresses, and overwrite these; ``end`` is where their object ends, if there is one."""
    source, destination = end - 52, end - 18
    if end - head <= 75 or block[end - 1] != _QUOTE:
        return False
    if not (stands(block, source - 23, _ETHERNET) and stands(block, destination - 17, _ETHERNET_TO)):
        return False
    if not (is_plain(block, source, 17) and is_plain(block, destination, 17)):
        return False
    copy(block, head, stop, scratch)
    for step in range(17):
        scratch[source - head + step] = scratch[destination - head + step] = _NOUGHT
    return True


@inner
def _port(block: Bytes, place: int) -> tuple[int, int]:
    """Return the port that stands at a place, and how many digits it has; 0 where there is none."""
    value: Any = 0
    wide = 0
    while wide < 6 and _NOUGHT <= block[place + wide] <= _NINE:
        value = value * 10 + np.int64(block[place + wide]) - _NOUGHT
        wide += 1
    if block[place] == _NOUGHT or value > _LAST_PORT:
        return 0, 0
    return value, wide


@inner
def _overwrite(scratch: Bytes, start: int, wide: int) -> None:
    for place in range(start, start + wide):
        scratch[place] = _OTHER_PORT


@inner
def _without_ports(block: Bytes, l4: int, stop: int, scratch: Bytes) -> tuple[int, int]:
    """Read the two ports of TCP and UDP, copy what they stand in, and overwrite them; -1 and -1 where they are not."""
    place = l4 + 27
    if stop - l4 <= 50 or not stands(block, place - 16, _PORT):
        return -1, -1
    source, wide = _port(block, place)
    if not source or not stands(block, place + wide, _TO_PORT):
        return -1, -1
    other = place + wide + 20
    destination, other_wide = _port(block, other)
    behind = block[other + other_wide]
    if not destination or (behind != _COMMA and behind != _CLOSE):
        return -1, -1
    copy(block, l4, stop, scratch)
    _overwrite(scratch, place - l4, wide)
    _overwrite(scratch, other - l4, other_wide)
    return source, destination


@inner
def _digits(block: Bytes, stop: int) -> int:
    """Return how many digits stand before a place, at most as many as 64 bits have."""
    wide = 0
    while wide < _DIGITS and _NOUGHT <= block[stop - wide - 1] <= _NINE:
        wide += 1
    return wide


@inner
def _without_cookies(block: Bytes, tail: int, stop: int, closing: int, scratch: Bytes) -> bool:
    """Copy a tail that has numbers of sockets, and overwrite these; ``closing`` is where the flow ends."""
    if closing - tail <= 150 or not stands(block, tail + 4, _IS_SOCKET):
        return False
    if not (stands(block, closing - 8, _OF_TCP) or stands(block, closing - 8, _OF_UDP)):
        return False
    group = _digits(block, closing - 17)
    place = closing - 17 - group
    if not group or not stands(block, closing - 17, _SUMMARY) or not stands(block, place - 15, _CGROUP):
        return False
    cookie = _digits(block, place - 15)
    if not cookie or not stands(block, place - 15 - cookie - 17, _COOKIE):
        return False
    copy(block, tail, stop, scratch)
    _overwrite(scratch, place - 15 - cookie - tail, cookie)
    _overwrite(scratch, place - tail, group)
    return True


@inner
def _line(
    block: Bytes,
    begin: int,
    length: int,
    head: int,
    kept: _Kept,
    rows: _Numbers,
    row: int,
    scratch: Bytes,
) -> tuple[int, bool]:
    """Return the ``}`` before the end of the line, and whether it is of the usual form: then its row is filled in."""
    text, entries, _, _ = kept
    at_l4, kind, inside = _next_cut(block, begin, length)
    start = begin + head
    if kind != _L4 or start >= at_l4 or not _begins(block, begin, head):
        return _line_end(block, at_l4, kind, length), False
    at_source, kind, _ = _next_cut(block, at_l4 + 1, length)
    if kind != _SOURCE:
        return _line_end(block, at_source, kind, length), False
    if _without_hardware(block, start, at_l4 + 1, inside, scratch):
        of_head = _number(scratch, 0, at_l4 + 1 - start, kept)
    else:
        of_head = _number(block, start, at_l4 + 1, kept)
    source, destination = entries[4 * of_head + _ITS_SOURCE], entries[4 * of_head + _ITS_DESTINATION]
    at_destination = _again(block, at_source + 2, length, source, text, entries)
    if at_destination < 0 or not stands(block, at_destination, _IS_DESTINATION):
        at_destination, kind, _ = _next_cut(block, at_source + 1, length)
        if kind != _DESTINATION:
            return _line_end(block, at_destination, kind, length), False
        source = _number(block, at_source + 2, at_destination + 1, kept)
        entries[4 * of_head + _ITS_SOURCE] = source
    at_tail = _again(block, at_destination + 2, length, destination, text, entries)
    if at_tail < 0 or word_at(block, at_tail) != _IS_TAIL:
        at_tail, kind, _ = _next_cut(block, at_destination + 1, length)
        if kind != _TAIL:
            return _line_end(block, at_tail, kind, length), False
        destination = _number(block, at_destination + 2, at_tail + 1, kept)
        entries[4 * of_head + _ITS_DESTINATION] = destination
    end, kind, closing = _next_cut(block, at_tail + 1, length)
    if kind != _END or at_tail + 2 >= end - 40 or not _ends(block, begin, end):
        return _line_end(block, end, kind, length), False
    rows[_ROW * row], rows[_ROW * row + 1], rows[_ROW * row + 2] = begin, end, of_head
    rows[_ROW * row + 4], rows[_ROW * row + 5] = source, destination
    first, second = _without_ports(block, at_l4 + 2, at_source + 1, scratch)
    rows[_ROW * row + 7], rows[_ROW * row + 8] = first, second
    if first < 0:
        rows[_ROW * row + 3] = _number(block, at_l4 + 2, at_source + 1, kept)
    else:
        rows[_ROW * row + 3] = _number(scratch, 0, at_source - at_l4 - 1, kept)
    if _without_cookies(block, at_tail + 2, end - 40, closing, scratch):
        rows[_ROW * row + 6] = _number(scratch, 0, end - at_tail - 42, kept)
    else:
        rows[_ROW * row + 6] = _number(block, at_tail + 2, end - 40, kept)
    return end, True


@inner
def _begins(block: Bytes, begin: int, head: int) -> bool:
    """Tell whether a line begins in the usual way: with its time, and its uuid if there is place for it."""
    if not (stands(block, begin, _BEGIN) and is_plain(block, begin + 17, _TIME)):
        return False
    if head == _HEAD and not (stands(block, begin + 47, _THEN_UUID) and is_plain(block, begin + 57, _UUID)):
        return False
    return bool(block[begin + head - 2] == _QUOTE and block[begin + head - 1] == _COMMA)


@inner
def _ends(block: Bytes, begin: int, end: int) -> bool:
    """Tell whether a line ends with the very time that it begins with."""
    if not (stands(block, end - 40, _OUTER_TIME) and block[end - 1] == _QUOTE):
        return False
    return is_same(block, begin + 17, block, end - 31, _TIME)


def cut(
    block: Bytes,
    length: int,
    head: int,
    text: Bytes,
    entries: _Numbers,
    table: _Numbers,
    count: _Numbers,
    rows: _Numbers,
    times: Bytes,
    uuids: Bytes,
    scratch: Bytes,
) -> int:
    """Fill in a row, the time and the uuid of each line of the usual form; return how many these are.

    ``head`` is where heads begin in their lines. ``scratch`` is as long as the block at least: for stretches that have
    numbers of their line's own, which are overwritten there.
    """
    kept = text, entries, table, count
    usual = lines = begin = 0
    while begin < length:
        for step in range(_AHEAD, _AHEAD + _FETCHED, 64):
            fetch(block, begin + step)
        end, found = _line(block, begin, length, head, kept, rows, usual, scratch)
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


def first_seen(ring: _Keys, places: _Places, keys: _Keys, new: Bytes, at: int, size: int, count: int) -> int:
    """Tell of each key whether it is not in the ring, and write it there, the first ``at`` a place; return of how many.

    As `dedup.SeenIds` without compiled code: ``places`` has a power of two of places in the ring, some of them 0, for
    none; and a key of 0 is always new.
    """
    held = 0
    for one in range(count):
        key = keys[one]
        new[one] = 1
        if key != ZERO:
            slot = np.int64(key & np.uint64(size - 1))
            while places[slot] and ring[places[slot]] != key:
                slot = (slot + 1) & (size - 1)
            if places[slot]:
                new[one] = 0
            else:
                ring[at + held] = key
                places[slot] = at + held
                held += 1
    return held


def compiled() -> dict[str, str]:
    """Compile `cut` and `first_seen`; return each in the language of LLVM. That takes some seconds."""
    bytes_, numbers, keys, places = map(
        types.CPointer, (types.uint8, types.int64, types.uint64, types.uint32)
    )
    number = types.int64
    of_cut = bytes_, number, number, bytes_, *[numbers] * 4, *[bytes_] * 3
    of_seen = keys, places, keys, bytes_, *[number] * 3
    found = {}
    for function, arguments in ((cut, of_cut), (first_seen, of_seen)):
        made = njit(number(*arguments), no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
        found[function.__name__] = str(made.inspect_llvm(made.signatures[0]))
    return found
