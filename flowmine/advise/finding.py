"""One thing that a check of policies found: which rule, where, why, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Level", "RuleInfo", "sorted_findings"]


class Level(StrEnum):
    """How grave a finding is; a note is worth knowing and fails no check."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """A kind of finding: its id, one line on what it looks for, and how grave it is unless a finding says else."""

    id: str
    summary: str
    level: Level


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    ``policy`` is the policy's ``Kind/namespace/name`` (or what else was checked); ``file``, ``document`` (from 1),
    ``path`` (a JSON path in it) and ``line`` (from 1; 0 unknown) say where it stands, ``where`` all of it in one text.
    ``classes`` are those that `--fail-on` knows it by; none where that goes by level.
    """

    rule: str
    level: Level
    message: str
    fix: str
    policy: str = ""
    where: str = ""
    file: str = ""
    document: int = 0
    path: str = ""
    line: int = 0
    classes: tuple[str, ...] = ()


def sorted_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings once each, in the order in which they stand: file, document, line, path, rule."""
    return sorted(
        set(findings),
        key=lambda each: (
            each.file,
            each.document,
            each.line,
            each.where,
            each.path,
            each.rule,
            each.message,
        ),
    )
