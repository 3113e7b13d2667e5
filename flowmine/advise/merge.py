"""Merge a recommendation into policies that people wrote: only what is missing of it, as the engine judges.

What people wrote is never changed and never widened: rules are added beside theirs, and policies are one union. A deny
rule of theirs wins; where it contradicts what was delivered, that is told.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from flowmine.advise.additions import Extension, Lines, closing, extended, one_way, remainder, section_of
from flowmine.advise.answers import Answers, Stand, stands
from flowmine.advise.recommend import ProofError, Recommendation
from flowmine.advise.trim import Part, joined, parts, with_names
from flowmine.advise.wishes import Pod, Subject, Wish, selected, wishes
from flowmine.edges import Edges
from flowmine.engine.config import Config
from flowmine.engine.policyset import PolicySet
from flowmine.peers import Kind as PeerKind
from flowmine.policy.merge import Folder
from flowmine.policy.model import DefaultDeny, Direction, Entry, Kind, Operator, Policy, Rule, Selector
from flowmine.policy.selector import split_key
from flowmine.synth.assemble import CLOSED, Proposal
from flowmine.synth.draft import Reason
from flowmine.synth.framing import Scene
from flowmine.synth.traffic import links
from flowmine.synth.visibility import NAME as VISIBILITY

__all__ = ["Contradiction", "Merge", "merge"]

_NAMED = 5
_OPEN = DefaultDeny(ingress=False, egress=False)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A deny rule (its place) against connections that were delivered: their ends, and rows of EDGES."""

    where: str
    ends: tuple[str, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Merge:
    """What is to be added: to rules that are there, and as policies of their own.

    ``covered`` of the ``wished`` entries were there already; ``judged`` questions pass with everything added. ``notes`` are
    sentences for people.
    """

    extensions: tuple[Extension, ...]
    proposals: tuple[Proposal, ...]
    contradictions: tuple[Contradiction, ...]
    wished: int
    covered: int
    judged: int
    notes: tuple[str, ...]


def merge(found: Recommendation, edges: Edges, folder: Folder, cluster: str) -> Merge:
    """Return what is missing of a recommendation, for one cluster, in the folder that holds its policies.

    Raise ProofError where the policies with everything added would deny what they let through before, or what the
    recommendation is meant to let through.
    """
    return _Merger(found, edges, folder, cluster).merge()


class _Merger:
    """One merge; its steps in the order of `merge`."""

    def __init__(self, found: Recommendation, edges: Edges, folder: Folder, cluster: str) -> None:
        made = found.synthesis
        self._scene, self._edges, self._folder, self._cluster = made.scene, edges, folder, cluster
        self._proposals = [each for each in made.proposals if each.cluster == cluster]
        self._pods = [
            Pod(party.id, party.namespace, party.labels)
            for party in made.scene.universe.pods()
            if party.cluster == cluster and party.kind is PeerKind.POD
        ]
        self._wishes = wishes(found, edges, self._proposals, self._pods)
        self._now = [policy for policy in folder.policies if not _only_shows(policy)]
        self._before = self._ask(self._now)
        self._stands = stands(self._set(self._now), self._pods)
        self._notes = [
            f"{each.document.where}: it lets everything through that it shows, so it counts for nothing here; delete it"
            for each in folder.written
            if _only_shows(each.policy)
        ]

    def merge(self) -> Merge:
        broken = self._broken()
        open_wishes = [wish for wish in self._wishes.items if wish.subject not in broken]
        missing = self._missing(open_wishes)
        entries = self._entries(missing)
        extensions, proposals = self._placed(self._lines(entries, broken))
        judged = self._check(
            open_wishes, extensions, proposals, {wish for wish in missing if not entries[wish]}
        )
        return Merge(
            extensions,
            proposals,
            tuple(self._contradictions()),
            wished=len(self._wishes.items),
            covered=len(open_wishes) - sum(bool(some) for some in entries.values()),
            judged=judged,
            notes=tuple(self._notes),
        )

    def _set(self, policies: Iterable[Policy]) -> PolicySet:
        config = Config(cluster_name=self._cluster or "default", ipv6=self._wishes.dual_stack)
        return PolicySet.from_policies(policies, self._folder.groups, config)

    def _ask(self, policies: Iterable[Policy]) -> Answers:
        return Answers(self._set(policies), self._wishes.queries)

    def _rule(self, subject: Subject) -> Rule:
        return self._proposals[subject.proposal].policy.rules[subject.rule]

    def _namespace(self, subject: Subject) -> str:
        return self._proposals[subject.proposal].policy.namespace or "default"

    def _broken(self) -> set[Subject]:
        """Return the subjects whose policies Cilium cannot resolve as they are: nothing is added to them."""
        found = set()
        for subject in self._wishes.subjects:
            error = next((each for pod in subject.pods if (each := self._stand(pod).error)), "")
            if error:
                found.add(subject)
                name = self._proposals[subject.proposal].policy.name
                self._notes.append(
                    f"{self._namespace(subject)}/{name}: left alone, for Cilium cannot resolve its policies: {error}"
                )
        return found

    def _stand(self, pod: int) -> Stand:
        return self._stands.get(pod, Stand(frozenset()))

    def _missing(self, every: Sequence[Wish]) -> dict[Wish, list[int]]:
        """Return the wishes that are not fulfilled, with the questions that do not pass.

        They are judged with every direction closed that the recommendation closes, for only then do rules count that close
        nothing themselves.
        """
        closers = [
            Policy(
                Kind.CNP,
                f"closing-{place}",
                namespace=self._namespace(each),
                rules=(closing(self._rule(each)),),
            )
            for place, each in enumerate(self._wishes.subjects)
        ]
        answers = self._ask([*self._now, *closers])
        self._closed = answers
        found = _unfulfilled(every, answers)
        unseen = {wish for wish in every if not wish.asks and not self._is_written(wish)}
        return {wish: asks for wish, asks in found.items() if asks or wish in unseen}

    def _is_written(self, wish: Wish) -> bool:
        """Tell whether exactly this entry is there for exactly these pods."""
        return any(
            wish.entry in self._folder.written[place].policy.rules[rule].section(section_of(wish.direction))
            for place, rule in self._homes(wish.subject)
        )

    def _entries(self, missing: Mapping[Wish, list[int]]) -> dict[Wish, tuple[Entry, ...]]:
        """Return, for each wish that is not fulfilled, the entries to add; none where only unseen ports are missing
        beside names that a person chose."""
        cut = {wish: parts(wish.entry) for wish in missing}
        policies = [
            Policy(
                Kind.CNP,
                f"part-{place}",
                namespace=self._namespace(wish.subject),
                rules=(
                    one_way(self._rule(wish.subject), wish.direction, (part.entry for part in cut[wish])),
                ),
            )
            for place, wish in enumerate(missing)
        ]
        answers = self._ask(policies)
        return {
            wish: self._needed(wish, asks, cut[wish], answers, policy)
            for (wish, asks), policy in zip(missing.items(), policies, strict=True)
        }

    def _needed(
        self, wish: Wish, asks: Sequence[int], cut: Sequence[Part], answers: Answers, policy: Policy
    ) -> tuple[Entry, ...]:
        paths = {f"{policy.path(0)}.{wish.direction}[{place}]": part for place, part in enumerate(cut)}
        kept: dict[Part, None] = {}
        for ask in asks:
            matching = (
                paths[path] for ref, path in answers.matching(ask, wish.direction) if ref == policy.ref
            )
            part = next(matching, None)
            if part is None:
                return (wish.entry,)
            kept[part] = None
        entry = wish.entry
        if self._has_chosen_names(wish):
            names = {name for ask in asks if (name := self._wishes.questions[ask].name)}
            if not names and not any(self._wishes.rows.get(row) in asks for row in wish.reason.rows):
                return ()
            entry = with_names(entry, names) if names else entry
            again = {(part.peer, part.port): part for part in parts(entry)}
            kept = dict.fromkeys(again[part.peer, part.port] for part in kept)
        return joined(entry, kept) if kept else (entry,)

    def _has_chosen_names(self, wish: Wish) -> bool:
        """Tell whether a person's rules let the subject ask for some names only."""
        return any(
            self._closed.is_looked_into(ask, wish.direction) and not self._closed.passes(ask, wish.direction)
            for ask in wish.probes
        )

    def _lines(
        self, entries: Mapping[Wish, tuple[Entry, ...]], broken: set[Subject]
    ) -> dict[tuple[Subject, Direction], Lines]:
        """Return what is to be added for each subject and direction; an empty entry where nothing else closes it."""
        found: dict[tuple[Subject, Direction], Lines] = defaultdict(tuple)
        for wish, some in entries.items():
            found[wish.subject, wish.direction] += tuple((entry, wish.reason) for entry in some)
        closed = {(subject.pods, way) for (subject, way), lines in found.items() if lines}
        for subject in self._wishes.subjects:
            for way in Direction:
                if subject in broken or not self._must_close(subject, way) or (subject.pods, way) in closed:
                    continue
                closed.add((subject.pods, way))
                found[subject, way] = ((CLOSED, self._reason_to_close(subject, way)),)
        return {key: lines for key, lines in found.items() if lines}

    def _must_close(self, subject: Subject, direction: Direction) -> bool:
        entries = self._rule(subject).section(section_of(direction))
        return bool(entries) and any(direction not in self._stand(pod).closed for pod in subject.pods)

    def _reason_to_close(self, subject: Subject, direction: Direction) -> Reason:
        reasons = self._proposals[subject.proposal].reasons
        if self._rule(subject).section(section_of(direction)) == (CLOSED,):
            return reasons[subject.rule, direction, 0]
        return Reason(about="closes the direction: other policies let through what was seen", closes=True)

    def _homes(self, subject: Subject) -> Iterator[tuple[int, int]]:
        """Yield the rules in the folder (policy and rule, by place) that select the subject's pods and no others seen."""
        for place, written in enumerate(self._folder.written):
            if written.policy.kind is not Kind.CNP or _only_shows(written.policy):
                continue
            namespace = written.policy.namespace or "default"
            for number, rule in enumerate(written.policy.rules):
                chosen = rule.endpoint_selector
                if chosen is None or namespace != self._namespace(subject) or not _is_specific(chosen):
                    continue
                if subject.pods and selected(chosen, namespace, self._pods) == subject.pods:
                    yield place, number

    def _home(self, subject: Subject, direction: Direction) -> tuple[int, int] | None:
        """Return the rule to extend: one with that direction first, then one of the proposal's own name."""
        name = self._proposals[subject.proposal].policy.name

        def rank(home: tuple[int, int]) -> tuple[bool, bool]:
            policy = self._folder.written[home[0]].policy
            return (not policy.rules[home[1]].section(section_of(direction)), policy.name != name)

        for place, number in sorted(self._homes(subject), key=rank):
            written = self._folder.written[place]
            asked = written.policy.rules[number].enable_default_deny
            opens = asked is not None and getattr(asked, direction.value) is False
            if not opens and self._folder.takes(written, number, direction):
                return place, number
        return None

    def _placed(
        self, lines: Mapping[tuple[Subject, Direction], Lines]
    ) -> tuple[tuple[Extension, ...], tuple[Proposal, ...]]:
        """Return the lines as extensions of rules that are there, and the rest as policies of their own."""
        extended: dict[tuple[int, int, Direction], Lines] = defaultdict(tuple)
        alone: dict[int, dict[tuple[int, Direction], Lines]] = defaultdict(dict)
        for (subject, way), some in lines.items():
            home = self._home(subject, way)
            if home is not None:
                extended[(*home, way)] += some
            else:
                alone[subject.proposal][subject.rule, way] = some
        extensions = (Extension(*key, some) for key, some in sorted(extended.items()))
        names = {each.ref for each in self._folder.policies} | set(self._folder.refused)
        proposals = []
        for place, rules in sorted(alone.items()):
            proposals.append(remainder(self._proposals[place], rules, names))
            names.add(proposals[-1].policy.ref)
        return tuple(extensions), tuple(proposals)

    def _check(
        self,
        every: Sequence[Wish],
        extensions: Iterable[Extension],
        proposals: Iterable[Proposal],
        given_up: set[Wish],
    ) -> int:
        """Judge everything again with what is added; return how many questions pass. Raise ProofError where one does not."""
        policies = list(self._folder.policies)
        for each in extensions:
            policies[each.written] = extended(policies[each.written], each)
        kept = [policy for policy in policies if not _only_shows(policy)]
        after = self._ask([*kept, *(each.policy for each in proposals)])
        wished = [wish for wish in every if wish not in given_up]
        asked = {(ask, wish.direction) for wish in wished for ask in wish.asks}
        unfulfilled = _unfulfilled(wished, after)
        gaps = {(ask, wish.direction) for wish, asks in unfulfilled.items() for ask in asks}
        for ask in self._wishes.rows.values():
            for way in Direction:
                if self._before.passes(ask, way) and not after.passes(ask, way):
                    gaps.add((ask, way))
        if gaps:
            raise ProofError(self._told(gaps))
        return len(asked)

    def _told(self, gaps: set[tuple[int, Direction]]) -> str:
        by_question = {ask: row for row, ask in self._wishes.rows.items()}
        rows = sorted({by_question[ask] for ask, _ in gaps if ask in by_question})
        told = "; ".join(_ends(self._edges, self._scene, rows[:_NAMED])) or "requests or names over them"
        return (
            f"nothing written: with the policies of {self._folder.root} the merged ones would deny traffic that they are "
            f"meant to allow ({len(gaps)} questions): {told}; write them beside (-o DIR) and compare by hand"
        )

    def _contradictions(self) -> Iterator[Contradiction]:
        """Yield the deny rules against edges that were delivered, with those edges."""
        denied: dict[str, list[int]] = defaultdict(list)
        for row, ask in self._wishes.rows.items():
            for way in Direction:
                if self._before.is_denied_by_rule(ask, way):
                    for denier in self._before.deniers(ask, way):
                        denied[denier].append(row)
        places = {each.policy.ref: each.document for each in self._folder.written}
        for denier, rows in sorted(denied.items()):
            ref, _, path = denier.rpartition(":")
            chosen = tuple(sorted(set(rows)))
            yield Contradiction(places[ref].at(path), tuple(_ends(self._edges, self._scene, chosen)), chosen)


def _unfulfilled(every: Iterable[Wish], answers: Answers) -> dict[Wish, list[int]]:
    """Return the questions of each wish that no rule lets pass; those that a deny rule decides cannot be helped.

    Where rules by name rest on the answers of a resolver, the DNS proxy must see them (SEMANTICS 34).
    """
    wished = list(every)
    learning = {
        wish.subject for wish in wished if any(not answers.passes(ask, wish.direction) for ask in wish.bare)
    }

    def is_open(wish: Wish, ask: int) -> bool:
        if answers.is_denied_by_rule(ask, wish.direction):
            return False
        unseen = wish.dns and wish.subject in learning and not answers.is_looked_into(ask, wish.direction)
        return unseen or not answers.passes(ask, wish.direction)

    return {wish: [ask for ask in wish.asks if is_open(wish, ask)] for wish in wished}


def _ends(edges: Edges, scene: Scene, rows: Sequence[int]) -> list[str]:
    """Return how people call some edges, each once."""
    table = edges.edges.take(pa.array(rows, pa.int64()))
    told = (
        f"{scene.title(link.source)} to {scene.title(link.target)} on {link.port}/{link.protocol}"
        for link in links(table, scene.universe, scene.workloads)
    )
    return list(dict.fromkeys(told))


def _only_shows(policy: Policy) -> bool:
    """Tell whether a policy is one of `flowmine visibility`, to be deleted once it has shown what it was for."""
    return policy.name == VISIBILITY and all(rule.enable_default_deny == _OPEN for rule in policy.rules)


def _is_specific(selector: Selector) -> bool:
    """Tell whether a selector names some label's value, of the pod's own: whoever wrote it meant one workload."""
    named = [key for key, _ in selector.match_labels]
    named += [each.key for each in selector.match_expressions if each.operator == Operator.IN]
    return any(
        source in ("any", "k8s") and not key.startswith("io.kubernetes.pod.namespace")
        for source, key in map(split_key, named)
    )
