"""`flowmine drops` on the command line: its formats, exit codes, and how much fits on a screen."""

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from flowmine.cli import main
from flowmine.policy.validate import is_accepted, validate
from tests.cli.events import capture, drop, pod, record

SAMPLES = Path(__file__).parents[2] / "sample_flows"
LINKDING = str(SAMPLES / "linkding")
CLOSED = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumNetworkPolicy",
    "metadata": {"name": "closed", "namespace": "shop"},
    "spec": {"endpointSelector": {}, "egress": [{}]},
}


def run(*args: object, code: int) -> Result:
    """Run the command and check its exit code."""
    result = CliRunner().invoke(main, ["drops", *map(str, args)])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def dropped(tmp_path: Path) -> str:
    """A capture with one drop at egress, and one that its policies would allow."""
    return capture(tmp_path / "flows.json", record(1), drop(2), drop(3))


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """The policies in force."""
    path = tmp_path / "policies" / "closed.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(CLOSED))
    return path


def test_the_table_has_a_line_a_group(dropped: str, closed: Path) -> None:
    """The table tells who, to whom, port, cause and change; the summary on stderr how many; exit 1."""
    result = run(dropped, "--policies", closed, code=1)
    lines = result.stdout.splitlines()
    assert ["FROM", "TO", "PORT", "DROPS", "CAUSE", "CHANGE", "ALSO", "MIND"] == lines[0].split()
    assert "shop/web" in lines[1] and "192.0.2.9" in lines[1] and "no rule: egress" in lines[1]
    assert 2 == len(lines)
    assert "1 group of drops that policies refuse" in result.stderr


def test_nothing_refused_is_exit_0(dropped: str, tmp_path: Path) -> None:
    """Where the policies in force allow it now, or nothing was dropped, the exit code is 0."""
    allowing = {**CLOSED, "spec": {"endpointSelector": {}, "egress": [{"toEntities": ["world"]}]}}
    path = tmp_path / "open.yaml"
    path.write_text(yaml.safe_dump(allowing))
    assert "gone" in run(dropped, "--policies", path, code=0).stdout
    assert "" == run(capture(tmp_path / "quiet.json", record(1)), code=0).stdout


def test_errors_are_one_line(dropped: str, closed: Path, tmp_path: Path) -> None:
    """A path without policies and contradicting options are errors, exit 2."""
    (tmp_path / "none").mkdir()
    assert "no policy here" in run(dropped, "--policies", tmp_path / "none", code=2).output
    both = run(dropped, "--policies", tmp_path, "--from-cluster", code=2).output
    assert "contradict" in both
    assert "NAME=PORT" in run(dropped, "--policies", closed, "--named-port", "http", code=2).output


def test_filters_of_hubble_choose_drops(closed: Path) -> None:
    """The filters of `hubble observe` choose whose drops are told."""
    policies = ("--policies", SAMPLES / "linkding" / "policies")
    lines = run(LINKDING, *policies, "--from-namespace", "payments", code=1).stdout.splitlines()[1:]
    assert lines
    assert all(line.startswith("payments/") for line in lines)


def test_json_holds_everything() -> None:
    """JSON names cause, sides, policies, change, diff, command and patch of each group."""
    report = json.loads(
        run(LINKDING, "--policies", SAMPLES / "linkding" / "policies", "-o", "json", code=1).stdout
    )
    assert 14 == len(report["drops"])
    first = report["drops"][0]
    assert "no_rule" == first["cause"]
    assert [] == first["also"]
    change = first["change"][0]
    assert change["diff"].startswith("--- a/")
    assert [op["op"] for op in change["patch"]] == ["add"]
    assert json.dumps(change["patch"][0]["value"])[:20] in change["command"]


@pytest.mark.parametrize("name", ["empire", "linkding", "node", "three-tier"])
def test_yaml_is_policies_that_kubernetes_takes(name: str) -> None:
    """YAML is a stream of whole objects that the API server and Cilium take, with the drops as comments."""
    text = run(SAMPLES / name, "-q", "--policies", SAMPLES / name / "policies", "-o", "yaml", code=1).stdout
    documents = list(yaml.safe_load_all(text))
    assert documents
    for document in documents:
        assert {"apiVersion", "kind", "metadata", "spec"} <= {*document, "spec"}
        assert is_accepted(list(validate(document)))
    assert " drops" in text.splitlines()[0]


def test_diffs_apply_with_patch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The diffs of a report, applied one by one by `patch`, give files with which nothing is refused."""
    if shutil.which("patch") is None:
        pytest.skip("patch is not installed")
    shutil.copytree(SAMPLES / "linkding" / "policies", tmp_path / "policies")
    monkeypatch.chdir(tmp_path)
    for _ in range(20):
        report = json.loads(
            CliRunner().invoke(main, ["drops", "-q", LINKDING, "--policies", "policies", "-o", "json"]).stdout
        )
        edits = [edit for each in report["drops"] if each["stands"] for edit in each["change"]]
        if not edits:
            break
        subprocess.run(
            ["patch", "-p1" if edits[0]["action"] != "create" else "-p0", "-s"],
            input=edits[0]["diff"],
            text=True,
            check=True,
        )
    run(LINKDING, "-q", "--policies", "policies", code=0)


def test_markdown_has_a_section_a_group() -> None:
    """Markdown has a table and, for each group, its diff and its command in fences, folded."""
    text = run(LINKDING, "-q", "--policies", SAMPLES / "linkding" / "policies", "-o", "md", code=1).stdout
    assert 14 == text.count("<details>")
    assert text.count("```diff") == text.count("```sh") >= 14


def test_sarif_and_junit_are_read_by_others() -> None:
    """SARIF passes a model of the standard and points into policy files; JUnit has a failure a group."""
    sarif = pytest.importorskip("sarif_pydantic", reason="sarif-pydantic is not installed")
    junitparser = pytest.importorskip("junitparser", reason="junitparser is not installed")
    policies = SAMPLES / "linkding" / "policies"
    log = sarif.Sarif.model_validate_json(
        run(LINKDING, "-q", "--policies", policies, "-o", "sarif", code=1).stdout
    )
    results = log.runs[0].results
    assert 14 == len(results)
    places = [each.locations[0].physical_location for each in results if each.locations[0].physical_location]
    assert places
    assert all(each.artifact_location.uri.endswith(".yaml") and each.region.start_line > 1 for each in places)
    text = run(LINKDING, "-q", "--policies", policies, "-o", "junit", code=1).stdout
    suites = junitparser.JUnitXml.fromstring(text.encode())
    assert (14, 14) == (suites.tests, suites.failures)


class Tags(HTMLParser):
    """Collects tags and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = "<script>alert(1)</script>"


def hostile(tmp_path: Path) -> str:
    """A capture whose names are markup."""
    source = {
        **pod("web", 1),
        "workloads": [{"name": HOSTILE, "kind": "Deployment"}],
        "labels": [f"k8s:app={HOSTILE}", "k8s:io.kubernetes.pod.namespace=shop"],
    }
    return capture(tmp_path / "hostile.json", record(1), drop(2, source=source, destination_names=[HOSTILE]))


def test_html_escapes_what_flows_say(tmp_path: Path) -> None:
    """No text of a flow becomes markup, in HTML as in markdown."""
    page = Tags()
    page.feed(run(hostile(tmp_path), "-q", "-o", "html", code=1).stdout)
    assert "script" not in page.tags
    assert {"table", "style"} <= set(page.tags)
    text = run(hostile(tmp_path), "-q", "-o", "md", code=1).stdout
    assert not any(
        "<script>" in line for line in text.splitlines() if not line.startswith(("+", "kubectl", "-", " "))
    )


def test_html_opens_in_a_browser(tmp_path: Path) -> None:
    """Chromium shows the page with every group, and finds nothing to load or to run."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed")
    path = tmp_path / "drops.html"
    run(LINKDING, "-q", "--policies", SAMPLES / "linkding" / "policies", "-o", "html", "-d", path, code=1)
    made = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    page = Tags()
    page.feed(made.stdout)
    assert 14 == page.tags.count("details")
    assert "linkding/bookmark-sync" in page.text


def labelled(app: str, number: int) -> dict[str, Any]:
    """A pod of an app of its own."""
    labels = [f"k8s:app={app}", "k8s:io.kubernetes.pod.namespace=shop"]
    return {
        **pod("web", number),
        "labels": labels,
        "pod_name": f"{app}-0",
        "workloads": [{"name": app, "kind": "StatefulSet"}],
    }


def test_real_drops_are_all_there_among_scans(tmp_path: Path) -> None:
    """Of 20,000 drops of scans and thirty real ones, the report fits one screen and holds all thirty."""
    events = []
    for number in range(20_000):
        ports = {"source_port": 40000, "destination_port": 1 + number * 7 % 60000, "flags": {"SYN": True}}
        ends = {"source": f"203.0.113.{number % 7}", "destination": "10.0.0.2", "ipVersion": "IPv4"}
        event = drop(
            1,
            source={"identity": 2, "labels": ["reserved:world"]},
            destination=labelled("app0", 2),
            IP=ends,
            l4={"TCP": ports},
            traffic_direction="INGRESS",
        )
        event["flow"]["uuid"] = f"scan-{number}"
        events.append(event)
    for number in range(30):
        ports = {"source_port": 40000, "destination_port": 8000 + number, "flags": {"SYN": True}}
        ends = {"source": f"10.1.0.{number}", "destination": f"10.1.1.{number}", "ipVersion": "IPv4"}
        for again in range(6):
            event = drop(
                2 + again * 9,
                source=labelled(f"app{number}", number),
                destination=labelled(f"app{number + 1}", number + 1),
                IP=ends,
                l4={"TCP": ports},
                traffic_direction="INGRESS",
            )
            event["flow"]["uuid"] = f"real-{number}-{again}"
            events.append(event)
    lines = run(capture(tmp_path / "scan.json", *events), "-q", code=1).stdout.splitlines()
    real = [line for line in lines if "/TCP" in line]
    assert {f"{8000 + number}/TCP" for number in range(30)} == {line.split()[2] for line in real}
    assert len(lines) <= 40
    assert 20_000 == sum(int(line.split()[-2]) for line in lines if line.endswith("scan"))
