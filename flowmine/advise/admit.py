"""The smallest change of the policies in force that admits what they dropped, chosen and proved by the engine.

Of the single changes that may be offered (`admitcandidates`, `admitnarrow`) the smallest is the one that opens its side
to the fewest connections beyond those asked for, counted over everybody seen; then one whose rule names its subject and
peers; then the one that adds the fewest lines; an existing policy before a new one. Where both sides deny, or a deny
rule stands before a missing allow, one change follows the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from flowmine.advise.admitcandidates import Action, Candidate, candidates, created
from flowmine.advise.admitchanged import Changed
from flowmine.advise.admitentries import Need, is_expressible
from flowmine.advise.admitnarrow import narrowed
from flowmine.advise.admitops import applied
from flowmine.advise.admitreach import Also, Asked, Reach
from flowmine.advise.inforce import InForce, denying_entries, rule_key
from flowmine.advise.recorded import Recorded
from flowmine.advise.standpoint import Crowd, Standpoint
from flowmine.engine.judgement import Judgement
from flowmine.engine.match import Bools
from flowmine.engine.requests import dns_passes, http_passes
from flowmine.engine.verdict import Outcome, SideJudgement
from flowmine.policy.model import Direction, FqdnSelector, HttpRule
from flowmine.policy.yamlwrite import write_document
from flowmine.synth.http import http_rules
from flowmine.synth.options import Options
from flowmine.synth.paths import Request
from flowmine.synth.traffic import Link

__all__ = ["Admission", "Advisor"]

_ROUNDS = 8
_ORDER = (Direction.EGRESS, Direction.INGRESS)

Manifests = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Admission:
    """A change: its steps, one policy each, and the changed manifests by `Kind/namespace/name`.

    ``also`` is all that it admits beyond what was asked; ``opens`` counts what the changed sides let pass beyond it,
    whatever the other side says; ``whole`` tells that all of it could be counted.
    """

    steps: tuple[Candidate, ...]
    manifests: Manifests
    also: tuple[Also, ...]
    opens: int
    whole: bool = True


@dataclass(frozen=True, slots=True)
class _Deny:
    """A side that deny entries (`policy:path`) hold closed."""

    direction: Direction
    entries: tuple[str, ...]


class Advisor:
    """Finds admissions, for one capture under the policies in force."""

    def __init__(self, known: Recorded, policies: InForce, people: Crowd, options: Options) -> None:
        """Take the capture, the policies, everybody over whom changes are counted, and what may be written."""
        self._known, self._policies, self._people, self._options = known, policies, people, options

    @cached_property
    def _start(self) -> Standpoint:
        return Standpoint(self._people, self._policies.policies)

    @cached_property
    def _used(self) -> tuple[tuple[str, int], ...]:
        """Every port that something was delivered on."""
        used = {(each.protocol, each.port) for each in self._known.links if each.outcome == "delivered"}
        return tuple(sorted((protocol, port) for protocol, port in used if protocol and port is not None))

    def admission(self, asked: Asked) -> Admission | None:
        """Return the smallest change that admits what is asked, proved by the engine; None where none offered does."""
        reach = Reach(self._known, self._people, asked, self._used)
        here, steps, opens = self._start, list[Candidate](), 0
        manifests = dict[str, Mapping[str, Any]](self._policies.manifests)
        done = set(Direction) - asked.sides
        for _ in range(_ROUNDS):
            lack = self._lacking(here, reach, asked, done)
            if lack is None:
                return self._proved(reach, asked, steps, manifests, opens) if steps else None
            best = self._smallest(here, manifests, reach, asked, lack)
            if best is None:
                return None
            opens += best[0]
            steps.append(best[1])
            manifests[best[1].ref] = applied(best[1].manifest, best[1].ops)
            if isinstance(lack, _Deny):
                changed = Changed(here, manifests, frozenset(each.ref for each in steps))
                here = Standpoint(self._people, changed.policies())
            else:
                done.add(lack.direction)
        return None

    def offered(self, asked: Asked) -> list[tuple[int, Candidate]]:
        """Return every change that would be offered for the first thing lacking, with what each opens beyond it."""
        reach = Reach(self._known, self._people, asked, self._used)
        lack = self._lacking(self._start, reach, asked, set(Direction) - asked.sides)
        return (
            [] if lack is None else self._counted(self._start, self._policies.manifests, reach, asked, lack)
        )

    def learns_names(self, links: Sequence[Link]) -> bool:
        """Tell whether lookups of the callers pass a DNS rule: only then does `toFQDNs` learn addresses (SEMANTICS 34)."""
        here = self._start
        callers = [self._people.place(self._known, link.source, link.target) for link in links]
        asking = {
            rule_key(entry)
            for entry in here.policies.index.entries
            if any(term.redirect and term.redirect.parser == "dns" for term in entry.ports)
        }
        selected = [here.governed.selected(rule) for rule in asking]
        return all(any(chosen[place] for chosen in selected) for place in callers)

    def _lacking(
        self, here: Standpoint, reach: Reach, asked: Asked, done: set[Direction]
    ) -> Need | _Deny | None:
        """Return the first thing that keeps what is asked out, of the sides not yet done; None where nothing does."""
        judgement = here.judge(reach.pairs)
        for direction in _ORDER:
            if direction in done:
                continue
            side = judgement.egress if direction is Direction.EGRESS else judgement.ingress
            outcome = side.outcome[side.question].reshape(len(asked.links), -1)
            if (outcome == Outcome.DENY_RULE).any():
                return _Deny(direction, _deniers(judgement, side))
            denied = (outcome == Outcome.DENIED) | ~_requests_pass(judgement, side).reshape(outcome.shape)
            if denied.any():
                wrong = denied.any(axis=1)
                links = tuple(link for link, out in zip(asked.links, wrong, strict=True) if out)
                return Need(direction, links, *self._filters(asked))
        return None

    def _filters(self, asked: Asked) -> tuple[tuple[HttpRule, ...] | None, tuple[FqdnSelector, ...] | None]:
        """Return the requests and names asked for as the rules that admit just them."""
        names = tuple(FqdnSelector(match_name=name) for name in asked.names) or None
        if not asked.requests:
            return None, names
        seen = [Request(each.method, each.path or "/", 1) for each in asked.requests]
        return http_rules(seen, self._options.exact()).rules, names

    def _smallest(
        self, here: Standpoint, manifests: Manifests, reach: Reach, asked: Asked, lack: Need | _Deny
    ) -> tuple[int, Candidate] | None:
        """Return the smallest candidate and what it opens beyond what was asked."""
        counted = self._counted(here, manifests, reach, asked, lack)
        return min(counted, key=lambda each: _rank(*each), default=None)

    def _counted(
        self, here: Standpoint, manifests: Manifests, reach: Reach, asked: Asked, lack: Need | _Deny
    ) -> list[tuple[int, Candidate]]:
        if isinstance(lack, _Deny):
            offered = [
                each for entry in lack.entries for each in narrowed(here, manifests, lack.direction, entry)
            ]
        elif not is_expressible(lack) or (asked.requests and not lack.http):
            return []
        else:
            offered = list(self._additions(here, manifests, lack))
        counts = ((reach.opens(here, manifests, each), each) for each in offered)
        return [(count, each) for count, each in counts if count is not None]

    def _additions(self, here: Standpoint, manifests: Manifests, need: Need) -> Iterator[Candidate]:
        """Yield what may be added; nothing that closes a direction for somebody who had it open."""
        for each in candidates(self._known, here, manifests, need, self._options):
            selected = np.flatnonzero(here.subjects(each.subject)).tolist()
            closing = any(entry.default_deny for entry in each.adds)
            if not closing or all(here.closed(place, need.direction) for place in selected):
                yield each
        made = created(self._known, here, need, self._options)
        if made is not None:
            yield made

    def _proved(
        self, reach: Reach, asked: Asked, steps: Sequence[Candidate], manifests: Manifests, opens: int
    ) -> Admission | None:
        """Return the change if the engine, on the manifests themselves, admits all that is asked and denies nothing new."""
        after = Changed(self._start, manifests, frozenset(each.ref for each in steps))
        if not after.is_accepted() or not after.passes(reach.pairs, asked.side).all():
            return None
        found = reach.also(self._start, after, steps)
        if found is None:
            return None
        changed = {each.ref: manifests[each.ref] for each in steps}
        return Admission(tuple(steps), changed, tuple(sorted(found[0])), opens, found[1])


def _rank(opens: int, change: Candidate) -> tuple[int, bool, int, bool, str, str, str]:
    new = change.action is Action.CREATE
    shown = write_document({"it": change.shown}, {})
    lines = len(write_document(change.manifest, {}).splitlines()) if new else len(shown.splitlines())
    return (opens, change.broad and not new, lines, new, change.ref, change.place, shown)


def _deniers(judgement: Judgement, side: SideJudgement) -> tuple[str, ...]:
    denied = side.outcome[side.question] == Outcome.DENY_RULE
    deciders = judgement.deciders(side, paths=True).to_pylist()
    named = {one for by, wrong in zip(deciders, denied, strict=True) if wrong for one in by or ()}
    return tuple(sorted(named & denying_entries(judgement.index)))


def _requests_pass(judgement: Judgement, side: SideJudgement) -> Bools:
    """Tell of each question whether this side's proxy lets pass what is asked over it."""
    passes = http_passes(judgement.index, side, judgement.queries)
    if side.direction is Direction.EGRESS:
        passes = passes & dns_passes(judgement.index, side, judgement.queries)
    return passes
