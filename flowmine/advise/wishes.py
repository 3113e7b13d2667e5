"""What each recommended rule is to let through, as questions to the engine: by them a rule is covered already, or missing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from itertools import product

from flowmine.advise.recommend import Recommendation
from flowmine.advise.replay import Asker, Question, replay
from flowmine.edges import Edges
from flowmine.engine.entries import protocols_of
from flowmine.engine.l7 import admits, names
from flowmine.engine.party import Party
from flowmine.engine.queries import NONE, Queries
from flowmine.labels import NAMESPACE_KEY, Label
from flowmine.policy.limits import dns_name
from flowmine.policy.model import Direction, Entry, FqdnSelector, Operator, Selector
from flowmine.policy.selector import ANY_SOURCE, split_key
from flowmine.synth.assemble import CLOSED, Proposal
from flowmine.synth.draft import Reason

__all__ = ["Pod", "Subject", "Wish", "Wishes", "selected", "wishes"]

UNWRITTEN_NAME = "a-name-that-no-policy-writes.invalid"
"""Where this may be asked for, any name may."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of the cluster: its endpoint's id, its namespace and its labels."""

    id: int
    namespace: str
    labels: tuple[Label, ...]

    @property
    def party(self) -> Party:
        """The pod as the engine knows it."""
        return Party(tuple(sorted(map(str, self.labels))))


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A rule of a proposal (both by place): whom it selects of those seen."""

    proposal: int
    rule: int
    pods: frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """A recommended entry and the questions (by place) that must pass at its side.

    ``probes`` ask its resolvers for a name that nobody wrote; ``bare`` are its questions without the names learned for the
    addresses. Both are for finding out, and need not pass.
    """

    subject: Subject
    direction: Direction
    place: int
    entry: Entry
    reason: Reason
    asks: tuple[int, ...]
    probes: tuple[int, ...] = ()
    bare: tuple[int, ...] = ()

    @property
    def dns(self) -> bool:
        """Whether it lets names be asked for, and learned from the answers."""
        return any(each.rules is not None and each.rules.dns for each in self.entry.to_ports or ())


@dataclass(frozen=True, slots=True)
class Wishes:
    """All wishes of some proposals; ``rows`` gives the question behind each edge (row of EDGES) that is to be admitted."""

    items: tuple[Wish, ...]
    subjects: tuple[Subject, ...]
    queries: Queries
    questions: tuple[Question, ...]
    rows: Mapping[int, int]
    dual_stack: bool


def selected(selector: Selector, namespace: str, pods: Iterable[Pod]) -> frozenset[int]:
    """Return the pods (ids) that a rule of a policy in a namespace selects; Cilium overwrites any namespace it names."""
    own = Selector(
        tuple(each for each in selector.match_labels if split_key(each[0])[1] != NAMESPACE_KEY),
        tuple(each for each in selector.match_expressions if split_key(each.key)[1] != NAMESPACE_KEY),
    )
    return frozenset(pod.id for pod in pods if pod.namespace == namespace and own.matches(pod.labels))


def wishes(found: Recommendation, edges: Edges, proposals: Sequence[Proposal], pods: Sequence[Pod]) -> Wishes:
    """Return what the proposals (of one cluster, whose pods are given) wish for."""
    return _Maker(found, edges, pods).make(proposals)


class _Maker:
    """Makes questions, each once."""

    def __init__(self, found: Recommendation, edges: Edges, pods: Sequence[Pod]) -> None:
        made = found.synthesis
        self._synthesis, self._pods = made, pods
        batch = replay(edges, sorted(made.admitted), made.names_of, requests=True)
        refused = edges.requests["denied"].to_pylist()
        self._by_row: dict[int, Question] = {}
        self._requests: dict[int, list[Question]] = defaultdict(list)
        self._refused: dict[int, set[str]] = defaultdict(set)
        for row, asked, question in zip(batch.rows, batch.asked, batch.questions, strict=True):
            if asked == NONE:
                self._by_row[row] = question
            elif refused[asked] and question.name:
                self._refused[row].add(question.name)
            elif not refused[asked] and question.request:
                self._requests[row].append(question)
        self._dual_stack = batch.dual_stack
        self._asker = Asker()
        self._places: dict[Question, int] = {}

    def make(self, proposals: Sequence[Proposal]) -> Wishes:
        subjects: list[Subject] = []
        items: list[Wish] = []
        for number, proposal in enumerate(proposals):
            for place, rule in enumerate(proposal.policy.rules):
                selector = rule.endpoint_selector or Selector()
                pods = selected(selector, proposal.policy.namespace or "default", self._pods)
                subjects.append(Subject(number, place, pods))
                items += self._wishes(subjects[-1], proposal)
        rows = {row: self._ask(question) for row, question in self._by_row.items()}
        return Wishes(
            tuple(items),
            tuple(subjects),
            self._asker.queries(),
            tuple(self._places),
            rows,
            self._dual_stack,
        )

    def _ask(self, question: Question) -> int:
        if question not in self._places:
            self._places[question] = self._asker.ask(question)
        return self._places[question]

    def _wishes(self, subject: Subject, proposal: Proposal) -> Iterator[Wish]:
        rule = proposal.policy.rules[subject.rule]
        for direction in Direction:
            entries = (rule.ingress if direction is Direction.INGRESS else rule.egress) or ()
            for place, entry in enumerate(entries):
                if entry != CLOSED:
                    reason = proposal.reasons[subject.rule, direction, place]
                    yield self._wish(subject, proposal, direction, place, entry, reason)

    def _wish(
        self,
        subject: Subject,
        proposal: Proposal,
        direction: Direction,
        place: int,
        entry: Entry,
        reason: Reason,
    ) -> Wish:
        connections = [self._by_row[row] for row in reason.rows if row in self._by_row]
        if not connections:
            own = next((pod.party for pod in self._pods if pod.id in subject.pods), Party())
            peers = _likely_peers(entry, proposal.policy.namespace or "default", proposal.cluster)
            connections = [
                Question(*((own, peer) if direction is Direction.EGRESS else (peer, own)), 0, 0)
                for peer in peers
            ]
        if reason.required or not reason.rows:
            ports = _ports(entry)
            more = [
                replace(each, protocol=protocol, port=port)
                for each in connections
                for protocol, port in ports
            ]
            connections = list(dict.fromkeys([*(each for each in connections if each.protocol), *more]))
        asks, probes = connections, []
        known = [rule for item in entry.to_ports or () if item.rules for rule in item.rules.dns or ()]
        if known:
            asked = self._names(subject, reason, known)
            asks = [*connections, *(replace(each, name=name) for each in connections for name in asked)]
            probes = [replace(each, name=UNWRITTEN_NAME) for each in connections]
        asks += self._http(entry, reason)
        bare = [replace(each, destination=replace(each.destination, names=())) for each in connections]
        return Wish(
            subject,
            direction,
            place,
            entry,
            reason,
            tuple(map(self._ask, asks)),
            tuple(map(self._ask, probes)),
            tuple(map(self._ask, bare if entry.fqdns else ())),
        )

    def _names(self, subject: Subject, reason: Reason, known: Sequence[FqdnSelector]) -> list[str]:
        """Return the names that the subject asked for, refused ones apart, as far as the rules hold them."""
        of, asked = self._synthesis.scene.workloads.of, self._synthesis.frame.asked
        places = {of[pod] for pod in subject.pods if pod in of}
        every = {name for place in places for name in asked.get(place, ())}
        every -= {name for row in reason.rows for name in self._refused.get(row, ())}
        written = (name for name in every if dns_name(name) is None)
        return sorted(name for name in written if any(names(each, name) for each in known))

    def _http(self, entry: Entry, reason: Reason) -> list[Question]:
        rules = [rule for item in entry.to_ports or () if item.rules for rule in item.rules.http or ()]
        return [
            question
            for row in (reason.rows if rules else ())
            for question in self._requests.get(row, ())
            if question.request and any(admits(rule, question.request) for rule in rules)
        ]


def _ports(entry: Entry) -> list[tuple[int, int]]:
    return [
        (int(protocols_of(item.protocol)), item.number or 0)
        for each in entry.to_ports or ()
        for item in each.ports
    ]


def _likely_peers(entry: Entry, namespace: str, cluster: str) -> Iterator[Party]:
    """Yield peers that an entry holds, made from its own words: for rules that rest on nothing seen."""
    for selector in entry.endpoints or ():
        for labels in _label_sets(selector):
            texts = {
                f"{'k8s' if source == ANY_SOURCE else source}:{key}={value}"
                for (source, key), value in labels
            }
            if not any(key == NAMESPACE_KEY for (_, key), _ in labels):
                texts.add(f"k8s:{NAMESPACE_KEY}={namespace}")
            yield Party(tuple(sorted(texts)))
    for entity in entry.entities or ():
        yield Party((f"reserved:{entity}",))
    for text in entry.cidr or ():
        yield Party(("reserved:world",), str(ip_network(text, strict=False).network_address))


def _label_sets(selector: Selector) -> Iterator[tuple[tuple[tuple[str, str], str], ...]]:
    options = [[(split_key(key), value)] for key, value in selector.match_labels]
    options += [
        [(split_key(each.key), value) for value in each.values]
        for each in selector.match_expressions
        if each.operator == Operator.IN
    ]
    return product(*options)
