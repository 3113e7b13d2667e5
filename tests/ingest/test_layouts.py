"""Every layout, wrapper, compression and line end in which captures come gives the same flows."""

import base64
import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ingest.making import flow, lines, opened, read, record

STAMP = "2026-11-18T09:30:00.123456789Z"
DENSE = (",", ":")

Records = list[dict[str, Any]]
Layout = Callable[[Records], bytes]


def _each(made: Callable[[str], Any]) -> Layout:
    """Return a layout of one line a record, made of the record's JSON text."""

    def layout(records: Records) -> bytes:
        texts = [made(json.dumps(one, separators=DENSE)) for one in records]
        return b"".join(
            (text if isinstance(text, str) else json.dumps(text)).encode() + b"\n" for text in texts
        )

    return layout


def _split(records: Records) -> bytes:
    """CRI lines, each record cut in three."""
    texts = [json.dumps(one, separators=DENSE) for one in records]
    parts = [(text[:100], text[100:300], text[300:]) for text in texts]
    return "".join(
        f"{STAMP} stdout P {a}\n{STAMP} stdout P {b}\n{STAMP} stdout F {c}\n" for a, b, c in parts
    ).encode()


def _split_at_the_end(records: Records) -> bytes:
    """CRI lines of records as long as a runtime's buffer: the last piece is empty."""
    texts = [json.dumps(one, separators=DENSE) for one in records]
    return "".join(f"{STAMP} stdout P {text}\n{STAMP} stdout F \n" for text in texts).encode()


def _docker_split(records: Records) -> bytes:
    """Docker lines, each record cut in two."""
    texts = [json.dumps(one, separators=DENSE) for one in records]
    pieces = [piece for text in texts for piece in (text[:150], text[150:] + "\n")]
    return lines(*({"log": piece, "stream": "stdout", "time": STAMP} for piece in pieces))


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {key if key.isupper() else _camel_key(key): _camel(item) for key, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value


def _camel_key(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _numbered(records: Records) -> bytes:
    """Enumerations as numbers, as other marshallers write them."""
    changed = [json.loads(json.dumps(one)) for one in records]
    for one in changed:
        one["flow"] |= {"verdict": 1, "Type": 1, "traffic_direction": 2, "trace_reason": 1}
        one["flow"]["trace_observation_point"] = 3
    return lines(*changed)


def _loki(records: Records) -> bytes:
    values = [["1763458200000000000", json.dumps(one)] for one in records]
    return json.dumps({"status": "success", "data": {"resultType": "streams", "result": [
        {"stream": {"app": "hubble"}, "values": values[:2]}, {"stream": {}, "values": values[2:]}
    ]}}).encode()  # fmt: skip


def _hits(records: Records) -> bytes:
    hits = [{"_index": "hubble", "_id": str(place), "_source": one} for place, one in enumerate(records)]
    return json.dumps({"took": 3, "hits": {"total": {"value": len(hits)}, "hits": hits}}, indent=2).encode()


def _bulk(records: Records) -> bytes:
    return b"".join(lines({"index": {"_index": "hubble"}}, one) for one in records)


LAYOUTS: dict[str, Layout] = {
    "lines": lambda records: lines(*records),
    "bare": lambda records: lines(*(one["flow"] for one in records)),
    "array": lambda records: json.dumps(records, separators=DENSE).encode(),
    "pretty array": lambda records: json.dumps(records, indent=4).encode(),
    "bare pretty array": lambda records: json.dumps([one["flow"] for one in records], indent="\t").encode(),
    "array of a line each": lambda records: b"[\n" + b",\n".join(lines(one)[:-1] for one in records) + b"\n]\n",
    "arrays in a row": lambda records: b"".join(lines([one]) for one in records),
    "pretty objects": lambda records: b"\n".join(json.dumps(one, indent=2).encode() for one in records),
    "objects without line ends": lambda records: b"".join(lines(one)[:-1] for one in records),
    "blank lines": lambda records: b"\n\n".join(lines(one) for one in records) + b"\n \n",
    "camelCase": lambda records: lines(*map(_camel, records)),
    "bare camelCase": lambda records: lines(*(_camel(one["flow"]) for one in records)),
    "numbers for enumerations": _numbered,
    "no outer node and time": lambda records: lines(*({"flow": one["flow"]} for one in records)),
    "keys sorted": lambda records: b"".join(json.dumps(one, sort_keys=True).encode() + b"\n" for one in records),
    "unknown keys": lambda records: lines(*(
        {"extra": [{"flow": 1}], "flow": {"new_field": {"a": 1}, **one["flow"]}, "time": STAMP} for one in records
    )),
    "CRI": _each(lambda text: f"{STAMP} stdout F {text}"),
    "CRI in pieces": _split,
    "CRI in pieces, the last empty": _split_at_the_end,
    "Docker": _each(lambda text: {"log": text + "\n", "stream": "stdout", "time": STAMP}),
    "Docker in pieces": _docker_split,
    "kubectl logs --prefix": _each(lambda text: f"[pod/cilium-x2x7k/cilium-agent] {text}"),
    "kubectl logs --timestamps": _each(lambda text: f"{STAMP} {text}"),
    "syslog": _each(lambda text: f"Nov 18 09:30:00 node-1 hubble[12]: {text}"),
    "logcli": _each(lambda text: {"labels": {"app": "hubble"}, "line": text, "timestamp": STAMP}),
    "Loki response": _loki,
    "Fluent Bit text": _each(lambda text: {"date": 1763458200.1, "log": text, "kubernetes": {"host": "n"}}),
    "Fluent Bit object": _each(lambda text: {"date": 1763458200.1, "log": json.loads(text)}),
    "Fluent Bit arrays": _each(lambda text: [1763458200.1, {"log": text}]),
    "Fluent Bit arrays of objects": _each(lambda text: [1763458200.1, json.loads(text)]),
    "Fluent Bit 2 arrays": _each(lambda text: [[1763458200.1, {}], {"log": text}]),
    "Vector": _each(lambda text: {"file": "events.log", "host": "n", "message": text, "source_type": "file"}),
    "Vector around Docker": _each(lambda text: {
        "message": json.dumps({"log": text + "\n", "stream": "stdout", "time": STAMP}), "source_type": "file"
    }),
    "Vector around CRI": _each(lambda text: {"message": f"{STAMP} stdout F {text}"}),
    "Elasticsearch source": _each(lambda text: {"_index": "i", "_source": json.loads(text), "_id": "1"}),
    "Elasticsearch message": _each(lambda text: {"_index": "i", "_source": {"message": text, "@timestamp": STAMP}}),
    "Elasticsearch response": _hits,
    "Elasticsearch bulk": _bulk,
    "Google Cloud Logging": _each(lambda text: {"insertId": "1", "jsonPayload": json.loads(text), "timestamp": STAMP}),
    "Splunk": _each(lambda text: {"preview": False, "result": {"_raw": text, "host": "n"}}),
    "journald": _each(lambda text: {"__CURSOR": "s=1", "MESSAGE": text, "_PID": "1"}),
}  # fmt: skip

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip in members": lambda data: gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :]),
    "gzip padded": lambda data: gzip.compress(data) + b"\x00" * 300,
    "zstd": zstandard.compress,
    "zstd in frames": lambda data: zstandard.compress(data[:500]) + zstandard.compress(data[500:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}  # fmt: skip

CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "byte-order mark": lambda data: b"\xef\xbb\xbf" + data,
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "no line end at the end": lambda data: data.rstrip(b"\n"),
    "blank lines around": lambda data: b"\n\n" + data + b"\n\n",
}


def _records() -> Records:
    odd = flow(2, Summary='quote " backslash \\ brace } { [ \u00fc \U0001f40b', node_labels=["a=\\", 'b="'])
    return [record(0), record(1, uuid=None), {"flow": odd, "node_name": odd["node_name"]}, record(3)]


def _flows(data: bytes) -> pa.Table:
    source = opened(data)
    table = read(source)
    assert ({}, True) == (source.ledger.sources("skipped"), source.ledger.complete)
    return table


EXPECTED = _flows(lines(*_records()))


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_flows(name: str) -> None:
    """However a tool wrote the records down, the same rows come out and nothing is skipped."""
    assert EXPECTED == _flows(LAYOUTS[name](_records()))


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_every_compression_is_told_by_its_content(name: str) -> None:
    """A stream has no name; its first bytes are enough."""
    assert EXPECTED == _flows(COMPRESSIONS[name](lines(*_records())))


@pytest.mark.parametrize("name", CODINGS)
def test_every_line_end_and_coding_is_read(name: str) -> None:
    """Line ends, marks and blank lines change nothing."""
    assert EXPECTED == _flows(CODINGS[name](lines(*_records())))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    layout=st.sampled_from(sorted(LAYOUTS)),
    compression=st.sampled_from(sorted(COMPRESSIONS)),
    coding=st.sampled_from(sorted(CODINGS)),
)
def test_layouts_compressions_and_codings_combine(layout: str, compression: str, coding: str) -> None:
    """Any of the layouts, in any coding, under any compression: the same rows."""
    assert EXPECTED == _flows(COMPRESSIONS[compression](CODINGS[coding](LAYOUTS[layout](_records()))))


def test_a_layout_may_change_within_a_file() -> None:
    """Lines of several wrappers in one file are each read for what they are."""
    records = _records()
    mixed = b"".join(
        LAYOUTS[name](records[place : place + 1])
        for place, name in enumerate(("lines", "CRI", "Docker", "bare camelCase"))
    )
    assert EXPECTED == _flows(mixed)


def test_odd_records_between_many_of_one_kind_are_read() -> None:
    """In a long file of bare flows, or of wrapped ones, single records of the other kinds are read all the same."""
    wrapped = [record(number) for number in range(40)]
    expected = _flows(lines(*wrapped))
    for most in (lambda one: one, lambda one: one["flow"], _camel, lambda one: {"log": json.dumps(one)}):
        mixed = [most(one) for one in wrapped]
        mixed[0] = wrapped[0]
        mixed[7], mixed[8], mixed[9] = (
            wrapped[7]["flow"],
            _camel(wrapped[8]),
            {"message": json.dumps(wrapped[9])},
        )
        mixed.insert(20, {"lost_events": {"num_events_lost": 3}, "node_name": "n", "time": STAMP})
        source = opened(lines(*mixed))
        assert expected == read(source)
        assert (3, 0) == (source.ledger.total("lost"), source.ledger.bad)


def test_a_hit_that_is_no_event_costs_only_itself() -> None:
    """In a response of many hits each is read or told by itself."""
    hits: list[Any] = [{"_source": {"message": json.dumps(one)}} for one in _records()]
    hits[1:1] = [
        {"_source": {"message": "level=info {no} json"}},
        {"_source": {"message": '{"flow":'}},
        {"_id": "3"},
    ]
    source = opened(json.dumps({"hits": {"hits": hits}}).encode())
    assert EXPECTED == read(source)
    assert 3 == source.ledger.bad


def test_base64_noise_before_the_capture_does_not_hide_it() -> None:
    """A first line that is no event is told, and the rest is read."""
    source = opened(base64.b64encode(b"noise" * 10) + b"\n" + lines(*_records()))
    assert (EXPECTED.num_rows, 1) == (read(source).num_rows, source.ledger.bad)
