"""The smallest change of policies that stops them from admitting a connection, chosen and proved by the engine.

Of an entry that admits it a peer, a port or the whole entry is taken away: whichever takes the fewest other
connections seen with it. Where the last entry of a section goes, the section stays closed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowmine.advise.admitcandidates import raw_rule
from flowmine.advise.admitnarrow import removals
from flowmine.advise.admitops import Op, Path, add, applied, value_at
from flowmine.advise.inforce import InForce
from flowmine.advise.recorded import Recorded
from flowmine.advise.rulings import Ruling, rulings
from flowmine.advise.standpoint import Standpoint
from flowmine.engine.policyset import PolicySet
from flowmine.engine.verdict import Outcome
from flowmine.policy.codec import from_dict
from flowmine.policy.model import Direction, Kind, Policy
from flowmine.policy.validate import is_accepted, validate

__all__ = ["Taken", "Withdrawal", "withdrawal"]

_ROUNDS = 24
_SELECTORS = ("endpointSelector", "nodeSelector", "podSelector", "enableDefaultDeny")

Manifests = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Taken:
    """What is taken away from one entry: ``place`` is the entry's path in the manifest, ``shown`` what goes."""

    ref: str
    place: str
    direction: Direction
    shown: Any
    ops: tuple[Op, ...]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A change: what is taken away, one entry after another, and the changed manifests by `Kind/namespace/name`."""

    steps: tuple[Taken, ...]
    manifests: Manifests


def withdrawal(
    known: Recorded, policies: InForce, here: Standpoint, rows: Sequence[int], ruled: Mapping[int, Ruling]
) -> Withdrawal | None:
    """Return the change after which no written rule admits these edges (rows of EDGES); None where none does now.

    ``here`` is everybody under the policies, ``ruled`` what these say of every edge: both tell what else a change takes.
    """
    manifests, steps = dict[str, Mapping[str, Any]](policies.manifests), list[Taken]()
    for _ in range(_ROUNDS):
        found = _Judge(known, policies, here, manifests, frozenset(each.ref for each in steps))
        entry = _admitting(found.rulings(rows), manifests)
        if entry is None:
            break
        best = _smallest(found, rows, entry, ruled)
        if best is None:
            break
        steps.append(best)
        manifests[best.ref] = applied(manifests[best.ref], best.ops)
    changed = {each.ref: manifests[each.ref] for each in steps}
    return Withdrawal(tuple(steps), changed) if steps else None


@dataclass(frozen=True, slots=True)
class _Judge:
    """The policies with some manifests changed, asked about a few edges at a time."""

    known: Recorded
    policies: InForce
    here: Standpoint
    manifests: Manifests
    refs: frozenset[str]

    def rulings(self, rows: Sequence[int]) -> dict[int, Ruling]:
        """Judge these edges by the policies that have a say in them."""
        return rulings(self.known, InForce(self._having_a_say(rows)), rows)

    def changed(self, ref: str, manifest: Mapping[str, Any]) -> "_Judge":
        """Return it with one manifest more changed."""
        return _Judge(
            self.known, self.policies, self.here, {**self.manifests, ref: manifest}, self.refs | {ref}
        )

    def _having_a_say(self, rows: Sequence[int]) -> PolicySet:
        before, people = self.here.policies, self.here.people
        links = [self.known.links[row] for row in rows]
        ends = {(link.source, link.target) for link in links} | {(link.target, link.source) for link in links}
        places = {people.place(self.known, own, other) for own, other in ends}
        kept = [
            policy
            for policy in self.here.governed.relevant(before.policies, places)
            if policy.ref not in self.refs
        ]
        made = (from_dict(self.manifests[ref], "prune") for ref in sorted(self.refs))
        new = [policy for policy in made if isinstance(policy, Policy)]
        return PolicySet.from_policies([*kept, *new], before.groups, before.config)


def _admitting(found: Mapping[int, Ruling], manifests: Manifests) -> tuple[Direction, str] | None:
    """Return the first written entry (`policy:path`) that admits any of the edges, and at which side."""
    named = {
        (direction, name)
        for ruling in found.values()
        for direction, side in ruling.sides.items()
        if side.outcome is Outcome.ALLOWED
        for name in side.by
        if name.partition(":")[0] in manifests and ":" in name
    }
    return min(named, default=None)


def _smallest(
    judge: _Judge, rows: Sequence[int], entry: tuple[Direction, str], ruled: Mapping[int, Ruling]
) -> Taken | None:
    """Return the change to one entry that helps, and takes the fewest other edges with it."""
    direction, name = entry
    ref, _, path = name.partition(":")
    manifest = judge.manifests[ref]
    where = _where(manifest, path)
    before = _admitted(judge, manifest, where, rows, direction)
    others = [row for row, ruling in ruled.items() if _is_touched(ruling, ref) and row not in rows]
    passing = sum(ruling.allowed for ruling in judge.rulings(others).values()) if others else 0
    best: tuple[int, int, Taken] | None = None
    for number, (taken, whole) in enumerate(_candidates(manifest, ref, direction, path)):
        changed = applied(manifest, taken.ops)
        if not whole and _admitted(judge, changed, where, rows, direction) >= before:
            continue
        if not is_accepted(list(validate(changed, unknown="prune"))):
            continue
        after = judge.changed(ref, changed)
        left = sum(ruling.allowed for ruling in after.rulings(others).values()) if others else 0
        if best is None or (passing - left, number) < best[:2]:
            best = (passing - left, number, taken)
    return best and best[2]


def _where(manifest: Mapping[str, Any], path: str) -> Path:
    """Return where a manifest holds the entry that the engine knows by a path."""
    rule, _, rest = path.partition(".")
    section, _, number = rest.partition("[")
    return (*raw_rule(manifest, rule), section, int(number.rstrip("]")))


def _admitted(
    judge: _Judge, manifest: Mapping[str, Any], where: Path, rows: Sequence[int], direction: Direction
) -> int:
    """Count the edges that an entry admits by itself: verdicts name only the foremost of several that do."""
    rule = value_at(manifest, where[:-2])
    alone = {key: rule[key] for key in _SELECTORS if key in rule} | {where[-2]: [value_at(manifest, where)]}
    kept = {key: manifest[key] for key in ("apiVersion", "kind", "metadata")}
    made = from_dict({**kept, "spec": alone}, "prune")
    before = judge.here.policies
    policies = [made] if isinstance(made, Policy) else []
    some = PolicySet.from_policies(policies, before.groups, before.config)
    found = rulings(judge.known, InForce(some), rows)
    return sum(ruling.sides[direction].outcome is Outcome.ALLOWED for ruling in found.values())


def _is_touched(ruling: Ruling, ref: str) -> bool:
    return any(name.partition(":")[0] == ref for side in ruling.sides.values() for name in side.by)


def _candidates(
    manifest: Mapping[str, Any], ref: str, direction: Direction, path: str
) -> Iterator[tuple[Taken, bool]]:
    """Yield what can be taken away, each with whether it is the whole entry."""
    where = _where(manifest, path)
    for ops, shown in removals(manifest, where, value_at(manifest, where), closing=True):
        yield Taken(ref, path, direction, shown, ops), ops[0].path == where
    if len(value_at(manifest, where[:-1])) == 1:
        yield Taken(ref, path, direction, [value_at(manifest, where)], _emptied(manifest, where)), True


def _emptied(manifest: Mapping[str, Any], where: Path) -> tuple[Op, ...]:
    """Return the operations that leave a section without any entry, and closed.

    In Cilium's kinds one empty entry does that (SEMANTICS 1); in a NetworkPolicy it would admit everything, and the
    direction is named in `policyTypes` (SEMANTICS 10).
    """
    if manifest["kind"] != Kind.KNP:
        return (add(where[:-1], [{}]),)
    spec, name = value_at(manifest, where[:-2]), str(where[-2]).capitalize()
    types = [*(spec.get("policyTypes") or []), *([] if name in (spec.get("policyTypes") or []) else [name])]
    return (add(where[:-1], []), add((*where[:-2], "policyTypes"), types))
