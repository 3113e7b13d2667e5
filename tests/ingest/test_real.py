"""Captures made by others, in the sibling folder ../shared, are read whole."""

import json
from pathlib import Path

import pytest

from flowmine.ingest import open_flows
from tests.ingest.making import read

SHARED = Path(__file__).parents[3] / "shared"

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="../shared, the folder of reference data, is not here"
)

COUNTS = {
    "otel-10-flows.jsonl": 10,
    "otel-330-dns-flows.jsonl": 330,
    "otel-400-tcp-flows.jsonl": 400,
    "otel-5-http-flows.jsonl": 5,
    "cpg-l7_dns.jsonl": 3,
    "cpg-l7_http.jsonl": 4,
    "cpg-malformed.jsonl": 2,
    "cpg-mixed_tcp_icmp.jsonl": 4,
    "cpg-small.jsonl": 3,
    "cpg-small.jsonl.gz": 3,
    "accuknox-TC_03_egress_matchlabels_toPorts_toHttps_single_url.json": 1,
    "accuknox-TC_07_egress_toFQDNs_single_port.json": 2,
    "accuknox-TC_14_egress_selector_aggregation_matchLabels_toFQDNS.json": 4,
    "accuknox-mongo-doc.jsonl": 1,
    "cilium-docs-export.jsonl": 2,
    "tke-1.19.1-export.jsonl": 2,
    "gke-2022-bare.jsonl": 1,
    "kind-fieldmask-export.jsonl": 2,
}


@pytest.mark.parametrize("name", COUNTS)
def test_every_capture_of_others_reads_with_the_right_number_of_flows(name: str) -> None:
    """All flows are there, and only the line broken on purpose is bad."""
    source = open_flows(SHARED / "real-flows" / name)
    assert COUNTS[name] == read(source).num_rows
    assert (1 if "malformed" in name else 0) == source.ledger.bad
    assert COUNTS[name] == sum("flow" in seen for _, seen, _ in source.records())


def test_every_json_capture_of_others_is_known_here() -> None:
    """A capture added to the folder must be added to the counts."""
    found = {path.name for path in (SHARED / "real-flows").iterdir() if ".json" in path.name}
    assert set(COUNTS) == found


def test_the_golden_wire_file_reads_whole() -> None:
    """331 flows, 4 lost events and 4 node states of 339 records; its repeated uuids need dedup off."""
    source = open_flows(SHARED / "wire" / "flows.in.jsonl", dedup=False)
    assert 331 == read(source).num_rows
    assert (4112, 5, 0) == (
        source.ledger.total("lost"),
        source.ledger.total("node_status"),
        source.ledger.bad,
    )
    assert 339 == len(list(source.records()))
    assert 324 == read(open_flows(SHARED / "wire" / "flows.in.jsonl")).num_rows


def test_a_column_agrees_with_a_plain_reading_of_the_json() -> None:
    """Ports, verdicts, addresses and directions are those that the json module finds."""
    path = SHARED / "real-flows" / "otel-400-tcp-flows.jsonl"
    flows = [json.loads(line)["flow"] for line in path.read_bytes().splitlines()]
    table = read(open_flows(path))
    plain = {
        "verdict": [one["verdict"] for one in flows],
        "source_ip": [one["IP"]["source"] for one in flows],
        "destination_port": [one["l4"]["TCP"]["destination_port"] for one in flows],
        "traffic_direction": [one.get("traffic_direction", "TRAFFIC_DIRECTION_UNKNOWN") for one in flows],
        "is_reply": [one.get("is_reply", one.get("reply")) for one in flows],
        "node_name": [one["node_name"] for one in flows],
    }
    assert plain == {name: table[name].to_pylist() for name in plain}


def test_the_corpora_read_whole() -> None:
    """Twenty thousand events each, nothing bad, every end known."""
    for name in ("hipster", "hipster-shop", "threetier"):
        source = open_flows(SHARED / "corpora" / f"{name}.jsonl.gz", columns=["source", "destination"])
        table = read(source)
        assert source.ledger.flows == table.num_rows > 15_000
        assert (0, ()) == (source.ledger.bad, source.ledger.masked)
        assert 0 not in table["source"].to_pylist()
