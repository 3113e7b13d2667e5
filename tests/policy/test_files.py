"""Policies are read from files, folders, lists and stdin, with their places; the rest is named."""

import io
from pathlib import Path

import pytest

from flowmine.errors import PolicyError
from flowmine.policy.files import load
from flowmine.policy.model import Kind

CNP = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: {}}}\nspec: {{endpointSelector: {{}}, ingress: [{{}}]}}\n"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"


def places(*paths: Path | str) -> list[str]:
    return [document.where for document in load(*paths).documents]


def test_streams_and_folders(tmp_path: Path) -> None:
    """A folder is read recursively, its files in order; hidden ones and other suffixes are passed over."""
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "b" / "two.yml").write_text(CNP.format("x") + "---\n" + CNP.format("y"))
    (tmp_path / "a.yaml").write_text("---\n" + CNP.format("z"))
    (tmp_path / "c.json").write_text(
        '{"apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup", "metadata": {"name": "g"}}'
    )
    (tmp_path / ".git" / "d.yaml").write_text(CNP.format("hidden"))
    (tmp_path / "notes.txt").write_text("no YAML: [")
    expected = [f"{tmp_path}/{name}" for name in ("a.yaml:1", "b/two.yml:1", "b/two.yml:2", "c.json:1")]
    assert expected == places(tmp_path)


def test_lists_are_taken_apart(tmp_path: Path) -> None:
    """The items of List objects are policies of their own, also where only the list tells their kind."""
    item = "- apiVersion: cilium.io/v2\n  kind: CiliumNetworkPolicy\n  metadata: {name: a}\n  spec: {endpointSelector: {}, ingress: [{}]}\n"
    (tmp_path / "list.yaml").write_text(
        "apiVersion: v1\nkind: List\nitems:\n" + item + "- apiVersion: v1\n  kind: Pod\n"
    )
    bare = "- metadata: {name: b}\n  spec: {endpointSelector: {}, ingress: [{}]}\n"
    (tmp_path / "own.yaml").write_text(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicyList\nitems:\n" + bare
    )
    loaded = load(tmp_path / "list.yaml", tmp_path / "own.yaml")
    assert [Path(each.where).name for each in loaded.documents] == [
        "list.yaml:1:items[0]",
        "own.yaml:1:items[0]",
    ]
    assert [
        (policy.kind, policy.name) for policy in (document.decode() for document in loaded.documents)
    ] == [(Kind.CNP, "a"), (Kind.CNP, "b")]  # fmt: skip
    assert [Path(f"{loaded.skipped[0].where}.spec.x").name] == ["list.yaml:1:items[1].spec.x"]
    assert Path(loaded.documents[1].at("spec.x")).name == "own.yaml:1:items[0].spec.x"


def test_other_kinds_are_named(tmp_path: Path) -> None:
    """What is no policy is passed over and named, in a folder and in a file given by itself."""
    calico = "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: c}\n"
    node = "apiVersion: cilium.io/v2\nkind: CiliumNode\nmetadata: {name: node}\n"
    file = tmp_path / "mixed.yaml"
    file.write_text("---\n".join([POD, CNP.format("p"), calico, node]))
    for path in (tmp_path, file):
        loaded = load(path)
        assert [f"{file}:2"] == [document.where for document in loaded.documents]
        told = [(skipped.where, skipped.what, skipped.reason) for skipped in loaded.skipped]
        assert told == [
            (f"{file}:1", "Pod web", "it is no policy"),
            (f"{file}:3", "NetworkPolicy c", "it is of projectcalico.org, not of Kubernetes"),
            (f"{file}:4", "CiliumNode node", "it is no policy"),
        ]


def test_misspelt_kinds_are_kept(tmp_path: Path) -> None:
    """A kind that nobody knows in the policies' own API groups is kept, to be complained of."""
    file = tmp_path / "p.yaml"
    file.write_text("apiVersion: cilium.io/v2\nkind: CiliumNetPolicy\nmetadata: {name: p}\n")
    (document,) = load(tmp_path).documents
    with pytest.raises(PolicyError, match=r"p\.yaml:1: kind 'CiliumNetPolicy' is no policy"):
        document.decode()


def test_fragments_are_complained_of_where_named(tmp_path: Path) -> None:
    """A document without a kind is passed over in a folder, and kept in a file that is named."""
    file = tmp_path / "fragment.yaml"
    file.write_text("spec:\n  endpointSelector: {}\n")
    assert (places(file), []) != ([], ["a document"])
    assert [f"{file}:1"] == places(file)
    assert [skipped.reason for skipped in load(tmp_path).skipped] == ["it has no kind"]


def test_stdin(tmp_path: Path) -> None:
    """`-` is stdin."""
    loaded = load("-", stdin=io.BytesIO(CNP.format("p").encode()))
    assert [document.where for document in loaded.documents] == ["stdin:1"]


def test_missing_and_broken_files_are_errors(tmp_path: Path) -> None:
    """A path that does not exist, and a file that is no YAML, are errors that name them."""
    with pytest.raises(PolicyError, match=r"absent\.yaml: cannot be read"):
        load(tmp_path / "absent.yaml")
    (tmp_path / "broken.yaml").write_text("a: [\n")
    with pytest.raises(PolicyError, match=r"broken\.yaml:2: this is no YAML"):
        load(tmp_path)


def test_huge_files_are_not_read(tmp_path: Path) -> None:
    """A file beyond the bound is refused without being read whole."""
    file = tmp_path / "huge.yaml"
    with file.open("wb") as stream:
        stream.truncate(1 << 32)
    with pytest.raises(PolicyError, match="more than 32 MiB"):
        load(file)


def test_decoding_names_the_place(tmp_path: Path) -> None:
    """An error of decoding begins with file and document."""
    file = tmp_path / "p.yaml"
    file.write_text(CNP.format("p").replace("ingress", "ingres"))
    (document,) = load(file).documents
    with pytest.raises(
        PolicyError, match=r"p\.yaml:1: CiliumNetworkPolicy p: spec\.ingres: unknown field 'ingres'"
    ):
        document.decode()
