"""A draft: policies as they might be, each with the comments that say why its entries stand there."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from flowmine.advise.inforce import InForce
from flowmine.engine.policyset import PolicySet
from flowmine.policy.codec import from_dict, to_dict
from flowmine.policy.model import Policy
from flowmine.policy.yamlwrite import write_document
from flowmine.report.policies import comment_on
from flowmine.synth.assemble import Proposal
from flowmine.synth.evidence import Witness

__all__ = ["Comments", "Draft", "Paper", "in_force_draft", "paper_of", "recommended_draft"]

_SECTIONS = ("ingress", "ingressDeny", "egress", "egressDeny")
_METADATA = ("name", "namespace", "labels", "annotations")

Comments = Mapping[tuple[str, str], str]
"""By section (`ingress`) and the entry itself (as JSON): what is said above it, wherever in the section it stands."""

_Path = tuple[str | int, ...]


@dataclass(frozen=True, eq=False)
class Paper:
    """One policy of a draft."""

    manifest: Mapping[str, Any]
    comments: Comments = field(default_factory=dict)
    head: str = ""

    @cached_property
    def policy(self) -> Policy:
        """The policy that the manifest means."""
        made = from_dict(self.manifest, "prune")
        assert isinstance(made, Policy)
        return made

    @cached_property
    def text(self) -> str:
        """The manifest as YAML, with its comments."""
        said: dict[_Path, str] = {(): self.head} if self.head else {}
        for where, section, entries in _sections(self.manifest):
            for number, entry in enumerate(entries):
                if comment := self.comments.get((section, key_of(entry))):
                    said[*where, section, number] = comment
        return write_document(self.manifest, said)

    def changed(self, manifest: Mapping[str, Any], why: str) -> "Paper":
        """Return the paper with another manifest; each entry that is new is said to be there for ``why``."""
        comments = dict(self.comments)
        before = {(where, section): entries for where, section, entries in _sections(self.manifest)}
        for where, section, entries in _sections(manifest):
            old = before.get((where, section), [])
            known = {key_of(entry) for entry in old}
            gone = [key_of(entry) for entry in old if entry not in entries]
            for entry in entries:
                key = key_of(entry)
                if key in known or not entry:
                    continue
                was = comments.get((section, gone.pop(0)), "") if gone else ""
                comments[section, key] = "\n".join(filter(None, (was, why)))
        return Paper(manifest, comments, self.head)


def key_of(entry: Any) -> str:
    """Return what an entry is known by: itself."""
    return json.dumps(entry, sort_keys=True)


def _sections(manifest: Mapping[str, Any]) -> Iterable[tuple[_Path, str, list[Any]]]:
    """Yield where each rule stands, and its sections that have entries."""
    places: list[tuple[_Path, Any]] = [(("spec",), manifest.get("spec"))]
    places += [(("specs", number), rule) for number, rule in enumerate(manifest.get("specs") or ())]
    for where, rule in places:
        for section in _SECTIONS:
            entries = rule.get(section) if isinstance(rule, Mapping) else None
            if isinstance(entries, list):
                yield where, section, entries


@dataclass(frozen=True, eq=False)
class Draft:
    """Papers by `Kind/namespace/name`; ``ground`` says whose policies they are, and what belongs to them unchanged.

    ``origin`` is what the draft started from, ``did`` what the last change to it was.
    """

    papers: Mapping[str, Paper]
    ground: InForce
    origin: str
    did: str = ""

    @cached_property
    def in_force(self) -> InForce:
        """The draft as if it were in force."""
        before = self.ground.policies
        policies = [paper.policy for _, paper in sorted(self.papers.items())]
        made = PolicySet.from_policies(policies, before.groups, before.config)
        manifests = {ref: dict(paper.manifest) for ref, paper in self.papers.items()}
        return InForce(made, {}, manifests, (), self.ground.named_ports)

    def with_papers(self, papers: Mapping[str, Paper], did: str) -> "Draft":
        """Return the draft with some papers in place of what it has by their names."""
        return Draft({**self.papers, **papers}, self.ground, self.origin, did)

    def refs_changed(self, other: "Draft") -> frozenset[str]:
        """Return the policies that another draft has otherwise, or not at all."""
        every = {*self.papers, *other.papers}
        return frozenset(ref for ref in every if self.papers.get(ref) is not other.papers.get(ref))


def paper_of(policy: Policy, comments: Comments | None = None) -> Paper:
    """Return a policy made by program as a paper."""
    return Paper(to_dict(policy), comments or {})


def in_force_draft(ground: InForce, origin: str) -> Draft:
    """Return the policies in force as a draft, without what the API server added to them."""
    papers = {ref: Paper(_trimmed(manifest)) for ref, manifest in ground.manifests.items()}
    return Draft(papers, ground, origin)


def recommended_draft(ground: InForce, proposals: Iterable[Proposal], witness: Witness, origin: str) -> Draft:
    """Return the recommended policies of the ground's cluster as a draft, with the evidence as comments."""
    papers = {}
    for each in proposals:
        if each.cluster in (ground.cluster, ""):
            papers[each.policy.ref] = _proposed(each, witness)
    return Draft(papers, ground, origin)


def _proposed(proposal: Proposal, witness: Witness) -> Paper:
    manifest = to_dict(proposal.policy)
    comments: dict[tuple[str, str], str] = {}
    for (rule, direction, entry), reason in proposal.reasons.items():
        spec = manifest["spec"] if proposal.policy.path(rule) == "spec" else manifest["specs"][rule]
        comments[direction.value, key_of(spec[direction.value][entry])] = comment_on(reason, witness.of)
    return Paper(manifest, comments, "\n".join(proposal.notes))


def _trimmed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    metadata = manifest.get("metadata") or {}
    kept = {key: value for key, value in metadata.items() if key in _METADATA}
    return {key: kept if key == "metadata" else value for key, value in manifest.items() if key != "status"}
