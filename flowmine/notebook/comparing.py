"""What `PolicySet.diff` and `PolicySet.lint` answer."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from flowmine.advise.diff import Difference, compare
from flowmine.advise.finding import Finding, Level, sorted_findings
from flowmine.advise.imagined import Somebody, imagined
from flowmine.advise.inforce import InForce
from flowmine.advise.lint import RULES, Capture, capture_of, context_of, findings_of
from flowmine.advise.lint.lines import Lines
from flowmine.advise.recorded import recorded
from flowmine.advise.standpoint import crowd
from flowmine.errors import UsageError
from flowmine.notebook.frame import Frame, columns
from flowmine.notebook.inforce import judging
from flowmine.policy.files import read_texts
from flowmine.report.diffview import diff_table, ports_told
from flowmine.report.tables import Column, Table

if TYPE_CHECKING:
    from flowmine.notebook.flows import Flows
    from flowmine.notebook.policies import PolicySet

__all__ = ["Differences", "Findings", "differences", "findings"]

_DIFFERENCES = columns(("change", "text"), ("from to", "texts"), ("ports", "text"), ("sides by", "texts"))
_FINDINGS = columns(
    ("level rule policy file", "text"), ("document line", "count"), ("path message fix", "text")
)


class Differences(Frame):
    """Two sets of policies compared by meaning: a row for connections that change alike."""

    def __init__(self, found: Sequence[Difference], people: int) -> None:
        """Take the differences, and among how many identities they were looked for."""
        self.found, self._people = tuple(found), people

    @property
    def title(self) -> str:
        """How many differences there are."""
        told = (
            f"{len(self.found):,} difference{'s' * (len(self.found) != 1)}" if self.found else "no difference"
        )
        return f"{told} among {self._people:,} identities"

    def _made(self) -> pa.Table:
        rows = [
            {
                "change": each.change.value,
                "from": list(each.sources),
                "to": list(each.targets),
                "ports": ports_told(each.ports),
                "sides": list(map(str, each.sides)),
                "by": list(each.by),
            }
            for each in self.found
        ]
        return pa.Table.from_pylist(rows, _DIFFERENCES)

    def _shown(self) -> Table:
        return diff_table(self.found)


class Findings(Frame):
    """What policies say and do not mean: a row a finding, with its place and what to do."""

    def __init__(self, found: Iterable[Finding], checked: int) -> None:
        """Take the findings in their order, and how many policies were looked at."""
        self.found, self._checked = tuple(found), checked

    @property
    def title(self) -> str:
        """How many were checked, and what was found."""
        levels = [finding.level for finding in self.found]
        told = (
            f"{levels.count(each)} {each}{'s' * (levels.count(each) != 1)}"
            for each in Level
            if each in levels
        )
        return f"{self._checked} checked: {', '.join(told) or 'nothing found'}"

    @property
    def fails(self) -> bool:
        """Whether any finding is graver than a note."""
        return any(finding.level is not Level.NOTE for finding in self.found)

    def _made(self) -> pa.Table:
        rows = [{name: getattr(each, name) for name in _FINDINGS.names} for each in self.found]
        return pa.Table.from_pylist([{**row, "level": row["level"].value} for row in rows], _FINDINGS)

    def _shown(self) -> Table:
        headings = tuple(Column(name) for name in ("level", "rule", "policy", "where", "what", "fix"))
        rows = (
            (
                each.level.value,
                each.rule,
                each.policy,
                f"{each.where}, line {each.line}" if each.line else each.where,
                each.message,
                each.fix,
            )
            for each in self.found
        )
        return Table(headings, tuple(rows))


def differences(before: "PolicySet", after: "PolicySet", flows: "Flows | None") -> Differences:
    """Compare two sets over the identities of flows, else over those that they speak of."""
    if flows is None:
        people = imagined(before, after)
        return Differences(compare(before, after, people), len(people))
    edges = flows.settled()
    old, new = (judging(each, edges) for each in (before, after))
    known = recorded(edges)
    seen = crowd(known, InForce(old))
    named: Any = zip(seen.spots, seen.parties, strict=True)
    people = tuple(Somebody(known.title(spot), party) for spot, party in named)
    return Differences(compare(old, new, people), len(people))


def findings(
    policies: "PolicySet", flows: "Flows | None", rules: Sequence[str], skip: Sequence[str]
) -> Findings:
    """Check policies, held against flows where they are given. Raise UsageError for a rule that does not exist."""
    known = [rule.id for rule in RULES]
    for name in (*rules, *skip):
        if name not in known:
            raise UsageError(f"no such rule: {name} (known: {', '.join(known)})")
    documents = policies.manifests()
    context = context_of(documents, _capture(flows), policies.config)
    found = findings_of(context, set(rules or known) - set(skip))
    texts = {file: Lines(text) for file, text in read_texts(documents).items()}
    checked = len({unit.name for unit in context.units})
    return Findings(sorted_findings(_placed(each, texts) for each in found), checked)


def _capture(flows: "Flows | None") -> Capture | None:
    if flows is None:
        return None
    edges = flows.settled()
    return capture_of(edges.endpoints, edges.edges, edges.names)


def _placed(finding: Finding, texts: dict[str, Lines]) -> Finding:
    """Return a finding with the line that it stands in, where its file can be read."""
    lines = texts.get(finding.file)
    line = lines.line(finding.document, finding.path) if lines else None
    return replace(finding, line=line or finding.line)
