"""A map as SVG: a picture for notebooks, mails and print, and what the page shows before its script draws the same.

Every outcome has a colour, a dash and an end of its own, so that colour is never all that tells them apart. Texts are
escaped; there is no script and no style attribute in it.
"""

from collections.abc import Iterable, Mapping

from markupsafe import escape

from flowmine.report.map import Frame, Map, Slot
from flowmine.report.page import asset
from flowmine.report.redact import shown
from flowmine.report.view import OUTCOMES, View
from flowmine.report.wires import Wire, wires

__all__ = ["map_svg", "shortened"]

_TITLE = 18
_FRAME = 7
"""Pixels of a frame's width for a character of its title."""

_ENDS = {
    "delivered": "M1 1L9 5L1 9Z",
    "dropped": "M1 1L9 9M9 1L1 9",
    "audited": "M5 0L10 5L5 10L0 5Z",
    "other": "M5 0L5 10",
    "unseen": "M1 5A4 4 0 1 0 9 5A4 4 0 1 0 1 5",
}
"""The end of a line by outcome: an arrow, a cross, a diamond, a bar, a ring."""


def map_svg(view: View, plan: Map, *, alone: bool = True) -> str:
    """Return a map as an SVG element; ``alone`` puts its colours inside, else the page around has them."""
    size = {"viewBox": f"0 0 {plan.width} {plan.height}", "width": plan.width, "height": plan.height}
    parts = [
        _style() if alone else "",
        _element("defs", {}, *(_end(outcome) for outcome in OUTCOMES)),
        *(_frame(view, each) for each in plan.frames),
        *(_wire(view, plan, each) for each in wires(view, plan)),
        *(_slot(view, each) for each in plan.slots),
        *(_heading(view, each) for each in plan.frames),
    ]
    about = {"role": "img", "aria-label": f"Map of who talks to whom in {view.title}"}
    return _element("svg", {"xmlns": "http://www.w3.org/2000/svg", "class": "map", **size, **about}, *parts)


def shortened(text: str, most: int) -> str:
    """Return a text cut to so many characters, the cut shown.

    >>> shortened("payments-gateway", 9)
    'payments…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _style() -> str:
    return f"<style>{asset('map.css')}</style>"


def _end(outcome: str) -> str:
    attributes = {
        "id": f"end-{outcome}",
        "viewBox": "0 0 10 10",
        "refX": 9 if outcome == "delivered" else 5,
        "refY": 5,
    }
    size = {"markerWidth": 8, "markerHeight": 8, "markerUnits": "userSpaceOnUse", "orient": "auto"}
    return _element(
        "marker", {**attributes, **size}, _element("path", {"d": _ENDS[outcome], "class": f"end {outcome}"})
    )


def _frame(view: View, frame: Frame) -> str:
    group = view.groups[frame.group]
    box = {"x": frame.x, "y": frame.y, "width": frame.width, "height": frame.height, "rx": 10}
    return _element("g", {"class": f"frame {group.kind}"}, _element("rect", box), _title(group.title))


def _heading(view: View, frame: Frame) -> str:
    """Return a frame's title, which stands above the lines."""
    title = shortened(view.groups[frame.group].title, (frame.width - 24) // _FRAME)
    return _text(frame.x + 14, frame.y + 20, "frame-title", title)


def _wire(view: View, plan: Map, wire: Wire) -> str:
    ends = " to ".join(_name(view, plan.slots[place]) for place in (wire.source, wire.target))
    about = f"{ends}: {wire.connections:,} {wire.outcome}"
    return _element("path", {"class": f"wire {wire.outcome}", "d": wire.path}, _title(about))


def _slot(view: View, slot: Slot) -> str:
    box = {"x": slot.x, "y": slot.y, "width": slot.width, "height": slot.height, "rx": 7}
    if slot.node >= 0:
        node = view.nodes[slot.node]
        kind, title, note = f"node {_word(node.kind)}", node.title, node.kind
    else:
        group, count = view.groups[slot.group], sum(each.group == slot.group for each in view.nodes)
        kind, title = "folded", group.title
        note = f"{count:,} {'workload' if group.kind == 'namespace' else 'peer'}{'' if count == 1 else 's'}"
    return _element(
        "g",
        {"class": kind},
        _element("rect", box),
        _text(slot.x + 12, slot.y + slot.height // 2 - 2, "slot-title", shortened(title, _TITLE)),
        _text(slot.x + 12, slot.y + slot.height // 2 + 13, "slot-note", note),
        _title(title),
    )


def _name(view: View, slot: Slot) -> str:
    return view.nodes[slot.node].title if slot.node >= 0 else view.groups[slot.group].title


def _word(kind: str) -> str:
    return kind if kind in ("entity", "outside", "unknown", "pod") else "workload"


def _text(x: int, y: int, kind: str, text: str) -> str:
    return _element("text", {"x": x, "y": y, "class": kind}, _safe(text))


def _title(text: str) -> str:
    return _element("title", {}, _safe(shortened(text, 300)))


def _safe(value: object) -> str:
    """Return a value as text that means itself: XML has no place for controls, nor for halves of characters."""
    return str(escape(shown(str(value))))


def _element(tag: str, attributes: Mapping[str, object], *inside: str) -> str:
    written = "".join(f' {name}="{_safe(value)}"' for name, value in attributes.items())
    return f"<{tag}{written}>{''.join(_lines(inside))}</{tag}>"


def _lines(parts: Iterable[str]) -> Iterable[str]:
    return filter(None, parts)
