"""Policies as documents: comments, streams and folders."""

import json

import pytest

from flowmine.errors import UsageError
from flowmine.policy.codec import from_yaml
from flowmine.report.jsontext import json_lines
from flowmine.report.policies import EvidenceIn, as_list, folder, stream, write_folder
from flowmine.synth.evidence import Witness
from flowmine.synth.options import Options
from flowmine.synth.scope import Scope
from flowmine.synth.synthesise import synthesise
from tests.synth.made import Capture, pod

WEB = pod("shop", "", "Deployment/web", app="web")
API = pod("shop", "", "Deployment/api", app="api")


def _made(*captured):
    edges = (captured[0] if captured else Capture().talk(WEB, API, 8080)).edges()
    return synthesise(edges, Options(), Scope()).proposals, Witness(edges).of


@pytest.mark.parametrize("where", list(EvidenceIn))
def test_evidence_changes_no_rule(where):
    """Whatever is told beside the rules, the rules are the same."""
    proposals, witness = _made()
    read = from_yaml(stream(proposals, witness, where))
    assert [each.policy.rules for each in proposals] == [each.rules for each in read]


def test_comments_say_why_a_rule_is_there():
    """Above each entry stands whom it is for and what was seen, and a closed direction is announced."""
    text = stream(*_made())
    assert "# web: 100 flows, 2026-11-20 08:00 to 10:00 UTC" in text
    assert "# it was not seen to call anybody: closed" in text


def test_annotations_hold_the_same():
    """With annotations the evidence is in the object and reaches the cluster."""
    proposals, witness = _made()
    api = next(as_list(proposals, witness, EvidenceIn.ANNOTATIONS)["items"])
    assert (
        "web: 100 flows, 2026-11-20 08:00 to 10:00 UTC"
        == api["metadata"]["annotations"]["flowmine/ingress-0"]
    )


def test_a_list_is_what_kubectl_takes():
    """JSON is a List object of all policies."""
    proposals, witness = _made()
    made = json.loads("\n".join(json_lines(as_list(proposals, witness, EvidenceIn.NONE))))
    assert ("v1", "List", ["api", "web"]) == (
        made["apiVersion"],
        made["kind"],
        [item["metadata"]["name"] for item in made["items"]],
    )


def test_text_from_flows_cannot_leave_its_comment():
    """A label value is written by whoever made the pod; as a comment it stays one."""
    nasty = pod("shop", "", "Deployment/x\n  ingress: []\n#", app="nasty")
    text = stream(*_made(Capture().talk(nasty, API, 80)))
    assert [each.name for each in from_yaml(text)] == sorted(each.name for each in from_yaml(text))
    assert 2 == len(from_yaml(text))


def test_folders_are_by_namespace():
    """Each policy is a file of its own, below its namespace."""
    proposals, witness = _made(Capture().talk(WEB, pod("bank", app="ledger"), 80))
    assert {"bank/ledger.yaml", "shop/web.yaml"} == set(folder(proposals, witness))


def test_clusters_have_folders_of_their_own():
    """Policies of several clusters lie below their cluster's name, and a stream says whose they are."""
    capture = Capture().talk(WEB, API, 80)
    capture.talk(pod("shop", cluster="east", app="web"), pod("shop", cluster="east", app="api"), 80)
    proposals, witness = _made(capture)
    assert {
        f"{cluster}/shop/{name}.yaml" for cluster in ("default", "east") for name in ("api", "web")
    } == set(folder(proposals, witness))
    assert stream(proposals, witness).startswith("# cluster default\n")


def test_a_folder_is_written_whole_and_again(tmp_path):
    """A second run replaces what it writes anew, leaves all else as it is, and names what may be old."""
    target = tmp_path / "out"
    assert () == write_folder({"shop/web.yaml": "a", "shop/api.yaml": "b"}, target)
    (target / "notes.txt").write_text("mine")
    assert ("shop/api.yaml",) == write_folder({"shop/web.yaml": "c", "bank/web.yaml": "d"}, target)
    found = {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()}
    assert {"notes.txt": "mine", "shop/web.yaml": "c", "shop/api.yaml": "b", "bank/web.yaml": "d"} == found
    assert ["out"] == [path.name for path in tmp_path.iterdir()]


def test_no_policies_are_an_empty_folder(tmp_path):
    """A capture from which no policy comes is no error: the folder is made, and what it held stays."""
    assert () == write_folder({}, tmp_path / "out")
    assert [] == list((tmp_path / "out").iterdir())
    (tmp_path / "out" / "api.yaml").write_text("a")
    assert ("api.yaml",) == write_folder({}, tmp_path / "out")


def test_a_failed_write_leaves_nothing(tmp_path):
    """A target that cannot be written is an error in words, and nothing partial stays."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        write_folder({"shop/web.yaml": "a"}, tmp_path / "file" / "out")
    with pytest.raises(UsageError, match="it is a file"):
        write_folder({"shop/web.yaml": "a"}, tmp_path / "file")
    with pytest.raises(UsageError, match="cannot write"):
        write_folder({"shop/web.yaml": "a", "shop/web.yaml/api.yaml": "b"}, tmp_path / "out")
    assert ["file"] == [path.name for path in tmp_path.iterdir()]
