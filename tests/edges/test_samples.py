"""Of each edge the earliest event of each of its earliest hours is kept as evidence."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from flowmine.edges.tables import SAMPLES_KEPT, samples
from flowmine.schema import HOUR, SAMPLES, TIME

_EVENT = st.tuples(
    st.integers(0, 2), st.none() | st.integers(-2 * HOUR, 6 * HOUR), st.sampled_from(["a", "b", "c"])
)


def _first(event: tuple[int, int | None, str]) -> tuple[bool, int, str]:
    """Return what puts events in order: those without a time are last."""
    return event[1] is None, event[1] or 0, event[2]


@given(st.lists(_EVENT, max_size=40))
def test_samples_are_the_earliest_of_the_earliest_hours(events: list[tuple[int, int | None, str]]) -> None:
    """Whatever the order of events; those without an hour (no time, or before 1970) are as of one."""
    firsts: dict[tuple[int, int], tuple[int, int | None, str]] = {}
    for event in sorted(events, key=_first):
        firsts.setdefault((event[0], _hour(event[1])), event)
    expected = []
    for edge in range(3):
        own = sorted((event for event in firsts.values() if event[0] == edge), key=_first)
        expected += own[:SAMPLES_KEPT]
    rows = {
        "edge": pa.array([edge for edge, _, _ in events], pa.uint32()),
        "hour": pa.array([_hour(time) for _, time, _ in events], pa.int32()),
        "first": pa.array([time for _, time, _ in events], TIME),
        "uuid": pa.array([uuid for _, _, uuid in events], pa.string()),
    }
    found = samples(pa.table(rows))
    assert found.schema == SAMPLES
    times = found["time"].cast(pa.int64()).to_pylist()
    assert expected == list(zip(found["edge"].to_pylist(), times, found["uuid"].to_pylist(), strict=True))


def _hour(time: int | None) -> int:
    return -1 if time is None or time < 0 else time // HOUR
