"""Changes to a manifest's own text: only the lines that must change do, and comments, order and style stay.

The places come from the YAML parser's marks, the lines added from `policy.yamlwrite`. What comes out is read again and
must say what the changed manifest says; a text that cannot be edited so (JSON, `List` objects, anchors) is left alone.
"""

from collections.abc import Iterable, Iterator
from difflib import unified_diff
from typing import Any

import yaml

from flowmine.advise.admitops import END, Op, Path, applied
from flowmine.errors import PolicyError
from flowmine.policy.shape import without_nulls
from flowmine.policy.yamlread import read_documents
from flowmine.policy.yamlwrite import write_document

__all__ = ["edited", "unified"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def edited(text: str, document: int, ops: Iterable[Op]) -> str | None:
    """Return the text with operations done to its document (from 1); None where its lines cannot be edited."""
    done = text
    for op in ops:
        if op.op == "test":
            continue
        before = _value(done, document)
        step = _step(done, document, op)
        if before is None or step is None or _value(step, document) != without_nulls(applied(before, [op])):
            return None
        done = step
    return done


def unified(before: str, after: str, old: str, new: str) -> str:
    """Return the unified diff between two texts, with names for both."""
    lines = unified_diff(_lines(before), _lines(after), old, new)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _value(text: str, document: int) -> Any:
    try:
        for parsed in read_documents(text, "the text"):
            if parsed.index + 1 == document:
                return without_nulls(parsed.value)
    except PolicyError:
        return None
    return None


def _step(text: str, document: int, op: Op) -> str | None:
    if text.lstrip()[:1] in ("{", "["):
        return None
    nodes = list(yaml.compose_all(text, Loader=_LOADER))
    if not 0 < document <= len(nodes):
        return None
    parent = _node(nodes[document - 1], op.path[:-1])
    if parent is None:
        return None
    lines = text.splitlines(keepends=True)
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if parent.flow_style:
        outer = _node(nodes[document - 1], op.path[:-2])
        return _rewritten(lines, outer, parent, op, ending)
    if op.op == "remove":
        return _without(lines, parent, op.path[-1])
    return _with(lines, parent, op, ending)


def _node(root: Any, path: Path) -> Any:
    """Return the node at a path; None where there is none."""
    node = root
    for part in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == part), None)
        else:
            return None
    return node


def _with(lines: list[str], parent: Any, op: Op, ending: str) -> str | None:
    """Add an item to a block list, or a field to a block mapping, after its last line."""
    value: Any = {op.path[-1]: op.value}
    if isinstance(parent, yaml.SequenceNode):
        if op.path[-1] != END:
            return None
        value = [op.value]
    elif any(key.value == op.path[-1] for key, _ in parent.value):
        return None
    indent = " " * parent.start_mark.column
    place = _last_line(parent) + 1
    if place and not lines[place - 1].endswith("\n"):
        lines[place - 1] += ending
    added = (f"{indent}{line}{ending}" for line in _block(value, _is_deep(parent)))
    return "".join([*lines[:place], *added, *lines[place:]])


def _block(value: Any, deep: bool) -> Iterator[str]:
    """Yield the lines of a list or object; with `deep`, lists stand deeper than their keys."""
    items = value.items() if isinstance(value, dict) else [(None, item) for item in value]
    for key, item in items:
        lead = "-" if key is None else f"{_scalar(key)}:"
        if not isinstance(item, dict | list) or not item:
            yield f"{lead} {_scalar(item)}"
        elif key is None:
            first, *rest = _block(item, deep)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
        else:
            yield lead
            pad = "  " if deep or isinstance(item, dict) else ""
            yield from (f"{pad}{line}" for line in _block(item, deep))


def _scalar(value: Any) -> str:
    return write_document([value], {}).removeprefix("-").strip()


def _is_deep(*nodes: Any) -> bool:
    """Tell whether the text writes lists deeper than their keys, as the first list found in any of the nodes shows."""
    return next((style for node in nodes if (style := _list_style(node)) is not None), False)


def _list_style(node: Any) -> bool | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(value, yaml.SequenceNode) and not value.flow_style and value.value:
                return bool(value.start_mark.column > key.start_mark.column)
            found = _list_style(value)
            if found is not None:
                return found
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            found = _list_style(item)
            if found is not None:
                return found
    return None


def _without(lines: list[str], parent: Any, last: str | int) -> str | None:
    """Take an item out of a block list; the last one of all cannot go this way."""
    if not isinstance(parent, yaml.SequenceNode) or not isinstance(last, int) or len(parent.value) < 2:
        return None
    first, end = parent.value[last].start_mark.line, _last_line(parent.value[last]) + 1
    return "".join([*lines[:first], *lines[end:]])


def _rewritten(lines: list[str], outer: Any, parent: Any, op: Op, ending: str) -> str | None:
    """Write a flow list or mapping (`[]`, `{}`) of a block mapping as a block with the operation done."""
    value = _plain(parent)
    if value is None or not isinstance(outer, yaml.MappingNode) or outer.flow_style:
        return None
    key = next(key for key, each in outer.value if each is parent)
    changed = applied({"it": value}, [Op(op.op, ("it", op.path[-1]), op.value)])["it"]
    end_line, end = parent.end_mark.line, parent.end_mark.column
    if lines[end_line][end:].strip() or parent.start_mark.line != key.start_mark.line:
        return None
    head = lines[key.start_mark.line][: parent.start_mark.column].rstrip() + ending
    deep = _is_deep(outer)
    indent = " " * key.start_mark.column + ("  " if deep or isinstance(changed, dict) else "")
    body = (f"{indent}{line}{ending}" for line in _block(changed, deep))
    return "".join([*lines[: key.start_mark.line], head, *body, *lines[end_line + 1 :]])


def _plain(node: Any) -> Any:
    """Return the value of a small flow node; None where it holds what is better left to its writer (aliases, tags)."""
    text = yaml.serialize(node)
    return (
        next((parsed.value for parsed in read_documents(text, "the text")), None) if "&" not in text else None
    )


def _last_line(node: Any) -> int:
    """Return the last line (from 0) that holds a part of a node; a block's own end mark lies beyond comments."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        end = node.end_mark
        return int(end.line if end.column or end.line == node.start_mark.line else end.line - 1)
    children = (
        [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    )
    return max(_last_line(child) for child in children)
