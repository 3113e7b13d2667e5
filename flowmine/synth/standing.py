"""Where each workload stands: which of its sides the capture saw, and whether it gets a policy."""

from dataclasses import dataclass

import pyarrow as pa

from flowmine.policy.model import Direction
from flowmine.synth.scope import Scope
from flowmine.synth.subjects import Workload, Workloads

__all__ = ["Standing", "standings"]

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
