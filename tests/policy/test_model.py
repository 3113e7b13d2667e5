"""Policies are canonical values: equal meaning is equal value."""

from itertools import permutations

import pytest

from flowmine.policy.model import (
    CidrRule,
    Direction,
    Entry,
    HttpRule,
    Kind,
    L7Rules,
    NetworkPolicySpec,
    Policy,
    PortProtocol,
    PortRule,
    Requirement,
    Rule,
    Section,
    Selector,
)
from flowmine.policy.portrule import is_port_name, parse_port

WEB, DB = Selector.of({"app": "web"}), Selector.of({"app": "db"})


def test_sets_are_ordered_and_free_of_duplicates() -> None:
    """Peers of one kind, labels, values and ports are sets, in whatever order and how often they are given."""
    entry = Entry(endpoints=(WEB, DB, WEB), entities=("world", "host"), cidr=("10.0.0.0/8", "9.0.0.0/8"))
    assert entry.endpoints == (DB, WEB)
    assert entry.entities == ("host", "world")
    assert entry.cidr == ("9.0.0.0/8", "10.0.0.0/8")
    assert Requirement("k", "In", ("b", "a", "b")).values == ("a", "b")
    assert Selector.of({"b": "2", "a": "1"}) == Selector.of({"a": "1", "b": "2"})


def test_ports_are_ordered_by_number() -> None:
    """Ports come by number and then protocol, names last."""
    given = [("http", "TCP"), ("443", "TCP"), ("53", "UDP"), ("53", "TCP")]
    expected = (("53", "TCP"), ("53", "UDP"), ("443", "TCP"), ("http", "TCP"))
    for order in permutations(given):
        rule = PortRule(ports=tuple(PortProtocol(*each) for each in order))
        assert expected == tuple((each.port, each.protocol) for each in rule.ports)


def test_absent_and_empty_lists_differ() -> None:
    """What Cilium distinguishes stays apart: an absent list, an empty one, and one with an empty item."""
    assert len({Rule(ingress=each) for each in (None, (), (Entry(),))}) == 3
    assert len({Entry(endpoints=each) for each in (None, (), (Selector(),))}) == 3
    assert len({L7Rules(http=each) for each in (None, (), (HttpRule(),))}) == 3
    assert len({Entry(to_ports=each) for each in (None, (), (PortRule(),))}) == 3


def test_sorted_policies_of_the_same_rules_are_equal() -> None:
    """The order of rules, entries and port rules counts for reports only: sorted policies are equal."""
    entries = (
        Entry(endpoints=(WEB,)),
        Entry(cidr=("10.0.0.0/8",), to_ports=(PortRule(), PortRule(ports=(PortProtocol("1"),)))),
    )
    swapped = tuple(
        Entry(each.endpoints, cidr=each.cidr, to_ports=each.to_ports and each.to_ports[::-1])
        for each in entries[::-1]
    )
    rules = (Rule(WEB, ingress=entries), Rule(DB, egress=entries))
    turned = (Rule(DB, egress=swapped), Rule(WEB, ingress=swapped))
    one, other = Policy(Kind.CNP, "p", rules=rules), Policy(Kind.CNP, "p", rules=turned)
    assert one != other
    assert one.sorted() == other.sorted()


@pytest.mark.parametrize(
    ("rule", "ingress", "egress"),
    [
        (Rule(WEB, ingress=(Entry(),)), True, False),
        (Rule(WEB, ingress=()), False, False),
        (Rule(WEB, egress_deny=(Entry(),)), False, True),
    ],
)
def test_default_deny_follows_the_sections(rule: Rule, ingress: bool, egress: bool) -> None:
    """A direction is closed where a rule has entries in it, be they allow or deny."""
    assert (ingress, egress) == (
        rule.default_denies(Direction.INGRESS),
        rule.default_denies(Direction.EGRESS),
    )


def test_entries_name_their_section() -> None:
    """Entries come with the section and the index that reports name."""
    rule = Rule(WEB, ingress=(Entry(), Entry()), egress_deny=(Entry(),))
    expected = [(Section.INGRESS, 0), (Section.INGRESS, 1), (Section.EGRESS_DENY, 0)]
    assert expected == [(section, index) for section, index, _ in rule.entries()]
    assert [section.denies for section, _, _ in rule.entries()] == [False, False, True]


def test_a_policy_has_the_spec_of_its_kind() -> None:
    """A NetworkPolicy has no Cilium rules, and Cilium's kinds have no NetworkPolicy spec."""
    with pytest.raises(ValueError, match="network_policy"):
        Policy(Kind.KNP, "p", rules=(Rule(WEB),))
    with pytest.raises(ValueError, match="network_policy"):
        Policy(Kind.CNP, "p", network_policy=NetworkPolicySpec())


def test_refs_name_kind_namespace_and_name() -> None:
    """A reference has the namespace that kubectl fills in, and none for clusterwide policies."""
    refs = [
        Policy(kind, "p", namespace).ref
        for kind, namespace in ((Kind.CNP, None), (Kind.CNP, "a"), (Kind.CCNP, None))
    ]
    assert refs == [
        "CiliumNetworkPolicy/default/p",
        "CiliumNetworkPolicy/a/p",
        "CiliumClusterwideNetworkPolicy//p",
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("443", 443),
        ("0", 0),
        ("65535", 65535),
        ("65536", None),
        ("010", 8),
        ("080", None),
        ("1_000", 1000),
        ("1__0", None),
        ("_1", None),
        ("0x0000000000000050", 80),
        ("-1", None),
        ("", None),
        ("8.0", None),
        ("９", None),
        ("9" * 100, None),
    ],
)
def test_port_numbers_are_gos(text: str, number: int | None) -> None:
    """A port's number is read as Go's ParseUint with base 0 and 16 bits reads it."""
    assert number == parse_port(text)


NAMES = ("http", "0x50", "1a", "a-b", "a" * 15)
NO_NAMES = ("80", "1-2", "a" * 16, "", "a_b", "a--b", "-a", "a-")


@pytest.mark.parametrize(("text", "named"), [(text, text in NAMES) for text in NAMES + NO_NAMES])
def test_port_names_are_service_names(text: str, named: bool) -> None:
    """A port name is an IANA service name: at most 15 letters, digits and single hyphens between, with a letter."""
    assert named == is_port_name(text)
    assert (None if named else parse_port(text)) == PortProtocol(text).number


def test_cidr_rules_are_ordered_by_address() -> None:
    """CIDR rules come by address, groups last, and their exceptions likewise."""
    rules = (
        CidrRule(cidr_group_ref="g"),
        CidrRule("10.0.0.0/8", except_=("10.9.0.0/16", "10.10.0.0/16")),
        CidrRule("9.0.0.0/8"),
    )
    entry = Entry(cidr_set=rules)
    assert [each.cidr for each in entry.cidr_set or ()] == ["9.0.0.0/8", "10.0.0.0/8", None]
    assert (entry.cidr_set or ())[1].except_ == ("10.9.0.0/16", "10.10.0.0/16")
