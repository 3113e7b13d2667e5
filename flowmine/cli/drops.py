"""`flowmine drops`: what was dropped, why, and the smallest change that would admit it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowmine.cli.display import show_table, write_checks, write_lines, write_text
from flowmine.cli.exitcodes import FailOn, drop_classes, fails_on, reading_classes
from flowmine.cli.filters import FilteredCommand
from flowmine.cli.fromcluster import FromCluster, cluster_options
from flowmine.cli.inputs import Capture, capture_inputs
from flowmine.cli.policiesinforce import Agents, agent_options
from flowmine.cli.scaleoptions import scale_options

if TYPE_CHECKING:
    from flowmine.advise.drops import DropReport
    from flowmine.ingest.filters import Selection

__all__ = ["drops"]

FORMATS = ("table", "json", "yaml", "md", "html", "sarif", "junit")


@click.command(cls=FilteredCommand, short_help="Explain drops, and write the smallest change for each.")
@capture_inputs
@scale_options
@click.option(
    "--policies",
    multiple=True,
    metavar="PATH",
    help="The policies in force: a file, a folder, or - for stdin. Repeatable.",
)
@cluster_options
@agent_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="yaml is the policies as they are after all changes; md and html hold each diff and command.",
)
@click.option(
    "-d", "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="PATH", help="Write to a file."
)
@click.option(
    "--cilium", metavar="VERSION", help="Write for this version (default: the one that made the capture)."
)
@fails_on("drops")
def drops(
    capture: Capture,
    selection: "Selection",
    policies: tuple[str, ...],
    cluster: FromCluster,
    agents: Agents,
    output: str,
    out: Path | None,
    cilium: str | None,
    failing: FailOn,
) -> int:
    """Group what was dropped by who, to whom, port and cause, and give for each the smallest change that admits it.

    With the policies in force the engine is asked at both sides: the drop at egress hides the one at ingress. Each change
    is proved: it admits what the line says and, over everybody seen, no more than the column ALSO counts. Exit 0: policies
    refuse nothing (any more), 1: they do, 2: an input cannot be read.
    """
    from dataclasses import replace

    from flowmine.advise.drops import drops as advise
    from flowmine.advise.drops import summary
    from flowmine.edges import COLUMNS, REQUEST_COLUMNS
    from flowmine.policy.versions import oldest_version, parse_version
    from flowmine.synth.options import Options

    written = agents.read(policies, cluster)
    with capture.reading(selection, columns=(*COLUMNS, *REQUEST_COLUMNS)) as reading:
        edges = reading.edges(requests=True)
        seen = oldest_version(reading.source.ledger.versions)
        version = parse_version(cilium) if cilium else seen or Options().cilium
        known = agents.in_force(written, edges) if written else None
        texts = written.texts if written else {}
        report = advise(edges, known, replace(Options(), cilium=version), texts)
        for line in summary(report):
            reading.tell(line)
        reading.end()
        printer = _PRINTERS.get(output) or _checks(output, failing)
        printer(report, texts, out)
    return failing.code(drop_classes(report) | reading_classes(reading.source.ledger))


def _table(report: "DropReport", _: dict[str, str], out: Path | None) -> None:
    from flowmine.report.dropview import drop_table

    table = drop_table(report)
    if table.rows:
        show_table(table, out)


def _json(report: "DropReport", _: dict[str, str], out: Path | None) -> None:
    import json

    from flowmine.report.dropview import drop_records

    write_lines([json.dumps(drop_records(report), indent=2, ensure_ascii=False)], out)


def _yaml(report: "DropReport", _: dict[str, str], out: Path | None) -> None:
    from flowmine.report.dropview import drop_manifests

    write_lines(["---\n".join(drop_manifests(report)).rstrip("\n")], out)


def _markdown(report: "DropReport", _: dict[str, str], out: Path | None) -> None:
    from flowmine.report.dropsmarkdown import drops_markdown

    write_lines(drops_markdown(report), out)


def _html(report: "DropReport", _: dict[str, str], out: Path | None) -> None:
    from flowmine.report.dropspage import drops_page

    write_text(drops_page(report), out)


def _checks(output: str, failing: FailOn) -> Callable[["DropReport", dict[str, str], Path | None], None]:
    def write(report: "DropReport", texts: dict[str, str], out: Path | None) -> None:
        from flowmine.advise.dropfindings import RULES, drop_findings
        from flowmine.report.ci import Report

        findings = list(drop_findings(report, texts))
        checked = list(dict.fromkeys(finding.policy for finding in findings))
        write_checks(Report("drops", RULES, checked, findings, failing.fails), output, out)

    return write


_PRINTERS: dict[str, Callable[["DropReport", dict[str, str], Path | None], None]] = {
    "table": _table,
    "json": _json,
    "yaml": _yaml,
    "md": _markdown,
    "html": _html,
}
