"""The few pieces of HTML that notebooks are shown: a card, a table, a fold, a diff; every text in them is escaped.

Colours are those of the report's map (light and dark), and a word has the colour that it has there.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import islice

from flowmine.report.tables import Column, Table, clean

__all__ = ["FOLDS_SHOWN", "ROWS_SHOWN", "card", "code", "diff", "facts", "fold", "plain", "some", "table"]

ROWS_SHOWN = 100
"""Rows that a notebook is shown of a table; the rest is counted."""

FOLDS_SHOWN = 50
"""Parts to unfold that a notebook is given; the rest is counted."""

_LONGEST = 300
"""Characters of a cell that are shown."""

_STYLE = """<style>
.flowmine { color-scheme: inherit; --delivered: light-dark(#0f766e, #2dd4bf); --dropped: light-dark(#c2261a, #ff8577);
  --audited: light-dark(#8a5a00, #e3b341); --other: light-dark(#6b4fb3, #b9a2ff);
  --unseen: light-dark(#64707d, #9aa7b4); --line: #8884; --soft: #8882; font: 13px/1.45 system-ui, sans-serif; }
[data-jp-theme-light="false"] .flowmine, .vscode-dark .flowmine { color-scheme: dark; }
.flowmine .scroll { max-height: 36em; overflow: auto; } .flowmine .wide { overflow-x: auto; }
.flowmine table { border-collapse: collapse; font-size: 12.5px; }
.flowmine th, .flowmine td { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; max-width: 34em; overflow-wrap: break-word; unicode-bidi: isolate; }
.flowmine td.number, .flowmine th.number { text-align: right; font-variant-numeric: tabular-nums; }
.flowmine .delivered { color: var(--delivered); } .flowmine .dropped { color: var(--dropped); }
.flowmine .audited { color: var(--audited); } .flowmine .other { color: var(--other); }
.flowmine .unseen { color: var(--unseen); }
.flowmine pre { background: var(--soft); padding: .6rem; overflow-x: auto; border-radius: .3rem; font-size: 12px;
  line-height: 1.4; text-align: left; }
.flowmine details { border: 1px solid var(--line); border-radius: .3rem; padding: .2rem .7rem; margin: .3rem 0; }
.flowmine summary { cursor: pointer; overflow-wrap: anywhere; unicode-bidi: isolate; }
.flowmine .quiet { opacity: .75; } .flowmine p { margin: .25rem 0; overflow-wrap: anywhere; unicode-bidi: isolate; }
</style>"""

_TONES = {
    "delivered": "delivered",
    "allowed": "delivered",
    "dropped": "dropped",
    "denied": "dropped",
    "deny-rule": "dropped",
    "would be denied": "dropped",
    "newly denied": "dropped",
    "error": "dropped",
    "audited": "audited",
    "newly allowed": "audited",
    "warning": "audited",
    "other requests": "other",
    "other": "other",
    "unseen": "unseen",
    "noise denied": "unseen",
    "note": "unseen",
    "no-policy": "unseen",
}
"""The words that have a colour, and whose of the map's it is."""


def card(title: str, *parts: str) -> str:
    """Return parts (HTML) under a title (text), with the styles that they need."""
    return f'{_STYLE}<div class="flowmine"><p><strong>{_text(title)}</strong></p>{"".join(parts)}</div>'


def facts(lines: Iterable[str]) -> str:
    """Return sentences, one below the other."""
    return "".join(f'<p class="quiet">{_text(line)}</p>' for line in lines)


def table(shown: Table) -> str:
    """Return a table of which the first rows are shown and the others counted."""
    head = "".join(f"<th{_kind(column)}>{_text(column.heading)}</th>" for column in shown.columns)
    body = "".join(_row(row, shown.columns) for row in shown.rows[:ROWS_SHOWN])
    more = len(shown.rows) - ROWS_SHOWN
    rest = f'<p class="quiet">and {more:,} more rows</p>' if more > 0 else ""
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{rest}'
    )


def fold(summary: str, inside: str) -> str:
    """Return a part (HTML) that is shown when its summary (text) is clicked on."""
    return f"<details><summary>{_text(summary)}</summary>{inside}</details>"


def some(parts: Iterable[str], what: str) -> Iterator[str]:
    """Yield the first parts, and how many more there are of what they show: a notebook is kept as a file."""
    left = iter(parts)
    yield from islice(left, FOLDS_SHOWN)
    more = sum(1 for _ in left)
    if more:
        yield f'<p class="quiet">and {more:,} more {_text(what)}</p>'


def code(text: str) -> str:
    """Return a text as it stands."""
    return f"<pre>{escape(plain(text))}</pre>"


def diff(text: str) -> str:
    """Return a unified diff, lines that come or go in colour."""
    tones = {"+": "delivered", "-": "dropped"}
    lines = (
        f'<span class="{tones[line[0]]}">{escape(line)}</span>' if line[:1] in tones else escape(line)
        for line in plain(text).splitlines()
    )
    return "<pre>" + "\n".join(lines) + "</pre>"


def _row(row: Sequence[str], columns: Sequence[Column]) -> str:
    cells = (
        f"<td{_kind(column, cell)}>{_text(cell)}</td>" for cell, column in zip(row, columns, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _kind(column: Column, cell: str = "") -> str:
    tone = _TONES.get(cell.removesuffix(" (changed)"), "")
    names = " ".join(filter(None, ("number" if column.number else "", tone)))
    return f' class="{names}"' if names else ""


def _text(text: str) -> str:
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return escape(clean(short))


def plain(text: str) -> str:
    """Return a text with control characters shown, line ends apart: what no terminal obeys, and any XML may hold."""
    return "\n".join(map(clean, text.split("\n")))
