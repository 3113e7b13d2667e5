"""Streams from a live server: the same flows as from a file, through every failure, each event once, no silent hole."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pyarrow as pa
import pytest

from flowmine.errors import InputError
from flowmine.ingest import open_flows
from flowmine.ingest.filters import FlowFilter, Selection, matcher
from flowmine.ingest.relay import Marks, Relay, Server, Timing, open_relay
from flowmine.ingest.relay.request import MASKS
from flowmine.ingest.relay.session import Session
from flowmine.ingest.replay import Capture, Fault, Pace, Replay
from flowmine.schema import FLOWS
from tests.ingest.making import flow, lines, record
from tests.ingest.relaying import QUICK, events, read_until, relay, stamp, uuids

SECOND = 10**9


def expected(count: int) -> list[str]:
    """The uuids of so many events."""
    return [flow(number)["uuid"] for number in range(count)]


def gaps(source: Relay) -> list[tuple[str, int | None, int | None]]:
    """The gaps of a reading: node, first, last."""
    return [
        (node, entry.first, entry.last)
        for (node, kind, _), entry in sorted(source.ledger.entries.items())
        if kind == "gap"
    ]


def test_a_server_gives_what_the_file_gives(tmp_path: Any) -> None:
    """Flows, endpoints and pods from a server are those of its capture, column by column."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(*(record(number, time=stamp(number)) for number in range(300))))
    file = open_flows(path)
    wanted = pa.Table.from_batches(file.batches(), FLOWS)
    with Replay(open_flows(path)) as server:
        live = relay(server.address)
        found = pa.Table.from_batches(live.batches(), FLOWS)
    assert found.equals(wanted)
    assert live.endpoints.equals(file.endpoints)
    assert live.pods.equals(file.pods)
    assert (live.ledger.flows, live.ledger.window, live.ledger.complete) == (
        file.ledger.flows, file.ledger.window, True,
    )  # fmt: skip


def test_records_are_those_of_the_file(tmp_path: Any) -> None:
    """Events as records have the form that a file's have, lost events and node status among them."""
    path = tmp_path / "a.jsonl"
    lost = {
        "lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "7"},
        "node_name": "default/node-1",
    }
    path.write_bytes(lines(record(0), {**lost, "time": "2026-11-18T09:30:00.010456789Z"}, record(2)))
    wanted = [record for _, record, _ in open_flows(path).records()]
    with Replay(open_flows(path)) as server:
        live = relay(server.address)
        found = [record for _, record, _ in live.records() if "node_status" not in record]
    assert found == wanted
    assert live.ledger.total("lost") == 7


@pytest.mark.parametrize(
    "selection",
    [
        Selection(allow=(FlowFilter(source_port=("40003", "40007")),)),
        Selection(deny=(FlowFilter(node_name=("default/node-1",)),)),
        Selection(allow=(FlowFilter(verdict=("DROPPED",)), FlowFilter(source_label=("app=web",)))),
        Selection(since=1_794_992_402 * SECOND, until=1_794_992_405 * SECOND),
    ],
)
def test_filters_select_what_they_select_of_a_file(selection: Selection) -> None:
    """The server is sent the filters and the window, and gives what a file would have given."""
    capture = [
        record(number, time=stamp(number), node_name=f"default/node-{number % 2}") for number in range(200)
    ]
    wanted = [one["flow"]["uuid"] for one in capture if matcher(selection)(one)]
    with Replay(Capture(capture)) as server:
        assert uuids(relay(server.address, selection=selection)) == wanted


def test_first_and_last_are_of_each_node() -> None:
    """As Hubble counts: so many of every node."""
    with Replay(events(20)) as server:
        assert uuids(relay(server.address, selection=Selection(first=2))) == expected(4)
        assert uuids(relay(server.address, selection=Selection(last=2))) == expected(20)[-4:]


def test_only_needed_fields_are_asked_for_and_made() -> None:
    """The request's mask follows the columns, and so do the batches."""
    with Replay(events(3)) as server:
        source = relay(server.address, columns=["verdict", "source_port"])
        batches = list(source.batches())
        asked = list(server.requests[0].field_mask.paths)
    assert source.schema.names == ["verdict", "source_port"]
    assert [name for batch in batches for name in batch.schema.names] == ["verdict", "source_port"]
    assert asked == list(MASKS[0]({"verdict", "source_port"}))


def test_the_server_is_asked_who_it_is() -> None:
    """What is shown at the start comes from ServerStatus and GetNodes."""
    with Replay(events(20, nodes=3)) as server:
        source = relay(server.address)
        told = list(source.status.sentences("relay"))
        names = [node.name for node in source.status.nodes]
        assert uuids(source) == expected(20)
        assert source.counts.connections == 1
    assert told[0].endswith("3 nodes, 20 of at most 20 flows held")
    assert names == ["default/node-0", "default/node-1", "default/node-2"]


@pytest.mark.parametrize("kind", ["drop", "stall", "nonsense", "refuse", "end"])
def test_a_stream_goes_on_after_a_failure(kind: str) -> None:
    """Whatever breaks in the middle, every event comes once, nothing is missing, and the failure is told."""
    with Replay(events(1200), pace=Pace(rate=1500), faults=[Fault(kind, 500)]) as server:
        source = relay(server.address, follow=True, tick=0.05)
        assert sorted(read_until(source, 1200)) == sorted(expected(1200))
    assert source.counts.reconnects == 1
    assert (source.ledger.total("reconnect"), gaps(source)) == (1, [])


@pytest.mark.parametrize("kind", ["drop", "refuse", "nonsense"])
def test_a_stream_with_an_end_survives_a_failure(kind: str) -> None:
    """What is read to its end is asked for again as well, and counted once."""
    with Replay(events(1200), faults=[Fault(kind, 700)]) as server:
        source = relay(server.address)
        assert sorted(uuids(source)) == sorted(expected(1200))
    assert gaps(source) == []


def test_garbage_among_events_is_skipped_and_told() -> None:
    """A message that is no event costs nothing but itself; with strict it is an error."""
    with Replay(events(100), faults=[Fault("garbage", 50)]) as server:
        source = relay(server.address)
        assert uuids(source) == expected(100)
        assert (source.ledger.bad, source.counts.reconnects) == (1, 0)
    with Replay(events(100), faults=[Fault("garbage", 50)]) as server, pytest.raises(InputError):
        uuids(relay(server.address, strict=True))


def test_a_server_that_begins_anew_leaves_a_gap_with_both_ends() -> None:
    """After a restart with empty rings each node's hole is told, from its last event to its next one."""
    with Replay(events(1500), pace=Pace(rate=1500), faults=[Fault("restart", 600)]) as server:
        source = relay(server.address, follow=True, tick=0.05, lasting=2.0, marks=Marks(disorder=SECOND // 5))
        found = set(uuids(source))
    missing = [number for number, uuid in enumerate(expected(1500)) if uuid not in found]
    told = {node: (first, last) for node, first, last in gaps(source)}
    assert set(told) <= {"default/node-0", "default/node-1"}
    for number in missing:
        first, last = told[f"default/node-{number % 2}"]
        moment = 1_794_992_400 * SECOND + number * SECOND // 20
        assert (first or 0) < moment < (last or 0)


def test_a_node_that_relay_lost_is_made_up_for() -> None:
    """What a node kept while relay did not hear it is asked for when it is back: nothing is missing."""
    faults = [Fault("lose", 400, "default/node-1"), Fault("regain", 700, "default/node-1")]
    with Replay(events(1500), pace=Pace(rate=1500), faults=faults) as server:
        source = relay(server.address, follow=True, tick=0.05)
        assert sorted(read_until(source, 1500)) == sorted(expected(1500))
    assert gaps(source) == []


def test_a_node_that_stays_away_has_a_gap_up_to_the_end() -> None:
    """A node that never comes back is told with the time of its last event."""
    with Replay(events(600), pace=Pace(rate=1500), faults=[Fault("lose", 300, "default/node-1")]) as server:
        source = relay(server.address, follow=True, lasting=1.0)
        found = uuids(source)
    last = max(number for number in range(1, 600, 2) if expected(600)[number] in found)
    ((node, first, _),) = gaps(source)
    assert (node, first) == ("default/node-1", 1_794_992_400 * SECOND + last * SECOND // 20)


def test_a_reading_goes_on_where_another_ended() -> None:
    """With the cursors of the batches that were yielded, another program goes on without gap or double count."""
    with Replay(events(1000), pace=Pace(rate=1000)) as server:
        first = relay(server.address, follow=True, tick=0.02)
        before: list[str] = []
        cursors: dict[str, tuple[int, int]] = {}
        for batch in first.batches():
            before += batch.column("uuid").to_pylist()
            cursors = first.cursors
            if len(before) > 300:
                break
        first.stop()
        second = relay(server.address, follow=True, tick=0.02, resume=cursors)
        after = read_until(second, 1000 - len(before))
    assert sorted(before + after) == sorted(expected(1000))
    assert gaps(second) == []


def test_a_slow_reader_holds_the_server_back() -> None:
    """Unread events wait at the server: their number here is bounded, and the waiting is counted."""
    with Replay(events(1000), pace=Pace(repeat=100)) as server:
        source = relay(server.address, batch_rows=1)
        batches = source.batches()
        next(batches)
        ahead = -1
        while ahead != (ahead := server.sent):
            threading.Event().wait(0.5)
        rows = sum(batch.num_rows for batch in batches)
    assert ahead < 60_000
    assert rows > 0
    assert source.counts.throttled > 0
    assert source.ledger.total("backpressure") == source.counts.throttled


def test_waiting_for_events_is_told_in_empty_batches() -> None:
    """With a tick a silent stream yields something now and then, so that its reader can see to other things."""
    with Replay(events(10)) as server:
        source = relay(server.address, follow=True, tick=0.05, lasting=0.6, selection=Selection(last=1))
        sizes = [batch.num_rows for batch in source.batches()]
    assert (sum(sizes), sizes.count(0) > 2) == (2, True)


def test_a_followed_stream_ends_when_told_to() -> None:
    """Stopped from another thread, it yields what it has and is complete."""
    with Replay(events(10)) as server:
        source = relay(server.address, follow=True, selection=Selection(last=5))
        threading.Timer(0.5, source.stop).start()
        assert uuids(source) == expected(10)
    assert source.ledger.complete


def test_waits_grow_and_differ() -> None:
    """Each attempt waits up to twice as long as the one before, at least half of that, never longer than the longest."""
    timing = Timing(first_wait=1.0, longest_wait=10.0)
    assert [timing.wait(attempt, 1.0) for attempt in range(6)] == [1, 2, 4, 8, 10, 10]
    assert [timing.wait(attempt, 0.0) for attempt in range(6)] == [0.5, 1, 2, 4, 5, 5]
    assert timing.wait(10_000, 1.0) == 10.0


def test_an_end_that_never_comes_is_given_up() -> None:
    """A stream with an end that fails every time is an error after some attempts."""
    faults = [Fault("refuse", 0)] * 20
    with Replay(events(10), faults=faults) as server, pytest.raises(InputError, match="it is not ready"):
        uuids(relay(server.address))


class Picky:
    """A server of an older Cilium, which knows no mask with new fields, or none at all."""

    def __init__(self, frames: list[bytes], refused: Callable[[Any], str | None]) -> None:
        """Serve frames to whoever asks for what is not refused."""
        self.frames, self.refused = frames, refused
        self.masks: list[list[str]] = []

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve within the block; yield the address."""
        from concurrent.futures import ThreadPoolExecutor

        from flowmine.ingest.pb import observer_pb2

        def flows(request: bytes, context: Any) -> Iterator[bytes]:
            asked = observer_pb2.GetFlowsRequest.FromString(request)
            self.masks.append(list(asked.field_mask.paths))
            words = self.refused(asked)
            if words is not None:
                context.abort(grpc.StatusCode.UNKNOWN, words)
            yield from self.frames

        def status(_request: bytes, _context: Any) -> bytes:
            made: bytes = observer_pb2.ServerStatusResponse(max_flows=4095, num_flows=7).SerializeToString()
            return made

        handlers = {
            "GetFlows": grpc.unary_stream_rpc_method_handler(flows),
            "ServerStatus": grpc.unary_unary_rpc_method_handler(status),
        }
        server = grpc.server(ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("observer.Observer", handlers),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()


def frames(count: int) -> list[bytes]:
    """Serialized events, a hundred to a message's worth of bytes each."""
    from google.protobuf.json_format import ParseDict

    from flowmine.ingest.pb.observer_pb2 import GetFlowsResponse
    from flowmine.ingest.pb.pool import POOL

    return [
        ParseDict(
            record(number, time=stamp(number)), GetFlowsResponse(), descriptor_pool=POOL
        ).SerializeToString()
        for number in range(count)
    ]


def test_a_server_without_nodes_is_read() -> None:
    """A server without GetNodes, as an agent's own Hubble is, is understood."""
    with Picky(frames(5000), lambda _: None).serving() as address:
        source = relay(address)
        assert uuids(source) == expected(5000)
    assert list(source.status.sentences("it")) == [
        "it: Hubble, of no told version (before 1.14), 7 of at most 4,095 flows held"
    ]


def test_a_field_mask_that_is_not_known_is_asked_for_otherwise() -> None:
    """A server that knows fewer fields, or no mask, refuses the request: it is asked with fewer, then without."""

    def refused(asked: Any) -> str | None:
        return "invalid fieldmask" if asked.field_mask.paths else None

    picky = Picky(frames(10), refused)
    with picky.serving() as address:
        source = relay(address)
        assert uuids(source) == expected(10)
    columns = set(FLOWS.names)
    assert picky.masks == [list(mask(columns)) for mask in MASKS]


def test_a_node_behind_relay_that_does_not_know_the_mask() -> None:
    """Relay tells of its node's refusal as a node error: the stream is asked for again with fewer fields."""
    from flowmine.ingest.pb.observer_pb2 import GetFlowsResponse
    from flowmine.ingest.pb.relay_pb2 import NodeState

    status = GetFlowsResponse(node_name="relay")
    status.node_status.state_change = NodeState.Value("NODE_ERROR")
    status.node_status.node_names.append("default/node-1")
    status.node_status.message = "invalid fieldmask"

    class Old(Picky):
        """A relay whose node answers with an error in the stream."""

    old = Old([], lambda _: None)

    def refused(asked: Any) -> str | None:
        old.frames = [status.SerializeToString()] if "aggregate" in asked.field_mask.paths else frames(10)
        return None

    old.refused = refused
    with old.serving() as address:
        assert uuids(relay(address)) == expected(10)
    assert ["aggregate" in mask for mask in old.masks] == [True, False]


def test_nodes_that_come_back_are_seen_to() -> None:
    """A node whose agent restarted is asked anew, for relay may have ceased to ask it."""
    from flowmine.ingest.relay.status import Node

    before = Node("a", "1.19", "10.0.0.1", connected=True, uptime=100)
    assert not Node("a", "1.19", "10.0.0.1", connected=True, uptime=200).came_back(before)
    assert Node("a", "1.19", "10.0.0.1", connected=True, uptime=50).came_back(before)
    assert Node("a", "1.19", "10.0.0.2", connected=True, uptime=200).came_back(before)
    assert not Node("a", "1.19", "10.0.0.1", connected=False, uptime=0).came_back(before)
    away = Node("a", "1.19", "10.0.0.1", connected=False, uptime=0)
    assert Node("a", "1.19", "10.0.0.1", connected=True, uptime=300).came_back(away)


def test_every_uuid_is_counted_once_over_many_failures() -> None:
    """A dozen failures of all kinds in one reading: no event twice, and none missing."""
    kinds = ["drop", "nonsense", "refuse", "end"] * 3
    faults = [Fault(kind, 150 * (place + 1)) for place, kind in enumerate(kinds)]
    with Replay(events(3000, nodes=5), pace=Pace(rate=1500), faults=faults) as server:
        source = relay(server.address, follow=True, tick=0.05)
        counts = Counter(read_until(source, 3000))
    assert (set(counts), max(counts.values())) == (set(expected(3000)), 1)
    assert (gaps(source), source.counts.reconnects) == ([], 12)


def test_a_session_that_is_stopped_does_not_wait() -> None:
    """Stopped while it waits for the next attempt, a session ends at once."""
    timing = Timing(connect=0.2, first_wait=60.0, longest_wait=60.0)
    session = Session(
        Server("127.0.0.1:1"), lambda: b"", follow=True, timing=timing, patient=True, chance=lambda: 1.0
    )
    threading.Timer(0.3, session.stop).start()
    assert len(list(session.events())) == 1


def test_unknown_columns_are_refused() -> None:
    """A column that FLOWS does not have is an error before anything is asked."""
    from flowmine.errors import UsageError

    with pytest.raises(UsageError, match="no such column of FLOWS: colour"):
        open_relay(Server("127.0.0.1:1"), columns=["colour"])
    assert QUICK.attempts == 3
