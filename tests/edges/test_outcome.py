"""What becomes of a connection, case by case (the table in flowmine/edges/outcome.py)."""

import pytest

from flowmine.edges import Edges, partial, settle
from tests.edges.events import API, HOST, INIT, NO_LEDGER, WEB, WORLD, answered, batch, endpoints, event, pods

SYN = {"tcp_flags": 2, "is_reply": False, "trace_reason": "NEW"}
DENIED = {"verdict": "DROPPED", "drop_reason_desc": "POLICY_DENIED", "event_type": 1, "tcp_flags": 2}


def settled(*rows: dict) -> Edges:
    """Settle events between the endpoints of `tests.edges.events`."""
    known = endpoints(WEB, API, HOST, WORLD, INIT)
    return settle(
        partial(batch(list(rows))), known, pods((WEB, "web-1", True), (API, "api-1", True)), NO_LEDGER
    )


def outcomes(*rows: dict) -> list[tuple[int, str]]:
    """Return (port, outcome) of each edge."""
    table = settled(*rows).edges
    return list(zip(table["port"].to_pylist(), table["outcome"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("columns", "outcome"),
    [
        ({"trace_observation_point": "TO_ENDPOINT", **SYN}, "delivered"),
        ({"trace_observation_point": "FROM_ENDPOINT", "tcp_flags": 2}, "unseen"),
        ({"trace_observation_point": "TO_OVERLAY", **SYN}, "unseen"),
        ({"trace_observation_point": "TO_NETWORK", **SYN}, "unseen"),
        ({"trace_observation_point": "TO_STACK", **SYN}, "unseen"),
        ({"trace_observation_point": "TO_PROXY", **SYN}, "unseen"),
        ({"event_type": 5, "traffic_direction": "EGRESS", **SYN}, "unseen"),
        ({"event_type": 5, "traffic_direction": "INGRESS", **SYN}, "delivered"),
        ({"event_type": 5, "traffic_direction": "INGRESS", "verdict": "REDIRECTED", **SYN}, "delivered"),
        (
            {"Type": "L7", "event_type": 129, "l7_type": "REQUEST", "traffic_direction": "INGRESS"},
            "delivered",
        ),
        ({"Type": "L7", "event_type": 129, "l7_type": "REQUEST", "traffic_direction": "EGRESS"}, "unseen"),
        ({**DENIED, "traffic_direction": "EGRESS"}, "dropped"),
        ({**DENIED, "traffic_direction": "INGRESS"}, "dropped"),
        ({**DENIED, "drop_reason_desc": None, "traffic_direction": "INGRESS"}, "dropped"),
        ({**DENIED, "drop_reason_desc": "STALE_OR_UNROUTABLE_IP", "traffic_direction": "EGRESS"}, "other"),
        ({"verdict": "AUDIT", "event_type": 5, "traffic_direction": "INGRESS", **SYN}, "audited"),
        (
            {
                "Type": "L7",
                "event_type": 129,
                "l7_type": "REQUEST",
                "verdict": "DROPPED",
                "traffic_direction": "INGRESS",
            },
            "dropped",
        ),
    ],
)
def test_one_event_between_pods(columns, outcome):
    """Each kind of event between two pods leads to its outcome: FORWARDED alone is not delivered."""
    assert [(80, outcome)] == outcomes(event(WEB, API, **columns))


@pytest.mark.parametrize(
    ("point", "outcome"),
    [
        ("TO_STACK", "delivered"),
        ("TO_NETWORK", "delivered"),
        ("FROM_ENDPOINT", "unseen"),
        ("TO_PROXY", "unseen"),
    ],
)
def test_outside_peer_is_reached_at_the_last_egress_point(point, outcome):
    """A peer outside Cilium has no ingress policy: leaving for it counts as delivered."""
    rows = event(WEB, WORLD, trace_observation_point=point, destination_port=443, **SYN)
    assert [(443, outcome)] == outcomes(rows)


def test_sock_events_are_no_connection():
    """SOCK events precede policy and never make an edge."""
    assert outcomes(event(WEB, API, Type="SOCK", event_type=7, verdict="TRANSLATED")) == []


def test_packet_bound_for_a_service_is_no_connection():
    """A FROM_ENDPOINT event that still shows the Service's address has not met its backend."""
    row = event(WEB, WORLD, trace_observation_point="TO_STACK", destination_service="shop/api", tcp_flags=2)
    assert outcomes(row) == []


def test_reply_after_reverse_nat_gives_no_port():
    """A reply that carries the Service's port beside the backend's address makes no edge of its own."""
    row = event(WEB, API, trace_observation_point="TO_ENDPOINT", **SYN)
    translated = answered(row, source_port=8080, source_xlated="10.96.0.7")
    assert outcomes(row, translated) == [(80, "delivered")]


def test_reply_in_the_name_of_a_service_delivers_the_one_edge_it_can_mean():
    """Such a reply tells that the pair talked; it delivers where only one port can have been meant."""
    row = event(WEB, API, trace_observation_point="TO_OVERLAY", **SYN)
    other = event(WEB, API, trace_observation_point="TO_OVERLAY", destination_port=81, **SYN)
    back = answered(row, source_port=8080, source_xlated="10.96.0.7", source_service="shop/api")
    assert [(80, "delivered")] == outcomes(row, back)
    assert [(80, "unseen"), (81, "unseen")] == outcomes(row, other, back)
    assert ["shop/api"] == settled(row, back).edges["responder_service"].to_pylist()


def test_reply_delivers():
    """A reply seen proves delivery where the destination's own node is not in the capture."""
    row = event(WEB, API, trace_observation_point="TO_OVERLAY", **SYN)
    assert outcomes(row, answered(row)) == [(80, "delivered")]


@pytest.mark.parametrize(("order", "outcome"), [((0, 1), "dropped"), ((1, 0), "delivered")])
def test_latest_outcome_decides_and_the_change_is_told(order, outcome):
    """Delivered and denied at different times: the later one counts, and `changed` says that there was another."""
    passed = event(WEB, API, trace_observation_point="TO_ENDPOINT", **SYN)
    denied = event(WEB, API, traffic_direction="INGRESS", **DENIED)
    for place, row in zip(order, (passed, denied), strict=True):
        row["time"] = (place + 1) * 10**9
    table = settled(passed, denied).edges
    assert ([outcome], [True]) == (table["outcome"].to_pylist(), table["changed"].to_pylist())


def test_audited_wins_over_the_forwarded_events_that_follow_it():
    """AUDIT lets the packet pass; what follows is FORWARDED, and is not what the policies meant."""
    verdict = event(WEB, API, event_type=5, verdict="AUDIT", traffic_direction="INGRESS", **SYN)
    passed = event(WEB, API, trace_observation_point="TO_ENDPOINT", **SYN)
    assert outcomes(verdict, passed, answered(passed)) == [(80, "audited")]


def test_drop_and_verdict_of_one_packet_count_once():
    """A drop told by a drop event and by a verdict event is one drop: the larger count is taken."""
    drops = [event(WEB, API, traffic_direction="EGRESS", **DENIED) for _ in range(3)]
    verdict = event(
        WEB, API, traffic_direction="EGRESS", **{**DENIED, "event_type": 5, "drop_reason_desc": None}
    )
    made = settled(*drops, verdict)
    assert made.edges["dropped_egress"].to_pylist() == [3]
    assert [(row["side"], row["drop_reason"], row["count"]) for row in made.reasons.to_pylist()] == [
        ("egress", "POLICY_DENIED", 3)
    ]


def test_deny_rules_are_named():
    """The policies behind a POLICY_DENY are a row each, whatever the drop event beside it leaves out."""
    drop = event(WEB, API, traffic_direction="INGRESS", **{**DENIED, "drop_reason_desc": "POLICY_DENY"})
    names = ["CiliumNetworkPolicy/shop/a", "CiliumClusterwideNetworkPolicy//b"]
    verdict = {**drop, "event_type": 5, "ingress_denied_by": names, "egress_denied_by": None}
    made = settled(drop, verdict)
    assert made.edges["dropped_ingress"].to_pylist() == [1]
    assert sorted(names) == made.reasons["denied_by"].to_pylist()


def test_refused_requests_alone_make_no_delivered_edge():
    """A proxy answers for the pod when it refuses: its 403 is not the pod's reply."""
    row = event(WEB, API, trace_observation_point="TO_PROXY", **SYN)
    refused = event(
        WEB, API, Type="L7", event_type=129, l7_type="REQUEST", verdict="DROPPED", traffic_direction="INGRESS"
    )
    assert outcomes(row, answered(row), refused) == [(80, "dropped")]
    passed = event(WEB, API, Type="L7", event_type=129, l7_type="REQUEST", traffic_direction="INGRESS")
    assert outcomes(row, answered(row), refused, passed) == [(80, "delivered")]


def test_init_events_fold_into_their_pod():
    """Events of a pod that still had the identity init are its own once that is known."""
    row = event(INIT, API, trace_observation_point="TO_ENDPOINT", **SYN)
    later = event(WEB, API, trace_observation_point="TO_ENDPOINT", **SYN)
    made = settle(
        partial(batch([row, later])),
        endpoints(WEB, API, INIT),
        pods((INIT, "web-1", True), (WEB, "web-1", True), (API, "api-1", True)),
        NO_LEDGER,
    )
    assert [later["source"]] == made.edges["initiator"].to_pylist()


def test_aggregated_events_count_by_their_weight():
    """An exporter's aggregate says how many events one line stands for."""
    row = event(WEB, API, trace_observation_point="TO_ENDPOINT", egress_count=5, ingress_count=2, **SYN)
    assert settled({**row, "unknown_count": 1}).edges["events"].to_pylist() == [8]
