"""`flowmine validate` prints each problem with its place, and its exit code says whether there is one."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowmine.cli import main

GOOD = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\nspec: {endpointSelector: {}, ingress: [{}]}\n"
BAD = GOOD.replace("ingress: [{}]", "egress: [{toPorts: [{ports: [{port: 443}]}]}]")
ODD = GOOD.replace("ingress: [{}]", "ingress: [{icmps: [{fields: [{type: 0}]}]}]")
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"


def run(*arguments: str | Path, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["validate", *map(str, arguments)], input=stdin)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(GOOD + "---\n" + POD)
    (tmp_path / "b.yaml").write_text(GOOD + "---\n" + BAD)
    return tmp_path


def test_good_policies(folder: Path) -> None:
    """Policies that would be taken are silence on stdout and exit 0; other kinds are named on stderr."""
    result = run(folder / "a.yaml")
    assert (0, "") == (result.exit_code, result.stdout)
    assert f"{folder}/a.yaml:2: Pod web passed over: it is no policy\n" in result.stderr
    assert "1 policy checked, 0 would be refused (0 errors, 0 warnings)\n" in result.stderr


def test_bad_policies(folder: Path) -> None:
    """A problem is a line of file, document, path, what is wrong and what to write; exit 1."""
    result = run(folder)
    place = f"{folder}/b.yaml:2:spec.egress[0].toPorts[0].ports[0].port"
    words = 'the port 443 is a number, and a CiliumNetworkPolicy takes ports as texts; write "443", in quotes'
    assert (1, f"{place}: {words}\n") == (result.exit_code, result.stdout)
    assert "3 policies checked, 1 would be refused (1 errors, 0 warnings)\n" in result.stderr


def test_json(folder: Path) -> None:
    """JSON has every problem with its place, and what was passed over."""
    result = run("-o", "json", folder)
    report = json.loads(result.stdout)
    (problem,) = report["problems"]
    assert (1, 3) == (result.exit_code, report["policies"])
    assert (f"{folder}/b.yaml", 2, "schema", "error") == tuple(
        problem[key] for key in ("file", "document", "stage", "severity")
    )
    assert ["Pod web"] == [skipped["what"] for skipped in report["skipped"]]


def test_warnings_are_no_findings() -> None:
    """A policy that is taken but doubtful is told, and exits 0."""
    result = run("-", stdin=ODD)
    assert result.exit_code == 0
    assert result.stdout.startswith("stdin:1:spec.ingress[0].icmps[0].fields[0].type: warning: ")


def test_unknown_fields() -> None:
    """Unknown fields are refused as by kubectl, or dropped with a warning as by the API server."""
    text = GOOD.replace("ingress: [{}]", "ingress: [{}], policyTypes: [Ingress]")
    assert [1, 0] == [run("-", "--unknown", unknown, stdin=text).exit_code for unknown in ("error", "prune")]


def test_options_of_the_agent() -> None:
    """The agent's options make it take node selectors."""
    text = GOOD.replace("ingress: [{}]", "ingress: [{fromNodes: [{}]}]")
    codes = [run("-", *options, stdin=text).exit_code for options in ([], ["--enable-node-selector-labels"])]
    assert [1, 0] == codes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "stdin:2: this is no YAML"),
        (POD, "no policy to check (passed over: 1 Pod)"),
        ("", "no policy to check"),
    ],
)
def test_unreadable_input(text: str, message: str) -> None:
    """What cannot be read, and input without any policy, is one line on stderr and exit 2."""
    result = run("-", stdin=text)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_usage() -> None:
    """A missing file and a missing argument are exit 2."""
    assert [2, 2] == [run("/absent.yaml").exit_code, run().exit_code]


def test_control_characters_stay_out_of_the_terminal() -> None:
    """Whatever keys and values hold, a problem is one printable line."""
    text = GOOD.replace("metadata: {name: p}", 'metadata: {name: p, "x\\e[31m\\ny": 1}')
    result = run("-", stdin=text)
    assert (1, 1) == (result.exit_code, len(result.stdout.splitlines()))
    assert "\x1b" not in result.stdout
