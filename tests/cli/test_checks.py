"""SARIF, JUnit and markdown of every command with findings: read by others, with the finding in each."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import CliRunner

from flowmine.cli import main
from tests.cli.events import capture, drop, record

HOSTILE = "a|b`c`<script>x</script>@all"


def policy(path: Path, name: str, *ingress: dict[str, Any]) -> str:
    """Write a policy of the namespace shop."""
    made = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"endpointSelector": {}, "ingress": list(ingress)},
    }
    path.write_text(yaml.safe_dump(made), "utf-8")
    return str(path)


@pytest.fixture
def lines(tmp_path: Path) -> dict[str, tuple[list[str], str]]:
    """Command -> a line with one grave finding, and the rule that it is of."""
    flows = capture(tmp_path / "flows.jsonl", record(1), drop(2, destination_names=[HOSTILE]))
    shut = policy(tmp_path / "shut.yaml", "shut", {})
    wide = policy(tmp_path / "wide.yaml", "wide", {"fromEntities": ["all"]})
    ports = {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]}
    split = policy(tmp_path / "split.yaml", "split", {"fromEndpoints": [{}]}, ports)
    wrong = policy(tmp_path / "wrong.yaml", HOSTILE, {"fromCIDR": [HOSTILE]})
    return {
        "drops": ([flows, "-q"], "drop-no-rule"),
        "simulate": ([flows, "-q", "--policies", shut], "simulate-denied"),
        "lint": ([split], "split-ports"),
        "validate": ([wrong], "validate-schema"),
        "diff": ([shut, wide], "diff-wider"),
    }


COMMANDS = ("drops", "simulate", "lint", "validate", "diff")


def output(lines: dict[str, tuple[list[str], str]], command: str, form: str) -> str:
    """Return what a command prints, which must fail for what it found."""
    result = CliRunner().invoke(main, [command, *lines[command][0], "-o", form])
    assert result.exit_code == 1, result.output
    return result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_sarif_has_the_finding(lines: dict[str, tuple[list[str], str]], command: str) -> None:
    """One run of the command's own name, with a rule for every result, and the finding graver than a note."""
    (run,) = json.loads(output(lines, command, "sarif"))["runs"]
    driver = run["tool"]["driver"]
    assert f"flowmine {command}" == driver["name"]
    assert all(driver["rules"][each["ruleIndex"]]["id"] == each["ruleId"] for each in run["results"])
    assert lines[command][1] in {each["ruleId"] for each in run["results"] if each["level"] != "note"}


@pytest.mark.parametrize("command", COMMANDS)
def test_junit_has_the_finding(lines: dict[str, tuple[list[str], str]], command: str) -> None:
    """A failed test of that rule, as many failures as are counted."""
    root = ElementTree.fromstring(output(lines, command, "junit").encode())
    assert lines[command][1] in {str(each.get("type")) for each in root.iter("failure")}
    failed = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert str(len(failed)) == root.get("failures")


@pytest.mark.parametrize("command", COMMANDS)
def test_markdown_is_a_comment(lines: dict[str, tuple[list[str], str]], command: str) -> None:
    """Its heading names the command; no name in it is markup or notifies anybody."""
    text = output(lines, command, "md")
    assert text.startswith(f"## flowmine {command}\n")
    prose = re.sub(r"(`{3,}).*?\n\1|`[^`\n]*`", "", text, flags=re.S)
    assert [] == re.findall(r"(?<!\\)<script|@all", prose)


@pytest.mark.parametrize("command", COMMANDS)
def test_sarif_and_junit_follow_fail_on(lines: dict[str, tuple[list[str], str]], command: str) -> None:
    """What the run leaves with 0 for is no failure and no error; what it leaves with 1 for is both told as failing."""
    arguments, rule = lines[command]
    for failing, code in (("never", 0), (FAILING[command], 1)):
        found = {}
        for form in ("junit", "sarif"):
            result = CliRunner().invoke(main, [command, *arguments, "-o", form, "--fail-on", failing])
            assert code == result.exit_code, result.output
            found[form] = result.stdout
        failed = [
            each.get("type") for each in ElementTree.fromstring(found["junit"].encode()).iter("failure")
        ]
        results = json.loads(found["sarif"])["runs"][0]["results"]
        levels = {each["level"] for each in results if each["ruleId"] == rule}
        assert (bool(code), True) == (
            rule in failed,
            levels <= ({"warning", "error"} if code else {"warning", "note"}),
        )


FAILING = {
    "drops": "policy-drop",
    "simulate": "would-drop",
    "lint": "warning",
    "validate": "error",
    "diff": "wider",
}


def test_a_class_that_fails_nothing_by_itself_fails_junit_when_it_is_asked_for(tmp_path: Path) -> None:
    """An entry that no flow used is a note, and with `--fail-on unused` a failure."""
    flows = capture(tmp_path / "flows.jsonl", record(1))
    unused = policy(tmp_path / "a.yaml", "a", {"fromEntities": ["all"]}, {"fromCIDR": ["192.0.2.0/24"]})
    line = ["simulate", flows, "-q", "--policies", unused, "-o", "junit"]
    kinds = [
        [each.get("type") for each in ElementTree.fromstring(result.stdout.encode()).iter("failure")]
        for more in ([], ["--fail-on", "unused"])
        if (result := CliRunner().invoke(main, [*line, *more]))
    ]
    assert [] == kinds[0]
    assert {"simulate-unused"} == set(kinds[1])
