"""JSON of records that are made while they are written: however many there are, they are never in memory together."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["json_lines"]


def json_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of an object as `json.dumps` writes it with an indent of two; an iterator becomes a list."""
    if not record:
        yield "{}"
        return
    yield "{"
    last = len(record) - 1
    for place, (key, value) in enumerate(record.items()):
        end = "" if place == last else ","
        name = f"  {json.dumps(key, ensure_ascii=False)}: "
        if isinstance(value, Iterator):
            yield from _listed(name, value, end)
        else:
            yield name + _text(value, 2) + end
    yield "}"


def _listed(name: str, values: Iterator[Any], end: str) -> Iterator[str]:
    held = ""
    for value in values:
        yield held + "," if held else name + "["
        held = "    " + _text(value, 4)
    if held:
        yield held
        yield f"  ]{end}"
    else:
        yield f"{name}[]{end}"


def _text(value: Any, column: int) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\n" + " " * column)
