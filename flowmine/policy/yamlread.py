"""YAML and JSON as Kubernetes' tools read them, with bounds on size, depth and expansion.

The values are built from the parser's events, so nothing but JSON's types can come out: no tag makes an object, dates
stay texts, and aliases count for all that they stand for. Plain scalars are read as `sigs.k8s.io/yaml` reads them
(YAML 1.1: `yes`, `on` and `n` are booleans, `010` is 8).
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from flowmine.errors import PolicyError
from flowmine.policy.problems import shown

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "Parsed", "read_documents"]

MAX_BYTES = 32 * 1024 * 1024
MAX_NODES = 2_000_000
MAX_DEPTH = 64
MAX_KEY = 1024

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "bool": bool,
    "null": type(None),
}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[1-9][0-9_]*|0)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Parsed:
    """One document: its value of JSON types, its place in the stream (from 0) and its first line (from 1)."""

    value: Any
    index: int
    line: int


def read_documents(text: str | bytes, where: str, *, repeated_keys: bool = False) -> Iterator[Parsed]:
    """Yield the documents of a YAML stream or a JSON text; empty documents are passed over.

    `where` names the text in errors. Raises PolicyError for what is no YAML, and for more than 32 MiB, 2,000,000 values
    (aliases counted in full), 64 levels, keys of more than 1,024 characters or that are no scalars, merge keys, and tags of YAML's own; also for a key that is twice in one object,
    unless `repeated_keys` are taken, the last one counting, as the API server does without strict validation.
    """
    if len(text) > MAX_BYTES:
        raise PolicyError(f"{where}: more than {MAX_BYTES // 2**20} MiB; split it into smaller files")
    decoded = _decoded(text, where)
    if decoded.lstrip()[:1] in ("{", "["):
        value = _read_json(decoded, where, repeated_keys=repeated_keys)
        if value is not None:
            yield Parsed(value, 0, 1)
            return
    reader = _Reader(where, repeated_keys)
    try:
        yield from reader.documents(yaml.parse(decoded, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise PolicyError(f"{where}{line}: this is no YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise PolicyError(f"{where}: this is no YAML: {str(error).splitlines()[0]}") from error


def _decoded(text: str | bytes, where: str) -> str:
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise PolicyError(f"{where}: this is no UTF-8 text; save it as UTF-8") from error


def _read_json(text: str, where: str, *, repeated_keys: bool) -> Any:
    """Return the value of a JSON text within bounds, or None where the text is no JSON (but may be YAML)."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if any(len(key) > MAX_KEY for key in found):
            raise PolicyError(f"{where}: a key has more than {MAX_KEY} characters; no policy's has")
        if len(found) < len(pairs) and not repeated_keys:
            twice = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
            raise PolicyError(f"{where}: the key {shown(twice)} is there twice in one object; leave one out")
        return found

    try:
        value = json.loads(text, object_pairs_hook=unique)
    except RecursionError as error:
        raise PolicyError(f"{where}: nested more than {MAX_DEPTH} levels; no policy is") from error
    except ValueError:
        return None
    level, depth, count = [value], 0, 0
    while level:
        depth, count = depth + 1, count + len(level)
        if depth > MAX_DEPTH:
            raise PolicyError(f"{where}: nested more than {MAX_DEPTH} levels; no policy is")
        if count > MAX_NODES:
            raise PolicyError(f"{where}: more than {MAX_NODES} values; split it into smaller files")
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
    return value


@dataclass(slots=True)
class _Frame:
    """A list or object under construction."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    start: int
    height: int = 1
    key: str | None = None


@dataclass(slots=True)
class _Reader:
    """Builds documents from events, counting what they hold."""

    where: str
    repeated_keys: bool
    count: int = 0
    anchors: dict[str, tuple[Any, int, int]] = field(default_factory=dict)
    stack: list[_Frame] = field(default_factory=list)

    def documents(self, events: Iterable[Any]) -> Iterator[Parsed]:
        """Yield each document when it is complete."""
        index, line, root = -1, 0, None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                index, line, root = index + 1, 0, None
                self.anchors.clear()
            elif isinstance(event, yaml.DocumentEndEvent):
                if root is not None:
                    yield Parsed(root, index, line)
            elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                line = line or _line(event)
                complete = self.take(event)
                root = complete if not self.stack else root

    def take(self, event: Any) -> Any:
        """Take one event; return the value that it completes, where that is a whole document."""
        if isinstance(event, yaml.AliasEvent):
            return self.place(*self.alias(event), event)
        if isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event)
            size = 1 + len(event.value) // 64
            self.grow(size, event)
            if event.anchor:
                self.anchors[event.anchor] = (value, size, 0)
            return self.place(value, 0, event)
        if isinstance(event, yaml.CollectionStartEvent):
            return self.open(event)
        frame = self.stack.pop()
        if frame.anchor:
            self.anchors[frame.anchor] = (frame.value, self.count - frame.start, frame.height)
        return self.place(frame.value, frame.height, event)

    def open(self, event: Any) -> None:
        """Begin a list or object."""
        if event.tag not in (None, "!", f"{_TAG}map", f"{_TAG}seq"):
            self.refuse(event, f"the tag {shown(event.tag)} is not taken; leave it out")
        if len(self.stack) >= MAX_DEPTH:
            self.refuse(event, f"nested more than {MAX_DEPTH} levels; no policy is")
        if self.stack and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None:
            self.refuse(event, "a key must be a text, not a list or an object")
        self.grow(1, event)
        empty: dict[str, Any] | list[Any] = [] if isinstance(event, yaml.SequenceStartEvent) else {}
        self.stack.append(_Frame(empty, event.anchor, self.count - 1))

    def alias(self, event: Any) -> tuple[Any, int]:
        """Return the value and height that an alias stands for, its size counted."""
        if event.anchor not in self.anchors:
            self.refuse(event, f"the alias *{event.anchor} stands for nothing that is complete before it")
        value, size, height = self.anchors[event.anchor]
        self.grow(size, event)
        if len(self.stack) + height > MAX_DEPTH:
            self.refuse(event, f"nested more than {MAX_DEPTH} levels; no policy is")
        return value, height

    def grow(self, size: int, event: Any) -> None:
        """Count values, a long text as one for every 64 characters; an alias counts for all that it stands for."""
        self.count += size
        if self.count > MAX_NODES:
            self.refuse(
                event, f"more than {MAX_NODES} values, aliases counted in full; split it into smaller files"
            )

    def place(self, value: Any, height: int, event: Any) -> Any:
        """Put a complete value where it belongs: as a key, beneath one, or at the end of a list."""
        if not self.stack:
            return value
        frame = self.stack[-1]
        frame.height = max(frame.height, height + 1)
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.key is None:
            frame.key = self.key(frame.value, value, event)
        else:
            frame.value[frame.key] = value
            frame.key = None
        return None

    def key(self, known: dict[str, Any], value: Any, event: Any) -> str:
        """Return a key as text; raises PolicyError for keys that are there already, and for merge keys."""
        if value == "<<" and not getattr(event, "style", None):
            self.refuse(event, "merge keys (<<) are not taken; write the fields out")
        if value is None or isinstance(value, dict | list):
            self.refuse(event, "a key must be a text")
        text = value if isinstance(value, str) else json.dumps(value)
        if len(text) > MAX_KEY:
            self.refuse(event, f"a key has more than {MAX_KEY} characters; no policy's has")
        if text in known and not self.repeated_keys:
            self.refuse(event, f"the key {shown(text)} is there twice in one object; leave one out")
        return text

    def scalar(self, event: Any) -> Any:
        """Return the value of a scalar; what is quoted is a text."""
        tag = None if event.tag in (None, "!") else event.tag
        if tag is None:
            return event.value if event.style or event.tag == "!" else _plain(event.value)
        if tag == f"{_TAG}str":
            return event.value
        value = _plain(event.value)
        if not isinstance(value, _SCALAR_TAGS.get(tag.removeprefix(_TAG), ())):
            self.refuse(event, f"the tag {shown(event.tag)} is not taken here; leave it out")
        return value

    def refuse(self, event: Any, message: str) -> NoReturn:
        """Raise the error of an event, with its line."""
        raise PolicyError(f"{self.where}:{_line(event)}: {message}")


def _line(event: Any) -> int:
    """Return the line, from 1, on which an event begins."""
    return int(event.start_mark.line) + 1


def _plain(text: str) -> Any:
    """Return the value of a plain scalar."""
    if text in _NULLS:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if len(text) <= 64 and _INTEGER.fullmatch(text):
        return _integer(text)
    if len(text) <= 64 and _FLOAT.fullmatch(text):
        return float(text)
    return text


def _integer(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").replace("_", "")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)
