"""Findings as markdown, for a pull request's comment: a table for each level, the gravest first."""

from collections.abc import Iterable

from flowmine.advise.finding import Finding, Level
from flowmine.report.ci import Report
from flowmine.report.comment import Part, clipped, comment
from flowmine.report.marks import code, escaped

__all__ = ["as_markdown"]

_TITLES = {Level.ERROR: "❌ errors", Level.WARNING: "⚠️ warnings", Level.NOTE: "notes"}
_SHOWN = {Level.ERROR: 50, Level.WARNING: 50, Level.NOTE: 0}
_HEAD = ("| rule | where | what | fix |", "|---|---|---|---|")


def as_markdown(report: Report) -> str:
    """Return a comment: a line on the whole, and what was found, errors first; notes are folded."""
    counts = [
        f"{number:,} {level.value}{'s' * (number != 1)}"
        for level in Level
        if (number := sum(finding.level is level for finding in report.findings))
    ]
    facts = [f"{len(report.checked):,} checked: {', '.join(counts) or 'nothing found'}."]
    parts = [
        _part(level, found)
        for level in Level
        if (found := [finding for finding in report.findings if finding.level is level])
    ]
    lines = comment(f"flowmine {report.tool}", facts, parts, "The command prints all of them with -o json.")
    return "".join(f"{line}\n" for line in lines)


def _part(level: Level, findings: Iterable[Finding]) -> Part:
    return Part(_TITLES[level], tuple((_row(finding),) for finding in findings), _HEAD, _SHOWN[level])


def _row(finding: Finding) -> str:
    place = ":".join(part for part in (finding.file, str(finding.line or "")) if part)
    where = " ".join(filter(None, (code(clipped(each)) for each in (place, finding.policy, finding.path))))
    told = (
        code(clipped(finding.rule)),
        where,
        escaped(clipped(finding.message)),
        escaped(clipped(finding.fix)),
    )
    return f"| {' | '.join(told)} |"
