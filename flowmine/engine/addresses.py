"""Addresses and prefixes as numbers on one line: IPv4 first, then IPv6, so that one sorted list serves both."""

import ipaddress
import socket
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["Intervals", "Span", "address_number", "span"]

Span = tuple[int, int]
"""First and last address of a prefix, both on the line of `address_number`."""

_V6_START = 1 << 32


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
        ends = {0}
        for first, last in [*spans, *(each for some in excepts for each in some)]:
            ends.update((first, last + 1))
        self._cuts = sorted(ends)
        place = {cut: index for index, cut in enumerate(self._cuts)}
        self._first = np.array([place[first] for first, _ in spans], np.int64)
        self._stop = np.array([place[last + 1] for _, last in spans], np.int64)
        gaps = [(index, *each) for index, some in enumerate(excepts) for each in some]
        self._gap_of = np.array([index for index, _, _ in gaps], np.int64)
        self._gap_first = np.array([place[first] for _, first, _ in gaps], np.int64)
        self._gap_stop = np.array([place[last + 1] for _, _, last in gaps], np.int64)

    def place(self, number: int) -> int:
        """Return the interval that an address (a number of `address_number`) lies in."""
        return bisect_right(self._cuts, number) - 1

    def covering(self, places: Iterable[int]) -> npt.NDArray[np.bool_]:
        """Return a matrix, a row an interval and a column a prefix: does the prefix cover the interval."""
        at = np.fromiter(places, np.int64)[:, None]
        covered: npt.NDArray[np.bool_] = (self._first <= at) & (at < self._stop)
        row, gap = np.nonzero((self._gap_first <= at) & (at < self._gap_stop))
        covered[row, self._gap_of[gap]] = False
        return covered
