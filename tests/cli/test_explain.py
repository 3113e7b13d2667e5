"""`flowmine explain` as people call it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowmine.cli import main

SAMPLE = Path(__file__).parents[2] / "sample_flows" / "three-tier"


def _run(*arguments):
    return CliRunner().invoke(main, ["explain", str(SAMPLE), *map(str, arguments)])


def test_rules_traffic_and_completeness_are_told():
    """The text has each rule with its evidence, the connections with their rules, and the completeness."""
    found = _run("--policy", SAMPLE / "policies")
    assert 0 == found.exit_code
    assert (
        "CiliumNetworkPolicy/default/backend-policy\n  spec.egress[0]: 346 flows in 20 of 24 hours"
        in found.stdout
    )
    assert "default/backend-policy:ingress[0]" in found.stdout
    assert "completeness over 24 hours" in found.stdout
    assert "rules" in found.stderr


def test_json_is_one_object(tmp_path):
    """JSON holds the same, on stdout or in a file."""
    out = tmp_path / "out.json"
    found = _run("--policy", SAMPLE / "policies", "-q", "-o", "json", "-d", out)
    assert (0, "") == (found.exit_code, found.stdout)
    assert {"hours", "rules", "edges", "completeness"} == set(json.loads(out.read_text()))


@pytest.mark.parametrize("arguments", [[], ["--policy", "no-such-file"]])
def test_missing_policies_are_an_error(arguments):
    """Without policies, or with a path that is not there, one line says so."""
    found = _run(*arguments)
    assert 2 == found.exit_code and "Traceback" not in found.stderr
