"""Problems of policies, and differences between sets of them, as findings for continuous integration."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from flowmine.advise.diff import Change, Difference
from flowmine.advise.finding import Finding, Level, RuleInfo
from flowmine.policy.files import Document
from flowmine.policy.problems import Problem, Severity, Stage

__all__ = ["DIFF_RULES", "PROBLEM_RULES", "diff_findings", "document_name", "problem_findings"]

_STAGES: Mapping[Stage, RuleInfo] = {
    Stage.SCHEMA: RuleInfo("validate-schema", "what the API server says by the kind's schema", Level.ERROR),
    Stage.AGENT: RuleInfo("validate-agent", "what Cilium's agent says when it loads the policy", Level.ERROR),
}
PROBLEM_RULES = tuple(_STAGES.values())
"""The kinds of findings of a validation."""

_CHANGES: Mapping[Change, RuleInfo] = {
    Change.ALLOWED: RuleInfo("diff-wider", "connections that are newly allowed", Level.WARNING),
    Change.DENIED: RuleInfo("diff-narrower", "connections that are newly denied", Level.WARNING),
    Change.REQUESTS: RuleInfo(
        "diff-requests", "connections whose requests are filtered otherwise", Level.WARNING
    ),
}
_CLASSES: Mapping[Change, tuple[str, ...]] = {
    Change.ALLOWED: ("wider", "changed"),
    Change.DENIED: ("narrower", "changed"),
    Change.REQUESTS: ("wider", "narrower", "changed"),
}
DIFF_RULES = tuple(_CHANGES.values())
"""The kinds of findings of a comparison."""

_LEVELS = {Severity.ERROR: Level.ERROR, Severity.WARNING: Level.WARNING}
_FEW = 20


def document_name(document: Document) -> str:
    """Return what a report calls an object: ``Kind/namespace/name``, or its place where it has no such name."""
    value = document.value if isinstance(document.value, dict) else {}
    metadata = value.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    parts = (value.get("kind"), known.get("namespace"), known.get("name"))
    named = [part for part in parts if isinstance(part, str) and part]
    return "/".join(named) if isinstance(known.get("name"), str) and named else document.where


def problem_findings(problems: Iterable[tuple[Document, Problem]]) -> Iterator[Finding]:
    """Yield a finding for each problem, at its place in its document; the line is the document's own."""
    for document, problem in problems:
        item = "" if document.item is None else f"items[{document.item}]"
        yield Finding(
            rule=_STAGES[problem.stage].id,
            level=_LEVELS[problem.severity],
            message=problem.message,
            fix=problem.fix,
            policy=document_name(document),
            where=document.at(problem.path),
            file=document.file,
            document=document.index,
            path=".".join(filter(None, (item, problem.path))),
            line=document.line,
        )


def diff_findings(differences: Iterable[Difference], ports: Sequence[str]) -> Iterator[Finding]:
    """Yield a finding for each difference; ``ports`` are theirs in words, in the same order."""
    for each, where in zip(differences, ports, strict=True):
        rule = _CHANGES[each.change]
        sides = f" at {' and '.join(each.sides)}" if each.sides else ""
        title = f"{_few(each.sources)} to {_few(each.targets)} on {where}"
        yield Finding(
            rule=rule.id,
            level=rule.level,
            message=f"{each.change.value}{sides}: {title}{f'; by {_few(each.by)}' if each.by else ''}",
            fix="",
            policy=title,
            classes=_CLASSES[each.change],
        )


def _few(names: Sequence[str]) -> str:
    more = len(names) - _FEW
    return ", ".join(names[:_FEW]) + (f" and {more:,} more" if more > 0 else "")
