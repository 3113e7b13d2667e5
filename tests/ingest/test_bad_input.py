"""What cannot be read is counted, named and never a traceback; with strict it is an error with file and line."""

import gzip
import json
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine.errors import FlowmineError, InputError
from flowmine.ingest import open_flows
from flowmine.ingest.blocks import LONGEST
from flowmine.ingest.compression import decompress
from tests.ingest.making import CLIENT, flow, lines, opened, read, record, row, rows

GOOD = lines(record(0))
INSTANT = int(datetime(2026, 11, 18, 9, 30, tzinfo=UTC).timestamp())

BAD_LINES: dict[str, tuple[bytes, str]] = {
    "text": (b"this is not json", "not JSON"),
    "half an object": (b'{"flow":{"verdict":', "not JSON"),
    "garbage after": (b'{"flow":{}} trailing {', "not JSON"),
    "another object": (b'{"level":"info","msg":"hello"}', "not a Hubble event"),
    "null": (b"null", "not a Hubble event"),
    "a number": (b" 42 ", "not a Hubble event"),
    "true": (b"true", "not a Hubble event"),
    "a string": (b'"flow"', "not a Hubble event"),
    "no number": (b"NaN", "not JSON"),
    "an agent's log line": (b'time=2026-11-18T09:30:00Z level=info msg="Starting"', "not JSON"),
    "NUL bytes": (b"\x00\x00\x00\x00", "not JSON"),
    "NUL inside": (b'{"flow":{"uuid":"a\x00b"}}', "not JSON"),
    "deep nesting": (b'{"flow":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
    "deep wrappers": (b'{"log":' * 50 + b"{}" + b"}" * 50, "wrapped too deeply"),
    "a wrapped text": (b'{"log":"no {json} here\\n","stream":"stdout","time":"x"}', "not JSON"),
    "a lone surrogate": (b'{"flow":{"uuid":"\\ud800"}}', "not JSON"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_counted_named_and_passed_over(name: str) -> None:
    """The flows around a bad line are read; the ledger says how many, why, and where the first were."""
    line, reason = BAD_LINES[name]
    source = opened(GOOD + line + b"\n" + lines(record(1)))
    assert 2 == read(source).num_rows
    assert (1, {reason: 1}) == (source.ledger.bad, source.ledger.sources("skipped"))
    assert source.ledger.named[0].startswith(f"stream:2: {reason}")
    assert len(source.ledger.named[0]) < 300


@pytest.mark.parametrize("name", BAD_LINES)
def test_strict_makes_the_first_bad_line_an_error_with_its_place(name: str) -> None:
    """With strict the message is file:line: reason, and nothing is read on."""
    line, reason = BAD_LINES[name]
    with pytest.raises(InputError, match=f"^stream:3: {reason}"):
        read(opened(GOOD + b"\n" + line + b"\n" + GOOD, strict=True))


def test_only_the_first_few_bad_lines_are_named_and_all_are_counted() -> None:
    """A thousand bad lines give a count of a thousand and a handful of names."""
    source = opened(GOOD + b"bad\n" * 1000)
    assert 1 == read(source).num_rows
    assert (1000, [f"stream:{line}: not JSON" for line in range(2, 7)]) == (
        source.ledger.bad,
        source.ledger.named,
    )


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_a_last_line_cut_short_is_told_as_a_cut_and_not_as_a_bad_line(cut: int) -> None:
    """An exporter killed while writing leaves half a line."""
    data = lines(record(0), record(1))
    source = opened(data[: -1 - cut])
    assert 1 == read(source).num_rows
    assert ({"stream": 1}, 0) == (source.ledger.sources("cut"), source.ledger.bad)
    assert ["stream:2: the last line is cut short"] == source.ledger.notes


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_without_an_end_is_told_as_a_cut(indent: int | None) -> None:
    """All whole members of a cut array are read."""
    data = json.dumps([record(number) for number in range(4)], indent=indent).encode()
    for cut in (1, 5, 200):
        source = opened(data[:-cut])
        read(source)
        assert source.ledger.flows == (4 if cut == 1 else 3)
        assert {"stream": 1} == source.ledger.sources("cut")
        assert 0 == source.ledger.bad


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_compressed_stream_cut_short_is_read_to_the_cut(compress: Any) -> None:
    """Everything before the cut is read, and the ledger says so."""
    data = lines(*(record(number, Summary=str(number) * 50) for number in range(2000)))
    stored = compress(data)
    source = opened(stored[: len(stored) // 2])
    count = read(source).num_rows
    assert 500 < count < 1900
    assert [*range(count)] == [int(one["uuid"][:8], 16) for one in read(opened(stored)).to_pylist()[:count]]
    assert source.ledger.sources("cut")["stream"] >= 1
    assert any("ends in the middle" in note for note in source.ledger.notes)


def test_a_gzip_member_with_a_wrong_checksum_is_told() -> None:
    """A corrupt member in the middle is an entry that names the place, and with strict an error."""
    first, second = bytearray(gzip.compress(lines(record(0)))), gzip.compress(lines(record(1)))
    first[-5] ^= 0xFF
    source = opened(bytes(first) + second)
    assert 1 == read(source).num_rows
    assert {"stream": 1} == source.ledger.sources("cut")
    assert source.ledger.notes[0].startswith("stream: corrupt gzip data before compressed byte")
    with pytest.raises(InputError, match=r"^stream: corrupt gzip data"):
        read(opened(bytes(first) + second, strict=True))


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_what_decompresses_to_far_more_comes_in_bounded_pieces(compress: Any) -> None:
    """A bomb of 100 MB of blanks is read a few megabytes at a time, and the flow before it is there."""
    stored = compress(GOOD + b" " * 100_000_000 + b"\n" + lines(record(1)))
    assert max(map(len, decompress(iter([stored])))) < 20_000_000
    assert len(stored) < 200_000
    source = opened(stored)
    assert 2 == read(source).num_rows
    assert ["stream:2: a line longer than 32 MiB"] == source.ledger.named


def test_garbage_after_a_gzip_member_is_told() -> None:
    """What follows a member and is no member is not passed over silently."""
    source = opened(gzip.compress(GOOD) + b"garbage that is no gzip")
    assert 1 == read(source).num_rows
    assert "bytes that are not gzip" in source.ledger.notes[0]


def test_invalid_utf8_is_replaced_and_told() -> None:
    """A flow with broken bytes in a text keeps everything else."""
    data = GOOD + lines(record(1, node_name="n-XX")).replace(b"XX", b"\xff\xfe") + lines(record(2))
    source = opened(data)
    assert [None, "n-��", None] == [
        name if name != "default/node-1" else None for name in read(source)["node_name"].to_pylist()
    ]
    assert {"bytes that are not UTF-8, replaced": 1} == source.ledger.sources("skipped")


def test_invalid_utf8_in_an_endpoint_does_not_lose_the_endpoint() -> None:
    """An endpoint's labels survive a broken byte in one of them."""
    source = opened(lines(record(0, source={**CLIENT, "namespace": "XX"})).replace(b"XX", b"\xff\xfe"))
    read(source)
    assert "k8s:app=web" in [label for one in source.endpoints.to_pylist() for label in one["labels"]]


@pytest.mark.parametrize(
    ("changes", "path", "column", "expected"),
    [
        ({"l4": {"TCP": {"source_port": 1, "destination_port": 99999}}}, "flow.l4", "verdict", "FORWARDED"),
        ({"event_type": {"type": "x"}}, "flow.event_type.type", "verdict", "FORWARDED"),
        ({"is_reply": "perhaps"}, "flow.is_reply", "is_reply", None),
        ({"IP": "10.0.0.1"}, "flow.IP", "source_ip", None),
        ({"uuid": 5}, "flow.uuid", "uuid", None),
        ({"l7": {"type": "REQUEST", "http": {"code": -1, "method": "GET"}}}, "flow.l7.http.code", "http_method", "GET"),
    ],
)  # fmt: skip
def test_a_field_of_a_wrong_type_is_left_out_and_told(
    changes: dict[str, Any], path: str, column: str, expected: object
) -> None:
    """What can be read of a flow is read; the field that cannot is named."""
    source = opened(lines(record(0, **changes)))
    (found,) = read(source).to_pylist()
    assert expected == found[column]
    (reason,) = source.ledger.sources("skipped")
    assert reason.startswith(f"field {path}")
    with pytest.raises(InputError, match=r"^stream:1: "):
        read(opened(lines(record(0, **changes)), strict=True))


def test_an_unknown_enumeration_name_is_unknown_and_told() -> None:
    """A verdict of a later Hubble does not refuse the line."""
    source = opened(lines(record(0, verdict="QUARANTINED"), record(1)))
    assert ["VERDICT_UNKNOWN", "FORWARDED"] == read(source)["verdict"].to_pylist()
    assert {"unknown verdict 'QUARANTINED'": 1} == source.ledger.sources("skipped")


@pytest.mark.parametrize(
    "time", ["yesterday", "2026-13-45T99:00:00Z", "9999-01-01T00:00:00Z", "2026-11-18", "", "0"]
)
def test_a_time_that_cannot_be_read_is_null_and_told(time: str) -> None:
    """The flow stays, without a time."""
    source = opened(lines({"flow": flow(0, time=time)}, record(1)))
    assert [True, False] == [value is None for value in read(source)["time"].to_pylist()]
    assert {"a time that cannot be read": 1} == source.ledger.sources("skipped")


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-18T11:30:00.000456789+02:00",
        "2026-11-18 09:30:00.000456789",
        "2026-11-18T09:30:00.000456789",
        {"seconds": INSTANT, "nanos": 456789},
        {"seconds": str(INSTANT), "nanos": 456789},
        INSTANT * 10**9 + 456789,
        str(INSTANT * 10**9 + 456789),
    ],
)
def test_times_in_other_spellings_are_the_same_instant(time: Any) -> None:
    """An offset, a blank for the T, no zone, protobuf's own message: the same nanosecond."""
    (found,) = read(opened(lines({"flow": flow(0, time=time)})))["time"].cast("int64").to_pylist()
    assert INSTANT * 10**9 + 456_789 == found


def test_a_line_longer_than_the_limit_is_dropped_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without end does not fill the memory, and the lines after it are read."""
    monkeypatch.setattr("flowmine.ingest.framing.LONGEST", 1 << 20)
    data = GOOD + b'{"flow":"' + b"x" * (3 << 20) + b'"}\n' + lines(record(1))
    source = opened(data)
    assert 2 == read(source).num_rows
    assert ["stream:2: a line longer than 1 MiB"] == source.ledger.named
    assert 32 << 20 == LONGEST


def test_a_value_longer_than_the_limit_is_dropped_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in an array, where values have no line ends."""
    monkeypatch.setattr("flowmine.ingest.brackets.LONGEST", 1 << 20)
    data = json.dumps([record(0), {"flow": "x" * (3 << 20)}, record(1)]).encode()
    source = opened(data)
    assert 2 == read(source).num_rows
    assert ["stream:1: a value longer than 1 MiB"] == source.ledger.named


def test_text_between_the_values_of_an_array_is_told() -> None:
    """Garbage between members does not disturb the others, even with a stray quote in it."""
    data = b"[\n" + lines(record(0))[:-1] + b',\nit"s garbage\n' + lines(record(1))[:-1] + b"\n]\n"
    source = opened(data)
    assert 2 == read(source).num_rows
    assert ["stream:3: not JSON"] == source.ledger.named


def test_objects_after_one_that_never_ends_are_saved() -> None:
    """A pretty-printed object cut in the middle of a file costs itself and not those after it."""
    whole = [json.dumps(record(number), indent=2).encode() for number in range(4)]
    source = opened(whole[0] + b"\n" + whole[1][:400] + b"\n" + whole[2] + b"\n" + whole[3] + b"\n")
    assert [0, 2, 3] == [int(one["uuid"][:8], 16) for one in read(source).to_pylist()]
    assert 1 == source.ledger.bad


REFUSED: dict[str, tuple[bytes, str]] = {
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "binary data"),
    "Parquet": (b"PAR1" + bytes(100), "Parquet"),
    "zip": (b"PK\x03\x04" + bytes(100), "unpack it"),
    "tar": (bytes(257) + b"ustar\x0000" + bytes(300), "unpack it"),
    "pcap": (b"\xd4\xc3\xb2\xa1" + bytes(100), "packet capture"),
    "prose": (b"Dear reader,\nthis is a letter.\n", "not a capture"),
    "YAML": (b"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n", "not a capture"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_capture_is_an_error_that_says_what_it_is(name: str, tmp_path: Path) -> None:
    """A wrong file is refused in one sentence with its name."""
    data, reason = REFUSED[name]
    path = tmp_path / "wrong"
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"wrong: .*{reason}"):
        open_flows(path)


@pytest.mark.parametrize("data", [b'{"kind":"List","items":[]}', b"[1,2,3]", b'{\n  "a": 1\n}\n', b'"x"\n'])
def test_json_without_any_event_is_an_error(data: bytes) -> None:
    """JSON of something else gives no silently empty answer."""
    with pytest.raises(InputError, match=r"no Hubble event|not a capture"):
        read(opened(data))


@pytest.mark.parametrize(
    "data", [b"", b"\n", b" \r\n\n", b"\xef\xbb\xbf", gzip.compress(b""), b"[]", b"[ ]\n", b"{"]
)
def test_an_empty_input_gives_no_flows_and_a_note(data: bytes) -> None:
    """Nothing in, nothing out, and it is said."""
    source = opened(data)
    assert 0 == read(source).num_rows
    assert "stream: no event in it" == source.ledger.notes[-1]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_is_survived(data: st.DataObject) -> None:
    """Bytes cut out, changed or put in never raise anything but an error of flowmine's, and lose only what they hit."""
    whole = bytearray(lines(*(record(number) for number in range(6))))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(whole) - 1))
        noise = data.draw(st.binary(min_size=0, max_size=5))
        whole[place : place + data.draw(st.integers(0, 5))] = noise
    try:
        source = opened(bytes(whole), dedup=False)
        count = read(source).num_rows
    except FlowmineError:  # such as a beginning that looks compressed
        return
    assert 3 <= count + source.ledger.bad + source.ledger.total("cut")
    assert count <= 9


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_survived(data: bytes) -> None:
    """No input at all ends in anything but flows or an error of flowmine's."""
    try:
        read(opened(data))
    except FlowmineError:
        return


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(sorted(flow())) | st.text(max_size=5), inner, max_size=6)
        ),
        max_leaves=20,
    )
)
def test_any_json_in_place_of_a_flow_is_survived(value: Any) -> None:
    """A flow whose fields hold anything is read as far as it goes, or told."""
    try:
        source = opened(lines({"flow": value}, record(1), record(2)))
        assert read(source).num_rows in (2, 3)
    except InputError:
        pytest.fail("a bad line must not be an error without strict")


def test_zlib_streams_are_not_mistaken_for_captures() -> None:
    """Raw zlib data, which has no magic number, is refused as binary or as no capture."""
    with pytest.raises(InputError):
        read(opened(zlib.compress(GOOD * 50)))


def test_rows_of_a_good_line_are_unharmed_by_its_neighbours() -> None:
    """The same flow gives the same row, alone or among bad lines."""
    assert row() == rows(b"x\n" + GOOD + b'{"flow":5}\n' + BAD_LINES["deep nesting"][0] + b"\n")[0]
