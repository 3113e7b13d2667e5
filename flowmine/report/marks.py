"""Text that came from a capture or a policy, made safe for markdown: it means itself, whatever it holds."""

import re
from html import escape

__all__ = ["code", "escaped", "fenced", "in_html"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#!|~&])")
_LINKED = re.compile(r"@|#(?=\d)|:(?=//)|(?<=www)\.", re.I)
_NO_LINK = {"@": "@\u200b", "#": "#\u200b", ":": "\\:", ".": "\\."}
"""What readers of markdown would make of text: mentions, references to issues, links; a space of no width is no end of a word."""


def escaped(text: str) -> str:
    """Return text that means itself in a line or a table's cell, and notifies, references and links nobody.

    >>> escaped("a|b")
    'a\\\\|b'
    """
    return _LINKED.sub(lambda found: _NO_LINK[found[0]], _SPECIAL.sub(r"\\\1", _one_line(text)))


def in_html(text: str) -> str:
    """Return text that means itself, and notifies and references nobody, between tags of HTML within markdown."""
    return escape(re.sub("([@#])", "\\1\u200b", _one_line(text)))


def code(text: str) -> str:
    """Return text as code in a line or a table's cell; backticks and bars cannot end it. Nothing for no text."""
    plain = _one_line(text).replace("`", "ʼ").replace("|", "¦")
    return f"`{plain}`" if plain.strip() else ""


def fenced(text: str, language: str) -> list[str]:
    """Return the lines of a block of code; its fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    shown = "".join(char if char.isprintable() or char == "\n" else "�" for char in text)
    return [f"{fence}{language}", *shown.rstrip("\n").split("\n"), fence]


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
