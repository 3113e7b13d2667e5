"""Which authentication an allowed connection needs; it never changes the verdict (SEMANTICS 36).

A wide rule's authentication is inherited by narrower rules that name none (Cilium `mapstate.go`: authPreferredInsert,
and authOverride in lookup).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from flowmine.engine.precedence import PLACES
from flowmine.engine.verdict import Outcome, SideJudgement

__all__ = ["TYPES", "authentication_types"]

TYPES = (None, "spire", "test-always-fail")
"""What verdicts call a mode: `required` is `spire`, `disabled` is none."""


@dataclass(frozen=True, slots=True, order=True)
class _Key:
    """One key of the policy map that matches, in the order in which keys win: `mode` is 0 where none is named."""

    precedence: int
    prefix: int
    named: bool
    mode: int


def authentication_types(side: SideJudgement) -> list[str | None]:
    """Return, by question, the authentication that an allowed connection needs; None where it needs none."""
    found: list[str | None] = [None] * len(side.outcome)
    modes = side.subjects.rows.authentication[side.pair_row]
    for question in np.unique(side.pair_question[modes > 0]).tolist():
        if side.outcome[question] == Outcome.ALLOWED:
            start, stop = np.searchsorted(side.pair_question, [question, question + 1]).tolist()
            found[question] = TYPES[_type(list(_keys(side, range(start, stop))))]
    return found


def _keys(side: SideJudgement, pairs: Iterable[int]) -> Iterable[_Key]:
    rows = side.subjects.rows
    for pair in pairs:
        precedence, specific = divmod(int(side.score[pair]), PLACES)
        if precedence >= 0:
            row = side.pair_row[pair]
            yield _Key(precedence, specific // 2, bool(rows.peers[row] >= 0), int(rows.authentication[row]))


def _type(keys: list[_Key]) -> int:
    """Return the place in `TYPES` for the keys that match: the winner's own, else the most that it inherits."""
    ends = [_end([key for key in keys if key.named is named]) for named in (True, False)]
    known = sorted((end for end in ends if end is not None), reverse=True)
    (winner, mode), others = known[0], known[1:]
    kind = max(mode - 1, 0)
    explicit = any(key.mode for key in keys if _same(key, winner))
    if explicit or not others or others[0][0].precedence != winner.precedence:
        return kind
    return max(kind, others[0][1] - 1)


def _end(chain: list[_Key]) -> tuple[_Key, int] | None:
    """Return the key that wins among those of one identity, and its mode: its own, or the nearest broader key's."""
    if not chain:
        return None
    winner = max(chain)
    broader = [key for key in chain if key.mode and key.prefix < winner.prefix]
    own = [key for key in chain if key.mode and _same(key, winner)]
    candidates = own or [key for key in broader if key.prefix == max(each.prefix for each in broader)]
    return winner, max((key.mode for key in candidates), default=0)


def _same(key: _Key, other: _Key) -> bool:
    return (key.precedence, key.prefix, key.named) == (other.precedence, other.prefix, other.named)
