"""Label selectors match as Cilium's do."""

import pytest

from flowmine.labels import Label, parse
from flowmine.policy.selector import EVERYTHING, Operator, Requirement, Selector, split_key

POD = [
    parse(text)
    for text in ("k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop", "k8s:k8s.app=dotted", "k8s:flag")
]
HOST = [parse("reserved:host"), parse("reserved:remote-node")]
BLOCK = [parse("cidr:10.1.0.0/16"), parse("reserved:world"), parse("cidr:fd00--1/128")]


@pytest.mark.parametrize(
    ("key", "source", "name"),
    [
        ("app", "any", "app"),
        ("any:app", "any", "app"),
        ("k8s:app", "k8s", "app"),
        ("k8s:a:b", "k8s", "a:b"),
        ("k8s.app", "any", "k8s.app"),
        ("reserved:host", "reserved", "host"),
        ("reserved.host", "reserved", "host"),
        ("$host", "reserved", "host"),
        ("cidr:10.0.0.0/8", "cidr", "10.0.0.0/8"),
        (":app", "any", "app"),
        ("app=web", "any", "app"),
        ("foo:app", "foo", "app"),
    ],
)
def test_keys_name_a_source(key: str, source: str, name: str) -> None:
    """A key's source is what is before its first colon, `any` without one; `reserved.` and `$` are reserved."""
    assert (source, name) == split_key(key)


@pytest.mark.parametrize(
    ("labels", "selected"),
    [
        ({}, True),
        ({"app": "web"}, True),
        ({"any:app": "web"}, True),
        ({"k8s:app": "web"}, True),
        ({"reserved:app": "web"}, False),
        ({"app": "db"}, False),
        ({"app": ""}, False),
        ({"k8s.app": "dotted"}, True),
        ({"k8s:flag": ""}, True),
        ({"app": "web", "missing": "x"}, False),
    ],
)
def test_match_labels(labels: dict[str, str], selected: bool) -> None:
    """Every label must be there with the value, from the source that the key names, or from any."""
    assert selected == Selector.of(labels).matches(POD)


@pytest.mark.parametrize(
    ("operator", "key", "values", "selected"),
    [
        ("In", "app", ("web", "api"), True),
        ("In", "app", ("api",), False),
        ("In", "none", ("web",), False),
        ("NotIn", "app", ("web",), False),
        ("NotIn", "app", ("api",), True),
        ("NotIn", "none", ("web",), True),
        ("Exists", "app", (), True),
        ("Exists", "k8s:app", (), True),
        ("Exists", "reserved:app", (), False),
        ("DoesNotExist", "app", (), False),
        ("DoesNotExist", "none", (), True),
    ],
)
def test_match_expressions(operator: str, key: str, values: tuple[str, ...], selected: bool) -> None:
    """NotIn and DoesNotExist hold where the label is missing, In and Exists do not."""
    assert selected == Selector((), (Requirement(key, operator, values),)).matches(POD)


def test_reserved_labels() -> None:
    """A reserved label is matched by its source, and not by a key of Kubernetes' own."""
    assert Selector.of({"reserved:host": ""}).matches(HOST)
    assert not Selector.of({"k8s:host": ""}).matches(HOST)
    assert EVERYTHING.matches(HOST)


@pytest.mark.parametrize(
    ("key", "selected"),
    [
        ("cidr:10.0.0.0/8", True),
        ("cidr:10.1.0.0/16", True),
        ("cidr:10.1.1.0/24", False),
        ("cidr:192.168.0.0/16", False),
        ("cidr:fd00--0/8", True),
        ("cidr:nonsense", False),
    ],
)
def test_cidr_keys_match_by_containment(key: str, selected: bool) -> None:
    """A CIDR key is there where a CIDR label lies within it."""
    assert selected == Selector((), (Requirement(key, "Exists"),)).matches(BLOCK)


def test_kubernetes_selectors_take_keys_whole() -> None:
    """With a source given, keys are of that source, whatever they look like."""
    selector = Selector.of({"k8s.app": "dotted"})
    assert selector.matches(POD, source="k8s")
    assert not selector.matches(POD, source="node")


def test_the_first_label_of_a_key_counts() -> None:
    """Of several sources' labels with one key, a key of any source sees the first in order only."""
    labels = [Label("k8s", "app", "web"), Label("container", "app", "db")]
    assert Selector.of({"app": "db"}).matches(labels)
    assert not Selector.of({"app": "web"}).matches(labels)


def test_terms_read_well() -> None:
    """A term reads as people say it."""
    selector = Selector.of(
        {"app": "web"}, Requirement("k8s:tier", "NotIn", ("b", "a")), Requirement("x", "Exists")
    )
    assert [str(term) for term in selector.terms()] == ["app=web", "k8s:tier NotIn (a, b)", "x Exists"]


def test_unknown_operators_are_refused() -> None:
    """Terms are of the four operators only."""
    with pytest.raises(ValueError, match="Gt"):
        Selector((), (Requirement("a", "Gt", ("1",)),)).terms()


def test_an_operator_as_written_is_the_same_key():
    """A requirement whose operator is still a text equals the one that was read, and is found by it."""
    written, read = Requirement("app", "In", ("web",)), Requirement("app", Operator.IN, ("web",))
    assert {read: 1} == {written: 1}
