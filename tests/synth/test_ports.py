"""PortSet: the algebra of sets, kept canonical."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmine.ports import EMPTY, Interval, PortSet

_PROTOCOLS = st.sampled_from(["TCP", "UDP", "SCTP", "ICMPv4", "ICMPv6"])
_PAIRS = st.tuples(_PROTOCOLS, st.integers(0, 30) | st.sampled_from([65534, 65535]))
_PLAIN = st.frozensets(_PAIRS, max_size=12)


@st.composite
def _spans(draw: st.DrawFn) -> PortSet:
    low, high = sorted((draw(st.integers(0, 40)), draw(st.integers(0, 40))))
    return PortSet.span(draw(_PROTOCOLS), low, high)


@given(_PLAIN)
def test_holds_exactly_what_it_is_made_of(pairs: frozenset[tuple[str, int]]) -> None:
    """A set yields the pairs it was made of, and counts them."""
    made = PortSet.of(pairs)
    assert pairs == set(made)
    assert len(pairs) == len(made)


@given(_PLAIN, _PLAIN)
def test_algebra_is_that_of_sets(one: frozenset[tuple[str, int]], two: frozenset[tuple[str, int]]) -> None:
    """Union, intersection and difference agree with Python's own sets."""
    a, b = PortSet.of(one), PortSet.of(two)
    assert PortSet.of(one | two) == a | b
    assert PortSet.of(one & two) == a & b
    assert PortSet.of(one - two) == a - b
    assert (two <= one) == (b in a)


@given(st.lists(_spans(), max_size=6), st.randoms())
def test_equal_sets_are_equal_objects_whatever_the_order(spans: list[PortSet], random) -> None:
    """A union of spans is the same object in any order, its intervals disjoint and never adjacent."""
    shuffled = spans[:]
    random.shuffle(shuffled)
    made = PortSet.union(spans)
    assert made == PortSet.union(shuffled)
    assert hash(made) == hash(PortSet.union(shuffled))
    for one, two in zip(made.intervals, made.intervals[1:], strict=False):
        assert one.protocol != two.protocol or one.high + 1 < two.low


@given(_PLAIN)
def test_transports_and_icmp_are_a_partition(pairs: frozenset[tuple[str, int]]) -> None:
    """What `toPorts` can name and what `icmps` can name share nothing and leave nothing out."""
    made = PortSet.of(pairs)
    assert made == made.transport | made.icmp
    assert made.transport & made.icmp == EMPTY


def test_reads_as_a_person_would_write_it() -> None:
    """The text names TCP before UDP before SCTP, and folds neighbours."""
    made = PortSet.of([("UDP", 53), ("TCP", 81), ("TCP", 80), ("SCTP", 36412)])
    assert str(made) == "80-81/TCP, 53/UDP, 36412/SCTP"
    assert str(EMPTY) == "nothing"


@pytest.mark.parametrize("pair", [("TCP", 65536), ("TCP", -1), ("ANY", 80), ("tcp", 80)])
def test_refuses_what_is_no_port(pair: tuple[str, int]) -> None:
    """A number out of range or a protocol without a name is a mistake of the caller."""
    with pytest.raises(ValueError, match=r"interval|protocol"):
        PortSet.of([pair])


def test_membership_of_other_things_is_false() -> None:
    """Asking for something that is no pair is answered with no."""
    assert 80 not in PortSet.of([("TCP", 80)])
    assert ("TCP", 80) in PortSet((Interval("TCP", 79, 81),))
