"""Folders of policies: what is in force, what can be extended, where new files go, and what is never written."""

import json
from pathlib import Path
from typing import Any

import pytest

from flowmine.errors import PolicyError, UsageError
from flowmine.policy.merge import Folder, read_folder
from flowmine.policy.model import Direction, Kind, Policy, Rule, Selector

EGRESS = Direction.EGRESS
WORLD: dict[str, Any] = {"toEntities": ["world"]}
ADDITION = ((WORLD, ""),)


def cnp(name: str, namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    """A manifest with a rule for the pods of that name."""
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"endpointSelector": {"matchLabels": {"app": name}}, "egress": [{}], **spec},
    }


def put(path: Path, *manifests: dict[str, Any]) -> Path:
    """Write manifests as YAML with a comment."""
    import yaml

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("# by hand\n" + yaml.safe_dump_all(manifests, sort_keys=False))
    return path


def new(name: str, namespace: str = "shop") -> Policy:
    rule = Rule(endpoint_selector=Selector.of({"app": name}))
    return Policy(Kind.CNP, name, namespace=namespace, rules=(rule,))


def names(folder: Folder, *policies: Policy) -> list[str]:
    """Where the folder puts new policies."""
    return [change.name for change in folder.add((policy, "") for policy in policies)]


def test_all_policies_of_a_folder_are_read(tmp_path: Path) -> None:
    """Files, streams, lists and subfolders are read; what is no policy, or only routes, is passed over."""
    put(tmp_path / "a.yaml", cnp("web"), {"kind": "Service", "apiVersion": "v1"})
    put(tmp_path / "deep" / "b.yaml", {"kind": "List", "apiVersion": "v1", "items": [cnp("api"), cnp("db")]})
    group = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumCIDRGroup",
        "metadata": {"name": "vpn"},
        "spec": {"externalCIDRs": ["10.9.0.0/16"]},
    }
    (tmp_path / "c.json").write_text(json.dumps(group))
    folder = read_folder(tmp_path)
    assert ["web", "api", "db"] == [each.name for each in folder.policies]
    assert ["vpn"] == [each.name for each in folder.groups]
    assert () == folder.problems


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """A folder to come holds nothing; a file in its place is refused."""
    assert () == read_folder(tmp_path / "none").policies
    file = put(tmp_path / "a.yaml", cnp("web"))
    with pytest.raises(UsageError, match="is a file; name the folder"):
        read_folder(file)


def test_refused_policies_are_told_and_out_of_force(tmp_path: Path) -> None:
    """A policy that Cilium would refuse is named with the reason; one that comes twice counts as it came last."""
    put(tmp_path / "a.yaml", cnp("bad", ingress=[{"fromCIDR": ["172.224.3/32"]}]), cnp("web"))
    put(tmp_path / "b.yaml", cnp("web", egress=[WORLD]))
    folder = read_folder(tmp_path)
    assert [f"{tmp_path}/b.yaml:1"] == [each.document.where for each in folder.written]
    assert frozenset({"CiliumNetworkPolicy/shop/bad"}) == folder.refused
    refused, twice = folder.problems
    assert refused.startswith(f"{tmp_path}/a.yaml:1:spec.ingress[0].fromCIDR[0]: Cilium would refuse it: ")
    assert f"{tmp_path}/b.yaml:1: it takes the place of an earlier policy of that name" == twice


def test_a_file_that_is_no_yaml_stops_everything(tmp_path: Path) -> None:
    """What cannot be read may hold a policy in force: nothing is merged beside it."""
    (tmp_path / "a.yaml").write_text("a: [")
    with pytest.raises(PolicyError, match=r"a\.yaml"):
        read_folder(tmp_path)


def test_extensions_keep_bytes_marks_and_line_ends(tmp_path: Path) -> None:
    """The byte-order mark, Windows line ends and every other document of a file stay."""
    text = (
        "\ufeffapiVersion: cilium.io/v2\r\nkind: CiliumNetworkPolicy\r\nmetadata: {name: web, namespace: shop}\r\n"
        "spec:\r\n  endpointSelector: {matchLabels: {app: web}}\r\n  egress:\r\n  - {}\r\n---\r\n# not ours\r\na: 1\r\n"
    )
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode())
    folder = read_folder(tmp_path)
    (change,) = folder.extend({(0, 0, EGRESS): ADDITION})
    assert text.replace("  - {}\r\n", "  - {}\r\n  - toEntities:\r\n    - world\r\n").encode() == change.after
    assert ("a.yaml", path, text.encode()) == (change.name, change.path, change.before)


def test_rules_of_specs_and_lists_are_extended(tmp_path: Path) -> None:
    """With spec and specs in one policy, in the item of a list, each rule is extended in its own place."""
    manifest = cnp("web")
    manifest["specs"] = [{"endpointSelector": {"matchLabels": {"app": "b"}}, "egress": [{}]}]
    put(tmp_path / "a.yaml", {"kind": "List", "apiVersion": "v1", "items": [cnp("api"), manifest]})
    folder = read_folder(tmp_path)
    assert f"{tmp_path}/a.yaml:1:items[1].specs[0]" == folder.written[1].place(1)
    (change,) = folder.extend({(1, 1, EGRESS): ADDITION, (1, 0, EGRESS): ADDITION})
    change.path.write_bytes(change.after)
    rules = read_folder(tmp_path).policies[1].rules
    assert [(None, ("world",))] * 2 == [
        tuple(entry.entities for entry in rule.egress or ()) for rule in rules
    ]


def test_only_what_can_be_extended_in_place_is_offered(tmp_path: Path) -> None:
    """Clusterwide policies, NetworkPolicies, aliases and other encodings take no entries."""
    wide = cnp("wide")
    wide["kind"] = "CiliumClusterwideNetworkPolicy"
    del wide["metadata"]["namespace"]
    put(tmp_path / "a.yaml", cnp("web"), wide)
    knp = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "k", "namespace": "shop"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"]},
    }
    put(tmp_path / "b.yaml", knp)
    text = (
        json.dumps(cnp("alias"))
        .replace('{"app"', '&labels {"app"')
        .replace("[{}]", "[{toEndpoints: [*labels]}]")
    )
    (tmp_path / "c.yaml").write_text(text.replace("[*labels]", "[{matchLabels: *labels}]"))
    (tmp_path / "d.yaml").write_bytes(json.dumps(cnp("wide-text")).encode("utf-16"))
    folder = read_folder(tmp_path)
    assert {"web": True, "wide": False, "k": False, "alias": False, "wide-text": False} == {
        each.policy.name: folder.takes(each, 0, EGRESS) for each in folder.written
    }


def test_links_out_of_the_folder_are_read_and_never_written(tmp_path: Path) -> None:
    """A linked file outside counts as in force but takes nothing; one inside is extended where it really is, once."""
    outside = put(tmp_path / "elsewhere" / "a.yaml", cnp("out"))
    inside = put(tmp_path / "dir" / ".data" / "b.yaml", cnp("in"))
    (tmp_path / "dir" / "a.yaml").symlink_to(outside)
    (tmp_path / "dir" / "b.yaml").symlink_to(inside)
    (tmp_path / "dir" / "c.yaml").symlink_to(inside)
    folder = read_folder(tmp_path / "dir")
    assert {"out": False, "in": True} == {
        each.policy.name: folder.takes(each, 0, EGRESS) for each in folder.written
    }
    (change,) = folder.extend({(1, 0, EGRESS): ADDITION})
    assert inside == change.path


def test_a_folder_of_links_gets_no_file_elsewhere(tmp_path: Path) -> None:
    """Where the namespace's folder leads out of the folder, a new file goes into the folder itself."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "dir" / "ops").mkdir(parents=True)
    put(tmp_path / "dir" / "ops" / "a.yaml", cnp("a", "ops"))
    (tmp_path / "dir" / "shop").symlink_to(tmp_path / "elsewhere")
    assert ["shop-web.yaml"] == names(read_folder(tmp_path / "dir"), new("web"))


def test_new_policies_go_beside_those_of_their_namespace(tmp_path: Path) -> None:
    """New files follow the folder's layout: per namespace, flat, or as `recommend -o` lays them out."""
    assert ["shop/web.yaml"] == names(read_folder(tmp_path / "none"), new("web"))
    put(tmp_path / "tree" / "prod" / "shop" / "a.yaml", cnp("a"))
    put(tmp_path / "tree" / "prod" / "ops" / "b.yaml", cnp("b", "ops"))
    tree = read_folder(tmp_path / "tree")
    assert ["lab/x.yaml", "prod/shop/web.yaml"] == names(tree, new("web"), new("x", "lab"))
    put(tmp_path / "flat" / "a.yaml", cnp("a"))
    flat = read_folder(tmp_path / "flat")
    assert ["lab-x.yaml", "web.yaml"] == names(flat, new("web"), new("x", "lab"))
    put(tmp_path / "flat" / "b.yaml", cnp("b", "ops"))
    assert ["shop-web.yaml"] == names(read_folder(tmp_path / "flat"), new("web"))


def test_no_file_that_is_there_is_taken(tmp_path: Path) -> None:
    """Another file of that name, a folder too, and a second new policy each get a number."""
    put(tmp_path / "shop" / "a.yaml", cnp("a"))
    (tmp_path / "shop" / "web.yaml").write_text("# notes\n")
    (tmp_path / "shop" / "web-2.yaml").mkdir()
    assert ["shop/web-3.yaml", "shop/web-4.yaml"] == names(read_folder(tmp_path), new("web"), new("web"))


@pytest.mark.parametrize(
    ("namespace", "name", "expected"),
    [
        ("../../etc", "web", "__.._etc/web.yaml"),
        ("/etc", "passwd", "_etc/passwd.yaml"),
        ("..", "..", "_/_.yaml"),
        ("shop", "../x", "shop/__x.yaml"),
        (".hidden", "a\nb", "_hidden/a_b.yaml"),
    ],
)
def test_names_from_a_capture_lead_nowhere_else(
    tmp_path: Path, namespace: str, name: str, expected: str
) -> None:
    """Whatever a flow calls a namespace or a workload, the file lies inside the folder and is not hidden."""
    assert [expected] == names(read_folder(tmp_path / "none"), new(name, namespace))


def test_kustomizations_that_must_list_new_files_are_named(tmp_path: Path) -> None:
    """Above a new file every kustomization is named; for extended files none is."""
    put(tmp_path / "shop" / "a.yaml", cnp("a"))
    (tmp_path / "shop" / "kustomization.yaml").write_text("resources: [a.yaml]\n")
    (tmp_path / "kustomization.yml").write_text("resources: [shop]\n")
    folder = read_folder(tmp_path)
    made = folder.add([(new("web"), "")])
    assert ["kustomization.yml", "shop/kustomization.yaml"] == folder.unlisted(made)
    assert [] == folder.unlisted(folder.extend({(0, 0, EGRESS): ADDITION}))
