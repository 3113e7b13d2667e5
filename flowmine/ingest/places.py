"""Read and overwrite short texts at many places of a block at once."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "Bytes",
    "Mask",
    "Places",
    "Words",
    "before",
    "column",
    "is_text",
    "last_of_words",
    "numbers",
    "odd",
    "overwrite",
    "put",
    "same",
    "stands",
    "texts",
    "word",
    "words",
]

Places: TypeAlias = npt.NDArray[np.int64]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Words: TypeAlias = npt.NDArray[np.uint64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_WORD = 8
_STEP = 1 << 20
"""Bytes looked at together: what is found out of them stays in a core's cache."""


def words(block: bytes | Bytes) -> Words:
    """Return the eight bytes from every place on as one number each, the first byte the lowest."""
    return np.ndarray((len(block) - _WORD + 1,), "<u8", block, 0, (1,))


def word(text: bytes) -> np.uint64:
    """Return a text of at most eight bytes as such a number."""
    return np.uint64(int.from_bytes(text, "little"))


def is_text(found: Words, places: Places, text: bytes) -> Mask:
    """Tell at which places of what `words` gave a text of at least eight bytes stands."""
    first, *rest = _steps(len(text))
    usual = found[places + first] == word(text[:_WORD])
    for step in rest:
        usual &= found[places + step] == word(text[step : step + _WORD])
    return np.asarray(usual)


def last_of_words(block: Bytes, length: int, char: bytes) -> tuple[Places, Words]:
    """Return where in every eight bytes a character stands last, in order, and the eight bytes from each place on.

    It is every place of the character after which none other follows within seven bytes, and some more. Of the block,
    ``length`` bytes are looked at; at least seven must be behind them. Eight bytes without the character, as nearly all
    are, are passed over at once, where `numpy.flatnonzero` looks at each.
    """
    found = words(block)
    equal = np.empty(_STEP, np.bool_)
    eights = equal.view("<i8")
    places, following = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    for start in range(0, length, _STEP):
        part = block[start : min(start + _STEP, length)]
        np.equal(part, ord(char), out=equal[: len(part)])
        equal[len(part) :] = False
        at = np.flatnonzero(eights != 0)
        highest = (eights[at].astype(np.float64).view(np.int64) >> 52) - 1023  # bit, by the exponent
        places.append(at * _WORD + start + (highest >> 3))
        following.append(found[places[-1]])
    return np.concatenate(places), np.concatenate(following)


def texts(block: bytes | Bytes, places: Places, width: int) -> Bytes:
    """Return the bytes from each place on, a row each."""
    return _every(block, width)[places].view(np.uint8).reshape(-1, width)


def column(rows: Bytes, at: int) -> Words:
    """Return the eight bytes of each row from a place in it on as one number each."""
    return rows[:, at : at + _WORD].view("<u8")[:, 0]


def stands(rows: Bytes, at: int, text: bytes) -> Mask:
    """Tell in which rows a text of at least eight bytes stands at a place."""
    first, *rest = _steps(len(text))
    usual = column(rows, at + first) == word(text[:_WORD])
    for step in rest:
        usual &= column(rows, at + step) == word(text[step : step + _WORD])
    return np.asarray(usual)


def same(rows: Bytes, others: Bytes) -> Mask:
    """Tell which rows of at least eight bytes are the same as those of another array of as many."""
    first, *rest = _steps(rows.shape[1])
    usual = column(rows, first) == column(others, first)
    for step in rest:
        usual &= column(rows, step) == column(others, step)
    return np.asarray(usual)


def odd(rows: Bytes) -> Mask:
    """Tell which rows are not ASCII that JSON writes as it is."""
    rows = np.ascontiguousarray(rows)
    found = (rows - np.uint8(0x20) > 0x7E - 0x20) | (rows == ord('"')) | (rows == ord("\\"))
    return np.asarray(found.any(axis=1)) if found.any() else np.zeros(len(rows), bool)


def numbers(found: Words) -> tuple[Places, Places]:
    """Return the number that each word begins with and how many digits it has, at most seven.

    Both are 0 where there is none, or one that begins with 0. Digits are added up in pairs, pairs in fours, and these in
    eights, all of a word at once.
    """
    values = found ^ _each(b"0")
    others = ((values + _each(b"\x76")) | values) & _each(b"\x80")  # the high bit of what is no digit
    first = others & (~others + word(b"\1"))
    width = (np.frexp(first.astype(np.float64))[1].astype(np.int64) - 1) // _WORD
    width[(first == 0) | (values & word(b"\xff") == 0)] = 0
    sums = values << (np.uint64(64) - width.astype(np.uint64) * np.uint64(_WORD))
    for bits in (8, 16, 32):
        upper = sums >> np.uint64(bits)
        sums = (sums * np.uint64(10 ** (bits // 8)) + upper) & _each(b"\xff" * (bits // 8) + bytes(bits // 8))
    return np.where(width > 0, sums, word(b"\0")).astype(np.int64), width


def before(block: Bytes, places: Places, most: int) -> Places:
    """Return how many digits, at most ``most``, stand right before each place."""
    rows = texts(block, places - most, most)[:, ::-1]
    others = (rows < ord("0")) | (rows > ord("9"))
    return np.where(others.any(axis=1), others.argmax(axis=1), most).astype(np.int64)


def overwrite(block: Bytes, places: Places, widths: Places) -> None:
    """Overwrite so many bytes right before each place with ones; a word more than the longest must be there."""
    found = words(block)
    for step in range(0, int(widths.max(initial=0)), _WORD):
        wide = np.minimum(np.maximum(widths - step, 0), _WORD).astype(np.uint64)
        kept = np.where(wide == _WORD, word(b"\0"), ~word(b"\0") >> (wide * np.uint64(_WORD)))
        at = places - step - _WORD
        found[at] = (found[at] & kept) | (_each(b"1") & ~kept)


def put(block: Bytes, places: Places, text: bytes) -> None:
    """Write a text at each place."""
    _every(block, len(text))[places] = np.void(text)


def _every(block: bytes | Bytes, width: int) -> npt.NDArray[np.void]:
    return np.ndarray((len(block) - width + 1,), f"V{width}", block, 0, (1,))


def _steps(width: int) -> list[int]:
    """Return where words stand that together are so many bytes."""
    return [*range(0, width - _WORD + 1, _WORD), *([width - _WORD] if width % _WORD else [])]


def _each(text: bytes) -> np.uint64:
    return word(text * (_WORD // len(text)))
