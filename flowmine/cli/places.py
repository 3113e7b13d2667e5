"""Where findings stand: the lines of the files that a command read, looked up once a file."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowmine.advise.finding import Finding

__all__ = ["with_lines"]


def with_lines(findings: "Iterable[Finding]") -> "list[Finding]":
    """Return the findings with the lines they stand in, and in their order; stdin's keep those of their documents."""
    from flowmine.advise.finding import sorted_findings
    from flowmine.advise.lint.lines import Lines

    known: dict[str, Lines] = {}
    found = []
    for finding in findings:
        if finding.file not in known:
            path = Path(finding.file)
            known[finding.file] = Lines(path.read_bytes() if path.is_file() else b"")
        line = known[finding.file].line(finding.document, finding.path)
        found.append(replace(finding, line=line or finding.line))
    return sorted_findings(found)
