"""Where each workload stands: which of its sides the capture saw, and whether it gets a policy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from flowmine.policy.model import Direction
from flowmine.synth.scope import Scope
from flowmine.synth.selectors import Choice
from flowmine.synth.subjects import Workload, Workloads
from flowmine.synth.traffic import Link

__all__ = ["Standing", "standings", "without_bystanders", "without_unsaid"]

_STRAY = 0.01
"""Share of a workload's endpoints that may be half seen (a run that ended as the capture began)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a workload stands: which sides the capture saw, and why it gets no policy, or one for one side only."""

    workload: Workload
    seen: frozenset[Direction]
    reason: str = ""
    refused: str = ""

    @property
    def closed(self) -> frozenset[Direction]:
        """The sides for which rules are written."""
        return frozenset() if self.refused else self.seen


def standings(seen: pa.Table, workloads: Workloads, scope: Scope) -> tuple[Standing, ...]:
    """Return the standing of every workload, in order; ``seen`` says which sides of its endpoints were seen."""
    columns = [seen.column(name).to_pylist() for name in ("endpoint", "egress", "ingress", "reason")]
    sides_of = {row[0]: row[1:] for row in zip(*columns, strict=True)}
    made = []
    for workload in workloads.items:
        sides = [
            sides_of.get(endpoint, (False, False, "not seen at its own node"))
            for endpoint in workload.endpoints
        ]
        missed = _STRAY * len(sides)
        saw = {
            direction
            for place, direction in enumerate((Direction.EGRESS, Direction.INGRESS))
            if sum(not side[place] for side in sides) <= missed
        }
        reasons = dict.fromkeys(side[2] for side in sides if side[2]) if len(saw) < 2 else {}
        made.append(Standing(workload, frozenset(saw), "; ".join(list(reasons)[:3]), scope.refuses(workload)))
    return tuple(made)


def without_bystanders(
    stands: Sequence[Standing], choices: Sequence[Choice], workloads: Workloads
) -> tuple[Standing, ...]:
    """Return the standings with each side left open whose closing would also close a workload that gets no rules for it.

    A selector that no stable label can make exact selects others too; where one of these was not seen, or is not asked
    for, a policy would cut it off.
    """
    found = list(stands)
    while True:
        before = list(found)
        for place, (standing, choice) in enumerate(zip(found, choices, strict=True)):
            for other in sorted({workloads.of[endpoint] for endpoint in choice.caught}):
                spared = standing.closed - found[other].closed
                if spared:
                    reason = f"its labels also select {found[other].workload.title}, which would be cut off"
                    found[place] = replace(standing, seen=standing.seen - spared, reason=reason)
                    break
        if found == before:
            return tuple(found)


def without_unsaid(
    stands: Sequence[Standing], admitted: Iterable[Link], unsaid: Iterable[Link]
) -> tuple[Standing, ...]:
    """Return the standings with each side left open of whose delivered traffic no rule can name anything.

    ``admitted`` are the links that rules are for, ``unsaid`` those whose peer, port or type no rule can name. A side
    that would get no rule at all for them would be cut off; beside other rules they are told, and denied.
    """
    ruled = {side for link in admitted for side in _sides(link)}
    lacking = {side for link in unsaid for side in _sides(link)} - ruled
    found = list(stands)
    for place, direction in sorted(lacking):
        if direction in found[place].closed:
            reason = f"no rule can name what was delivered at its {direction} side"
            reasons = "; ".join(filter(None, (found[place].reason, reason)))
            found[place] = replace(found[place], seen=found[place].seen - {direction}, reason=reasons)
    return tuple(found)


def _sides(link: Link) -> Iterable[tuple[int, Direction]]:
    ends = ((link.source.workload, Direction.EGRESS), (link.target.workload, Direction.INGRESS))
    return (side for side in ends if side[0] >= 0)
