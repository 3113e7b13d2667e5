"""`flowmine report` from the command line."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from flowmine.cli import main

SAMPLES = Path(__file__).parents[2] / "sample_flows"


def run(*arguments):
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def test_a_page_is_written_and_told_of(tmp_path):
    """The page is a file that appears whole; the closing line says what is in it."""
    out = tmp_path / "report.html"
    done = run(SAMPLES / "linkding", "--policies", SAMPLES / "linkding" / "policies", "-o", out)
    assert 0 == done.exit_code
    assert out.read_text("utf-8").startswith("<!doctype html>")
    assert "connections between" in done.stderr
    assert ["report.html"] == [path.name for path in tmp_path.iterdir()]


def test_stdout_takes_the_page():
    """`-o -` is for pipes."""
    done = CliRunner().invoke(main, ["report", str(SAMPLES / "node"), "-q", "-o", "-"])
    assert (0, "") == (done.exit_code, done.stderr)
    assert done.stdout.startswith("<!doctype html>")


@pytest.mark.parametrize(("name", "read"), [("map.svg", ElementTree.fromstring), ("view.json", json.loads)])
def test_the_map_and_the_model_alone(tmp_path, name, read):
    """The name of the file says what it is to be."""
    assert 0 == run(SAMPLES / "node", "-o", tmp_path / name).exit_code
    read((tmp_path / name).read_text("utf-8"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-o", "report.pdf"], "name such a file"),
        (["--redact", "names"], "--redact takes ips and pods, not names"),
        (["--policies", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_options_are_told_at_once(tmp_path, monkeypatch, arguments, told):
    """A format, a kind of redaction or a path that there is none of ends with exit 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    done = run(SAMPLES / "node", *arguments)
    assert (2, []) == (done.exit_code, list(tmp_path.iterdir()))
    assert told in done.output


def test_redaction_reaches_the_model(tmp_path):
    """No pod and no outside address of the capture is left, and the page says that it is redacted."""
    plain, hidden = tmp_path / "plain.json", tmp_path / "hidden.json"
    assert 0 == run(SAMPLES / "linkding", "-o", plain).exit_code
    assert 0 == run(SAMPLES / "linkding", "-o", hidden, "--redact", "ips,pods").exit_code
    view = json.loads(plain.read_text("utf-8"))
    secrets = {pod for node in view["nodes"] for pod in node["pods"]}
    secrets |= {address for each in view["connections"] for address in each["addresses"]}
    text = hidden.read_text("utf-8")
    assert len(secrets) > 10
    assert [] == sorted(secret for secret in secrets if f'"{secret}"' in text)
    assert "replaced by stand-ins" in json.loads(text)["remarks"][0]


def test_a_capture_without_labels_still_makes_a_report(tmp_path):
    """Text has no labels, so nothing is recommended; the page says so and shows the rest."""
    capture = tmp_path / "flows.txt"
    lines = CliRunner().invoke(main, ["flows", str(SAMPLES / "node"), "-q", "-o", "compact"]).stdout
    capture.write_text(lines, encoding="utf-8")
    done = run(capture, "-o", tmp_path / "view.json")
    assert 0 == done.exit_code, done.output
    view = json.loads((tmp_path / "view.json").read_text("utf-8"))
    assert [] == [policy for policy in view["policies"] if policy["origin"] == "recommended"]
    assert any("no policy can be recommended" in remark for remark in view["remarks"])
    assert view["connections"]


def test_the_title_is_chosen(tmp_path):
    """A title is what the page calls itself; without one it is the names of the inputs."""
    for options, expected in (([], "node"), (["--title", "Before the audit"], "Before the audit")):
        assert 0 == run(SAMPLES / "node", "-o", tmp_path / "view.json", *options).exit_code
        assert expected == json.loads((tmp_path / "view.json").read_text("utf-8"))["title"]
