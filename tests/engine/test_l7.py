"""HTTP and DNS rules."""

import pytest

from flowmine.engine.l7 import Request, admits, learned, names
from flowmine.policy.model import FqdnSelector, HeaderMatch, HttpRule, Secret

GET = Request("GET", "/docs?x=1", "api.example.com:80", (("x-token", "42"), ("x-trace", "")))


@pytest.mark.parametrize(
    ("rule", "admitted"),
    [
        (HttpRule(), True),
        (HttpRule(method="GET"), True),
        (HttpRule(method="get"), False),
        (HttpRule(method="G.*"), True),
        (HttpRule(path="/docs"), False),
        (HttpRule(path=r"/docs(\?.*)?"), True),
        (HttpRule(host="api.example.com"), False),
        (HttpRule(host="api.example.com:80"), True),
        (HttpRule(host="(a"), False),
        (HttpRule(headers=("X-Token: 42",)), True),
        (HttpRule(headers=("X-Token: 43",)), False),
        (HttpRule(headers=("X-Trace",)), True),
        (HttpRule(headers=("X-Other",)), False),
        (HttpRule(header_matches=(HeaderMatch("X-Token", "42"),)), True),
        (HttpRule(header_matches=(HeaderMatch("X-Token", "43"),)), False),
        (HttpRule(header_matches=(HeaderMatch("X-Token", "43", mismatch="LOG"),)), True),
        (HttpRule(header_matches=(HeaderMatch("X-Trace"),)), True),
        (HttpRule(header_matches=(HeaderMatch("X-Token", secret=Secret("s")),)), False),
    ],
)
def test_an_http_rule_admits_what_matches_every_field(rule: HttpRule, admitted: bool) -> None:
    """Expressions match in full, methods by case, paths with their query, header values exactly."""
    assert admitted == admits(rule, GET)


def test_a_hostile_expression_takes_no_time_to_speak_of() -> None:
    """An expression that backtracking engines choke on is decided at once."""
    assert not admits(HttpRule(path="/(a+)+$"), Request("GET", "/" + "a" * 20000 + "!"))


def test_text_that_is_no_unicode_is_compared_all_the_same() -> None:
    """A lone surrogate in a path, as broken captures hold, matches nothing and breaks nothing."""
    assert not admits(HttpRule(path="/x"), Request("GET", "/\udc80"))


@pytest.mark.parametrize(
    ("pattern", "named", "not_named"),
    [
        ("*", ["a.io", "we ird!", "."], []),
        ("*.a.io", ["x.a.io", "X.A.io."], ["a.io", "x.y.a.io", "xa.io"]),
        ("**.a.io", ["x.a.io", "x.y.a.io"], ["a.io", "xa.io"]),
        ("sub*.a.io", ["sub.a.io", "sub-1.a.io"], ["sub.x.a.io", "asub.a.io"]),
        ("*a.io", ["a.io", "bba.io"], ["b.a.io"]),
        ("x.*.io", ["x.a.io"], ["x.io", "x.a.b.io"]),
    ],
)
def test_a_pattern_names_whole_names(pattern: str, named: list[str], not_named: list[str]) -> None:
    """A star stays within one part of a name, two at the start span parts, one alone is any name."""
    item = FqdnSelector(match_pattern=pattern)
    assert ([True] * len(named), [False] * len(not_named)) == (
        [names(item, name) for name in named],
        [names(item, name) for name in not_named],
    )


def test_a_name_is_compared_without_case_and_trailing_dot() -> None:
    """`matchName` is the same name however it is written."""
    assert names(FqdnSelector(match_name="API.x.io."), "api.X.io")


def test_a_dot_in_a_pattern_is_a_dot() -> None:
    """No character of a pattern but the star has a meaning of its own."""
    assert not names(FqdnSelector(match_pattern="*.a.io"), "x.abio")


def test_a_label_that_holds_the_item_counts_as_its_name() -> None:
    """An identity's `fqdn:` label names the toFQDNs item, pattern or not."""
    assert learned(FqdnSelector(match_pattern="*.a.io"), "*.a.io")
