"""`flowmine simulate` on the command line: formats and exit codes."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from flowmine.cli import main
from tests.cli.events import capture, drop, record

SAMPLES = Path(__file__).parents[2] / "sample_flows"
LINKDING = SAMPLES / "linkding"


def run(*args: object, code: int) -> Result:
    """Run the command and check its exit code."""
    result = CliRunner().invoke(main, ["simulate", *map(str, args)])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert result.exit_code == code, result.output
    return result


def policy(path: Path, *ingress: dict[str, object], name: str = "p") -> Path:
    """Write a policy of the namespace shop with these ingress entries."""
    manifest = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"endpointSelector": {}, "ingress": list(ingress)},
    }
    path.write_text(yaml.safe_dump(manifest))
    return path


@pytest.fixture
def flows(tmp_path: Path) -> str:
    """A capture with a delivered connection and a drop."""
    return capture(tmp_path / "flows.json", record(1), drop(2))


def test_exit_codes(flows: str, tmp_path: Path) -> None:
    """Exit 0 where all that was delivered passes, 1 where something would be denied, 2 where there is no policy."""
    allowing, closing = policy(tmp_path / "a.yaml", {"fromEndpoints": [{}]}), policy(tmp_path / "b.yaml", {})
    run(flows, "--policies", allowing, code=0)
    result = run(flows, "--policies", closing, code=1)
    assert "would be denied" in result.stdout
    assert "1 would be denied" in result.stderr
    (tmp_path / "none").mkdir()
    assert "no policy here" in run(flows, "--policies", tmp_path / "none", code=2).output
    assert "--policies" in run(flows, code=2).output


def test_the_policies_in_force_are_compared_with(flows: str, tmp_path: Path) -> None:
    """--against tells what changes against the policies in force, and who becomes governed by the new ones."""
    allowing, closing = policy(tmp_path / "a.yaml", {"fromEndpoints": [{}]}), policy(tmp_path / "b.yaml", {})
    result = run(flows, "--policies", closing, "--against", allowing, code=1)
    assert "would be denied" in result.stdout
    assert "newly governed" not in result.stderr
    assert "2 workloads governed" in run(flows, "--policies", closing, code=1).stderr


@pytest.mark.parametrize("output", ["json", "yaml", "md", "html", "sarif", "junit"])
def test_every_format_tells_of_the_change(flows: str, tmp_path: Path, output: str) -> None:
    """All formats name the connection that would be denied."""
    closing = policy(tmp_path / "b.yaml", {})
    text = run(flows, "-q", "--policies", closing, "-o", output, code=1).stdout
    assert "shop/web" in text
    if output in ("json", "yaml"):
        value = json.loads(text) if output == "json" else yaml.safe_load(text)
        assert ["denied", "newly_allowed"] == [each["kind"] for each in value["changes"]]
        assert 1 == len(value["coverage"])
    if output == "sarif":
        sarif = pytest.importorskip("sarif_pydantic", reason="sarif-pydantic is not installed")
        assert ["simulate-denied", "simulate-newly-allowed"] == [
            each.rule_id for each in sarif.Sarif.model_validate_json(text).runs[0].results
        ]
    if output == "junit":
        junitparser = pytest.importorskip("junitparser", reason="junitparser is not installed")
        assert 1 == junitparser.JUnitXml.fromstring(text.encode()).failures


def test_yaml_says_what_json_does(tmp_path: Path) -> None:
    """Also of what is not there: a port, of a flow without one."""
    flows = capture(tmp_path / "flows.json", record(1, l4={}, Summary=""))
    closing = policy(tmp_path / "b.yaml", {})
    as_json, as_yaml = (
        run(flows, "-q", "--policies", closing, "-o", output, code=1).stdout for output in ("json", "yaml")
    )
    value = json.loads(as_json)
    assert value == yaml.safe_load(as_yaml)
    assert value["changes"][0]["port"] is None


def test_many_policies_and_many_changes_are_told_in_few_words(
    flows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of them, and how many more there are; JSON has all."""
    monkeypatch.setattr("flowmine.report.simulateview._ON_A_PAGE", 1)
    files = [
        f"--policies={policy(tmp_path / f'{number}.yaml', {}, name=f'p{number}')}" for number in range(12)
    ]
    text = {
        output: run(flows, "-q", *files, "-o", output, code=1).stdout
        for output in ("table", "json", "html", "sarif", "junit")
    }
    change, other = json.loads(text["json"])["changes"]
    names = change["by"]["ingress"]
    assert 12 == len(names)
    shown = f"{', '.join(names[:8])} and 4 more\n"
    assert shown in text["table"]
    assert (
        f"ingress: {shown.strip()}" in json.loads(text["sarif"])["runs"][0]["results"][0]["message"]["text"]
    )
    assert f"ingress: {shown.strip()}" in text["junit"]
    assert "<p>and 1 more: <code>flowmine simulate -o json</code> has all of it</p>" in text["html"]
    assert "newly allowed</td>" not in text["html"]
    assert "newly_allowed" == other["kind"]


def test_recommended_policies_break_nothing(tmp_path: Path) -> None:
    """What flowmine recommends for a sample denies nothing that was delivered there."""
    made = CliRunner().invoke(main, ["recommend", str(LINKDING), "-q", "-o", str(tmp_path / "made")])
    assert made.exit_code == 0, made.output
    run(LINKDING, "-q", "--policies", tmp_path / "made", code=0)


def test_unused_entries_come_with_the_window() -> None:
    """Entries that no flow used are told with the hours and dates that were looked at."""
    result = run(LINKDING, "--policies", LINKDING / "policies", code=0)
    assert "that no flow used in 24 hours from 2026-11-18" in result.stderr
