"""`flowmine diff` on the command line."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from flowmine.cli import main

SAMPLES = Path(__file__).parents[2] / "sample_flows"


def run(*args: object, code: int) -> Result:
    """Run the command and check its exit code."""
    result = CliRunner().invoke(main, ["diff", *map(str, args)])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The linkding policies with one port more between two pods, at both sides."""
    folder = tmp_path / "changed"
    folder.mkdir()
    for path in (SAMPLES / "linkding" / "policies").iterdir():
        value = yaml.safe_load(path.read_text())
        for side in ("ingress", "egress") if path.name.startswith("permit-") else ():
            for entry in value["spec"].get(side, []):
                entry["ports"].append({"port": 8443})
        (folder / path.name).write_text(yaml.safe_dump(value))
    return folder


def test_equal_sets_are_exit_0() -> None:
    """A set that means the same is no difference."""
    result = run(SAMPLES / "linkding" / "policies", SAMPLES / "linkding" / "policies", code=0)
    assert "" == result.stdout
    assert "no difference among" in result.stderr


def test_differences_are_told_over_policies_and_captures(changed: Path) -> None:
    """The port more is told over the identities of the policies, and over those of a capture."""
    old = SAMPLES / "linkding" / "policies"
    port = [{"protocol": "TCP", "first": 8443, "last": 8443}]
    report = json.loads(run(old, changed, "-o", "json", code=1).stdout)
    assert [("allowed", ["payments/app=sensitive"], ["payments/app=auth"], port)] == [
        (each["change"], each["from"], each["to"], each["ports"]) for each in report
    ]
    report = json.loads(run(old, changed, "--flows", SAMPLES / "linkding", "-o", "json", code=1).stdout)
    assert [(["payments/sensitive"], ["payments/auth"])] == [(each["from"], each["to"]) for each in report]
    assert "| newly allowed |" in run(old, changed, "-o", "md", code=1).stdout


def test_an_empty_folder_is_no_policies(tmp_path: Path) -> None:
    """A folder without a file is a set without policies; a path that does not exist is an error."""
    (tmp_path / "none").mkdir()
    assert "newly allowed" in run(SAMPLES / "empire" / "policies", tmp_path / "none", code=1).stdout
    assert "cannot be read" in run(tmp_path / "missing.yaml", tmp_path / "none", code=2).output
