"""Drops grouped by who, to whom, port and cause: what the flows say, and what the policies in force say of it today."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flowmine.advise.causes import Cause
from flowmine.advise.dropfacts import Doing, Fact
from flowmine.advise.groupends import End, end_key, end_of
from flowmine.advise.recorded import Recorded
from flowmine.advise.rulings import Ruling
from flowmine.engine.verdict import Outcome
from flowmine.policy.model import Direction

__all__ = ["DropGroup", "group_facts"]

_ORDER = (Direction.EGRESS, Direction.INGRESS)


@dataclass(frozen=True, slots=True)
class DropGroup:
    """Drops of one kind: rows of EDGES, and why.

    ``sides`` are those that refuse it, as the policies say (or, without policies, the flows); ``by`` names for each of
    them the policies that closed it, or the entries that deny; ``requests`` are rows of REQUESTS, ``wanted`` their
    (method, path), for DNS the method ``DNS``; ``since`` is when it was last delivered, if it was.
    """

    source: End
    target: End
    protocol: str
    port: int | None
    cause: Cause
    reasons: tuple[str, ...]
    sides: tuple[Direction, ...]
    by: Mapping[Direction, tuple[str, ...]]
    audited: bool
    rows: tuple[int, ...]
    requests: tuple[int, ...]
    wanted: tuple[tuple[str, str], ...]
    count: int
    first: datetime | None
    last: datetime | None
    since: datetime | None = None
    error: str = ""

    @property
    def where(self) -> str:
        """Port and protocol, `443/TCP`; of ICMP the type."""
        return self.protocol if self.port is None else f"{self.port}/{self.protocol}"


def group_facts(
    known: Recorded, facts: Iterable[Fact], rulings: Mapping[int, Ruling] | None
) -> list[DropGroup]:
    """Return facts as groups, those that stand first, then by how many drops; without rulings as the flows tell it."""
    groups: dict[tuple[Any, ...], list[Fact]] = defaultdict(list)
    kept: dict[tuple[Any, ...], _Why] = {}
    for fact in facts:
        why = _why(known, fact, None if rulings is None else rulings[fact.row])
        link = known.links[fact.row]
        ends = (end_key(known, link.source, link.target), end_key(known, link.target, link.source))
        key = (
            *ends,
            link.protocol,
            link.port,
            why.cause,
            why.sides,
            why.by,
            why.error,
            fact.audited,
            _apart(fact),
        )
        groups[key].append(fact)
        kept[key] = why if key not in kept else kept[key].joined(why)
    made = [_group(known, some, kept[key]) for key, some in groups.items()]
    return sorted(made, key=_rank)


def _rank(group: DropGroup) -> tuple[Any, ...]:
    return (
        not group.cause.stands,
        group.cause is Cause.OTHER,
        -group.count,
        group.source.title,
        group.target.title,
        group.protocol,
        group.port or 0,
        group.cause,
        group.reasons,
    )


@dataclass(frozen=True, slots=True)
class _Why:
    """Why one fact is so."""

    cause: Cause
    sides: tuple[Direction, ...] = ()
    by: tuple[tuple[Direction, tuple[str, ...]], ...] = ()
    requests: tuple[int, ...] = ()
    error: str = ""

    def joined(self, other: "_Why") -> "_Why":
        requests = tuple(dict.fromkeys((*self.requests, *other.requests)))
        return _Why(self.cause, self.sides, self.by, requests, self.error)


def _why(known: Recorded, fact: Fact, ruling: Ruling | None) -> _Why:
    if fact.doing is Doing.REPLY:
        return _Why(Cause.REPLY)
    if fact.doing is Doing.OTHER:
        return _Why(Cause.OTHER)
    if ruling is None or not _asked(known, fact, ruling):
        return _as_told(known, fact, ruling)
    if fact.doing is Doing.REQUEST and ruling.allowed:
        return _of_requests(known, fact, ruling)
    if any(side.outcome is Outcome.ERROR for side in ruling.sides.values()):
        errors = sorted({side.error for side in ruling.sides.values() if side.error})
        return _Why(Cause.UNRESOLVED, ruling.denying(), (), (), "; ".join(errors))
    if ruling.allowed:
        required = tuple(each for each in _ORDER if ruling.sides[each].authentication)
        if required:
            return _Why(Cause.AUTHENTICATION, required, _by(ruling, required))
        return _Why(Cause.GONE)
    sides = ruling.denying()
    deny = any(ruling.sides[each].outcome is Outcome.DENY_RULE for each in sides)
    return _Why(Cause.DENY_RULE if deny else Cause.NO_RULE, sides, _by(ruling, sides))


def _asked(known: Recorded, fact: Fact, ruling: Ruling) -> bool:
    """Tell whether the policies can answer: both ends are known, and the side that dropped is theirs."""
    link = known.links[fact.row]
    nameless = [spot for spot in (link.source, link.target) if not spot.is_nameable]
    governed = [ruling.sides[each].governed for each in fact.sides] or [
        any(side.governed for side in ruling.sides.values())
    ]
    return not nameless and all(governed)


def _as_told(known: Recorded, fact: Fact, ruling: Ruling | None) -> _Why:
    """Return what Hubble itself says; where policies were asked and could not answer, that it cannot be told."""
    sides = tuple(each for each in _ORDER if each in fact.sides)
    by = tuple((each, tuple(name for side, name in fact.denied_by if side is each)) for each in sides)
    by = tuple(each for each in by if each[1])
    if ruling is not None:
        return _Why(Cause.UNKNOWN, sides, by)
    if fact.doing is Doing.REQUEST:
        return _Why(Cause.REQUEST, sides, by, tuple(_denied_requests(known, fact.row)))
    if fact.doing is Doing.AUTHENTICATION:
        return _Why(Cause.AUTHENTICATION, sides, by)
    deny = "POLICY_DENY" in fact.reasons
    return _Why(Cause.DENY_RULE if deny else Cause.NO_RULE, sides, by)


def _of_requests(known: Recorded, fact: Fact, ruling: Ruling) -> _Why:
    """Return whether the requests that were refused still are; where none was recorded, that it cannot be told."""
    denied = set(_denied_requests(known, fact.row))
    sides = tuple(each for each in _ORDER if each in fact.sides)
    by = _by(ruling, sides)
    if not denied:
        return _Why(Cause.UNKNOWN, sides, by)
    still = tuple(row for row in ruling.refused if row in denied)
    return _Why(Cause.REQUEST, sides, by, still) if still else _Why(Cause.GONE)


def _denied_requests(known: Recorded, row: int) -> list[int]:
    return list(known.denied_requests.get(row, ()))


def _by(ruling: Ruling, sides: Sequence[Direction]) -> tuple[tuple[Direction, tuple[str, ...]], ...]:
    return tuple((each, ruling.sides[each].by) for each in sides if ruling.sides[each].by)


def _apart(fact: Fact) -> tuple[str, ...]:
    return fact.reasons if fact.doing in (Doing.OTHER, Doing.REPLY) else ()


def _group(known: Recorded, facts: Sequence[Fact], why: _Why) -> DropGroup:
    links = [known.links[fact.row] for fact in facts]
    delivered = [at for fact in facts if (at := known.last_delivered(fact.row))]
    return DropGroup(
        source=end_of(known, [(link.source, link.target) for link in links]),
        target=end_of(known, [(link.target, link.source) for link in links]),
        protocol=links[0].protocol or "unknown",
        port=links[0].port,
        cause=why.cause,
        reasons=tuple(sorted({reason for fact in facts for reason in fact.reasons})),
        sides=why.sides,
        by=dict(why.by),
        audited=facts[0].audited,
        rows=tuple(sorted(fact.row for fact in facts)),
        requests=why.requests,
        wanted=tuple(sorted({(method, path) for method, _, path in map(known.request, why.requests)})),
        count=sum(fact.count for fact in facts),
        first=min((fact.first for fact in facts if fact.first), default=None),
        last=max((fact.last for fact in facts if fact.last), default=None),
        since=max(delivered, default=None),
        error=why.error,
    )
