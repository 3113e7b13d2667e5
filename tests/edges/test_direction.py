"""Who began a connection, case by case (the table in flowmine/edges/direction.py)."""

import pytest

from flowmine.edges import partial, settle
from flowmine.labels import endpoint_id
from tests.edges.events import API, NO_LEDGER, WEB, WORLD, batch, endpoints, event, pods

THERE = (endpoint_id(WEB), endpoint_id(API))
BACK = THERE[::-1]
SEEN = {"trace_observation_point": "TO_ENDPOINT"}


def settled(*rows: dict):
    """Settle events between web and api."""
    return settle(partial(batch(list(rows))), endpoints(WEB, API, WORLD), pods((WEB, "w", True)), NO_LEDGER)


def ends(*rows: dict) -> list[tuple[int, int, int]]:
    """Return (initiator, responder, port) of each edge."""
    table = settled(*rows).edges
    return list(zip(*(table[name].to_pylist() for name in ("initiator", "responder", "port")), strict=True))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"is_reply": False}, (*THERE, 80)),
        ({"is_reply": True}, (*BACK, 40000)),
        ({"tcp_flags": 2}, (*THERE, 80)),
        ({"tcp_flags": 18, "is_reply": False}, (*BACK, 40000)),
        ({"tcp_flags": 18}, (*BACK, 40000)),
        ({"is_reply": False, "trace_reason": "RELATED"}, None),
        ({}, (*THERE, 80)),
        ({"source_port": 80, "destination_port": 40000}, (*BACK, 80)),
        ({"source_port": 80, "destination_port": 81}, None),
        ({"source_port": 40000, "destination_port": 50000}, None),
        ({"source_port": None}, (*THERE, 80)),
        ({"source_port": 80, "destination_port": 40000, "is_reply": False, "tcp_flags": 16}, (*THERE, 40000)),
        ({"l7_type": "REQUEST", "Type": "L7"}, (*THERE, 80)),
        ({"l7_type": "RESPONSE", "Type": "L7", "source_port": 80, "destination_port": 81}, (*BACK, 80)),
    ],
)
def test_one_packet(columns, expected):
    """Each kind of evidence decides alone as the table says; what stays open makes no edge and is counted."""
    made = settled(event(WEB, API, **{**SEEN, **columns}))
    table = made.edges
    found = list(zip(*(table[name].to_pylist() for name in ("initiator", "responder", "port")), strict=True))
    assert ([expected] if expected else []) == found
    open_ = expected is None and "trace_reason" not in columns
    assert [1] * open_ == made.ledger["count"].to_pylist()


@pytest.mark.parametrize("columns", [{}, {"is_reply": False, "tcp_flags": 16}])
def test_known_listener_overrules_ports_and_weak_evidence(columns):
    """A packet from a known listener is a reply, even where Hubble lost track and says it is not."""
    call = event(WEB, API, destination_port=8080, is_reply=False, tcp_flags=2, **SEEN)
    late = event(API, WEB, source_port=8080, destination_port=40001, **{**SEEN, **columns})
    assert [(*THERE, 8080)] == ends(call, late)


def test_listener_on_a_high_port():
    """Between two ephemeral ports the known listener decides."""
    call = event(WEB, API, destination_port=50051, is_reply=False, tcp_flags=2, **SEEN)
    open_ = event(WEB, API, source_port=45000, destination_port=50051, **SEEN)
    assert [(*THERE, 50051)] == ends(call, open_)


@pytest.mark.parametrize(
    ("protocol", "kind", "expected"),
    [
        ("ICMPv4", 8, (*THERE, 8)),
        ("ICMPv4", 0, (*BACK, 8)),
        ("ICMPv6", 128, (*THERE, 128)),
        ("ICMPv6", 129, (*BACK, 128)),
        ("ICMPv4", 3, None),
        ("ICMPv4", 11, None),
        ("ICMPv6", 1, None),
        ("ICMPv6", 133, None),
        ("ICMPv6", 135, None),
        ("ICMPv6", 143, None),
    ],
)
def test_icmp(protocol, kind, expected):
    """Echo replies answer the request that a rule must name; errors, NDP and MLD never begin a connection."""
    row = event(WEB, API, protocol=protocol, icmp_type=kind, source_port=None, destination_port=None, **SEEN)
    assert ([expected] if expected else []) == ends({**row, "is_reply": False})


def test_swapped_packet_counts_as_an_answer():
    """A packet that proves to be a reply delivers its connection, seen from the responder's node."""
    row = event(
        API,
        WEB,
        source_port=80,
        destination_port=40000,
        trace_observation_point="TO_OVERLAY",
        source_local=True,
    )
    table = settled(row).edges
    assert list(
        zip(*(table[name].to_pylist() for name in ("outcome", "seen_egress", "seen_ingress")), strict=True)
    ) == [("delivered", 0, 1)]
