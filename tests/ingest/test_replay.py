"""The replay server answers as Hubble's own servers do: asked over real sockets by gRPC's own client."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from flowmine.errors import InputError, UsageError
from flowmine.ingest.filters import Selection, flow_filters, matcher
from flowmine.ingest.pb import health_pb2, observer_pb2
from flowmine.ingest.pb.observer_pb2 import (
    GetAgentEventsRequest,
    GetFlowsRequest,
    GetFlowsResponse,
    GetNamespacesRequest,
    GetNodesRequest,
    ServerStatusRequest,
)
from flowmine.ingest.replay import Capture, Fault, Pace, Replay
from flowmine.ingest.replay.encode import encoded
from flowmine.ingest.wire import record
from tests.ingest.making import flow, lines, opened

NODES = ("default/node-1", "default/node-2")
SECONDS = 10.0


def events(count: int = 30, **changes: Any) -> list[dict[str, Any]]:
    """Return flows of two nodes in turn, a hundredth of a second apart."""
    made = [flow(number, **{"node_name": NODES[number % 2], **changes}) for number in range(count)]
    return [{"flow": one, "node_name": one["node_name"], "time": one["time"]} for one in made]


LOST = {
    "lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "12"},
    "node_name": NODES[0],
    "time": "2026-11-18T09:30:00.105Z",
}


def dialled(server: Replay) -> Any:
    """Return a channel with a connection of its own."""
    return grpc.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)])


@contextmanager
def served(records: list[dict[str, Any]] | None = None, **options: Any) -> Iterator[tuple[Replay, Any]]:
    """Serve records; give the server, and a channel to it."""
    with (
        Replay(Capture(records or events()), **options) as server,
        dialled(server) as channel,
    ):
        yield server, channel


def ask(channel: Any, service: Any, name: str, request: Any, seconds: float = SECONDS) -> Any:
    """Call a method; return its answer, or the iterator of its answers."""
    method = service[name]
    kind = channel.unary_stream if method.streams else channel.unary_unary
    call = kind(
        method.path,
        request_serializer=method.request.SerializeToString,
        response_deserializer=method.response.FromString,
    )
    return call(request, timeout=seconds)


def flows(channel: Any, **asked: Any) -> list[Any]:
    """Return the responses to a request for flows, node statuses apart."""
    answers = ask(channel, observer_pb2.Observer, "GetFlows", request(**asked))
    return [one for one in answers if not one.HasField("node_status")]


def request(
    since: str = "",
    until: str = "",
    allow: str = "",
    deny: str = "",
    mask: tuple[str, ...] = (),
    **asked: Any,
) -> Any:
    """Return a request for flows; filters are JSON."""
    from google.protobuf.json_format import ParseDict

    bounds = {key: value for key, value in (("since", since), ("until", until)) if value}
    made = ParseDict({"whitelist": read(allow), "blacklist": read(deny), **bounds}, GetFlowsRequest(**asked))
    made.field_mask.paths.extend(mask)
    return made


def read(text: str) -> list[Any]:
    """Return the JSON values of a text, one a line."""
    return [json.loads(line) for line in text.splitlines()]


def numbers(answers: list[Any]) -> list[int]:
    """Return which of the `events` the answers are; -1 for lost ones."""
    return [int(one.flow.uuid[:8], 16) if one.HasField("flow") else -1 for one in answers]


def at(number: int) -> str:
    """Return the time of an event."""
    return str(flow(number)["time"])


def refusal(channel: Any, service: Any, name: str, asked: Any) -> tuple[str, str]:
    """Return the status with which a call ends."""
    with pytest.raises(grpc.RpcError) as caught:
        answers = ask(channel, service, name, asked)
        list(answers) if hasattr(answers, "__iter__") else answers
    return caught.value.code().name, caught.value.details()


def test_all_events_come_in_order_after_the_nodes() -> None:
    """Without anything asked for, all that is held comes, oldest first, after a word about the nodes."""
    with served([*events(), LOST]) as (_, channel):
        answers = list(ask(channel, observer_pb2.Observer, "GetFlows", GetFlowsRequest()))
    status = answers[0].node_status
    assert ("NODE_CONNECTED", list(NODES)) == (
        observer_pb2.GetFlowsResponse()
        .node_status.DESCRIPTOR.fields_by_name["state_change"]
        .enum_type.values_by_number[status.state_change]
        .name,
        list(status.node_names),
    )
    assert [*range(11), -1, *range(11, 30)] == numbers(answers[1:])


def test_messages_are_the_captures_own() -> None:
    """What is sent is what the capture tells, whole."""
    records = [*events(), LOST]
    with served(records) as (_, channel):
        answers = flows(channel)
    expected = sorted(records, key=lambda one: str(one["time"]))
    assert expected == [record(one.SerializeToString()) for one in answers]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"number": 3}, [24, 25, 26, 27, 28, 29]),  # so many of each node
        ({"number": 3, "first": True}, [0, 1, 2, 3, 4, 5]),
        ({"number": 100}, list(range(30))),
        ({"number": (1 << 64) - 1}, list(range(30))),
        ({"since": 20}, list(range(20, 30))),
        ({"until": 4}, list(range(5))),
        ({"since": 5, "until": 8}, [5, 6, 7, 8]),
        ({"since": 5, "number": 2}, [5, 6, 7, 8]),  # since takes precedence: the first from there
        ({"since": 5, "number": 2, "first": True}, [5, 6, 7, 8]),
        ({"until": 9, "number": 12}, [6, 7, 8, 9]),  # the newest 12 of each node, as far as they are so old
        ({"since": 40}, []),
        ({"allow": '{"source_port": ["40003", "40004"]}'}, [3, 4]),
        ({"deny": '{"node_name": ["node-2"]}', "number": 2}, [26, 28]),
        ({"allow": '{"source_port": ["40001", "40002"]}\n{"source_port": ["40009"]}', "number": 1}, [2, 9]),
        ({"allow": '{"node_name": ["node-1"]}', "number": 2, "first": True}, [0, 2]),
        ({"allow": '{"verdict": ["DROPPED"]}', "number": 5}, []),
    ],
)
def test_windows_numbers_and_filters(asked: dict[str, Any], expected: list[int]) -> None:
    """Bounds, numbers and filters choose what Hubble's own server chooses."""
    bounds = {key: at(asked[key]) for key in ("since", "until") if key in asked}
    with served() as (_, channel):
        assert expected == numbers(flows(channel, **{**asked, **bounds}))


def test_lost_events_pass_every_filter_and_count_for_nothing() -> None:
    """Lost events come through filters and bounds, and are none of the number asked for."""
    with served([*events(), LOST]) as (_, channel):
        assert [10, -1, 12] == numbers(flows(channel, allow='{"source_port": ["40010", "40012"]}', number=2))
        assert [-1, 20, 21] == numbers(flows(channel, since=at(20), until=at(21)))


@pytest.mark.parametrize(
    "text",
    [
        '{"destination_port": ["5432"]}',
        '{"source_pod": ["shop/web"]}',
        '{"source_label": ["app=web"]}',
        '{"tcp_flags": [{"SYN": true}]}',
        '{"verdict": ["FORWARDED"], "node_name": ["*node-2"]}',
        '{"event_type": [{"type": 4, "match_sub_type": true, "sub_type": 3}]}',
        '{"source_workload": [{"name": "web"}]}',
        '{"reply": [false], "destination_identity": [25003]}',
        '{"uuid": ["00000003-2a9a-504f-8861-aeafd0b2ae29"]}',
    ],
)
def test_filters_mean_the_same_as_on_a_file(text: str) -> None:
    """A filter sent to the server selects what it selects in a file."""
    records = [
        *events(),
        *events(20, verdict="DROPPED", destination={"identity": 2, "labels": ["reserved:world"]}),
    ]
    records = [
        {**one, "flow": {**one["flow"], "uuid": f"{place:08x}-2a9a-504f-8861-aeafd0b2ae29"}}
        for place, one in enumerate(records)
    ]
    matches = matcher(Selection(allow=flow_filters(text)))
    with served(records) as (_, channel):
        expected = {place for place, one in enumerate(records) if matches(one)}
        assert expected
        assert expected == set(numbers(flows(channel, allow=text)))
        assert set(range(len(records))) - expected == set(numbers(flows(channel, deny=text)))


def test_a_field_mask_leaves_only_what_is_asked_for() -> None:
    """A mask keeps whole fields and parts of them; node and time of the response follow the flow's."""
    with served() as (_, channel):
        (one,) = flows(
            channel,
            number=1,
            allow='{"node_name": ["node-1"]}',
            mask=("uuid", "source.labels", "l4.TCP.flags"),
        )
        with_time = flows(channel, number=1, mask=("time", "node_name"))[0]
    told = flow(28)
    expected = {
        "flow": {
            "uuid": told["uuid"],
            "source": {"labels": told["source"]["labels"]},
            "l4": {"TCP": {"flags": {"SYN": True}}},
        }
    }
    assert expected == record(one.SerializeToString())
    assert {"flow", "time", "node_name"} == record(with_time.SerializeToString()).keys()


@pytest.mark.parametrize(
    ("asked", "details"),
    [
        ({"first": True, "follow": True}, "first cannot be specified with follow"),
        ({"mask": ("source.colour",)}, "invalid field mask: 'source.colour' is no field of flow.Flow"),
        ({"allow": '{"source_ip": ["nowhere"]}'}, "failed to build filter"),
    ],
)
def test_what_cannot_be_asked_is_refused(asked: dict[str, Any], details: str) -> None:
    """A request that contradicts itself or cannot be understood ends with INVALID_ARGUMENT, and says why."""
    with served() as (_, channel):
        code, said = refusal(channel, observer_pb2.Observer, "GetFlows", request(**asked))
    assert "INVALID_ARGUMENT" == code
    assert details in said


def test_a_bound_that_is_no_time_is_refused() -> None:
    """A timestamp outside of what protobuf allows is an error."""
    asked = GetFlowsRequest()
    asked.since.nanos = -1
    with served() as (_, channel):
        assert "INVALID_ARGUMENT" == refusal(channel, observer_pb2.Observer, "GetFlows", asked)[0]


def test_status_counts_flows_and_nodes() -> None:
    """ServerStatus tells what the rings hold, and how many nodes there are."""
    with served([*events(), LOST], pace=Pace(ring=10)) as (server, channel):
        server.lose(NODES[1])
        status = ask(channel, observer_pb2.Observer, "ServerStatus", ServerStatusRequest())
    assert (9 + 10, 20, 30) == (status.num_flows, status.max_flows, status.seen_flows)
    assert (1, 1) == (status.num_connected_nodes.value, status.num_unavailable_nodes.value)
    assert [NODES[1]] == list(status.unavailable_nodes)
    assert "flowmine-replay v1.19.4+g1b1c3e2a" == status.version
    assert status.uptime_ns > 0


def test_nodes_and_namespaces_are_those_of_the_capture() -> None:
    """GetNodes and GetNamespaces tell what the capture knows."""
    with served() as (server, channel):
        server.lose(NODES[0])
        nodes = ask(channel, observer_pb2.Observer, "GetNodes", GetNodesRequest()).nodes
        spaces = ask(channel, observer_pb2.Observer, "GetNamespaces", GetNamespacesRequest()).namespaces
        assert [(NODES[0], 2, 0), (NODES[1], 1, 15)] == [
            (one.name, one.state, one.num_flows) for one in nodes
        ]
        assert {server.address} == {one.address for one in nodes}
    assert [("default", "db"), ("default", "shop")] == [(one.cluster, one.namespace) for one in spaces]


def test_health_is_told() -> None:
    """The health of Hubble's service is SERVING, and of others unknown."""
    with served() as (_, channel):
        for name, expected in (("", 1), ("hubble.server.Observer", 1), ("other", 3)):
            asked = health_pb2.HealthCheckRequest(service=name)
            assert expected == ask(channel, health_pb2.Health, "Check", asked).status
        watching = ask(channel, health_pb2.Health, "Watch", health_pb2.HealthCheckRequest())
        assert 1 == next(watching).status
        watching.cancel()


def test_other_events_come_where_the_capture_has_them() -> None:
    """Agent events are sent where there are any; else, as from relay, that is not implemented."""
    told = {"agent_event": {"type": "AGENT_STARTED"}, "node_name": NODES[0], "time": at(1)}
    with served([*events(), told]) as (_, channel):
        (one,) = ask(channel, observer_pb2.Observer, "GetAgentEvents", GetAgentEventsRequest())
        assert (NODES[0], 2) == (one.node_name, one.agent_event.type)
        asked = observer_pb2.GetDebugEventsRequest()
        code, said = refusal(channel, observer_pb2.Observer, "GetDebugEvents", asked)
        assert ("UNIMPLEMENTED", "GetDebugEvents not yet implemented") == (code, said)
        assert list(range(30)) == numbers(flows(channel))


def test_an_unknown_method_is_not_implemented() -> None:
    """A call of another service ends with UNIMPLEMENTED."""
    with served() as (_, channel), pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/peer.Peer/Notify")(b"", timeout=SECONDS)
    assert grpc.StatusCode.UNIMPLEMENTED == caught.value.code()


def test_a_request_that_is_no_message_is_refused() -> None:
    """Bytes that are no request end the call with INVALID_ARGUMENT."""
    with served() as (_, channel), pytest.raises(grpc.RpcError) as caught:
        list(channel.unary_stream("/observer.Observer/GetFlows")(b"\xff\xff", timeout=SECONDS))
    assert grpc.StatusCode.INVALID_ARGUMENT == caught.value.code()


def test_unknown_fields_of_a_later_client_are_passed_over() -> None:
    """A request with fields of a later Hubble is answered."""
    asked = GetFlowsRequest(number=1).SerializeToString() + bytes([0xF8, 0x3F, 0x05])
    with served() as (_, channel):
        answers = channel.unary_stream("/observer.Observer/GetFlows")(asked, timeout=SECONDS)
        assert 3 == len(list(answers))


def taken(answers: Any, count: int) -> list[Any]:
    """Return the next few answers that are no node status."""
    found: list[Any] = []
    while len(found) < count:
        one = next(answers)
        if not one.HasField("node_status"):
            found.append(one)
    return found


def test_following_gives_all_and_stays() -> None:
    """A stream that follows a whole capture gets all of it, and stays open."""
    with served() as (_, channel):
        answers = ask(channel, observer_pb2.Observer, "GetFlows", GetFlowsRequest(follow=True))
        assert list(range(30)) == numbers(taken(answers, 30))
        answers.cancel()
        last = ask(channel, observer_pb2.Observer, "GetFlows", GetFlowsRequest(follow=True, number=2))
        assert [26, 27, 28, 29] == numbers(taken(last, 4))
        last.cancel()


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_events_come_at_the_pace_asked_for() -> None:
    """With a rate events come after the first stream began, and one that begins later gets only what comes then."""
    clock = Clock()
    with served(pace=Pace(rate=10), clock=clock) as (_, channel):
        early = ask(channel, observer_pb2.Observer, "GetFlows", GetFlowsRequest(follow=True))
        assert "NODE_CONNECTED" and next(early).HasField("node_status")
        assert [] == numbers(flows(channel))
        clock.now += 1
        assert list(range(10)) == numbers(taken(early, 10))
        late = ask(channel, observer_pb2.Observer, "GetFlows", GetFlowsRequest(follow=True))
        back = ask(channel, observer_pb2.Observer, "GetFlows", GetFlowsRequest(follow=True, number=1))
        assert next(late).HasField("node_status")
        assert [8, 9] == numbers(taken(back, 2))
        clock.now += 0.5
        for stream in (early, late, back):
            assert list(range(10, 15)) == numbers(taken(stream, 5))
            stream.cancel()


def test_a_stream_that_follows_ends_behind_until() -> None:
    """A stream that follows ends when every node is past the time asked for."""
    with served() as (_, channel):
        assert list(range(9)) == numbers(flows(channel, follow=True, until=at(8)))


def test_a_ring_holds_the_newest_of_each_node() -> None:
    """Of each node only as many events are held as its ring has room for, whatever is asked."""
    with served(pace=Pace(ring=4)) as (_, channel):
        held = list(range(22, 30))
        assert held == numbers(flows(channel))
        assert held == numbers(flows(channel, since=at(0)))
        assert held == numbers(flows(channel, number=20))
        assert held[:2] == numbers(flows(channel, number=1, first=True))


def test_what_a_slow_client_missed_is_told_as_lost() -> None:
    """A stream that falls behind its node's ring is told how many events it missed."""
    clock = Clock()
    with served(pace=Pace(rate=10, ring=2), clock=clock) as (_, channel):
        stream = ask(channel, observer_pb2.Observer, "GetFlows", GetFlowsRequest(follow=True))
        assert next(stream).HasField("node_status")
        clock.now += 2
        lost = {one.node_name: one.lost_events for one in taken(stream, 2)}
        assert [16, 17, 18, 19] == numbers(taken(stream, 4))
        stream.cancel()
    assert dict.fromkeys(NODES, 8) == {name: one.num_events_lost for name, one in lost.items()}
    assert {3} == {one.source for one in lost.values()}


def test_repeats_come_later_under_new_uuids() -> None:
    """A capture sent several times goes on in time, and no uuid comes twice."""
    records = [*events(), LOST]
    with served(records, pace=Pace(repeat=3)) as (_, channel):
        answers = flows(channel)
        assert 93 == len(answers)
        uuids = [one.flow.uuid for one in answers if one.HasField("flow")]
        assert 90 == len(set(uuids))
        times = [one.time.ToNanoseconds() for one in answers]
        assert sorted(times) == times
        assert times[31:62] == [moment + 10**9 for moment in times[:31]]
        assert times == [(one.flow if one.HasField("flow") else one).time.ToNanoseconds() for one in answers]
        wanted = answers[40].flow.uuid
        found = flows(channel, allow=json.dumps({"uuid": [wanted]}))
        assert [answers[40]] == [one for one in found if one.HasField("flow")]
        assert answers[-4:] == flows(channel, number=2)


def test_a_thousand_events_across_blocks() -> None:
    """More events than lie together come whole and in order, with filters and numbers too."""
    records = [
        {
            "flow": {
                "uuid": f"{number:08x}-2a9a-504f-8861-aeafd0b2ae29",
                "verdict": "FORWARDED",
                "time": f"2026-11-18T09:{number // 60 % 60:02d}:{number % 60:02d}Z",
                "node_name": NODES[number % 2],
            }
        }
        for number in range(3000)
    ] * 3
    with served(records) as (_, channel):
        assert 9000 == len(flows(channel))
        assert 5000 == len(flows(channel, number=2500))
        found = flows(channel, allow='{"node_name": ["node-1"]}', number=4200)
        assert 4200 == len(found)
        assert 5000 == len(flows(channel, number=2500, first=True, mask=("uuid",)))


def test_a_lost_node_is_told_and_asked_again_when_back() -> None:
    """A node that fails is told and gives no more; back again, it is asked anew within the stream, without a word."""
    with served(pace=Pace(rate=10), clock=(clock := Clock())) as (server, channel):
        asked = request(follow=True, since=at(0))
        stream = ask(channel, observer_pb2.Observer, "GetFlows", asked)
        assert next(stream).HasField("node_status")
        clock.now += 1
        assert list(range(10)) == numbers(taken(stream, 10))
        server.lose(NODES[1])
        told = next(stream)
        assert (4, [NODES[1]]) == (told.node_status.state_change, list(told.node_status.node_names))
        clock.now += 1
        assert [10, 12, 14, 16, 18] == numbers(taken(stream, 5))
        server.regain(NODES[1])
        assert list(range(1, 20, 2)) == numbers(taken(stream, 10))
        clock.now += 0.4
        assert [20, 21, 22, 23] == numbers([next(stream) for _ in range(4)])
        stream.cancel()


def test_a_node_that_is_away_from_the_beginning_is_told() -> None:
    """A node that is away when a stream begins is told as unavailable."""
    with served() as (server, channel):
        server.lose(NODES[0])
        answers = list(ask(channel, observer_pb2.Observer, "GetFlows", GetFlowsRequest()))
        states = [(one.node_status.state_change, list(one.node_status.node_names)) for one in answers[:2]]
        assert [(1, [NODES[1]]), (2, [NODES[0]])] == states
        assert list(range(1, 30, 2)) == numbers(answers[2:])
        with pytest.raises(UsageError, match="no node 'default/node-9' in the capture"):
            server.lose("default/node-9")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("drop", 7), "UNAVAILABLE"),
        (Fault("refuse", 7), "UNAVAILABLE"),
        (Fault("nonsense", 7), "UNAVAILABLE UNKNOWN INTERNAL"),
        (Fault("restart", 7), "UNAVAILABLE"),
        (Fault("stall", 7), "DEADLINE_EXCEEDED"),
    ],
)
def test_failing_after_so_many_events(fault: Fault, code: str) -> None:
    """A fault comes exactly after the number of events asked for, and once."""
    with served(faults=[fault]) as (server, channel):
        stream = ask(channel, observer_pb2.Observer, "GetFlows", GetFlowsRequest(follow=True), 2)
        found = []
        with pytest.raises(grpc.RpcError) as caught:
            for one in stream:
                found.append(one)
        given = numbers([one for one in found if not one.HasField("node_status")])
        assert list(range(7))[: len(given)] == given
        assert caught.value.code().name in code.split()
        assert 7 == server.sent


def test_a_stream_can_end_in_the_middle() -> None:
    """A stream can be told to end as if all had been sent."""
    with served(faults=[Fault("end", 7)]) as (_, channel):
        assert list(range(7)) == numbers(flows(channel))
        assert list(range(30)) == numbers(flows(channel))


def test_garbage_can_be_sent_in_the_middle() -> None:
    """A message that is no event can be sent between the others."""
    with served(faults=[Fault("garbage", 7)]) as (_, channel):
        raw = list(channel.unary_stream("/observer.Observer/GetFlows")(b"", timeout=SECONDS))
        assert b"garbage, and no event" == raw[8]
        assert list(range(30)) == numbers([GetFlowsResponse.FromString(one) for one in raw[1:8] + raw[9:]])


def test_after_a_restart_the_rings_are_new() -> None:
    """A server that restarts has forgotten what came before."""
    clock = Clock()
    with served(pace=Pace(rate=10), clock=clock) as (server, channel):
        assert [] == flows(channel)
        clock.now += 1
        assert list(range(10)) == numbers(flows(channel))
        server.restart()
        clock.now += 0.5
        with dialled(server) as again:
            assert list(range(10, 15)) == numbers(flows(again, since=at(0)))


def test_all_connections_can_be_stalled() -> None:
    """Stalled connections answer nothing more, not even a status."""
    with served() as (server, channel):
        ask(channel, observer_pb2.Observer, "ServerStatus", ServerStatusRequest())
        server.stall()
        time.sleep(0.1)
        with pytest.raises(grpc.RpcError) as caught:
            method = observer_pb2.Observer["ServerStatus"]
            channel.unary_unary(method.path)(b"", timeout=0.5)
        assert grpc.StatusCode.DEADLINE_EXCEEDED == caught.value.code()


def test_requests_and_events_are_counted() -> None:
    """The server tells what it was asked, and how much it has sent."""
    with served() as (server, channel):
        flows(channel, number=3)
        assert [3] == [one.number for one in server.requests]
        assert 6 == server.sent


def test_a_client_that_reads_slowly_holds_the_server_back() -> None:
    """The server does not run ahead of its client further than that allows."""
    big = [flow(number, Summary="x" * 20_000) for number in range(2000)]
    with served([{"flow": one} for one in big]) as (server, channel):
        stream = ask(channel, observer_pb2.Observer, "GetFlows", GetFlowsRequest())
        next(stream)
        time.sleep(0.3)
        assert server.sent < 1500
        assert 2000 == len(list(stream))


def test_a_unix_socket(tmp_path: Path) -> None:
    """The server listens at a unix socket, and removes it."""
    path = tmp_path / "hubble.sock"
    with (
        Replay(Capture(events()), f"unix://{path}") as server,
        dialled(server) as channel,
    ):
        assert list(range(30)) == numbers(flows(channel))
    assert not path.exists()


def test_what_cannot_be_listened_at_is_refused() -> None:
    """An address that is taken, or none, is an error that says which."""
    with served() as (server, _):
        with pytest.raises(UsageError, match=r"127\.0\.0\.1:\d+: cannot listen there"):
            Replay(Capture(events()), server.address).__enter__()
        with pytest.raises(UsageError, match="nowhere: cannot listen there"):
            Replay(Capture(events()), "nowhere").__enter__()


def test_any_capture_can_be_replayed() -> None:
    """What `open_flows` reads can be served, camelCase and bare flows too."""
    odd = {"verdict": 2, "IP": {"source": "10.0.0.1"}, "nodeName": "n", "time": at(3), "isReply": True}
    source = opened(lines({"flow": flow(1), "node_name": "default/node-1", "time": at(1)}, odd))
    with Replay(source) as server, dialled(server) as channel:
        first, second = flows(channel)
    assert flow(1) == record(first.SerializeToString())["flow"]
    assert (2, "n", True) == (second.flow.verdict, second.node_name, second.flow.is_reply.value)


def test_a_capture_without_events_is_refused() -> None:
    """There is nothing to serve in an empty capture."""
    with pytest.raises(InputError, match="no event to replay"):
        Capture([])


def test_what_protobuf_cannot_hold_is_counted() -> None:
    """An event with a field of another type is left out and counted; unknown keys cost only themselves."""
    wrong = {"flow": flow(1, l4={"TCP": {"source_port": 1 << 40}})}
    more = {"flow": flow(2, colour="red")}
    with Capture([wrong, more]) as capture:
        assert (1, 1) == (capture.skipped, len(capture))
    expected = {"flow": flow(2)}
    assert expected == record(encoded(more, "flow") or b"")


@pytest.mark.parametrize("text", ["boom@3", "drop", "drop@x", "lose@3", "drop=node@3"])
def test_a_fault_that_is_none_is_refused(text: str) -> None:
    """What is no way to fail is an error."""
    from flowmine.ingest.replay.faults import fault_of

    with pytest.raises(UsageError):
        fault_of(text)
