"""Which sides a capture saw: half-seen workloads are listed, not locked down."""

from flowmine.edges import partial, settle
from flowmine.labels import canonical, endpoint_id
from tests.edges.events import API, DNS, HOST, NO_LEDGER, WEB, WORLD, batch, endpoints, event, pods

SYN = {"tcp_flags": 2, "is_reply": False, "trace_observation_point": "TO_ENDPOINT"}
ALL = pods((WEB, "web-1", True), (API, "api-1", True), (DNS, "dns-1", True))


def unseen(rows, seen_pods=ALL, complete=False, known=(WEB, API, DNS, HOST, WORLD)):
    """Return which of web, api and dns are half-seen."""
    made = settle(partial(batch(rows)), endpoints(*known), seen_pods, NO_LEDGER, complete=complete)
    ids = {row["endpoint"] for row in made.seen.to_pylist() if not row["egress"] and row["reason"]}
    return {name for name, e in (("web", WEB), ("api", API), ("dns", DNS)) if endpoint_id(e) in ids}


def test_namespace_filter_leaves_the_resolver_half_seen():
    """Under `hubble observe -n shop` kube-dns shows only what shop asks it."""
    rows = [event(WEB, API, **SYN), event(WEB, DNS, **SYN), event(HOST, WEB, **SYN)]
    assert {"dns"} == unseen(rows)
    assert set() == unseen(rows, complete=True)


def test_traffic_among_nodes_proves_that_nothing_was_filtered():
    """No filter by namespace keeps traffic between two ends without one."""
    rows = [event(WEB, API, **SYN), event(WEB, DNS, **SYN), event(HOST, WORLD, **SYN)]
    assert set() == unseen(rows)


def test_system_namespace_with_its_nodes_proves_it_too():
    """kube-dns with its kubelet probes was captured for its own sake."""
    rows = [event(WEB, API, **SYN), event(WEB, DNS, **SYN), event(HOST, DNS, **SYN)]
    assert set() == unseen(rows)


def test_pods_of_a_missing_node_make_their_workload_half_seen():
    """A pod seen only from other nodes may have done anything on its own."""
    rows = [event(WEB, API, **SYN), event(HOST, WORLD, **SYN)]
    assert {"api"} == unseen(rows, pods((WEB, "web-1", True), (API, "api-1", True), (API, "api-2", False)))


def test_capture_of_drops_alone_locks_nobody_down():
    """Where only drops were kept, what is allowed was not seen."""
    rows = [
        event(
            WEB,
            API,
            verdict="DROPPED",
            drop_reason_desc="POLICY_DENIED",
            traffic_direction="EGRESS",
            tcp_flags=2,
        )
    ]
    assert {"web", "api", "dns"} == unseen(rows)


def test_capture_of_one_pod_half_sees_its_peers():
    """Under `hubble observe --pod shop/web` everything has web at one end."""
    other = canonical(cluster_name="c", namespace="shop", labels=["k8s:app=other"])
    rows = [event(WEB, API, **SYN), event(WEB, DNS, **SYN), event(other, WEB, **SYN), event(HOST, WEB, **SYN)]
    assert {"api", "dns"} == unseen(rows, known=(WEB, API, DNS, HOST, other))
    assert {"dns"} == unseen(rows[:2] + rows[3:], known=(WEB, API, DNS, HOST))


def test_a_side_that_may_have_begun_untold_connections_stays_open():
    """Between two ephemeral ports, without is_reply and flags, nothing tells who called whom: neither side is closed."""
    untold = event(
        WEB,
        API,
        protocol="SCTP",
        source_port=40000,
        destination_port=38412,
        trace_observation_point="TO_ENDPOINT",
    )
    rows = [untold, event(WEB, DNS, **SYN), event(HOST, WORLD, **SYN)]
    made = settle(partial(batch(rows)), endpoints(WEB, API, DNS, HOST, WORLD), ALL, NO_LEDGER, complete=True)
    sides = {
        row["endpoint"]: (row["egress"], row["ingress"], bool(row["reason"])) for row in made.seen.to_pylist()
    }
    assert {
        endpoint_id(WEB): (True, False, True),
        endpoint_id(API): (False, False, True),
        endpoint_id(DNS): (True, True, False),
    } == sides
