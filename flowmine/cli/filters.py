"""The filter options of `hubble observe` (Cilium 1.19), the same names, short forms, conflicts and meaning.

A command takes them with ``@click.command(cls=FilteredCommand)`` and gets a ``selection`` argument. Their order on
the line matters, for ``--not`` turns the next one into a deny filter, so the line is read once more in order.
"""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from flowmine.cli.filterlist import FLAGS, OPTIONS
from flowmine.cli.scaleoptions import start_readers
from flowmine.cli.window import Window, grouped_options, how_many, remember, time_bounds, window_options

if TYPE_CHECKING:
    from flowmine.ingest.filters import Selection

__all__ = ["FilteredCommand"]


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
            asked = [param for param in order if param in self.filter_options]
            if not asked:
                start_readers(ctx)
            selection = _selection(asked, given)
            ctx.params["selection"] = selection
            remember(ctx, Window(selection, bool(given.get("follow"))))
        return rest

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the command's own options first, then servers and filters under their own headings."""
        grouped_options(self, ctx, formatter, {param.name for param in self.filter_options})


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
    return [*tracked, *window_options()]


def _declared(name: str, short: str) -> list[str]:
    return [f"--{name}", f"-{short}", _dest(name)] if short else [f"--{name}", _dest(name)]


def _dest(name: str) -> str:
    return f"filter_{name.replace('-', '_')}"


def _selection(order: Sequence[click.Parameter], given: dict[str, Any]) -> "Selection":
    """Return what the line asks for. Raise UsageError where Hubble would refuse it."""
    from flowmine.ingest.filters import Selection

    if not order:
        return Selection()
    from flowmine.ingest.filters import flow_filters, matcher
    from flowmine.ingest.filters.words import FilterLists

    lists = FilterLists()
    queues = {name: deque(values) for name, values in given.items() if isinstance(values, list)}
    for param in order:
        name = str(param.opts[0]).removeprefix("--")
        if param.name == _dest(name):
            lists.add(name, queues[param.name].popleft() if param.name in queues else "")
    first, last = how_many(given)
    selection = Selection(
        (*lists.allow(), *(f for text in lists.allowlist for f in flow_filters(text))),
        (*lists.deny(), *(f for text in lists.denylist for f in flow_filters(text))),
        *time_bounds(given),
        first,
        last,
    )
    matcher(selection)  # a value that cannot be understood is told before any input is read
    return selection
