"""Two policy sets compared by meaning: which connections the one lets through and the other does not.

Parties that neither set tells apart are one class, ports that neither tells apart one interval; every class with every
class on every interval is judged by both, so that nothing is left out, however many identities and ports there are.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np

from flowmine.advise.imagined import Somebody
from flowmine.engine.entries import Protocols
from flowmine.engine.index import Index, Ints
from flowmine.engine.judgement import Judgement, judge
from flowmine.engine.match import Bools
from flowmine.engine.party import Party
from flowmine.engine.policyset import PolicySet
from flowmine.engine.queries import NONE, Queries
from flowmine.engine.requests import redirects
from flowmine.engine.verdict import Outcome, SideJudgement, Universe, match
from flowmine.policy.model import Direction
from flowmine.ports import MAX_PORT, Interval, PortSet

__all__ = ["Change", "Difference", "compare"]

_PROTOCOLS = (
    (Protocols.TCP, "TCP", MAX_PORT),
    (Protocols.UDP, "UDP", MAX_PORT),
    (Protocols.SCTP, "SCTP", MAX_PORT),
    (Protocols.ICMP, "ICMPv4", 255),
    (Protocols.ICMPV6, "ICMPv6", 255),
)
_AT_ONCE = 500_000


class Change(StrEnum):
    """What the second set does to a connection that the first treats otherwise."""

    ALLOWED = "newly allowed"
    DENIED = "newly denied"
    REQUESTS = "other requests"


@dataclass(frozen=True, slots=True)
class Difference:
    """Connections that change alike: from any of these to any of those, on these ports.

    ``by`` are the policies that let it through, in the set that does; ``sides`` those at which the sets differ.
    """

    change: Change
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    ports: PortSet
    sides: tuple[Direction, ...]
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Cell:
    """How one connection between two classes changes."""

    change: Change
    sides: tuple[Direction, ...]
    by: tuple[str, ...]


def compare(before: PolicySet, after: PolicySet, people: Sequence[Somebody]) -> tuple[Difference, ...]:
    """Return what changes between the connections of these people, sorted by change and who; none where the sets mean the same."""
    parties = tuple(each.party for each in people)
    universes = tuple(match(each.index, parties) for each in (before, after))
    classes = _classes(universes)
    first = [members[0] for members in classes]
    intervals = list(_intervals([before.index, after.index], universes))
    found: dict[tuple[int, int, _Cell], list[Interval]] = defaultdict(list)
    for source, target, interval, cell in _cells(universes, parties, first, intervals):
        found[source, target, cell].append(interval)
    titles = [tuple(sorted({people[place].title for place in members})) for members in classes]
    return tuple(_merged(found, titles))


def _classes(universes: Iterable[Universe]) -> list[list[int]]:
    """Return the parties by what both sets see of them, in the order of the first of each."""
    columns = [
        column
        for universe in universes
        for column in (
            universe.peers.class_of_party,
            *(universe.subjects[direction].class_of_party for direction in Direction),
        )
    ]
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for place, key in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        groups[key].append(place)
    return list(groups.values())


def _intervals(
    indexes: Iterable[Index], universes: Iterable[Universe]
) -> Iterator[tuple[Protocols, Interval]]:
    """Yield the ports of each protocol, cut wherever any rule of either set begins or ends."""
    cuts: dict[Protocols, set[int]] = defaultdict(set)
    for universe in universes:
        for subjects in universe.subjects.values():
            rows = zip(subjects.rows.protocols, subjects.rows.low, subjects.rows.high, strict=True)
            for protocols, low, high in rows:
                for protocol, _, _ in _PROTOCOLS:
                    if int(protocols) & protocol:
                        cuts[protocol].update((int(low), int(high) + 1))
    for protocol, name, most in _PROTOCOLS:
        points = sorted({0, most + 1, *(cut for cut in cuts[protocol] if 0 < cut <= most)})
        for low, following in pairwise(points):
            yield protocol, Interval(name, low, following - 1)


def _cells(
    universes: Sequence[Universe],
    parties: tuple[Party, ...],
    first: Sequence[int],
    intervals: Sequence[tuple[Protocols, Interval]],
) -> Iterator[tuple[int, int, Interval, _Cell]]:
    """Yield every connection between two classes that changes, judged in portions."""
    count, width = len(first), len(intervals)
    rows = max(1, _AT_ONCE // max(1, count * width))
    places = np.array(first, np.int64)
    protocol = np.array([int(each) for each, _ in intervals], np.int64)
    port = np.array([interval.low for _, interval in intervals], np.int64)
    for start in range(0, count, rows):
        sources = np.arange(start, min(start + rows, count))
        source = np.repeat(sources, count * width)
        target = np.tile(np.repeat(np.arange(count), width), len(sources))
        which = np.tile(np.arange(width), len(sources) * count)
        queries = _queries(parties, places[source], places[target], protocol[which], port[which])
        was, now = (judge(universe, queries) for universe in universes)
        for place, cell in _changes(was, now):
            yield int(source[place]), int(target[place]), intervals[which[place]][1], cell


def _queries(parties: tuple[Party, ...], source: Ints, target: Ints, protocol: Ints, port: Ints) -> Queries:
    nothing = np.full(len(source), NONE, np.int64)
    return Queries(parties, source, target, protocol, port, nothing, (), nothing, ())


def _changes(was: Judgement, now: Judgement) -> Iterator[tuple[int, _Cell]]:
    """Yield (place, how it changes) of every question whose answers differ."""
    differing = np.flatnonzero(was.allowed != now.allowed)
    filtered = np.flatnonzero(was.allowed & now.allowed & (_redirected(was) | _redirected(now)))
    if not len(differing) and not len(filtered):
        return
    by_was, by_now = _Deciders(was), _Deciders(now)
    for place in differing.tolist():
        change, allowing = (Change.ALLOWED, by_now) if now.allowed[place] else (Change.DENIED, by_was)
        yield place, _Cell(change, _sides(was, now, place), allowing.of(place))
    for place in filtered.tolist():
        sides = tuple(
            direction
            for direction, one, other in _both(was, now)
            if _filters(was, one, place) != _filters(now, other, place)
        )
        if sides:
            by = tuple(sorted({*by_was.of(place), *by_now.of(place)}))
            yield place, _Cell(Change.REQUESTS, sides, by)


class _Deciders:
    """The policies that let connections through, by place."""

    def __init__(self, judgement: Judgement) -> None:
        self._sides = [
            judgement.deciders(side, paths=False) for side in (judgement.egress, judgement.ingress)
        ]

    def of(self, place: int) -> tuple[str, ...]:
        """Return the policies of both sides, sorted; Cilium's own unwritten rules are left out."""
        names = {name for side in self._sides for name in side[place].as_py() or ()}
        return tuple(sorted(name for name in names if not name.startswith("reserved/")))


def _both(was: Judgement, now: Judgement) -> tuple[tuple[Direction, SideJudgement, SideJudgement], ...]:
    return (Direction.EGRESS, was.egress, now.egress), (Direction.INGRESS, was.ingress, now.ingress)


def _redirected(judgement: Judgement) -> Bools:
    found: Bools = np.zeros(len(judgement.allowed), np.bool_)
    for side in (judgement.egress, judgement.ingress):
        found = found | redirects(side)[side.question]
    return found


def _sides(was: Judgement, now: Judgement, place: int) -> tuple[Direction, ...]:
    def passes(side: SideJudgement) -> bool:
        return Outcome(int(side.outcome[side.question[place]])).passes

    return tuple(direction for direction, one, other in _both(was, now) if passes(one) != passes(other))


def _filters(judgement: Judgement, side: SideJudgement, place: int) -> frozenset[Hashable] | None:
    """Return the requests that a side's proxy lets pass, as the rules that say so; None where it lets all pass.

    For DNS only rules for exactly that port and protocol count (SEMANTICS 29).
    """
    question = int(side.question[place])
    number = int(side.subject_class[question])
    if number < 0 or not side.subjects.classes[number].closed:
        return None
    start, stop = np.searchsorted(side.pair_question, [question, question + 1]).tolist()
    terms = [judgement.index.terms[row] for row in side.subjects.source[side.pair_row[start:stop]].tolist()]
    if any(term.redirect and term.redirect.parser == "dns" for term in terms):
        exact = [
            term for term in terms if term.protocols != Protocols.ALL and (term.name or term.low == term.high)
        ]
        return _union(term.redirect.dns if term.redirect else None for term in exact)
    return _union(term.redirect.http if term.redirect else None for term in terms)


def _union(some: Iterable[Iterable[Hashable] | None]) -> frozenset[Hashable] | None:
    rules: set[Hashable] = set()
    for each in some:
        if each is None:
            return None
        rules.update(each)
    return frozenset(rules)


def _merged(
    found: dict[tuple[int, int, _Cell], list[Interval]], titles: Sequence[tuple[str, ...]]
) -> list[Difference]:
    """Join cells that change alike: first their ports, then their targets, then their sources."""
    targets: dict[tuple[int, _Cell, PortSet], set[int]] = defaultdict(set)
    for (source, target, cell), intervals in found.items():
        targets[source, cell, PortSet(tuple(intervals))].add(target)
    sources: dict[tuple[frozenset[int], _Cell, PortSet], set[int]] = defaultdict(set)
    for (source, cell, ports), some in targets.items():
        sources[frozenset(some), cell, ports].add(source)
    made = [
        Difference(cell.change, _named(some, titles), _named(to, titles), ports, cell.sides, cell.by)
        for (to, cell, ports), some in sources.items()
    ]
    order = list(Change)
    return sorted(
        made, key=lambda each: (order.index(each.change), each.sources, each.targets, str(each.ports))
    )


def _named(classes: Iterable[int], titles: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({title for number in classes for title in titles[number]}))
