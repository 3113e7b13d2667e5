"""`flowmine/docs/reference.md`, made from the commands themselves: `pytest tests/docs --update-goldens` writes it anew."""

from collections import defaultdict
from collections.abc import Iterator
from functools import cache

import click

from flowmine.cli import COMMANDS, main

__all__ = ["commands", "options", "reference"]

_SHARED_FROM = 3
"""In how many commands an option must be, with the same words, to be described once for all of them."""

_HEAD = """# All commands and all options

This page is made from what `--help` says. `flowmine help` lists the pages that explain it, with examples. Every command takes
`-h, --help` as well; `flowmine -V, --version` tells the version. What several commands share stands at the end, once.
"""

Described = tuple[str, str]


@cache
def commands() -> dict[str, click.Command]:
    """Return every command by name."""
    context = click.Context(main, info_name="flowmine")
    found = {name: main.get_command(context, name) for name in COMMANDS}
    return {name: command for name, command in found.items() if command is not None}


def options(name: str) -> list[click.Option]:
    """Return the options of a command that are shown, but for --help."""
    listed = (param for param in commands()[name].params if isinstance(param, click.Option))
    return [option for option in listed if not option.hidden]


def reference() -> str:
    """Return the page: each command with its own options, then those that several share."""
    users: dict[Described, list[str]] = defaultdict(list)
    for name in commands():
        for each in _described(name):
            users[each].append(name)
    shared = [each for each, names in users.items() if len(names) >= _SHARED_FROM]
    parts = [_HEAD, *(_command(name, shared) for name in commands()), "\n".join(_common(shared, users))]
    return "\n".join(parts)


def _described(name: str) -> list[Described]:
    command = commands()[name]
    with click.Context(command, info_name=name) as context:
        records = [option.get_help_record(context) for option in options(name)]
    return [record for record in records if record is not None]


def _command(name: str, shared: list[Described]) -> str:
    command = commands()[name]
    with click.Context(command, info_name=f"flowmine {name}") as context:
        usage = " ".join(command.collect_usage_pieces(context))
    own = [each for each in _described(name) if each not in shared]
    lines = [f"## {name}", "", COMMANDS[name][1], "", f"    flowmine {name} {usage}", ""]
    lines += [_line(each) for each in own]
    return "\n".join(lines).rstrip() + "\n"


def _common(shared: list[Described], users: dict[Described, list[str]]) -> Iterator[str]:
    """Yield the options that several commands share, those of the same commands together."""
    yield "## Shared options"
    groups: dict[tuple[str, ...], list[Described]] = defaultdict(list)
    for each in shared:
        groups[tuple(users[each])].append(each)
    for names, listed in sorted(groups.items(), key=lambda group: -len(group[0])):
        yield ""
        yield f"Of {', '.join(names)}:"
        yield ""
        yield from map(_line, listed)
    yield ""


def _line(each: Described) -> str:
    declared, told = each
    return f"- `{declared}`: {' '.join(told.split())}"
