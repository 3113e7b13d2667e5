"""What every command that reads captures shares: its INPUT, its options, the bar, the closing summary."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import click

from flowmine.cli.progress import progress_bar
from flowmine.cli.scaleoptions import Scale, started_readers
from flowmine.cli.serveroptions import Live, live_of, server_options
from flowmine.cli.window import remembered

if TYPE_CHECKING:
    import pyarrow as pa

    from flowmine.edges import Edges
    from flowmine.ingest import Source
    from flowmine.ingest.filters import Selection
    from flowmine.ingest.relay import Relay

__all__ = ["Capture", "Reading", "capture_inputs", "stored_hints"]

_NAMED = 3


@dataclass(slots=True)
class Reading:
    """A capture, or a live server, while it is read; what a command tells here ends the summary."""

    source: "Source | Relay"
    scale: Scale = field(default_factory=Scale)
    bar: ExitStack = field(default_factory=ExitStack)
    facts: list[str] = field(default_factory=list)

    def tell(self, fact: str) -> None:
        """Add a line to the closing summary."""
        self.facts.append(fact)

    def edges(
        self,
        *,
        requests: bool = False,
        complete: bool = False,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> "Edges":
        """Read the capture to its end, and return its edges; tell where peers were folded.

        ``meanwhile`` is called once where other processes read.
        Raises as `flowmine.scale.aggregate`.
        """
        from flowmine.scale import aggregate

        found = aggregate(
            self.source,
            jobs=self.scale.jobs,
            engine=self.scale.engine,
            scheduler=self.scale.scheduler,
            requests=requests,
            complete=complete,
            max_peers=self.scale.max_peers,
            readers=started_readers(),
            meanwhile=meanwhile,
        )
        self.tell_folded(found.ledger, self.scale.max_peers)
        return found

    def tell_folded(self, ledger: "pa.Table", most: int) -> None:
        """Tell where peers were folded, of whom no more than ``most`` are kept of each workload."""
        folded = [
            (row["source"], row["count"])
            for row in ledger.select(["kind", "source", "count"]).to_pylist()
            if row["kind"] == "folded"
        ]
        if folded:
            names = ", ".join(name for name, _ in sorted(folded, key=lambda one: (-one[1], one[0]))[:_NAMED])
            self.tell(
                f"{sum(count for _, count in folded):,} events were with peers beyond --max-peers "
                f"{most:,} of a workload, and are in no edge: {names}"
                f"{f' and {len(folded) - _NAMED:,} more' if len(folded) > _NAMED else ''}"
            )

    def end(self) -> None:
        """Take the bar away: all is read, and what the command prints now stands above the closing summary."""
        self.bar.close()


@dataclass(frozen=True, slots=True)
class Capture:
    """The captures that a line names, or the live server in place of them, and how to read them."""

    inputs: tuple[str, ...]
    strict: bool = False
    quiet: bool = False
    live: Live | None = None
    scale: Scale = field(default_factory=Scale)

    @contextmanager
    def reading(
        self, selection: "Selection | None" = None, *, bar: bool = True, **options: Any
    ) -> Iterator[Reading]:
        """Open the captures, show a bar while the block reads them, and close with the summary on stderr.

        ``bar`` is for a block that prints nothing before `Reading.end`; ``selection`` keeps only the events that filters ask for; ``options`` go to `flowmine.ingest.open_flows`.
        A live server is sent the filters, and passes no event on twice, whatever the options say of that.
        Raise InputError where an input cannot be read, UsageError where the selection needs a second reading of stdin.
        """
        if self.live is not None:
            with self._reading_live(self.live, bar=bar, **options) as reading:
                yield reading
            return
        from flowmine.ingest import open_flows

        if selection is not None and not selection.everything:
            from flowmine.ingest.selecting import Keeper

            again = partial(open_flows, *self.inputs, dedup=False, strict=self.strict)
            options["keep"] = Keeper([selection], again).predicate()
            options |= stored_hints(selection)
        with ExitStack() as shown:
            feed = shown.enter_context(progress_bar(self.quiet or not bar))
            source = open_flows(*self.inputs, strict=self.strict, progress=feed, **options)
            reading = Reading(source, self.scale, shown)
            yield reading
        if not self.quiet:
            self._conclude(reading)

    @contextmanager
    def _reading_live(
        self, live: Live, *, bar: bool, dedup: bool = True, **options: Any
    ) -> Iterator[Reading]:
        with (
            ExitStack() as shown,
            live.opened(
                strict=self.strict,
                progress=shown.enter_context(progress_bar(self.quiet or not bar)),
                **options,
            ) as relay,
        ):
            if not self.quiet:
                for line in relay.status.sentences(relay.names[0]):
                    click.echo(line, err=True)
            reading = Reading(relay, self.scale, shown)
            yield reading
        if not self.quiet:
            self._conclude(reading)

    def _conclude(self, reading: Reading) -> None:
        from flowmine.report.summary import summary_lines

        for line in summary_lines(reading.source.ledger, reading.facts):
            click.echo(line, err=True)


def stored_hints(selection: "Selection") -> dict[str, Any]:
    """Return what `flowmine.ingest.open_flows` needs to know of a selection where captures are stored by column."""
    return {"span": (selection.since, selection.until), "needs": selection.needs}


def capture_inputs(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument ``INPUT…`` and the options of reading; it is called with ``capture``."""

    @server_options
    @click.argument("inputs", nargs=-1, metavar="[INPUT]...")
    @click.option("--strict", is_flag=True, help="Make the first line that cannot be read an error.")
    @click.option("-q", "--quiet", is_flag=True, help="No progress and no summary on stderr.")
    @wraps(function)
    def command(inputs: tuple[str, ...], strict: bool, quiet: bool, **kwargs: Any) -> Any:
        window = remembered()
        live = live_of(kwargs, inputs, window)
        if live is None and window is not None and window.follow:
            click.echo("flowmine: --follow has no effect on captures; they are read to their end", err=True)
        return function(capture=Capture(inputs, strict, quiet, live), **kwargs)

    return command
