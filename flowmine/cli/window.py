"""How much of which time is read: `--since`, `--until`, `--first`, `--last`, `--follow`, as `hubble observe` has them."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from flowmine.cli.scaleoptions import start_readers
from flowmine.errors import UsageError

if TYPE_CHECKING:
    from flowmine.ingest.filters import Selection

__all__ = [
    "SERVER_PARAMETERS",
    "Window",
    "WindowCommand",
    "grouped_options",
    "how_many",
    "remember",
    "remembered",
    "time_bounds",
    "window_options",
]

SERVER_PARAMETERS = frozenset(
    {
        "server",
        "port_forward",
        "kube_context",
        "kube_namespace",
        "tls",
        "tls_allow_insecure",
        "tls_ca_cert_files",
        "tls_client_cert_file",
        "tls_client_key_file",
        "tls_server_name",
        "basic_auth_username",
        "basic_auth_password",
        "lasting",
    }
)
"""The parameters that say where a live server is, which `serveroptions` declares."""

_COUNT_MAX = 1_000_000
_HIDING = ("since", "until", "first", "last")
_KEY = "flowmine.window"


@dataclass(frozen=True, slots=True)
class Window:
    """What a line asks for, filters among it, and whether it is to be followed."""

    selection: "Selection"
    follow: bool


class WindowCommand(click.Command):
    """A command for whole traffic, without filters, of which a live server may still give a part of the time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take click's own arguments; the options of the window are added after the command's own."""
        super().__init__(*args, **kwargs)
        self.params.extend(window_options())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options of live servers under their own heading."""
        grouped_options(self, ctx, formatter, frozenset())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, and remember the window. Raise UsageError where it would cut a capture short."""
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        if _named(given.get("inputs")) and (hiding := [name for name in _HIDING if given.get(name)]):
            raise UsageError(_hides(str(ctx.info_name), hiding[0]))
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            first, last = how_many(given)
            start_readers(ctx)
            since, until = time_bounds(given)
            from flowmine.ingest.filters import Selection

            selection = Selection(since=since, until=until, first=first, last=last)
            remember(ctx, Window(selection, bool(given.get("follow"))))
        return rest


def _named(inputs: Any) -> bool:
    """Tell whether the parser found an INPUT; where there is none, click has a placeholder."""
    return isinstance(inputs, tuple | list) and any(isinstance(each, str) for each in inputs)


def _hides(command: str, name: str) -> str:
    return (
        f"{command} takes no --{name} with a capture: it would hide part of a workload's traffic, and the policy would "
        "cut that off; it is for a live server"
    )


def window_options() -> list[click.Option]:
    """Return fresh options, none of which becomes an argument of the command."""
    count = click.IntRange(min=0)
    return [
        click.Option(
            ["--since"], help="Events since a date, or a duration before now (5m, 1h30m).", expose_value=False
        ),
        click.Option(["--until"], help="Events until a date, or a duration before now.", expose_value=False),
        click.Option(
            ["--first"], type=count, metavar="N", help="Only the first N events.", expose_value=False
        ),
        click.Option(["--last"], type=count, metavar="N", help="Only the last N events.", expose_value=False),
        click.Option(["--all"], is_flag=True, help="All events, which is the default.", expose_value=False),
        click.Option(
            ["--follow", "-f"],
            is_flag=True,
            help="With --server: go on with what comes, until --for or Ctrl-C.",
            expose_value=False,
        ),
    ]


def grouped_options(
    command: click.Command,
    ctx: click.Context,
    formatter: click.HelpFormatter,
    filters: Collection[str | None],
) -> None:
    """Write the options: a command's own, those of a live server, and the ``filters`` (by parameter name)."""
    sections: dict[str, list[tuple[str, str]]] = {
        "Options": [],
        "A live server, in place of INPUT": [],
        "Filters, as in `hubble observe`": [],
    }
    own, server, others = sections.values()
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
        if record is not None:
            chosen = others if param.name in filters else server if param.name in SERVER_PARAMETERS else own
            chosen.append(record)
    for title, records in sections.items():
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def time_bounds(given: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return ``since`` and ``until`` in nanoseconds. Raise UsageError where one is no point in time."""
    from flowmine.ingest.filters import point_in_time

    now = time.time_ns()
    since, until = given.get("since"), given.get("until")
    return point_in_time(since, now) if since else None, point_in_time(until, now) if until else None


def how_many(given: Mapping[str, Any]) -> tuple[int, int]:
    """Return ``first`` and ``last``. Raise click.UsageError where Hubble would refuse them."""
    first, last = (int(given.get(name) or 0) for name in ("first", "last"))
    for one, other in (("first", "last"), ("first", "all"), ("last", "all"), ("first", "follow")):
        if (first if one == "first" else last) and (last if other == "last" else given.get(other)):
            raise click.UsageError(f"cannot set both --{one} and --{other}")
    if last > _COUNT_MAX:
        raise click.UsageError(f"--last must be at most {_COUNT_MAX}, not {last}")
    return first, last


def remember(ctx: click.Context, window: Window) -> None:
    """Keep a line's window for whoever opens its input."""
    ctx.meta[_KEY] = window


def remembered() -> Window | None:
    """Return the window of the line that runs; None where its command has none."""
    window: Window | None = click.get_current_context().meta.get(_KEY)
    return window
