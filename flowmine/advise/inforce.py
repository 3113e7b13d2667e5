"""The policies in force, with where each is written: what drops are asked of, and what a change is a change to."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from flowmine.edges import Edges
from flowmine.engine.entries import LoweredEntry, Subject
from flowmine.engine.index import Index, Ints
from flowmine.engine.match import Bools, LabelTable
from flowmine.engine.party import NamedPort, Party, resolve
from flowmine.engine.policyset import PolicySet
from flowmine.labels import Label, is_pod_id
from flowmine.policy.codec import Unknown
from flowmine.policy.files import Document
from flowmine.policy.kinds import GATEWAY
from flowmine.policy.model import Direction, Policy
from flowmine.policy.selector import Term
from flowmine.policy.shape import without_nulls

__all__ = ["Governed", "InForce", "denying_entries", "in_force", "own_cluster", "rule_key"]


@dataclass(frozen=True, slots=True)
class InForce:
    """Policies of one cluster, and by `Kind/namespace/name` the document that each was read from.

    `manifests` are the documents' values without nulls; `ineffective` says which policies have no effect, and why;
    `named_ports` are what pods are taken to call their container ports, for flows do not tell.
    """

    policies: PolicySet
    homes: Mapping[str, Document] = field(default_factory=dict)
    manifests: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    ineffective: tuple[str, ...] = ()
    named_ports: tuple[NamedPort, ...] = ()

    @property
    def cluster(self) -> str:
        """The cluster whose pods the policies govern."""
        return self.policies.config.cluster_name


def in_force(
    documents: Sequence[Document],
    *,
    cluster: str = "default",
    enforcement: str = "default",
    settings: Mapping[str, Any] | None = None,
    unknown: Unknown = "error",
    named_ports: tuple[NamedPort, ...] = (),
) -> InForce:
    """Return the policies of documents as those in force in a cluster.

    Raise UsageError where the enforcement mode or a setting (an option of the agents) is unknown.
    """
    judged = [each for each in documents if _kind(each.value) != GATEWAY]
    options = {"cluster_name": cluster or "default", **(settings or {})}
    policies = PolicySet.from_dicts(
        [each.value for each in judged], enforcement=enforcement, config=options, unknown=unknown
    )
    places = {f"object {number}": each.where for number, each in enumerate(judged)}
    told = (f"{places[each.where]}: {each.policy}: {each.problem}" for each in policies.problems())
    accepted = {policy.ref for policy in policies.policies}
    objects = [each for each in judged if isinstance(each.value, Mapping)]
    by_ref = {ref: each for each in objects if (ref := _ref(each.value)) in accepted}
    values = {ref: without_nulls(each.value) for ref, each in by_ref.items()}
    return InForce(policies, by_ref, values, tuple(told), named_ports)


def own_cluster(edges: Edges) -> tuple[str, tuple[str, ...]]:
    """Return the cluster that recorded a capture, and others whose own nodes are in it too.

    It is the one of most pods seen at their own node; where no event says that, of most pods.
    """
    clusters = dict(
        zip(edges.endpoints["id"].to_pylist(), edges.endpoints["cluster_name"].to_pylist(), strict=True)
    )
    pods = list(zip(edges.pods["endpoint"].to_pylist(), edges.pods["local"].to_pylist(), strict=True))
    local = Counter(clusters.get(endpoint) or "" for endpoint, here in pods if here and is_pod_id(endpoint))
    every = Counter(cluster or "" for endpoint, cluster in clusters.items() if is_pod_id(endpoint))
    counts = local or every
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    return (ranked[0], tuple(ranked[1:])) if ranked else ("", ())


def rule_key(entry: LoweredEntry) -> tuple[str, str]:
    """Return the policy and, within its manifest as the codec writes it, the rule (`spec`, `specs[1]`) of an entry."""
    return entry.origin.policy, entry.origin.path.split(".")[0]


def denying_entries(index: Index) -> frozenset[str]:
    """Return the entries (`policy:path`) that deny: Cilium names allows of the same selector beside them."""
    return frozenset(str(entry.origin) for entry in index.entries if entry.denies)


class Governed:
    """Which rules select which parties, and which close a direction for them; host policies select hosts alone."""

    def __init__(self, index: Index, parties: Sequence[Party]) -> None:
        """Match every rule's subject against every kind of party, once: those with the same labels are one kind."""
        numbers: dict[tuple[tuple[Label, ...], bool, bool], int] = {}
        identities = (resolve(party, index.config) for party in parties)
        kinds = (
            numbers.setdefault((each.labels, each.host, each.local), len(numbers)) for each in identities
        )
        self.kinds: Ints = np.fromiter(kinds, np.int64, len(parties))
        """The kind of each party: those of one kind are governed alike."""
        self._table = LabelTable([labels for labels, _, _ in numbers])
        self._host = np.array([host for _, host, _ in numbers], np.bool_)
        self._local = np.array([local for _, _, local in numbers], np.bool_)
        written = [entry for entry in index.entries if entry.origin.path]
        self._holds = {subject: self._kinds_of(subject) for subject in {entry.subject for entry in written}}
        self.rules: dict[tuple[str, str], Subject] = {rule_key(entry): entry.subject for entry in written}
        self._closing = {
            direction: {
                rule_key(entry) for entry in written if entry.direction is direction and entry.default_deny
            }
            for direction in Direction
        }

    def labelled(self, terms: Iterable[Term]) -> Bools:
        """Tell of each party whether all terms hold for its labels."""
        found: Bools = self._table.all_hold(terms)[self.kinds]
        return found

    def selects(self, subject: Subject) -> Bools:
        """Tell of each party whether a subject selects it."""
        found: Bools = self._kinds_of(subject)[self.kinds]
        return found

    def _kinds_of(self, subject: Subject) -> Bools:
        found: Bools = self._table.all_hold(subject.terms) & (self._host == subject.node) & self._local
        return found

    def selected(self, rule: tuple[str, str]) -> Bools:
        """Tell of each party whether a rule selects it."""
        return self._holds[self.rules[rule]][self.kinds]

    def kinds_selected(self, rule: tuple[str, str]) -> list[int]:
        """Return the kinds of party that a rule selects."""
        kinds: list[int] = np.flatnonzero(self._holds[self.rules[rule]]).tolist()
        return kinds

    def closers(self, party: int, direction: Direction) -> tuple[str, ...]:
        """Return the policies that close a direction of a party (default deny), sorted."""
        return self._closers[direction].get(int(self.kinds[party]), ())

    @cached_property
    def _closers(self) -> Mapping[Direction, Mapping[int, tuple[str, ...]]]:
        """By kind of party the policies that close a direction; kinds that none closes are left out."""
        found: dict[Direction, dict[int, set[str]]] = {each: defaultdict(set) for each in Direction}
        for direction, rules in self._closing.items():
            for rule in rules:
                for kind in np.flatnonzero(self._holds[self.rules[rule]]).tolist():
                    found[direction][kind].add(rule[0])
        return {
            direction: {kind: tuple(sorted(names)) for kind, names in by_kind.items()}
            for direction, by_kind in found.items()
        }

    def closes(self, rule: tuple[str, str], direction: Direction) -> bool:
        """Tell whether a rule closes a direction for those that it selects."""
        return rule in self._closing[direction]

    def relevant(self, policies: Iterable[Policy], parties: Iterable[int]) -> tuple[Policy, ...]:
        """Return the policies that select any of these parties: no other has a say in their connections."""
        kinds = np.unique(self.kinds[np.fromiter(parties, np.int64)])
        selecting = set(np.flatnonzero(self._by_rule[:, kinds].any(axis=1)).tolist())
        known = {rule[0] for number, rule in enumerate(self.rules) if number in selecting}
        return tuple(policy for policy in policies if policy.ref in known)

    @cached_property
    def _by_rule(self) -> Bools:
        """A row a rule, a column a kind of party: does it select it."""
        made = [self._holds[subject] for subject in self.rules.values()]
        return np.array(made, np.bool_).reshape(len(made), len(self._host))


def _kind(value: Any) -> Any:
    return value.get("kind") if isinstance(value, Mapping) else None


def _ref(value: Mapping[str, Any]) -> str:
    """Return a manifest's `Kind/namespace/name` as far as it has them."""
    kind, given = value.get("kind"), value.get("metadata")
    metadata = given if isinstance(given, Mapping) else {}
    wide = kind == "CiliumClusterwideNetworkPolicy"
    namespace = "" if wide else str(metadata.get("namespace") or "default")
    return f"{kind}/{namespace}/{metadata.get('name', '')}"
