"""The options of commands that read captures to edges: how many processes, which engine, how many peers are kept."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from flowmine.cli.inputs import Capture
    from flowmine.scale import Readers

__all__ = ["Scale", "peers_option", "scale_options", "start_readers", "started_readers"]

_MAX_PEERS = 50_000
"""`flowmine.edges.MAX_PEERS`, without the cost of importing it."""
_KEY = "flowmine.readers"


@dataclass(frozen=True, slots=True)
class Scale:
    """How captures are read to edges; see `flowmine.scale.aggregate`."""

    jobs: int | None = None
    engine: str = "processes"
    scheduler: str | None = None
    max_peers: int = _MAX_PEERS


peers_option = click.option(
    "--max-peers",
    type=click.IntRange(min=1),
    default=_MAX_PEERS,
    show_default=True,
    metavar="N",
    help="Peers kept of each workload; what more there are is counted and told.",
)
"""For a command that is called with ``max_peers``."""


def scale_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that is called with ``capture`` the options of scale."""

    @click.option(
        "-j",
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        help="Processes that read (default: the cores, as far as the inputs are worth them).",
    )
    @click.option(
        "--engine",
        type=click.Choice(["processes", "dask"]),
        default="processes",
        show_default=True,
        help="Read on this machine, or on Dask.",
    )
    @click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="With --engine dask: the scheduler (default: one of its own, here).",
    )
    @peers_option
    @wraps(function)
    def command(
        capture: "Capture",
        jobs: int | None,
        engine: str,
        scheduler: str | None,
        max_peers: int,
        **kwargs: Any,
    ) -> Any:
        scale = Scale(jobs, engine, scheduler, max_peers)
        return function(capture=replace(capture, scale=scale), **kwargs)

    return command


def start_readers(ctx: click.Context) -> None:
    """Start the processes that will read whole captures, where the line alone tells that several will.

    They import while this process does, and end with the command.
    """
    if ctx.params.get("engine") != "processes" or ctx.resilient_parsing:
        return
    from flowmine.scale.readers import Readers, known_early, worth, worth_compiling

    size = known_early(ctx.params.get("inputs") or ())
    jobs = ctx.params["jobs"] or worth(size)
    if size is not None and jobs > 1:
        ctx.meta[_KEY] = ctx.with_resource(Readers(jobs - 1, compiled=worth_compiling(size, jobs)))


def started_readers() -> "Readers | None":
    """Return the processes started for the line that runs."""
    ctx = click.get_current_context(silent=True)
    return ctx.meta.get(_KEY) if ctx else None
