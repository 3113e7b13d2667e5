"""Label selectors as people type them at kubectl: `app=web,tier in (a, b),!canary`."""

import re

from flowmine.errors import UsageError
from flowmine.labels import selector_parts
from flowmine.policy.model import EVERYTHING, Operator, Requirement, Selector

__all__ = ["parse_selector"]

_KEY = r"[^\s,=!()]+"
_FORMS = (
    (re.compile(rf"^({_KEY})\s*==?\s*([^\s,=!()]*)$"), Operator.IN),
    (re.compile(rf"^({_KEY})\s*!=\s*([^\s,=!()]*)$"), Operator.NOT_IN),
    (re.compile(rf"^({_KEY})\s+in\s+\(([^()]*)\)$"), Operator.IN),
    (re.compile(rf"^({_KEY})\s+notin\s+\(([^()]*)\)$"), Operator.NOT_IN),
    (re.compile(rf"^({_KEY})()$"), Operator.EXISTS),
    (re.compile(rf"^!\s*({_KEY})()$"), Operator.DOES_NOT_EXIST),
)


def parse_selector(text: str) -> Selector:
    """Return the selector that a text means; `*` is everything. Raise UsageError where it is none.

    >>> parse_selector("app=web,!canary").match_expressions[0].key
    'app'
    """
    if text.strip() == "*":
        return EVERYTHING
    return Selector((), tuple(_requirement(part, text) for part in selector_parts(text)))


def _requirement(part: str, text: str) -> Requirement:
    for pattern, operator in _FORMS:
        found = pattern.match(part)
        if found:
            key, values = found[1], tuple(value.strip() for value in found[2].split(","))
            return Requirement(key, operator, values if operator in (Operator.IN, Operator.NOT_IN) else ())
    raise UsageError(f"{text!r} is no label selector (write app=web, 'tier in (a,b)', !canary, or '*')")
