"""Which of the matching rows decides: what Cilium's policy map, built from the same entries, would return.

Sources: Cilium `pkg/policy/mapstate.go` (precedence, longest prefix), `pkg/policy/l4.go` and `rule.go` (filters: entries
with the same selector, port and protocol are merged; on one port an entry for anybody covers its like for somebody).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from flowmine.engine.entries import Protocols
from flowmine.engine.index import DENY, Index, Ints
from flowmine.engine.match import Bools, Peers
from flowmine.engine.subject import Subjects

__all__ = ["PLACES", "Ranking"]

PLACES = 64
"""A score is precedence times this, plus how specific the row is."""


class Ranking:
    """Scores of matching rows: of the pairs of one question, those with the highest score decided."""

    def __init__(self, index: Index, subjects: Subjects, peers: Peers) -> None:
        self._index = index
        self._subjects = subjects
        self._peers = peers

    def scores(self, question: Ints, row: Ints, port: Ints, peer: Ints) -> Ints:
        """Return the score of each (question, row); `port` and `peer` are the questions', by pair.

        Of allows, redirects rank by priority and above plain ones; then the longest port prefix wins, then a named
        peer. Of denies the broadest is left, for it removes those that it covers. A covered row scores -1.
        """
        rows = self._subjects.rows
        prefix = _prefix(rows.protocols[row], rows.low[row], rows.high[row], port)
        named = rows.peers[row] >= 0
        precedence = rows.precedence[row]
        covered = np.zeros(len(row), np.bool_)
        if precedence.any() or (~named & (rows.low[row] > 0)).any():
            group = self._groups(question, row)
            precedence = self._merged(group, row, peer, precedence)
            covered = self._covered(group, row, named, precedence)
        specific = np.where(precedence == DENY, (24 - prefix) * 2 + ~named, prefix * 2 + named)
        return np.where(covered, -1, precedence * PLACES + specific)

    def _groups(self, question: Ints, row: Ints) -> Ints:
        """Number the pairs whose question and filter (port and protocol as written) are the same."""
        filters = self._index.filters[self._subjects.source[row]]
        packed = question * (int(self._index.filters.max(initial=0)) + 1) + filters
        numbers: Ints = np.unique(packed, return_inverse=True)[1]
        return numbers

    def _merged(self, group: Ints, row: Ints, peer: Ints, precedence: Ints) -> Ints:
        """Raise each row to the precedence of the rows that it is merged with: same filter, same selector."""
        highest, lowest = (np.full(int(group.max(initial=-1)) + 1, start) for start in (-1, DENY))
        np.maximum.at(highest, group, precedence)
        np.minimum.at(lowest, group, precedence)
        mixed = np.nonzero(highest[group] > lowest[group])[0]
        mixed = mixed[np.argsort(group[mixed], kind="stable")]
        raised = precedence.copy()
        merge = lru_cache(maxsize=None)(self._merge)
        for run in np.split(mixed, np.nonzero(np.diff(group[mixed]))[0] + 1):
            if len(run):
                raised[run] = merge(tuple(row[run].tolist()), int(peer[run[0]]))
        return raised

    def _merge(self, rows: Sequence[int], peer: int) -> list[int]:
        selectors = [self._selectors(row, peer) for row in rows]
        own = self._subjects.rows.precedence[list(rows)].tolist()
        return [
            max(own[other] for other, theirs in enumerate(selectors) if mine & theirs) for mine in selectors
        ]

    def _selectors(self, row: int, peer: int) -> set[int]:
        """Return the selectors by which a row matches a peer; -1 is anybody."""
        number = int(self._subjects.rows.peers[row])
        if number < 0:
            return {-1}
        return {atom for atom in self._index.peer_lists[number] if self._peers.selects(atom, peer)}

    def _covered(self, group: Ints, row: Ints, named: Bools, precedence: Ints) -> Bools:
        """Tell which rows a row for anybody on the same port makes redundant (Cilium `PerSelectorPolicy.covers`)."""
        rows = self._subjects.rows
        anybody, mode = (np.full(int(group.max(initial=-1)) + 1, -1) for _ in range(2))
        np.maximum.at(anybody, group[~named], precedence[~named])
        np.maximum.at(mode, group[~named], rows.authentication[row[~named]])
        over, own_mode = anybody[group], rows.authentication[row]
        like = ((precedence == 0) | (precedence == over)) & ((own_mode == 0) | (own_mode == mode[group]))
        redundant: Bools = (
            named & (rows.low[row] > 0) & ((over == DENY) | ((over >= 0) & (precedence < DENY) & like))
        )
        return redundant


def _prefix(protocols: Ints, low: Ints, high: Ints, port: Ints) -> Ints:
    """Return how many bits of protocol and port a row fixes, 0 to 24.

    A port range is a set of prefixes (`pkg/policy/portrange.go`); what counts is the one that holds the port.
    """
    free = np.zeros(len(port), np.int64)
    for bits in range(1, 17):
        start = port >> bits << bits
        free[(low <= start) & (start + (1 << bits) - 1 <= high)] = bits
    return np.where(protocols == Protocols.ALL, 0, 24 - free)
