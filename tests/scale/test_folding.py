"""Flows alike are told once before they are added up: the answer is that of looking at each by itself."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine.edges import COLUMNS, aggregate
from flowmine.ingest import open_flows
from flowmine.ingest.folding import Fold
from tests.cluster.systems import SYSTEMS
from tests.scale.making import capture, read, told

_BAD = (b"this is no JSON\n", b'{"flow":{"time":7}}\n', b"\n")


@pytest.fixture
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowmine.ingest.lockstep._ALONE", 1 << 16)
    monkeypatch.setattr("flowmine.ingest.division._BLOCK", 1 << 16)


def _each_by_itself(*paths: Path, **options: Any) -> dict[str, Any]:
    source = open_flows(*paths, columns=COLUMNS, **options)
    return told((aggregate(source), source))


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_edges_are_those_of_each_flow_by_itself(tmp_path: Path, system: str) -> None:
    """Lines in order and not, told twice, bad, and of other forms, which are not taken apart."""
    lines = capture(3000, system)
    lines[500:500] = lines[:300]
    for place in (2500, 1700, 70):
        lines[place:place] = [*_BAD, json.dumps(json.loads(lines[place])).encode() + b"\n"]
    moved = lines[1000:2000]
    random.Random(1).shuffle(moved)
    lines[1000:2000] = moved
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(lines))
    chosen: list[dict[str, Any]] = [{}, {"dedup": False}]
    for options in chosen:
        assert _each_by_itself(path, **options) == told(read(path, jobs=1, **options))


@pytest.mark.usefixtures("_small_blocks")
def test_what_is_forgotten_is_not_forgotten_too_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Caches too small for anything are emptied between portions only."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(capture(3000)))
    expected = _each_by_itself(path)
    monkeypatch.setattr("flowmine.ingest.intern._CACHE_BYTES", 1)
    monkeypatch.setattr("flowmine.ingest.known._MOST", 1)
    assert expected == told(read(path, jobs=1)) == _each_by_itself(path)


def test_flows_alike_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of flows between the same ends become few rows."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(capture(4000)))
    rows: list[tuple[int, int]] = []
    added_up = Fold.added_up

    def counted(fold: Fold, columns: Any) -> pa.RecordBatch:
        made = added_up(fold, columns)
        rows.append((len(fold.rows), made.num_rows))
        return made

    monkeypatch.setattr(Fold, "added_up", counted)
    read(path, jobs=1)
    flows, made = (sum(column) for column in zip(*rows, strict=True))
    assert flows > 3900
    assert made < flows / 2


@pytest.mark.usefixtures("_small_blocks")
def test_small_portions_are_told_once_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flows wait for those of the next portions; the last are not forgotten."""
    path = tmp_path / "flows.jsonl"
    path.write_bytes(b"".join(capture(4000)))
    monkeypatch.setattr("flowmine.ingest.waiting._ENOUGH", 1500)
    rows: list[int] = []
    added_up = Fold.added_up

    def counted(fold: Fold, columns: Any) -> pa.RecordBatch:
        rows.append(len(fold.rows))
        return added_up(fold, columns)

    monkeypatch.setattr(Fold, "added_up", counted)
    made = told(read(path, jobs=1))
    assert len(rows) == 3
    assert min(rows[:-1]) >= 1500
    assert made == _each_by_itself(path)


_HOUR = "2026-11-18T08:59:59.9999999"
_TIMES = (
    f"{_HOUR}98Z",
    f"{_HOUR}99Z",
    "2026-11-18T09:00:00.000000000Z",
    "2026-11-18T08:00:00.000000001Z",
    "soon",
)
_PORTS = st.sampled_from([1, 53, 8080, 32767, 32768, 32769, 40000, 65535])
_ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "203.0.113.9"])
_NAMES = st.sampled_from([None, None, ["shop.example"], ["shop.example", "www.shop.example"]])
_FLOWS = st.fixed_dictionaries(
    {
        "line": st.integers(0, 40),
        "time": st.sampled_from(_TIMES[:4]) | st.sampled_from(_TIMES),
        "uuid": st.integers(0, 60),
        "is_reply": st.sampled_from([True, False, None]),
        "ports": st.tuples(_PORTS, _PORTS),
        "flags": st.sampled_from([None, ("SYN",), ("SYN", "ACK"), ("ACK",), ("RST",)]),
        "l7": st.sampled_from([None, None, "REQUEST", "RESPONSE"]),
        "addresses": st.tuples(_ADDRESSES, _ADDRESSES),
        "names": st.tuples(_NAMES, _NAMES),
    }
)
_LINES = [line for line in map(json.loads, capture(200)) if "TCP" in line.get("flow", {}).get("l4", {})]


def _line(drawn: dict[str, Any]) -> bytes:
    """Return a flow as Hubble would write it, its fields in Hubble's order."""
    record = json.loads(json.dumps(_LINES[drawn["line"]]))
    flow = record["flow"]
    flow["time"] = record["time"] = drawn["time"]
    flow["uuid"] = f"{drawn['uuid']:036x}"
    source, destination = drawn["ports"]
    tcp = {"source_port": source, "destination_port": destination}
    flow["l4"]["TCP"] = tcp | ({"flags": dict.fromkeys(drawn["flags"], True)} if drawn["flags"] else {})
    flow["IP"] |= dict(zip(("source", "destination"), drawn["addresses"], strict=True))
    flow.pop("is_reply", None)
    summary = flow.pop("Summary", None)
    if drawn["l7"]:
        flow["Type"] = "L7"
        made = {"l7": {"type": drawn["l7"], "http": {"method": "GET", "url": "/"}}}
        flow = {key: value for field in flow for key, value in _with(flow, field, made)}
    names = zip(("source_names", "destination_names"), drawn["names"], strict=True)
    flow = {key: value for field in flow for key, value in _with(flow, field, {k: v for k, v in names if v})}
    if drawn["is_reply"] is not None:
        flow["is_reply"] = drawn["is_reply"]
    if summary is not None:
        flow["Summary"] = summary
    return json.dumps({**record, "flow": flow}, separators=(",", ":")).encode() + b"\n"


def _with(flow: dict[str, Any], field: str, made: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(field, flow[field]), *(made.items() if field == "node_name" else ())]


def _varied(drawn: tuple[dict[str, Any], list[tuple[str, dict[str, Any], int]]]) -> list[dict[str, Any]]:
    """Return flows that each differ from the first in one field, and in their uuids."""
    first, others = drawn
    return [{**first, field: other[field], "uuid": uuid} for field, other, uuid in others]


_VARIED = st.tuples(
    _FLOWS,
    st.lists(
        st.tuples(
            st.sampled_from(["addresses", "names", "ports", "ports", "time"]), _FLOWS, st.integers(0, 60)
        ),
        min_size=2,
        max_size=12,
    ),
).map(_varied)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(_VARIED, min_size=1, max_size=12).map(
        lambda groups: [flow for group in groups for flow in group]
    )
)
def test_what_tells_nothing_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, flows: list[dict[str, Any]]
) -> None:
    """Whatever the addresses and names, ports, flags, replies, times and repetitions are."""
    path = tmp_path_factory.mktemp("drawn") / "flows.jsonl"
    path.write_bytes(b"".join(map(_line, flows)))
    assert _each_by_itself(path) == told(read(path, jobs=1))
