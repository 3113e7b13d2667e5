"""What every step of a merge knows: whose policies, the folder they go into, who is selected, and how to ask the engine."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flowmine.advise.additions import section_of
from flowmine.advise.answers import Answers, Stand, stands
from flowmine.advise.recommend import Recommendation
from flowmine.advise.wishes import Pod, Subject, Wishes, selected, wishes
from flowmine.edges import Edges
from flowmine.engine.config import Config
from flowmine.engine.policyset import PolicySet
from flowmine.labels import NAMESPACE_KEY, Label
from flowmine.peers import Kind as PeerKind
from flowmine.policy.merge import Folder
from flowmine.policy.model import DefaultDeny, Direction, Kind, Operator, Policy, Rule, Selector
from flowmine.policy.selector import split_key
from flowmine.synth.assemble import Proposal
from flowmine.synth.visibility import NAME as VISIBILITY

__all__ = ["Case", "Home", "only_shows", "open_case"]

_OPEN = DefaultDeny(ingress=False, egress=False)

Home = tuple[int, int]
"""A rule of the folder: its policy and itself, by place."""


@dataclass(frozen=True)
class Case:
    """One merge of a cluster's proposals into a folder.

    ``now`` are the folder's policies, those that only show traffic apart; ``before`` the answers under them and
    ``stands`` how each pod stands under them; ``homes`` the rules that select a set of pods and no others. Of ``pods``
    those with ids below 0 stand for pods that were not seen.
    """

    cluster: str
    folder: Folder
    proposals: Sequence[Proposal]
    pods: Sequence[Pod]
    wishes: Wishes
    now: tuple[Policy, ...]
    before: Answers
    stands: Mapping[int, Stand]
    homes: Mapping[tuple[str, frozenset[int]], tuple[Home, ...]]

    def ask(self, policies: Iterable[Policy]) -> Answers:
        """Return the answers under other policies."""
        return Answers(_set(policies, self.folder, self.cluster, self.wishes), self.wishes.queries)

    def rule(self, subject: Subject) -> Rule:
        """Return the recommended rule for a subject."""
        return self.proposals[subject.proposal].policy.rules[subject.rule]

    def namespace(self, subject: Subject) -> str:
        """Return the namespace of a subject's policy."""
        return self.proposals[subject.proposal].policy.namespace or "default"

    def homes_of(self, subject: Subject) -> tuple[Home, ...]:
        """Return the rules that are there for exactly the subject's pods."""
        return self.homes.get((self.namespace(subject), subject.pods), ())

    def error(self, subject: Subject) -> str:
        """Return why Cilium cannot resolve the policies that are there for a subject; empty where it can."""
        return next((each for pod in subject.pods if (each := self.stands[pod].error)), "")

    def must_close(self, subject: Subject, direction: Direction) -> bool:
        """Tell whether a direction that the recommendation closes is open for some of the subject's pods."""
        entries = self.rule(subject).section(section_of(direction))
        return bool(entries) and any(direction not in self.stands[pod].closed for pod in subject.pods)


def open_case(found: Recommendation, edges: Edges, folder: Folder, cluster: str) -> Case:
    """Return the case of one cluster's part of a recommendation."""
    proposals = [each for each in found.proposals if each.cluster == cluster]
    pods = _pods(found, cluster, {each.policy.namespace or "default" for each in proposals})
    wished = wishes(found, edges, proposals, pods)
    now = tuple(policy for policy in folder.policies if not only_shows(policy))
    policies = _set(now, folder, cluster, wished)
    before = Answers(policies, wished.queries)
    return Case(
        cluster, folder, proposals, pods, wished, now, before, stands(policies, pods), _homes(folder, pods)
    )


def _pods(found: Recommendation, cluster: str, namespaces: Iterable[str]) -> list[Pod]:
    """Return the pods seen, and for every namespace one that stands for those that were not: it has no label of its own."""
    seen = [
        Pod(party.id, party.namespace, party.labels)
        for party in found.synthesis.scene.universe.pods()
        if party.cluster == cluster and party.kind is PeerKind.POD
    ]
    unseen = [
        Pod(-number, namespace, (Label("k8s", NAMESPACE_KEY, namespace),))
        for number, namespace in enumerate(sorted(namespaces), 1)
    ]
    return [*unseen, *seen]


def only_shows(policy: Policy) -> bool:
    """Tell whether a policy is one of `flowmine visibility`, to be deleted once it has shown what it was for."""
    return policy.name == VISIBILITY and all(rule.enable_default_deny == _OPEN for rule in policy.rules)


def _set(policies: Iterable[Policy], folder: Folder, cluster: str, wished: Wishes) -> PolicySet:
    config = Config(cluster_name=cluster or "default", ipv6=wished.dual_stack)
    return PolicySet.from_policies(policies, folder.groups, config)


def _homes(folder: Folder, pods: Sequence[Pod]) -> dict[tuple[str, frozenset[int]], tuple[Home, ...]]:
    by_namespace: dict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        by_namespace[pod.namespace].append(pod)
    found: dict[tuple[str, frozenset[int]], tuple[Home, ...]] = defaultdict(tuple)
    for place, written in enumerate(folder.written):
        if written.policy.kind is not Kind.CNP or only_shows(written.policy):
            continue
        namespace = written.policy.namespace or "default"
        for number, rule in enumerate(written.policy.rules):
            chosen = rule.endpoint_selector
            if chosen is None:
                continue
            pods_of = selected(chosen, namespace, by_namespace[namespace])
            if _is_specific(chosen) or any(pod < 0 for pod in pods_of):
                found[namespace, pods_of] += ((place, number),)
    return dict(found)


def _is_specific(selector: Selector) -> bool:
    """Tell whether a selector names some label's value, of the pod's own: whoever wrote it meant one workload."""
    named = [key for key, _ in selector.match_labels]
    named += [each.key for each in selector.match_expressions if each.operator == Operator.IN]
    return any(
        source in ("any", "k8s") and not key.startswith("io.kubernetes.pod.namespace")
        for source, key in map(split_key, named)
    )
