"""Findings for continuous integration: SARIF 2.1.0, JUnit XML, JSON and text; one renderer for every check."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from heapq import nsmallest
from itertools import count
from operator import itemgetter
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from flowmine import __version__
from flowmine.advise.finding import Finding, Level, RuleInfo

__all__ = ["Report", "as_json", "as_junit", "as_sarif", "as_table", "fails", "junit_lines"]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_MOST_RESULTS = 25_000
"""Results of a run that GitHub takes: https://docs.github.com/en/code-security/code-scanning (SARIF results exceed limits)."""
_GRADES = tuple(Level)
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def fails(finding: Finding) -> bool:
    """Tell whether a finding makes a check fail unless something else is asked for: it is graver than a note."""
    return finding.level is not Level.NOTE


@dataclass(frozen=True, slots=True)
class Report:
    """What a check says: its name, the rules it has, what it looked at (in order), what it found, and what of it fails."""

    tool: str
    rules: Sequence[RuleInfo]
    checked: Sequence[str]
    findings: Iterable[Finding]
    """Looked at once."""
    fails: Callable[[Finding], bool] = fails


def as_sarif(report: Report) -> str:
    """Return SARIF 2.1.0: one run, its rules, one result a finding with its file, line and logical path.

    What makes the check fail is of level warning at least, what does not at most. Code scanning rejects a run of more than
    25,000 results, so of more findings the gravest are in it, and a notification says how many are not.
    """
    places = {rule.id: place for place, rule in enumerate(report.rules)}
    numbers = count()
    graded = (
        (_GRADES.index(_level(finding, report)), number, finding)
        for finding, number in zip(report.findings, numbers, strict=False)
    )
    gravest = sorted(nsmallest(_MOST_RESULTS, graded), key=itemgetter(1))
    left_out = next(numbers) - len(gravest)
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": f"flowmine {report.tool}",
                "version": __version__,
                "rules": [_sarif_rule(rule) for rule in report.rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [
            _sarif_result(finding, places.get(finding.rule), _level(finding, report))
            for _, _, finding in gravest
        ],
    }
    if left_out:
        run["invocations"] = [_left_out(left_out)]
    return _json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _sarif_rule(rule: RuleInfo) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.summary},
        "defaultConfiguration": {"level": rule.level.value},
    }


def _left_out(count: int) -> dict[str, Any]:
    text = f"Code scanning takes {_MOST_RESULTS:,} results; left out, and none of them graver: {count:,}."
    notification = {"level": "warning", "message": {"text": text}}
    return {"executionSuccessful": True, "toolExecutionNotifications": [notification]}


def _level(finding: Finding, report: Report) -> Level:
    beyond = finding.level is (Level.NOTE if report.fails(finding) else Level.ERROR)
    return Level.WARNING if beyond else finding.level


def _sarif_result(finding: Finding, place: int | None, level: Level) -> dict[str, Any]:
    result: dict[str, Any] = {"ruleId": finding.rule}
    if place is not None:
        result["ruleIndex"] = place
    result["level"] = level.value
    fix = f" Fix: {finding.fix}." if finding.fix else ""
    result["message"] = {"text": f"{finding.message}.{fix}"}
    location: dict[str, Any] = {}
    if finding.file:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": _uri(finding.file)},
            "region": {"startLine": max(1, finding.line)},
        }
    name = ":".join(part for part in (finding.policy, finding.path) if part)
    if name:
        location["logicalLocations"] = [{"fullyQualifiedName": name}]
    if location:
        result["locations"] = [location]
    result["partialFingerprints"] = {"flowmine/v1": ":".join((finding.rule, finding.policy, finding.path))}
    return result


def _uri(path: str) -> str:
    """Return a path as a relative URI reference, or as a file's where it is absolute."""
    text = quote(path.replace("\\", "/").removeprefix("./"), safe="/~!$&'()*+,;=@", errors="replace")
    return f"file://{text}" if text.startswith("/") else text


def as_junit(report: Report) -> str:
    """Return JUnit XML (`junit_lines`)."""
    return "".join(f"{line}\n" for line in junit_lines(report))


def junit_lines(report: Report) -> Iterator[str]:
    """Yield JUnit XML: one test a thing looked at, failed by what makes the check fail; the rest goes to its output."""
    of: dict[str, list[Finding]] = {name: [] for name in report.checked}
    for finding in report.findings:
        of.setdefault(finding.policy, []).append(finding)
    failed = sum(any(map(report.fails, findings)) for findings in of.values())
    head = f'name={_attribute(f"flowmine {report.tool}")} tests="{len(of)}" failures="{failed}" errors="0"'
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f"<testsuites {head}>"
    yield f'  <testsuite {head} skipped="0" time="0">'
    for name, findings in of.items():
        yield from _junit_case(report, name, findings)
    yield "  </testsuite>"
    yield "</testsuites>"


def _junit_case(report: Report, name: str, findings: Sequence[Finding]) -> list[str]:
    file = next((f" file={_attribute(finding.file)}" for finding in findings if finding.file), "")
    head = f'    <testcase classname={_attribute(f"flowmine.{report.tool}")} name={_attribute(name)}{file} time="0"'
    if not findings:
        return [f"{head}/>"]
    lines = [f"{head}>"]
    for finding in findings:
        if report.fails(finding):
            text = _text(f"{finding.where}\n{finding.message}\nfix: {finding.fix}")
            kind = f"type={_attribute(finding.rule)} message={_attribute(finding.message)}"
            lines.append(f"      <failure {kind}>{text}</failure>")
    notes = [f"{finding.where}: {finding.message}" for finding in findings if not report.fails(finding)]
    if notes:
        lines.append(f"      <system-out>{_text(chr(10).join(notes))}</system-out>")
    return [*lines, "    </testcase>"]


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("�", text))


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("�", text), {"\n": "&#10;", "\t": "&#9;", "\r": "&#13;"})


def as_json(report: Report) -> str:
    """Return the findings with their fields, what was looked at, and the rules."""
    return _json(
        {
            "tool": report.tool,
            "checked": list(report.checked),
            "findings": [_fields(finding) for finding in report.findings],
            "rules": [asdict(rule) for rule in report.rules],
        }
    )


def _fields(finding: Finding) -> dict[str, Any]:
    return {name: value for name, value in asdict(finding).items() if name != "classes"}


def _json(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode() + "\n"


def as_table(report: Report) -> str:
    """Return one line a finding, ``file:line: level rule: …``, and its fix beneath."""
    lines = []
    for finding in report.findings:
        place = ":".join(part for part in (finding.file, str(finding.line or "")) if part)
        lines.append(f"{place}: {finding.level} {finding.rule}: {finding.policy} {finding.path}")
        lines += [f"    {finding.message}", f"    fix: {finding.fix}"]
    return "".join(f"{_plain(line)}\n" for line in lines)


def _plain(line: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)
