"""What a draft says of every connection seen, against what happens today: judged anew where a change may matter."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from flowmine.advise.inforce import Governed, InForce
from flowmine.advise.rulings import Ruling, rulings
from flowmine.advise.simulate import ShiftKind
from flowmine.advise.standpoint import Crowd, crowd
from flowmine.engine.policyset import PolicySet
from flowmine.policy.model import Policy
from flowmine.web.draft import Draft, Paper
from flowmine.web.scene import Scene

__all__ = ["Court", "Judged"]

_JUDGED = frozenset({"delivered", "dropped", "audited"})


@dataclass(frozen=True, eq=False)
class Judged:
    """A draft with its rulings by row of EDGES, and what it changes (rows without a kind stay as they are)."""

    draft: Draft
    rulings: Mapping[int, Ruling]
    kinds: Mapping[int, ShiftKind]


class Court:
    """Judges drafts over one scene."""

    def __init__(self, scene: Scene) -> None:
        """Take the scene; without policies in force the record itself says what works today."""
        self._scene, self._now = scene, scene.advice.policies
        self._selected: dict[int, tuple[Paper, frozenset[int]]] = {}

    @cached_property
    def people(self) -> Crowd:
        """Everybody seen."""
        return crowd(self._scene.known, InForce(PolicySet(())))

    @cached_property
    def _ends(self) -> list[frozenset[int]]:
        """The endpoints of each row."""
        return [frozenset((link.source.party, link.target.party)) for link in self._scene.known.links]

    @cached_property
    def _noise(self) -> frozenset[int]:
        return frozenset(row for each in self._scene.known.noise for row in each.rows)

    @cached_property
    def _before(self) -> dict[int, Ruling] | None:
        """What the policies in force say today."""
        known = self._scene.known
        return None if self._now is None else rulings(known, self._now, range(len(known.links)))

    def judge(self, draft: Draft, before: Judged | None = None) -> Judged:
        """Judge a draft; of what was judged ``before``, what no changed policy has a say in is kept."""
        known = self._scene.known
        if before is None:
            found = rulings(known, draft.in_force, range(len(known.links)))
        else:
            found = {**before.rulings, **self._again(draft, before.draft)}
        kinds = {row: kind for row, ruling in found.items() if (kind := self._kind(row, ruling)) is not None}
        return Judged(draft, found, kinds)

    def _again(self, draft: Draft, before: Draft) -> dict[int, Ruling]:
        changed = draft.refs_changed(before)
        for each in (before, draft):
            self._learn(each.papers.values())
        papers = [each.papers[ref] for each in (draft, before) for ref in changed if ref in each.papers]
        touched = frozenset().union(*(self._selects(paper) for paper in papers))
        rows = [row for row, ends in enumerate(self._ends) if ends & touched]
        if not rows:
            return {}
        ends = frozenset().union(*(self._ends[row] for row in rows))
        having = [paper.policy for _, paper in sorted(draft.papers.items()) if self._selects(paper) & ends]
        return rulings(self._scene.known, self._as_in_force(draft, having), rows)

    @staticmethod
    def _as_in_force(draft: Draft, policies: Iterable[Policy]) -> InForce:
        ground = draft.ground
        some = PolicySet.from_policies(policies, ground.policies.groups, ground.policies.config)
        return InForce(some, named_ports=ground.named_ports)

    def _selects(self, paper: Paper) -> frozenset[int]:
        """Return the endpoints that any rule of a paper selects, which was learned before."""
        return self._selected[id(paper)][1]

    def _learn(self, papers: Iterable[Paper]) -> None:
        """Find out which endpoints the rules of papers select, all of those that are new at once."""
        new = {paper.policy.ref: paper for paper in papers if not self._is_learned(paper)}
        if not new:
            return
        ground, spots = self._scene.ground.policies, self.people.spots
        policies = (paper.policy for paper in new.values())
        index = PolicySet.from_policies(policies, ground.groups, ground.config).index
        governed = Governed(index, self.people.parties)
        found: dict[str, set[int]] = {ref: set() for ref in new}
        for rule in governed.rules:
            found[rule[0]].update(
                spots[place].party for place in governed.selected(rule).nonzero()[0].tolist()
            )
        for ref, paper in new.items():
            self._selected[id(paper)] = (paper, frozenset(found[ref]))

    def _is_learned(self, paper: Paper) -> bool:
        known = self._selected.get(id(paper))
        return known is not None and known[0] is paper

    def _kind(self, row: int, ruling: Ruling) -> ShiftKind | None:
        """Return what changes for a row against today; nothing is said of what policies have no say in."""
        outcome = self._scene.known.links[row].outcome
        if outcome not in _JUDGED:
            return None
        before = self._before[row] if self._before is not None else None
        works = self.works(row, ruling)
        worked = outcome in ("delivered", "audited") if before is None else self.works(row, before)
        if worked and not works:
            if row in self._noise:
                return ShiftKind.NOISE
            return ShiftKind.DENIED if outcome == "delivered" else ShiftKind.NEWLY_DENIED
        refused = self._denied(row) if before is None else frozenset(before.refused)
        if works and (not worked or refused - frozenset(ruling.refused)):
            return ShiftKind.NEWLY_ALLOWED
        return None

    def works(self, row: int, ruling: Ruling) -> bool:
        """Tell whether rulings let pass a row with the requests seen on it; those that were refused when seen apart."""
        return ruling.allowed and not frozenset(ruling.refused) - self._denied(row)

    def _denied(self, row: int) -> frozenset[int]:
        return frozenset(self._scene.known.denied_requests.get(row, ()))
