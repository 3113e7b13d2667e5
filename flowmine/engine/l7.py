"""Requests above the ports: does an HTTP rule admit a request, does a DNS rule or a toFQDNs item name a name.

Regular expressions run on RE2, as Envoy's and Cilium's do: full match, and no input takes exponential time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped,unused-ignore]

from flowmine.policy.model import FqdnSelector, HeaderMatch, HttpRule

__all__ = ["Request", "admits", "canonical_name", "learned", "names", "pattern_of"]

_LABEL = "[-a-zA-Z0-9_]"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; the path holds its query string, headers are sorted (lower-case name, value) pairs."""

    method: str = ""
    path: str = ""
    host: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=())

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Request":
        """Return the request of a mapping with `method`, `path`, `host` and `headers`, all optional."""
        headers = tuple(sorted((str(k).lower(), str(v)) for k, v in (values.get("headers") or {}).items()))
        method, path, host = (str(values.get(name) or "") for name in ("method", "path", "host"))
        return cls(method, path, host, headers)


def admits(rule: HttpRule, request: Request) -> bool:
    """Tell whether an HTTP rule admits a request: every field that the rule gives must match.

    Method, path and host are full-match RE2; `headers: ["Name: value"]` compares the value exactly, a name alone asks
    for presence (Cilium `pkg/envoy/policy/envoy_l7_rules_translator.go`, SEMANTICS 31).

    >>> admits(HttpRule(path="/docs/.*"), Request("GET", "/docs/a"))
    True
    """
    return (
        _full_match(rule.method, request.method)
        and _full_match(rule.path, request.path)
        and _full_match(rule.host, request.host)
        and all(_header_holds(text, request) for text in rule.headers)
        and all(_header_matches(match, request) for match in rule.header_matches)
    )


def canonical_name(name: str) -> str:
    """Return a DNS name as Cilium compares names: lower case, without its trailing dot."""
    return name.lower().rstrip(".") or "."


def names(item: FqdnSelector, name: str) -> bool:
    """Tell whether an item of `toFQDNs` or `rules.dns` names a DNS name.

    >>> names(FqdnSelector(match_pattern="*.example.com"), "a.Example.com.")
    True
    """
    wanted = canonical_name(name)
    if item.match_name and canonical_name(item.match_name) == wanted:
        return True
    return (
        bool(item.match_pattern) and pattern_of(item.match_pattern or "").fullmatch(_text(wanted)) is not None
    )


def learned(item: FqdnSelector, name: str) -> bool:
    """Tell whether an item of `toFQDNs` means an address with this name.

    A `fqdn:` label of an identity holds the item itself, `fqdn:*.example.com`, so a pattern is also a name of its own.
    """
    return names(item, name) or canonical_name(item.match_pattern or ".") == name


@lru_cache(maxsize=16384)
def pattern_of(pattern: str) -> Any:
    """Return the compiled form of a `matchPattern` (Cilium `pkg/fqdn/matchpattern`, SEMANTICS 33).

    | pattern | names                                           |
    |---------|-------------------------------------------------|
    | `*`     | any name                                        |
    | `*.x`   | one label (it may be part of one: `a*.x`) and x |
    | `**.x`  | one or more labels and x, not x itself          |
    | `*x`    | x after any characters of one label             |
    """
    text = canonical_name(pattern)
    if text == "*":
        return _compile("(?s).*")
    head = ""
    if text.startswith("**."):
        head, text = rf"{_LABEL}+(\.{_LABEL}+)*\.", text[3:]
    parts = "".join(f"{_LABEL}*" if char == "*" else re2.escape(char) for char in text)
    return _compile(head + parts)


def _full_match(pattern: str | None, text: str) -> bool:
    if not pattern:
        return True
    compiled = _compile(pattern)
    return compiled is not None and compiled.fullmatch(_text(text)) is not None


@lru_cache(maxsize=16384)
def _compile(pattern: str) -> Any:
    """Return a compiled expression; None where RE2 refuses it: such a rule never matches (SEMANTICS 31)."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return None


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _header_holds(text: str, request: Request) -> bool:
    name, space, value = text.partition(" ")
    if not space:
        return any(key == name.lower() for key, _ in request.headers)
    return (name.rstrip(":").lower(), value) in request.headers


def _header_matches(match: HeaderMatch, request: Request) -> bool:
    """Tell whether a `headerMatches` item holds: with a mismatch action it does, whatever the request carries."""
    if match.mismatch:
        return True
    name = (match.name or "").lower()
    if match.value:
        return (name, match.value) in request.headers
    return match.secret is None and any(key == name for key, _ in request.headers)
