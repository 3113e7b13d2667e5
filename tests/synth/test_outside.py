"""Rules for peers outside: names, blocks, the world."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmine.policy.portrule import FqdnSelector
from flowmine.ports import PortSet
from flowmine.synth.options import Known, Options
from flowmine.synth.outside import OutsideEnd, OutsideRule, egress_rules, ingress_rules, unnameable

HTTP = PortSet.of([("TCP", 80)])
HTTPS = PortSet.of([("TCP", 443)])
ADMIN = PortSet.of([("TCP", 8443)])


def _said(rule: OutsideRule) -> tuple[tuple[str, ...], str]:
    names = tuple(each.match_name or each.match_pattern or "" for each in rule.fqdns)
    return names + rule.cidrs + rule.entities, str(rule.ports)


def _users(count: int, network: str = "198.51.100") -> list[OutsideEnd]:
    return [OutsideEnd(f"{network}.{n}", HTTPS) for n in range(1, count + 1)]


def test_by_the_name_the_subject_asked_for() -> None:
    """An address with a name is that name, wherever it points next; one without is its own CIDR."""
    ends = [
        OutsideEnd("54.187.174.169", HTTPS, ("api.stripe.com",)),
        OutsideEnd("54.187.205.235", HTTPS, ("api.stripe.com",)),
        OutsideEnd("9.9.9.9", HTTPS),
    ]
    rules = egress_rules(ends, Options())
    assert [_said(rule) for rule in rules] == [(("api.stripe.com",), "443/TCP"), (("9.9.9.9/32",), "443/TCP")]
    assert [rule.unnamed for rule in rules] == [False, True]
    assert rules[0].members == ("54.187.174.169", "54.187.205.235")


def test_all_names_of_a_shared_address() -> None:
    """Of several names for one address none can be told to be the one meant: all are written."""
    (rule,) = egress_rules([OutsideEnd("1.2.3.4", HTTPS, ("a.one.com", "b.two.com"))], Options())
    assert _said(rule) == (("a.one.com", "b.two.com"), "443/TCP")


def test_a_service_name_is_no_peer() -> None:
    """An address that only a Service's name led to is a CIDR."""
    (rule,) = egress_rules([OutsideEnd("10.9.9.9", HTTPS, ("db.shop.svc.cluster.local",))], Options())
    assert _said(rule) == (("10.9.9.9/32",), "443/TCP")


def test_names_of_different_ports_are_different_rules() -> None:
    """A name is open on the ports it was reached on, not on those of another."""
    ends = [OutsideEnd("1.1.1.1", HTTPS, ("a.one.com",)), OutsideEnd("2.2.2.2", HTTP | HTTPS, ("b.two.com",))]
    assert [_said(rule) for rule in egress_rules(ends, Options())] == [
        (("b.two.com",), "80/TCP, 443/TCP"),
        (("a.one.com",), "443/TCP"),
    ]


def test_ipv6_has_its_own_length() -> None:
    """An IPv6 peer without a name is a /128, and beside IPv4 in one rule."""
    ends = [OutsideEnd("2001:db8::7", HTTPS), OutsideEnd("9.9.9.9", HTTPS)]
    (rule,) = egress_rules(ends, Options())
    assert _said(rule) == (("9.9.9.9/32", "2001:db8::7/128"), "443/TCP")


def test_many_unrelated_clients_are_the_world() -> None:
    """A crowd on a port makes that port public; the one client of another port keeps it to itself."""
    vpn = OutsideEnd("172.27.224.3", ADMIN)
    rules = ingress_rules([*_users(199), vpn], Options())
    assert [_said(rule) for rule in rules] == [(("172.27.224.3/32",), "8443/TCP"), (("world",), "443/TCP")]
    (note,) = rules[1].notes
    assert (note.kind, note.evidence) == ("world", "199 public clients from 1 network (IPv4 /16, IPv6 /32)")


@pytest.mark.parametrize(
    ("ends", "public"),
    [
        (_users(15), False),
        (_users(16), True),
        ([OutsideEnd(f"{n}.1.2.3", HTTPS) for n in range(60, 72)], True),
        ([OutsideEnd(f"{n}.1.2.3", HTTPS) for n in range(60, 71)], False),
        (_users(200, "10.8.0"), False),
        ([OutsideEnd(f"2a00:{n:x}::1", HTTPS) for n in range(1, 13)], True),
    ],
)
def test_what_a_crowd_is(ends: list[OutsideEnd], public: bool) -> None:
    """Sixteen public clients, or twelve of eight networks, in either family; a private pool never is the world."""
    rules = ingress_rules(ends, Options())
    assert public == any(rule.entities for rule in rules)


def test_a_companion_port_is_public_too() -> None:
    """Port 80 beside a public 443 is public where its few clients come from the same crowd, and not for one of them."""
    users = [*_users(40)[:36], *(OutsideEnd(f"198.51.100.{n}", HTTP | HTTPS) for n in range(37, 41))]
    admin = OutsideEnd("198.51.100.37", ADMIN)
    rules = ingress_rules([*users, admin], Options())
    assert sorted((_said(rule) for rule in rules), reverse=True) == [
        (("world",), "80/TCP, 443/TCP"),
        (("198.51.100.37/32",), "8443/TCP"),
    ]


def test_known_blocks_beat_guessing() -> None:
    """A block that a person named stands whole, the smallest of several, and is not counted among the crowd."""
    options = Options(known=(Known("203.0.113.0/24", "partner"), Known("203.0.113.8/29", "partner vpn")))
    ends = [
        OutsideEnd("203.0.113.9", ADMIN),
        OutsideEnd("203.0.113.200", ADMIN),
        OutsideEnd("9.9.9.9", ADMIN),
    ]
    rules = ingress_rules(ends, options)
    assert {rule.cidrs: rule.names for rule in rules} == {
        ("203.0.113.0/24",): ("partner",),
        ("203.0.113.8/29",): ("partner vpn",),
        ("9.9.9.9/32",): (),
    }
    (egress,) = egress_rules([OutsideEnd("203.0.113.200", HTTPS)], options)
    assert (egress.cidrs, egress.names, egress.unnamed) == (("203.0.113.0/24",), ("partner",), False)


def test_exact_allows_only_what_was_seen() -> None:
    """With generalisation off a crowd is a list, names are names, and no note is needed."""
    names = tuple(f"{each}.cloud.google.com" for each in ("run", "sql", "storage", "console"))
    options = Options().exact()
    rules = (
        *ingress_rules(_users(60), options),
        *egress_rules([OutsideEnd("1.2.3.4", HTTPS, names)], options),
    )
    assert [note for rule in rules for note in rule.notes] == []
    assert set(names) <= {name for rule in rules for name in _said(rule)[0]}
    assert not any(rule.entities for rule in rules)


def test_media_servers_get_their_range() -> None:
    """A subject that many clients reach on many ports of a band opens the band to each of them."""
    drawn = random.Random(1).sample(range(30000, 30101), 60)
    ends = [OutsideEnd(f"10.3.0.{10 * (n % 4)}", PortSet.of([("UDP", port)])) for n, port in enumerate(drawn)]
    (rule,) = ingress_rules(ends, Options())
    assert str(rule.ports) == "30000-30100/UDP"
    assert [note.kind for note in rule.notes] == ["range"]


def test_ends_without_an_address_are_told() -> None:
    """What has no address gets no rule and is named."""
    ends = [OutsideEnd("", HTTPS), OutsideEnd("9.9.9.9", HTTPS)]
    assert unnameable(ends) == (ends[0],)
    assert [rule.cidrs for rule in egress_rules(ends, Options())] == [("9.9.9.9/32",)]


def test_a_mapped_address_is_its_ipv4_one() -> None:
    """One address told in two ways is one peer."""
    (rule,) = egress_rules([OutsideEnd("::ffff:9.9.9.9", HTTP), OutsideEnd("9.9.9.9", HTTPS)], Options())
    assert _said(rule) == (("9.9.9.9/32",), "80/TCP, 443/TCP")


_ENDS = st.lists(
    st.builds(
        OutsideEnd,
        st.sampled_from([f"198.51.100.{n}" for n in range(40)] + ["10.0.0.1", "10.0.0.2", "2001:db8::1"]),
        st.sets(st.sampled_from([("TCP", 80), ("TCP", 443), ("UDP", 443), ("ICMPv4", 8)]), min_size=1).map(
            PortSet.of
        ),
        st.sets(st.sampled_from(["a.x.org", "b.x.org", "c.x.org", "api.y.net", "s.n.svc.cluster.local"])).map(
            tuple
        ),
    ),
    max_size=50,
)


@given(_ENDS, st.randoms(), st.booleans())
def test_everything_seen_is_allowed_in_any_order(ends: list[OutsideEnd], shuffler, exact: bool) -> None:
    """Every end keeps all its ports by the rules it is a member of, whatever the order, one kind of peer a rule."""
    options = Options().exact() if exact else Options()
    shuffled = ends[:]
    shuffler.shuffle(shuffled)
    for build in (egress_rules, ingress_rules):
        rules = build(ends, options)
        assert rules == build(shuffled, options)
        for end in ends:
            allowed = PortSet.union(rule.ports for rule in rules if end.ip in rule.members)
            assert end.ports == end.ports & allowed
        for rule in rules:
            assert sum(map(bool, (rule.fqdns, rule.cidrs, rule.entities))) == 1
            assert all(isinstance(each, FqdnSelector) for each in rule.fqdns)
