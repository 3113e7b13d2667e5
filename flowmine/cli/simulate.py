"""`flowmine simulate`: what policies would do to recorded traffic, before anybody applies them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowmine.cli.collecting import uncollected
from flowmine.cli.display import show_table, write_checks, write_lines, write_text
from flowmine.cli.exitcodes import FailOn, fails_on, reading_classes
from flowmine.cli.filters import FilteredCommand
from flowmine.cli.fromcluster import FromCluster, cluster_options
from flowmine.cli.inputs import Capture, capture_inputs
from flowmine.cli.policiesinforce import Agents, Written, agent_options
from flowmine.cli.scaleoptions import scale_options

if TYPE_CHECKING:
    from flowmine.advise.simulate import Simulation
    from flowmine.ingest.filters import Selection

__all__ = ["simulate"]

FORMATS = ("table", "json", "yaml", "md", "html", "sarif", "junit")

Texts = dict[str, str]


@click.command(cls=FilteredCommand, short_help="Judge recorded traffic by policies before they are applied.")
@capture_inputs
@scale_options
@click.option(
    "--policies",
    multiple=True,
    required=True,
    metavar="PATH",
    help="The policies to try, all that will be in force: a file, a folder, or - for stdin. Repeatable.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="PATH",
    help="The policies in force now, to compare with; without, what was recorded says. Repeatable.",
)
@cluster_options
@agent_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="json and yaml hold all of it.",
)
@click.option(
    "-d", "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="PATH", help="Write to a file."
)
@fails_on("simulate")
def simulate(
    capture: Capture,
    selection: "Selection",
    policies: tuple[str, ...],
    against: tuple[str, ...],
    cluster: FromCluster,
    agents: Agents,
    output: str,
    out: Path | None,
    failing: FailOn,
) -> int:
    """Replay recorded traffic on policies: what would be denied, what is newly let through, who becomes governed.

    Also tells the entries that no flow used, with the window of the capture, and what each policy covers. Exit 0: all that
    was delivered, noise apart, would be let through, 1: something would be denied, 2: an input cannot be read.
    """
    from flowmine.advise.simulate import simulate as advise
    from flowmine.edges import COLUMNS, REQUEST_COLUMNS
    from flowmine.report.simulateview import simulation_lines

    tried, now = agents.read(policies) or Written(), agents.read(against, cluster)
    with capture.reading(selection, columns=(*COLUMNS, *REQUEST_COLUMNS)) as reading:
        edges = reading.edges(requests=True)
        before = agents.in_force(now, edges) if now else None
        with uncollected():
            found = advise(edges, agents.in_force(tried, edges), before)
        for line in simulation_lines(found):
            reading.tell(line)
        reading.end()
        printer = _PRINTERS.get(output) or _checks(output, failing)
        printer(found, tried.texts, out)
    return failing.code(_classes(found) | reading_classes(reading.source.ledger))


def _classes(found: "Simulation") -> dict[str, bool]:
    from flowmine.advise.simulate import ShiftKind

    kinds = {
        "would-drop": ShiftKind.DENIED,
        "newly-denied": ShiftKind.NEWLY_DENIED,
        "newly-allowed": ShiftKind.NEWLY_ALLOWED,
        "noise-denied": ShiftKind.NOISE,
    }
    told = {name: bool(found.of(kind)) for name, kind in kinds.items()}
    return {**told, "governed": bool(found.governed), "unused": bool(found.unused)}


def _table(found: "Simulation", _: Texts, out: Path | None) -> None:
    from flowmine.report.simulateview import simulation_table

    table = simulation_table(found)
    if table.rows:
        show_table(table, out)


def _json(found: "Simulation", _: Texts, out: Path | None) -> None:
    from flowmine.report.jsontext import json_lines
    from flowmine.report.simulateview import simulation_stream

    write_lines(json_lines(simulation_stream(found)), out)


def _yaml(found: "Simulation", _: Texts, out: Path | None) -> None:
    from flowmine.report.simulateview import simulation_stream
    from flowmine.report.yamltext import yaml_lines

    write_lines(yaml_lines(simulation_stream(found)), out)


def _markdown(found: "Simulation", _: Texts, out: Path | None) -> None:
    from flowmine.report.simulateview import simulation_markdown

    write_lines(simulation_markdown(found), out)


def _html(found: "Simulation", _: Texts, out: Path | None) -> None:
    from flowmine.report.simulateview import simulation_page

    write_text(simulation_page(found), out)


def _checks(output: str, failing: FailOn) -> Callable[["Simulation", Texts, Path | None], None]:
    def write(found: "Simulation", texts: Texts, out: Path | None) -> None:
        from flowmine.advise.simfindings import RULES, simulation_findings
        from flowmine.report.ci import Report

        findings = simulation_findings(found, texts)
        checked = [each.policy for each in found.coverage]
        write_checks(Report("simulate", RULES, checked, findings, failing.fails), output, out)

    return write


_PRINTERS: dict[str, Callable[["Simulation", Texts, Path | None], None]] = {
    "table": _table,
    "json": _json,
    "yaml": _yaml,
    "md": _markdown,
    "html": _html,
}
