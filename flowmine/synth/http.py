"""HTTP requests as method and path rules, each expression within what Envoy takes.

Envoy matches the whole path with its query string, so a query is allowed where one was seen: `(\\?.*)?`. It refuses an
endpoint's whole policy when one expression's RE2 program is over 100 instructions (SEMANTICS, limits), so each is
measured as written and cut where it is too large. `^` and `$` are written out: they make literal beginnings small.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow.compute as pc
import re2

from flowmine.edges import Edges
from flowmine.policy.portrule import HttpRule
from flowmine.synth.options import Generalisation, Options
from flowmine.synth.paths import SEGMENT, Part, Request, Template, learn

__all__ = ["HttpRules", "http_rules", "program_size", "seen_requests"]

_ASCII_SEGMENT = "[!-.0->@-~]+"
"""As `SEGMENT` for what a path can hold, printable ASCII, at less than half of its size."""

_QUERY = "(\\?.*)?"
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


@dataclass(frozen=True, slots=True)
class HttpRules:
    """The rules for the requests of one peer and port. `rules` None means: leave HTTP alone, allow the port (L4)."""

    rules: tuple[HttpRule, ...] | None
    notes: tuple[Generalisation, ...] = ()


def seen_requests(edges: Edges) -> Mapping[int, tuple[Request, ...]]:
    """Return the HTTP requests that were let through, by row of EDGES."""
    table = edges.requests
    kept = table.filter(pc.and_(pc.not_equal(table["method"], "DNS"), pc.invert(table["denied"])))
    found: dict[int, list[Request]] = defaultdict(list)
    columns = (kept.column(name).to_pylist() for name in ("edge", "method", "path", "count"))
    for edge, method, path, count in zip(*columns, strict=True):
        found[edge].append(Request(method, path or "/", count))
    return {edge: tuple(requests) for edge, requests in found.items()}


@lru_cache(maxsize=65536)
def program_size(expression: str) -> int:
    """Return the instructions of an expression's RE2 program, which is what Envoy measures.

    Raise ValueError where RE2 does not take the expression.

    >>> program_size("GET")
    7
    """
    try:
        return int(re2.compile(expression).programsize)
    except re2.error as error:
        raise ValueError(f"not an RE2 expression: {expression!r}") from error


def quote(text: str) -> str:
    """Return the expression that matches a text of printable ASCII and nothing else."""
    return _SPECIAL.sub(lambda found: "\\" + found.group(), text)


def http_rules(requests: Iterable[Request], options: Options) -> HttpRules:
    """Return the rules that admit these requests, and by templates their like.

    The requests are all those seen of one peer on one port; another peer's or an edge without any requests must not be
    restricted by them. A template too large for Envoy is cut to a prefix; where there are more rules than
    `options.http_rules`, all are cut to shorter prefixes. Where no prefix helps, HTTP is left alone. Every template, prefix
    and surrender is in the notes.
    """
    rules: dict[tuple[str, str], Generalisation | None] = {}
    templates = learn(requests, options)
    for template in templates:
        path, note = _fitting(template, options)
        if path is None:
            return _surrender(
                f"{_shown(template.parts)} does not fit into {options.program_size} instructions", options
            )
        rules |= {(quote(method), path): note for method in template.methods}
    if 0 < options.http_rules < len(rules):
        rules = _cut(templates, options)
        if not rules:
            return _surrender(f"{len(templates)} kinds of path, even their beginnings are too many", options)
    if any(program_size(method) > options.program_size for method, _ in rules):
        return _surrender("a method too long for an expression", options)
    notes = tuple(dict.fromkeys(note for note in rules.values() if note is not None))
    return HttpRules(
        tuple(HttpRule(method, path) for path, method in sorted((p, m) for m, p in rules)), notes
    )


def _surrender(why: str, options: Options) -> HttpRules:
    note = Generalisation(
        "l4", "HTTP left alone", why, f"program_size={options.program_size}, http_rules={options.http_rules}"
    )
    return HttpRules(None, (note,))


def _fitting(template: Template, options: Options) -> tuple[str | None, Generalisation | None]:
    """The first expression for a template that is small enough: itself, with cheaper segments, a prefix of it."""
    note = _template_note(template, options) if template.parameters else None
    for segment in (SEGMENT, _ASCII_SEGMENT):
        path = _expression(template.parts, template.query, segment)
        if program_size(path) <= options.program_size:
            return path, note
    for length in range(len(template.parts) - 1, 1, -1):
        path = _prefix(template.parts[:length])
        if program_size(path) <= options.program_size:
            return path, _prefix_note(template.parts[:length], 1, f"program_size={options.program_size}")
    return None, None


def _expression(parts: Sequence[Part], query: bool, segment: str) -> str:
    texts = (part.text.replace(SEGMENT, segment) if part.values else quote(part.text) for part in parts)
    return "^" + "/".join(texts) + (_QUERY if query else "") + "$"


def _prefix(parts: Sequence[Part]) -> str:
    return _expression(parts, False, _ASCII_SEGMENT).removesuffix("$") + "/.*$"


def _cut(templates: Sequence[Template], options: Options) -> dict[tuple[str, str], Generalisation | None]:
    """The longest prefixes of one length that are few enough; none where even first segments are too many."""
    for length in range(max(len(template.parts) for template in templates) - 1, 1, -1):
        groups: dict[tuple[Part, ...], list[Template]] = defaultdict(list)
        for template in templates:
            groups[template.parts[:length]].append(template)
        rules: dict[tuple[str, str], Generalisation | None] = {}
        for parts, behind in groups.items():
            if len(behind) == 1:
                path, note = _fitting(behind[0], options)
            else:
                path = _expression(parts, False, _ASCII_SEGMENT).removesuffix("$") + "([/?].*)?$"
                note = _prefix_note(parts, len(behind), f"http_rules={options.http_rules}")
            if path is None or program_size(path) > options.program_size:
                break
            rules |= {(quote(method), path): note for each in behind for method in each.methods}
        else:
            if len(rules) <= options.http_rules:
                return rules
    return {}


def _shown(parts: Sequence[Part]) -> str:
    return "/".join("{…}" if part.values else part.text for part in parts)


def _template_note(template: Template, options: Options) -> Generalisation:
    values = ", ".join(str(part.values) for part in template.parts if part.values)
    return Generalisation(
        kind="template",
        what=f"{'|'.join(template.methods)} {_shown(template.parts)}",
        evidence=f"{values} values in {template.events} events",
        threshold=f"template_ids={options.template_ids}, template_slugs={options.template_slugs}",
    )


def _prefix_note(parts: Sequence[Part], count: int, threshold: str) -> Generalisation:
    evidence = f"{count} kinds of path below" if count > 1 else "the whole path is too large an expression"
    return Generalisation("prefix", f"{_shown(parts)}/…", evidence, threshold)
