"""A recommendation in a notebook: its policies with their evidence, its proof, and the ways to take it over."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from flowmine.advise.merge import merge
from flowmine.advise.recommend import Recommendation
from flowmine.edges import Edges
from flowmine.notebook import markup
from flowmine.notebook.frame import Frame, columns
from flowmine.notebook.policies import PolicySet
from flowmine.policy.merge import read_folder
from flowmine.policy.mergewrite import Change, unified_diff, write_changes
from flowmine.report import merging
from flowmine.report.policies import EvidenceIn, cluster_folder, documents, folder, stream, write_folder
from flowmine.report.recommendation import told
from flowmine.report.tables import Column, Table
from flowmine.synth.assemble import Proposal
from flowmine.synth.draft import Reason
from flowmine.synth.evidence import Evidence, Witness

__all__ = ["Merged", "Recommended"]

_SCHEMA = columns(
    ("cluster kind namespace policy direction path about", "text"),
    ("flows", "events"),
    ("hours window", "count"),
    ("first last", "us"),
    ("seen_egress seen_ingress", "bool"),
    ("required", "text"),
    ("beyond remarks", "texts"),
)


class Recommended(Frame):
    """The least policies that allow what was seen, proved: a row a rule, with the traffic behind it.

    ``found`` holds all of it as values. Where anything is ``beyond`` what was seen, the rule says on what grounds.
    """

    def __init__(self, found: Recommendation, edges: Edges) -> None:
        """Take the recommendation, and the edges that it is made of."""
        self.found, self._edges = found, edges

    @property
    def title(self) -> str:
        """How many workloads get how many policies."""
        return next(told(self.found))

    @property
    def lines(self) -> tuple[str, ...]:
        """What was half seen, noise or left out, and the proof."""
        return tuple(told(self.found))[1:]

    @cached_property
    def policies(self) -> PolicySet:
        """The policies as a set that can be asked, compared, and given to `Flows.simulate`."""
        return PolicySet.from_policies(self.found.policies)

    @property
    def needless(self) -> tuple[str, ...]:
        """Rules without which nothing seen would be denied; none, where the recommendation is the least."""
        return self.found.needless

    def yaml(self, evidence: str = "comments") -> str:
        """Return the policies as one YAML stream; ``evidence`` is comments, annotations or none."""
        return stream(self._items, self._witness, EvidenceIn(evidence))

    def write(self, target: str | os.PathLike[str], evidence: str = "comments") -> tuple[str, ...]:
        """Write a folder that `kubectl apply -R -f` takes; return other policy files that are there.

        Raise UsageError where it cannot be written; then nothing is.
        """
        return write_folder(folder(self._items, self._witness, EvidenceIn(evidence)), Path(target))

    def merge(self, target: str | os.PathLike[str], evidence: str = "comments") -> "Merged":
        """Return what must be added to the policies in a folder so that all this is admitted; nothing is written yet.

        Raise PolicyError where a file cannot be read or extended, ProofError where the merged policies would deny
        what they must not.
        """
        clusters = sorted({each.cluster for each in self.found.proposals})
        made: list[Change] = []
        lines: list[str] = []
        for cluster in clusters:
            root = Path(target) / cluster_folder(cluster) if len(clusters) > 1 else Path(target)
            held = read_folder(root)
            plan = merge(self.found, self._edges, held, cluster)
            own = merging.changes(plan, held, self._witness, EvidenceIn(evidence))
            lines += merging.told(plan, own, held)
            made += own
        return Merged(made, lines)

    @cached_property
    def _evidence(self) -> Witness:
        return Witness(self._edges)

    def _witness(self, rows: Sequence[int]) -> Evidence:
        return self._evidence.of(rows)

    @property
    def _items(self) -> tuple[Any, ...]:
        return (*self.found.proposals, *self.found.synthesis.gateways)

    def _rules(self) -> Iterator[tuple[Proposal, str, str, Reason]]:
        for proposal in self.found.proposals:
            for (rule, direction, entry), reason in proposal.reasons.items():
                path = f"{proposal.policy.path(rule)}.{direction}[{entry}]"
                yield proposal, direction.value, path, reason

    def _made(self) -> pa.Table:
        rows = [self._record(*each) for each in self._rules()]
        return pa.Table.from_pylist(rows, _SCHEMA)

    def _record(self, proposal: Proposal, direction: str, path: str, reason: Reason) -> dict[str, Any]:
        seen, policy = self._witness(reason.rows), proposal.policy
        return {
            "cluster": proposal.cluster,
            "kind": policy.kind.value,
            "namespace": policy.namespace,
            "policy": policy.name,
            "direction": direction,
            "path": path,
            "about": reason.about,
            "flows": seen.flows,
            "hours": seen.hours,
            "window": seen.window,
            "first": seen.first,
            "last": seen.last,
            "seen_egress": seen.egress,
            "seen_ingress": seen.ingress,
            "required": reason.required or None,
            "beyond": [f"{note.what}: {note.evidence} ({note.threshold})" for note in reason.notes],
            "remarks": list(reason.remarks),
        }

    def _shown(self) -> Table:
        headings = (
            Column("policy"),
            Column("direction"),
            Column("rule"),
            Column("flows", number=True),
            Column("evidence", spare=1),
        )
        rows = (
            (
                f"{each.policy.namespace or ''}/{each.policy.name}",
                direction,
                reason.about,
                str(self._witness(reason.rows).flows),
                str(self._witness(reason.rows)) if reason.rows else reason.required,
            )
            for each, direction, _, reason in self._rules()
        )
        return Table(headings, tuple(rows))

    def _details(self) -> Iterable[str]:
        shown = documents(self.found.proposals, self._witness, EvidenceIn.COMMENTS)
        folds = (
            markup.fold(f"{each.policy.namespace or ''}/{each.policy.name}", markup.code(text))
            for each, text in shown
        )
        return markup.some(folds, "policies")


class Merged:
    """What a recommendation adds to the policies that people wrote; `write` writes it."""

    def __init__(self, changes: Sequence[Change], lines: Sequence[str]) -> None:
        """Take the changes of files, and what is to be told of them."""
        self.changes, self.lines = tuple(changes), tuple(lines)

    @property
    def diff(self) -> str:
        """The changes as one unified diff."""
        return unified_diff(self.changes)

    def write(self) -> None:
        """Write the files, all or none. Raise UsageError where they changed meanwhile, or cannot be written."""
        write_changes(self.changes)

    def __repr__(self) -> str:
        """Return the diff and what is to be told of it."""
        return "\n".join([self.diff.rstrip("\n"), *self.lines])

    def _repr_html_(self) -> str:
        title = f"{len(self.changes):,} file{'s' * (len(self.changes) != 1)} changed"
        return markup.card(title, markup.facts(self.lines), markup.diff(self.diff))
