"""The workflow in flowmine/docs/ci.md: it has the form that GitHub asks for, and its commands do what it says."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowmine.report.comment import LIMIT

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "flowmine" / "docs" / "ci.md"
POLICIES = Path("sample_flows/linkding/policies")
CONTEXT = {"github.event.pull_request.number": "7"}
STUB = '#!/bin/sh\nexec "{python}" -m flowmine "$@"\n'
GH = '#!/bin/sh\nfor each in "$@"; do echo "$each"; done > gh.txt\n'
PIP = "#!/bin/sh\nexit 0\n"
"""What stands for the commands that a runner has; pip has installed flowmine already."""


@pytest.fixture(scope="module")
def workflow() -> Any:
    """The workflow as YAML says it; `on` is a text and no truth value there, as GitHub reads it."""
    (text,) = re.findall(r"<!-- workflow -->\n```yaml\n(.*?)```\n<!-- end -->", PAGE.read_text("utf-8"), re.S)
    return yaml.load(text, Loader=yaml.BaseLoader)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A runner's folder: the checkout, the branch before it, and the commands on its path."""
    shutil.copytree(ROOT / "sample_flows" / "linkding", tmp_path / "sample_flows" / "linkding")
    shutil.copytree(ROOT / POLICIES, tmp_path / "before" / POLICIES)
    (tmp_path / "bin").mkdir()
    for name, text in (("flowmine", STUB.format(python=sys.executable)), ("gh", GH), ("pip", PIP)):
        command = tmp_path / "bin" / name
        command.write_text(text)
        command.chmod(0o755)
    return tmp_path


def run(workflow: Any, folder: Path) -> dict[str, int]:
    """Run the steps as a runner would with bash; return their exit codes by name."""
    codes = {}
    for step in workflow["jobs"]["judge"]["steps"]:
        if "run" in step:
            text = re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found: CONTEXT[found[1]], step["run"])
            environment = {
                **os.environ,
                **workflow["env"],
                "PATH": os.pathsep.join((str(folder / "bin"), os.environ["PATH"])),
                "PYTHONPATH": str(ROOT),
                "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            }
            done = subprocess.run(
                ["bash", "-e", "-c", text], cwd=folder, env=environment, capture_output=True, timeout=300
            )
            codes[step["name"]] = done.returncode
            assert b"Traceback" not in done.stderr, done.stderr
    return codes


def test_the_workflow_has_githubs_form(workflow: Any) -> None:
    """It has a trigger, rights no wider than needed, and steps that each either use a pinned action or run commands."""
    assert {"name", "on", "permissions", "env", "jobs"} == set(workflow)
    assert {"contents": "read", "pull-requests": "write", "security-events": "write"} == workflow[
        "permissions"
    ]
    assert [f"{workflow['env']['POLICIES']}/**"] == workflow["on"]["pull_request"]["paths"]
    (job,) = workflow["jobs"].values()
    assert {"runs-on", "steps"} == set(job)
    known = {"name", "uses", "run", "with", "env", "if"}
    for step in job["steps"]:
        assert set(step) <= known and ("uses" in step) != ("run" in step)
        assert "with" not in step or "uses" in step
        assert "uses" not in step or re.fullmatch(r"[\w-]+(/[\w-]+)+@v\d+", step["uses"])
        assert "${{ github.event.pull_request.title" not in str(step)


def test_a_pull_request_that_changes_nothing_passes(workflow: Any, checkout: Path) -> None:
    """Every step leaves with 0, SARIF and the comment are there, and the comment is handed to gh."""
    assert {0} == set(run(workflow, checkout).values())
    for name in ("validate", "lint", "simulate"):
        log = json.loads((checkout / f"{name}.sarif").read_text("utf-8"))
        assert ("2.1.0", f"flowmine {name}") == (log["version"], log["runs"][0]["tool"]["driver"]["name"])
    comment = (checkout / "comment.md").read_bytes()
    assert comment.startswith(b"## flowmine simulate\n") and len(comment) <= LIMIT
    assert comment == (checkout / "summary.md").read_bytes()
    assert ["pr", "comment", "7"] == (checkout / "gh.txt").read_text().split()[:3]


def test_a_pull_request_that_breaks_traffic_fails(workflow: Any, checkout: Path) -> None:
    """Where a rule that traffic needs is gone, the deciding step fails, and what would break is in comment and SARIF."""
    path = checkout / POLICIES / "linkding-database.yaml"
    value = yaml.safe_load(path.read_text("utf-8"))
    value["spec"]["ingress"] = [{}]
    path.write_text(yaml.safe_dump(value), "utf-8")
    codes = run(workflow, checkout)
    assert ["Nothing invalid, nothing that works may break"] == [name for name, code in codes.items() if code]
    assert {0, 1} == set(codes.values())
    assert "### would be denied" in (checkout / "comment.md").read_text("utf-8")
    results = json.loads((checkout / "simulate.sarif").read_text("utf-8"))["runs"][0]["results"]
    broken = [each for each in results if each["ruleId"] == "simulate-denied"]
    places = {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in broken}
    assert places and all((checkout / place).is_file() for place in places)


def test_a_pull_request_that_opens_more_fails(workflow: Any, checkout: Path) -> None:
    """Where a policy lets in whom the one before did not, the last step fails, and only that."""
    path = checkout / POLICIES / "linkding-database.yaml"
    value = yaml.safe_load(path.read_text("utf-8"))
    value["spec"]["ingress"].append({"fromEntities": ["all"]})
    path.write_text(yaml.safe_dump(value), "utf-8")
    codes = run(workflow, checkout)
    assert ["Nothing wider unseen"] == [name for name, code in codes.items() if code]
