"""What policies see of an end."""

import pytest

from flowmine.engine.addresses import address_number, span
from flowmine.engine.config import Config
from flowmine.engine.entries import Protocols
from flowmine.engine.party import Party, resolve
from flowmine.errors import InputError
from flowmine.labels import Label


@pytest.mark.parametrize(
    ("labels", "local"),
    [
        (["k8s:app=web"], True),
        (["k8s:app=web", "k8s:io.cilium.k8s.policy.cluster=default"], True),
        (["k8s:app=web", "k8s:io.cilium.k8s.policy.cluster=other"], False),
        (["reserved:host"], True),
        (["reserved:host", "reserved:kube-apiserver"], True),
        (["reserved:health"], True),
        (["reserved:ingress"], True),
        (["reserved:init"], True),
        (["reserved:remote-node"], False),
        (["reserved:kube-apiserver", "reserved:remote-node"], False),
        (["reserved:unmanaged"], False),
        (["reserved:world"], False),
        (["cidr:10.0.0.0/8"], False),
        ([], False),
    ],
)
def test_policy_is_enforced_at_local_endpoints_only(labels: list[str], local: bool) -> None:
    """Pods of this cluster, the host, health, init and ingress endpoints have policy of their own; nothing else has."""
    assert local == resolve(Party(tuple(labels)), Config()).local


def test_without_the_host_firewall_the_host_has_no_policy() -> None:
    """Host policies need the host firewall."""
    assert not resolve(Party(("reserved:host",)), Config(host_firewall=False)).local


def test_a_pod_without_a_cluster_is_of_the_local_one() -> None:
    """The cluster's label is implied, under the configured name."""
    identity = resolve(Party(("k8s:app=web",)), Config(cluster_name="east"))
    assert Label("k8s", "io.cilium.k8s.policy.cluster", "east") in identity.labels


def test_in_dual_stack_the_world_is_one_of_a_family() -> None:
    """`reserved:world` becomes the label of the address's family."""
    found = [
        resolve(Party(("reserved:world",), ip), Config(ipv6=True)).labels
        for ip in ("192.0.2.1", "2001:db8::1")
    ]
    assert found == [(Label("reserved", "world-ipv4"),), (Label("reserved", "world-ipv6"),)]


@pytest.mark.parametrize(
    ("party", "config", "covered"),
    [
        (Party(("k8s:app=web",), "10.1.2.3"), Config(), None),
        (Party(("reserved:remote-node",), "10.1.2.3"), Config(), None),
        (Party(("reserved:remote-node",), "10.1.2.3"), Config(policy_cidr_match_nodes=True), "10.1.2.3/32"),
        (Party(("reserved:world",), "10.1.2.3"), Config(), "10.1.2.3/32"),
        (Party(("reserved:kube-apiserver", "reserved:world"), "10.1.2.3"), Config(), "10.1.2.3/32"),
        (Party(("cidr:10.0.0.0/8", "cidr:10.1.0.0/16", "reserved:world")), Config(), "10.1.0.0/16"),
        (Party(("cidr:2001-db8--0/32", "reserved:world-ipv6")), Config(ipv6=True), "2001:db8::/32"),
        (Party(("reserved:world",)), Config(), "0.0.0.0/0"),
        (Party(("reserved:world",)), Config(ipv6=True), None),
    ],
)
def test_addresses_count_outside_only(party: Party, config: Config, covered: str | None) -> None:
    """CIDR rules look at the address of ends outside, or at the longest prefix in their labels; at nodes on demand."""
    assert (None if covered is None else span(covered)) == resolve(party, config).span


def test_names_count_outside_only_and_come_from_labels_too() -> None:
    """DNS names belong to addresses outside; a `fqdn:` label holds one as well."""
    outside = Party(("fqdn:a.io", "reserved:world"), "192.0.2.1", ("B.io.",))
    pod = Party(("k8s:app=web",), "10.1.2.3", ("b.io",))
    assert (("a.io", "b.io"), ()) == tuple(resolve(party, Config()).names for party in (outside, pod))


def test_a_party_is_read_from_a_query() -> None:
    """Labels and names are sets; named ports are numbers with a protocol, TCP where none is said."""
    values = {
        "labels": ["k8s:b=2", "k8s:a=1", "k8s:b=2"],
        "ip": "10.1.2.3",
        "names": ["A.io."],
        "named_ports": {"http": "80"},
    }
    assert Party.of(values) == Party(
        ("k8s:a=1", "k8s:b=2"), "10.1.2.3", ("a.io",), (("http", 80, Protocols.TCP),)
    )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"labels": "k8s:app=web"}, "lists of texts"),
        ({"named_ports": {"http": "eighty"}}, "expected a number"),
        ({"named_ports": {"http": "65536/TCP"}}, "expected a number"),
    ],
)
def test_a_malformed_party_is_refused(values: dict[str, object], told: str) -> None:
    """What has another form is an input error that says what is expected."""
    with pytest.raises(InputError, match=told):
        Party.of(values)


def test_an_address_that_is_none_is_refused() -> None:
    """The address is looked at when policies are matched against it."""
    with pytest.raises(InputError, match="which is no IP address"):
        resolve(Party(("reserved:world",), "10.1.2"), Config())


def test_addresses_are_numbers_once() -> None:
    """An end's address is a prefix of one address."""
    number = address_number("10.1.2.3")
    assert resolve(Party(("reserved:world",), "10.1.2.3"), Config()).span == (number, number)
