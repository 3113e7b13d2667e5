"""Which recorded traffic is behind each rule of policies, and which rule is behind each connection."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from flowmine.advise.completeness import Completeness, completeness
from flowmine.advise.inforce import InForce
from flowmine.advise.recorded import Recorded
from flowmine.advise.rulings import Ruling, judge_rows, rulings
from flowmine.engine.judgement import Judgement
from flowmine.engine.verdict import Outcome
from flowmine.synth.evidence import Evidence, Witness
from flowmine.synth.traffic import Link

__all__ = ["Explanation", "Flow", "RuleEvidence", "explain"]


@dataclass(frozen=True, slots=True)
class RuleEvidence:
    """One entry of a policy (``policy:path``) and the edges (rows of EDGES) that it matches.

    ``alone`` counts those that no other entry admits: without the entry they would be denied. ``closes`` marks an empty
    entry, which admits nothing and closes its direction.
    """

    policy: str
    path: str
    denies: bool
    closes: bool
    rows: tuple[int, ...]
    alone: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Flow:
    """One edge that was recorded, and what the policies say of it."""

    link: Link
    ruling: Ruling
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Explanation:
    """All rules, all edges, and how complete the capture is for each workload."""

    rules: tuple[RuleEvidence, ...]
    flows: tuple[Flow, ...]
    completeness: tuple[Completeness, ...]
    hours: int

    @property
    def denied(self) -> tuple[Flow, ...]:
        """The edges that were delivered and that the policies would not let pass."""
        return tuple(
            each for each in self.flows if each.link.outcome == "delivered" and not each.ruling.allowed
        )


def explain(known: Recorded, policies: InForce) -> Explanation:
    """Explain policies by a capture, and a capture by policies: every edge judged, every entry with what it matches."""
    witness = Witness(known.edges)
    rows = list(range(known.edges.edges.num_rows))
    batch, judgement = judge_rows(known, policies, rows)
    ruled = rulings(known, policies, rows)
    delivered = {row for row in rows if known.links[row].outcome == "delivered"}
    noise = {row for each in known.noise for row in each.rows}
    return Explanation(
        rules=_rules(judgement, batch.rows, delivered, witness),
        flows=tuple(Flow(known.links[row], ruled[row], witness.of([row])) for row in rows),
        completeness=completeness(known, sorted(delivered - noise)),
        hours=witness.hours,
    )


def _rules(
    judgement: Judgement, rows: tuple[int, ...], delivered: set[int], witness: Witness
) -> tuple[RuleEvidence, ...]:
    matched: dict[int, set[int]] = defaultdict(set)
    alone: dict[int, set[int]] = defaultdict(set)
    for side in (judgement.egress, judgement.ingress):
        entries = side.subjects.rows.entry[side.pair_row]
        by_question: dict[int, set[int]] = defaultdict(set)
        for question, entry in zip(side.pair_question.tolist(), entries.tolist(), strict=True):
            by_question[question].add(entry)
        for place, question in enumerate(np.asarray(side.question).tolist()):
            found = by_question.get(question, set())
            if rows[place] not in delivered:
                continue
            for entry in found:
                matched[entry].add(rows[place])
            if len(found) == 1 and side.outcome[question] == Outcome.ALLOWED:
                alone[next(iter(found))].add(rows[place])
    made = [
        RuleEvidence(
            policy=entry.origin.policy,
            path=entry.origin.path,
            denies=entry.denies,
            closes=entry.peers == () and not entry.denies,
            rows=tuple(sorted(matched[place])),
            alone=len(alone[place]),
            evidence=witness.of(sorted(matched[place])),
        )
        for place, entry in enumerate(judgement.index.entries)
        if entry.origin.path
    ]
    return tuple(sorted(made, key=lambda each: (each.policy, _place(each.path))))


def _place(path: str) -> tuple[str, int]:
    head, _, number = path.rstrip("]").rpartition("[")
    return head, int(number) if number.isdigit() else 0
