"""Manifests as YAML such as people write: block style, lists not indented, quotes where they are needed.

The bytes depend on the value alone. Comments are kept on their lines whatever text they hold.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

__all__ = ["Comments", "Path", "write_document", "write_lines"]

Path = tuple[str | int, ...]
Comments = Mapping[Path, str]

# Letters first, so that nothing of YAML's own reading (numbers, dates, times) applies; then nothing that ends a scalar.
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*")
_PLAIN_ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,3})?")
_PLAIN_SENTENCE = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./()-]+)+")
_READ_OTHERWISE = re.compile(r"(?i:y|n|yes|no|on|off|true|false|null|nan|inf)")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def write_document(value: Any, comments: Comments) -> str:
    """Return one YAML document, ending in a line break; the comment of the empty path comes first."""
    lines: list[str] = []
    _add_comment(lines, comments, (), "")
    _add(lines, value, comments, (), "", "")
    return "".join(f"{line}\n" for line in lines)


def write_lines(value: Any, comments: Comments, indent: str = "", list_indent: str = "") -> list[str]:
    """Return the lines of a list or object that is not empty, to be put into a document.

    ``indent`` is before every line; ``list_indent`` is how much deeper than their key the dashes of lists stand.
    """
    lines: list[str] = []
    _add(lines, value, comments, (), indent, list_indent)
    return lines


def _add(lines: list[str], value: Any, comments: Comments, path: Path, indent: str, list_indent: str) -> None:
    """Add the lines of a list or object that is not empty."""
    is_object = isinstance(value, dict)
    for key, item in value.items() if is_object else enumerate(value):
        at = (*path, key)
        if comments:
            _add_comment(lines, comments, at, indent)
        lead = f"{indent}{_scalar(key)}:" if is_object else f"{indent}-"
        if not isinstance(item, dict | list) or not item:
            lines.append(f"{lead} {_scalar(item)}")
        elif is_object:
            lines.append(lead)
            deeper = list_indent if isinstance(item, list) else "  "
            _add(lines, item, comments, at, indent + deeper, list_indent)
        else:
            first = len(lines)
            _add(lines, item, comments, at, f"{indent}  ", list_indent)
            _put_behind_dash(lines, first, indent)


def _put_behind_dash(lines: list[str], first: int, indent: str) -> None:
    """Put a list's item, the lines from ``first`` on, behind a dash; comments before it stand above."""
    for number in range(first, len(lines)):
        if not lines[number].startswith(f"{indent}  #"):
            lines[number] = f"{indent}- {lines[number][len(indent) + 2 :]}"
            return
        lines[number] = f"{indent}{lines[number].lstrip()}"


def _add_comment(lines: list[str], comments: Comments, path: Path, indent: str) -> None:
    text = comments.get(path)
    if text is not None:
        for line in text.split("\n"):
            shown = line if line.isprintable() else "".join(char if _shown(char) else "?" for char in line)
            lines.append(f"{indent}# {shown}".rstrip())


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return "{}"
    return "[]" if isinstance(value, list) else str(value)


@lru_cache(1 << 14)
def _text(value: str) -> str:
    return value if _is_plain(value) else _quoted(value)


def _is_plain(text: str) -> bool:
    if _READ_OTHERWISE.fullmatch(text):
        return False
    return any(pattern.fullmatch(text) for pattern in (_PLAIN, _PLAIN_ADDRESS, _PLAIN_SENTENCE))


def _quoted(text: str) -> str:
    return (
        '"' + "".join(_ESCAPES.get(char) or (char if _shown(char) else _escape(char)) for char in text) + '"'
    )


def _shown(char: str) -> bool:
    """Tell whether YAML takes a character as it is, and readers show it."""
    return char.isprintable() and not "\ud800" <= char <= "\udfff"


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
