"""Entries put into a manifest's text: what was there stays as it was, byte for byte, whatever its style."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flowmine.policy.mergetext import Insertion, Outline, Unfit
from flowmine.policy.yamlread import read_documents

WORLD: dict[str, Any] = {"toEntities": ["world"]}
HEAD = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: web}\n"


def added(text: str, *insertions: Insertion) -> str:
    return Outline(text).with_entries(insertions)


def egress(*entries: dict[str, Any], comment: str = "", path: tuple[str | int, ...] = ("spec",)) -> Insertion:
    return Insertion(1, path, "egress", tuple((entry, comment) for entry in entries))


STYLES = {
    "lists as deep as their key": (
        "spec:\n  endpointSelector: {}\n  egress:\n  - toEntities:\n    - host   # the node\n",
        "spec:\n  endpointSelector: {}\n  egress:\n  - toEntities:\n    - host   # the node\n  - toEntities:\n    - world\n",
    ),
    "lists deeper than their key": (
        "spec:\n  endpointSelector: {}\n  egress:\n    - toEntities:\n        - host\n",
        "spec:\n  endpointSelector: {}\n  egress:\n    - toEntities:\n        - host\n    - toEntities:\n        - world\n",
    ),
    "the section is not the last": (
        "spec:\n  egress:\n  - {}\n  # who it is for\n  endpointSelector: {}\n",
        "spec:\n  egress:\n  - {}\n  - toEntities:\n    - world\n  # who it is for\n  endpointSelector: {}\n",
    ),
    "comments that belong to the list": (
        "spec:\n  egress:\n    - {}\n    # - toEntities: [all]\n\n      # not yet\n  # next\n  endpointSelector: {}\n",
        "spec:\n  egress:\n    - {}\n    # - toEntities: [all]\n\n      # not yet\n    - toEntities:\n        - world\n"
        "  # next\n  endpointSelector: {}\n",
    ),
    "no line break at the end": (
        "spec:\n  endpointSelector: {}\n  egress:\n  - {}",
        "spec:\n  endpointSelector: {}\n  egress:\n  - {}\n  - toEntities:\n    - world",
    ),
    "another document follows": (
        "spec:\n  endpointSelector: {}\n  egress:\n  - {}\n---\n# two\nspec: {}\n",
        "spec:\n  endpointSelector: {}\n  egress:\n  - {}\n  - toEntities:\n    - world\n---\n# two\nspec: {}\n",
    ),
    "brackets on one line": (
        "spec:\n  endpointSelector: {}\n  egress: [{}, {toEntities: [host]}]  # closed\n  description: a\n",
        "spec:\n  endpointSelector: {}\n  egress:  # closed\n  - {}\n  - {toEntities: [host]}\n  - toEntities:\n    - world\n"
        "  description: a\n",
    ),
    "empty brackets": (
        "spec:\n  endpointSelector: {}\n  egress: []\n",
        "spec:\n  endpointSelector: {}\n  egress:\n  - toEntities:\n    - world\n",
    ),
    "brackets over several lines": (
        "spec:\n  endpointSelector: {}\n  egress: [\n    {},  # closed\n  ]\n",
        'spec:\n  endpointSelector: {}\n  egress: [\n    {},\n    {\n      "toEntities": [\n        "world"\n      ]\n    },'
        "  # closed\n  ]\n",
    ),
    "nothing behind the key": (
        "spec:\n  endpointSelector: {}\n  egress:  # to come\n  description: a\n",
        "spec:\n  endpointSelector: {}\n  egress:  # to come\n  - toEntities:\n    - world\n  description: a\n",
    ),
    "no such section, after ingress": (
        "spec:\n  endpointSelector: {}\n  ingress:\n    - {}\n      # so\n  description: a\n",
        "spec:\n  endpointSelector: {}\n  ingress:\n    - {}\n      # so\n  egress:\n    - toEntities:\n        - world\n"
        "  description: a\n",
    ),
    "no such section, after the selector": (
        "spec:\n  endpointSelector:\n    matchLabels:\n      app: web # us\n  # end\n",
        "spec:\n  endpointSelector:\n    matchLabels:\n      app: web # us\n  egress:\n  - toEntities:\n    - world\n  # end\n",
    ),
    "quoted keys": (
        '"spec":\n  "endpointSelector": {}\n  "egress":\n  - {}\n',
        '"spec":\n  "endpointSelector": {}\n  "egress":\n  - {}\n  - toEntities:\n    - world\n',
    ),
    "a rule in braces": (
        "spec: {endpointSelector: {}, egress: [{}]}\n",
        'spec: {endpointSelector: {}, egress: [{}, {"toEntities": ["world"]}]}\n',
    ),
    "a rule in braces without the section": (
        "spec: {endpointSelector: {}}\n",
        'spec: {endpointSelector: {}, "egress": [{"toEntities": ["world"]}]}\n',
    ),
    "windows lines": (
        "spec:\r\n  endpointSelector: {}\r\n  egress:\r\n  - {}\r\n",
        "spec:\r\n  endpointSelector: {}\r\n  egress:\r\n  - {}\r\n  - toEntities:\r\n    - world\r\n",
    ),
}


@pytest.mark.parametrize("style", STYLES)
def test_an_entry_comes_where_it_belongs(style: str) -> None:
    """In every style the entry follows those that are there, in the style of the file, and nothing else changes."""
    before, after = STYLES[style]
    assert after == added(before, egress(WORLD))
    old, new = (next(iter(read_documents(text, "x"))).value for text in (before, after))
    old["spec"]["egress"] = [*(old["spec"].get("egress") or []), WORLD]
    assert old == new


def test_a_comment_stands_above_its_entry() -> None:
    """Each added entry has its own comment above it, on the column of its dash."""
    assert (
        "spec:\n  endpointSelector: {}\n  egress:\n    - {}\n    # why\n    # so\n    - toEntities:\n        - world\n"
    ) == added("spec:\n  endpointSelector: {}\n  egress:\n    - {}\n", egress(WORLD, comment="why\nso"))


def test_json_stays_json() -> None:
    """In a JSON file entries and sections are added in its own layout."""
    spec = {"endpointSelector": {}, "ingress": [{}]}
    text = json.dumps({"spec": spec}, indent=2) + "\n"
    more = added(
        text, egress(WORLD), Insertion(1, ("spec",), "ingress", (({"fromEntities": ["host"]}, "lost"),))
    )
    expected = {"spec": {**spec, "ingress": [{}, {"fromEntities": ["host"]}], "egress": [WORLD]}}
    assert json.dumps(expected, indent=2) + "\n" == more
    compact = json.dumps({"spec": spec})
    assert json.dumps({"spec": {**spec, "egress": [WORLD]}}) == added(compact, egress(WORLD))


def test_items_of_lists_and_specs_are_reached() -> None:
    """A rule inside the items of a List object, and one of several specs, is found by its path."""
    text = "items:\n- specs:\n  - endpointSelector: {}\n    egress:\n    - {}\n  - endpointSelector: {app: b}\n- spec: 1\n"
    made = added(
        text, egress(WORLD, path=("items", 0, "specs", 1)), egress(WORLD, path=("items", 0, "specs", 0))
    )
    assert (
        "items:\n- specs:\n  - endpointSelector: {}\n    egress:\n    - {}\n    - toEntities:\n      - world\n"
        "  - endpointSelector: {app: b}\n    egress:\n    - toEntities:\n      - world\n- spec: 1\n"
    ) == made


def test_both_directions_at_once_keep_their_order() -> None:
    """A section that grows at the place where a new one begins comes first, whichever is asked for first."""
    text = "spec:\n  endpointSelector: {}\n  ingress:\n  - {}\n"
    ingress = Insertion(1, ("spec",), "ingress", (({"fromEntities": ["host"]}, ""),))
    expected = (
        "spec:\n  endpointSelector: {}\n  ingress:\n  - {}\n  - fromEntities:\n    - host\n"
        "  egress:\n  - toEntities:\n    - world\n"
    )
    assert expected == added(text, ingress, egress(WORLD)) == added(text, egress(WORLD), ingress)
    bare = "spec:\n  endpointSelector: {}\n"
    made = added(bare, egress(WORLD), ingress)
    assert made.index("ingress:") < made.index("egress:")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &x {b: 1}\nspec:\n  endpointSelector: *x\n", "aliases"),
        ("spec:\n  endpointSelector: {app: &n web}\n  description: *n\n", "aliases"),
        ("spec:\n  endpointSelector: {}\n  egress: &in\n  - {}\n", "anchor"),
        ("spec:\n  endpointSelector: {}\n  egress: &in [{}]\n", "anchor"),
        ("spec:\n  endpointSelector: {}\n  egress: ~\n", "no list"),
        ("spec:\n  endpointSelector: {}\n  egress: {a: 1}\n", "no list"),
        ("spec:\n  description: nobody\n", "endpointSelector"),
        ("spec:\n  endpointSelector:\n    matchLabels:\n      app: |\n        web\n", "several lines"),
        ("specs: []\n", "where it was"),
        ("spec: [1]\n", "no object"),
        ("spec: {\tendpointSelector: {}", "cannot be extended"),
        ("", "where it was"),
    ],
)
def test_what_cannot_be_extended_in_place_is_refused(text: str, why: str) -> None:
    """Aliases, anchors and odd forms are refused with the reason: nothing is guessed."""
    with pytest.raises(Unfit, match=why):
        added(text, egress(WORLD))


@given(
    st.lists(
        st.fixed_dictionaries({"toEntities": st.lists(st.sampled_from(["world", "host"]), max_size=2)}),
        max_size=3,
    ),
    st.sampled_from([0, 2, 4]),
    st.booleans(),
    st.booleans(),
    st.text(alphabet="a# :-\n'\"", max_size=12),
)
def test_any_layout_means_what_it_meant_and_the_addition(
    entries: list[dict[str, Any]], deeper: int, flow: bool, last: bool, comment: str
) -> None:
    """For rules of any number of entries, laid out anyhow, the text gains the addition, and loses no line."""
    dumped = yaml.safe_dump(entries, default_flow_style=flow, sort_keys=False)
    pad = " " * (2 + deeper + 2 * flow)
    lines = [f"{pad}{line}" for line in dumped.splitlines()]
    rest = "  description: x\n" if last else ""
    section = "  egress:\n" + "".join(f"{line}\n" for line in lines) if entries else "  egress: []\n"
    text = f"{HEAD}spec:\n  endpointSelector: {{}}\n{section}{rest}"
    made = added(text, egress(WORLD, comment=comment))
    (document,) = read_documents(made, "made")
    assert [*entries, WORLD] == document.value["spec"]["egress"]
    after = iter(made.splitlines())
    kept = [line for line in text.splitlines() if "egress:" not in line and not flow]
    assert [] == [line for line in kept if line not in after]
