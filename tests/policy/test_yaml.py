"""YAML is read as Kubernetes' tools read it, and what is hostile is refused at once."""

from typing import Any

import pytest

from flowmine.errors import PolicyError
from flowmine.policy.yamlread import MAX_BYTES, MAX_DEPTH, read_documents


def values(text: str | bytes) -> list[Any]:
    return [document.value for document in read_documents(text, "x.yaml")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("n", False),
        ("Off", False),
        ("'yes'", "yes"),
        ('"1"', "1"),
        ("~", None),
        ("", None),
        ("80", 80),
        ("010", 8),
        ("0080", 80.0),
        ("0x50", 80),
        ("1_000", 1000),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("1.2.3", "1.2.3"),
        (".inf", ".inf"),
        ("<<", "<<"),
        ("!!str 80", "80"),
        ("!!int 80", 80),
        ("! 80", "80"),
        ("!!bool true", True),
    ],
)
def test_scalars(text: str, value: object) -> None:
    """A plain scalar has the type that kubectl gives it; quotes make a text."""
    ((key, found),) = values(f"a: {text}\n")[0].items()
    assert ("a", value, type(value)) == (key, found, type(found))


def test_keys_are_texts() -> None:
    """Keys that are no texts are written as JSON writes them."""
    assert values("on: 1\n010: 2\n'a': 3\n") == [{"true": 1, "8": 2, "a": 3}]


def test_documents_have_places() -> None:
    """Each document has its place in the stream and its first line; empty ones are counted and passed over."""
    text = "# nothing\n---\na: 1\n---\n---\n\n# c\n- 2\n...\n---\n~\n"
    found = [(document.value, document.index, document.line) for document in read_documents(text, "x")]
    assert found == [({"a": 1}, 0, 3), ([2], 2, 8)]


def test_json_is_read() -> None:
    """JSON is read as such, with its own escapes; what only looks like JSON is read as YAML."""
    assert values('{"a": ["\\ud83d\\ude00", "\\/", 1]}') == [{"a": ["\U0001f600", "/", 1]}]
    assert values("{a: b}") == [{"a": "b"}]
    assert values("[1]\n---\n[2]\n") == [[1], [2]]


def test_aliases_are_followed() -> None:
    """An alias stands for its anchor's value, in lists and objects, within a document."""
    assert values("a: &x {b: 1}\nc: [*x, *x]\n") == [{"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}]
    with pytest.raises(PolicyError, match="alias"):
        values("a: &x 1\n---\nb: *x\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding: str) -> None:
    """UTF-8 with or without a mark, and UTF-16 with one, are read."""
    assert values("a: ü\n".encode(encoding)) == [{"a": "ü"}]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{','.join(['*' + chr(97 + level)] * 10)}]\n"
    for level in range(12)
)
HOSTILE = {
    "alias bomb": (BOMB, "aliases counted in full"),
    "alias bomb of texts": (
        "a: &a '" + "x" * 10_000_000 + "'\nb: [" + "*a," * 1000 + "]\n",
        "aliases counted in full",
    ),
    "alias of itself": ("a: &a [*a]\n", "alias"),
    "nested aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 80)),
        "nested more",
    ),
    "deep flow": ("a: " + "[" * 200_000, "nested more"),
    "deep JSON": ("[" * 200_000 + "]" * 200_000, "nested more"),
    "deep blocks": ("- " * 100_000 + "x", "nested more"),
    "deep objects": ("\n".join(" " * level + "a:" for level in range(300)), "nested more"),
    "100 MB": ("a: '" + "x" * (100 << 20) + "'", "more than 32 MiB"),
    "Python tag": ("!!python/object/apply:os.system ['exit 1']", "tag"),
    "own tag": ("a: !vault x", "tag"),
    "own tag on a list": ("a: !x [1]", "tag"),
    "wrong tag": ("a: !!int x", "tag"),
    "binary tag": ("a: !!binary aGk=", "tag"),
    "redefined tag": ("%TAG !! tag:evil,2020:\n---\na: !!str x\n", "tag"),
    "duplicate keys": ("a: 1\nb: 2\na: 3\n", "x.yaml:3: the key 'a' is there twice"),
    "duplicate keys of JSON": ('{"a": {"b": 1, "b": 2}}', "'b' is there twice"),
    "merge keys": ("a: &x {b: 1}\nc:\n  <<: *x\n", "x.yaml:3: merge keys"),
    "a list as key": ("? [a]\n: b\n", "key must be a text"),
    "a null key": ("~: b\n", "key must be a text"),
    "an object as key by alias": ("a: &x {b: 1}\n*x : c\n", "key must be a text"),
    "a huge key": ("? " + "x" * 2000 + "\n: 1\n", "more than 1024 characters"),
    "a huge key of JSON": ('{"' + "x" * 2000 + '": 1}', "more than 1024 characters"),
    "tabs": ("a:\n\tb: 1\n", "x.yaml:2: this is no YAML"),
    "unclosed": ("a: [1\n", "this is no YAML"),
    "control characters": ("a: \x00", "this is no YAML"),
    "no text": (b"\xff\xfe\x00\xd8", "no UTF-8"),
    "latin-1": ("a: ü".encode("latin-1"), "no UTF-8"),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_yaml_is_refused(name: str) -> None:
    """What would exhaust time or memory, make objects, or be read in two ways, is refused with a clear word."""
    text, message = HOSTILE[name]
    with pytest.raises(PolicyError) as caught:
        values(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_values_are_refused() -> None:
    """A stream has a bound on its values, in YAML and in JSON."""
    for text in ("- a\n" * 2_100_000, "[" + "1," * 2_100_000 + "1]"):
        with pytest.raises(PolicyError, match="more than 2000000 values"):
            values(text)


def test_bounds_are_beyond_what_policies_need() -> None:
    """Nesting just within the bound is read, and so is a text just below the size's."""
    depth = MAX_DEPTH - 1
    assert len(values("[" * depth + "]" * depth)) == 1
    assert [len(each) for each in values("'" + "x" * (MAX_BYTES - 10) + "'")] == [MAX_BYTES - 10]


def test_repeated_keys_can_be_taken() -> None:
    """Where the API server's leniency is asked for, the last of a key's repetitions counts."""
    for text in ("a: 1\na: 2\n", '{"a": 1, "a": 2}'):
        assert [document.value for document in read_documents(text, "x", repeated_keys=True)] == [{"a": 2}]
