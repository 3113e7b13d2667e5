"""Filters as words and keywords, outside of the command line."""

import pytest

from flowmine.cli.filterlist import FLAGS as COMMAND_FLAGS
from flowmine.cli.filterlist import OPTIONS
from flowmine.errors import UsageError
from flowmine.ingest.filters import FlowFilter, Selection
from flowmine.ingest.filters.line import FLAGS, NAMES, SHORT, keyword_words, selection_of, split

NOW = 1_800_000_000 * 10**9


def test_the_words_are_those_of_the_command_line() -> None:
    """Whatever the command line takes as a filter is known here by the same name, and takes a value or none alike."""
    assert {name for name, _, _, _ in OPTIONS} == set(NAMES) - {"since", "until", "first", "last"}
    assert COMMAND_FLAGS == FLAGS
    assert {short: name for name, short, _, _ in OPTIONS if short} == SHORT


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", Selection()),
        ("--verdict DROPPED", Selection(allow=(FlowFilter(verdict=("DROPPED",)),))),
        ("--verdict=DROPPED", Selection(allow=(FlowFilter(verdict=("DROPPED",)),))),
        ("--not --verdict DROPPED", Selection(deny=(FlowFilter(verdict=("DROPPED",)),))),
        (
            "--to-label 'tier in (a, b)'",
            Selection(allow=(FlowFilter(destination_label=("tier in (a, b)",)),)),
        ),
        ("-4", Selection(allow=(FlowFilter(ip_version=("IPv4",)),))),
        ("-tdrop --last 3", Selection(allow=selection_of(["--type", "drop"]).allow, last=3)),
        ("--since 5m", Selection(since=NOW - 300 * 10**9)),
        (
            "-n shop",
            Selection(allow=(FlowFilter(source_pod=("shop/",)), FlowFilter(destination_pod=("shop/",)))),
        ),
    ],
)
def test_a_line_is_read_as_hubble_reads_it(line: str, expected: Selection) -> None:
    """Long and short forms, values joined or apart, and --not before the filter that it turns around."""
    assert expected == selection_of(split(line), now=NOW)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--verdikt DROPPED", "--verdikt is no filter of hubble observe (do you mean verdict?)"),
        ("DROPPED", "'DROPPED' is no filter: write words as of hubble observe, such as --verdict DROPPED"),
        ("--verdict", "--verdict needs a value"),
        ("--encrypted=yes", "--encrypted takes no value"),
        ("--first 1 --last 1", "cannot set both --first and --last"),
        ("--last many", "--last many: write a number"),
        ("--not", "--not has no filter after it"),
        ("--pod 'x", '"--pod \'x": No closing quotation'),
        ("--port http", "'http' is no port: a number from 0 to 65535"),
    ],
)
def test_a_wrong_line_is_told(line: str, message: str) -> None:
    """What hubble would refuse is refused, with what to write instead."""
    with pytest.raises(UsageError) as caught:
        selection_of(split(line))
    assert message == str(caught.value)


def test_keywords_are_words() -> None:
    """An underscore is a dash, a list is alternatives, True a bare word, False none."""
    words = keyword_words({"from_pod": "shop/web", "to_port": (80, 443), "ipv4": True, "encrypted": False})
    assert ["--from-pod", "shop/web", "--to-port", "80", "--to-port", "443", "--ipv4"] == words


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"namespaces": "shop"}, "namespaces is no filter of hubble observe (do you mean namespace?)"),
        ({"encrypted": "yes"}, "encrypted takes no value: write encrypted=True"),
        ({"to_port": True}, "to_port=True: to_port needs a value"),
        ({"pod": [""]}, "pod='': pod needs a value"),
    ],
)
def test_a_wrong_keyword_is_told(keywords: dict[str, object], message: str) -> None:
    """A name that is none, a flag with a value, a filter without."""
    with pytest.raises(UsageError) as caught:
        keyword_words(keywords)
    assert message == str(caught.value)
