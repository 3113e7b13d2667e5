"""What policies say of recorded connections: each side's outcome, who decided or closed it, and requests refused."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from flowmine.advise.inforce import Governed, InForce, denying_entries
from flowmine.advise.recorded import Recorded
from flowmine.advise.replay import Batch, replay
from flowmine.engine.authentication import TYPES, authentication_types
from flowmine.engine.columns import distinct
from flowmine.engine.index import Ints
from flowmine.engine.judgement import Judgement
from flowmine.engine.party import resolve
from flowmine.engine.verdict import Outcome, SideJudgement
from flowmine.policy.model import Direction

__all__ = ["Ruling", "SideRuling", "judge_rows", "rulings", "side_rulings"]


@dataclass(frozen=True, slots=True)
class SideRuling:
    """One side: its outcome, and behind it the entries (`policy:path`) that decided, or the policies that closed it.

    `governed` is whether the policies are asked here at all: the end is of their cluster.
    """

    outcome: Outcome
    by: tuple[str, ...] = ()
    authentication: str | None = None
    error: str = ""
    governed: bool = True


@dataclass(frozen=True, slots=True)
class Ruling:
    """What policies say of one connection; `refused` are the requests (rows of REQUESTS) that they do not let pass."""

    sides: Mapping[Direction, SideRuling]
    refused: tuple[int, ...] = ()
    passed: tuple[int, ...] = field(default=())

    @property
    def allowed(self) -> bool:
        """Whether the connection passes both sides."""
        return all(side.outcome.passes for side in self.sides.values())

    def denying(self) -> tuple[Direction, ...]:
        """Return the sides that do not let it pass, egress first."""
        order = (Direction.EGRESS, Direction.INGRESS)
        return tuple(each for each in order if not self.sides[each].outcome.passes)


def judge_rows(known: Recorded, policies: InForce, rows: Sequence[int]) -> tuple[Batch, Judgement]:
    """Judge edges (rows of EDGES) and the requests seen on them."""
    batch = replay(known.edges, rows, known.names_of, requests=True, named_ports=policies.named_ports)
    return batch, policies.policies.judge(batch.queries)


def rulings(known: Recorded, policies: InForce, rows: Sequence[int]) -> dict[int, Ruling]:
    """Return what policies say of each of these edges."""
    batch, judgement = judge_rows(known, policies, rows)
    governed = Governed(judgement.index, batch.queries.parties)
    sides = {
        side.direction: side_rulings(judgement, side, governed, np.arange(len(rows)))
        for side in (judgement.egress, judgement.ingress)
    }
    refused: dict[int, list[int]] = defaultdict(list)
    passed: dict[int, list[int]] = defaultdict(list)
    passes = judgement.http_allowed & judgement.dns_allowed
    for place in range(len(rows), len(batch.rows)):
        (passed if passes[place] else refused)[batch.rows[place]].append(batch.asked[place])
    return {
        row: Ruling(
            {direction: made[number[place]] for direction, (made, number) in sides.items()},
            tuple(refused.get(row, ())),
            tuple(passed.get(row, ())),
        )
        for place, row in enumerate(rows)
    }


def side_rulings(
    judgement: Judgement, side: SideJudgement, governed: Governed, places: Ints
) -> tuple[tuple[SideRuling, ...], Ints]:
    """Return the distinct rulings of a side, and which of them each of some queries (by their places) has.

    ``governed`` is of the parties of the judgement.
    """
    question = side.question[places]
    ends = judgement.queries
    own = (ends.source if side.direction is Direction.EGRESS else ends.destination)[places]
    lists, decided = judgement.decided(side, paths=True)
    authentication = authentication_types(side)
    types = np.array([TYPES.index(each) for each in authentication], np.int64)
    denying = denying_entries(judgement.index)
    by_question = (side.outcome, side.subject_class, decided, types)
    first, number = distinct(governed.kinds[own], *(column[question] for column in by_question))
    made = []
    for place in first.tolist():
        asked, party = int(question[place]), int(own[place])
        outcome = Outcome(int(side.outcome[asked]))
        by = lists[decided[asked]]
        if outcome is Outcome.DENIED:
            by = governed.closers(party, side.direction)
        elif outcome is Outcome.DENY_RULE:
            by = tuple(name for name in by if name in denying)
        local = resolve(judgement.queries.parties[party], judgement.index.config).local
        error = side.subjects.classes[side.subject_class[asked]].error if outcome is Outcome.ERROR else ""
        made.append(SideRuling(outcome, by, authentication[asked], error, local))
    return tuple(made), number
