"""Listeners that spread over many ports."""

import random

import pytest

from flowmine.ports import PortSet
from flowmine.synth.options import Options
from flowmine.synth.ranges import bands


def _udp(*numbers: int) -> PortSet:
    return PortSet.of(("UDP", number) for number in numbers)


@pytest.mark.parametrize(
    ("low", "high", "count"),
    [(30000, 30100, 40), (10000, 20000, 130), (6800, 7300, 60), (49152, 65535, 200), (40000, 40099, 60)],
)
@pytest.mark.parametrize("seed", range(5))
def test_a_sampled_range_is_found_whole(low: int, high: int, count: int, seed: int) -> None:
    """Ports drawn from a round range are folded to all of it, and to hardly more; single ports beside it stay out."""
    drawn = random.Random(seed).sample(range(low, high + 1), count)
    found = bands(_udp(*drawn, 53, 1935), Options())
    assert PortSet.span("UDP", low, high) in found.ports
    assert len(found.ports) <= (high - low + 1) * 1.02 + 1
    assert ("UDP", 1935) not in found.ports


def test_the_range_is_told_with_its_evidence() -> None:
    """Widening adds the band where a rule touches it, and says how much of it was seen."""
    seen = _udp(*range(30000, 30040, 2))
    found = bands(seen, Options())
    ports, notes = found.widen(_udp(30006))
    assert str(ports) == "30000-30040/UDP"
    assert [(note.what, note.evidence) for note in notes] == [("30000-30040/UDP", "20 of its 41 ports seen")]
    assert (_udp(53), ()) == found.widen(_udp(53))


def test_a_dense_run_is_no_generalisation() -> None:
    """Neighbours that were all seen are a range without a note."""
    seen = _udp(*range(9000, 9012))
    assert (seen, ()) == bands(seen, Options()).widen(seen)


def test_replies_are_no_listener() -> None:
    """Ports strewn over the ephemeral range stay as they are."""
    drawn = random.Random(2).sample(range(32768, 61000), 60)
    assert PortSet() == bands(_udp(*drawn), Options()).ports


@pytest.mark.parametrize("options", [Options().exact(), Options(range_ports=50)])
def test_off_where_it_is_not_asked_for(options: Options) -> None:
    """Exact and a higher threshold leave the ports as they are."""
    assert PortSet() == bands(_udp(*range(30000, 30080, 2)), options).ports


def test_a_handful_of_services_is_no_range() -> None:
    """Well-known ports of one busy workload are not a band."""
    seen = PortSet.of(("TCP", port) for port in (8080, 8443, 9090, 9153, 10250, 5432, 6379))
    assert PortSet() == bands(seen, Options()).ports


def test_two_ranges_of_one_listener_are_two() -> None:
    """A wide gap parts two bands."""
    seen = _udp(*range(20000, 20040, 3), *range(50000, 50040, 3))
    assert [band.interval.low for band in bands(seen, Options()).bands] == [20000, 50000]


def test_probes_strewn_over_thousands_of_ports_are_no_range() -> None:
    """Some twenty ports between 1 and 10,000 are what a scan leaves behind."""
    drawn = random.Random(4).sample(range(1, 10000), 25)
    assert PortSet() == bands(_udp(*drawn), Options()).ports


@pytest.mark.parametrize(("high", "folded"), [(30100, True), (31000, False)])
def test_before_end_port_only_what_can_be_listed_is_folded(high: int, folded: bool) -> None:
    """A Cilium without endPort gets a band port by port, as long as that stays readable."""
    seen = _udp(*range(30000, high + 1, 4))
    assert folded == bool(bands(seen, Options(cilium=(1, 15))).bands)
