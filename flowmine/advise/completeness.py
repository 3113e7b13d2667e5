"""How much of a workload's traffic a capture has shown: the Chao2 estimate over the hours of the capture.

A. Chao, "Estimating the population size for capture-recapture data with unequal catchability", Biometrics 43 (1987), in
its bias-corrected form: with m hours, S contacts seen, Q1 of them in one hour only and Q2 in exactly two, at least
S + (m-1)/m * Q1(Q1-1) / 2(Q2+1) exist. It is a lower bound: what happens once a month is in no capture of a day.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flowmine.advise.recorded import Recorded
from flowmine.synth.names import registrable
from flowmine.synth.traffic import Link, Spot

__all__ = ["LEAST_HOURS", "Completeness", "completeness", "estimate"]

LEAST_HOURS = 10
"""Hours of a capture below which the estimate says nothing."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """A workload's contacts: how many were seen, in one hour only among them, and how many there are at least.

    ``estimate`` is None where the capture is too short to tell.
    """

    workload: str
    seen: int
    once: int
    hours: int
    estimate: float | None

    @property
    def share(self) -> float | None:
        """The part of the contacts that was seen, from 0 to 1; None where that cannot be told."""
        return None if not self.estimate else min(1.0, self.seen / self.estimate)


def estimate(hours: Iterable[int], window: int) -> float:
    """Return how many contacts there are at least, from the number of hours in which each was seen and all hours there are.

    >>> estimate([1, 1, 2, 9], 24)
    4.479166666666667
    """
    counts = list(hours)
    once, twice = counts.count(1), counts.count(2)
    return len(counts) + (window - 1) / max(window, 1) * once * (once - 1) / (2 * (twice + 1))


def completeness(known: Recorded, rows: Sequence[int]) -> tuple[Completeness, ...]:
    """Return the completeness of every workload over the delivered edges among ``rows``, sorted by its name.

    A contact is a side, a peer and a port; outside addresses count as one peer, those with a name by their domain.
    """
    seen_in = _hours(known)
    window = len({hour for hours in seen_in.values() for hour in hours})
    contacts: dict[int, dict[object, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        link = known.links[row]
        for own, other, side in ((link.source, link.target, "egress"), (link.target, link.source, "ingress")):
            if own.workload >= 0:
                contact = (side, _peer(known, link, own, other), link.protocol, link.port)
                contacts[own.workload][contact] |= seen_in.get(row, set())
    items = known.scene.workloads.items
    return tuple(
        _completeness(items[place].title, [len(hours) for hours in found.values()], window)
        for place, found in sorted(contacts.items(), key=lambda each: items[each[0]].title)
    )


def _hours(known: Recorded) -> dict[int, set[int]]:
    found: dict[int, set[int]] = defaultdict(set)
    table = known.edges.hours
    for edge, hour in zip(table["edge"].to_pylist(), table["hour"].to_pylist(), strict=True):
        if hour >= 0:
            found[edge].add(hour)
    return found


def _peer(known: Recorded, link: Link, own: Spot, other: Spot) -> object:
    if other.workload >= 0 or other.entity:
        return other.key
    names = known.names_of(own.party, other.ip) if own is link.source and other.ip else ()
    return tuple(sorted({registrable(name) or name for name in names})) or "outside"


def _completeness(title: str, hours: list[int], window: int) -> Completeness:
    found = estimate(hours, window) if window >= LEAST_HOURS else None
    return Completeness(title, len(hours), hours.count(1), window, found)
