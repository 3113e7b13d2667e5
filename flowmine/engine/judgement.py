"""Both sides of a batch of connections together: the overall verdict, the rules behind it, and the table of answers."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from flowmine import schema
from flowmine.engine.index import Index, Ints
from flowmine.engine.match import Bools
from flowmine.engine.queries import Queries
from flowmine.engine.requests import dns_passes, http_passes, redirects
from flowmine.engine.verdict import Outcome, SideJudgement, Universe, judge_side
from flowmine.policy.model import Direction

__all__ = ["Judgement", "judge"]

_LABELS = pa.array([each.label for each in Outcome])


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the engine says of a batch: the two sides, and by query whether connection, request and name pass."""

    index: Index
    queries: Queries
    egress: SideJudgement
    ingress: SideJudgement
    allowed: Bools
    http_allowed: Bools
    dns_allowed: Bools

    def table(self) -> pa.Table:
        """Return the answers in the columns of `schema.VERDICTS`, a row a query."""
        columns = {
            "egress": _outcomes(self.egress),
            "ingress": _outcomes(self.ingress),
            "verdict": pa.array(np.where(self.allowed, "allowed", "denied")),
            "http_allowed": pa.array(self.http_allowed, mask=self.queries.request < 0),
            "dns_allowed": pa.array(self.dns_allowed, mask=self.queries.name < 0),
            "egress_by": self.deciders(self.egress, paths=False),
            "ingress_by": self.deciders(self.ingress, paths=False),
            "egress_l7": pa.array(redirects(self.egress)[self.egress.question]),
            "ingress_l7": pa.array(redirects(self.ingress)[self.ingress.question]),
        }
        return pa.table(columns, schema=schema.VERDICTS)

    def deciders(self, side: SideJudgement, paths: bool) -> pa.Array:
        """Return for each query the policies that decided a side, sorted; with `paths` the entries inside them."""
        lists, number = self.decided(side, paths)
        return pa.array(lists, pa.list_(pa.string())).take(pa.array(number[side.question]))

    def decided(self, side: SideJudgement, paths: bool) -> tuple[tuple[tuple[str, ...], ...], Ints]:
        """Return the distinct lists of what decided a side (as `deciders` has them), and by question which of them did."""
        names, name_of = self._names(paths)
        won = side.wins & np.isin(side.outcome[side.pair_question], (Outcome.ALLOWED, Outcome.DENY_RULE))
        pairs = side.pair_question[won] * len(names) + name_of[side.subjects.rows.entry[side.pair_row[won]]]
        question, name = np.divmod(np.unique(pairs), max(len(names), 1))
        ends = np.searchsorted(question, np.arange(len(side.outcome) + 1)) * name.itemsize
        held, known = name.tobytes(), {b"": 0}
        numbers = (known.setdefault(held[start:stop], len(known)) for start, stop in pairwise(ends.tolist()))
        number = np.fromiter(numbers, np.int64, len(side.outcome))
        lists = (np.frombuffer(each, name.dtype).tolist() for each in known)
        return tuple(tuple(names[place] for place in each) for each in lists), number

    def _names(self, paths: bool) -> tuple[list[str], Ints]:
        """Return the distinct names of entries, sorted, and each entry's place among them."""
        texts = [str(each.origin) if paths else each.origin.policy for each in self.index.entries]
        names = sorted(set(texts))
        place = {name: number for number, name in enumerate(names)}
        return names, np.array([place[text] for text in texts], np.int64)


def judge(universe: Universe, queries: Queries) -> Judgement:
    """Judge a batch of connections whose parties are those that the universe was matched against."""
    egress = judge_side(universe, queries, Direction.EGRESS)
    ingress = judge_side(universe, queries, Direction.INGRESS)
    allowed = _passes(egress) & _passes(ingress)
    index = universe.index
    http = allowed & http_passes(index, egress, queries) & http_passes(index, ingress, queries)
    dns = allowed & dns_passes(index, egress, queries)
    return Judgement(index, queries, egress, ingress, allowed, http, dns)


def _passes(side: SideJudgement) -> Bools:
    passing = [each.value for each in Outcome if each.passes]
    return np.isin(side.outcome, passing)[side.question]


def _outcomes(side: SideJudgement) -> pa.Array:
    return _LABELS.take(pa.array(side.outcome)).take(pa.array(side.question))
