"""Parts add up to the same, however many rows they have and however they were cut."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from flowmine.edges import Parts, Sum, Sums, empty, in_hours, merge, observe, tables_of
from flowmine.edges.observe import ROW_KEY
from tests.bench.large import large_parts


def test_very_many_rows_add_up_to_the_same_in_pieces() -> None:
    """Each key comes once, with the sum of its counts, its earliest event's uuid, first and last time."""
    once = large_parts(60, 30_000)[0]
    assert once.rows.num_rows > 1 << 15
    later = once.rows
    for name in ("first", "last"):
        at = pa.array(later[name].cast(pa.int64()).to_numpy() + 7).cast(later.schema.field(name).type)
        later = later.set_column(later.schema.get_field_index(name), name, at)
    uuids = pa.array([f"later-{number}" for number in range(later.num_rows)])
    later = later.set_column(later.schema.get_field_index("uuid"), "uuid", uuids)
    order = np.random.default_rng(3).permutation(later.num_rows)
    cuts = [replace(empty(), rows=later.take(order[start::3])) for start in range(3)]

    made = merge([cuts[0], once, *cuts[1:]])

    key = [(name, "ascending") for name in ROW_KEY]
    expected, got = once.rows.sort_by(key), made.rows.sort_by(key)
    assert expected.num_rows == got.num_rows
    for name in (*ROW_KEY, "first", "uuid"):
        assert expected[name].equals(got[name]), name
    assert later.sort_by(key)["last"].equals(got["last"])
    assert (2 * expected["events"].to_numpy() == got["events"].to_numpy()).all()
    assert _as_rows(once, "names") == _as_rows(made, "names")
    assert _as_rows(once, "drops") == _as_rows(made, "drops")


@pytest.mark.parametrize("seed", range(8))
def test_rows_of_whatever_hours_add_up_to_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order of time or not, with the same hours in several Parts, none, or many at once, with uuids and without: as
    if added up at once.
    """
    monkeypatch.setattr(observe, "_PIECE_ROWS", 64)
    rng = np.random.default_rng(seed)
    rows = large_parts(20, 300)[0].rows
    cuts = []
    for step in range(30):
        part = rows.take(rng.choice(rows.num_rows, rng.integers(0, 90), replace=False))
        hours = step * rng.integers(0, 2) + rng.integers(-1, rng.choice([1, 2, 40]), part.num_rows)
        uuids = [None if none else f"{rng.integers(100)}" for none in rng.random(part.num_rows) < 0.3]
        for name, column in (
            ("hour", pa.array(hours, pa.int32())),
            ("first", pa.array(rng.integers(0, 9, part.num_rows)).cast(part.schema.field("first").type)),
            ("uuid", pa.array(uuids, pa.string())),
        ):
            where = part.schema.get_field_index(name)
            part = part.set_column(where, part.schema.field(where), column)
        cuts.append(part)
    whole = replace(empty(), rows=pa.concat_tables(cuts))
    expected = in_hours(whole, whole.rows["hour"]).rows
    total = Sum(Sums())
    for cut in cuts:
        total.add(replace(empty(), rows=cut))
    key = [(name, "ascending") for name in ROW_KEY]
    for made in (merge([replace(empty(), rows=cut) for cut in cuts]), total.parts()):
        assert expected.sort_by(key).equals(made.rows.sort_by(key))


def test_hours_long_ago_are_not_added_up_again() -> None:
    """Of what comes in order of time only the latest hour is grouped once more, and the others stay where they are."""
    rows = large_parts(60, 30_000)[0].rows
    number = rows.schema.get_field_index("hour")

    def of(*hours: int) -> Parts:
        told = pa.array(np.resize(hours, rows.num_rows).astype(np.int32))
        return replace(empty(), rows=rows.set_column(number, rows.schema.field(number), told))

    once = merge([of(1, 2, 3), of(3, 4, 5)])
    twice = merge([once, of(5, 6, 7)])
    assert [{1, 2, 3, 4}, {5}] == _hours(once)
    assert [{1, 2, 3, 4}, {5, 6}, {7}] == _hours(twice)
    assert _address(once) == _address(twice)


def _hours(parts: Parts) -> list[set[int]]:
    return [set(batch["hour"].to_pylist()) for batch in parts.rows.to_batches()]


def _address(parts: Parts) -> int:
    return int(parts.rows.to_batches()[0]["first"].buffers()[1].address)


def test_what_is_added_alone_is_the_sum() -> None:
    """Parts that were kept, as all there is to read, are not grouped once more; nothing at all adds up to nothing."""
    once, total = large_parts(20, 300)[0], Sum(Sums())
    assert 0 == total.parts().rows.num_rows
    total.add(once)
    assert once.rows is total.parts().rows


def _as_rows(parts: Parts, name: str) -> list[str]:
    return sorted(map(str, tables_of(parts)[name].drop_columns(["first", "last"]).to_pylist()))
