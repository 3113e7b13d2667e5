"""`flowmine recommend` as people call it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowmine.cli import main
from flowmine.policy.codec import from_yaml
from tests.cli.events import capture, record

SAMPLE = str(Path(__file__).parents[2] / "sample_flows" / "three-tier")


def _run(*arguments):
    """Run the command; return (exit code, stdout, stderr)."""
    found = CliRunner().invoke(main, ["recommend", *map(str, arguments)])
    return found.exit_code, found.stdout, found.stderr


def _names(text):
    return [each.ref for each in from_yaml(text)]


def test_policies_on_stdout_and_talk_on_stderr():
    """Stdout is a YAML stream of policies alone; what was read and proved is told on stderr."""
    code, out, err = _run(SAMPLE)
    assert 0 == code
    assert [
        f"CiliumNetworkPolicy/default/{name}" for name in ("backend", "batch", "database", "frontend")
    ] == _names(out)
    assert "flows read" in err and "5 workloads, 4 policies" in err and "all allowed" in err


def test_a_folder_and_json_hold_the_same(tmp_path):
    """The three forms of output hold the same policies."""
    _, out, _ = _run(SAMPLE, "-q")
    _, listed, _ = _run(SAMPLE, "-q", "-o", "json")
    code, nothing, _ = _run(SAMPLE, "-q", "-o", tmp_path / "out")
    assert (0, "") == (code, nothing)
    files = sorted((tmp_path / "out").rglob("*.yaml"))
    assert ["backend", "batch", "database", "frontend"] == [file.stem for file in files]
    assert {"default"} == {file.parent.name for file in files}
    assert out == "---\n".join(file.read_text() for file in files)
    assert [item["metadata"]["name"] for item in json.loads(listed)["items"]] == [file.stem for file in files]


def test_the_same_capture_gives_the_same_bytes():
    """Twice the same run is twice the same text."""
    assert _run(SAMPLE, "-q")[1] == _run(SAMPLE, "-q")[1]


@pytest.mark.parametrize(
    "option", ["--pod=default/web", "--verdict", "-t", "--since", "--last", "--not", "--to-port", "-l"]
)
def test_filters_that_hide_traffic_are_refused(option):
    """A filter of hubble observe would hide part of a workload's traffic: a sentence says so."""
    code, out, err = _run(SAMPLE, option, "x")
    assert (2, "") == (code, out)
    assert "would hide part of a workload's traffic" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", "a", "-A"], "contradict"),
        (["--l7", "kafka"], "--l7 takes http and dns"),
        (["--set", "nothing=1"], "write NAME=VALUE"),
        (["--set", "world_clients=many"], "world_clients is a int"),
        (["--set", "world_clients=-1"], "cannot be negative"),
        (["--cilium", "1.9"], "1.14 is the oldest"),
        (["--include-dropped", "a in (b"], "no label selector"),
        (["no-such-file"], "no-such-file"),
    ],
)
def test_bad_options_are_one_line(arguments, message):
    """An option that cannot be understood is one line that says which and what to write; nothing is on stdout."""
    code, out, err = _run(SAMPLE, *arguments)
    assert (2, "") == (code, out)
    assert message in err and "Traceback" not in err


def test_the_system_is_left_out_unless_asked_for():
    """kube-dns gets no policy by default, and one with a warning when asked for."""
    assert "kube-system" not in " ".join(_names(_run(SAMPLE, "-q")[1]))
    out = _run(SAMPLE, "-q", "--include-system", "-n", "kube-system")[1]
    assert ["CiliumNetworkPolicy/kube-system/coredns"] == _names(out)
    assert out.startswith("# WARNING")


def test_known_blocks_are_named(tmp_path):
    """An address inside a block that a person named is allowed by the block, with its name in the comment."""
    known = tmp_path / "known.txt"
    known.write_text("# ours\n172.27.224.0/24 the vpn\n")
    out = _run(SAMPLE, "-q", "--known", known)[1]
    assert "- 172.27.224.0/24" in out and "the vpn" in out


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("known.txt", "10.0.0.1/8 x\n", "known.txt:1"),
        ("known.csv", "cidr,name\n10.0.0.0/8,\n", "known.csv:2"),
        ("known.yaml", "- a\n", "expected names"),
        ("known.yaml", "vpn: nonsense\n", "known.yaml: vpn"),
    ],
)
def test_a_bad_known_file_names_the_place(tmp_path, name, text, message):
    """A block that cannot be read is told by file and line."""
    known = tmp_path / name
    known.write_text(text)
    code, _, err = _run(SAMPLE, "--known", known)
    assert 2 == code and message in err


def test_exact_allows_no_unseen_name_or_address():
    """With every generalisation off there is no pattern, no world and no wider block."""
    out = _run(SAMPLE, "-q", "--exact")[1]
    assert "*.cloud.google.com" not in out and "world" not in out and "storage.cloud.google.com" in out


def test_needless_rules_are_told_on_request():
    """With --prove the run says that no rule is needless, or which."""
    assert "without any one rule" in _run(SAMPLE, "--prove")[2]


@pytest.mark.parametrize("field", ["l4", "verdict"])
def test_a_capture_without_what_rules_are_made_of_is_refused(tmp_path, field):
    """Where a field mask left out every port or every verdict, closing all would be the answer: it is refused."""
    events = [record(n, **{field: None}) for n in range(3)]
    code, out, err = _run(capture(tmp_path / "masked.jsonl", *events))
    assert (2, "", 1) == (code, out, len(err.splitlines()))
    assert f"no policy can be recommended: no event carries {field}: " in err
    assert "fieldMask" in err
