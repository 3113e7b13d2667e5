"""Entries put into a manifest's text where they belong; every other byte stays as a person wrote it.

The text is parsed only to learn where things stand. What cannot be extended in place (aliases, tabs, unusual forms) is
refused, never rewritten: the caller then writes a policy of its own, which means the same.

| the section is                 | what is written                                         |
|--------------------------------|---------------------------------------------------------|
| a list of lines with dashes    | further lines, after the last item and its own comments |
| `[...]` on the line of its key | the same items and the new ones as lines with dashes    |
| `[...]` over several lines     | further items before the bracket, as JSON               |
| there, but empty               | its first lines                                         |
| absent                         | the key and its lines, after the section it goes beside |
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from flowmine.policy.yamlwrite import Path, write_lines

__all__ = ["Insertion", "Outline", "Unfit"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_AFTER: dict[str, tuple[str, ...]] = {
    "ingress": ("endpointSelector",),
    "egress": ("ingressDeny", "ingress", "endpointSelector"),
}
"""What a new section is written after: the first of these that is there."""


class Unfit(Exception):
    """The text has a form in which entries cannot be added in place; the message says which."""


@dataclass(frozen=True, slots=True)
class Insertion:
    """Entries (of JSON types) for one section of one rule, each with the comment above it (empty: none).

    ``document`` is the document's place in the stream, from 1; ``path`` leads from it to the rule; ``section`` is
    `ingress` or `egress`.
    """

    document: int
    path: Path
    section: str
    entries: tuple[tuple[dict[str, Any], str], ...]


@dataclass(frozen=True, slots=True)
class _Splice:
    """Text that takes the place of what stands from start to stop (offsets)."""

    start: int
    stop: int
    text: str


class Outline:
    """A text of manifests, and where in it everything stands."""

    def __init__(self, text: str) -> None:
        """Parse the text. Raise Unfit where it is no YAML, or uses aliases: a change in one place would be in another."""
        self._text = text
        breaks = list(_BREAK.finditer(text))
        self._starts = [0, *(found.end() for found in breaks)]
        self._ends = [*(found.start() for found in breaks), len(text)]
        self._newline = breaks[0].group() if breaks else "\n"
        try:
            self._documents = list(yaml.compose_all(text, Loader=_LOADER))
        except yaml.YAMLError as error:
            raise Unfit("it is written in a way that cannot be extended in place") from error
        if any(_has_aliases(document, set()) for document in self._documents):
            raise Unfit("it uses aliases")

    def with_entries(self, insertions: Iterable[Insertion]) -> str:
        """Return the text with the entries added. Raise Unfit where one has no place in it."""
        ordered = sorted(insertions, key=lambda each: (self._is_new(each), each.section != "ingress"))
        splices = sorted(map(self._splice, ordered), key=lambda each: (each.start, each.stop))
        made, at = [], 0
        for each in splices:
            made += [self._text[at : each.start], each.text]
            at = each.stop
        return "".join([*made, self._text[at:]])

    def _rule(self, insertion: Insertion) -> tuple[yaml.MappingNode, int]:
        """Return the node of the rule, and how deep lists stand in its document."""
        try:
            root = node = self._documents[insertion.document - 1]
            for key in insertion.path:
                node = _child(node, key)
        except (IndexError, KeyError) as error:
            raise Unfit("the rule is not where it was") from error
        if not isinstance(node, yaml.MappingNode):
            raise Unfit("the rule is no object")
        return node, _list_step(root)

    def _is_new(self, insertion: Insertion) -> bool:
        return _value(self._rule(insertion)[0], insertion.section) is None

    def _splice(self, insertion: Insertion) -> _Splice:
        rule, step = self._rule(insertion)
        section = _value(rule, insertion.section)
        if rule.flow_style:
            return self._in_flow(rule, section, insertion)
        if section is None:
            return self._as_new_section(rule, step, insertion)
        if isinstance(section, yaml.ScalarNode):
            return self._as_first_items(rule, section, step, insertion)
        if not isinstance(section, yaml.SequenceNode):
            raise Unfit(f"{insertion.section} is no list")
        if not section.flow_style:
            return self._after_items(rule, section, step, insertion)
        if section.start_mark.line == section.end_mark.line:
            return self._instead_of_brackets(rule, section, step, insertion)
        return self._before_bracket(section, [entry for entry, _ in insertion.entries], section.value)

    def _after_items(
        self, rule: yaml.MappingNode, section: yaml.SequenceNode, step: int, insertion: Insertion
    ) -> _Splice:
        dash = section.start_mark.column
        if self._text[self._offset(section.start_mark)] != "-":
            raise Unfit(f"{insertion.section} has an anchor or a tag")
        deeper = dash > rule.value[0][0].start_mark.column
        line = self._last_line(section, dash - 1 if deeper else dash)
        return self._below(line, _item_lines(insertion, dash, step))

    def _as_new_section(self, rule: yaml.MappingNode, step: int, insertion: Insertion) -> _Splice:
        beside = next((node for key in _AFTER[insertion.section] if (node := _value(rule, key))), None)
        if beside is None:
            raise Unfit("the rule has no endpointSelector")
        column = rule.value[0][0].start_mark.column
        lines = [f"{' ' * column}{insertion.section}:", *_item_lines(insertion, column + step, step)]
        return self._below(self._last_line(beside, column), lines)

    def _as_first_items(
        self, rule: yaml.MappingNode, section: yaml.ScalarNode, step: int, insertion: Insertion
    ) -> _Splice:
        if section.value or section.start_mark.index != section.end_mark.index:
            raise Unfit(f"{insertion.section} is no list")
        column = rule.value[0][0].start_mark.column
        return self._below(section.start_mark.line, _item_lines(insertion, column + step, step))

    def _instead_of_brackets(
        self, rule: yaml.MappingNode, section: yaml.SequenceNode, step: int, insertion: Insertion
    ) -> _Splice:
        start, stop = self._offset(section.start_mark), self._offset(section.end_mark)
        end = self._ends[section.end_mark.line]
        rest = self._text[stop:end]
        if self._text[start] != "[" or not re.fullmatch(r"\s*(\s#.*)?", rest):
            raise Unfit(f"{insertion.section} has an anchor, a tag or a neighbour")
        dash = rule.value[0][0].start_mark.column + step
        kept = [
            f"{' ' * dash}- {self._text[self._offset(item.start_mark) : self._offset(item.end_mark)]}"
            for item in section.value
        ]
        lines = [*kept, *_item_lines(insertion, dash, step)]
        before = len(self._text[:start]) - len(self._text[:start].rstrip(" "))
        made = self._newline.join([rest.rstrip() and f"  {rest.strip()}", *lines])
        return _Splice(start - before, end, made)

    def _in_flow(self, rule: yaml.MappingNode, section: yaml.Node | None, insertion: Insertion) -> _Splice:
        entries = [entry for entry, _ in insertion.entries]
        if section is None:
            return self._before_bracket(rule, [{insertion.section: entries}], [key for key, _ in rule.value])
        if not isinstance(section, yaml.SequenceNode):
            raise Unfit(f"{insertion.section} is no list")
        return self._before_bracket(section, entries, section.value)

    def _before_bracket(
        self, node: yaml.CollectionNode, values: Sequence[dict[str, Any]], before: Sequence[yaml.Node]
    ) -> _Splice:
        """Return the splice of values into `[]`, or of their pairs into `{}`, laid out as what stands before them."""
        if self._text[self._offset(node.end_mark) - 1] not in "]}" or not node.flow_style:
            raise Unfit("it has a form that cannot be extended in place")
        pairs = isinstance(node, yaml.MappingNode)
        last = node.value[-1][1] if pairs and node.value else node.value[-1] if node.value else None
        at = self._offset(last.end_mark) if last is not None else self._offset(node.end_mark) - 1
        own_lines = bool(before) and self._is_first(before[-1])
        column = before[-1].start_mark.column if before else 0
        texts = [_json(each, column if own_lines else None, bare=pairs) for each in values]
        separator = f",{self._newline}{' ' * column}" if own_lines else ", "
        joined = separator.join(texts).replace("\n", self._newline)
        return _Splice(at, at, f"{separator if before else ''}{joined}")

    def _is_first(self, node: yaml.Node) -> bool:
        """Tell whether nothing stands before a node on its line."""
        start = self._starts[int(node.start_mark.line)]
        return not self._text[start : self._offset(node.start_mark)].strip(" ")

    def _below(self, line: int, lines: Iterable[str]) -> _Splice:
        """Return the splice of whole lines beneath a line."""
        text = "".join(f"{self._newline}{each}" for each in lines)
        return _Splice(self._ends[line], self._ends[line], text)

    def _last_line(self, node: yaml.Node, column: int) -> int:
        """Return the last line of a node with the comments that are indented deeper than a column, which are its own."""
        line = int(_end(node).line)
        following = line + 1
        while following < len(self._starts):
            text = self._text[self._starts[following] : self._ends[following]]
            stripped = text.lstrip(" ")
            if stripped.startswith("#") and len(text) - len(stripped) > column:
                line = following
            elif stripped:
                break
            following += 1
        return line

    def _offset(self, mark: Any) -> int:
        return self._starts[int(mark.line)] + int(mark.column)


def _item_lines(insertion: Insertion, dash: int, step: int) -> list[str]:
    comments: dict[Path, str] = {
        (place,): comment for place, (_, comment) in enumerate(insertion.entries) if comment
    }
    entries = [entry for entry, _ in insertion.entries]
    return write_lines(entries, comments, " " * dash, " " * step)


def _json(value: dict[str, Any], column: int | None, *, bare: bool) -> str:
    """Return a value as JSON, over lines from a column on or (None) in one; `bare` without its own braces."""
    if column is None:
        text = json.dumps(value, ensure_ascii=False)
        return text[1:-1] if bare else text
    if bare:
        ((key, inner),) = value.items()
        return f"{json.dumps(key)}: {_indented(inner, column)}"
    return _indented(value, column)


def _indented(value: Any, column: int) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\n" + " " * column)


def _child(node: yaml.Node, key: str | int) -> yaml.Node:
    if isinstance(key, int):
        if not isinstance(node, yaml.SequenceNode):
            raise KeyError(key)
        item: yaml.Node = node.value[key]
        return item
    found = _value(node, key)
    if found is None:
        raise KeyError(key)
    return found


def _value(node: yaml.Node, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    values: Iterator[yaml.Node] = (value for name, value in pairs if name.value == key)
    return next(values, None)


def _end(node: yaml.Node) -> Any:
    """Return where a node's last word ends; a block's own mark is beyond the comments behind it.

    Raise Unfit where that is a text of several lines, whose end YAML does not tell.
    """
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        raise Unfit("it ends in a text of several lines")
    return node.end_mark


def _list_step(node: yaml.Node) -> int:
    """Return how much deeper than their key the dashes of a document's first list stand; 0 where it has none."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        for key, value in node.value:
            if isinstance(value, yaml.SequenceNode) and not value.flow_style:
                return max(0, int(value.start_mark.column - key.start_mark.column))
            if found := _list_step(value):
                return found
    return 0


def _has_aliases(node: yaml.Node | None, seen: set[int]) -> bool:
    """Tell whether a node stands in a document twice."""
    if id(node) in seen:
        return node is not None
    seen.add(id(node))
    if not isinstance(node, yaml.CollectionNode):
        return False
    pairs = isinstance(node, yaml.MappingNode)
    parts = [each for pair in node.value for each in pair] if pairs else node.value
    return any(_has_aliases(each, seen) for each in parts)
