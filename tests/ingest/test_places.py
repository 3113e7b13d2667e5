"""Short texts at many places of a block: the same as one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flowmine.ingest import places

_BYTES = st.binary(min_size=8, max_size=8)
_NUMBERS = st.integers(0, 10**9).map(lambda number: f"{number},xxxxxxx".encode()[:8])


@given(st.lists(_NUMBERS | _BYTES, min_size=1, max_size=20))
def test_numbers_are_those_that_the_words_begin_with(words: list[bytes]) -> None:
    """As many digits as there are, no leading zero, and at most seven."""
    found = np.array([int.from_bytes(word, "little") for word in words], np.uint64)
    values, widths = places.numbers(found)
    for word, value, width in zip(words, values.tolist(), widths.tolist(), strict=True):
        digits = next((place for place, byte in enumerate(word) if byte not in b"0123456789"), 8)
        usual = 0 < digits < 8 and word[:1] != b"0"
        assert (value, width) == ((int(word[:digits]), digits) if usual else (0, 0))


_ROWS = st.lists(
    st.binary(min_size=11, max_size=11) | st.sampled_from([b"abcdefghijk", b"abcdefghij\0", b"\0" * 11]),
    min_size=1,
)


@given(_ROWS, _ROWS)
def test_rows_are_equal_or_odd_as_their_bytes_are(texts: list[bytes], others: list[bytes]) -> None:
    count = min(len(texts), len(others))
    rows, compared = (
        places.texts(b"".join(each), np.arange(0, 11 * count, 11), 11) for each in (texts, others)
    )
    pairs = list(zip(texts, others, strict=False))
    assert [one == other for one, other in pairs] == places.same(rows, compared).tolist()
    for text, odd in zip(texts, places.odd(rows).tolist(), strict=False):
        assert odd == any(byte < 0x20 or byte > 0x7E or byte in b'"\\' for byte in text)


@given(st.lists(st.integers(0, 10**20 - 1), min_size=1, max_size=9))
def test_digits_are_counted_and_overwritten_before_a_place(numbers: list[int]) -> None:
    """Numbers of any length become as many ones, and nothing around them changes."""
    texts = [f'{"x" * 24}"{number}"' for number in numbers]
    block = np.frombuffer("".join(texts).encode(), np.uint8).copy()
    ends = np.cumsum([len(text) for text in texts]) - 1
    widths = places.before(block, ends, 20)
    assert [len(str(number)) for number in numbers] == widths.tolist()
    places.overwrite(block, ends, widths)
    ones = [f'{"x" * 24}"{"1" * len(str(number))}"' for number in numbers]
    assert "".join(ones).encode() == block.tobytes()


def test_texts_are_found_and_put() -> None:
    """A text is found where it stands whole, and written without touching its neighbours."""
    block = np.frombuffer(b"..abcdefghij..abcdefghiX..", np.uint8).copy()
    at = np.array([2, 14])
    assert [True, False] == places.is_text(places.words(block), at, b"abcdefghij").tolist()
    places.put(block, at, b"0000000000")
    assert b"..0000000000..0000000000.." == block.tobytes()
    assert [b"0000000000"] * 2 == [row.tobytes() for row in places.texts(block, at, 10)]


@given(_ROWS, st.integers(0, 3))
def test_texts_stand_where_they_stand_in_a_row(texts: list[bytes], at: int) -> None:
    rows = places.texts(b"".join(texts), np.arange(0, 11 * len(texts), 11), 11)
    found = places.stands(rows, at, b"abcdefghijk"[at:])
    assert [text[at:] == b"abcdefghijk"[at:] for text in texts] == found.tolist()


@given(st.lists(st.sampled_from([b"}", b"}}", b"}}}}}}}}}", b"x", b"abcdefg", b"\n"]), max_size=300))
def test_the_last_of_words_are_found_in_order_and_nothing_else(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    block = text + b"}" * 8
    found, following = places.last_of_words(np.frombuffer(block, np.uint8), len(text), b"}")
    assert following.tolist() == [int.from_bytes(block[at : at + 8], "little") for at in found.tolist()]
    last = [text[:end].rfind(b"}", start) for start, end in ((at, at + 8) for at in range(0, len(text), 8))]
    assert found.tolist() == [at for at in last if at >= 0]


def test_the_last_of_words_are_found_beyond_one_step() -> None:
    text = (b"x" * 1000 + b"}}") * 3000
    found, _ = places.last_of_words(np.frombuffer(text + b" " * 7, np.uint8), len(text), b"}")
    assert set(range(1001, len(text), 1002)) <= set(found.tolist())
    assert len(found) <= 6000
