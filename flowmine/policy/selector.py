"""Label selectors as Cilium evaluates them.

A selector's keys may carry a source: `k8s:app`, `reserved:host`, `any:app`; a bare key is of any source. Cilium turns
each key into `source.key` (`pkg/labels` GetExtendedKeyFrom) and looks labels up by that; `terms` is the same, parsed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_network
from operator import itemgetter
from typing import Any, NamedTuple

from flowmine.labels import Label, cidr_of
from flowmine.policy.canonical import distinct, pairs

__all__ = ["ANY_SOURCE", "EVERYTHING", "Operator", "Requirement", "Selector", "Term", "split_key"]

ANY_SOURCE = "any"


class Operator(StrEnum):
    """The four operators of a label selector's `matchExpressions`; equal to their texts, so hashed as these are."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"

    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True)
class Requirement:
    """One `matchExpressions` item; values are a set. The operator is as written: validation tells a wrong one."""

    key: str
    operator: Operator | str
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", distinct(self.values))


class Term(NamedTuple):
    """One condition of a selector, its key's source told apart; `In` with one value is what `matchLabels` means.

    It is a tuple because terms are looked up far more often than made.

    | operator     | no such label | label with value v |
    |--------------|---------------|--------------------|
    | In           | False         | v in values        |
    | NotIn        | True          | v not in values    |
    | Exists       | False         | True               |
    | DoesNotExist | True          | False              |
    """

    source: str
    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def selects(self, label: Label) -> bool:
        """Tell whether a label is one this term looks at (Cilium `pkg/labels` HasKey: a CIDR holds those within it)."""
        if self.source not in (ANY_SOURCE, label.source):
            return False
        return label.key == self.key or (self.source == "cidr" and _within(label, self.key))

    def holds(self, label: Label | None) -> bool:
        """Tell whether the term holds for the label it looks at, or for the lack of one."""
        if label is None:
            return self.operator in (Operator.NOT_IN, Operator.DOES_NOT_EXIST)
        if self.operator is Operator.IN:
            return label.value in self.values
        if self.operator is Operator.NOT_IN:
            return label.value not in self.values
        return self.operator is Operator.EXISTS

    def matches(self, labels: Iterable[Label]) -> bool:
        """Tell whether the term holds for a set of labels; of several with one key the first in order counts."""
        return self.holds(min((label for label in labels if self.selects(label)), default=None))

    def __str__(self) -> str:
        name = self.key if self.source == ANY_SOURCE else f"{self.source}:{self.key}"
        if self.operator in (Operator.EXISTS, Operator.DOES_NOT_EXIST):
            return f"{name} {self.operator}"
        if self.operator is Operator.IN and len(self.values) == 1:
            return f"{name}={next(iter(self.values))}"
        return f"{name} {self.operator} ({', '.join(sorted(self.values))})"


@dataclass(frozen=True, slots=True)
class Selector:
    """A label selector; the empty one matches everything. `match_labels` are sorted (key, value) pairs."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[Requirement, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "match_labels", pairs(self.match_labels))
        object.__setattr__(self, "match_expressions", distinct(self.match_expressions))

    @classmethod
    def of(cls, labels: Mapping[str, str], *requirements: Requirement) -> "Selector":
        """Return the selector of these labels and requirements.

        >>> Selector.of({"app": "web"}).match_labels
        (('app', 'web'),)
        """
        return cls(pairs(labels), requirements)

    def sort_key(self) -> tuple[Any, ...]:
        """Return the key of `canonical.distinct`, equal for equal selectors alone: sooner made than what fits all objects."""
        if not self.match_expressions:
            return self.match_labels, ()
        return self.match_labels, tuple(
            [(each.key, each.operator, each.values) for each in self.match_expressions]
        )

    def keys(self) -> tuple[str, ...]:
        """Return every key as written, those of `match_labels` first."""
        return (
            *map(itemgetter(0), self.match_labels),
            *[requirement.key for requirement in self.match_expressions],
        )

    def terms(self, source: str | None = None) -> tuple[Term, ...]:
        """Return the conditions, all of which must hold.

        In Cilium's own policies a key names its source; with `source` given (`k8s` for a NetworkPolicy's selectors,
        `node` and `cidrgroup` elsewhere) every key is taken whole, as of that source. Raises ValueError where an
        operator is none of the four.
        """
        labels = [_term(key, Operator.IN, (value,), source) for key, value in self.match_labels]
        return (
            *labels,
            *[
                _term(each.key, Operator(each.operator), each.values, source)
                for each in self.match_expressions
            ],
        )

    def matches(self, labels: Iterable[Label], source: str | None = None) -> bool:
        """Tell whether the selector matches a set of labels (`source` as in `terms`).

        >>> Selector.of({"app": "web"}).matches([Label("k8s", "app", "web")])
        True
        >>> Selector.of({"reserved:host": ""}).matches([Label("k8s", "app", "web")])
        False
        """
        known = tuple(labels)
        return all(term.matches(known) for term in self.terms(source))


@lru_cache(maxsize=65536)
def _term(key: str, operator: Operator, values: tuple[str, ...], source: str | None) -> Term:
    return Term(*((source, key) if source else split_key(key)), operator, frozenset(values))


EVERYTHING = Selector()
"""The empty selector, `{}`."""


def _within(label: Label, cidr: str) -> bool:
    """Tell whether a `cidr:` label lies in the CIDR that a selector's key names."""
    inner, outer = cidr_of(label), cidr_of(Label("cidr", cidr))
    try:
        inside, around = ip_network(inner or "", strict=False), ip_network(outer or "", strict=False)
    except ValueError:
        return False
    return inside.version == around.version and (
        around.prefixlen <= inside.prefixlen and inside.network_address in around
    )


def split_key(key: str) -> tuple[str, str]:
    """Return (source, key) of a selector's key as written (Cilium `pkg/labels` parseSource, GetExtendedKeyFrom).

    >>> split_key("k8s:app"), split_key("app"), split_key("reserved.host"), split_key("k8s.app")
    (('k8s', 'app'), ('any', 'app'), ('reserved', 'host'), ('any', 'k8s.app'))
    """
    if key.startswith("$"):
        source, name = "reserved", key[1:]
    elif ":" in key:
        source, name = key.split(":", 1)
    elif key.startswith("reserved."):
        source, name = "reserved", key.removeprefix("reserved.")
    else:
        source, name = ANY_SOURCE, key
    return source or ANY_SOURCE, name.partition("=")[0]
