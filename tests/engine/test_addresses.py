"""Addresses and prefixes as numbers."""

import pytest

from flowmine.engine.addresses import Intervals, address_number, span


def test_a_prefix_with_host_bits_is_masked() -> None:
    """Host bits do not move a prefix, as in Cilium."""
    assert span("10.1.2.3/8") == (address_number("10.0.0.0"), address_number("10.255.255.255"))


def test_a_bare_address_is_itself() -> None:
    """An address without a length covers that address alone."""
    assert span("192.0.2.7") == (address_number("192.0.2.7"),) * 2


def test_families_do_not_overlap() -> None:
    """Every IPv6 address lies behind every IPv4 address, so that 0.0.0.0/0 and ::/0 are disjoint."""
    assert span("0.0.0.0/0")[1] + 1 == span("::/0")[0]


@pytest.mark.parametrize("text", ["", "10.1.2", "10.1.2.3/8", "nonsense", "10.0.0.256", "::g", "１.2.3.4"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """Texts that are no address raise ValueError, whatever their characters."""
    with pytest.raises(ValueError, match="no IP address"):
        address_number(text)


def test_an_address_is_covered_by_all_prefixes_around_it_but_where_they_leave_it_out() -> None:
    """Overlapping prefixes all cover an address; a prefix does not cover its own exceptions."""
    texts = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0", "::/0"]
    excepts = [[span("10.1.2.0/24")], [], [], [], []]
    intervals = Intervals([span(text) for text in texts], excepts)
    asked = ["10.1.2.3", "10.1.3.1", "10.9.9.9", "11.0.0.1", "2001:db8::1"]
    places = [intervals.place(address_number(text)) for text in asked]
    covering = intervals.covering(places)
    assert [covering[place] for place in places] == [(1, 2, 3), (0, 1, 3), (0, 3), (3,), (4,)]


def test_no_prefixes_cover_nothing() -> None:
    """Without prefixes nothing covers an address, which still has a place."""
    intervals = Intervals([], [])
    place = intervals.place(address_number("10.1.2.3"))
    assert intervals.covering([place]) == {place: ()}
