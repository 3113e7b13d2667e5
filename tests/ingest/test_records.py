"""The events themselves, for `flows` and for filters."""

import json
from typing import Any

from tests.ingest.making import flow, lines, opened, read, record, rows
from tests.ingest.test_layouts import LAYOUTS

LOST = {"lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "7"}, "node_name": "n"}


def test_records_are_the_events_as_hubble_wrote_them_without_their_log_wrapper() -> None:
    """Of any wrapper, the bytes of what is inside; flows and others, in order, with file and line."""
    events = [record(0), LOST, record(1)]
    for name in ("lines", "Docker", "CRI", "Vector", "Fluent Bit text", "logcli"):
        found = list(opened(LAYOUTS[name](events)).records())
        assert [lines(one)[:-1] for one in events] == [raw for raw, _, _ in found], name
        assert events == [seen for _, seen, _ in found], name
        assert ["stream:1", "stream:2", "stream:3"] == [place for _, _, place in found], name


def test_a_bare_flow_gets_hubbles_wrapper() -> None:
    """Its node and time are repeated outside, as Hubble prints them."""
    ((raw, seen, _),) = opened(lines(flow(0))).records()
    assert record(0) == json.loads(raw) == seen


def test_a_record_in_another_spelling_is_given_in_canonical_form() -> None:
    """snake_case keys, names for numbers, whatever the file says; the bytes stay the file's."""
    odd = {
        "flow": {"verdict": 2, "nodeName": "n", "dropReasonDesc": 133, "ip": {"ipVersion": 4}},
        "nodeName": "n",
    }
    ((raw, seen, _),) = opened(lines(odd)).records()
    assert odd == json.loads(raw)
    expected = {
        "verdict": "DROPPED",
        "node_name": "n",
        "drop_reason_desc": "POLICY_DENIED",
        "IP": {"ipVersion": "IPv4"},
    }
    assert {"flow": expected, "node_name": "n"} == seen


def test_keep_chooses_the_flows_of_batches_and_of_records_alike() -> None:
    """The predicate sees the canonical record; what it refuses is not counted as read."""
    seen: list[dict[str, Any]] = []

    def keep(one: dict[str, Any]) -> bool:
        seen.append(one)
        return one["flow"]["l4"]["TCP"]["source_port"] % 2 == 1

    data = lines(*(record(number) for number in range(6)), LOST)
    source = opened(data, keep=keep)
    assert [40001, 40003, 40005] == read(source)["source_port"].to_pylist()
    assert (3, 7, 6) == (source.ledger.flows, source.ledger.total("lost"), len(seen))
    assert 4 == len(list(opened(data, keep=keep).records()))


def test_a_capture_that_the_filter_empties_is_no_error() -> None:
    """Refusing every flow gives no rows, and not the error of a file without events."""
    assert [] == rows(lines(record(0)), keep=lambda _: False)


def test_records_are_deduplicated_only_where_asked() -> None:
    """With dedup, as by default, a repeated event comes once."""
    data = lines(record(0), record(0), LOST, LOST)
    assert (3, 4) == (len(list(opened(data).records())), len(list(opened(data, dedup=False).records())))


def test_bad_lines_of_records_are_told_as_those_of_batches() -> None:
    """The ledger of both ways of reading says the same."""
    data = lines(record(0)) + b"bad\n" + lines(LOST, record(1), record(0))
    one, two = opened(data), opened(data)
    read(one)
    list(two.records())
    assert one.ledger.totals() == two.ledger.totals()
    assert (one.ledger.flows, one.ledger.bad, one.ledger.named) == (
        two.ledger.flows,
        two.ledger.bad,
        two.ledger.named,
    )


def test_a_field_of_a_wrong_type_is_left_out_and_told() -> None:
    """What prints or filters records need not ask of what type each field is."""
    line = b'{"flow": {"verdict": "DROPPED", "source": "x", "IP": {"source": "10.0.0.1", "destination": 5}, "Summary": []}}'
    source = opened(line + b"\n")
    assert [{"flow": {"verdict": "DROPPED", "IP": {"source": "10.0.0.1"}}}] == [
        record for _, record, _ in source.records()
    ]
    told = [row["source"] for row in source.ledger.table().to_pylist() if row["kind"] == "skipped"]
    assert ["flow.IP.destination", "flow.Summary", "flow.source"] == sorted(
        text.split(":")[0].removeprefix("field ") for text in told
    )
