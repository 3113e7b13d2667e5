"""Equal uuids count once, within a window that is exact for a million events."""

import uuid as uuids
from collections import OrderedDict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmine.ingest.dedup import FirstSeen, SeenIds, keys_of
from flowmine.ingest.machinecode import made
from tests.ingest.making import lines, opened, read, record, rows

BY = pytest.mark.parametrize("by", [None, made().first_seen], ids=["numpy", "compiled"])


def test_an_event_written_by_two_exporters_counts_once_and_is_counted() -> None:
    """The second event of a uuid is left out and told by node; without dedup it stays."""
    data = lines(record(0), record(1), record(0), record(0), record(2))
    source = opened(data)
    assert [0, 1, 2] == [int(text[:8], 16) for text in read(source)["uuid"].to_pylist()]
    assert (3, {"uuid": 2}) == (source.ledger.flows, source.ledger.sources("duplicate"))
    assert ["default/node-1"] == source.ledger.table()["node"].to_pylist()
    assert 5 == len(rows(data, dedup=False))


def test_events_without_uuid_are_never_duplicates() -> None:
    """Old captures have none; every event counts."""
    assert 3 == len(rows(lines(*(record(0, uuid=None) for _ in range(3)))))
    assert 3 == len(rows(lines(*(record(0, uuid="") for _ in range(3)))))


def test_dedup_does_not_need_the_uuid_column() -> None:
    """A projection without uuid is deduplicated all the same."""
    assert [{"verdict": "FORWARDED"}] == rows(lines(record(0), record(0)), columns=["verdict"])


@given(
    st.lists(
        st.sampled_from(["", "a", "b", "é" * 18, "x" * 36, "y" * 36, str(uuids.UUID(int=7))]) | st.none()
    )
)
def test_keys_are_equal_just_where_texts_are(texts: list[str | None]) -> None:
    """Texts of any length and coding have a key each, absent ones none; a slice does not change them."""
    keys = keys_of(pa.array(texts, pa.string())).tolist()
    by_text = dict(zip(texts, keys, strict=True))
    assert keys == [by_text[text] for text in texts]
    present = {text for text in texts if text}
    assert len(present) == len({by_text[text] for text in present})
    assert all(by_text[text] == 0 for text in by_text if not text)
    assert keys[1:] == keys_of(pa.array(texts, pa.string())[1:]).tolist()


@BY
@given(batches=st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=12))
def test_first_seen_agrees_with_a_set(by: FirstSeen | None, batches: list[list[int]]) -> None:
    """While the window is not exceeded the answer is a plain set's, for any split into batches."""
    seen, plain = SeenIds(64, by), set()
    for batch in batches:
        expected = []
        for key in batch:
            expected.append(key == 0 or key not in plain)
            plain.add(key)
        assert expected == seen.first_seen(np.array(batch, np.uint64)).tolist()


@BY
def test_the_window_is_exact_over_its_length_and_forgets_what_is_older(by: FirstSeen | None) -> None:
    """An id seen less than a window ago is known; one that is a thirtieth older is not; memory stays bounded."""
    window = 1 << 12
    seen = SeenIds(window, by)
    keys = np.random.default_rng(1).integers(1, 2**63, 10 * window).astype(np.uint64)
    recent: OrderedDict[int, None] = OrderedDict()
    wrong = 0
    for start in range(0, len(keys), 500):
        part = np.concatenate((keys[start : start + 500], keys[max(0, start - window + 1000) : start][:200]))
        for key, new in zip(part.tolist(), seen.first_seen(part).tolist(), strict=True):
            wrong += new == (key in recent)
            recent[key] = None
    assert 0 == wrong
    older = len(keys) - window - window // 30
    assert seen.first_seen(keys[older - 10 : older]).all()
    assert seen.first_seen(keys[:10]).all()


@BY
def test_what_repeats_takes_no_room_in_the_window(by: FirstSeen | None) -> None:
    """A window of distinct ids is remembered however often each is met, also within a moment, and those without any."""
    window = 1 << 12
    seen = SeenIds(window, by)
    keys = np.random.default_rng(3).integers(1, 2**63, 4 * window).astype(np.uint64)
    for start in range(0, len(keys), 16):
        part = np.repeat(keys[start : start + 16], 9)
        assert 16 == seen.first_seen(np.concatenate((part, np.zeros(500, np.uint64)))).sum() - 500
    assert not seen.first_seen(keys[-window:]).any()


@BY
def test_the_real_window_holds_a_million(by: FirstSeen | None) -> None:
    """The default window is exact for at least 1,000,000 events."""
    seen = SeenIds(first_seen=by)
    keys = np.random.default_rng(2).integers(1, 2**63, 2_200_000).astype(np.uint64)
    for start in range(0, len(keys), 100_000):
        assert seen.first_seen(keys[start : start + 100_000]).all()
    assert not seen.first_seen(keys[-1_000_000:]).any()


@given(st.lists(st.lists(st.integers(0, 2000), max_size=300), max_size=12), st.integers(0, 7))
def test_compiled_code_forgets_what_numpy_forgets(batches: list[list[int]], size: int) -> None:
    """The same answers, also of what was seen long ago."""
    both = SeenIds(1 << size), SeenIds(1 << size, made().first_seen)
    for batch in batches:
        plain, compiled = (seen.first_seen(np.array(batch, np.uint64)).tolist() for seen in both)
        assert plain == compiled


def test_a_window_must_be_a_power_of_two() -> None:
    """The tables are addressed by mask."""
    with pytest.raises(ValueError, match="power of two"):
        SeenIds(window=1000)
