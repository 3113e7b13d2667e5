"""Filters as words outside of the command line: a line as `hubble observe` takes it, or keywords of the same names."""

import difflib
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowmine.errors import UsageError
from flowmine.ingest.filters import Selection, flow_filters, matcher, point_in_time
from flowmine.ingest.filters.values import ANYWHERE, AT_AN_END
from flowmine.ingest.filters.words import ENDS, FilterLists

__all__ = ["FLAGS", "NAMES", "SHORT", "keyword_words", "selection_of", "split"]

_AT_ENDS = ("namespace", "all-namespaces", *AT_AN_END)
_WINDOW = ("since", "until", "first", "last")

NAMES = (
    "not",
    *(f"{end}{name}" for name in _AT_ENDS for end in ENDS),
    *ANYWHERE,
    "allowlist",
    "denylist",
    *_WINDOW,
)
"""Every word that is known, without its dashes."""

FLAGS = frozenset(
    {"not", *(f"{end}all-namespaces" for end in ENDS), "ipv4", "ipv6", "encrypted", "unencrypted"}
)
"""Those that take no value."""

SHORT = {
    "n": "namespace",
    "A": "all-namespaces",
    "l": "label",
    "t": "type",
    "4": "ipv4",
    "6": "ipv6",
}
"""One letter after one dash, as `hubble observe` has it."""


def selection_of(words: Sequence[str], *, now: int | None = None) -> Selection:
    """Return what a line of words asks for, in its order, for ``--not`` turns the next filter around.

    ``now`` (nanoseconds since the epoch, the clock's by default) is what ``--since 5m`` counts from. Raise UsageError for
    a word that is none, a value that cannot be understood, and what Hubble would refuse.

    >>> selection_of(["--verdict", "DROPPED", "--first", "3"]).first
    3
    """
    lists, window = FilterLists(), dict.fromkeys(_WINDOW, "")
    for name, value in _pairs(list(words)):
        if name in window:
            window[name] = value
        else:
            lists.add(name, value)
    if window["first"] and window["last"]:
        raise UsageError("cannot set both --first and --last")
    moment = time.time_ns() if now is None else now
    since, until = (point_in_time(window[one], moment) if window[one] else None for one in ("since", "until"))
    selection = Selection(
        (*lists.allow(), *(one for text in lists.allowlist for one in flow_filters(text))),
        (*lists.deny(), *(one for text in lists.denylist for one in flow_filters(text))),
        since,
        until,
        _count("first", window["first"]),
        _count("last", window["last"]),
    )
    matcher(selection)  # a value that cannot be understood is told before any flow is read
    return selection


def keyword_words(keywords: Mapping[str, Any]) -> list[str]:
    """Return the words that keywords mean: ``to_port=80`` is ``--to-port 80``, a list its alternatives, True a bare word.

    Raise UsageError where a word takes no value, or needs one.

    >>> keyword_words({"namespace": "shop", "to_port": [80, 443], "encrypted": True})
    ['--namespace', 'shop', '--to-port', '80', '--to-port', '443', '--encrypted']
    """
    found: list[str] = []
    for keyword, value in keywords.items():
        name = _known(keyword.replace("_", "-"), keyword)
        if name in FLAGS:
            if not isinstance(value, bool):
                raise UsageError(f"{keyword} takes no value: write {keyword}=True")
            found += [f"--{name}"] if value else []
            continue
        for each in value if isinstance(value, list | tuple | set | frozenset) else [value]:
            if each is None or isinstance(each, bool) or each == "":
                raise UsageError(f"{keyword}={each!r}: {keyword} needs a value")
            found += [f"--{name}", str(each)]
    return found


def split(line: str) -> list[str]:
    """Return the words of a line, quotes taken away. Raise UsageError where a quote is left open."""
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{line!r}: {error}") from error


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the names and values of a line."""
    words.reverse()
    while words:
        word = words.pop()
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            name, given = _known(name, word), bool(equals)
        elif len(word) > 1 and word.startswith("-") and word[1] in SHORT:
            name, value = SHORT[word[1]], word[2:].removeprefix("=")
            given = bool(value)
        else:
            raise UsageError(
                f"{word!r} is no filter: write words as of hubble observe, such as --verdict DROPPED"
            )
        if name in FLAGS:
            if given:
                raise UsageError(f"--{name} takes no value")
        elif not given:
            if not words:
                raise UsageError(f"--{name} needs a value")
            value = words.pop()
        yield name, value


def _known(name: str, word: str) -> str:
    if name in NAMES:
        return name
    near = difflib.get_close_matches(name, NAMES, 1)
    raise UsageError(
        f"{word} is no filter of hubble observe" + (f" (do you mean {near[0]}?)" if near else "")
    )


def _count(name: str, text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"--{name} {text}: write a number")
    return int(text)
