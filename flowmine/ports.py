"""Sets of ports: which ports of which protocols, as canonical intervals."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["EMPTY", "ICMP", "MAX_PORT", "TRANSPORTS", "Interval", "PortSet"]

TRANSPORTS = ("TCP", "UDP", "SCTP")
"""Protocols whose numbers are ports; the order in which they are written."""

ICMP = ("ICMPv4", "ICMPv6")
"""Protocols whose numbers are ICMP types."""

MAX_PORT = 65535

_ORDER = {name: place for place, name in enumerate((*TRANSPORTS, *ICMP))}


@dataclass(frozen=True, slots=True)
class Interval:
    """All numbers of one protocol from `low` to `high`, both included: ports, or ICMP types."""

    protocol: str
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.protocol not in _ORDER:
            raise ValueError(f"unknown protocol {self.protocol!r} (known: {', '.join(_ORDER)})")
        if not 0 <= self.low <= self.high <= MAX_PORT:
            raise ValueError(f"not an interval of ports: {self.low}-{self.high}")

    def __len__(self) -> int:
        """Return how many numbers the interval holds."""
        return self.high - self.low + 1

    def __str__(self) -> str:
        """Return `443/TCP` or `30000-30100/UDP`."""
        span = f"{self.low}" if self.low == self.high else f"{self.low}-{self.high}"
        return f"{span}/{self.protocol}"


def _key(interval: Interval) -> tuple[int, int, int]:
    return _ORDER[interval.protocol], interval.low, interval.high


@dataclass(frozen=True, slots=True)
class PortSet:
    """An immutable set of (protocol, number) pairs: `intervals` sorted, disjoint and never adjacent.

    Equal sets are equal objects. Protocols are TCP, UDP, SCTP (numbers are ports) and ICMPv4, ICMPv6 (types).

    >>> str(PortSet.of([("TCP", 443), ("TCP", 80), ("TCP", 81)]))
    '80-81/TCP, 443/TCP'
    """

    intervals: tuple[Interval, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "intervals", _canonical(self.intervals))

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, int]]) -> "PortSet":
        """Return the set of (protocol, number) pairs. Raise ValueError for an unknown protocol or number."""
        return cls(tuple(Interval(protocol, number, number) for protocol, number in set(pairs)))

    @classmethod
    def span(cls, protocol: str, low: int, high: int) -> "PortSet":
        """Return the set of all numbers of one protocol from `low` to `high`."""
        return cls((Interval(protocol, low, high),))

    @classmethod
    def union(cls, sets: Iterable["PortSet"]) -> "PortSet":
        """Return the union of any number of sets."""
        return cls(tuple(interval for each in sets for interval in each.intervals))

    def __or__(self, other: "PortSet") -> "PortSet":
        """Return what is in either."""
        if not self.intervals or not other.intervals:
            return self if self.intervals else other
        return self if self.intervals == other.intervals else PortSet(self.intervals + other.intervals)

    def __and__(self, other: "PortSet") -> "PortSet":
        """Return what is in both."""
        if self.intervals == other.intervals:
            return self
        return PortSet(
            tuple(
                Interval(one.protocol, max(one.low, two.low), min(one.high, two.high))
                for one in self.intervals
                for two in other.intervals
                if one.protocol == two.protocol and max(one.low, two.low) <= min(one.high, two.high)
            )
        )

    def __sub__(self, other: "PortSet") -> "PortSet":
        """Return what is in this set and not in the other."""
        left = self.intervals if self.intervals != other.intervals else ()
        for hole in other.intervals:
            left = tuple(part for interval in left for part in _cut(interval, hole))
        return PortSet(left)

    def __contains__(self, item: object) -> bool:
        """Tell whether a (protocol, number) pair, or the whole of another set, is in this one."""
        if isinstance(item, PortSet):
            return not item - self
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        protocol, number = item
        return any(each.protocol == protocol and each.low <= number <= each.high for each in self.intervals)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Yield every (protocol, number) pair, in order."""
        for interval in self.intervals:
            for number in range(interval.low, interval.high + 1):
                yield interval.protocol, number

    def __len__(self) -> int:
        """Return how many (protocol, number) pairs the set holds."""
        return sum(len(interval) for interval in self.intervals)

    def __lt__(self, other: "PortSet") -> bool:
        """Order sets by their intervals; for a stable order of rules, not inclusion."""
        return [_key(each) for each in self.intervals] < [_key(each) for each in other.intervals]

    def __str__(self) -> str:
        """Return the intervals, `80/TCP, 443/TCP`, or `nothing`."""
        return ", ".join(map(str, self.intervals)) or "nothing"

    def of_protocols(self, *protocols: str) -> "PortSet":
        """Return the part of the set that is of these protocols."""
        return PortSet(tuple(each for each in self.intervals if each.protocol in protocols))

    @property
    def transport(self) -> "PortSet":
        """Return the ports: the part that `toPorts` can name."""
        return self.of_protocols(*TRANSPORTS)

    @property
    def icmp(self) -> "PortSet":
        """Return the ICMP types: the part that `icmps` can name."""
        return self.of_protocols(*ICMP)


def _canonical(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    merged: list[Interval] = []
    for each in sorted(intervals, key=_key):
        last = merged[-1] if merged else None
        if last is not None and last.protocol == each.protocol and each.low <= last.high + 1:
            merged[-1] = Interval(last.protocol, last.low, max(last.high, each.high))
        else:
            merged.append(each)
    return tuple(merged)


def _cut(interval: Interval, hole: Interval) -> Iterator[Interval]:
    if interval.protocol != hole.protocol or hole.high < interval.low or interval.high < hole.low:
        yield interval
        return
    if interval.low < hole.low:
        yield Interval(interval.protocol, interval.low, hole.low - 1)
    if hole.high < interval.high:
        yield Interval(interval.protocol, hole.high + 1, interval.high)


EMPTY = PortSet()
"""The set of no ports."""
