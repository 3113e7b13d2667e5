"""When a listener spreads over so many ports (RTP, passive FTP) that a range says it better than a list."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flowmine.ports import MAX_PORT, TRANSPORTS, Interval, PortSet
from flowmine.synth.options import Generalisation, Options

__all__ = ["Band", "Bands", "bands"]

_FROM = (1, 16)  # The Cilium version whose CRD has endPort in toPorts.
_LISTED = 200  # Ports of a band that may be written one by one before that: five toPorts items.
_LOWEST = 1024
_EPHEMERAL = (32768, 60999)  # Linux net.ipv4.ip_local_port_range
_OUTLIER = 8  # A gap this many times the mean of the others parts two listeners.


@dataclass(frozen=True, slots=True)
class Band:
    """A range of ports that one listener uses, and how many of them were seen."""

    interval: Interval
    seen: int


@dataclass(frozen=True, slots=True)
class Bands:
    """The ranges over which one listener spreads."""

    bands: tuple[Band, ...]
    threshold: str

    @property
    def ports(self) -> PortSet:
        """Return all ports of the bands."""
        return PortSet(tuple(band.interval for band in self.bands))

    def widen(self, ports: PortSet) -> tuple[PortSet, tuple[Generalisation, ...]]:
        """Return ports with every band that they touch added whole, and a note on each band with ports never seen."""
        if not self.bands:
            return ports, ()
        touched = [band for band in self.bands if ports & PortSet((band.interval,))]
        notes = tuple(
            Generalisation(
                kind="range",
                what=str(band.interval),
                evidence=f"{band.seen} of its {len(band.interval)} ports seen",
                threshold=self.threshold,
            )
            for band in touched
            if band.seen < len(band.interval)
        )
        return ports | PortSet(tuple(band.interval for band in touched)), notes


def bands(listener: PortSet, options: Options) -> Bands:
    """Return the ranges over which a listener spreads.

    `listener` holds all ports that one workload (or one outside name or block) was reached on by anybody. A band has
    at least `options.range_ports` distinct ports at about even distances; its ends are rounded outward to round numbers
    at most `options.range_slack` mean gaps away; `options.range_seen` of it must have been seen. Ports spread over most
    of the ephemeral range are what replies look like, and are left as they are.
    """
    found: list[Band] = []
    if options.range_ports:
        longest = MAX_PORT if options.cilium >= _FROM else _LISTED
        for protocol in TRANSPORTS:
            numbers = [number for _, number in listener.of_protocols(protocol) if number >= _LOWEST]
            for run in _clusters(numbers, options.range_ports):
                low, high = _rounded(run[0], run[-1], len(run), options.range_slack)
                enough = len(run) >= options.range_seen * (high - low + 1) and high - low < longest
                if enough and not _like_replies(low, high, len(run)):
                    found.append(Band(Interval(protocol, low, high), len(run)))
    return Bands(tuple(found), f"range_ports={options.range_ports}")


def _clusters(numbers: Sequence[int], least: int) -> Iterator[Sequence[int]]:
    """Runs of at least `least` numbers without a gap that stands out, in order."""
    if len(numbers) < least:
        return
    gaps = [two - one for one, two in itertools.pairwise(numbers)]
    widest = max(range(len(gaps)), key=gaps.__getitem__)
    others = (sum(gaps) - gaps[widest]) / max(1, len(gaps) - 1)
    if gaps[widest] > _OUTLIER * others and gaps[widest] > _OUTLIER:
        yield from _clusters(numbers[: widest + 1], least)
        yield from _clusters(numbers[widest + 1 :], least)
    else:
        yield numbers


def _rounded(low: int, high: int, count: int, slack: int) -> tuple[int, int]:
    gap = (high - low) / (count - 1)
    if gap <= 1:
        return low, high
    reach = int(slack * gap) + 1
    below = range(low, max(_LOWEST, low - reach) - 1, -1)
    above = range(high, min(MAX_PORT, high + reach) + 1)
    return max(below, key=_zeros), MAX_PORT if MAX_PORT in above else max(above, key=_zeros)


def _zeros(number: int) -> float:
    """How round a number is: its zeros at the end, decimal, or binary with four for one."""
    decimal = len(str(number)) - len(str(number).rstrip("0"))
    binary = (number & -number).bit_length() - 1
    return max(float(decimal), binary / 4)


def _like_replies(low: int, high: int, count: int) -> bool:
    first, last = _EPHEMERAL
    inside = min(high, last) - max(low, first)
    return inside > (last - first) / 2 and count < inside / 4
