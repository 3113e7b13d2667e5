"""HTTP rules: what they admit, and how large their expressions are."""

import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from flowmine.policy.portrule import HttpRule
from flowmine.synth.http import HttpRules, http_rules, program_size
from flowmine.synth.options import Options
from flowmine.synth.paths import Request


def _admits(rules: HttpRules, method: str, path: str) -> bool:
    """Whether Envoy would let a request through: method and path (with its query) match fully, by RE2."""
    assert rules.rules is not None
    return any(
        re2.fullmatch(rule.method or ".*", method) is not None
        and re2.fullmatch(rule.path or ".*", path) is not None
        for rule in rules.rules
    )


def test_written_as_a_person_would() -> None:
    """Literal paths are anchored and plain, a query is allowed only where one was seen."""
    found = http_rules(
        [Request("GET", "/docs"), Request("GET", "/search?"), Request("POST", "/a.b/7")], Options()
    )
    assert found.rules == (
        HttpRule("POST", r"^/a\.b/[0-9]+$"),
        HttpRule("GET", "^/docs$"),
        HttpRule("GET", r"^/search(\?.*)?$"),
    )


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/user/7/orders", True),
        ("GET", "/user/123/orders", True),
        ("GET", "/user/7/orders?x=1", False),
        ("GET", "/user/7/orders/8", False),
        ("GET", "/user/../orders", False),
        ("POST", "/user/7/orders", False),
        ("GET", "/find?q=1&r=/../x", True),
        ("GET", "/find", True),
    ],
)
def test_admits_the_like_and_nothing_else(method: str, path: str, expected: bool) -> None:
    """Fresh ids pass, other segments, methods and unseen queries do not."""
    found = http_rules([Request("GET", "/user/12/orders"), Request("GET", "/find?")], Options())
    assert expected == _admits(found, method, path)


def test_too_large_a_template_becomes_a_prefix() -> None:
    """A template beyond the limit is cut to the longest prefix within it, and says so."""
    path = "/tenant/7/" + "very-long-literal-segment/" * 4 + "end"
    found = http_rules([Request("GET", path)], Options())
    (rule,) = found.rules or ()
    assert rule.path == "^/tenant/[0-9]+/very-long-literal-segment/very-long-literal-segment/.*$"
    assert [note.kind for note in found.notes] == ["prefix"]
    assert _admits(found, "GET", path)


def test_too_many_rules_become_prefixes() -> None:
    """More rules than the limit are cut to common prefixes, which end at a segment."""
    paths = [f"/{area}/{page}" for area in ("shop", "blog") for page in "abcdefghijklmnopqrstuvwxyz"]
    found = http_rules([Request("GET", path, 90) for path in paths], Options(template_slugs=0))
    assert [rule.path for rule in found.rules or ()] == ["^/blog([/?].*)?$", "^/shop([/?].*)?$"]
    assert not _admits(found, "GET", "/shopping")


def test_what_cannot_be_said_is_left_alone() -> None:
    """Where first segments alone are too many, HTTP is not restricted at all, and that is told."""
    paths = ["/" + a + b for a in "abcdefgh" for b in "abcdefgh"]
    found = http_rules([Request("GET", path, 90) for path in paths], Options(template_slugs=0))
    assert found.rules is None
    assert [note.kind for note in found.notes] == ["l4"]


def test_hostile_text_is_only_text() -> None:
    """Characters with a meaning in expressions match themselves, in path and method."""
    found = http_rules([Request("GET|POST", "/a.b(c)*[d]^$|{1}\\+")], Options().exact())
    assert _admits(found, "GET|POST", "/a.b(c)*[d]^$|{1}\\+")
    assert not _admits(found, "GET", "/a.b(c)*[d]^$|{1}\\+")
    assert not _admits(found, "GET|POST", "/aXb(c)*[d]^$|{1}\\+")


def test_sizes_are_those_that_envoy_measures() -> None:
    """A literal is one instruction a character unless it is anchored; what RE2 refuses is refused here."""
    assert program_size("/" + "a" * 199) > 200
    assert program_size("^/" + "a" * 199 + "$") < 10
    with pytest.raises(ValueError, match="not an RE2 expression"):
        program_size("(?=x)")


_SEGMENT = st.one_of(
    st.text("abcxyz.-_~%$&'()*+,;=:@!", min_size=0, max_size=30),
    st.integers(0, 10**6).map(str),
    st.uuids().map(str),
    st.binary(min_size=6, max_size=16).map(bytes.hex),
)
_REQUESTS = st.lists(
    st.builds(
        lambda method, segments, query, count: Request(method, "/" + "/".join(segments) + query, count),
        st.sampled_from(["GET", "POST", "DELETE"]),
        st.lists(_SEGMENT, max_size=6),
        st.sampled_from(["", "?"]),
        st.integers(1, 100),
    ),
    min_size=1,
    max_size=60,
)


@given(_REQUESTS, st.booleans())
def test_every_request_seen_is_admitted_by_expressions_that_envoy_takes(
    requests: list[Request], exact: bool
) -> None:
    """Whatever was seen passes, with its query, and every expression written is within the limit."""
    options = Options().exact() if exact else Options()
    found = http_rules(requests, options)
    if found.rules is None:
        assert [note.kind for note in found.notes] == ["l4"]
        return
    for rule in found.rules:
        assert program_size(rule.path or "") <= options.program_size
        assert program_size(rule.method or "") <= options.program_size
        re.compile(rule.path or "")
    for request in requests:
        path = request.path + "a=1" if request.path.endswith("?") else request.path
        assert _admits(found, request.method, path)
