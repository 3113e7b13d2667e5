"""The ledger: what was lost, masked and unseen, and what can be said of it."""

from typing import Any

import pytest

from flowmine.ledger import Ledger
from flowmine.schema import LEDGER, check
from tests.ingest.making import CLIENT, SERVER, lines, opened, read, record

AT = "2026-11-18T09:30:00Z"
NANOS = 1794994200 * 10**9


def _ledger(*records: dict[str, Any], **options: Any) -> Ledger:
    source = opened(lines(*records), **options)
    read(source)
    return source.ledger


def test_lost_events_are_counted_by_node_and_ring() -> None:
    """The number lost is added up, as number or text, in either spelling, with its own first and last."""
    ledger = _ledger(
        record(0),
        {
            "lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "4096"},
            "node_name": "n",
            "time": AT,
        },
        {"lostEvents": {"source": 3, "numEventsLost": 4}, "nodeName": "n", "time": "2026-11-18T09:30:05Z"},
        {
            "lost_events": {"num_events_lost": 1, "first": AT, "last": "2026-11-18T09:31:00Z"},
            "node_name": "m",
        },
    )
    assert 4101 == ledger.total("lost")
    rows = [row for row in ledger.table().cast(LEDGER).to_pylist() if row["kind"] == "lost"]
    assert [("m", 1, 60), ("n", 4100, 5)] == [
        (row["node"], row["count"], (row["last"] - row["first"]).seconds) for row in rows
    ]
    check(ledger.table(), LEDGER, "ledger")


def test_node_status_is_told_by_node_and_state() -> None:
    """Every node that relay names has an entry."""
    status = {
        "state_change": "NODE_UNAVAILABLE",
        "node_names": ["default/a", "default/b"],
        "message": "refused",
    }
    ledger = _ledger(record(0), {"node_status": status, "node_name": "relay", "time": AT})
    assert [("default/a", "NODE_UNAVAILABLE"), ("default/b", "NODE_UNAVAILABLE")] == [
        (node, source) for node, kind, source in sorted(ledger.entries) if kind == "node_status"
    ]


def test_agent_and_debug_events_are_passed_over_and_counted_and_no_error() -> None:
    """They are events of Hubble's, not bad lines; strict does not mind them."""
    others = [
        {"agent_event": {"type": "AGENT_STARTED"}, "time": AT},
        {"debug_event": {"type": 1}, "time": AT},
    ]
    ledger = _ledger(record(0), *others, strict=True)
    assert ({"agent_event": 1, "debug_event": 1}, 0) == (ledger.sources("skipped"), ledger.bad)


def test_window_versions_and_flows_are_counted() -> None:
    """First and last event time, events by emitter version, and how many there were."""
    other = {"name": "Hubble", "version": "1.18.0"}
    ledger = _ledger(record(0), record(59, emitter=other), record(30, emitter=None))
    assert (3, {"1.19.4+g1b1c3e2a": 1, "1.18.0": 1}) == (ledger.flows, ledger.versions)
    assert (NANOS + 456_789, NANOS + 590_456_789) == (ledger.window.first, ledger.window.last)


def test_a_full_capture_masks_nothing() -> None:
    """Nothing is missing, nothing is advised."""
    ledger = _ledger(record(0))
    assert ((), None) == (ledger.masked, ledger.mask_advice())


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"traffic_direction": None}, "traffic_direction"),
        ({"is_reply": None}, "is_reply"),
        ({"l4": None}, "l4"),
        ({"IP": None}, "IP"),
        ({"event_type": None}, "event_type"),
        ({"verdict": None}, "verdict"),
        ({"trace_observation_point": None, "event_type": {"type": 4}}, "trace_observation_point"),
        ({"Type": None}, "Type"),
    ],
)
def test_a_field_that_no_flow_carries_is_masked(changes: dict[str, Any], missing: str) -> None:
    """It is named with the count of flows, and the advice names it and the mask to use; one flow that has it is enough."""
    ledger = _ledger(record(0, **changes), record(1, **changes))
    assert (missing,) == ledger.masked
    assert {missing: 2} == ledger.sources("masked")
    advice = ledger.mask_advice() or ""
    assert advice.startswith(f"no event carries {missing}: ")
    assert missing in advice.split("fieldMask ")[1].split(",")
    assert () == _ledger(record(0, **changes), record(1)).masked


@pytest.mark.parametrize("missing", ["labels", "identity", "ID", "pod_name", "namespace"])
def test_a_field_of_endpoints_that_none_carries_is_masked(missing: str) -> None:
    """Endpoint fields are masked one by one."""
    ends = [{key: value for key, value in end.items() if key != missing} for end in (CLIENT, SERVER)]
    assert (missing,) == _ledger(record(0, source=ends[0], destination=ends[1])).masked


def test_what_drops_do_not_carry_is_not_masked() -> None:
    """A capture of drops alone has no replies and no observation points, and nothing is wrong with it."""
    drop = {
        "verdict": "DROPPED",
        "event_type": {"type": 1, "sub_type": 133},
        "drop_reason_desc": "POLICY_DENIED",
    }
    assert (
        ()
        == _ledger(record(0, is_reply=None, trace_observation_point=None, trace_reason=None, **drop)).masked
    )


def test_columns_not_read_are_not_called_masked() -> None:
    """Of a field that was not decoded nothing is said."""
    assert () == _ledger(record(0, traffic_direction=None, is_reply=None), columns=["verdict"]).masked


def test_ledgers_merge_as_if_one_had_read_all() -> None:
    """Counts add up, windows widen, names and notes are kept."""
    one, two = Ledger(complete=True), Ledger(complete=True)
    one.add("lost", "ring", node="n", count=3, first=5, last=9)
    two.add("lost", "ring", node="n", count=4, first=2)
    two.add_bad("f:3", "not JSON", "byte 5")
    one.flows, two.flows = 10, 20
    one.window.add(10, 5, 9)
    two.window.add(20, 1, 6)
    merged = one.merge([two])
    assert (30, 1, {"lost": 7, "skipped": 1}) == (merged.flows, merged.bad, merged.totals())
    assert (1, 9, ["f:3: not JSON (byte 5)"]) == (merged.window.first, merged.window.last, merged.named)
    assert merged.table() == two.merge([one]).table()
    assert merged.complete
    assert not one.merge([Ledger()]).complete


def test_a_flood_of_different_reasons_is_bounded() -> None:
    """Hostile input cannot make the ledger grow without end."""
    ledger = Ledger()
    for number in range(30_000):
        ledger.add("skipped", f"unknown verdict '{number}'")
    assert (30_000, True) == (ledger.total("skipped"), len(ledger.entries) <= 10_001)
