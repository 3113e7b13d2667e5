"""`flowmine flows`: the captured events themselves, as `hubble observe` would print them."""

import io
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from flowmine.cli.display import write_lines
from flowmine.cli.exitcodes import FailOn, fails_on, reading_classes
from flowmine.cli.filters import FilteredCommand
from flowmine.cli.inputs import Capture, capture_inputs, stored_hints
from flowmine.report.gotime import TIME_FORMATS

if TYPE_CHECKING:
    from flowmine.ingest.filters import Selection
    from flowmine.report.hubble import Style

__all__ = ["flows"]

Record = dict[str, Any]


@click.command(cls=FilteredCommand)
@capture_inputs
@click.option(
    "-o",
    "--output",
    type=click.Choice(["compact", "dict", "json", "jsonpb", "tab", "table"]),
    default="compact",
    show_default=True,
    help="How events are printed.",
)
@click.option("--numeric", is_flag=True, help="Print addresses, not names.")
@click.option(
    "--ip-translation/--no-ip-translation", default=True, help="Print names for addresses where known."
)
@click.option("--print-node-name", is_flag=True, help="Print the node that saw an event.")
@click.option(
    "--time-format",
    type=click.Choice(TIME_FORMATS, case_sensitive=False),
    default="StampMilli",
    show_default=True,
    help="How times are printed, except in JSON.",
)
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colours in compact and dict output.",
)
@fails_on("flows")
def flows(
    capture: Capture, selection: "Selection", output: str, color: str, failing: FailOn, **style: Any
) -> int:
    """Print the captured events themselves, as `hubble observe` would.

    All events that pass the filters are printed, repeated ones too, in the order of the capture. A live server gives
    as many of each node as --first or --last ask for, as it does to `hubble observe`.
    """
    from flowmine.report.hubble import Style

    wanted = Style(
        names=style["ip_translation"] and not style["numeric"],
        time_format=style["time_format"],
        node_name=style["print_node_name"],
        color=color == "always" or (color == "auto" and _colours_welcome()),
    )
    hints = {} if capture.live else stored_hints(selection)
    with capture.reading(dedup=False, bar=not sys.stdout.isatty(), **hints) as reading:
        records: Iterable[Record] = (record for _, record, _ in reading.source.records())
        if capture.live is None:
            records = _selected(records, selection)
        elif capture.live.window.follow and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)
        printed = _Printed(_without_node_status(records, output, wanted))
        write_lines(_LAYOUTS[output](printed, wanted), None)
    return failing.code({"flow": printed.flows, **reading_classes(reading.source.ledger)})


class _Printed:
    """Records on their way to be printed, and how many of them were flows."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = records
        self.flows = 0

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            self.flows += record.get("flow") is not None
            yield record


def _selected(records: Iterable[Record], selection: "Selection") -> Iterable[Record]:
    """Return the records that pass, as many of the first or the last as are asked for."""
    from flowmine.ingest.filters import matcher

    passed = filter(matcher(selection), records)
    if selection.first:
        return islice(passed, selection.first)
    return deque(passed, maxlen=selection.last) if selection.last else passed


def _without_node_status(records: Iterable[Record], output: str, style: "Style") -> Iterator[Record]:
    """Pass on what Hubble prints on stdout; what it says of nodes goes to stderr, and the rest nowhere."""
    from flowmine.report.hubble import node_status
    from flowmine.report.hubblejson import json_line

    for record in records:
        if record.get("flow") is not None or record.get("lost_events") is not None:
            yield record
        elif (sentence := node_status(record, style)) is not None:
            click.echo(json_line(record) if output.startswith("json") else sentence, err=True)


def _compact(records: Iterable[Record], style: "Style") -> Iterator[str]:
    from flowmine.report.hubble import compact

    return (line for record in records if (line := compact(record, style)) is not None)


def _dictionary(records: Iterable[Record], style: "Style") -> Iterator[str]:
    from flowmine.report.hubble import dictionary

    return dictionary(records, style)


def _table(records: Iterable[Record], style: "Style") -> Iterator[str]:
    from flowmine.report.hubble import table

    return table(records, style)


def _json(records: Iterable[Record], _style: "Style") -> Iterator[str]:
    from flowmine.report.hubblejson import json_line

    return map(json_line, records)


_LAYOUTS: dict[str, Callable[[Iterable[Record], "Style"], Iterator[str]]] = {
    "compact": _compact,
    "dict": _dictionary,
    "json": _json,
    "jsonpb": _json,
    "tab": _table,
    "table": _table,
}


def _colours_welcome() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
