"""Pages of HTML that need nothing else: one template each, escaped throughout, styles inside, no scripts."""

from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from flowmine import __version__

__all__ = ["asset", "page"]

_FOLDER = Path(__file__).parent / "templates"


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(template: str, **values: Any) -> str:
    """Return the page that a template of `report/templates` makes of values; every value is escaped."""
    return _environment().get_template(template).render(version=__version__, **values)


def asset(name: str) -> str:
    """Return a script or a style of `report/templates/report`, as it goes into a page."""
    return (_FOLDER / "report" / name).read_text("utf-8").strip()
