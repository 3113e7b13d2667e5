"""Which line of a file a JSON path stands in, so that a finding points at it and not at its document."""

from typing import Any

import yaml

__all__ = ["Lines"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Lines:
    """The lines of one text of YAML or JSON, parsed once; a text that is neither has none."""

    def __init__(self, text: str | bytes) -> None:
        """Parse the text, which `policy.files.load` has taken before: its bounds hold."""
        try:
            self._documents: list[Any] = list(yaml.compose_all(text, Loader=_LOADER))
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
            self._documents = []

    def line(self, document: int, path: str) -> int | None:
        """Return the line (from 1) of a path such as ``spec.ingress[0].toPorts``, or of as much of it as there is.

        ``document`` counts from 1. None where there is no such document.

        >>> Lines("spec:\\n  ingress:\\n  - {}\\n").line(1, "spec.ingress[0]")
        3
        """
        if not 0 < document <= len(self._documents) or self._documents[document - 1] is None:
            return None
        node, line, rest = self._documents[document - 1], 0, path
        line = node.start_mark.line
        while rest:
            found = _step(node, rest)
            if found is None:
                break
            line, node, rest = found
        return int(line) + 1


def _step(node: Any, path: str) -> tuple[int, Any, str] | None:
    """Return the line, node and rest of the path after its first part; keys may hold dots, the longest one counts."""
    path = path.removeprefix(".")
    if isinstance(node, yaml.SequenceNode):
        number, bracket, rest = path.removeprefix("[").partition("]")
        if not path.startswith("[") or not bracket or not number.isdigit() or int(number) >= len(node.value):
            return None
        item = node.value[int(number)]
        return item.start_mark.line, item, rest
    if not isinstance(node, yaml.MappingNode):
        return None
    fits = [
        (len(key.value), key.start_mark.line, value)
        for key, value in node.value
        if isinstance(key, yaml.ScalarNode)
        and path.startswith(key.value)
        and path[len(key.value) :][:1] in ("", ".", "[")
    ]
    if not fits:
        return None
    length, line, value = max(fits, key=lambda fit: fit[0])
    return line, value, path[length:]
