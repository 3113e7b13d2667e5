"""Judge connections against a compiled policy set, all of them at once.

Each side is judged by itself: the source's egress and the destination's ingress. A side's distinct questions (what is
enforced there, who the peer is, protocol, port) are answered once each: the rows that can decide are laid out flat,
filtered by peer, protocol and port, and the highest precedence decides (SEMANTICS, "A verdict, per side").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from flowmine.engine.index import DENY, Index, Ints
from flowmine.engine.lists import Lists
from flowmine.engine.match import Bools, LabelTable, Peers, match_peers
from flowmine.engine.party import Identity, Party, resolve
from flowmine.engine.precedence import PLACES, Ranking
from flowmine.engine.queries import Queries
from flowmine.engine.subject import Subjects, match_subjects
from flowmine.labels import Label
from flowmine.policy.model import Direction

__all__ = ["Outcome", "SideJudgement", "Universe", "enforced", "judge_side", "match"]


class Outcome(IntEnum):
    """What one side says; the names in reports are `label`."""

    NO_POLICY = 0
    ALLOWED = 1
    DENIED = 2
    DENY_RULE = 3
    ERROR = 4

    @property
    def label(self) -> str:
        """The outcome's name in verdicts."""
        return self.name.lower().replace("_", "-")

    @property
    def passes(self) -> bool:
        """Whether the side lets the connection through."""
        return self in (Outcome.NO_POLICY, Outcome.ALLOWED)


@dataclass(frozen=True, slots=True)
class Universe:
    """A compiled policy set matched against parties: what is enforced at each, and which peers each rule means."""

    index: Index
    peers: Peers
    subjects: dict[Direction, Subjects]


def match(index: Index, parties: Sequence[Party]) -> Universe:
    """Match a compiled policy set against the parties of a batch. Raise InputError where an address is none."""
    known = _Known.of(index, parties)
    peers = match_peers(index, known.identities, known.table, known.label_sets)
    return Universe(index, peers, known.subjects(index, parties))


def enforced(index: Index, parties: Sequence[Party]) -> dict[Direction, Subjects]:
    """Return what a compiled policy set enforces at parties, by direction. Raise InputError where an address is none."""
    return _Known.of(index, parties).subjects(index, parties)


@dataclass(frozen=True, slots=True)
class _Known:
    """Parties as a policy set sees them: their identities, distinct label sets, and which of these each has."""

    identities: list[Identity]
    table: LabelTable
    label_sets: Ints

    @classmethod
    def of(cls, index: Index, parties: Sequence[Party]) -> "_Known":
        identities = [resolve(party, index.config) for party in parties]
        numbers: dict[tuple[Label, ...], int] = {}
        of_party = [numbers.setdefault(each.labels, len(numbers)) for each in identities]
        return cls(identities, LabelTable(list(numbers)), np.array(of_party, np.int64))

    def subjects(self, index: Index, parties: Sequence[Party]) -> dict[Direction, Subjects]:
        return match_subjects(index, parties, self.identities, self.table, self.label_sets)


@dataclass(frozen=True, slots=True)
class SideJudgement:
    """One side's answers, by distinct question.

    `question` is each query's question; `outcome` is by question. The pairs (`pair_question`, `pair_row`) are every
    row that matched, in order of question; `score` ranks them and `wins` marks those that decided.
    """

    direction: Direction
    subjects: Subjects
    question: Ints
    subject_class: Ints
    port: Ints
    outcome: Ints
    pair_question: Ints
    pair_row: Ints
    score: Ints
    wins: Bools


def judge_side(universe: Universe, queries: Queries, direction: Direction) -> SideJudgement:
    """Judge one side of every query."""
    subjects = universe.subjects[direction]
    ends = (queries.source, queries.destination)
    own, other = ends if direction is Direction.EGRESS else ends[::-1]
    peer_of = universe.peers.class_of_party
    asked = (subjects.class_of_party[own], peer_of[other], queries.protocol, queries.port)
    packed = ((asked[0] + 1) * (int(peer_of.max(initial=0)) + 1) + asked[1]) * (256 << 16)
    packed += (asked[2] << 16) + asked[3]
    _, first, question = np.unique(packed, return_index=True, return_inverse=True)
    subject, peer, protocol, port = (column[first] for column in asked)
    pair_question, pair_row = _pairs(universe, subjects, subject, peer, protocol, port)
    ranking = Ranking(universe.index, subjects, universe.peers)
    score = ranking.scores(pair_question, pair_row, port[pair_question], peer[pair_question])
    best = np.full(len(first), -1, np.int64)
    np.maximum.at(best, pair_question, score)
    outcome = _outcomes(subjects, subject, best)
    return SideJudgement(
        direction,
        subjects,
        question,
        subject,
        port,
        outcome,
        pair_question,
        pair_row,
        score,
        score == best[pair_question],
    )


def _outcomes(subjects: Subjects, subject: Ints, best: Ints) -> Ints:
    failed = np.array([bool(each.error) for each in subjects.classes] + [False], np.bool_)
    outcome = np.where(best < 0, Outcome.DENIED, Outcome.ALLOWED)
    outcome[best >= DENY * PLACES] = Outcome.DENY_RULE
    outcome[failed[subject]] = Outcome.ERROR
    outcome[subject < 0] = Outcome.NO_POLICY
    return outcome.astype(np.int64)


def _pairs(
    universe: Universe, subjects: Subjects, subject: Ints, peer: Ints, protocol: Ints, port: Ints
) -> tuple[Ints, Ints]:
    """Return every (question, row), by question, where the row is enforced at the question's side and matches it.

    Ports are far fewer than questions, so rows are filtered by them first, for each class of subjects.
    """
    rows, peers = subjects.rows, universe.peers
    asked, at = np.unique((subject << 24) + (protocol << 16) + port, return_inverse=True)
    on_port, of_asked = Lists.of([each.rows for each in subjects.classes]).select(
        asked >> 24,
        lambda question, row: (
            (rows.protocols[row] & (asked >> 16 & 255)[question] > 0)
            & (rows.low[row] <= (asked & 65535)[question])
            & ((asked & 65535)[question] <= rows.high[row])
        ),
    )
    lists = Lists.grouped(on_port, of_asked, len(asked))
    return lists.select(at, lambda question, row: peers.hold(rows.peers[row], peer[question]))
