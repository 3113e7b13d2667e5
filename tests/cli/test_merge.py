"""`flowmine recommend --into`: from a capture into a person's folder, shown first or written."""

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowmine.cli import main
from flowmine.policy.files import load
from tests.cli.events import LABELS, capture, drop, record

WEB = """\
# The shop's front. Ask the shop team.
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: web
  namespace: shop
spec:
  endpointSelector:
    matchLabels:
      app: web
  ingress:
    - fromEntities: ["world"]   # the customers
"""


def run(*args: str) -> Result:
    """Run `flowmine recommend`."""
    return CliRunner().invoke(main, ["recommend", *args])


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Web reaches api, both seen at their own node, and is dropped on its way out."""
    first = record(1, traffic_direction="EGRESS", trace_observation_point="TO_STACK")
    return capture(tmp_path / "flows.jsonl", first, record(2), drop(3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one policy that somebody wrote."""
    made = tmp_path / "policies"
    made.mkdir()
    (made / "web.yaml").write_text(WEB)
    return made


def test_what_is_missing_is_written_and_told(path: str, folder: Path) -> None:
    """The person's file keeps every line and gains the new section, the other workload gets a file, stderr tells it."""
    result = run(path, "--into", str(folder))
    assert (0, "") == (result.exit_code, result.stdout)
    text = (folder / "web.yaml").read_text()
    assert text.startswith(WEB)
    assert "  egress:\n    # api: 2 flows" in text
    assert (folder / "api.yaml").is_file()
    told = f"{folder}: 1 rule added to 1 file, 1 new policy; 0 of 2 recommended rules were there already"
    assert told in result.stderr.splitlines()


def test_a_dry_run_prints_the_diff_and_writes_nothing(path: str, folder: Path) -> None:
    """What git makes of the printed diff is what a run without --dry-run writes."""
    result = run(path, "--into", str(folder), "--dry-run")
    assert 0 == result.exit_code
    assert [WEB] == [each.read_text() for each in folder.iterdir()]
    run(path, "--into", str(folder))
    written = {each.name: each.read_text() for each in folder.iterdir()}
    for each in folder.iterdir():
        each.unlink()
    (folder / "web.yaml").write_text(WEB)
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    subprocess.run(["git", "apply", "-"], cwd=folder, input=result.stdout, text=True, check=True)
    assert written == {each.name: each.read_text() for each in folder.iterdir() if each.is_file()}


def test_a_second_run_touches_no_file(path: str, folder: Path) -> None:
    """The second run prints an empty diff, and leaves every file as old as it was."""
    run(path, "--into", str(folder))
    ages = {each: each.stat().st_mtime_ns for each in folder.iterdir()}
    assert "" == run(path, "--into", str(folder), "--dry-run").stdout
    assert 0 == run(path, "--into", str(folder)).exit_code
    assert ages == {each: each.stat().st_mtime_ns for each in folder.iterdir()}


def test_a_folder_to_come_is_made(path: str, tmp_path: Path) -> None:
    """Into a folder that is not there goes what -o would write."""
    assert 0 == run(path, "--into", str(tmp_path / "into"), "--evidence", "none").exit_code
    assert 0 == run(path, "-o", str(tmp_path / "out"), "--evidence", "none").exit_code
    into, out = (
        {each.relative_to(root): each.read_text() for each in root.rglob("*.yaml")}
        for root in (tmp_path / "into", tmp_path / "out")
    )
    assert out == into
    assert 2 == len(into)


def test_several_clusters_have_a_folder_each(tmp_path: Path) -> None:
    """Where the capture holds the pods of two clusters, each cluster's policies are merged in a folder of its own."""
    records = []
    for cluster in ("east", "west"):
        ends = {
            f"{end}": {
                "labels": [*LABELS[name], f"k8s:io.cilium.k8s.policy.cluster={cluster}"],
                "cluster_name": cluster,
            }
            for end, name in (("source", "web"), ("destination", "api"))
        }
        for second, point, way in ((1, "TO_STACK", "EGRESS"), (2, "TO_ENDPOINT", "INGRESS")):
            made = record(
                second, trace_observation_point=point, traffic_direction=way, node_name=f"{cluster}/node-1"
            )
            for end, more in ends.items():
                made["flow"][end] = {**made["flow"][end], **more}
            made["node_name"] = f"{cluster}/node-1"
            made["flow"]["uuid"] += cluster
            records.append(made)
    path = capture(tmp_path / "flows.jsonl", *records)
    assert 0 == run(path, "--into", str(tmp_path / "into")).exit_code
    files = sorted(str(each.relative_to(tmp_path / "into")) for each in (tmp_path / "into").rglob("*.yaml"))
    assert [f"{cluster}/shop/{name}.yaml" for cluster in ("east", "west") for name in ("api", "web")] == files
    assert "" == run(path, "--into", str(tmp_path / "into"), "--dry-run").stdout


def test_what_cilium_would_refuse_is_told(path: str, folder: Path) -> None:
    """A policy in the folder that is none is named on stderr and counts for nothing."""
    (folder / "bad.yaml").write_text(
        WEB.replace("name: web", "name: bad").replace('["world"]', '["internet"]')
    )
    result = run(path, "--into", str(folder))
    assert 0 == result.exit_code
    assert f"{folder}/bad.yaml:1:spec.ingress[0].fromEntities[0]: Cilium would refuse it:" in result.stderr
    assert 3 == len(load(folder).documents)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--into", "x", "-o", "y"), "--into and -o contradict each other"),
        (("--dry-run",), "--dry-run shows what --into would do: give --into DIR too"),
        (("--into", "x", "--format", "knp"), "write --format knp beside, with -o"),
        (("--into", "x", "--stage", "observe"), "write --stage observe beside, with -o"),
        (("--into", "x", "--stage", "audit", "--host-policies"), "--host-policies and --stage audit beside"),
    ],
)
def test_what_cannot_be_asked_together_is_told(path: str, args: tuple[str, ...], told: str) -> None:
    """Options that contradict each other are one line and exit 2."""
    result = run(path, *args)
    assert 2 == result.exit_code
    assert told in result.stderr and 1 == len(result.stderr.splitlines())


def test_a_file_in_place_of_a_folder_and_no_yaml_are_told(path: str, folder: Path) -> None:
    """A path that is no folder, and a file that cannot be read, stop the run with a line and nothing written."""
    assert "is a file; name the folder" in run(path, "--into", str(folder / "web.yaml")).stderr
    (folder / "broken.yaml").write_text("a: [")
    result = run(path, "--into", str(folder))
    assert (2, True) == (result.exit_code, "broken.yaml" in result.stderr)
    assert WEB == (folder / "web.yaml").read_text()
