"""HTTP requests and DNS queries over connections that the ports admit: do the rules of the proxies let them pass."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from flowmine.engine.entries import PortTerm, Protocols
from flowmine.engine.index import Index, Ints
from flowmine.engine.l7 import admits, names
from flowmine.engine.match import Bools
from flowmine.engine.queries import Queries
from flowmine.engine.verdict import Outcome, SideJudgement

__all__ = ["dns_passes", "http_passes", "parsers", "redirects"]


def redirects(side: SideJudgement) -> Bools:
    """Tell by question whether an allowed connection is redirected to a proxy."""
    found = np.zeros(len(side.outcome), np.bool_)
    found[side.pair_question[_redirecting(side)]] = True
    return found


def parsers(index: Index, side: SideJudgement) -> list[str]:
    """Return, by question, the parser of the proxy that the connection is redirected to; empty where there is none."""
    found = [""] * len(side.outcome)
    pairs = _redirecting(side)
    rows = side.subjects.source[side.pair_row[pairs]]
    for question, row in zip(side.pair_question[pairs].tolist(), rows.tolist(), strict=True):
        redirect = index.terms[row].redirect
        found[question] = redirect.parser if redirect else ""
    return found


def _redirecting(side: SideJudgement) -> Ints:
    allowed = side.outcome[side.pair_question] == Outcome.ALLOWED
    return np.nonzero(side.wins & allowed & (side.subjects.rows.precedence[side.pair_row] > 0))[0]


def http_passes(index: Index, side: SideJudgement, queries: Queries) -> Bools:
    """Tell for each query with a request whether this side's proxy, where there is one, lets it pass.

    It passes where some matching allow entry has no http rules (entries without ports and ranges count) or one of its
    rules admits it, and wherever nothing closes the direction (SEMANTICS, step 5).
    """

    def admitted(term: PortTerm, request: int) -> bool:
        rules = term.redirect.http if term.redirect else None
        return rules is None or any(admits(rule, queries.requests[request]) for rule in rules)

    return _passes(index, side, queries.request, np.ones(len(side.subjects.rows), np.bool_), admitted)


def dns_passes(index: Index, side: SideJudgement, queries: Queries) -> Bools:
    """Tell for each query with a DNS name whether the DNS proxy, where there is one, lets it pass.

    Only entries with exactly that port and protocol count: entries without ports and ranges do not widen (SEMANTICS,
    step 6). Connections that are not redirected to the DNS proxy are not looked into.
    """

    def named(term: PortTerm, name: int) -> bool:
        rules = term.redirect.dns if term.redirect else None
        return rules is None or any(names(rule, queries.names[name]) for rule in rules)

    rows = side.subjects.rows
    exact = (rows.low == rows.high) & (rows.protocols != Protocols.ALL)
    looked_into = np.array([parser == "dns" for parser in parsers(index, side)], np.bool_)
    return _passes(index, side, queries.name, exact, named) | ~looked_into[side.question]


def _passes(
    index: Index, side: SideJudgement, wanted: Ints, counts: Bools, admitted: Callable[[PortTerm, int], bool]
) -> Bools:
    """Tell for each query whether some counting row of its question admits what it wants (-1: nothing)."""
    closed = np.array([each.closed for each in side.subjects.classes] + [False], np.bool_)
    judged = closed[side.subject_class] & (side.outcome == Outcome.ALLOWED)
    asking = np.nonzero((wanted >= 0) & judged[side.question])[0]
    kept = counts[side.pair_row]
    question, source = side.pair_question[kept], side.subjects.source[side.pair_row[kept]]
    asked, place = np.unique(np.stack([side.question[asking], wanted[asking]]), axis=1, return_inverse=True)
    starts, stops = (np.searchsorted(question, asked[0], each) for each in ("left", "right"))
    decide = lru_cache(maxsize=None)(lambda row, value: admitted(index.terms[row], value))
    answers = [
        any(decide(row, value) for row in source[start:stop].tolist())
        for start, stop, value in zip(starts, stops, asked[1].tolist(), strict=True)
    ]
    passes = np.ones(len(wanted), np.bool_)
    passes[asking] = np.array(answers, np.bool_)[place]
    return passes
