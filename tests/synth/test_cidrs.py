"""Addresses collapsed to CIDRs, and widened within a budget."""

from ipaddress import collapse_addresses, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmine.synth.cidrs import address, collapse, is_public
from flowmine.synth.options import Options

_V4 = st.integers(0, 63).map(lambda n: ip_address(f"10.0.0.{n}"))
_V6 = st.integers(0, 63).map(lambda n: ip_address(f"fd00::{n:x}"))
_ADDRESSES = st.sets(_V4 | _V6, max_size=40)


@given(_ADDRESSES)
def test_exact_is_lossless_and_smallest(addresses) -> None:
    """Without widening the CIDRs hold the addresses and nothing else, as few as Python's own collapse."""
    cidrs, notes = collapse(addresses, Options().exact())
    held = {one for cidr in cidrs for one in ip_network(cidr)}
    assert addresses == held
    assert notes == ()
    expected = [
        str(each)
        for version in (4, 6)
        for each in collapse_addresses(one for one in addresses if one.version == version)
    ]
    assert expected == list(cidrs)


@given(_ADDRESSES, st.integers(0, 40))
def test_widening_keeps_to_its_budget_and_tells_it(addresses, budget: int) -> None:
    """Every address stays allowed, CIDRs never overlap, and the excess told is the excess there is, within the budget."""
    options = Options(widen_excess=budget)
    cidrs, notes = collapse(addresses, options)
    held = [one for cidr in cidrs for one in ip_network(cidr)]
    assert len(set(held)) == len(held)
    assert addresses <= set(held)
    assert len(held) - len(addresses) <= budget
    wide = {cidr for cidr in cidrs if not set(ip_network(cidr)) <= addresses}
    assert wide == {note.what for note in notes}
    for cidr in wide:
        seen = len(set(ip_network(cidr)) & addresses)
        assert seen >= options.widen_members
        assert seen >= options.widen_seen * ip_network(cidr).num_addresses


def test_a_small_office_becomes_its_network() -> None:
    """Six of eight neighbours are their network; the note counts what was never seen."""
    cidrs, notes = collapse([ip_address(f"192.168.4.{n}") for n in range(1, 7)], Options())
    assert cidrs == ("192.168.4.0/29",)
    assert [note.evidence for note in notes] == ["6 of its 8 addresses seen, 2 never"]


def test_single_hosts_stay_single_hosts() -> None:
    """Two hosts of one network are two hosts, in either family with the right length."""
    cidrs, _ = collapse([ip_address(each) for each in ("10.0.0.1", "10.0.0.200", "2001:db8::1")], Options())
    assert cidrs == ("10.0.0.1/32", "10.0.0.200/32", "2001:db8::1/128")


def test_thousands_of_addresses_are_quick_enough_to_be_seen_twice() -> None:
    """Ten thousand scattered addresses stay ten thousand CIDRs, in linear order."""
    addresses = [ip_address(0x0B000000 + 977 * n) for n in range(10_000)]
    cidrs, notes = collapse(reversed(addresses), Options())
    assert [f"{each}/32" for each in addresses] == list(cidrs)
    assert notes == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", None),
        ("", None),
        ("x", None),
    ],
)
def test_reads_addresses(text: str, expected: str | None) -> None:
    """A mapped address is the IPv4 one; what is none is None."""
    found = address(text)
    assert expected == (None if found is None else str(found))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("198.51.100.7", True),
        ("8.8.8.8", True),
        ("2001:db8::1", True),
        ("10.1.1.1", False),
        ("172.27.224.3", False),
        ("100.64.0.1", False),
        ("169.254.20.10", False),
        ("fd00::1", False),
        ("::1", False),
    ],
)
def test_knows_strangers_from_neighbours(text: str, expected: bool) -> None:
    """Private, shared, unique local and link local addresses are nobody's on the internet."""
    found = address(text)
    assert found is not None
    assert expected == is_public(found)
