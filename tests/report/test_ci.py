"""Findings for continuous integration, read back by others' readers."""

import json
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import jsonschema
import junitparser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmine.advise.finding import Finding, Level, RuleInfo
from flowmine.report.ci import Report, as_json, as_junit, as_sarif, as_table, fails
from flowmine.report.findingsmarkdown import as_markdown

RULES = (
    RuleInfo("split-ports", "toPorts as a rule of its own", Level.WARNING),
    RuleInfo("isolation", "A direction closed", Level.NOTE),
)
HOSTILE = "<b>&\"'|`]]>\x00\x1b[31m\n\ud800$(rm) [x](javascript:1) é"
SPLIT = Finding(
    "split-ports",
    Level.WARNING,
    "admits anybody",
    "put it beside",
    "CiliumNetworkPolicy/shop/a",
    "dir/a b.yaml:1:spec.ingress[0]",
    "dir/a b.yaml",
    1,
    "spec.ingress[0]",
    7,
)
NOTE = Finding(
    "isolation", Level.NOTE, "closes egress", "", "CiliumNetworkPolicy/shop/b", "x", "b.yaml", 1, "spec"
)
REPORT = Report(
    "lint",
    RULES,
    ["CiliumNetworkPolicy/shop/a", "CiliumNetworkPolicy/shop/b", "CiliumNetworkPolicy/shop/c"],
    [SPLIT, NOTE],
)
EVIL = Report(
    "lint",
    RULES,
    [HOSTILE],
    [Finding(HOSTILE, Level.ERROR, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1, HOSTILE, 0)],
)

_TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "properties": {
                    "invocations": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["executionSuccessful"],
                            "properties": {
                                "executionSuccessful": {"type": "boolean"},
                                "toolExecutionNotifications": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "required": ["message"],
                                        "properties": {
                                            "message": _TEXT,
                                            "level": {"enum": ["none", "note", "warning", "error"]},
                                        },
                                    },
                                },
                            },
                        },
                    },
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id"],
                                            "additionalProperties": False,
                                            "properties": {
                                                "id": {"type": "string"},
                                                "shortDescription": _TEXT,
                                                "defaultConfiguration": {
                                                    "type": "object",
                                                    "properties": {
                                                        "level": {
                                                            "enum": ["none", "note", "warning", "error"]
                                                        }
                                                    },
                                                },
                                            },
                                        },
                                    },
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message"],
                            "additionalProperties": False,
                            "properties": {
                                "ruleId": {"type": "string"},
                                "ruleIndex": {"type": "integer", "minimum": -1},
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": _TEXT,
                                "partialFingerprints": {
                                    "type": "object",
                                    "additionalProperties": {"type": "string"},
                                },
                                "locations": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "additionalProperties": False,
                                        "properties": {
                                            "physicalLocation": {
                                                "type": "object",
                                                "required": ["artifactLocation"],
                                                "properties": {
                                                    "artifactLocation": {
                                                        "type": "object",
                                                        "properties": {
                                                            "uri": {"type": "string", "pattern": r"^[!-~]+$"}
                                                        },
                                                    },
                                                    "region": {
                                                        "type": "object",
                                                        "properties": {
                                                            "startLine": {"type": "integer", "minimum": 1}
                                                        },
                                                    },
                                                },
                                            },
                                            "logicalLocations": {
                                                "type": "array",
                                                "uniqueItems": True,
                                                "items": {
                                                    "type": "object",
                                                    "properties": {"fullyQualifiedName": {"type": "string"}},
                                                },
                                            },
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
"""What SARIF 2.1.0's schema (OASIS, sarif-schema-2.1.0) asks of the parts that are written here."""


def sarif(report: Report) -> Any:
    return json.loads(as_sarif(report))


@pytest.mark.parametrize("report", [REPORT, EVIL, Report("drops", (), [], [])])
def test_sarif_has_the_form_of_its_schema(report: Report) -> None:
    """Every part that is written is as SARIF 2.1.0 asks."""
    jsonschema.Draft7Validator(SARIF).validate(sarif(report))


def test_sarif_is_read_by_a_model_of_the_standard() -> None:
    """A third party's model of SARIF reads the run, its rules and its results."""
    reader = pytest.importorskip("sarif_pydantic", reason="sarif-pydantic is not installed")
    log = reader.Sarif.model_validate_json(as_sarif(REPORT))
    (run,) = log.runs
    assert ["split-ports", "isolation"] == [rule.id for rule in run.tool.driver.rules]
    assert ["admits anybody. Fix: put it beside.", "closes egress."] == [
        each.message.text for each in run.results
    ]


@pytest.mark.parametrize("most", [2, 4, 5, 6])
def test_of_too_many_findings_the_gravest_are_in_sarif(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """In the order of all, as many as code scanning takes; a notification says how many are left out, where some are."""
    monkeypatch.setattr("flowmine.report.ci._MOST_RESULTS", most)
    grave = replace(SPLIT, rule="grave", level=Level.ERROR)
    report = Report("lint", RULES, [], iter([NOTE, SPLIT, grave, replace(NOTE, rule="last"), grave]))
    log = sarif(report)
    jsonschema.Draft7Validator(SARIF).validate(log)
    (run,) = log["runs"]
    every = ["isolation", "split-ports", "grave", "last", "grave"]
    kept = {2: ["grave", "grave"], 4: ["isolation", "split-ports", "grave", "grave"]}.get(most, every)
    assert kept == [each["ruleId"] for each in run["results"]]
    told = [one for each in run.get("invocations", ()) for one in each["toolExecutionNotifications"]]
    assert [str(5 - len(kept))] * (most < 5) == [
        re.sub(r".*: (.*)\.", r"\1", each["message"]["text"]) for each in told
    ]


def test_sarif_points_at_the_line_and_the_policy() -> None:
    """A result has its rule, level, file as a URI, line, and the policy's path."""
    result, note = sarif(REPORT)["runs"][0]["results"]
    assert ("split-ports", 0, "warning") == (result["ruleId"], result["ruleIndex"], result["level"])
    place = result["locations"][0]
    assert {"uri": "dir/a%20b.yaml"} == place["physicalLocation"]["artifactLocation"]
    assert 7 == place["physicalLocation"]["region"]["startLine"]
    assert "CiliumNetworkPolicy/shop/a:spec.ingress[0]" == place["logicalLocations"][0]["fullyQualifiedName"]
    assert 1 == note["locations"][0]["physicalLocation"]["region"]["startLine"]


def test_junit_has_one_test_a_policy_and_fails_those_with_findings(tmp_path: Any) -> None:
    """A policy with findings fails, one with notes passes and carries them, one without passes."""
    path = tmp_path / "report.xml"
    path.write_text(as_junit(REPORT), encoding="utf-8")
    (suite,) = junitparser.JUnitXml.fromfile(str(path))
    failed, noted, clean = suite
    assert (3, 1, 0) == (suite.tests, suite.failures, suite.errors)
    assert [("split-ports", "admits anybody")] == [(each.type, each.message) for each in failed.result]
    assert ("dir/a b.yaml", True) == (failed._elem.get("file"), noted.is_passed)
    assert "closes egress" in noted.system_out
    assert ("CiliumNetworkPolicy/shop/c", True) == (clean.name, clean.is_passed)


def test_junit_survives_hostile_names(tmp_path: Any) -> None:
    """What XML cannot hold is replaced, what it must escape is escaped."""
    root = ElementTree.fromstring(as_junit(EVIL).encode("utf-8"))
    (case,) = root.iter("testcase")
    assert "<b>&\"'|`]]>" in str(case.get("name"))
    assert "\x1b" not in "".join(root.itertext())


def test_markdown_has_a_table_for_each_level() -> None:
    """A line on the whole, what is graver first, and notes folded; a row says rule, place, what and fix."""
    lines = as_markdown(REPORT).splitlines()
    assert "3 checked: 1 warning, 1 note.  " in lines
    assert ["### ⚠️ warnings"] == [line for line in lines if line.startswith("###")]
    assert lines.index("### ⚠️ warnings") < lines.index("<details><summary>notes: 1</summary>")
    (row,) = [line for line in lines if "split-ports" in line]
    assert (
        "| `split-ports` | `dir/a b.yaml:7` `CiliumNetworkPolicy/shop/a` `spec.ingress[0]` | admits anybody | put it beside |"
        == row
    )


def test_markdown_lets_no_text_break_out_of_its_cell() -> None:
    """A hostile text stays in its cell: no more bars, no tags, no links, no line ends."""
    (row,) = [line for line in as_markdown(EVIL).splitlines() if "javascript" in line]
    cells = re.split(r"(?<!\\)\|", row)
    assert ["", ""] == [cells[0], cells[-1]]
    assert 4 == len(cells[1:-1])
    assert all(text not in cells[3] for text in ("](javascript", " <b>", "`]"))


def test_the_table_has_one_place_a_finding() -> None:
    """Each finding is its place, level and rule, then why, then the fix; control characters are shown."""
    assert [
        "dir/a b.yaml:7: warning split-ports: CiliumNetworkPolicy/shop/a spec.ingress[0]",
        "    admits anybody",
        "    fix: put it beside",
    ] == as_table(REPORT).splitlines()[:3]
    assert not any(char in as_table(EVIL) for char in "\x00\x1b")
    assert 3 == len(as_table(EVIL).splitlines())


def test_json_holds_every_field() -> None:
    """The findings come back with their fields."""
    value = json.loads(as_json(REPORT))
    assert ("split-ports", "warning", 7) == tuple(
        value["findings"][0][name] for name in ("rule", "level", "line")
    )
    assert ["lint", 3, 2] == [value["tool"], len(value["checked"]), len(value["rules"])]


def test_notes_fail_nothing() -> None:
    """Only what is graver than a note makes a check fail."""
    assert (False, True) == (fails(NOTE), fails(SPLIT))


@pytest.mark.parametrize(
    ("failing", "levels", "failures"),
    [
        ((), {"isolation": "note", "split-ports": "warning", "grave": "warning"}, []),
        (
            ("isolation",),
            {"isolation": "warning", "split-ports": "warning", "grave": "warning"},
            ["isolation"],
        ),
        (("grave",), {"isolation": "note", "split-ports": "warning", "grave": "error"}, ["grave"]),
    ],
)
def test_levels_and_failures_follow_what_the_check_fails_for(
    failing: tuple[str, ...], levels: dict[str, str], failures: list[str]
) -> None:
    """What fails is graver than a note, what does not is no error; JUnit fails the one, and tells the other."""
    grave = Finding("grave", Level.ERROR, "refused", "", "CiliumNetworkPolicy/shop/c")
    report = Report("lint", RULES, [], [SPLIT, NOTE, grave], lambda finding: finding.rule in failing)
    results = json.loads(as_sarif(report))["runs"][0]["results"]
    assert levels == {each["ruleId"]: each["level"] for each in results}
    root = ElementTree.fromstring(as_junit(report).encode())
    assert failures == [each.get("type") for each in root.iter("failure")]
    assert str(len(failures)) == root.get("failures")
    assert 3 - len(failures) == len(list(root.iter("system-out")))


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(list(Level)))
def test_any_text_is_rendered(one: str, other: str, level: Level) -> None:
    """Whatever stands in a finding, every format stays well formed."""
    report = Report("lint", RULES, [one], [Finding(one, level, other, one, other, one, other, 1, one, 3)])
    jsonschema.Draft7Validator(SARIF).validate(sarif(report))
    ElementTree.fromstring(as_junit(report).encode("utf-8"))
    assert json.loads(as_json(report))["findings"]
    assert as_markdown(report) and 3 == len(as_table(report).splitlines())
