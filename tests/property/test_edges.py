"""The same traffic gives the same EDGES, byte for byte, however it is ordered, cut and joined."""

import io
import random

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine.edges import Edges, merge, partial, settle
from flowmine.edges.observe import Parts
from tests.edges.events import API, DNS, HOST, INIT, NO_LEDGER, WEB, WORLD, batch, endpoints, event, pods

ENDS = st.sampled_from([WEB, API, DNS, HOST, WORLD, INIT])
PORTS = st.sampled_from([53, 80, 443, 8080, 33000, 40000, 50051])
HOUR = 3_600_000_000_000
NAMES = st.lists(st.sampled_from(["api.example.com", "db.example.org"]), max_size=2)

EVENTS = st.builds(
    event,
    ENDS,
    ENDS,
    time=st.one_of(st.none(), st.integers(0, 3 * HOUR // 10**12).map(lambda n: n * 10**12)),
    verdict=st.sampled_from(["FORWARDED", "DROPPED", "AUDIT", "REDIRECTED", "ERROR", "TRANSLATED"]),
    drop_reason_desc=st.sampled_from([None, "POLICY_DENIED", "POLICY_DENY", "STALE_OR_UNROUTABLE_IP"]),
    event_type=st.sampled_from([1, 4, 5, 7, 129, None]),
    trace_observation_point=st.sampled_from(["TO_ENDPOINT", "TO_STACK", "FROM_ENDPOINT", "TO_PROXY", None]),
    traffic_direction=st.sampled_from(["INGRESS", "EGRESS", None]),
    is_reply=st.sampled_from([True, False, None]),
    source_local=st.sampled_from([True, False, None]),
    source_ip=st.sampled_from(["10.0.0.1", "192.0.2.7", "fd00::1", None]),
    destination_ip=st.sampled_from(["10.0.0.2", "198.51.100.9", None]),
    source_xlated=st.sampled_from([None, None, "10.96.0.1"]),
    source_port=PORTS,
    destination_port=PORTS,
    protocol=st.sampled_from(["TCP", "UDP", "SCTP"]),
    tcp_flags=st.sampled_from([None, 2, 16, 18, 24]),
    destination_names=NAMES,
    source_service=st.sampled_from([None, None, "shop/api"]),
    l7_type=st.sampled_from([None, None, "REQUEST", "RESPONSE"]),
    http_method=st.sampled_from([None, "GET", "POST"]),
    http_path=st.sampled_from([None, "/a", "/b?"]),
    dns_query=st.sampled_from([None, "api.example.com"]),
    dns_ips=st.lists(st.sampled_from(["198.51.100.9", "198.51.100.8"]), max_size=2),
    egress_denied_by=st.lists(
        st.sampled_from(["CiliumNetworkPolicy/shop/a", "NetworkPolicy/shop/b"]), max_size=2
    ),
    unknown_count=st.integers(0, 3),
)


def settled(parts: Parts) -> Edges:
    """Settle with every endpoint known."""
    known = endpoints(WEB, API, DNS, HOST, WORLD, INIT)
    seen = pods((WEB, "web-1", True), (INIT, "web-1", True), (API, "api-1", True), (DNS, "dns-1", False))
    return settle(parts, known, seen, NO_LEDGER)


def written(edges: Edges) -> list[bytes]:
    """Return every table as the bytes of its Arrow file."""
    made = []
    for name in Edges.__dataclass_fields__:
        sink = io.BytesIO()
        table = getattr(edges, name).combine_chunks()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        made.append(sink.getvalue())
    return made


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=30), st.randoms(use_true_random=False), st.integers(1, 7))
def test_order_batches_and_splits_never_matter(rows: list[dict], shuffle: random.Random, size: int):
    """One batch in order, and shuffled batches merged in a random tree, settle to the same bytes."""
    whole = settled(partial(batch(rows), requests=True))
    mixed = rows[:]
    shuffle.shuffle(mixed)
    pieces = [partial(batch(mixed[i : i + size]), requests=True) for i in range(0, len(mixed), size)]
    while len(pieces) > 1:
        a, b = pieces.pop(shuffle.randrange(len(pieces))), pieces.pop(shuffle.randrange(len(pieces)))
        pieces.append(merge([a, b]))
    assert written(whole) == written(settled(pieces[0]))


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=30))
def test_counts_add_up(rows: list[dict]):
    """Every event that counts is in exactly one edge or among the unsettled."""
    made = settled(partial(batch(rows)))
    parts = partial(batch(rows))
    counted = sum(made.edges["events"].to_pylist()) + sum(
        row["count"] for row in made.ledger.to_pylist() if row["kind"] == "unsettled"
    )
    assert sum(parts.rows["events"].to_pylist()) == counted
    by_hour = sum(made.hours["events"].to_pylist())
    assert by_hour <= sum(made.edges["events"].to_pylist())
