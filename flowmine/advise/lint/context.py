"""What the lint rules look at: the policies as written and as Cilium reads them, and a capture where one is given."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from flowmine.advise.finding import Level
from flowmine.engine import knp, lowering
from flowmine.engine.config import Config
from flowmine.engine.entries import LoweredEntry
from flowmine.errors import PolicyError
from flowmine.labels import Label, parse
from flowmine.policy.codec import from_dict
from flowmine.policy.files import Document
from flowmine.policy.model import CidrGroup, Entry, Kind, Policy, Rule, Section
from flowmine.policy.shape import without_nulls
from flowmine.policy.validate import Problem, Severity, is_accepted, validate

__all__ = ["Capture", "Context", "EntryAt", "Hit", "Lowered", "Spec", "Unit", "capture_of", "context_of"]

LabelSet = tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """One document: its policy (None where it cannot be decoded) and what Cilium would say of it.

    ``value`` is the manifest that the policy was decoded from: without nulls, its numeric ports as texts, so that one
    slip does not hide all else.
    """

    document: Document
    value: Any
    policy: Policy | None
    problems: tuple[Problem, ...]

    @property
    def accepted(self) -> bool:
        """Whether Kubernetes and Cilium would take the policy."""
        return is_accepted(list(self.problems))

    @property
    def name(self) -> str:
        """The policy's name in reports."""
        if self.policy is not None:
            return self.policy.ref
        value = self.document.value
        metadata = value.get("metadata") if isinstance(value, dict) else None
        name = metadata.get("name") if isinstance(metadata, dict) else None
        return str(name or self.document.where)


@dataclass(frozen=True, slots=True)
class Hit:
    """A finding before it has its rule: where, why, what to do, and its level where that is not the rule's own."""

    unit: Unit
    path: str
    message: str
    fix: str
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class EntryAt:
    """One entry of a rule: its section, path, manifest and model."""

    section: Section
    index: int
    path: str
    raw: dict[str, Any]
    entry: Entry


@dataclass(frozen=True, slots=True)
class Spec:
    """One rule of Cilium's kinds, as written (``raw``) and as modelled."""

    unit: Unit
    policy: Policy
    path: str
    raw: dict[str, Any]
    rule: Rule

    def entries(self) -> Iterator[EntryAt]:
        """Yield every entry with its place in the manifest."""
        for section, index, entry in self.rule.entries():
            raw = self.raw[section.value][index]
            yield EntryAt(section, index, f"{self.path}.{section.value}[{index}]", raw, entry)


@dataclass(frozen=True, slots=True)
class Lowered:
    """One entry as the engine reads it, with the document it stands in and its path there."""

    unit: Unit
    path: str
    entry: LoweredEntry


@dataclass(frozen=True, slots=True)
class Capture:
    """What recorded traffic shows: the label sets of every endpoint seen, and the edges (EDGES) where they were made.

    ``ends`` are the label sets by ENDPOINTS id; ``names`` (NAMES) say how outside addresses were called.
    """

    ends: dict[int, LabelSet]
    edges: pa.Table | None = None
    names: pa.Table | None = None

    def pods(self) -> list[LabelSet]:
        """Return the distinct label sets of pods, in a fixed order."""
        found = {labels for labels in self.ends.values() if any(label.source == "k8s" for label in labels)}
        return sorted(found)


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that a rule may look at."""

    units: tuple[Unit, ...]
    specs: tuple[Spec, ...]
    lowered: tuple[Lowered, ...]
    config: Config
    capture: Capture | None = None


def capture_of(endpoints: pa.Table, edges: pa.Table | None = None, names: pa.Table | None = None) -> Capture:
    """Return the capture of a reading's ENDPOINTS and, where settled, its EDGES and NAMES."""
    ids, labels = endpoints["id"].to_pylist(), endpoints["labels"].to_pylist()
    ends = {id_: tuple(sorted(map(parse, texts or ()))) for id_, texts in zip(ids, labels, strict=True)}
    return Capture(ends, edges, names)


def context_of(
    documents: Iterable[Document], capture: Capture | None = None, config: Config | None = None
) -> Context:
    """Read documents for the rules; what cannot be decoded keeps only its problems."""
    units = tuple(_unit(document) for document in documents)
    groups = [unit for unit in units if unit.policy is None and unit.accepted]
    by_name = {group.name: group for group in map(_group, groups) if group is not None}
    config = config or Config()
    return Context(
        units,
        tuple(spec for unit in units for spec in _specs(unit)),
        tuple(lowered for unit in units for lowered in _lowered(unit, config, by_name)),
        config,
        capture,
    )


def _unit(document: Document) -> Unit:
    problems = tuple(validate(document.value))
    value = _mended(without_nulls(document.value))
    decoded = _decoded(value)
    return Unit(document, value, decoded if isinstance(decoded, Policy) else None, problems)


def _mended(value: Any) -> Any:
    """Return a manifest with the numeric ports of Cilium's kinds as the texts that were meant."""
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if not isinstance(value, dict) or value.get("kind") == Kind.KNP:
        return value
    mended = {key: _mended(item) for key, item in value.items()}
    if type(mended.get("port")) is int:
        mended["port"] = str(mended["port"])
    return mended


def _decoded(value: Any) -> Policy | CidrGroup | None:
    try:
        return from_dict(value, "prune")
    except PolicyError:
        return None


def _group(unit: Unit) -> CidrGroup | None:
    decoded = _decoded(unit.value)
    return decoded if isinstance(decoded, CidrGroup) else None


def _specs(unit: Unit) -> Iterator[Spec]:
    """Yield the rules of Cilium's kinds, ``spec`` before ``specs``, as the codec orders them."""
    policy = unit.policy
    if policy is None or policy.kind is Kind.KNP:
        return
    value = unit.value
    places = [("spec", value["spec"])] if "spec" in value else []
    places += [(f"specs[{index}]", raw) for index, raw in enumerate(value.get("specs", []))]
    for (path, raw), rule in zip(places, policy.rules, strict=True):
        yield Spec(unit, policy, path, raw, rule)


def _lowered(unit: Unit, config: Config, groups: dict[str, CidrGroup]) -> Iterator[Lowered]:
    if unit.policy is None:
        return
    policy = _without_refused(unit, unit.policy)
    knp_kind = policy.kind is Kind.KNP
    try:
        entries = list(knp.lower(policy, config) if knp_kind else lowering.lower(policy, config, groups))
    except ValueError:  # a selector or a block that would be refused; `invalid` tells of it
        return
    written = [spec.path for spec in _specs(unit)]
    for entry in entries:
        path = entry.origin.path
        for number, place in enumerate(written):  # the codec writes one of `specs` as `spec`
            head = policy.path(number)
            if path.startswith(f"{head}."):
                path = f"{place}{path.removeprefix(head)}"
                break
        yield Lowered(unit, path, entry)


_ATTRIBUTES = {
    Section.INGRESS: "ingress",
    Section.INGRESS_DENY: "ingress_deny",
    Section.EGRESS: "egress",
    Section.EGRESS_DENY: "egress_deny",
}


def _without_refused(unit: Unit, policy: Policy) -> Policy:
    """Return the policy with the entries that would be refused emptied, so that the others can still be looked at."""
    bad = [problem.path for problem in unit.problems if problem.severity is Severity.ERROR]
    if not bad or policy.kind is Kind.KNP:
        return policy
    rules = []
    for spec in _specs(unit):
        sections: dict[str, Any] = {}
        for section, name in _ATTRIBUTES.items():
            entries = list(spec.rule.section(section))
            for index in range(len(entries)):
                if any(path.startswith(f"{spec.path}.{section.value}[{index}]") for path in bad):
                    entries[index] = Entry()
            if entries:
                sections[name] = tuple(entries)
        rules.append(replace(spec.rule, **sections))
    return replace(policy, rules=tuple(rules))
