"""Everybody seen in a capture, matched against the policies in force: over whom a change is counted."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flowmine.advise.inforce import Governed, InForce
from flowmine.advise.recorded import Recorded
from flowmine.engine.addresses import Span
from flowmine.engine.entries import CidrAtom, FqdnAtom, LabelAtom, LoweredEntry, Subject
from flowmine.engine.index import Ints
from flowmine.engine.judgement import Judgement, judge
from flowmine.engine.l7 import Request, learned
from flowmine.engine.match import Bools
from flowmine.engine.party import Party, resolve
from flowmine.engine.policyset import PolicySet
from flowmine.engine.queries import NONE, Queries
from flowmine.engine.subject import Subjects
from flowmine.engine.verdict import Outcome, Universe, enforced, match
from flowmine.peers import Kind
from flowmine.policy.model import Direction, Policy
from flowmine.synth.contacts import canonical_ip
from flowmine.synth.traffic import Link, Spot

__all__ = ["Crowd", "Pairs", "Standpoint", "crowd", "pairs_of", "passing"]


@dataclass(frozen=True)
class Crowd:
    """The distinct parties of a capture; `spots` say for each who it is, `place_of` finds it again."""

    parties: tuple[Party, ...]
    spots: tuple[Spot, ...]
    place_of: dict[tuple[int, str, tuple[str, ...]], int]

    @cached_property
    def spot_numbers(self) -> Ints:
        """Number the spots: an address that goes by several names is several parties, and one spot."""
        numbers: dict[Spot, int] = {}
        return np.array([numbers.setdefault(spot, len(numbers)) for spot in self.spots], np.int64)

    def place(self, known: Recorded, spot: Spot, asker: Spot) -> int:
        """Return the number of an end of a link; outside ones go by what `asker`, the other end, calls them."""
        ip = "" if spot.workload >= 0 or spot.entity else spot.ip
        names = known.names_of(asker.party, ip) if ip and asker.workload >= 0 else ()
        return self.place_of[spot.party, ip, names]


def crowd(known: Recorded, policies: InForce, but: frozenset[int] = frozenset()) -> Crowd:
    """Return everybody seen: pods and entities by their labels, the outside by address and by what it is called.

    ``but`` are rows of EDGES whose outside ends are left out: scans bring strangers that nobody needs to count.
    """
    scene, places = known.scene, dict[tuple[int, str, tuple[str, ...]], int]()
    parties: list[Party] = []
    spots: list[Spot] = []

    def add(spot: Spot, ip: str, names: tuple[str, ...]) -> None:
        party = scene.universe.party(spot.party)
        labels = tuple(str(label) for label in party.labels) if party else ()
        ports = policies.named_ports if party and party.kind is Kind.POD else ()
        if places.setdefault((spot.party, ip, names), len(parties)) == len(parties):
            parties.append(Party(labels, ip or None, names, ports))
            spots.append(spot)

    for identifier, party in scene.universe.parties.items():
        if identifier not in scene.universe.folded and party.kind in (Kind.POD, Kind.ENTITY):
            workload = scene.workloads.of.get(identifier, -1)
            add(Spot(workload, party.entity, "", identifier, party.cluster), "", ())
    called: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for by_ip in known.names.values():
        for ip, names in by_ip.items():
            called[ip].add(names)
    met: set[tuple[int, str, str]] = set()
    for link in known.links:
        for spot in (link.source, link.target) if link.row not in but else ():
            if spot.workload < 0 and (who := (spot.party, spot.entity, spot.ip)) not in met:
                met.add(who)
                ip = "" if spot.entity else spot.ip
                for names in sorted({(), *called.get(canonical_ip(ip), ())}):
                    add(spot, ip, names)
    return Crowd(tuple(parties), tuple(spots), places)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Connections between parties of a crowd (columns of one length) on one port, with what is asked over them."""

    source: Ints
    destination: Ints
    protocol: int
    port: int
    requests: tuple[Request, ...] = ()
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.source)

    def keys(self) -> set[tuple[int, int]]:
        """Return the pairs themselves."""
        return set(zip(self.source.tolist(), self.destination.tolist(), strict=True))

    def queries(self, parties: tuple[Party, ...]) -> Queries:
        """Return them as questions: each connection, or each request or name over each connection, pair by pair."""
        asked = max(len(self.requests), len(self.names), 1)
        source, destination = (np.repeat(column, asked) for column in (self.source, self.destination))
        count = len(source)
        nothing, each = np.full(count, NONE, np.int64), np.tile(np.arange(asked), len(self.source))
        return Queries(
            parties,
            source,
            destination,
            np.full(count, self.protocol, np.int64),
            np.full(count, self.port, np.int64),
            each if self.requests else nothing,
            self.requests,
            each if self.names else nothing,
            self.names,
        )


class Standpoint:
    """A crowd under a policy set: who is selected by what, and what passes."""

    def __init__(self, people: Crowd, policies: PolicySet) -> None:
        """Match the policies against everybody, once."""
        self.people = people
        self.policies = policies
        self.governed = Governed(policies.index, people.parties)

    @cached_property
    def by_ref(self) -> dict[str, Policy]:
        """The policies by `Kind/namespace/name`."""
        return {policy.ref: policy for policy in self.policies.policies}

    @cached_property
    def universe(self) -> Universe:
        """The policies matched against everybody."""
        return match(self.policies.index, self.people.parties)

    @cached_property
    def _enforced(self) -> Mapping[Direction, Subjects]:
        return enforced(self.policies.index, self.people.parties)

    def judge(self, pairs: Pairs) -> Judgement:
        """Judge connections."""
        return judge(self.universe, pairs.queries(self.people.parties))

    def passes(self, pairs: Pairs, direction: Direction | None = None) -> Bools:
        """Tell of each pair whether it passes: both sides and all that is asked over it, or one side alone."""
        return passing(self.judge(pairs), len(pairs), direction)

    def closed(self, party: int, direction: Direction) -> bool:
        """Tell whether a direction of a party is closed."""
        subjects = self._enforced[direction]
        number = int(subjects.class_of_party[party])
        return number >= 0 and subjects.classes[number].closed

    def closes(self, direction: Direction) -> Bools:
        """Tell of each party whether a direction of it is closed."""
        subjects = self._enforced[direction]
        closed: Bools = np.array([*(each.closed for each in subjects.classes), False], np.bool_)
        return closed[subjects.class_of_party]

    def subjects(self, subject: Subject) -> Bools:
        """Tell of each party whether a subject selects it."""
        return self.governed.selects(subject)

    def peers(self, entry: LoweredEntry) -> Bools:
        """Tell of each party whether an entry means it as a peer."""
        if entry.peers is None:
            return np.ones(len(self.people.parties), np.bool_)
        found = np.zeros(len(self.people.parties), np.bool_)
        for atom in entry.peers:
            if isinstance(atom, LabelAtom):
                found |= self.governed.labelled(atom.terms)
            elif isinstance(atom, CidrAtom):
                found[self._within(atom)] = True
            else:
                found[
                    [
                        number
                        for number, names in self._called
                        if any(learned(atom.selector, n) for n in names)
                    ]
                ] = True
        return found

    @cached_property
    def _spans(self) -> Sequence[tuple[Span, int]]:
        config = self.policies.index.config
        spans = ((resolve(party, config).span, number) for number, party in enumerate(self.people.parties))
        return sorted((span, number) for span, number in spans if span is not None)

    @cached_property
    def _called(self) -> Sequence[tuple[int, tuple[str, ...]]]:
        config = self.policies.index.config
        names = ((number, resolve(party, config).names) for number, party in enumerate(self.people.parties))
        return [(number, some) for number, some in names if some]

    def _named(self, atom: FqdnAtom) -> list[int]:
        return [
            number for number, names in self._called if any(learned(atom.selector, name) for name in names)
        ]

    def _within(self, atom: CidrAtom) -> list[int]:
        low = bisect_left(self._spans, ((atom.span[0], -1), -1))
        high = bisect_right(self._spans, ((atom.span[1], 1 << 200), 0))
        return [
            number
            for span, number in self._spans[low:high]
            if span[1] <= atom.span[1]
            and not any(gap[0] <= span[1] and span[0] <= gap[1] for gap in atom.excepts)
        ]


def passing(judgement: Judgement, count: int, direction: Direction | None) -> Bools:
    """Tell of each of `count` connections whether it passes both sides, with all that is asked over it, or one side alone."""
    if direction is None:
        passes = judgement.allowed & judgement.http_allowed & judgement.dns_allowed
    else:
        side = judgement.egress if direction is Direction.EGRESS else judgement.ingress
        passes = np.isin(side.outcome, (Outcome.NO_POLICY, Outcome.ALLOWED))[side.question]
    every: Bools = np.asarray(passes.reshape(count, -1).all(axis=1)) if count else np.zeros(0, np.bool_)
    return every


def pairs_of(known: Recorded, people: Crowd, links: Iterable[Link], protocol: int, port: int) -> Pairs:
    """Return links as pairs of a crowd, one each, in order."""
    found = [
        (people.place(known, each.source, each.target), people.place(known, each.target, each.source))
        for each in links
    ]
    source, destination = np.array(found, np.int64).reshape(-1, 2).T.copy()
    return Pairs(source, destination, protocol, port)
