"""`flowmine help`: the documentation that comes with the package, one page a topic."""

import re
import sys
from importlib.resources import files

import click

from flowmine.errors import UsageError

__all__ = ["help_", "topics"]

_ELSEWHERE = {
    "completion": "install",
    "diff": "simulate",
    "doctor": "install",
    "edges": "flows",
    "help": "reference",
    "migrate": "capture",
    "trace": "verdict",
    "validate": "lint",
    "version": "install",
}
"""The page of a command that has none of its own name."""

_MARK = re.compile(r"^<!--.*?-->\n", re.M)


def topics() -> dict[str, str]:
    """Return the pages that come with the package: topic -> Markdown."""
    pages = files("flowmine").joinpath("docs").iterdir()
    found = {
        page.name[:-3]: _MARK.sub("", page.read_text("utf-8")) for page in pages if page.name.endswith(".md")
    }
    return dict(sorted(found.items()))


@click.command(name="help")
@click.argument("topic", required=False)
def help_(topic: str | None) -> None:
    """Show a page of the documentation (TOPIC may be a command, too); without TOPIC list the topics."""
    pages = topics()
    if topic not in pages:
        topic = _ELSEWHERE.get(topic or "", topic)
    if topic is None:
        widest = max(map(len, pages))
        for name, text in pages.items():
            click.echo(f"{name:<{widest}}  {text.splitlines()[0].lstrip('# ')}")
    elif topic in pages:
        _show(pages[topic])
    else:
        raise UsageError(f"no topic {topic!r}; the topics are {', '.join(pages)}")


def _show(text: str) -> None:
    """Print Markdown, laid out for people on a terminal."""
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))
