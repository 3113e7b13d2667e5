"""Parts add up to the same, however many rows they have and however they were cut."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from flowmine.edges import Parts, Sum, Sums, empty, merge, tables_of
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


def test_what_is_added_alone_is_the_sum() -> None:
    """Parts that were kept, as all there is to read, are not grouped once more; nothing at all adds up to nothing."""
    once, total = large_parts(20, 300)[0], Sum(Sums())
    assert 0 == total.parts().rows.num_rows
    total.add(once)
    assert once.rows is total.parts().rows


def _as_rows(parts: Parts, name: str) -> list[str]:
    return sorted(map(str, tables_of(parts)[name].drop_columns(["first", "last"]).to_pylist()))
