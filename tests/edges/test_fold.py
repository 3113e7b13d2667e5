"""Peers without bound: a stated number is kept of each subject, the rest is counted, whatever the order."""

import random
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine.edges import Parts, fold, merge, partial, settle, tables_of
from flowmine.labels import endpoint_id
from tests.edges.events import API, NO_LEDGER, WEB, WORLD, answered, batch, endpoints, event, pods

_NOTHING_KNOWN: tuple[Any, ...] = (endpoints(WEB, API, WORLD), pods(), NO_LEDGER)


def _scan(count: int) -> list[dict[str, Any]]:
    """Return one answered call of WEB to API, and calls of WEB to many addresses outside, two each."""
    made = [event(WEB, API)]
    made.append(answered(made[0]))
    for number in range(count):
        for time in (10**9, 2 * 10**9):
            address = f"198.18.{number // 256}.{number % 256}"
            names = ["a.example"] if number % 2 else []
            made.append(
                event(WEB, WORLD, destination_ip=address, time=time, is_reply=False, destination_names=names)
            )
    return made


def _ends(parts: Parts) -> set[str]:
    return set(parts.rows["b_ip"].to_pylist())


def test_of_many_peers_some_are_kept_and_all_others_counted() -> None:
    """A subject with 300 peers keeps 50 of them; every event is in a row or counted."""
    rows = _scan(300)
    parts = fold(partial(batch(rows)), 50)
    assert 50 == len(
        set(zip(*(parts.rows[name].to_pylist() for name in ("b", "b_ip", "ports")), strict=True))
    )
    kept = pc.sum(parts.rows["events"]).as_py()
    assert [{"subject": endpoint_id(WEB), "count": len(rows) - kept}] == parts.folded.select(
        ["subject", "count"]
    ).to_pylist()


def test_no_more_than_allowed_are_left_alone() -> None:
    """With as many peers as are kept, nothing changes."""
    parts = partial(batch(_scan(48)))
    assert tables_of(parts) == tables_of(fold(parts, 50))


def test_one_subject_takes_nothing_from_another() -> None:
    """Only the subject with too many peers loses some; who calls it is not counted as its peer twice."""
    rows = [
        *_scan(100),
        *(event(API, WORLD, destination_ip=f"203.0.113.{n}", is_reply=False) for n in range(9)),
    ]
    parts = fold(partial(batch(rows)), 10)
    of_api = parts.rows.filter(pc.equal(parts.rows["a"], pa.scalar(endpoint_id(API), pa.uint64())))
    assert 9 == of_api.num_rows
    assert [endpoint_id(WEB)] == parts.folded["subject"].to_pylist()


def test_callers_from_outside_are_peers_of_the_pod_they_call() -> None:
    """A pod scanned from many addresses is the subject."""
    rows = [event(WORLD, API, source_ip=f"198.18.0.{n}", is_reply=False) for n in range(99)]
    parts = fold(partial(batch(rows)), 7)
    assert (7, [endpoint_id(API)], [92]) == (
        parts.rows.num_rows,
        parts.folded["subject"].to_pylist(),
        parts.folded["count"].to_pylist(),
    )


def test_ports_of_unknown_direction_are_one_peer() -> None:
    """Where nobody knows who began, a pair of ends is one peer, however many ports it used."""
    rows = [event(WEB, API, source_port=30000 + n, destination_port=31000 + n) for n in range(60)]
    parts = partial(batch(rows))
    assert tables_of(parts) == tables_of(fold(parts, 1))


def test_the_ledger_tells_what_was_folded() -> None:
    """Settled, the remainder stands in the ledger with its subject, count and time."""
    parts = fold(partial(batch(_scan(80))), 20)
    ledger = settle(parts, *_NOTHING_KNOWN).ledger.to_pylist()
    (row,) = [one for one in ledger if one["kind"] == "folded"]
    assert "c/shop/k8s:app=web" == row["source"]
    assert row["count"] == parts.folded["count"][0].as_py() > 100


def test_drops_and_names_of_folded_peers_go_with_them() -> None:
    """What is left in the other tables is of peers that are kept."""
    rows = [
        {**row, "verdict": "DROPPED", "event_type": 1, "drop_reason_desc": "POLICY_DENIED"}
        for row in _scan(200)
    ]
    parts = fold(partial(batch(rows)), 30)
    assert set(parts.drops["b_ip"].to_pylist()) <= _ends(parts)
    assert parts.drops.num_rows < 32
    assert parts.names.num_rows <= 30


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 40), st.integers(1, 9))
def test_any_order_cut_and_number_of_folds_keeps_the_same(rng: random.Random, most: int, pieces: int) -> None:
    """Folding on the way, as often as one likes, is folding at the end."""
    rows = [*_scan(60), *(event(WORLD, API, source_ip=f"192.0.2.{n}", is_reply=False) for n in range(45))]
    whole = fold(partial(batch(rows)), most)
    rng.shuffle(rows)
    parts = [partial(batch(rows[piece::pieces])) for piece in range(pieces)]
    rng.shuffle(parts)
    total = parts[0]
    for one in parts[1:]:
        total = merge([fold(total, most) if rng.random() < 0.5 else total, fold(one, most)])
    assert _sorted(whole) == _sorted(fold(total, most))


def _sorted(parts: Parts) -> dict[str, pa.Table]:
    return {
        name: table.sort_by([(column, "ascending") for column in table.schema.names]).combine_chunks()
        for name, table in tables_of(parts).items()
    }
