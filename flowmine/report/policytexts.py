"""Policies as a report shows them: their YAML, and where in it each entry stands, so that one can be pointed at."""

from collections.abc import Iterable, Mapping
from typing import Any

from flowmine.advise.inforce import InForce
from flowmine.policy.yamlwrite import write_document
from flowmine.report.entryspans import entry_spans
from flowmine.report.policies import EvidenceIn, documents
from flowmine.report.view import PolicyText, RuleText
from flowmine.synth.assemble import Proposal
from flowmine.synth.evidence import Witness

__all__ = ["IN_FORCE", "RECOMMENDED", "Shelf"]

RECOMMENDED, IN_FORCE = "recommended", "in force"


class Shelf:
    """The policies of a report, numbered, and their entries by where they stand."""

    def __init__(self) -> None:
        """Begin with none."""
        self.texts: list[PolicyText] = []
        self._places: dict[tuple[str, str, str], int] = {}

    def add_recommended(self, proposals: Iterable[Proposal], witness: Witness) -> list[int]:
        """Add proposals, each entry with its evidence above it; return their places."""
        return [
            self._add(RECOMMENDED, proposal.cluster, proposal.policy.ref, text)
            for proposal, text in documents(proposals, witness.of, EvidenceIn.COMMENTS)
        ]

    def add_in_force(self, policies: InForce) -> None:
        """Add the policies that have effect, as they were read."""
        for ref, manifest in sorted(policies.manifests.items()):
            self._add(IN_FORCE, "", ref, write_document(_trimmed(manifest), {}))

    def rule(self, policy: int, path: str) -> tuple[int, int] | None:
        """Return an entry, by its path in the manifest, as (policy, rule); None where the text shows none such."""
        for place, rule in enumerate(self.texts[policy].rules):
            if rule.path == path:
                return policy, place
        return None

    def in_force(self, ref: str) -> int | None:
        """Return the place of a policy in force; None where it is not shown (Cilium's own)."""
        return self._places.get((IN_FORCE, "", ref))

    def _add(self, origin: str, cluster: str, ref: str, text: str) -> int:
        kind, namespace, name = (*ref.split("/", 2), "", "")[:3]
        rules = tuple(RuleText(path, *lines) for path, lines in entry_spans(text).items())
        self._places[origin, cluster, ref] = len(self.texts)
        self.texts.append(PolicyText(ref, kind, namespace, name, origin, text, rules))
        return len(self.texts) - 1


def _trimmed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest without what the API server adds: its bookkeeping says nothing to a reader."""
    metadata = manifest.get("metadata") or {}
    kept = {
        key: value for key, value in metadata.items() if key in ("name", "namespace", "labels", "annotations")
    }
    return {key: kept if key == "metadata" else value for key, value in manifest.items() if key != "status"}
