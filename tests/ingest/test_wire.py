"""Serialized events become the FLOWS, endpoints and ledger that their JSON becomes."""

import base64
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine.errors import InputError, UsageError
from flowmine.ingest import open_flows
from flowmine.ingest.pb.observer_pb2 import ExportEvent, GetFlowsResponse
from flowmine.ingest.pb.pool import POOL
from flowmine.ingest.wire import Decoder, record
from flowmine.ledger import Ledger
from flowmine.schema import FLOWS, check
from tests.ingest.making import CLIENT, flow, lines, opened

WIRE = Path(__file__).parents[3] / "shared" / "wire"
needs_wire = pytest.mark.skipif(not WIRE.is_dir(), reason="../shared/wire, golden wire data, is not here")


def frame(flow: dict[str, Any] | None = None, **outer: Any) -> bytes:
    """Return the serialized response of a flow, or of another event, as the agent sends it."""
    told = {"flow": flow} if flow is not None else {}
    made: bytes = ParseDict({**told, **outer}, ExportEvent(), descriptor_pool=POOL).SerializeToString()
    return made


def decoded(frames: list[bytes], **options: Any) -> tuple[pa.Table, Decoder]:
    """Return the flows of some messages, and what decoded them."""
    decoder = Decoder("stream", Ledger(), **options)
    table = pa.Table.from_batches([decoder.batch(frames)])
    decoder.end()
    return table, decoder


def golden() -> list[bytes]:
    """Return the golden messages."""
    return [base64.b64decode(line) for line in (WIRE / "flows.bin.b64").read_text().split()]


@needs_wire
def test_golden_messages_are_their_json() -> None:
    """Every golden message gives the row, endpoints, pods and ledger entries that its JSON line gives."""
    source = open_flows(WIRE / "flows.in.jsonl", dedup=False)
    expected = pa.Table.from_batches(source.batches())
    actual, decoder = decoded(golden())
    assert expected.num_rows == 331
    for column in FLOWS.names:
        assert expected[column].to_pylist() == actual[column].to_pylist(), column
    check(actual, FLOWS, "wire")
    assert source.endpoints == decoder.endpoints.table()
    assert source.pods == decoder.endpoints.pods()
    assert source.ledger.entries == decoder.ledger.entries
    assert source.ledger.versions == decoder.ledger.versions


@needs_wire
@pytest.mark.parametrize("name", FLOWS.names)
def test_one_column_alone_is_the_same(name: str) -> None:
    """A column asked for alone is the one of all columns."""
    whole, _ = decoded(golden())
    alone, _ = decoded(golden(), columns=[name])
    assert whole.select([name]) == alone


@needs_wire
@pytest.mark.parametrize("size", [1, 7, 100])
def test_batches_of_any_size_are_the_same(size: int) -> None:
    """However the stream is cut into batches, the rows, endpoints and ledger are the same."""
    frames = golden()
    expected, whole = decoded(frames)
    decoder = Decoder("stream", Ledger())
    batches = [decoder.batch(frames[at : at + size]) for at in range(0, len(frames), size)]
    decoder.end()
    actual = pa.Table.from_batches(batches).combine_chunks()
    assert expected.to_pylist() == actual.to_pylist()
    assert whole.endpoints.table() == decoder.endpoints.table()
    assert whole.ledger == decoder.ledger


@needs_wire
def test_records_are_the_json_lines() -> None:
    """A message's canonical record is its JSON line."""
    lines = (WIRE / "flows.in.jsonl").read_text().splitlines()
    for line, message in zip(lines, golden(), strict=True):
        assert json.loads(line) == record(message)


def test_flows_of_more_than_a_chunk() -> None:
    """More messages than are scanned at once come out in order."""
    frames = [frame(flow(number)) for number in range(10)] * 2000
    table, _ = decoded(frames)
    assert 20_000 == table.num_rows
    assert table["uuid"].to_pylist() == [flow(number)["uuid"] for number in range(10)] * 2000


def test_no_message_at_all() -> None:
    """No message gives no row, with all columns."""
    table, decoder = decoded([])
    assert (0, FLOWS) == (table.num_rows, table.schema)
    assert {} == decoder.ledger.entries


def test_node_and_time_come_from_the_response_where_the_flow_has_none() -> None:
    """A flow without node and time has the response's."""
    outer = {"node_name": "prod/node-7", "time": "2026-11-18T09:30:12.000000001Z"}
    bare = flow(3, time=None, node_name=None)
    table, _ = decoded([frame(bare, **outer), frame(flow(4), **outer), frame(bare)])
    assert ["prod/node-7", "default/node-1", None] == table["node_name"].to_pylist()
    expected = [1794994212000000001, None]
    assert expected == [table["time"].cast(pa.int64())[place].as_py() for place in (0, 2)]


def test_an_event_of_an_unknown_kind_is_told() -> None:
    """A response that holds nothing known is counted in the ledger, with its node."""
    _, decoder = decoded([frame(node_name="default/n")])
    assert {"an event of an unknown kind": 1} == decoder.ledger.sources("skipped")
    assert ("default/n", "skipped", "an event of an unknown kind") in decoder.ledger.entries


def test_agent_and_debug_events_of_an_export_are_told() -> None:
    """An exporter's agent and debug events are counted and are no flows."""
    agent = {"type": "AGENT_STARTED", "agent_start": {"time": "2026-11-18T09:30:12Z"}}
    frames = [frame(agent_event=agent), frame(debug_event={"type": "DBG_GENERIC"}), frame(flow(1))]
    table, decoder = decoded(frames)
    assert 1 == table.num_rows
    assert {"agent_event": 1, "debug_event": 1} == decoder.ledger.sources("skipped")


def test_what_is_no_message_is_skipped_and_told() -> None:
    """Garbage costs itself only, and is named by its place in the stream."""
    table, decoder = decoded(
        [frame(flow(1)), b"garbage!", frame(flow(2)), frame(flow(3))[:-20], frame(flow(4))]
    )
    assert [flow(number)["uuid"] for number in (1, 2, 4)] == table["uuid"].to_pylist()
    assert 2 == decoder.ledger.bad
    expected = ["stream:2: not a message of Hubble's", "stream:4: not a message of Hubble's"]
    assert expected == decoder.ledger.named


def test_strict_makes_it_an_error() -> None:
    """With strict the first message that cannot be read is an error that says which."""
    with pytest.raises(InputError, match=r"^stream:2: not a message of Hubble's$"):
        decoded([frame(flow(1)), b"garbage!"], strict=True)


def test_numbers_that_cannot_be_are_left_out_and_told() -> None:
    """A port, type or code that its field cannot hold is null, and told."""
    strange = flow(
        1, l4={"TCP": {"source_port": 70_000, "destination_port": 443}}, event_type={"type": 99_999}
    )
    table, decoder = decoded([frame(strange)])
    assert (None, 443) == (table["source_port"][0].as_py(), table["destination_port"][0].as_py())
    assert 0 == table["event_type"][0].as_py()
    expected = {
        "field l4 source_port: 70000 is out of range": 1,
        "field event_type.type: 99999 is out of range": 1,
    }
    assert expected == decoder.ledger.sources("skipped")


def test_broken_text_is_refused_as_protobuf_refuses_it() -> None:
    """A message with a text that is no UTF-8 is no message."""
    broken = frame(flow(1)).replace(b"40000456789Z", b"x").replace(b"10.244.1.21", b"\xff" * 11)
    table, decoder = decoded([broken, frame(flow(2))])
    assert (1, 1) == (table.num_rows, decoder.ledger.bad)


def merged(*parts: dict[str, Any]) -> bytes:
    """Return a flow's message given in several pieces, which protobuf merges."""
    return b"".join(frame(part) for part in parts)


def test_a_flow_in_pieces_is_merged() -> None:
    """Fields given twice, and a flow in two pieces, are merged as protobuf merges them."""
    first = flow(1, l4=None, source={"identity": 7, "labels": ["k8s:a=b"]})
    second = {"l4": {"UDP": {"destination_port": 53}}, "source": {"namespace": "shop"}, "verdict": "DROPPED"}
    pieces = [merged(first, second)]
    whole = [GetFlowsResponse.FromString(pieces[0]).SerializeToString()]
    assert decoded(whole)[0] == decoded(pieces)[0]
    assert ["DROPPED"] == decoded(pieces)[0]["verdict"].to_pylist()


def test_unknown_fields_of_any_kind_are_passed_over() -> None:
    """Fields of a later Hubble, of every wire type, groups too, change nothing."""
    later = [
        bytes([0xF8, 0x3F, 0x05]),  # field 1023, a number
        bytes([0xF9, 0x3F]) + bytes(8),  # 64 bits
        bytes([0xFD, 0x3F]) + bytes(4),  # 32 bits
        bytes([0xFA, 0x3F, 0x03]) + b"abc",  # bytes
        bytes([0xFB, 0x3F, 0x08, 0x01, 0xFC, 0x3F]),  # a group
        bytes([0xF8, 0xFF, 0xFF, 0xFF, 0x0F, 0x01]),  # the largest field number there is
    ]
    plain = frame(flow(1))
    expected, _ = decoded([plain])
    for extra in later:
        inside = GetFlowsResponse.FromString(plain).flow.SerializeToString() + extra
        within = b"\x0a" + bytes([len(inside) & 127 | 128, len(inside) >> 7]) + inside
        for message in (plain + extra, extra + plain, within):
            actual, decoder = decoded([message])
            assert expected == actual
            assert 0 == decoder.ledger.bad


def test_a_message_of_thousands_of_fields() -> None:
    """A message of more fields than any flow has is refused, told, and takes none with it."""
    many = frame(flow(1)) + bytes([0xF8, 0x3F, 0x05]) * 5000
    table, decoder = decoded([frame(flow(2)), many + b"\x0a\x00"])
    assert 1 <= table.num_rows <= 2
    flood = frame(flow(3, node_labels=["a=b"] * 5000))
    table, decoder = decoded([flood, frame(flow(4))])
    assert [flow(4)["uuid"]] == table["uuid"].to_pylist()
    assert ["stream:2: a message of too many fields"] == decoder.ledger.named


def test_endpoints_are_those_of_json() -> None:
    """An endpoint has one id whether it comes as JSON or serialized."""
    made = [flow(number, source={**CLIENT, "pod_name": f"web-{number % 3}"}) for number in range(9)]
    source = opened(lines(*({"flow": one} for one in made)))
    expected = pa.Table.from_batches(source.batches())
    actual, decoder = decoded([frame(one) for one in made])
    assert expected["source"].to_pylist() == actual["source"].to_pylist()
    assert source.endpoints == decoder.endpoints.table()
    assert source.pods == decoder.endpoints.pods()


def test_queries_of_paths_are_kept_only_when_asked() -> None:
    """A path's query stays out, unless it is asked for."""
    http = {"code": 200, "method": "GET", "url": "http://api.shop/v1?token=secret"}
    frames = [frame(flow(1, l7={"type": "RESPONSE", "http": http}))]
    assert ["/v1?"] == decoded(frames)[0]["http_path"].to_pylist()
    assert ["/v1?token=secret"] == decoded(frames, keep_query=True)[0]["http_path"].to_pylist()


def test_an_unknown_column_is_refused() -> None:
    """A column that FLOWS does not have is an error that names it."""
    with pytest.raises(UsageError, match="no such column of FLOWS: colour"):
        Decoder("stream", Ledger(), columns=["colour"])


def test_what_is_no_message_has_no_record() -> None:
    """Asking for the record of garbage is an error."""
    with pytest.raises(InputError, match="not a message of Hubble's"):
        record(b"garbage!")


SEEDS = [
    frame(flow(1)),
    frame(flow(2, l7={"type": "REQUEST", "dns": {"query": "a.example.", "ips": ["1.1.1.1", "1.0.0.1"]}})),
    frame(flow(3, node_labels=["a=b", "c=d"], destination_names=["x.example", "y.example"], is_reply=True)),
    frame(
        flow(
            4,
            verdict="DROPPED",
            drop_reason_desc="POLICY_DENY",
            egress_denied_by=[{"name": "p", "kind": "K"}],
        )
    ),
    frame(lost_events={"source": "HUBBLE_RING_BUFFER", "num_events_lost": "7"}),
]


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(SEEDS) - 1), st.integers(0, 2**32), st.integers(1, 4))
def test_damaged_messages_are_read_as_protobuf_reads_them(seed: int, chance: int, times: int) -> None:
    """Whatever is done to the bytes, what protobuf still reads gives the row that its own writing of it gives."""
    dice = random.Random(chance)
    damaged = bytearray(SEEDS[seed])
    for _ in range(times):
        place = dice.randrange(len(damaged))
        how = dice.randrange(3)
        if how == 0:
            damaged[place] = dice.randrange(256)
        elif how == 1:
            del damaged[place : place + dice.randrange(1, 5)]
        else:
            damaged[place:place] = dice.randbytes(dice.randrange(1, 5))
        damaged = damaged or bytearray(b"\x00")
    actual, decoder = decoded([bytes(damaged)])
    try:
        event = ExportEvent.FromString(bytes(damaged))
    except DecodeError:
        return
    event.DiscardUnknownFields()
    expected, usual = decoded([event.SerializeToString()])
    assert expected.to_pylist() == actual.to_pylist()
    assert (usual.ledger.bad, usual.ledger.entries) == (decoder.ledger.bad, decoder.ledger.entries)
