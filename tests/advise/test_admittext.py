"""Changes to the text of a policy: the lines that must change, and no other."""

import difflib

import pytest
import yaml

from flowmine.advise.admitops import END, Op, add, applied, json_patch, pointer, remove
from flowmine.advise.admittext import edited, unified

ENTRY = {"toEntities": ["host"], "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]}

INDENTED = """# kept: the head
spec:
  endpointSelector: {}  # kept: beside
  egress:
    # kept: above an entry
    - toEndpoints:
        - {}

  # kept: below
  description: |
    kept
"""
LEVEL = """spec:
  egress:
  - toEndpoints:
    - {}
  endpointSelector: {}
"""


def changed(before: str, after: str) -> list[str]:
    """The lines that went and came, with their sign."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            INDENTED,
            [
                "+     - toEntities:",
                "+         - host",
                "+       toPorts:",
                "+         - ports:",
                '+             - port: "80"',
                "+               protocol: TCP",
            ],
        ),
        (
            LEVEL,
            [
                "+   - toEntities:",
                "+     - host",
                "+     toPorts:",
                "+     - ports:",
                '+       - port: "80"',
                "+         protocol: TCP",
            ],
        ),
    ],
)
def test_an_entry_is_appended_in_the_files_own_style(text: str, expected: list[str]) -> None:
    """An entry stands behind the last one, indented as the file indents its lists; comments and order stay."""
    assert expected == changed(text, edited(text, 1, [add(("spec", "egress", END), ENTRY)]) or "")


CASES = [
    ("spec:\n  ingress: []\n", [add(("spec", "ingress", END), ENTRY)]),
    ("spec:\n  ingress:\n    - {}\n", [add(("spec", "egress"), [ENTRY])]),
    ("spec: {ingress: [{}]}\nkind: x\n", [add(("spec", "egress"), [ENTRY])]),
    ("a: 1\n---\nspec:\n  ingress:\n  - {}\n---\nb: 2\n", [add(("spec", "ingress", END), ENTRY)]),
    ("spec:\r\n  ingress:\r\n  - {}\r\n", [add(("spec", "ingress", END), ENTRY)]),
    ("spec:\n  ingress:\n  - {}", [add(("spec", "ingress", END), ENTRY), add(("spec", "egress"), [ENTRY])]),
    ("spec:\n  ingress:\n  - fromEntities: [host]\n  - {} # this\n", [remove(("spec", "ingress", 1))]),
    (
        "spec:\n  ports:\n  - port: 'x'\n    note: >\n      two\n      lines\n",
        [add(("spec", "ports", END), {"port": "y"})],
    ),
    ('spec:\n  d: "a\n    b"\n  ports:\n  - "on"\n', [add(("spec", "ports", END), "off")]),
]


@pytest.mark.parametrize(("text", "ops"), CASES)
def test_an_edited_text_means_the_changed_manifest(text: str, ops: list[Op]) -> None:
    """What an edited text says is what the changed manifest says, in its document alone."""
    documents = list(yaml.safe_load_all(text))
    number = 2 if len(documents) > 1 else 1
    after = edited(text, number, ops)
    expected = [
        applied(value, ops) if place + 1 == number else value for place, value in enumerate(documents)
    ]
    assert after is not None
    assert expected == list(yaml.safe_load_all(after))
    assert after.count("\r\n") in (0, after.count("\n"))


@pytest.mark.parametrize(
    ("text", "ops"),
    [
        ('{"spec": {"ingress": []}}', [add(("spec", "ingress", END), {})]),
        (
            "spec:\n  ingress: &here\n  - {}\n  egress: *here\n",
            [add(("spec", "ingress", END), {"toEntities": ["host"]})],
        ),
        ("spec:\n  ingress:\n  - {}\n", [remove(("spec", "ingress", 0))]),
        ("spec: {}\n", [add(("spec", "a"), 1), add(("other", "b"), 1)]),
    ],
)
def test_a_text_that_cannot_be_edited_is_left_alone(text: str, ops: list[Op]) -> None:
    """JSON, aliases that would change too, a list's last item, and paths that lead nowhere give None."""
    assert edited(text, 1, ops) is None


def test_a_diff_tells_a_missing_line_break() -> None:
    """The diff of a file that does not end in a line break says so, so that `patch` takes it."""
    text = unified("a\nb", "a\nb\nc\n", "a/f", "b/f")
    assert "\\ No newline at end of file\n" in text
    assert text.splitlines()[:2] == ["--- a/f", "+++ b/f"]


def test_operations_are_json_patches() -> None:
    """Pointers escape what RFC 6901 asks for, and a removal has no value."""
    assert "/a~1b/~0/0" == pointer(("a/b", "~", 0))
    assert [{"op": "remove", "path": "/a/0"}] == json_patch([remove(("a", 0))])
    with pytest.raises(ValueError, match="another than expected"):
        applied({"a": 1}, [Op("test", ("a",), 2)])
