"""Saving a draft: into the one folder, whole or not at all, through no link."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from flowmine.errors import UsageError
from flowmine.policy.codec import from_dict
from flowmine.policy.model import Policy
from flowmine.web.draft import Draft, Paper, paper_of
from flowmine.web.saving import Saver
from tests.web.making import sample_desk


@pytest.fixture
def draft() -> Draft:
    """Return the policies in force of a sample as a draft."""
    return sample_desk("linkding")._draft


def saved(folder: Path) -> dict[str, str]:
    """Return the files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def named(draft: Draft, name: str, namespace: str = "shop") -> Draft:
    """Return the draft with one policy more, of this name."""
    policy = next(iter(draft.papers.values())).policy
    paper = paper_of(replace(policy, name=name, namespace=namespace))
    return draft.with_papers({f"CiliumNetworkPolicy/{namespace}/{name}": paper}, "")


def test_every_policy_is_a_file_by_namespace_and_name(tmp_path, draft):
    """What is written means what the draft means, and nothing else is left in the folder."""
    told = Saver(tmp_path / "new" / "drafts").save(draft)
    files = saved(tmp_path / "new")
    assert sorted(f"drafts/{path}" for path in told.written) == sorted(files)
    assert {paper.policy for paper in draft.papers.values()} == {
        from_dict(yaml.safe_load(text)) for text in files.values()
    }
    assert {f"drafts/{p.policy.namespace}/{p.policy.name}.yaml" for p in draft.papers.values()} == set(files)


def test_a_later_save_takes_back_what_an_earlier_one_wrote(tmp_path, draft):
    """A policy that has gone takes its file along; files of others, and those changed since, stay."""
    saver = Saver(tmp_path)
    saver.save(named(named(draft, "first"), "second"))
    (tmp_path / "shop" / "second.yaml").write_text("mine now\n", "utf-8")
    (tmp_path / "notes.yaml").write_text("a: 1\n", "utf-8")
    told = saver.save(draft)
    assert (("shop/first.yaml",), ("notes.yaml", "shop/second.yaml")) == (told.withdrawn, told.others)
    assert not (tmp_path / "shop" / "first.yaml").exists()


@pytest.mark.parametrize("link", ["linkding", "linkding/deny-all.yaml"])
@pytest.mark.parametrize("inside", [True, False])
def test_no_link_is_followed(tmp_path, draft, link, inside):
    """A link in the folder, to wherever, stops the save before anything is written."""
    folder, other = tmp_path / "drafts", tmp_path / ("drafts/real" if inside else "other")
    (folder / link).parent.mkdir(parents=True)
    other.mkdir(parents=True)
    (folder / link).symlink_to(other if link == "linkding" else other / "file")
    with pytest.raises(UsageError, match="symbolic link"):
        Saver(folder).save(draft)
    assert ([], []) == (
        list(other.iterdir()),
        [path for path in folder.rglob("*.yaml") if not path.is_symlink()],
    )


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", ".", "", "UPPER", "a\nb", "/etc/passwd", "x" * 300])
def test_names_are_those_of_kubernetes(tmp_path, draft, name):
    """A name that Kubernetes would not take is no part of a path, as a name and as a namespace; nothing is written."""
    for made in (named(draft, name), named(draft, "fine", name)) if name else (named(draft, name),):
        with pytest.raises(UsageError, match="nothing was saved"):
            Saver(tmp_path / "drafts").save(made)
    assert [] == list(tmp_path.rglob("*"))


def test_what_stands_in_the_way_leaves_all_as_it_was(tmp_path, draft):
    """A folder where a file should be: none of the others is written, and nothing is left beside them."""
    paths = sorted(
        paper.policy.name for paper in draft.papers.values() if paper.policy.namespace == "linkding"
    )
    (tmp_path / "linkding" / f"{paths[-1]}.yaml" / "full").mkdir(parents=True)
    with pytest.raises(UsageError, match="nothing was saved"):
        Saver(tmp_path).save(draft)
    assert {} == saved(tmp_path)


def test_kinds_of_one_name_are_two_files(tmp_path, draft):
    """A NetworkPolicy and a CiliumNetworkPolicy may share namespace and name."""
    value = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny-all", "namespace": "linkding"},
        "spec": {"podSelector": {}},
    }
    assert isinstance(from_dict(value), Policy)
    both = draft.with_papers({"NetworkPolicy/linkding/deny-all": Paper(value)}, "")
    assert "linkding/deny-all~NetworkPolicy.yaml" in Saver(tmp_path).save(both).written
