"""Lookups told from other traffic, and the rules that FQDN rules need."""

from dataclasses import fields
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from flowmine.edges import Edges
from flowmine.policy.portrule import FqdnSelector
from flowmine.ports import PortSet
from flowmine.schema import EDGES, ENDPOINTS, HOURS, LEDGER, NAMES, PODS, REASONS, REQUESTS, SAMPLES
from flowmine.synth.dns import EVERY_NAME, asked_names, dns_rows, dns_rule
from flowmine.synth.options import Options

CLIENT, CORE, OPENSHIFT, OTHER, NODE = 1, 3, 5, 7, 8
WHEN = datetime(2026, 11, 19, 8, tzinfo=UTC)

_LABELS = {
    CLIENT: ["k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop"],
    CORE: ["k8s:k8s-app=kube-dns", "k8s:io.kubernetes.pod.namespace=kube-system"],
    OPENSHIFT: [
        "k8s:dns.operator.openshift.io/daemonset-dns=default",
        "k8s:io.kubernetes.pod.namespace=openshift-dns",
    ],
    OTHER: ["k8s:app=other", "k8s:io.kubernetes.pod.namespace=shop"],
    NODE: ["reserved:host"],
}


def _edges(
    rows: list[tuple[int, str, int]],
    requests: list[tuple[int, str, bool]] = (),  # type: ignore[assignment]
    names: list[tuple[str, str]] = (),  # type: ignore[assignment]
) -> Edges:
    """Edges from the client, as (responder, protocol, port), with DNS requests as (row, name, denied)."""
    tables = {
        "edges": _table(
            EDGES,
            [
                {"initiator": CLIENT, "responder": at, "protocol": proto, "port": port}
                for at, proto, port in rows
            ],
        ),
        "endpoints": _table(ENDPOINTS, [{"id": each, "labels": labels} for each, labels in _LABELS.items()]),
        "requests": _table(
            REQUESTS,
            [
                {"edge": row, "method": "DNS", "path": name, "denied": denied}
                for row, name, denied in requests
            ],
        ),
        "names": _table(
            NAMES, [{"subject": CLIENT, "ip": "9.9.9.9", "name": n, "source": source} for n, source in names]
        ),
    }
    empty = {"hours": HOURS, "reasons": REASONS, "samples": SAMPLES, "pods": PODS, "ledger": LEDGER}
    tables |= {name: schema.empty_table() for name, schema in empty.items()}
    return Edges(**tables, **{each.name: pa.table({}) for each in fields(Edges) if each.name not in tables})


def _table(schema: pa.Schema, rows: list[dict[str, object]]) -> pa.Table:
    blank = dict.fromkeys(schema.names)
    return pa.Table.from_pylist([{**blank, **row} for row in rows], schema=schema)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((CORE, "UDP", 53), True),
        ((CORE, "TCP", 53), True),
        ((NODE, "UDP", 53), True),
        ((OTHER, "TCP", 53), True),
        ((OPENSHIFT, "UDP", 5353), True),
        ((OPENSHIFT, "TCP", 5353), True),
        ((OPENSHIFT, "TCP", 9154), False),
        ((OTHER, "UDP", 5353), False),
        ((CORE, "UDP", 1053), True),
        ((CORE, "TCP", 9153), False),
        ((CORE, "SCTP", 53), False),
        ((OTHER, "TCP", 443), False),
    ],
)
def test_what_is_a_lookup(row: tuple[int, str, int], expected: bool) -> None:
    """Each line of the table: by port, by OpenShift's resolver, by CoreDNS on a port of its own."""
    assert frozenset({0} if expected else ()) == dns_rows(_edges([row]))


def test_a_resolver_on_a_port_of_its_own_is_asked_over_tcp_too() -> None:
    """CoreDNS's TCP port is DNS where the same UDP port is one, its metrics port is not."""
    assert {0, 1} == dns_rows(_edges([(CORE, "UDP", 1053), (CORE, "TCP", 1053), (CORE, "TCP", 9153)]))


def test_a_request_seen_proves_a_resolver() -> None:
    """Whatever the port and labels, an edge that carried a DNS request is one."""
    edges = _edges([(OTHER, "UDP", 9053), (OTHER, "UDP", 9054)], requests=[(0, "a.com", False)])
    assert {0} == dns_rows(edges)


def test_names_asked_for() -> None:
    """Names come from questions let through and from answers, not from Hubble's own cache nor from refusals."""
    edges = _edges(
        [(CORE, "UDP", 53)],
        requests=[(0, "db.shop.svc.cluster.local", False), (0, "refused.com", True)],
        names=[("api.stripe.com", "dns"), ("cached.com", "flow")],
    )
    assert {CLIENT: frozenset({"api.stripe.com", "db.shop.svc.cluster.local"})} == asked_names(edges)


UDP = PortSet.of([("UDP", 53)])
BOTH = PortSet.of([("UDP", 53), ("TCP", 53)])
STRIPE = FqdnSelector(match_name="api.stripe.com")


def test_lookups_are_allowed_over_both_transports() -> None:
    """TCP stands beside UDP, told as required; without FQDN rules nothing is inspected."""
    made = dns_rule(UDP, [], [], "shop", Options())
    assert (BOTH, PortSet.of([("TCP", 53)]), ()) == (made.ports, made.required, made.names)


def test_fqdn_rules_need_every_lookup_seen_by_the_proxy() -> None:
    """With an FQDN rule all lookups are inspected, any name is allowed, and the whole rule is required."""
    made = dns_rule(UDP, [STRIPE], ["api.stripe.com"], "shop", Options())
    assert (made.ports, made.required, made.names) == (BOTH, BOTH, (EVERY_NAME,))


def _asks(names: tuple[FqdnSelector, ...]) -> set[str]:
    return {each.match_name or each.match_pattern or "" for each in names}


def test_strict_allows_the_names_needed_and_what_the_search_path_makes_of_them() -> None:
    """Outside names come with their expansions, Services in every form a program may write."""
    pattern = FqdnSelector(match_pattern="*.cloud.google.com")
    asked = ["api.stripe.com", "db.shop.svc.cluster.local", "mq.infra.svc.cluster.local"]
    names = _asks(dns_rule(UDP, [STRIPE, pattern], asked, "shop", Options(dns="strict")).names)
    wanted = {
        "api.stripe.com",
        "api.stripe.com.shop.svc.cluster.local",
        "api.stripe.com.svc.cluster.local",
        "api.stripe.com.cluster.local",
        "*.cloud.google.com",
        "*.cloud.google.com.shop.svc.cluster.local",
        "db.shop.svc.cluster.local",
        "db.svc.cluster.local",
        "mq.infra.svc.cluster.local",
        "mq.infra.shop.svc.cluster.local",
        "mq.infra.svc",
    }
    assert wanted <= names
    assert not {"*", "db", "mq.shop.svc.cluster.local", "evil.com"} & names


def test_strict_follows_the_search_path_of_the_node() -> None:
    """A suffix seen behind a whole name is a search suffix, and applies to the other names too."""
    asked = ["api.stripe.com", "api.stripe.com.eu-west-1.compute.internal"]
    other = FqdnSelector(match_name="files.example.org")
    names = _asks(dns_rule(UDP, [STRIPE, other], asked, "shop", Options(dns="strict")).names)
    assert "files.example.org.eu-west-1.compute.internal" in names


def test_strict_without_any_question_seen_refuses_nothing() -> None:
    """Where no question was seen the names needed are unknown: all stay allowed, and it is told."""
    made = dns_rule(UDP, [STRIPE], [], "shop", Options(dns="strict"))
    assert made.names == (EVERY_NAME,)
    assert [note.kind for note in made.notes] == ["dns"]
