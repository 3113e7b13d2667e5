"""Why a connection is allowed or denied: the engine's own decision, walked through rule by rule and label by label.

Outcomes and matches are the engine's; the checks say, in the policy's words, what each one came down to.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import numpy as np

from flowmine.engine.checks import peer_traces, port_check, request_checks, subject_checks
from flowmine.engine.config import Enforcement
from flowmine.engine.entries import LoweredEntry, Protocols, Subject
from flowmine.engine.index import ALLOW_ANY, LOCALHOST
from flowmine.engine.judgement import Judgement
from flowmine.engine.l7 import Request
from flowmine.engine.party import Party, resolve
from flowmine.engine.policyset import PolicySet
from flowmine.engine.queries import queries_of
from flowmine.engine.reasons import Check, EntryTrace, RuleTrace, SideTrace, Trace
from flowmine.engine.requests import parsers
from flowmine.engine.subject import SubjectClass
from flowmine.engine.verdict import Outcome, SideJudgement

__all__ = ["describe", "trace"]


def trace(policies: PolicySet, query: Mapping[str, Any]) -> Trace:
    """Return the walk through the decision on one query, in the form of `PolicySet.verdicts`.

    Raise InputError where the query has another form.
    """
    judgement = policies.judge(queries_of([query]))
    queries = judgement.queries
    answer = judgement.table().to_pylist()[0]
    source, destination = (queries.parties[int(end[0])] for end in (queries.source, queries.destination))
    return Trace(
        source=describe(source),
        destination=describe(destination),
        port=f"{int(queries.port[0])}/{Protocols(int(queries.protocol[0])).name}",
        egress=_Walk(judgement, judgement.egress, source, destination).side(),
        ingress=_Walk(judgement, judgement.ingress, destination, source).side(),
        verdict=answer["verdict"],
        http_allowed=answer["http_allowed"],
        dns_allowed=answer["dns_allowed"],
    )


def describe(party: Party) -> str:
    """Return a party in a few words: its labels but those copied from its namespace, its address, its names."""
    shown = ",".join(label for label in party.labels if ".namespace.labels." not in label)
    return " ".join([shown or "(no labels)", *([party.ip] if party.ip else []), *party.names])


class _Walk:
    """The walk through one side of one connection."""

    def __init__(self, judgement: Judgement, side: SideJudgement, subject: Party, peer: Party) -> None:
        self._index, self._side = judgement.index, side
        self._queries = judgement.queries
        self._subject, self._party = resolve(subject, self._index.config), subject
        self._peer = resolve(peer, self._index.config)
        question = int(side.question[0])
        self._class = (*side.subjects.classes, SubjectClass((), False))[int(side.subject_class[question])]
        named = [row for row in self._class.rows if row >= len(self._index.rows)]
        self._named = {int(side.subjects.source[row]): int(side.subjects.rows.low[row]) for row in named}
        self._outcome = Outcome(int(side.outcome[question]))
        entries = side.subjects.rows.entry[side.pair_row].tolist()
        self._matched = set(entries)
        decides = self._outcome in (Outcome.ALLOWED, Outcome.DENY_RULE)
        self._decided = {entry for entry, won in zip(entries, side.wins, strict=True) if won and decides}

    def side(self) -> SideTrace:
        """Return the side: its rules in the order of the set, and the reason."""
        rules = tuple(self._rules())
        own = [self._index.entries[number].origin for number in sorted(self._decided)]
        return SideTrace(
            self._side.direction,
            describe(self._party),
            self._outcome.label,
            self._reason(rules),
            rules,
            tuple(origin.policy for origin in own if not origin.path),
            parsers(self._index, self._side)[int(self._side.question[0])],
        )

    def _rules(self) -> list[RuleTrace]:
        mine = [
            (number, entry)
            for number, entry in enumerate(self._index.entries)
            if entry.direction is self._side.direction and entry.origin.path
        ]
        made = []
        for (policy, path, subject), run in groupby(mine, lambda each: _rule_of(each[1])):
            entries = list(run)
            checks = subject_checks(subject, self._subject)
            judged = self._outcome not in (Outcome.NO_POLICY, Outcome.ERROR)
            selects = judged and all(check.holds for check in checks)
            traced = tuple(self._entry(*each) for each in entries) if selects else ()
            closes = any(entry.default_deny for _, entry in entries)
            made.append(RuleTrace(policy, path, checks, closes, traced))
        return made

    def _entry(self, number: int, entry: LoweredEntry) -> EntryTrace:
        request, name = int(self._queries.request[0]), int(self._queries.name[0])
        asked: Request | None = self._queries.requests[request] if request >= 0 else None
        return EntryTrace(
            path=entry.origin.path,
            denies=entry.denies,
            peers=None if entry.peers is None else peer_traces(entry.peers, self._peer),
            ports=tuple(self._ports(number, entry)),
            requests=tuple(request_checks(entry, asked, self._queries.names[name] if name >= 0 else None)),
            matches=number in self._matched,
            decides=number in self._decided,
        )

    def _ports(self, number: int, entry: LoweredEntry) -> Iterator[Check]:
        protocol = Protocols(int(self._queries.protocol[0]))
        first = int(np.searchsorted(self._index.rows.entry, number))
        for row, term in enumerate(entry.ports, first):
            yield port_check(term, self._named.get(row), protocol, int(self._queries.port[0]))

    def _reason(self, rules: tuple[RuleTrace, ...]) -> str:
        direction = self._side.direction
        selecting = [rule for rule in rules if rule.selects and self._subject.local]
        closing = sorted({rule.policy for rule in selecting if rule.closes})
        if self._outcome is Outcome.NO_POLICY:
            return self._open_because()
        if self._outcome is Outcome.ERROR:
            return f"Cilium cannot resolve the endpoint's policy: {self._class.error}"
        if self._outcome is Outcome.DENY_RULE:
            return "a deny rule matches, and deny beats every allow"
        if self._outcome is Outcome.ALLOWED:
            return self._allowed_because()
        if closing:
            return f"{', '.join(closing)} closed {direction} (default deny) and no rule allows this"
        if self._subject.init:
            return "an endpoint still being set up (reserved:init) is closed, and no rule allows this"
        return "enforcement is `always`, and no rule allows this"

    def _open_because(self) -> str:
        if self._index.config.enforcement is Enforcement.NEVER:
            return "enforcement is `never`"
        if self._subject.host and not self._index.config.host_firewall:
            return "the host firewall is off"
        if not self._subject.local:
            return "this cluster enforces no policy there"
        return f"no rule with {self._side.direction} entries selects it, so {self._side.direction} is open"

    def _allowed_because(self) -> str:
        names = {self._index.entries[number].origin.policy for number in self._decided}
        if names == {LOCALHOST}:
            return "the local host may always reach its own pods"
        if names == {ALLOW_ANY[self._side.direction]}:
            return f"nothing that selects it closes {self._side.direction} (enableDefaultDeny is false)"
        return "an allow rule matches and no deny rule does"


def _rule_of(entry: LoweredEntry) -> tuple[str, str, Subject]:
    return entry.origin.policy, entry.origin.path.split(".")[0], entry.subject
