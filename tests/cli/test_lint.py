"""`flowmine lint` as people run it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowmine.advise.lint.lines import Lines
from flowmine.cli import main
from tests.cli.events import flow

SLIP = """# a comment
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: good, namespace: shop}
spec:
  endpointSelector: {matchLabels: {app: web}}
  ingress:
  - fromEndpoints:
    - matchLabels: {app: cart}
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: slip, namespace: shop}
spec:
  endpointSelector: {matchLabels: {app: wbe}}
  egress:
  - toCIDR: [192.168.1.22/32]
  - toPorts:
    - ports:
      - port: "443"
"""


def run(*arguments: object, code: int) -> str:
    result = CliRunner().invoke(main, [str(each) for each in ("lint", *arguments)])
    assert code == result.exit_code, result.output
    return result.output


@pytest.fixture
def slip(tmp_path: Path) -> Path:
    path = tmp_path / "slip.yaml"
    path.write_text(SLIP)
    return path


def test_findings_are_told_with_their_lines(slip: Path) -> None:
    """Every finding names the file, the very line, its rule and its fix; the exit code is 1."""
    output = run(slip, code=1)
    assert f"{slip}:18: warning split-ports: CiliumNetworkPolicy/shop/slip spec.egress[1]" in output
    assert f"{slip}:20: warning port-protocol" in output
    assert "2 checked: 2 warnings" in output


def test_good_policies_exit_0(tmp_path: Path) -> None:
    """Without findings the command is quiet on stdout."""
    path = tmp_path / "good.yaml"
    path.write_text(SLIP.partition("---")[0])
    assert "1 checked: nothing found" in run(path, code=0)


@pytest.mark.parametrize("output", ["json", "sarif", "junit", "md"])
def test_every_format_is_printed(slip: Path, output: str) -> None:
    """All formats tell of the split rule."""
    assert "split-ports" in run(slip, "-o", output, code=1)


def test_rules_are_chosen_and_listed(slip: Path) -> None:
    """--rule and --skip choose by id, --rules lists all, a wrong id is a usage error."""
    assert "port-protocol" not in run(slip, "--rule", "split-ports", code=1)
    assert "nothing found" in run(slip, "--skip", "split-ports", "--skip", "port-protocol", code=0)
    assert "split-ports" in run("--rules", code=0)
    assert "no such rule: nonsense" in run(slip, "--rule", "nonsense", code=2)


def test_a_capture_tells_absent_labels(slip: Path, tmp_path: Path) -> None:
    """With --flows, selectors are held against the endpoints seen."""
    flows = tmp_path / "flows.json"
    flows.write_text("".join(json.dumps(flow(second)) + "\n" for second in range(3)))
    output = run(slip, "--flows", flows, "--rule", "absent-label", code=1)
    assert "no endpoint of the capture has app=wbe" in output
    assert "did you mean web?" in output


def test_an_unreadable_file_exits_2(tmp_path: Path) -> None:
    """A file that is not there, that is no YAML, or that holds no policy, is an error of its own."""
    broken, empty = tmp_path / "broken.yaml", tmp_path / "empty.yaml"
    broken.write_text("a: [")
    empty.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    assert "cannot be read" in run(tmp_path / "none.yaml", code=2)
    assert "no YAML" in run(broken, code=2)
    assert "there is no policy to check" in run(empty, code=2)


SAMPLES = Path(__file__).parents[2] / "sample_flows"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("empire", {"fqdn-without-dns"}),
        ("linkding", {"dns-without-tcp", "port-protocol", "few-addresses"}),
        ("node", {"host-selector"}),
        ("three-tier", {"dns-without-tcp", "port-protocol"}),
    ],
)
def test_the_samples_policies_have_their_authors_slips(name: str, expected: set[str]) -> None:
    """What is told of the sample policies, with their traffic, is what is wrong with them."""
    output = run(SAMPLES / name / "policies", "--flows", SAMPLES / name, "-o", "sarif", code=1)
    results = json.loads(output[output.index("{") : output.rindex("}") + 1])["runs"][0]["results"]
    assert expected == {each["ruleId"] for each in results if each["level"] != "note"}


@pytest.mark.parametrize("name", ["empire", "linkding", "node", "three-tier"])
def test_recommended_policies_have_none(name: str, tmp_path: Path) -> None:
    """Nothing graver than a note is found in what flowmine itself recommends."""
    capture = SAMPLES / name
    made = CliRunner().invoke(main, ["recommend", str(capture), "-q", "-o", str(tmp_path / "made")])
    assert made.exit_code == 0, made.output
    run(tmp_path / "made", "--flows", capture, code=0)


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        (1, "spec.ingress[0].fromEndpoints[0].matchLabels", 9),
        (2, "spec.egress[1].toPorts[0].ports[0].port", 20),
        (2, "spec.egress[7]", 16),
        (2, "", 11),
        (3, "spec", None),
    ],
)
def test_a_path_has_the_line_it_stands_in(document: int, path: str, expected: int | None) -> None:
    """A path is followed as far as it exists."""
    assert expected == Lines(SLIP).line(document, path)


def test_keys_with_dots_are_followed() -> None:
    """A label's key may hold dots and be the beginning of another."""
    text = "a:\n  b: 1\n  b.c: 2\n  b.c/d:\n  - x\n  - y\n"
    assert (2, 3, 6) == tuple(Lines(text).line(1, path) for path in ("a.b", "a.b.c", "a.b.c/d[1]"))
