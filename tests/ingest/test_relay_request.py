"""What is asked of a server: filters as messages, window, number and field mask."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from flowmine.errors import UsageError
from flowmine.ingest.filters import FlowFilter, Selection, flow_filters
from flowmine.ingest.pb.flow_pb2 import Flow
from flowmine.ingest.pb.observer_pb2 import GetFlowsRequest
from flowmine.ingest.pb.pool import POOL
from flowmine.ingest.relay.request import ALL, MASKS, filter_message, flows_request
from flowmine.schema import FLOWS

TEXTS = ["first", "second"]
SPECIAL: dict[str, Any] = {
    "traffic_direction": ["INGRESS", "EGRESS"],
    "verdict": ["DROPPED", "AUDIT"],
    "drop_reason_desc": ["POLICY_DENIED"],
    "ip_version": ["IPv6"],
    "source_workload": [{"name": "web", "kind": "Deployment"}, {"name": "job"}],
    "destination_workload": [{"kind": "Job"}],
    "interface": [{"index": 3, "name": "eth0"}],
    "http_header": [{"key": "X-A", "value": "b"}],
    "event_type": [{"type": 4, "match_sub_type": True, "sub_type": 3}, {"type": 1}],
    "tcp_flags": [{"SYN": True, "ACK": True}],
    "reply": [True, False],
    "encrypted": [True],
    "source_identity": [1],
    "destination_identity": [2, 3],
    "ip_trace_id": ["7"],
}


@pytest.mark.parametrize(
    "name", [field for field in FlowFilter.__dataclass_fields__ if field != "cel_expression"]
)
def test_every_field_of_a_filter_reaches_the_server(name: str) -> None:
    """A filter's message says in JSON what the filter was made of."""
    given = {name: SPECIAL.get(name, TEXTS)}
    (wanted,) = flow_filters(json.dumps(given))
    message = filter_message(wanted)
    assert MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=POOL) == given


def test_expressions_are_experimental() -> None:
    """CEL lies where Hubble has it."""
    message = filter_message(FlowFilter(cel_expression=("true",)))
    assert list(message.experimental.cel_expression) == ["true"]


def request(selection: Selection, **options: Any) -> Any:
    """A request, read again."""
    return GetFlowsRequest.FromString(flows_request(selection, **{"follow": False, "mask": (), **options}))


def test_without_bounds_all_is_asked_for() -> None:
    """As --all does: a number that is never reached. A stream that is followed begins now."""
    assert request(Selection()).number == ALL
    assert (request(Selection(), follow=True).number, request(Selection(), follow=True).follow) == (0, True)
    assert request(Selection(since=5)).number == 0


def test_numbers_and_windows_are_the_selections() -> None:
    """first, last, since and until arrive as they were asked for."""
    assert (request(Selection(first=7)).number, request(Selection(first=7)).first) == (7, True)
    assert (request(Selection(last=7)).number, request(Selection(last=7)).first) == (7, False)
    made = request(Selection(since=1_500_000_000, until=2_000_000_001))
    assert (made.since.ToNanoseconds(), made.until.ToNanoseconds()) == (1_500_000_000, 2_000_000_001)


def test_allow_and_deny_go_to_their_lists() -> None:
    """What must match is the whitelist, what must not the blacklist."""
    made = request(Selection(allow=(FlowFilter(uuid=("a",)),), deny=(FlowFilter(uuid=("b",)),)))
    assert [list(one.uuid) for one in (*made.whitelist, *made.blacklist)] == [["a"], ["b"]]


def test_a_resumption_asks_for_all_since_then() -> None:
    """No number cuts off what was missed; the end of the window stays."""
    made = request(Selection(last=20, until=9 * 10**9), follow=True, since=3)
    assert (made.number, made.since.ToNanoseconds(), made.until.ToNanoseconds()) == (0, 3, 9 * 10**9)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(first=1), "--first and --follow contradict each other"),
        (Selection(allow=(FlowFilter(uuid=("x" * 70_000,)),)), "the filters are too long to send"),
    ],
)
def test_what_cannot_be_asked_is_refused(selection: Selection, message: str) -> None:
    """A request that no server would take is an error before it is sent."""
    with pytest.raises(UsageError, match=message):
        flows_request(selection, follow=True, mask=())


def test_only_needed_fields_are_asked_for() -> None:
    """The mask holds what the columns are made of and what resumption needs, all of it known to Hubble."""
    best, older, none = (mask({"verdict", "source", "ingress_denied_by"}) for mask in MASKS)
    assert best == (
        "IP", "destination", "emitter", "ingress_denied_by", "node_name", "source", "time", "uuid", "verdict",
    )  # fmt: skip
    assert set(best) - set(older) == {"ingress_denied_by"}
    assert none == ()
    known = set(Flow.DESCRIPTOR.fields_by_name)
    assert set(MASKS[0](FLOWS.names)) <= known
