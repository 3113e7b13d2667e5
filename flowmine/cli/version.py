"""`flowmine version`: the versions of flowmine, Python and what flowmine stands on, as a bug report needs them."""

import json
import platform
import sys

import click

from flowmine import __version__
from flowmine.cli.installed import extras, packages, requirements

__all__ = ["version"]


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or one JSON object.",
)
def version(output: str) -> None:
    """Print the versions of flowmine, Python, and the packages that flowmine uses."""
    found = packages(requirements())
    own = {"flowmine": __version__, "python": platform.python_version(), "platform": _platform()}
    core = {each.name: each.version or None for each in found if not each.extra}
    more = {
        extra: {each.name: each.version or None for each in members}
        for extra, members in extras(found).items()
        if extra != "test"
    }
    if output == "json":
        click.echo(json.dumps({**own, "packages": core, "extras": more}, indent=2))
        return
    flat = {**own, **core, **{name: text for members in more.values() for name, text in members.items()}}
    width = max(map(len, flat))
    for name, text in flat.items():
        click.echo(f"{name:<{width}}  {text or 'not installed'}")
    if not found:
        click.echo("flowmine runs from a source tree: what it needs is listed once it is installed", err=True)


def _platform() -> str:
    """Return system, machine and C library: linux-x86_64-glibc2.36."""
    libc = "".join(platform.libc_ver())
    return "-".join(part for part in (sys.platform, platform.machine(), libc) if part)
