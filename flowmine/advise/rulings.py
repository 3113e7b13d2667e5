"""What policies say of recorded connections: each side's outcome, who decided or closed it, and requests refused."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flowmine.advise.inforce import Governed, InForce, denying_entries
from flowmine.advise.recorded import Recorded
from flowmine.advise.replay import Batch, replay
from flowmine.engine.authentication import authentication_types
from flowmine.engine.judgement import Judgement
from flowmine.engine.party import resolve
from flowmine.engine.verdict import Outcome, SideJudgement
from flowmine.policy.model import Direction

__all__ = ["Ruling", "SideRuling", "judge_rows", "rulings"]


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
        Direction.EGRESS: _sides(judgement, judgement.egress, governed, len(rows)),
        Direction.INGRESS: _sides(judgement, judgement.ingress, governed, len(rows)),
    }
    refused: dict[int, list[int]] = defaultdict(list)
    passed: dict[int, list[int]] = defaultdict(list)
    passes = judgement.http_allowed & judgement.dns_allowed
    for place in range(len(rows), len(batch.rows)):
        (passed if passes[place] else refused)[batch.rows[place]].append(batch.asked[place])
    return {
        row: Ruling(
            {direction: made[place] for direction, made in sides.items()},
            tuple(refused[row]),
            tuple(passed[row]),
        )
        for place, row in enumerate(rows)
    }


def _sides(judgement: Judgement, side: SideJudgement, governed: Governed, count: int) -> list[SideRuling]:
    deciders = judgement.deciders(side, paths=True).to_pylist()
    authentication = authentication_types(side)
    parties, config = judgement.queries.parties, judgement.index.config
    own = judgement.queries.source if side.direction is Direction.EGRESS else judgement.queries.destination
    denying = denying_entries(judgement.index)
    made = []
    for place in range(count):
        question, party = int(side.question[place]), int(own[place])
        outcome = Outcome(int(side.outcome[question]))
        if outcome is Outcome.DENIED:
            by = governed.closers(party, side.direction)
        else:
            by = tuple(deciders[place] or ())
        if outcome is Outcome.DENY_RULE:
            by = tuple(name for name in by if name in denying)
        local = resolve(parties[party], config).local
        error = side.subjects.classes[side.subject_class[question]].error if outcome is Outcome.ERROR else ""
        made.append(SideRuling(outcome, by, authentication[question], error, local))
    return made
