"""Calls from ever new ephemeral ports are told as one: the same edges, and rows that no port adds to."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from flowmine.edges import Parts, Sum, Sums, crowd, empty, merge, orient
from flowmine.edges.direction import EPHEMERAL
from flowmine.edges.observe import KEYS, ROW_KEY

_UDP, _UNKNOWN, _HAS_PORT = 2 << 40, 1 << 36, 1 << 32
_KEY = [(name, "ascending") for name in ROW_KEY]


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "_MANY_PORTS", 8)


def _packed(source: int, destination: int, state: int = _UNKNOWN) -> int:
    return _UDP | state | _HAS_PORT | (source if state else 0) << 16 | destination


def _rows(ports: list[int], hours: list[int], uuid: str = "u") -> Parts:
    """Return Parts of one event for each of some ports, in an hour each."""
    nothing = empty()
    count = len(ports)
    made: dict[str, Any] = {
        "a": np.full(count, 3, np.uint64),
        "b": np.full(count, 5, np.uint64),
        "ports": np.array(ports, np.uint64),
        "hour": np.array(hours, np.int32),
        "first": [hour * 3600 * 10**9 + port % 1000 for port, hour in zip(ports, hours, strict=True)],
        "last": [hour * 3600 * 10**9 + 5000 for hour in hours],
        "uuid": [f"{uuid}-{port}" for port in ports],
    }
    columns = []
    for field in nothing.rows.schema:
        kind = field.type
        if field.name in made:
            columns.append(pa.array(made[field.name]).cast(kind))
        elif pa.types.is_string(kind):
            columns.append(pa.array([""] * count, kind))
        elif field.name.startswith("last_"):
            columns.append(pa.nulls(count, kind))
        else:
            columns.append(pa.array(np.ones(count)).cast(kind))
    return replace(nothing, rows=pa.table(columns, schema=nothing.rows.schema))


def _settled(parts: Parts) -> list[dict[str, Any]]:
    """Return what rows add up to by edge and hour."""
    made, left = orient.orient(parts.rows, orient.listeners(parts.rows))
    assert not left.num_rows
    key = ["initiator", "responder", "protocol", "port", "hour"]
    summed = made.group_by(key, use_threads=False).aggregate([("events", "sum"), ("first", "min")])
    return sorted(summed.to_pylist(), key=lambda row: [row[name] for name in key])


@pytest.mark.parametrize("seed", range(20))
def test_told_as_one_they_are_the_same_edges_however_cut(seed: int) -> None:
    """Calls and answers of few and many ports, in several hours, added up in any portions."""
    rng = np.random.default_rng(seed)
    cuts = []
    for step in range(12):
        few, many = rng.integers(1, 4), EPHEMERAL + rng.integers(0, 60, rng.integers(0, 12))
        ports = {_packed(int(port), 53) for port in many}
        ports |= {_packed(8080, int(port)) for port in many[: rng.integers(0, 12)]}
        ports |= {_packed(40000 + int(port), 90) for port in rng.integers(0, few, 3)}
        ports |= {_packed(100, 200, 0)} if step % 3 else set()
        hours = [int(hour) for hour in rng.integers(0, 3, len(ports))]
        cuts.append(_rows(sorted(ports), hours, f"{step}"))
    plain = merge(cuts)
    whole = Sums().of(*cuts)
    total = Sum(Sums())
    for cut in cuts:
        total.add(cut)
    halves = Sums().of(Sums().of(*cuts[:6]), Sums().of(*cuts[6:]))
    sorted_rows = whole.rows.sort_by(_KEY)
    assert sorted_rows.num_rows < plain.rows.num_rows
    for made in (total.parts(), halves):
        assert sorted_rows.equals(made.rows.sort_by(_KEY))
    assert _settled(plain) == _settled(whole)


def test_a_listener_at_the_first_ephemeral_port_is_not_taken_for_them() -> None:
    """The port that stands for all of them is that of none."""
    many = [_packed(EPHEMERAL + 1 + port, 53) for port in range(20)]
    listener = _rows([_packed(0, EPHEMERAL, 0)], [1])
    turned = listener.rows.set_column(0, "a", pa.array([5], pa.uint64())).set_column(
        1, "b", pa.array([3], pa.uint64())
    )
    made = Sums().of(_rows(many, [1] * 20), replace(listener, rows=turned.select(listener.rows.schema.names)))
    assert [(row["initiator"], row["port"]) for row in _settled(made)] == [(3, 53), (5, EPHEMERAL)]


def test_ports_take_no_more_room_than_a_few() -> None:
    """Of a client that is denied all day there is a row an hour; of drops and their policies one in all."""
    total = Sum(Sums())
    for start in range(0, 2000, 40):
        ports = [_packed(EPHEMERAL + start + port, 53) for port in range(40)]
        part = _rows(ports, [start // 1000] * 40)
        dropped = part.rows.select(["a", "b", "a_ip", "b_ip", "ports", "first", "last"])
        for name, value in (("side", "egress"), ("reason", "POLICY_DENIED"), ("origin", "event")):
            dropped = dropped.append_column(name, pa.array([value] * 40))
        drops = dropped.append_column("count", pa.array(np.ones(40, np.uint64)))
        drops = drops.select(empty().drops.schema.names).cast(empty().drops.schema)
        named = drops.append_column("denied_by", pa.array(["shop/deny"] * 40))
        deniers = named.select(empty().deniers.schema.names).cast(empty().deniers.schema)
        total.add(replace(part, drops=drops, deniers=deniers))
    made = total.parts()
    assert [made.rows.num_rows, made.drops.num_rows, made.deniers.num_rows] == [2, 1, 1]
    assert made.rows["events"].to_pylist() == [1000, 1000]
    assert made.drops["count"].to_pylist() == [2000]
    assert set(KEYS["drops"]) <= set(made.drops.schema.names)
