"""When a listener spreads over so many ports (RTP, passive FTP) that a range says it better than a list."""

import itertools
from collections.abc import Iterator, Sequence

from flowmine.ports import EMPTY, MAX_PORT, Interval, PortSet
from flowmine.synth.options import Generalisation, Options

__all__ = ["bands"]

_FROM = (1, 16)  # The Cilium version whose CRD has endPort in toPorts.
_LOWEST = 1024
_EPHEMERAL = (32768, 60999)  # Linux net.ipv4.ip_local_port_range
_OUTLIER = 8  # A gap this many times the mean of the others parts two listeners.


def bands(listener: PortSet, options: Options) -> tuple[PortSet, tuple[Generalisation, ...]]:
    """Return the ranges over which a listener spreads, and a note on each that holds a port never seen.

    `listener` holds all ports that one workload (or one outside name or block) was reached on by anybody; a rule's
    ports become `ports.widened(bands)`. A band has at least `options.range_ports` distinct ports at about even
    distances; its ends are rounded outward to round numbers at most `options.range_slack` mean gaps away. Ports spread
    over most of the ephemeral range are what replies look like, and are left as they are.
    """
    found: list[Interval] = []
    notes: list[Generalisation] = []
    if not options.range_ports or options.cilium < _FROM:
        return EMPTY, ()
    for protocol in ("TCP", "UDP", "SCTP"):
        numbers = [number for _, number in listener.of_protocols(protocol) if number >= _LOWEST]
        for band in _clusters(numbers, options.range_ports):
            low, high = _rounded(band[0], band[-1], len(band), options.range_slack)
            if _like_replies(low, high, len(band)):
                continue
            found.append(Interval(protocol, low, high))
            if high - low + 1 > len(band):
                notes.append(_note(found[-1], len(band), options))
    return PortSet(tuple(found)), tuple(notes)


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


def _note(band: Interval, count: int, options: Options) -> Generalisation:
    return Generalisation(
        kind="range",
        what=str(band),
        evidence=f"{count} of its {len(band)} ports seen",
        threshold=f"range_ports={options.range_ports}",
    )
