"""How far a change reaches: what it opens beyond what was asked for, counted over everybody seen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from flowmine.advise.admitcandidates import Action, Candidate
from flowmine.advise.admitchanged import Changed
from flowmine.advise.admitops import applied
from flowmine.advise.groupends import key_of
from flowmine.advise.recorded import Recorded
from flowmine.advise.standpoint import Crowd, Pairs, Standpoint, pairs_of
from flowmine.engine.entries import protocols_of
from flowmine.engine.l7 import Request
from flowmine.engine.match import Bools
from flowmine.engine.verdict import Outcome
from flowmine.policy.model import Direction
from flowmine.synth.traffic import Link, Spot

__all__ = ["BUDGET", "Also", "Asked", "Reach"]

BUDGET = 400_000
"""Connections over which one candidate may be counted; a wider one stands behind all others."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be admitted: links with one kind of source and target, one port, and the requests if it is these.

    ``sides`` are those that may be changed; the flows alone tell only of some.
    """

    links: tuple[Link, ...]
    requests: tuple[Request, ...] = ()
    names: tuple[str, ...] = ()
    sides: frozenset[Direction] = frozenset(Direction)

    @property
    def protocol(self) -> str:
        """The protocol of all links."""
        return self.links[0].protocol

    @property
    def port(self) -> int:
        """The port of all links; for ICMP the type."""
        return self.links[0].port or 0

    @property
    def side(self) -> Direction | None:
        """The one side that is looked at; None where it is both, and so the whole connection."""
        return None if len(self.sides) > 1 else next(iter(self.sides))


@dataclass(frozen=True, slots=True, order=True)
class Also:
    """A connection that a change admits although nobody asked for it."""

    source: Spot
    target: Spot
    protocol: str
    port: int


class Reach:
    """Counts what changes open, for one thing asked."""

    def __init__(self, known: Recorded, people: Crowd, asked: Asked, used: Sequence[tuple[str, int]]) -> None:
        """Take what was asked, and the ports in use, on which a rule that goes away may have kept something closed."""
        self._known, self._people, self._asked = known, people, asked
        own = (asked.protocol, asked.port)
        self._ports = (own, *(port for port in used if port != own))

    @cached_property
    def pairs(self) -> Pairs:
        """What was asked, one pair a link."""
        return self.pairs_of(self._asked.links)

    def pairs_of(self, links: Sequence[Link]) -> Pairs:
        """Return links as pairs, with all that is asked over them."""
        protocol = int(protocols_of(self._asked.protocol))
        made = pairs_of(self._known, self._people, links, protocol, self._asked.port)
        return replace(made, requests=self._asked.requests, names=self._asked.names)

    def opens(
        self, here: Standpoint, manifests: Mapping[str, Mapping[str, Any]], change: Candidate
    ) -> int | None:
        """Return how many connections a change opens at its side beyond those asked for; None where it does not help."""
        if change.action is Action.NARROW:
            return self._opens_without(here, manifests, change)
        touched = self._product(here, change, self.pairs, everybody=False, budget=BUDGET)
        if touched is None:
            return BUDGET
        return self._count(touched, self._denied(here, touched, change.direction))

    def also(
        self, start: Standpoint, after: Changed, steps: Sequence[Candidate]
    ) -> tuple[set[Also], bool] | None:
        """Return what the changed policies admit that those before did not, and whether all of it could be counted.

        None where they deny something that was admitted.
        """
        found: set[Also] = set()
        side, whole = self._asked.side, True
        for step in steps:
            touched = list(self._touched(start, step))
            whole &= len(touched) == (len(self._ports) if step.action is Action.NARROW else 1)
            for protocol, some in touched:
                was, now = start.passes(some, side), after.passes(some, side)
                if (was & ~now).any():
                    return None
                found |= set(self._named(protocol, some, now & ~was & ~self._among(some)))
        return found, whole

    def _opens_without(
        self, here: Standpoint, manifests: Mapping[str, Mapping[str, Any]], change: Candidate
    ) -> int | None:
        changed = {**manifests, change.ref: applied(change.manifest, change.ops)}
        before, after = Changed(here, {}, frozenset()), Changed(here, changed, frozenset({change.ref}))
        if not after.is_accepted() or after.deny_rules(self.pairs, change.direction) >= before.deny_rules(
            self.pairs, change.direction
        ):
            return None
        count = 0
        for _, some in self._touched(here, change):
            opened = after.passes(some, change.direction) & ~here.passes(some, change.direction)
            count += self._count(some, opened)
        return count

    def _touched(self, here: Standpoint, change: Candidate) -> Iterator[tuple[str, Pairs]]:
        """Yield the connections that a change may touch, with their protocol: what takes away, on every port in use."""
        taken = change.action is Action.NARROW
        ports = self._ports if taken else self._ports[:1]
        for place, (protocol, port) in enumerate(ports):
            requests = (self._asked.requests, self._asked.names) if place == 0 else ((), ())
            some = Pairs(
                self.pairs.source, self.pairs.destination, int(protocols_of(protocol)), port, *requests
            )
            found = self._product(here, change, some, everybody=taken, budget=5 * BUDGET // len(ports))
            if found is not None:
                yield protocol, found

    def _product(
        self, here: Standpoint, change: Candidate, pairs: Pairs, *, everybody: bool, budget: int
    ) -> Pairs | None:
        """Return all connections between those a change is for and its peers (or everybody); None over the budget."""
        own = np.flatnonzero(here.subjects(change.subject))
        meant = np.full(len(self._people.parties), everybody)
        for entry in change.adds:
            meant |= here.peers(entry)
        peers = np.flatnonzero(meant)
        if len(own) * len(peers) > budget:
            return None
        first, second = np.repeat(own, len(peers)), np.tile(peers, len(own))
        ends = (first, second)
        source, destination = ends if change.direction is Direction.EGRESS else ends[::-1]
        return replace(pairs, source=source, destination=destination)

    def _count(self, pairs: Pairs, opened: Bools) -> int:
        """Count connections that open and were not asked for; an address that goes by several names counts once."""
        chosen = opened & ~self._among(pairs)
        numbers = self._people.spot_numbers
        return len(
            np.unique(np.stack([numbers[pairs.source[chosen]], numbers[pairs.destination[chosen]]]), axis=1).T
        )

    def _denied(self, here: Standpoint, pairs: Pairs, direction: Direction) -> Bools:
        """Tell of each pair whether a side lacks a rule for it, or for what is asked over it."""
        judgement = here.judge(pairs)
        if self._asked.requests or self._asked.names:
            return ~here.passes(pairs)
        side = judgement.egress if direction is Direction.EGRESS else judgement.ingress
        denied: Bools = side.outcome[side.question] == Outcome.DENIED
        return denied

    def _among(self, pairs: Pairs) -> Bools:
        """Tell of each pair whether it was asked for: the port, and the ends as the group calls them."""
        if (pairs.protocol, pairs.port) != (self.pairs.protocol, self.pairs.port):
            return np.zeros(len(pairs), np.bool_)
        sources = {key_of(link.source) for link in self._asked.links}
        targets = {key_of(link.target) for link in self._asked.links}
        keys = [key_of(spot) for spot in self._people.spots]
        callers = np.array([key in sources for key in keys], np.bool_)
        called = np.array([key in targets for key in keys], np.bool_)
        both: Bools = callers[pairs.source] & called[pairs.destination]
        return both

    def _named(self, protocol: str, pairs: Pairs, chosen: Bools) -> Iterator[Also]:
        spots = self._people.spots
        for source, target in zip(
            pairs.source[chosen].tolist(), pairs.destination[chosen].tolist(), strict=True
        ):
            yield Also(spots[source], spots[target], protocol, pairs.port)
