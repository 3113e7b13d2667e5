"""`flowmine tail`: edges and drift of a live server, with the recommendation that is always current."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowmine.cli.exitcodes import FailOn, fails_on, reading_classes
from flowmine.cli.filters import FilteredCommand
from flowmine.cli.fromcluster import FromCluster, cluster_options
from flowmine.cli.inputs import Capture, capture_inputs
from flowmine.cli.policiesinforce import Agents, agent_options
from flowmine.cli.running import BATCH_ROWS, followed, give_memory_back, seconds, stopping
from flowmine.cli.scaleoptions import peers_option
from flowmine.errors import UsageError

if TYPE_CHECKING:
    from flowmine.advise.inforce import InForce
    from flowmine.edges import Edges
    from flowmine.ingest.capturewindow import Folder
    from flowmine.ingest.filters import Selection
    from flowmine.live.outlet import Outlet
    from flowmine.live.tail import Tail, Tick

__all__ = ["tail"]

_CLASSES = {"new-edge": "edge", "new-drop": "drop", "would-drop": "would_drop"}
"""Class of `--fail-on` -> event of `flowmine.live.changes`."""

_DURATION: dict[str, Any] = {"callback": seconds, "metavar": "DURATION"}


@click.command(
    cls=FilteredCommand, short_help="Follow traffic: new edges, new drops, what policies would deny."
)
@capture_inputs
@click.option(
    "--policies",
    multiple=True,
    metavar="PATH",
    help="The policies in force, to tell what they would deny: a file, a folder. Repeatable.",
)
@cluster_options
@agent_options
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep edges in this folder, and go on from what is there; recommend and edges read it as INPUT.",
)
@click.option("--retain", metavar="30d|5GB", help="With --state: forget edges beyond a time or a size.")
@click.option(
    "--policies-out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep recommended policies there; only those that change are rewritten.",
)
@click.option("--l7", metavar="http,dns", default="", help="Also rules for the requests themselves.")
@click.option(
    "--cilium", metavar="VERSION", help="Write for this version (default: the oldest that was seen)."
)
@click.option("--metrics-port", metavar="[HOST:]PORT", help="Serve Prometheus metrics at /metrics.")
@peers_option
@click.option("--settle", **_DURATION, help="Tell when nothing new was seen for so long.")
@click.option("--until-settled", is_flag=True, help="With --settle: end then.")
@click.option("--every", **_DURATION, default="5s", show_default=True, help="How often to look for changes.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["auto", "view", "json"]),
    default="auto",
    show_default=True,
    help="A view where a person looks, JSON lines in a pipe.",
)
@fails_on("tail")
def tail(capture: Capture, selection: "Selection", failing: FailOn, **asked: Any) -> int:
    """Follow a live server until Ctrl-C, or --for: new edges, new drops, what the policies in force would now deny.

    With a capture as INPUT it is read to its end. Lost events, gaps and failures are told, never hidden. Exit 0 unless
    --fail-on says else, 2: an input cannot be read, or at the end the policies of --policies-out cannot be brought up to date.
    """
    _contradictions(selection, asked)
    give_memory_back()
    capture = followed(capture)
    with ExitStack() as stack:
        stopped, when_stopped = stack.enter_context(stopping())
        folder, before = _state(stack, asked["state"])
        cursor = before.cursor if before else {}
        options: dict[str, Any] = {"batch_rows": BATCH_ROWS}
        if capture.live is not None:
            options |= {"tick": 1.0, "resume": cursor.get("relay", {})}
        view = asked["output"] == "view" or (asked["output"] == "auto" and sys.stdout.isatty())
        columns = (*_columns(bool(asked["l7"])), "node_name")
        reading = stack.enter_context(capture.reading(selection, bar=False, columns=columns, **options))
        if capture.live is not None:
            when_stopped(reading.source.stop)  # type: ignore[union-attr]
        made = _tail(reading.source, str(selection), asked, folder, before)
        if asked["metrics_port"]:
            _serve(stack, asked["metrics_port"], made, capture.quiet)
        ticks = made.ticks(stopped, until_settled=asked["until_settled"])
        for tick in _show(stack, view, reading.source.names)(ticks):
            _retained(folder, asked["retain"], capture.quiet)
            last = tick
        if made.ledger is not None:
            reading.tell_folded(made.ledger, asked["max_peers"])
        reading.tell(
            f"{last.tally.edges:,} edges known, {last.tally.changes['edge']:,} of them new in this run"
        )
    if last.behind is not None:
        raise last.behind
    told = {name: last.tally.changes[what] for name, what in _CLASSES.items()}
    return failing.code({**told, **reading_classes(reading.source.ledger)})


def _contradictions(selection: "Selection", asked: dict[str, Any]) -> None:
    """Raise UsageError where options do not go together."""
    if asked["policies_out"] and (selection.allow or selection.deny):
        raise UsageError(
            "--policies-out takes no filters: they would hide part of a workload's traffic, and the policy would cut that "
            "off"
        )
    if asked["until_settled"] and not asked["settle"]:
        raise UsageError("--until-settled needs --settle DURATION")
    if asked["retain"] and not asked["state"]:
        raise UsageError("--retain is about what --state keeps: give --state DIR too")
    if unknown := sorted(set(_layers(asked["l7"])) - {"http", "dns"}):
        raise UsageError(f"--l7 takes http and dns, not {', '.join(unknown)}")


def _layers(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _columns(requests: bool) -> tuple[str, ...]:
    from flowmine.edges import COLUMNS, REQUEST_COLUMNS

    return (*COLUMNS, *REQUEST_COLUMNS) if requests else COLUMNS


def _state(stack: ExitStack, path: Path | None) -> tuple["Folder | None", Any]:
    from flowmine.ingest.capturewindow import Folder
    from flowmine.live.state import load

    if path is None:
        return None, None
    folder = stack.enter_context(Folder(path))
    return folder, load(folder)


def _tail(source: Any, selection: str, asked: dict[str, Any], folder: "Folder | None", before: Any) -> "Tail":
    from flowmine.edges import Sums
    from flowmine.live.feed import Feed
    from flowmine.live.state import Store
    from flowmine.live.tail import Every, Tail

    requests = bool(asked["l7"])
    feed = Feed(source, before.cursor if before else {}, asked=selection)
    if feed.other:
        click.echo(f"{asked['state']} holds edges of other inputs; what is in both counts twice", err=True)
    return Tail(
        feed,
        Every(look=asked["every"], settle=asked["settle"]),
        how=Sums(requests, asked["max_peers"]),
        before=before,
        store=Store(folder, clock=time.monotonic, requests=requests) if folder else None,
        in_force=_policies(asked),
        outlet=_outlet(asked),
    )


def _policies(asked: dict[str, Any]) -> "Callable[[Edges], InForce | None]":
    """Return what reads the policies in force; the same object as long as they have not changed."""
    agents: Agents = asked["agents"]
    cluster: FromCluster = asked["cluster"]
    known: list[tuple[Any, InForce | None]] = []

    def read(edges: "Edges") -> "InForce | None":
        if known and "-" in asked["policies"]:  # stdin is read once
            return known[0][1]
        found, _ = agents.load(asked["policies"], edges, cluster)
        told = found and (found.manifests, found.cluster)
        if not known or known[0][0] != told:
            known[:] = [(told, found)]
        return known[0][1]

    return read


def _outlet(asked: dict[str, Any]) -> "Outlet | None":
    from flowmine.live.outlet import Outlet
    from flowmine.policy.versions import parse_version
    from flowmine.synth.options import Options
    from flowmine.synth.scope import Scope

    if not asked["policies_out"]:
        return None
    options = replace(Options(), l7=_layers(asked["l7"]))
    cilium = parse_version(asked["cilium"]) if asked["cilium"] else None
    return Outlet(asked["policies_out"], options, Scope(), cilium=cilium)


def _serve(stack: ExitStack, listen: str, made: "Tail", quiet: bool) -> None:
    from flowmine.live.exporter import Exporter
    from flowmine.live.tally import exposition

    exporter = stack.enter_context(Exporter(listen, lambda: exposition(made.tally)))
    if not quiet:
        click.echo(f"metrics at port {exporter.port}, /metrics", err=True)


def _retained(folder: "Folder | None", retain: str | None, quiet: bool) -> None:
    from flowmine.ingest.captureretain import parse_retention, prune

    if folder is not None and retain:
        for path in prune(folder, parse_retention(retain)):
            if not quiet:
                click.echo(f"{path}: forgotten, it is beyond what --retain keeps", err=True)


def _show(
    stack: ExitStack, view: bool, names: tuple[str, ...]
) -> "Callable[[Iterator[Tick]], Iterator[Tick]]":
    if not view:
        return _lines
    from flowmine.cli.tailview import TailView

    return stack.enter_context(TailView(names)).shown


def _lines(ticks: "Iterator[Tick]") -> "Iterator[Tick]":
    """Print what each tick brings as JSON, one event a line."""
    from flowmine.report.gotime import format_time

    for tick in ticks:
        at = format_time(int(tick.at * 1e9), "RFC3339Milli")
        for event in _events(tick):
            click.echo(json.dumps({"at": at, **event}, ensure_ascii=False))
        sys.stdout.flush()
        yield tick


def _events(tick: "Tick") -> Iterator[dict[str, Any]]:
    yield from tick.gaps
    yield from tick.changes
    yield from ({"event": "policy", "path": str(each.path), "what": each.what} for each in tick.policies)
    yield from ({"event": "problem", "problem": problem} for problem in tick.problems)
    if tick.turned_stable:
        yield {"event": "stable", "edges": tick.tally.edges}
