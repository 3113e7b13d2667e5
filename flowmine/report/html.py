"""A report as one page of HTML that needs nothing else: no network, opens from a mail, and runs no script but its own.

The view travels compressed in a data block that no browser executes; the script makes elements of it and sets their
text, never markup. The policy in the page's head admits the one script and the one style by their hash.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from markupsafe import Markup

from flowmine.report.gotime import format_time
from flowmine.report.map import Map, maps
from flowmine.report.mapsvg import map_svg
from flowmine.report.page import asset, page
from flowmine.report.view import OUTCOMES, View
from flowmine.report.wires import Wire, wires

__all__ = ["Live", "drawn_wires", "live_files", "live_page", "report_page", "view_json"]

_SCRIPTS = ("base", "filter", "map", "code", "panel", "tables", "main")
_STYLES = ("map", "page", "print")
_LIVE_SCRIPTS = ("base", "filter", "map", "code", "panel", "tables", "live", "draft", "lists", "main")
_LIVE_STYLES = ("map", "page", "live", "print")
LIVE_SCRIPT, LIVE_STYLE = "page.js", "page.css"


@dataclass(frozen=True, slots=True)
class Live:
    """What a page that is served has beside a report: its number, what its changes are known by, where it may save."""

    version: int
    csrf: str
    follows: bool = False
    starts: tuple[str, ...] = ()
    folder: str = ""


def report_page(view: View) -> str:
    """Return the page of a view."""
    script, style = _script(_SCRIPTS), _style(_STYLES)
    inside = {"script": Markup(script), "style": Markup(style)}
    return _page(view, maps(view), live=None, **inside, script_hash=_hash(script), style_hash=_hash(style))


def live_page(view: View, plans: tuple[Map, ...], live: Live) -> str:
    """Return the page of a view as it is served: its script and style are the files of `live_files`."""
    return _page(view, plans, live=live, script=LIVE_SCRIPT, style=LIVE_STYLE)


def live_files() -> dict[str, tuple[str, bytes]]:
    """Return what a page that is served needs beside it, by name: media type and content."""
    return {
        LIVE_SCRIPT: ("text/javascript", _script(_LIVE_SCRIPTS).encode()),
        LIVE_STYLE: ("text/css", _style(_LIVE_STYLES).encode()),
    }


def _script(names: Iterable[str]) -> str:
    return "\n".join(["'use strict';", "(() => {", *(asset(f"{name}.js") for name in names), "})();"])


def _style(names: Iterable[str]) -> str:
    return "\n".join(asset(f"{name}.css") for name in names)


def _page(view: View, plans: tuple[Map, ...], **more: Any) -> str:
    return page(
        "report.html",
        view=view,
        outcomes=OUTCOMES,
        ports=_ports(view),
        when=_when,
        map=Markup(map_svg(view, plans[0], alone=False)),
        data=_packed(view, plans),
        **more,
    )


def view_json(view: View) -> bytes:
    """Return the view model as JSON, for other programs."""
    return msgspec.json.encode(view)


def _ports(view: View) -> list[str]:
    found = {(each.port, each.protocol) for each in view.connections if each.port is not None}
    return [f"{port}/{protocol}" for port, protocol in sorted(found)]


def _when(at: int | None) -> str:
    return "" if at is None else format_time(at * 1_000_000, "RFC3339").replace("T", " ").removesuffix("Z")


def _hash(text: str) -> str:
    """Return what the content security policy knows an inline element by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _packed(view: View, plans: tuple[Map, ...]) -> str:
    """Return view and maps as JSON, deflated, in base64: nothing in it can end the element it stands in."""
    shown: dict[str, Any] = {
        "title": view.title,
        "groups": view.groups,
        "nodes": view.nodes,
        "connections": view.connections,
        "policies": view.policies,
        "maps": plans,
        "wires": drawn_wires(view, plans),
        "outcomes": OUTCOMES,
    }
    return base64.b64encode(zlib.compress(msgspec.json.encode(shown), 9)).decode()


def drawn_wires(view: View, plans: Iterable[Map]) -> list[list[tuple[int, int, int, str]]]:
    """Return the lines of each map as the script wants them."""
    return [[_short(each) for each in wires(view, plan)] for plan in plans]


def _short(wire: Wire) -> tuple[int, int, int, str]:
    """Return a line as the script wants it: source, target, place of the outcome, path."""
    return wire.source, wire.target, list(OUTCOMES).index(wire.outcome), wire.path
