"""Manifests as YAML such as people write: block style, lists not indented, quotes where they are needed.

The bytes depend on the value alone. Comments are kept on their lines whatever text they hold.
"""

import re
from collections.abc import Iterator, Mapping
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
    return "".join(f"{line}\n" for line in [*_comment(comments, (), ""), *_lines(value, comments, (), "")])


def write_lines(value: Any, comments: Comments, indent: str = "", list_indent: str = "") -> Iterator[str]:
    """Yield the lines of a list or object that is not empty, to be put into a document.

    ``indent`` is before every line; ``list_indent`` is how much deeper than their key the dashes of lists stand.
    """
    return _lines(value, comments, (), indent, list_indent)


def _lines(value: Any, comments: Comments, path: Path, indent: str, list_indent: str = "") -> Iterator[str]:
    """Yield the lines of a list or object that is not empty."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        at = (*path, key)
        yield from _comment(comments, at, indent)
        lead = f"{indent}{_scalar(key)}:" if isinstance(value, dict) else f"{indent}-"
        if not isinstance(item, dict | list) or not item:
            yield f"{lead} {_scalar(item)}"
        elif isinstance(value, dict):
            yield lead
            deeper = list_indent if isinstance(item, list) else "  "
            yield from _lines(item, comments, at, indent + deeper, list_indent)
        else:
            yield from _item(item, comments, at, indent, list_indent)


def _item(item: Any, comments: Comments, path: Path, indent: str, list_indent: str) -> Iterator[str]:
    """Yield the lines of a list's item, its first line behind the dash."""
    lines = _lines(item, comments, path, f"{indent}  ", list_indent)
    held = []
    for line in lines:
        if line.startswith(f"{indent}  #"):
            held.append(f"{indent}{line.lstrip()}")
            continue
        yield from held
        yield f"{indent}- {line[len(indent) + 2 :]}"
        break
    yield from lines


def _comment(comments: Comments, path: Path, indent: str) -> Iterator[str]:
    text = comments.get(path)
    if text is not None:
        for line in text.split("\n"):
            yield f"{indent}# {''.join(char if _shown(char) else '?' for char in line)}".rstrip()


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if _is_plain(value) else _quoted(value)
    if isinstance(value, dict):
        return "{}"
    return "[]" if isinstance(value, list) else str(value)


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
