"""Addresses and prefixes as numbers on one line: IPv4 first, then IPv6, so that one sorted list serves both."""

import ipaddress
import socket
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

__all__ = ["Intervals", "Span", "address_number", "span"]

Span = tuple[int, int]
"""First and last address of a prefix, both on the line of `address_number`."""

_V6_START = 1 << 32
_AT_ONCE = 4096


@lru_cache(maxsize=262144)
def address_number(text: str) -> int:
    """Return an address's place on the line. Raise ValueError where the text is no address.

    >>> address_number("0.0.0.10"), address_number("::") == 1 << 32
    (10, True)
    """
    try:
        if ":" in text:
            return _V6_START + int.from_bytes(socket.inet_pton(socket.AF_INET6, text), "big")
        return int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big")
    except (OSError, UnicodeError) as error:
        raise ValueError(f"{text!r} is no IP address") from error


@lru_cache(maxsize=65536)
def span(text: str) -> Span:
    """Return the addresses that a prefix covers; host bits are masked, a bare address is itself.

    Raise ValueError where the text is no prefix. Cilium masks host bits too (SEMANTICS 22).
    """
    network = ipaddress.ip_network(text, strict=False)
    start = _V6_START if network.version == 6 else 0
    return start + int(network.network_address), start + int(network.broadcast_address)


class Intervals:
    """Which of many prefixes cover an address, answered by cutting the line at every prefix's ends.

    All addresses of one interval between two cuts are covered by the same prefixes.
    """

    def __init__(self, spans: Sequence[Span], excepts: Sequence[Sequence[Span]]) -> None:
        """Take the prefixes and, for each, the ranges left out of it."""
        parts = [
            (number, first, stop)
            for number, (whole, gaps) in enumerate(zip(spans, excepts, strict=True))
            for first, stop in _without(whole, gaps)
        ]
        self._cuts = sorted({0}.union(*((first, stop) for _, first, stop in parts)))
        place = {cut: index for index, cut in enumerate(self._cuts)}
        self._of = np.array([number for number, _, _ in parts], np.int64)
        self._first = np.array([place[first] for _, first, _ in parts], np.int64)
        self._stop = np.array([place[stop] for _, _, stop in parts], np.int64)

    def place(self, number: int) -> int:
        """Return the interval that an address (a number of `address_number`) lies in."""
        return bisect_right(self._cuts, number) - 1

    def covering(self, places: Iterable[int]) -> dict[int, tuple[int, ...]]:
        """Return, by interval, the prefixes that cover it, in order."""
        asked = np.unique(np.fromiter(places, np.int64))
        found: dict[int, tuple[int, ...]] = {}
        for start in range(0, len(asked), _AT_ONCE):
            some = asked[start : start + _AT_ONCE]
            first, stop = (np.searchsorted(some, ends) for ends in (self._first, self._stop))
            size = stop - first
            before = np.cumsum(size) - size
            at = np.arange(int(size.sum())) + np.repeat(first - before, size)
            prefix = np.repeat(self._of, size)
            order = np.lexsort((prefix, at))
            cuts = np.searchsorted(at[order], np.arange(len(some) + 1)).tolist()
            held = prefix[order].tolist()
            pieces = (tuple(held[low:high]) for low, high in pairwise(cuts))
            found.update(zip(some.tolist(), pieces, strict=True))
        return found


def _without(whole: Span, gaps: Sequence[Span]) -> Iterator[Span]:
    """Yield the parts of a range (first, and one after the last) that are left without others."""
    first, stop = whole[0], whole[1] + 1
    for start, last in sorted(gaps):
        if start > first:
            yield first, min(start, stop)
        first = max(first, last + 1)
        if first >= stop:
            return
    yield first, stop
