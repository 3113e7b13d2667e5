"""The language in which `manifest` describes each kind: what a field holds, and how that is told when it does not.

One table of shapes serves decoding, encoding, the order of fields, the search for unknown ones and the API server's part
of validation (`inspect`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from itertools import islice
from typing import Any

from flowmine.policy.problems import shown

__all__ = [
    "MAX_FLAWS",
    "Anything",
    "Check",
    "Field",
    "Flag",
    "Flaw",
    "FlawKind",
    "Many",
    "Record",
    "Shape",
    "Table",
    "Text",
    "Whole",
    "WholeOrText",
    "inspect",
    "is_whole",
    "nearest",
    "pruned",
    "without_nulls",
]

Check = Callable[[Any], tuple[str, str] | None]
"""A limit on a value: None where it holds, else (what is wrong, what to write instead)."""


class FlawKind(StrEnum):
    """How a value fails its shape: a field nobody knows, a value of another type, or one beyond a limit."""

    UNKNOWN = "unknown"
    TYPE = "type"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Flaw:
    """One failing of a manifest: where (a JSON path), what, and what to write instead."""

    path: str
    kind: FlawKind
    message: str
    fix: str


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A text, perhaps one of `choices`, perhaps at most `longest` characters, perhaps checked further.

    `meant` says of values that people take for a choice what to write; `not_text` what to say of a number.
    """

    choices: tuple[str, ...] = ()
    longest: int | None = None
    check: Check | None = None
    meant: Mapping[str, str] | None = None
    not_text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """An integer between two bounds."""

    least: int
    most: int


@dataclass(frozen=True, slots=True, eq=False)
class WholeOrText:
    """An integer or a text, checked together."""

    check: Check


@dataclass(frozen=True, slots=True, eq=False)
class Flag:
    """True or false."""


@dataclass(frozen=True, slots=True, eq=False)
class Anything:
    """Whatever it is, it is the API server's own and passed over."""


@dataclass(frozen=True, slots=True, eq=False)
class Many:
    """A list of one shape; `unique` lists hold no item twice."""

    item: "Shape"
    least: int = 0
    most: int | None = None
    unique: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """An object of free keys and one shape of value, such as labels."""

    value: Text = Text()
    key: Check | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of a record: its name in the manifest, and the attribute of the model that holds it.

    A required field whose absence the model cannot hold is `vital`. `keep_empty` fields tell an empty list from none.
    """

    name: str
    shape: "Shape"
    attribute: str
    required: bool = False
    vital: bool = False
    keep_empty: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """An object of known fields, in the order in which people write them.

    `model` makes the value from the attributes; without one the record stands for its only field's value. Exactly one
    of the fields in `one_of` must be there. `hints` say of foreign fields what belongs in their place.
    """

    fields: tuple[Field, ...]
    model: Callable[..., Any] | None = None
    one_of: tuple[str, ...] = ()
    hints: Mapping[str, str] | None = None

    def names(self) -> list[str]:
        """Return the names of the known fields."""
        return [field.name for field in self.fields]


Shape = Text | Whole | WholeOrText | Flag | Anything | Many | Table | Record

MAX_FLAWS = 1000
"""After so many failings nobody reads on."""

_JSON_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
}


def _called(value: Any) -> str:
    return "null" if value is None else _JSON_NAMES.get(type(value), f"a {type(value).__name__}")


def is_whole(value: Any) -> bool:
    """Tell whether a JSON value is an integer; `80.0` is one, true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1


def without_nulls(value: Any) -> Any:
    """Return the value without the null fields of its objects, as the API server stores it; list items stay."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def pruned(shape: Shape, value: Any) -> Any:
    """Return the value without the fields that no record knows, as the API server stores it."""
    if isinstance(shape, Record) and isinstance(value, dict):
        fields = {field.name: field.shape for field in shape.fields}
        return {name: pruned(fields[name], item) for name, item in value.items() if name in fields}
    if isinstance(shape, Many) and isinstance(value, list):
        return [pruned(shape.item, item) for item in value]
    return value


def inspect(shape: Shape, value: Any, path: str) -> list[Flaw]:
    """Return the failings of a value, null fields taken away before, in the order of the manifest.

    They end after `MAX_FLAWS`, so that a hostile manifest costs bounded time; the last one then says so, as a mistyped
    value, for the rest is unknown.
    """
    found = list(islice(_flaws(shape, value, path), MAX_FLAWS))
    if len(found) == MAX_FLAWS:
        message = f"has more than {MAX_FLAWS} problems"
        found.append(Flaw(path, FlawKind.TYPE, message, "mend these, and look again"))
    return found


def _flaws(shape: Shape, value: Any, path: str) -> Iterator[Flaw]:
    match shape:
        case Record():
            yield from _inspect_record(shape, value, path)
        case Many():
            yield from _inspect_many(shape, value, path)
        case Table():
            yield from _inspect_table(shape, value, path)
        case Text():
            yield from _inspect_text(shape, value, path)
        case Flag():
            if not isinstance(value, bool):
                yield _mistyped(path, value, "true or false", "write true or false, without quotes")
        case Whole():
            yield from _inspect_whole(shape, value, path)
        case WholeOrText():
            if not (isinstance(value, str) or is_whole(value)):
                yield _mistyped(path, value, "an integer or a text", "write a number or a name")
            else:
                yield from _failing(shape.check, value, path)


def _mistyped(path: str, value: Any, wanted: str, fix: str) -> Flaw:
    return Flaw(path, FlawKind.TYPE, f"must be {wanted}, not {_called(value)}", fix)


def _failing(check: Check | None, value: Any, path: str) -> Iterator[Flaw]:
    found = check(value) if check else None
    if found:
        yield Flaw(path, FlawKind.LIMIT, *found)


def _inspect_text(shape: Text, value: Any, path: str) -> Iterator[Flaw]:
    if not isinstance(value, str):
        yield _not_text(shape, value, path)
    elif shape.choices and value not in shape.choices:
        yield _not_chosen(shape, value, path)
    elif shape.longest is not None and len(value) > shape.longest:
        message = f"has {len(value)} characters, more than {shape.longest}"
        yield Flaw(path, FlawKind.LIMIT, message, f"write at most {shape.longest} characters")
    else:
        yield from _failing(shape.check, value, path)


def _not_text(shape: Text, value: Any, path: str) -> Flaw:
    if not isinstance(value, int | float):
        return _mistyped(path, value, "a text", "write one text")
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    message = f"must be a text, not {_called(value)}"
    if shape.not_text and not isinstance(value, bool):
        message = shape.not_text.format(shown)
    return Flaw(path, FlawKind.TYPE, message, f'write "{shown}", in quotes')


def _not_chosen(shape: Text, value: str, path: str) -> Flaw:
    known = ", ".join(shape.choices)
    close = nearest(value, shape.choices)
    fix = (shape.meant or {}).get(value.strip().lower()) or f"write {close or f'one of: {known}'}"
    return Flaw(path, FlawKind.LIMIT, f"{shown(value)} is none of: {known}", fix)


def _inspect_whole(shape: Whole, value: Any, path: str) -> Iterator[Flaw]:
    bounds = f"an integer from {shape.least} to {shape.most}"
    if not is_whole(value):
        quoted = isinstance(value, str) and value.strip().isdigit()
        yield _mistyped(
            path,
            value,
            "an integer",
            f"write {value.strip()}, without quotes" if quoted else f"write {bounds}",
        )
    elif not shape.least <= value <= shape.most:
        yield Flaw(path, FlawKind.LIMIT, f"{value} is out of range", f"write {bounds}")


def _inspect_many(shape: Many, value: Any, path: str) -> Iterator[Flaw]:
    if not isinstance(value, list):
        yield _mistyped(path, value, "a list", "write each item on a line of its own, beginning with '- '")
        return
    if len(value) < shape.least:
        yield Flaw(path, FlawKind.LIMIT, "is an empty list", "leave the field out, or write an item")
    if shape.most is not None and len(value) > shape.most:
        yield _too_many(shape.most, len(value), path)
    for index, item in enumerate(value):
        at = f"{path}[{index}]"
        if shape.unique and item in value[:index]:
            yield Flaw(at, FlawKind.LIMIT, f"{shown(item)} is there twice", "leave it out")
        yield from _flaws(shape.item, item, at)


def _too_many(most: int, count: int, path: str) -> Flaw:
    if not most:
        return Flaw(path, FlawKind.LIMIT, "must be empty: Cilium no longer has it", "leave the field out")
    around = path.rpartition(".")[0]
    more = f", and the rest in another item of {around.rpartition('[')[0]}" if around.endswith("]") else ""
    return Flaw(path, FlawKind.LIMIT, f"has {count} items, more than {most}", f"write at most {most}{more}")


def _inspect_table(shape: Table, value: Any, path: str) -> Iterator[Flaw]:
    if not isinstance(value, dict):
        yield _mistyped(path, value, "an object", "write lines of 'key: value'")
        return
    for key, item in value.items():
        at = f"{path}.{key}"
        yield from _failing(shape.key, key, at)
        yield from _inspect_text(shape.value, item, at)


def _inspect_record(shape: Record, value: Any, path: str) -> Iterator[Flaw]:
    if not isinstance(value, dict):
        wanted = (
            f"an object ({', '.join(shape.names()[:4])}…)"
            if len(shape.fields) > 4
            else (f"an object ({', '.join(shape.names())})")
        )
        yield _mistyped(
            path, value, wanted, f"write it as lines of 'key: value', such as '{shape.fields[0].name}: …'"
        )
        return
    fields = {field.name: field for field in shape.fields}
    for name in value:
        if name not in fields:
            yield _unknown(shape, name, path)
    yield from _inspect_one_of(shape, value, path)
    for field in shape.fields:
        at = f"{path}.{field.name}" if path else field.name
        if field.name in value:
            yield from _flaws(field.shape, value[field.name], at)
        elif field.required:
            kind = FlawKind.TYPE if field.vital else FlawKind.LIMIT
            yield Flaw(at, kind, "is missing", f"write {field.name}")


def _inspect_one_of(shape: Record, value: dict[Any, Any], path: str) -> Iterator[Flaw]:
    there = [name for name in shape.one_of if name in value]
    choices = ", ".join(shape.one_of)
    if shape.one_of and not there:
        yield Flaw(path, FlawKind.LIMIT, f"has none of {choices}", f"write one of {choices}")
    elif len(there) > 1:
        message = f"has {' and '.join(there)}, which exclude each other"
        yield Flaw(path, FlawKind.LIMIT, message, f"write one of {choices}, and another item for the rest")


def _unknown(shape: Record, name: Any, path: str) -> Flaw:
    at = f"{path}.{name}" if path else str(name)
    hint = (shape.hints or {}).get(str(name))
    close = nearest(str(name), shape.names())
    if hint:
        fix = hint
    elif close:
        fix = f"write {close}"
    else:
        fix = f"leave it out; known here: {', '.join(shape.names())}"
    return Flaw(at, FlawKind.UNKNOWN, f"unknown field {shown(str(name))}", fix)


def nearest(name: str, known: "tuple[str, ...] | list[str]") -> str | None:
    """Return the known name that somebody who wrote `name` most likely meant, or None."""
    lowered = {each.lower(): each for each in known}
    found = get_close_matches(name.strip().lower(), lowered, n=1, cutoff=0.7)
    return lowered[found[0]] if found else None
