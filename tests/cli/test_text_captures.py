"""Text captures on the command line: listed and judged, and refused where labels are needed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowmine.cli import main
from tests.cli.events import flow

TEXT = """Mar 14 13:55:24.606: shop/web-0:40000 (ID:25001) -> shop/api-0:8080 (ID:25002) to-endpoint FORWARDED (TCP Flags: SYN)
Mar 14 13:55:24.706: shop/web-0:40000 (ID:25001) <- shop/api-0:8080 (ID:25002) to-endpoint FORWARDED (TCP Flags: SYN, ACK)
Mar 14 13:55:24.806: shop/xwing:40001 (ID:25003) <> shop/api-0:8080 (ID:25002) Policy denied DROPPED (TCP Flags: SYN)
"""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "capture.txt"
    path.write_text(TEXT)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_flows_prints_a_text_capture_again(text: Path) -> None:
    """`flowmine flows` gives the same lines."""
    result = run("flows", text, "-q")
    assert (0, TEXT) == (result.exit_code, result.stdout)


def test_flows_filters_a_text_capture(text: Path) -> None:
    """Filters work on what text says."""
    result = run("flows", text, "-q", "--verdict", "DROPPED")
    assert TEXT.splitlines()[2:] == result.stdout.splitlines()


def test_edges_are_made_of_a_text_capture(text: Path) -> None:
    """Delivery and drops are seen, by pods' names."""
    result = run("edges", text, "-q", "-o", "json")
    found = json.loads(result.stdout)
    assert (0, ["delivered", "dropped"]) == (result.exit_code, sorted(each["outcome"] for each in found))
    table = run("edges", text, "-q").stdout
    assert all(name in table for name in ("shop/web-0", "shop/api-0", "shop/xwing"))


@pytest.mark.parametrize("beside", [False, True])
def test_recommend_says_why_it_needs_json(text: Path, tmp_path: Path, beside: bool) -> None:
    """`flowmine recommend` refuses a text capture in one line, also among JSON."""
    (tmp_path / "flows.json").write_text(json.dumps(flow(1)) + "\n")
    result = run("recommend", tmp_path if beside else text, "-q")
    assert (2, "") == (result.exit_code, result.stdout)
    (line,) = result.stderr.splitlines()
    assert "text carries no labels" in line
    assert "record with hubble observe -o jsonpb" in line


def test_recommend_refuses_a_capture_without_labels(tmp_path: Path) -> None:
    """An exporter's field mask that left labels out is told with the mask to use."""
    event = flow(1)
    for end in ("source", "destination"):
        del event[end]["labels"]
    path = tmp_path / "flows.json"
    path.write_text(json.dumps(event) + "\n")
    result = run("recommend", path, "-q")
    assert 2 == result.exit_code
    assert "labels" in result.stderr and "fieldMask" in result.stderr
