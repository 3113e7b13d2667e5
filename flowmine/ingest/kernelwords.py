"""Bytes looked at eight at a time, as one number: what `kernel` is made of."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = [
    "Bytes",
    "Text",
    "Word",
    "copy",
    "fetch",
    "hash_of",
    "inner",
    "is_plain",
    "is_same",
    "stands",
    "text_of",
    "word_at",
    "word_of",
]

Bytes: TypeAlias = npt.NDArray[np.uint8]
Word: TypeAlias = np.uint64
Text: TypeAlias = tuple[tuple[int, Word], ...]
"""A text of eight bytes or more: words that stand in it, and where."""


def word_of(text: bytes) -> Word:
    """Return up to eight bytes as a number, the first the lowest."""
    return np.uint64(int.from_bytes(text, "little"))


def text_of(text: bytes) -> Text:
    """Return the words of a text; the last two overlap where it does not go up in words."""
    places = [*range(0, len(text) - 7, 8), *([len(text) - 8] if len(text) % 8 else [])]
    return tuple((place, word_of(text[place : place + 8])) for place in places)


inner = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""What makes a function that only compiled code calls."""

ZERO, ONES, HIGH = word_of(b""), word_of(b"\1" * 8), word_of(b"\x80" * 8)
_QUOTES, _BACKSLASHES, _SPACES = (word_of(char * 8) for char in (b'"', b"\\", b" "))
_MIX = tuple(
    np.uint64(factor)
    for factor in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)
)
_HALF = np.uint64(32)


@intrinsic
def word_at(_: Any, block: Any, place: Any) -> Any:
    """Return the eight bytes from a place on, the first the lowest."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        start = builder.bitcast(builder.gep(values[0], [values[1]]), ir.IntType(64).as_pointer())
        return builder.load(start, align=1)

    return types.uint64(block, types.int64), build


@intrinsic
def _put_word(_: Any, block: Any, place: Any, word: Any) -> Any:
    """Write eight bytes from a place on."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        start = builder.bitcast(builder.gep(values[0], [values[1]]), ir.IntType(64).as_pointer())
        builder.store(values[2], start, align=1)
        return context.get_dummy_value()

    return types.none(block, types.int64, types.uint64), build


@intrinsic
def fetch(_: Any, block: Any, place: Any) -> Any:
    """Have the memory at a place brought near; it may lie behind the block."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [values[0].type, number, number, number])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [values[0].type], kind)
        to_read, to_keep, of_data = number(0), number(3), number(1)
        builder.call(prefetch, [builder.gep(values[0], [values[1]]), to_read, to_keep, of_data])
        return context.get_dummy_value()

    return types.none(block, types.int64), build


@inner
def copy(block: Bytes, start: int, stop: int, scratch: Bytes) -> None:
    """Copy some bytes, and up to seven behind them."""
    for step in range(0, stop - start, 8):
        _put_word(scratch, step, word_at(block, start + step))


@inner
def stands(block: Bytes, place: int, text: Text) -> bool:
    """Tell whether a text stands at a place."""
    different = ZERO
    for step, word in text:
        different |= word_at(block, place + step) ^ word
    return different == ZERO


@inner
def is_same(block: Bytes, place: int, other: Bytes, start: int, count: int) -> bool:
    """Tell whether as many bytes are the same."""
    step = 0
    if count < 8:
        while step < count and block[place + step] == other[start + step]:
            step += 1
        return step == count
    while step + 32 <= count:
        different = word_at(block, place + step) ^ word_at(other, start + step)
        for further in (8, 16, 24):
            different |= word_at(block, place + step + further) ^ word_at(other, start + step + further)
        if different != ZERO:
            return False
        step += 32
    while step + 8 <= count:
        if word_at(block, place + step) != word_at(other, start + step):
            return False
        step += 8
    return step == count or word_at(block, place + count - 8) == word_at(other, start + count - 8)


@inner
def _odd(word: Word) -> Word:
    """Return the high bit of bytes that are not ASCII which JSON writes as it is: 0 where all are."""
    quotes, backslashes = word ^ _QUOTES, word ^ _BACKSLASHES
    found = ((quotes - ONES) & ~quotes) | ((backslashes - ONES) & ~backslashes) | (word - _SPACES)
    return (found | (word + ONES) | word) & HIGH


@inner
def is_plain(block: Bytes, start: int, count: int) -> bool:
    """Tell whether as many bytes, eight at least, are all ASCII that JSON writes as it is."""
    found = _odd(word_at(block, start + count - 8))
    for place in range(start, start + count - 7, 8):
        found |= _odd(word_at(block, place))
    return found == ZERO


@inner
def hash_of(block: Bytes, start: int, stop: int) -> Word:
    one, two, three, four = np.uint64(stop - start), _MIX[1], _MIX[2], _MIX[3]
    while start + 32 <= stop:
        one = (one ^ word_at(block, start)) * _MIX[0]
        two = (two ^ word_at(block, start + 8)) * _MIX[1]
        three = (three ^ word_at(block, start + 16)) * _MIX[2]
        four = (four ^ word_at(block, start + 24)) * _MIX[3]
        one, two, three, four = (
            one ^ one >> _HALF,
            two ^ two >> _HALF,
            three ^ three >> _HALF,
            four ^ four >> _HALF,
        )
        start += 32
    while start + 8 <= stop:
        one = (one ^ word_at(block, start)) * _MIX[0]
        one ^= one >> _HALF
        start += 8
    if start < stop:
        rest = word_at(block, start) << np.uint64(8 * (8 - (stop - start)))
        two = (two ^ rest) * _MIX[1]
        two ^= two >> _HALF
    mixed = (one ^ two * _MIX[2]) * _MIX[0] ^ (three ^ four * _MIX[3]) * _MIX[1]
    return mixed ^ mixed >> _HALF
