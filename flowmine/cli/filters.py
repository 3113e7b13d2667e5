"""The filter options of `hubble observe` (Cilium 1.19), the same names, short forms, conflicts and meaning.

A command takes them with ``@click.command(cls=FilteredCommand)`` and gets a ``selection`` argument. Their order on
the line matters, for ``--not`` turns the next one into a deny filter, so the line is read once more in order.
"""

import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from flowmine.cli.filterlist import FLAGS, OPTIONS, FilterLists

if TYPE_CHECKING:
    from flowmine.ingest.filters import Selection

__all__ = ["FilteredCommand"]

_COUNT_MAX = 1_000_000


class FilteredCommand(click.Command):
    """A command that also takes the filters of `hubble observe` and is called with ``selection``, what they ask for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take click's own arguments; the filter options are added after the command's own, which win where both have one."""
        super().__init__(*args, **kwargs)
        own = {name for param in self.params for name in param.opts}
        self.filter_options = [option for option in _options() if own.isdisjoint(option.opts)]
        self.params.extend(self.filter_options)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, and put the selection into the context's parameters."""
        given, _, order = self.make_parser(ctx).parse_args(args=list(args))
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            ctx.params["selection"] = _selection(
                [param for param in order if param in self.filter_options], given
            )
        return rest

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the command's own options first, then the filters under their own heading."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "Filters, as in `hubble observe`": []}
        own, filters = sections.values()
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                (filters if param in self.filter_options else own).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _options() -> list[click.Option]:
    """Return fresh options: filters as tracked, and the selectors of how much and when."""
    tracked = [
        click.Option(_declared(name, short), help=text, expose_value=False, count=True)
        if name in FLAGS
        else click.Option(
            _declared(name, short), help=text, expose_value=False, multiple=True, metavar=metavar
        )
        for name, short, metavar, text in OPTIONS
    ]
    count = click.IntRange(min=0)
    return [
        *tracked,
        click.Option(
            ["--since"], help="Events since a date, or a duration before now (5m, 1h30m).", expose_value=False
        ),
        click.Option(["--until"], help="Events until a date, or a duration before now.", expose_value=False),
        click.Option(
            ["--first"], type=count, metavar="N", help="Only the first N events.", expose_value=False
        ),
        click.Option(["--last"], type=count, metavar="N", help="Only the last N events.", expose_value=False),
        click.Option(
            ["--all"], is_flag=True, help="All events; for captures this is the default.", expose_value=False
        ),
        click.Option(["--follow", "-f"], is_flag=True, help="Of no effect on captures.", expose_value=False),
    ]


def _declared(name: str, short: str) -> list[str]:
    return [f"--{name}", f"-{short}", _dest(name)] if short else [f"--{name}", _dest(name)]


def _dest(name: str) -> str:
    return f"filter_{name.replace('-', '_')}"


def _selection(order: Sequence[click.Parameter], given: dict[str, Any]) -> "Selection":
    """Return what the line asks for. Raise click.UsageError where Hubble would refuse it."""
    from flowmine.ingest.filters import Selection, flow_filters, matcher

    lists = FilterLists()
    queues = {name: deque(values) for name, values in given.items() if isinstance(values, list)}
    for param in order:
        name = str(param.opts[0]).removeprefix("--")
        if param.name == _dest(name):
            lists.add(name, queues[param.name].popleft() if param.name in queues else "")
    first, last = _how_many(given)
    selection = Selection(
        (*lists.allow(), *(f for text in lists.allowlist for f in flow_filters(text))),
        (*lists.deny(), *(f for text in lists.denylist for f in flow_filters(text))),
        *_window(given),
        first,
        last,
    )
    matcher(selection)  # a value that cannot be understood is told before any input is read
    if given.get("follow"):
        click.echo("flowmine: --follow has no effect on captures; they are read to their end", err=True)
    return selection


def _window(given: dict[str, Any]) -> tuple[int | None, int | None]:
    from flowmine.ingest.filters import point_in_time

    now = time.time_ns()
    since, until = given.get("since"), given.get("until")
    return point_in_time(since, now) if since else None, point_in_time(until, now) if until else None


def _how_many(given: dict[str, Any]) -> tuple[int, int]:
    first, last = (int(given.get(name) or 0) for name in ("first", "last"))
    for one, other in (("first", "last"), ("first", "all"), ("last", "all"), ("first", "follow")):
        if (first if one == "first" else last) and (last if other == "last" else given.get(other)):
            raise click.UsageError(f"cannot set both --{one} and --{other}")
    if last > _COUNT_MAX:
        raise click.UsageError(f"--last must be at most {_COUNT_MAX}, not {last}")
    return first, last
