"""Workloads: the endpoints of all runs, replicas and rollouts of one thing, taken together.

Two endpoints are of one workload where Cilium reports the same workload for their pods, where their pods' names say
so (no workload was reported: older captures, events of other nodes alone), or where no stable label tells them apart.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

from flowmine.labels import is_stable_key
from flowmine.synth.naming import (
    dns_name,
    is_word,
    looks_generated,
    shared_name,
    workload_of_pod,
    workload_token,
)
from flowmine.synth.universe import Party, Universe

__all__ = ["Workload", "Workloads", "group"]

_RUN_KINDS = frozenset({"Job", "Pod", "Workflow", "?", ""})
_KIND_ORDER = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")
_NAMING_KEYS = (
    "app.kubernetes.io/name",
    "app",
    "k8s-app",
    "name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "component",
    "tier",
    "role",
)


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload of one namespace.

    ``name`` is unique in its namespace; ``aliases`` are the ``Kind/name`` that no stable label tells apart, where
    there are several.
    """

    cluster: str
    namespace: str
    kind: str
    name: str
    endpoints: tuple[int, ...]
    aliases: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """How reports call it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Workloads:
    """All workloads, sorted by cluster, namespace and name; ``of`` an endpoint's place among them.

    ``varying`` are the label keys, by cluster, whose values were seen to differ within one workload.
    """

    items: tuple[Workload, ...]
    of: Mapping[int, int]
    varying: frozenset[tuple[str, str]]


def group(universe: Universe) -> Workloads:
    """Group the pods of a universe into workloads."""
    pods = list(universe.pods())
    tokens = {party.id: _tokens(party) for party in pods}
    union = _Union()
    for party in pods:
        for token in sorted(tokens[party.id]):
            union.join(party.id, (party.cluster, party.namespace, token))
    varying = _varying(pods, union)
    while True:
        for party in pods:
            lasting = any(token.partition("/")[0] not in _RUN_KINDS for token in tokens[party.id])
            union.join(party.id, _signature(party, varying, lasting))
        wider = _varying(pods, union)
        if wider == varying:
            break
        varying = wider
    return _named(_collect(pods, union), tokens, varying)


class _Union:
    """Disjoint sets of endpoints, joined through whatever they have in common."""

    def __init__(self) -> None:
        self._up: dict[Hashable, Hashable] = {}

    def find(self, item: Hashable) -> Hashable:
        root = item
        while (up := self._up.setdefault(root, root)) != root:
            root = up
        while (up := self._up[item]) != root:
            self._up[item], item = root, up
        return root

    def join(self, item: Hashable, common: Hashable) -> None:
        self._up[self.find(item)] = self.find(common)


def _tokens(party: Party) -> set[str]:
    if party.workloads:
        return {workload_token(workload) for workload in party.workloads}
    return {token for pod in party.pods if (token := workload_of_pod(pod))}


def _signature(party: Party, varying: frozenset[tuple[str, str]], lasting: bool) -> Hashable:
    """Return all that stable labels can say of an endpoint: equal means that no selector may tell two apart.

    A value that varies within some workload may still tell another, lasting one apart where it is a word (see
    `selectors`, its last step).
    """
    values = tuple(
        sorted(
            (key, value)
            for key, value in party.keys.items()
            if is_stable_key(key)
            and ((party.cluster, key) not in varying or (lasting and is_word(value)))
            and (lasting or not looks_generated(value))
        )
    )
    return ("signature", party.cluster, party.namespace, values, tuple(sorted(party.keys)))


def _varying(pods: Iterable[Party], union: _Union) -> frozenset[tuple[str, str]]:
    values: dict[tuple[Hashable, str], str] = {}
    varying = set()
    for party in pods:
        root = union.find(party.id)
        for key, value in party.keys.items():
            if values.setdefault((root, key), value) != value:
                varying.add((party.cluster, key))
    return frozenset(varying)


def _collect(pods: Iterable[Party], union: _Union) -> list[list[Party]]:
    groups: dict[Hashable, list[Party]] = defaultdict(list)
    for party in pods:
        groups[union.find(party.id)].append(party)
    return list(groups.values())


def _named(
    groups: list[list[Party]], tokens: Mapping[int, set[str]], varying: frozenset[tuple[str, str]]
) -> Workloads:
    drafts = [_workload(members, tokens) for members in groups]
    drafts = _unique(
        drafts, lambda draft: f"{draft.name}-{dns_name(draft.kind)}" if draft.kind else draft.name
    )
    drafts = _unique(drafts, lambda draft: f"{draft.name}-{min(draft.endpoints):016x}"[-220:])
    items = tuple(sorted(drafts, key=lambda draft: (draft.cluster, draft.namespace, draft.name)))
    places = {endpoint: place for place, item in enumerate(items) for endpoint in item.endpoints}
    return Workloads(items, places, varying)


def _workload(members: list[Party], tokens: Mapping[int, set[str]]) -> Workload:
    reported = sorted({token for party in members for token in tokens[party.id]})
    known = [token for token in reported if not token.startswith("?")] or reported
    kinds = sorted({token.partition("/")[0] for token in known}, key=_kind_order)
    kind = kinds[0] if kinds else ""
    names = [token.partition("/")[2] for token in known if token.partition("/")[0] == kind]
    first = members[0]
    return Workload(
        cluster=first.cluster,
        namespace=first.namespace,
        kind="" if kind == "?" else kind,
        name=dns_name(shared_name(names) or _name_from_labels(members)),
        endpoints=tuple(sorted(party.id for party in members)),
        aliases=tuple(known) if len(known) > 1 else (),
    )


def _kind_order(kind: str) -> tuple[int, str]:
    return (_KIND_ORDER.index(kind) if kind in _KIND_ORDER else len(_KIND_ORDER), kind)


def _name_from_labels(members: list[Party]) -> str:
    for key in _NAMING_KEYS:
        values = {party.keys.get(key, "") for party in members}
        if len(values) == 1 and (value := values.pop()):
            return value
    return "-".join(value for _, value in sorted(members[0].keys.items()) if value)


def _unique(drafts: list[Workload], rename: Callable[[Workload], str]) -> list[Workload]:
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    for draft in drafts:
        counts[draft.cluster, draft.namespace, draft.name] += 1
    return [
        _with_name(draft, rename(draft)) if counts[draft.cluster, draft.namespace, draft.name] > 1 else draft
        for draft in drafts
    ]


def _with_name(draft: Workload, name: str) -> Workload:
    return Workload(draft.cluster, draft.namespace, draft.kind, name, draft.endpoints, draft.aliases)
