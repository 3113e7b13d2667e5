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


_HOUR = "2026-11-18T08:59:59.9999999"
_TIMES = (
    f"{_HOUR}98Z",
    f"{_HOUR}99Z",
    "2026-11-18T09:00:00.000000000Z",
    "2026-11-18T08:00:00.000000001Z",
    "soon",
)
_PORTS = st.sampled_from([1, 53, 8080, 32767, 32768, 32769, 40000, 65535])
_FLOWS = st.fixed_dictionaries(
    {
        "line": st.integers(0, 40),
        "time": st.sampled_from(_TIMES[:4]) | st.sampled_from(_TIMES),
        "uuid": st.integers(0, 60),
        "is_reply": st.sampled_from([True, False, None]),
        "ports": st.tuples(_PORTS, _PORTS),
        "flags": st.sampled_from([None, ("SYN",), ("SYN", "ACK"), ("ACK",), ("RST",)]),
        "l7": st.sampled_from([None, None, "REQUEST", "RESPONSE"]),
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
    flow.pop("is_reply", None)
    summary = flow.pop("Summary", None)
    if drawn["l7"]:
        flow["Type"] = "L7"
        made = {"l7": {"type": drawn["l7"], "http": {"method": "GET", "url": "/"}}}
        flow = {key: value for field in flow for key, value in _with(flow, field, made)}
    if drawn["is_reply"] is not None:
        flow["is_reply"] = drawn["is_reply"]
    if summary is not None:
        flow["Summary"] = summary
    return json.dumps({**record, "flow": flow}, separators=(",", ":")).encode() + b"\n"


def _with(flow: dict[str, Any], field: str, made: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(field, flow[field]), *(made.items() if field == "node_name" else ())]


@settings(max_examples=60, deadline=None)
@given(st.lists(_FLOWS, min_size=1, max_size=120))
def test_ports_that_tell_nothing_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, flows: list[dict[str, Any]]
) -> None:
    """Whatever the ports, flags, replies, times and repetitions are."""
    path = tmp_path_factory.mktemp("drawn") / "flows.jsonl"
    path.write_bytes(b"".join(map(_line, flows)))
    assert _each_by_itself(path) == told(read(path, jobs=1))
