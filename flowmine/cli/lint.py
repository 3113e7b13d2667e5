"""`flowmine lint`: find what policies say and do not mean."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from flowmine.cli.exitcodes import FailOn, fails_on, graver, reading_classes
from flowmine.cli.places import with_lines
from flowmine.errors import PolicyError, UsageError

if TYPE_CHECKING:
    from flowmine.advise.lint import Capture
    from flowmine.ledger import Ledger
    from flowmine.report.ci import Report

__all__ = ["command", "lint"]

FORMATS = ("table", "json", "sarif", "junit", "md")


@click.command(short_help="Find what policies say and do not mean.")
@click.argument("policies", metavar="POLICY...", nargs=-1, required=True)
@click.option(
    "--flows",
    metavar="INPUT",
    multiple=True,
    help="A capture to hold selectors and the world against; may be repeated.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="How to print findings.",
)
@click.option("--rule", "rules", metavar="ID", multiple=True, help="Only these rules; may be repeated.")
@click.option("--skip", "skipped", metavar="ID", multiple=True, help="All rules but these; may be repeated.")
@click.option(
    "--rules",
    "list_rules",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=lambda *args: _list_rules(*args),
    help="List the rules and leave.",
)
@fails_on("lint")
def lint(
    policies: tuple[str, ...],
    flows: tuple[str, ...],
    output: str,
    rules: tuple[str, ...],
    skipped: tuple[str, ...],
    failing: FailOn,
) -> int:
    """Find policies that are legal and not meant: rules split by a dash, ports without protocol, names never learned.

    POLICY is a file of YAML or JSON, a folder, or "-" for stdin; all of them count as applied together. Every finding
    has its rule, place, reason and fix. Exit 0: nothing found but notes, 1: findings, 2: a file cannot be read.
    """
    from flowmine.advise.lint import RULES, context_of, findings_of
    from flowmine.policy.files import load
    from flowmine.report import ci
    from flowmine.report.findingsmarkdown import as_markdown

    chosen = _chosen(rules, skipped)
    loaded = load(*policies)
    if not loaded.documents:
        raise PolicyError(
            f"{' '.join(policies)}: there is no policy to check; name a file or folder that holds one"
        )
    capture, ledger = _capture(flows) if flows else (None, None)
    context = context_of(loaded.documents, capture)
    findings = with_lines(findings_of(context, chosen))
    checked = list(dict.fromkeys(unit.name for unit in context.units))
    report = ci.Report(
        "lint", [rule for rule in RULES if rule.id in chosen], checked, findings, failing.fails
    )
    printers: dict[str, Callable[[Report], str]] = {
        "table": ci.as_table,
        "json": ci.as_json,
        "sarif": ci.as_sarif,
        "junit": ci.as_junit,
        "md": as_markdown,
    }
    click.echo(printers[output](report), nl=False)
    for passed in loaded.skipped:
        click.echo(f"{passed.where}: {passed.what} passed over: {passed.reason}", err=True)
    click.echo(_summary(report), err=True)
    levels = {finding.level.value for finding in findings}
    read = reading_classes(ledger) if ledger else {}
    return failing.code(graver(levels) | read)


command = lint


def _list_rules(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if not asked or context.resilient_parsing:
        return
    from flowmine.advise.lint import RULES

    width = max(len(rule.id) for rule in RULES)
    for rule in RULES:
        click.echo(f"{rule.id:{width}}  {rule.level.value:7}  {rule.summary}")
    context.exit()


def _chosen(rules: Sequence[str], skipped: Sequence[str]) -> set[str]:
    from flowmine.advise.lint import RULES

    known = [rule.id for rule in RULES]
    for name in (*rules, *skipped):
        if name not in known:
            raise UsageError(f"no such rule: {name} (known: {', '.join(known)})")
    return set(rules or known) - set(skipped)


def _capture(inputs: Sequence[str]) -> "tuple[Capture, Ledger]":
    """Read the captures to their end, and say on stderr what of them was not read."""
    from flowmine.advise.lint import capture_of
    from flowmine.edges import COLUMNS
    from flowmine.ingest import open_flows
    from flowmine.report.summary import summary_lines
    from flowmine.scale import aggregate

    source = open_flows(*inputs, columns=COLUMNS)
    edges = aggregate(source)
    for line in summary_lines(source.ledger):
        click.echo(line, err=True)
    return capture_of(edges.endpoints, edges.edges, edges.names), source.ledger


def _summary(report: "Report") -> str:
    levels = [finding.level.value for finding in report.findings]
    told = ", ".join(
        f"{levels.count(level)} {level}{'s' * (levels.count(level) != 1)}"
        for level in ("error", "warning", "note")
        if level in levels
    )
    return f"{len(report.checked)} checked: {told or 'nothing found'}"
