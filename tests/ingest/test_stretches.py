"""Lines taken apart: whatever is written, the same comes out as from lines decoded whole."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine.ingest import compiled, lockstep, machinecode, open_flows, stretches
from flowmine.ingest.compiled import Cutter
from flowmine.ingest.machinecode import made
from flowmine.ingest.stretches import KINDS, Stretches
from flowmine.ingest.whichcode import Cut, cutter, load
from flowmine.ledger import Ledger
from tests.cluster import Capture, replay
from tests.cluster.systems import SYSTEMS
from tests.ingest.making import SERVER, WORLD, lines, opened, read, record

_ETHERNET = {"source": "5d:4e:1f:9a:35:01", "destination": "0e:cf:11:2c:de:f2"}


@pytest.fixture(scope="module", autouse=True, params=["numpy", "compiled"])
def cut(request: pytest.FixtureRequest) -> Iterator[Cut]:
    """What cuts: with numpy, or compiled, for every test here."""
    found: Cut = stretches.cut if request.param == "numpy" else Cutter(made().cut).cut
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lockstep, "cut", found)
        yield found


def _hubble(number: int = 0, **changes: Any) -> bytes:
    """Return a line in the order in which Hubble writes fields."""
    order = [
        "time",
        "uuid",
        "emitter",
        "verdict",
        "drop_reason",
        "auth_type",
        "ethernet",
        "IP",
        "l4",
        "source",
    ]
    made = record(number, **changes)
    flow = made["flow"]
    if "cgroup_id" in flow:
        flow["Summary"] = flow.pop("Summary")
    head = {name: flow[name] for name in order if name in flow}
    return lines(
        {"flow": head | flow, **{name: made[name] for name in ("node_name", "time") if name in made}}
    )


def _whole(data: bytes) -> bytes:
    """Return the same records in a spelling that is not taken apart."""
    return data.replace(b'{"flow":', b'{"flow": ')


def _told(ledger: Ledger) -> tuple[Any, ...]:
    return (
        ledger.entries,
        ledger.flows,
        ledger.bad,
        ledger.named,
        ledger.notes,
        ledger.versions,
        ledger.window,
    )


def _both(data: bytes, **options: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return all that is read of lines taken apart, and of lines decoded whole."""
    made = []
    for text in (data, _whole(data)):
        source = opened(text, **options)
        table = read(source)
        told = re.sub(r"column \d+|byte \d+", "", repr(_told(source.ledger)))
        made.append((table.to_pylist(), source.endpoints.to_pylist(), source.pods.to_pylist(), told))
    return made[0], made[1]


_SOCKET = {
    "Type": "SOCK",
    "destination_names": ["a.example", "b.example", "c.example"],
    "sock_xlate_point": "SOCK_XLATE_POINT_PRE_DIRECTION_FWD",
    "trace_observation_point": None,
    "socket_cookie": "827158112736",
    "cgroup_id": "6416",
    "Summary": "TCP",
}
_USUAL = b"".join(_hubble(number) for number in range(20))


@pytest.mark.parametrize("system", sorted(SYSTEMS))
@pytest.mark.parametrize("version", ["1.14", "1.19"])
def test_a_cluster_reads_the_same_either_way(system: str, version: str, cut: Cut) -> None:
    """Every column, endpoint, pod and entry of the ledger is the same."""
    data = b"".join(replay(SYSTEMS[system](), 1500, Capture(version=version)))
    found = cut(data)
    assert found is not None
    assert len(found.begins) > 1400
    apart, whole = _both(data)
    assert whole == apart


_CHANGES: dict[str, dict[str, Any]] = {
    "hardware addresses": {"ethernet": _ETHERNET},
    "odd hardware addresses": {"ethernet": {"source": 'x"y', "destination": "0e:cf:11:2c:de:f2"}},
    "no address": {"IP": None},
    "no node": {"node_name": None},
    "no uuid": {"uuid": None},
    "no time": {"time": None},
    "short time": {"time": "2026-11-18T09:30:00Z"},
    "no time at all": {"time": "2026-99-18T09:30:00.000456789Z"},
    "a uuid with an escape": {"uuid": "0000000\n-2a9a-504f-8861-aeafd0b2ae29"[:36]},
    "a port too large": {"l4": {"TCP": {"source_port": 70000, "destination_port": 80}}},
    "a port of nothing": {"l4": {"UDP": {"source_port": 0, "destination_port": 53}}},
    "one port": {"l4": {"UDP": {"destination_port": 53}}},
    "SCTP": {"l4": {"SCTP": {"source_port": 4242, "destination_port": 36412}}},
    "ICMP": {"l4": {"ICMPv4": {"type": 8, "code": 0}}},
    "fields behind the ports": {"l4": {"TCP": {"source_port": 1, "destination_port": 65535, "x": {"y": 1}}}},
    "a member beside layer 4": {
        "l4": {"TCP": {"source_port": 1, "destination_port": 2}},
        "tunnel": {"l": {}},
    },
    "the world": {"source": WORLD},
    "no end": {"source": {}, "destination": {}},
    "a drop": {"verdict": "DROPPED", "drop_reason": 133, "drop_reason_desc": "POLICY_DENIED"},
    "a drop by number": {"verdict": "DROPPED", "drop_reason": 181},
    "an odd verdict": {"verdict": "allowed"},
    "a verdict by number": {"verdict": 2},
    "old replies": {"is_reply": None, "reply": True},
    "names": {"source_names": ["a.example"], "destination_names": ["b.example", "c.example"]},
    "a Service": {"destination_service": {"name": "pg", "namespace": "db"}},
    "a socket": _SOCKET,
    "a socket of UDP": {**_SOCKET, "Summary": "UDP"},
    "a socket of neither": {**_SOCKET, "Summary": "SCTP"},
    "a socket with a zero": {**_SOCKET, "socket_cookie": "0123", "cgroup_id": "00"},
    "a socket without numbers": {**_SOCKET, "socket_cookie": "", "cgroup_id": ""},
    "a socket with a long number": {**_SOCKET, "socket_cookie": "1" * 30},
    "a socket without its cgroup": {**_SOCKET, "cgroup_id": None},
    "a socket's cookie as text": {"Type": "SOCK", "socket_cookie": "0x1\\", "cgroup_id": "6416"},
    "a proxy": {"proxy_port": 13372},
    "a negative proxy": {"proxy_port": -1},
    "counts": {"aggregate": {"ingress_flow_count": 3, "egress_flow_count": 2}},
    "a request": {
        "Type": "L7",
        "l7": {"type": "REQUEST", "latency_ns": "12345", "http": {"method": "GET", "url": "http://a/b?c"}},
    },
    "an answer": {
        "Type": "L7",
        "l7": {"type": "RESPONSE", "dns": {"query": "a.example.", "ips": ["192.0.2.1"], "rcode": 0}},
    },
    "a nested source": {"extensions": {"x": {"y": {}}, "source": {"labels": []}, "destination": {}}},
    "a text like a cut": {"Summary": '},"source":{"ID":1},"destination":{"ID":2},"Type":"L7"'},
    "other letters": {"Summary": "größer ☃", "node_name": "default/knöt"},
    "a node with a quote": {"node_name": 'default/"n'},
    "an end that is no object": {"source": "x"},
    "camel case": {"IP": None, "ip": {"source": "10.0.0.1"}},
}


@pytest.mark.parametrize("name", _CHANGES)
def test_an_unusual_flow_reads_the_same_either_way(name: str) -> None:
    """Among usual lines, a flow that differs in one point is read as it would be by itself."""
    data = _USUAL + b"".join(_hubble(100 + number, **_CHANGES[name]) for number in range(3)) + _USUAL
    apart, whole = _both(data, dedup=False)
    assert whole == apart


_LINES = {
    "not JSON": b"this is not JSON\n",
    "a blank line": b"\n",
    "lost events": b'{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"7"},"node_name":"n"}\n',
    "a flow closed early": _hubble(7).replace(b'},"l4"', b'},"x":1},"y":{"l4":{}},"z":{"l4"', 1),
    "a flow twice": _hubble(7).replace(b'"Type":', b'"x":{}},"flow":{"y":{},"Type":', 1),
    "a field twice": _hubble(7).replace(b'"Type":', b'"verdict":"DROPPED","Type":', 1),
    "a uuid twice": _hubble(7).replace(b'"Type":', b'"uuid":"x","Type":', 1),
    "a source twice": _hubble(7).replace(b'"Type":', b'"source":{"labels":["reserved:host"]},"Type":', 1),
    "an end in the middle": _hubble(7)[:400] + b"\n",
    "a line in two": _hubble(7).replace(b',"Type"', b',\n"Type"', 1),
    "an end that is none": _hubble(7).replace(b'},"destination"', b'}},"destination"', 1),
    "a leading zero": _hubble(7).replace(b'"source_port":40007', b'"source_port":0007', 1),
    "a port with a fraction": _hubble(7).replace(b'"source_port":40007', b'"source_port":40007.5', 1),
    "another outer time": _hubble(7)[:-20] + b'0000000Z"}\n',
    "another outer node": _hubble(7).replace(b'},"node_name":"default/node-1"', b'},"node_name":"x\\u0041"'),
    "a key behind the node": _hubble(7)[:-2] + b',"x":1}\n',
    "broken bytes": _hubble(7).replace(b"TCP Flags", b"TCP \xff Flags"),
    "broken bytes in a label": _hubble(7).replace(b"app=web", b"app=\xff"),
    "a broken uuid": _hubble(7).replace(b"-2a9a-", b"-\xff\xfe9a-"),
    "CRLF": _hubble(7)[:-1] + b"\r\n",
    "a space": _hubble(7).replace(b'"l4":', b'"l4" : '),
}


@pytest.mark.parametrize("name", _LINES)
def test_an_unusual_line_reads_the_same_either_way(name: str) -> None:
    """Among usual lines, a line of any other form is read, or told, as it would be by itself, and at its number."""
    apart, whole = _both(_USUAL + _LINES[name] + _hubble(8) + _LINES[name] + _USUAL, dedup=False)
    assert whole == apart


@given(
    st.lists(st.sampled_from([_hubble(number) for number in range(9)] + list(_LINES.values())), max_size=30)
)
@settings(max_examples=60, deadline=None)
def test_any_mixture_reads_the_same_either_way(chosen: list[bytes]) -> None:
    """Usual and unusual lines in any order give the same rows in the same order, and the same ledger."""
    apart, whole = _both(b"".join(chosen) + _hubble(1), dedup=False)
    assert whole == apart


def test_most_of_what_differs_from_line_to_line_is_taken_out(cut: Cut) -> None:
    """Lines that differ in time, uuid, ports and hardware addresses alone have the same stretches."""
    found = cut(
        b"".join(
            _hubble(
                n, ethernet={"source": f"00:00:00:00:00:{n:02x}", "destination": f"01:00:00:00:00:{n:02x}"}
            )
            for n in range(64)
        )
    )
    assert found is not None
    assert {"head": 1, "l4": 1, "source": 1, "destination": 1, "tail": 1} == {
        kind: len(set(found.codes[place].tolist())) for place, kind in enumerate(KINDS)
    }
    assert list(range(40000, 40064)) == found.ports.source.tolist()


def test_the_numbers_of_sockets_are_taken_out(cut: Cut) -> None:
    """Events of sockets that differ in cookie and cgroup alone have the same tail."""
    events = [
        _hubble(n, **{**_SOCKET, "socket_cookie": str(10**11 + n), "cgroup_id": str(6000 + n)})
        for n in range(9)
    ]
    found = cut(b"".join(events))
    assert found is not None
    assert 1 == len(set(found.codes[-1].tolist()))


def test_what_is_mostly_of_another_form_is_not_taken_apart(cut: Cut) -> None:
    """A block with more than half of its lines in another form is left to those who read whole lines."""
    assert cut(_hubble(1) + 3 * lines(record(2, Type=None, destination=SERVER))) is None
    assert cut(b"") is None
    assert cut(b"}" * 200) is None


def test_rows_stay_in_the_order_of_lines() -> None:
    """Flows of lines of another form stand where their lines stood."""
    data = b"".join(
        _hubble(n) if n % 3 else lines(record(n)).replace(b'"flow":', b'"flow" :') for n in range(40)
    )
    times: pa.ChunkedArray = read(opened(data, columns=["uuid"]))["uuid"]
    assert [f"{n:08x}" for n in range(40)] == [uuid[:8] for uuid in times.to_pylist()]


@pytest.mark.parametrize("name", _LINES)
def test_line_ends_are_counted_with_the_lines(name: str, cut: Cut) -> None:
    """Usual lines, others and blank ones: all line ends of a block are known when it is taken apart."""
    data = _USUAL + _LINES[name] + b"\n\n" + _USUAL + _LINES[name]
    found = cut(data)
    assert found is not None
    assert data.count(b"\n") == found.ends


def test_lines_behind_one_in_two_keep_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a line ends within a stretch, in no JSON, what is told of lines in blocks behind has their number."""
    monkeypatch.setattr(lockstep, "_ALONE", 8000)
    broken = _hubble(7).replace(b',"identity"', b',\n"identity"', 1)
    path = tmp_path / "flows.jsonl"
    path.write_bytes(_USUAL + broken + 100 * _USUAL + b"not JSON\n" + _USUAL)
    source = open_flows(path, dedup=False)
    assert 102 * 20 == read(source).num_rows
    numbers = [text.removeprefix(f"{path}:").partition(":")[0] for text in source.ledger.named]
    assert ["21", "22", "2023"] == numbers


def _spelled(found: Stretches | None) -> Any:
    """Return all that stretches say, each text instead of its number."""
    if found is None:
        return None
    texts = [found.texts.some(codes.astype(np.int64)) for codes in found.codes]
    uuids = None if found.uuids is None else found.uuids.to_pylist()
    ports = found.ports.source.tolist(), found.ports.destination.tolist()
    return found.begins.tolist(), found.times.to_pylist(), uuids, texts, ports, found.others, found.ends


def test_compiled_code_cuts_as_numpy_does() -> None:
    """The same stretches, ports and others, block after block, of whatever lines and versions."""
    compiled_cut = Cutter(made().cut).cut
    for version in ("1.14", "1.19"):
        for system in sorted(SYSTEMS):
            lines = [*replay(SYSTEMS[system](), 600, Capture(version=version)), *_LINES.values()]
            for data in (b"".join(lines[:300]), b"".join(lines[300:]), b"".join(lines[::-1])):
                assert _spelled(stretches.cut(data)) == _spelled(compiled_cut(data))
    for changes in _CHANGES.values():
        data = _USUAL + b"".join(_hubble(100 + number, **changes) for number in range(3)) + _USUAL
        assert _spelled(stretches.cut(data)) == _spelled(compiled_cut(data))


@given(
    st.lists(st.tuples(st.integers(0, 800), st.sampled_from([b"}", b'},"l4":{', b"\n", b"9", b'"', b"\x00"])))
)
@settings(max_examples=200, deadline=None)
def test_compiled_code_cuts_broken_lines_as_numpy_does(broken: list[tuple[int, bytes]]) -> None:
    """Wherever a line is broken, the others are cut the same, and it is left out if it is no longer a usual one."""
    line = _hubble(7, **_SOCKET, ethernet=_ETHERNET)
    for place, text in broken:
        line = line[:place] + text + line[place + len(text) :]
    data = _USUAL + line + _USUAL
    both = _spelled(stretches.cut(data)), _spelled(Cutter(made().cut).cut(data))
    assert both[0] == both[1] or (None in both and data.count(b"\n") > 41)


def test_what_is_kept_begins_anew_where_it_gets_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many different stretches, and larger blocks, take no more memory than a block needs, and are cut the same."""
    monkeypatch.setattr(compiled, "_MOST", 40)
    cutting, seen = Cutter(made().cut), []
    for block in range(12):
        pods = [{"identity": 256 * block + n, "labels": [f"k8s:app=a{n}"]} for n in range(30)]
        data = b"".join(_hubble(n, source=pod) for n, pod in enumerate(pods)) * (1 + block % 3)
        found = cutting.cut(data)
        assert found is not None
        assert _spelled(stretches.cut(data)) == _spelled(found)
        seen.append(found.texts)
    assert 3 < len({id(texts) for texts in seen}) <= 12
    assert max(map(len, seen)) < 200


def test_stretches_that_fall_on_each_other_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a table that is half full, and after more of it is used, each stretch is found again by what it is."""
    monkeypatch.setattr(compiled, "_TABLE", 4)
    cutting, places = Cutter(made().cut), set()
    for most in range(1, 100):
        pods = [{"identity": n % most, "labels": ["k8s:app=a"]} for n in range(120)]
        data = b"".join(_hubble(n, source=pod) for n, pod in enumerate(pods))
        assert _spelled(stretches.cut(data)) == _spelled(cutting.cut(data))
        _, _, table, (count, last, _) = cutting._kept.arrays
        assert np.sort(table[: last + 1]).tolist() == [0] * (last + 1 - count) + [*range(1, count + 1)]
        assert not table[last + 1 :].any()
        places.add(last + 1)
    assert {8, 16, 32, 64, 128, 256} >= places >= {16, 32, 64, 128, 256}


@pytest.mark.parametrize("error", [None, RuntimeError("no place to keep what was compiled")])
def test_without_compiled_code_numpy_cuts(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where numba is not installed, or does not work, all is read all the same."""
    load.cache_clear()
    if error is None:
        monkeypatch.setitem(sys.modules, "flowmine.ingest.machinecode", None)
    else:
        monkeypatch.setattr(machinecode, "made", Mock(side_effect=error))
    with caplog.at_level("INFO"):
        assert cutter("made") is stretches.cut
    assert [f"not compiled: {error}"] * (error is not None) == caplog.messages
    load.cache_clear()
    monkeypatch.undo()
    assert (True, stretches.cut) == (load("made"), cutter("no"))
    assert cutter("made") is not stretches.cut
    assert cutter("kept") is not stretches.cut
