"""Path templates: which segments of the paths seen are names of things, and which are values.

| values seen in one place of a path                     | written         |
|--------------------------------------------------------|-----------------|
| 1, 42, 7                                               | `[0-9]+`        |
| 2024-05-01                                             | `[0-9-]+`       |
| 7acf6832e1753f63                                       | `[0-9a-fA-F]+`  |
| a UUID, or a mixture of those above                    | `[0-9a-fA-F-]+` |
| other tokens; many words, mostly seen once             | `[^/?]+`        |
| anything else                                          | itself          |
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flowmine.synth.options import Options

__all__ = ["SEGMENT", "Part", "Request", "Template", "learn"]

SEGMENT = "[^/?]+"
"""The expression of any one segment."""

_INTEGER = "[0-9]+"
_DATE = "[0-9-]+"
_HEX = "[0-9a-fA-F]+"
_DASHED_HEX = "[0-9a-fA-F-]+"

_SHAPES = (
    (re.compile(r"[0-9]+"), _INTEGER),
    (re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?"), _DATE),
    (re.compile(r"(?=.*[0-9])[0-9a-fA-F]{8,}"), _HEX),
    (re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), _DASHED_HEX),
)
_ESCAPED = re.compile(r"%[0-9a-fA-F]{2}")
_WRITABLE = re.compile(r"[!-~]*")

_RARE = 4
"""Events by which a word still counts as seen once: request and response, at both ends."""

_CONSTANT = 10
"""Events after which a lone short number (an API's version) is no value."""


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """One kind of request seen: its path, a `?` in it telling that there was a query, and how many events."""

    method: str
    path: str
    count: int = 1


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One segment of a template: a literal, or (`values` more than none) a parameter's expression."""

    text: str
    values: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Template:
    """A path with its parameters, the methods seen on it, whether with a query, and in how many events."""

    parts: tuple[Part, ...]
    methods: tuple[str, ...]
    query: bool
    events: int

    @property
    def parameters(self) -> int:
        """Return how many segments are parameters."""
        return sum(1 for part in self.parts if part.values)


@dataclass(frozen=True, slots=True)
class _Row:
    segments: tuple[str, ...]
    method: str
    query: bool
    count: int


def learn(requests: Iterable[Request], options: Options) -> tuple[Template, ...]:
    """Return the templates of these requests, sorted; all methods are evidence for one another's paths.

    >>> (template,) = learn([Request("GET", "/user/7"), Request("PUT", "/user/12?")], Options())
    >>> [part.text for part in template.parts]
    ['', 'user', '[0-9]+']
    """
    by_length: dict[int, list[_Row]] = defaultdict(list)
    for request in sorted(requests):
        row = _row(request)
        by_length[len(row.segments)].append(row)
    found = []
    for rows in by_length.values():
        for parts, behind in _branches(rows, 0, options):
            methods = tuple(sorted({row.method for row in behind}))
            query = any(row.query for row in behind)
            found.append(Template(parts, methods, query, sum(row.count for row in behind)))
    return tuple(sorted(found))


def _row(request: Request) -> _Row:
    path, question, _ = request.path.partition("?")
    return _Row(tuple((path or "/").split("/")), request.method, bool(question), request.count)


def _branches(
    rows: Sequence[_Row], place: int, options: Options
) -> Iterable[tuple[tuple[Part, ...], Sequence[_Row]]]:
    if place == len(rows[0].segments):
        yield (), rows
        return
    by_value: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        by_value[row.segments[place]].append(row)
    for part, values in _parts(by_value, place, options):
        behind = [row for value in values for row in by_value[value]]
        for rest, deepest in _branches(behind, place + 1, options):
            yield (part, *rest), deepest


def _parts(
    by_value: Mapping[str, Sequence[_Row]], place: int, options: Options
) -> list[tuple[Part, Sequence[str]]]:
    """The values of one place, each a literal of its own or together with others behind one parameter."""
    shapes = {value: _shape(value) for value in by_value}
    unwritable = {value for value in by_value if not _WRITABLE.fullmatch(value)}
    ids = {value for value, shape in shapes.items() if shape} if options.template_ids else set()
    ids -= _constants(by_value)
    words = {value: rows for value, rows in by_value.items() if value not in ids and value not in unwritable}
    slugs = _slugs(words, place, options)
    values = ids | slugs | unwritable
    if not values:
        return [(Part(word), [word]) for word in words]
    shape = SEGMENT if slugs or unwritable else _joined({shapes[value] for value in ids})
    # A hash of letters alone is no word where hashes stand.
    values |= {word for word in words if len(word) >= 8 and re.fullmatch(shape, word)}
    literals = [word for word in words if word not in values]
    return [(Part(shape, len(values)), sorted(values)), *((Part(word), [word]) for word in literals)]


def _shape(value: str) -> str:
    """The expression of values like this one; empty for a word."""
    for pattern, shape in _SHAPES:
        if pattern.fullmatch(value):
            return shape
    plain = _ESCAPED.sub("", value)
    digits = sum(character.isdigit() for character in plain)
    return SEGMENT if digits >= 4 or (digits >= 2 and len(plain) >= 16) else ""


def _constants(by_value: Mapping[str, Sequence[_Row]]) -> set[str]:
    """The short number that stands alone in its place again and again, if there is one."""
    numbers = [value for value in by_value if value.isdigit()]
    if len(numbers) != 1 or len(numbers[0]) > 2:
        return set()
    seen = sum(row.count for row in by_value[numbers[0]])
    return set(numbers) if seen >= _CONSTANT else set()


def _joined(shapes: set[str]) -> str:
    if len(shapes) == 1:
        return next(iter(shapes))
    if SEGMENT in shapes:
        return SEGMENT
    return _DATE if shapes == {_INTEGER, _DATE} else _HEX if shapes == {_INTEGER, _HEX} else _DASHED_HEX


def _slugs(words: Mapping[str, Sequence[_Row]], place: int, options: Options) -> set[str]:
    """The words that are values: many, with the same paths behind them, and mostly seen once (or very many)."""
    if not options.template_slugs or len(words) < options.template_slugs:
        return set()
    alike: dict[frozenset[tuple[str, ...]], list[str]] = defaultdict(list)
    for word, rows in words.items():
        tails = {tuple(_shape(segment) or segment for segment in row.segments[place + 1 :]) for row in rows}
        alike[frozenset(tails)].append(word)
    found: set[str] = set()
    for group in alike.values():
        seen = Counter({word: sum(row.count for row in words[word]) for word in group})
        rare = sum(1 for count in seen.values() if count <= _RARE)
        if len(group) >= options.template_slugs and (
            2 * rare > len(group) or len(group) >= 4 * options.template_slugs
        ):
            # What is seen far more often than its like is a route beside them.
            middle = sorted(seen.values())[len(group) // 2]
            found |= {word for word, count in seen.items() if count <= 20 * middle}
    return found
