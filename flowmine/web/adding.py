"""Add connections to a draft: the smallest change where the draft denies them, rules of their own where nothing is closed."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

from flowmine.advise.admit import Advisor
from flowmine.advise.admitcandidates import Action
from flowmine.advise.admitentries import Home, Need, entries, entry_manifest, is_expressible
from flowmine.advise.admitreach import Asked
from flowmine.advise.drops import NO_DNS_RULE
from flowmine.advise.rulings import Ruling
from flowmine.advise.standpoint import crowd
from flowmine.engine.l7 import Request
from flowmine.engine.verdict import Outcome
from flowmine.policy.codec import to_dict
from flowmine.policy.model import Direction, Entry, Kind, Policy, Rule
from flowmine.ports import PortSet
from flowmine.report.policies import comment_on
from flowmine.synth.assemble import CLOSED, Proposal
from flowmine.synth.draft import Reason
from flowmine.synth.evidence import Witness
from flowmine.synth.lower import icmp_rules, port_rules
from flowmine.synth.naming import dns_name
from flowmine.synth.traffic import Spot
from flowmine.web.draft import Paper, key_of
from flowmine.web.judged import Court, Judged
from flowmine.web.scene import Scene

__all__ = ["Changed", "add", "called"]

_ORDER = (Direction.EGRESS, Direction.INGRESS)
_SHORT = {Kind.CNP: "cnp", Kind.CCNP: "ccnp", Kind.KNP: "netpol"}


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of it: the draft judged, what was done in sentences, and what could not be."""

    judged: Judged
    done: tuple[str, ...]
    problems: tuple[str, ...] = ()


def add(scene: Scene, court: Court, judged: Judged, places: Sequence[int]) -> Changed:
    """Add connections (places in the view), one after another."""
    done: list[str] = []
    problems: list[str] = []
    for place in places:
        one = _One(scene, court, place)
        judged, some, wrong = one.added(judged)
        done += some
        problems += wrong
    return Changed(judged, tuple(dict.fromkeys(done)), tuple(dict.fromkeys(problems)))


class _One:
    """One connection that is added."""

    def __init__(self, scene: Scene, court: Court, place: int) -> None:
        self._scene, self._court, self._place = scene, court, place
        self._rows = scene.rows[place]
        self._links = tuple(scene.known.links[row] for row in self._rows)
        self._name = scene.name(place)

    def added(self, judged: Judged) -> tuple[Judged, list[str], list[str]]:
        """Return the draft after it, what was done, and what stands in the way."""
        if not all(link.source.is_nameable and link.target.is_nameable for link in self._links):
            return (
                judged,
                [],
                [f"{self._name}: an end came without labels or address, so no rule can name it"],
            )
        done: list[str] = []
        if self._denied(judged):
            made = self._extended(judged)
        else:
            made = self._written(judged)
            if not made:
                return judged, [], [self._nothing(judged)]
        if made:
            judged = self._court.judge(judged.draft.with_papers(made[0], self._did), judged)
            done += made[1]
        if self._denied(judged):
            papers, said = self._admitted(judged)
            if not papers:
                return judged, done, [f"{self._name}: {said[0]}"]
            judged = self._court.judge(judged.draft.with_papers(papers, self._did), judged)
            done += said
        return judged, done, []

    @property
    def _did(self) -> str:
        return f"Add {self._name}"

    def _rulings(self, judged: Judged) -> list[Ruling]:
        return [judged.rulings[row] for row in self._rows]

    def _denied(self, judged: Judged) -> bool:
        """Tell whether the draft keeps any of it out, or a request on it."""
        return not all(ruling.allowed for ruling in self._rulings(judged)) or bool(self._refused(judged))

    def _refused(self, judged: Judged) -> list[tuple[str, str, str]]:
        """Return the requests that are meant and refused: of what was delivered those that were let through."""
        known = self._scene.known
        found = []
        for row, ruling in zip(self._rows, self._rulings(judged), strict=True):
            denied = set(known.denied_requests.get(row, ()))
            every = self._scene.view.connections[self._place].outcome != "delivered"
            found += [known.request(each) for each in ruling.refused if every or each not in denied]
        return list(dict.fromkeys(found))

    def _nothing(self, judged: Judged) -> str:
        sides = {side.outcome for ruling in self._rulings(judged) for side in ruling.sides.values()}
        if Outcome.ALLOWED in sides:
            return f"{self._name}: the draft admits it already"
        return f"{self._name}: no rule can be written for it: neither end is a workload of this cluster"

    def _sides(self, judged: Judged, outcome: Outcome) -> Iterator[Direction]:
        """Yield the sides of workloads that the draft's policies are asked about, with this outcome."""
        for direction in _ORDER:
            sides = [ruling.sides[direction] for ruling in self._rulings(judged)]
            spot = self._own(direction)
            if (
                spot.workload >= 0
                and all(side.governed for side in sides)
                and any(side.outcome is outcome for side in sides)
            ):
                yield direction

    def _own(self, direction: Direction) -> Spot:
        return self._links[0].source if direction is Direction.EGRESS else self._links[0].target

    def _extended(self, judged: Judged) -> tuple[dict[str, Paper], list[str]] | None:
        """Return the recommended entries for the sides that deny it, where the draft has the policies that they are of."""
        return self._collected(judged, Outcome.DENIED, exact=False)

    def _written(self, judged: Judged) -> tuple[dict[str, Paper], list[str]] | None:
        """Return rules for the sides that nothing closes, which close them: the recommended ones, else exact ones."""
        return self._collected(judged, Outcome.NO_POLICY, exact=True)

    def _collected(
        self, judged: Judged, outcome: Outcome, *, exact: bool
    ) -> tuple[dict[str, Paper], list[str]] | None:
        papers: dict[str, Paper] = {}
        done: list[str] = []
        for direction in self._sides(judged, outcome):
            written = self._recommended(direction)
            if not exact and (written is None or written[0].ref not in judged.draft.papers):
                continue
            written = written or self._exact(direction)
            if written is None:
                continue
            ref, paper = _placed(written[0], direction, written[1], {**judged.draft.papers, **papers})
            papers[ref] = paper
            closes = (
                f"; it closes the {direction} of {self._title(direction)}"
                if outcome is Outcome.NO_POLICY
                else ""
            )
            done.append(f"{called(ref)}: a rule for {self._name} at {direction}{closes}")
        return (papers, done) if papers else None

    def _title(self, direction: Direction) -> str:
        return self._scene.known.title(self._own(direction))

    def _recommended(self, direction: Direction) -> tuple[Policy, list[tuple[Entry, str]]] | None:
        """Return the policy recommended for a side, and of its entries those for this connection alone.

        Entries by name, and those that let names be asked for, are taken though they are for more: exact ones would not do.
        """
        found = self._scene.advice.recommendation
        if found is None or self._scene.view.connections[self._place].outcome != "delivered":
            return None
        rows, witness = set(self._rows), Witness(self._scene.edges)
        for proposal in found.proposals:
            some: list[tuple[Entry, str]] = []
            covered: set[int] = set()
            for entry, reason in _reasons(proposal, direction):
                if rows & set(reason.rows) and (alone := self._alone(entry, set(reason.rows))) is not None:
                    some.append((alone, comment_on(reason, witness.of)))
                    covered |= set(reason.rows)
            if rows <= covered:
                if any(entry.fqdns for entry, _ in some):
                    some += _lookups(proposal, witness, {entry for entry, _ in some})
                return replace(proposal.policy, rules=proposal.policy.rules[:1]), some
        return None

    def _alone(self, entry: Entry, rows: set[int]) -> Entry | None:
        """Return a recommended entry as far as it is for this connection; None where an exact one says it better."""
        if rows <= set(self._rows) or _by_name(entry):
            return entry
        plain = not any(each.rules for each in entry.to_ports or ())
        if not plain or not (entry.entities or entry.cidr or entry.cidr_set):
            return None
        ports = PortSet.of([(self._links[0].protocol, self._links[0].port or 0)])
        cilium = self._scene.grounds.options.cilium
        return replace(
            entry, to_ports=port_rules(ports, cilium=cilium) or None, icmps=icmp_rules(ports) or None
        )

    def _exact(self, direction: Direction) -> tuple[Policy, list[tuple[Entry, str]]] | None:
        """Return a policy for the workload of a side, and the entries that admit this connection and nothing else."""
        known, scene = self._scene.known, self._scene
        need = Need(direction, self._links)
        if not is_expressible(need):
            return None
        item = known.scene.workloads.items[self._own(direction).workload]
        home: Home = (scene.ground.cluster, item.namespace)
        rule = Rule(endpoint_selector=known.scene.choices[self._own(direction).workload].selector)
        policy = Policy(Kind.CNP, dns_name(item.name), item.namespace, rules=(rule,))
        return policy, [(each, self._evidence) for each in entries(known, need, home, scene.grounds.options)]

    @property
    def _evidence(self) -> str:
        reason = Reason(about=f"added in the editor: {self._name}", rows=self._rows)
        return comment_on(reason, Witness(self._scene.edges).of)

    def _admitted(self, judged: Judged) -> tuple[dict[str, Paper], list[str]]:
        """Return the smallest change of the draft that admits it, or why there is none."""
        scene = self._scene
        people = crowd(scene.known, judged.draft.in_force, scene.scanned - set(self._rows))
        requests = self._refused(judged) if all(ruling.allowed for ruling in self._rulings(judged)) else []
        asked = Asked(
            self._links,
            tuple(Request(method, path or "/", host) for method, host, path in requests if method != "DNS"),
            tuple(path for method, _, path in requests if method == "DNS"),
        )
        advisor = Advisor(scene.known, judged.draft.in_force, people, scene.grounds.options)
        found = advisor.admission(asked)
        if found is None:
            return {}, ["no single addition to the draft, nor taking a deny rule away, admits exactly this"]
        papers: dict[str, Paper] = {}
        done = []
        for step in found.steps:
            before = judged.draft.papers.get(step.ref, Paper({}))
            papers[step.ref] = before.changed(found.manifests[step.ref], self._evidence)
            done.append(f"{called(step.ref)}: {_ACTIONS[step.action]} at {step.place}")
        title = scene.known.title
        also = [
            f"{title(each.source)} to {title(each.target)} on {each.port}/{each.protocol}"
            for each in found.also
        ]
        shown = " ".join(str(step.shown) for step in found.steps)
        if "toFQDNs" in shown and not advisor.learns_names(self._links):
            done.append(NO_DNS_RULE)
        return papers, [*done, *(f"also admits {text}" for text in dict.fromkeys(also))]


_ACTIONS = {Action.EXTEND: "extended", Action.CREATE: "created", Action.NARROW: "a deny rule narrowed"}


def _reasons(proposal: Proposal, direction: Direction) -> Iterator[tuple[Entry, Reason]]:
    for (rule, way, place), reason in proposal.reasons.items():
        if way is direction and rule == 0:
            section = (
                proposal.policy.rules[0].ingress
                if way is Direction.INGRESS
                else proposal.policy.rules[0].egress
            )
            entry = (section or ())[place]
            if entry != CLOSED:
                yield entry, reason


def _by_name(entry: Entry) -> bool:
    return bool(entry.fqdns) or any(each.rules and each.rules.dns for each in entry.to_ports or ())


def _lookups(proposal: Proposal, witness: Witness, but: set[Entry]) -> list[tuple[Entry, str]]:
    """Return the entries that let names be asked for, without which rules by name learn nothing."""
    return [
        (entry, comment_on(reason, witness.of))
        for entry, reason in _reasons(proposal, Direction.EGRESS)
        if entry not in but and any(each.rules and each.rules.dns for each in entry.to_ports or ())
    ]


def _placed(
    policy: Policy, direction: Direction, listed: Sequence[tuple[Entry, str]], known: Mapping[str, Paper]
) -> tuple[str, Paper]:
    """Put entries, each with its comment, into the draft's policy of this name for the same pods, or into a new one."""
    name, number = policy.name, 1
    while (there := known.get(policy.ref)) is not None and not _is_for_the_same(there.policy, policy):
        number += 1
        policy = replace(policy, name=f"{name}-{number}")
    if there is None:
        rule = Rule(endpoint_selector=policy.rules[0].endpoint_selector)
        there = Paper(to_dict(replace(policy, rules=(rule,))))
    manifest, comments = deepcopy(dict(there.manifest)), dict(there.comments)
    section = [entry for entry in manifest["spec"].get(direction.value) or () if entry]
    for entry, comment in listed:
        value = entry_manifest(direction, entry)
        if value not in section:
            section.append(value)
            comments[direction.value, key_of(value)] = comment
    manifest["spec"][direction.value] = section
    return policy.ref, Paper(manifest, comments, there.head)


def _is_for_the_same(one: Policy, other: Policy) -> bool:
    """Tell whether two policies are of one rule each, for the same pods."""
    selectors = [each.rules[0].endpoint_selector for each in (one, other) if len(each.rules) == 1]
    return len(selectors) == 2 and selectors[0] == selectors[1]


def called(ref: str) -> str:
    kind, namespace, name = ref.split("/", 2)
    return f"{_SHORT[Kind(kind)]} {namespace + '/' if namespace else ''}{name}"
