"""Label selectors as `hubble observe --label` reads them: Kubernetes' grammar over Cilium's sourced labels.

``app=web``, ``k8s:app!=web``, ``tier in (a,b)``, ``!canary``, ``reserved:world``, joined by commas. A key without a
source matches any (Cilium ``pkg/hubble/filters/labelparser.go``, ``pkg/labels/array.go``).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_network

from flowmine.errors import UsageError
from flowmine.labels import Label, cidr_of, parse, selector_parts

__all__ = ["selector"]

_IN = re.compile(r"(?P<key>[^\s!=(),<>]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)")
_COMPARE = re.compile(r"(?P<key>[^\s!=(),<>]+)\s*(?P<op>==|=|!=|<|>)\s*(?P<values>[^\s!=(),<>]*)")
_EXISTS = re.compile(r"(?P<not>!?)\s*(?P<key>[^\s!=(),<>]+)")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

_Holds = Callable[[str | None], bool]


@dataclass(frozen=True, slots=True)
class _Requirement:
    source: str
    key: str
    holds: _Holds

    def matches(self, labels: Iterable[Label]) -> bool:
        return self.holds(next((label.value for label in labels if self._is_key(label)), None))

    def _is_key(self, label: Label) -> bool:
        if self.source == "cidr" and label.source == "cidr":
            return _covers(self.key, label)
        return label.key == self.key and self.source in ("any", label.source)


def selector(text: str) -> Callable[[Iterable[str]], bool]:
    """Return a predicate over label texts (``k8s:app=web``). Raise UsageError where the text is no selector.

    >>> selector("app in (web, api),!canary")(["k8s:app=web"])
    True
    """
    requirements = [_requirement(part, text) for part in selector_parts(text)] if text.strip() else []

    def matches(texts: Iterable[str]) -> bool:
        labels = [parse(label) for label in texts]
        return all(requirement.matches(labels) for requirement in requirements)

    return matches


def _requirement(part: str, text: str) -> _Requirement:
    for pattern, meaning in ((_IN, _member), (_COMPARE, _comparison), (_EXISTS, _existence)):
        match = pattern.fullmatch(part)
        if match:
            source, key = _key(match["key"], text)
            return _Requirement(source, key, meaning(match, text))
    raise UsageError(f"{text!r} is no label selector: cannot read {part!r}")


def _key(written: str, text: str) -> tuple[str, str]:
    source, colon, key = written.partition(":")
    if not colon:
        source, key = "any", written
    prefix, slash, name = f"{source}.{key}".rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not _PREFIX.fullmatch(prefix)):
        raise UsageError(f"{text!r} is no label selector: {written!r} is no label key")
    return source, key


def _member(match: re.Match[str], text: str) -> _Holds:
    values = {_value(value.strip(), text) for value in match["values"].split(",")}
    if not match["values"].strip():
        raise UsageError(f"{text!r} is no label selector: no values in the brackets")
    wanted = match["op"] == "in"
    return lambda seen: (seen in values) if wanted else (seen not in values)


def _comparison(match: re.Match[str], text: str) -> _Holds:
    value, operator = _value(match["values"], text), match["op"]
    if operator == "!=":
        return lambda seen: seen != value
    if operator in ("=", "=="):
        return lambda seen: seen == value
    try:
        bound = int(value)
    except ValueError:
        raise UsageError(f"{text!r} is no label selector: {value!r} after {operator} is no number") from None
    return lambda seen: _beyond(seen, bound, 1 if operator == ">" else -1)


def _existence(match: re.Match[str], _text: str) -> _Holds:
    absent = bool(match["not"])
    return lambda seen: (seen is None) == absent


def _beyond(seen: str | None, bound: int, sign: int) -> bool:
    try:
        return seen is not None and (int(seen) - bound) * sign > 0
    except ValueError:
        return False


def _value(value: str, text: str) -> str:
    if value and not _NAME.fullmatch(value):
        raise UsageError(f"{text!r} is no label selector: {value!r} is no label value")
    return value


def _covers(key: str, label: Label) -> bool:
    """A ``cidr:`` key matches labels of that block or within it (Cilium ``pkg/labels`` ``Label.HasKey``)."""
    wanted, seen = cidr_of(Label("cidr", key)), cidr_of(label)
    try:
        outer, inner = ip_network(wanted or "", strict=False), ip_network(seen or "", strict=False)
    except ValueError:
        return key == label.key
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]
