"""`flowmine diff`: two policy sets compared by what they let through."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowmine.cli.display import show_table, write_checks, write_lines
from flowmine.cli.exitcodes import FailOn, fails_on
from flowmine.cli.policiesinforce import Agents, Written, agent_options

if TYPE_CHECKING:
    from flowmine.advise.diff import Difference
    from flowmine.advise.imagined import Somebody
    from flowmine.edges import Edges
    from flowmine.engine.policyset import PolicySet
    from flowmine.report.ci import Report

__all__ = ["diff"]


@click.command(short_help="Compare two sets of policies by meaning.")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option(
    "--flows",
    "inputs",
    multiple=True,
    metavar="INPUT",
    help="Compare over the identities of a capture. Repeatable; without, over those that the policies speak of.",
)
@agent_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "md", "sarif", "junit"]),
    default="table",
    show_default=True,
    help="How to print differences.",
)
@click.option(
    "-d", "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="PATH", help="Write to a file."
)
@fails_on("diff")
def diff(
    before: str,
    after: str,
    inputs: tuple[str, ...],
    agents: Agents,
    output: str,
    out: Path | None,
    failing: FailOn,
) -> int:
    """Compare the policies of A and B (files, folders, or - for one of them) by the connections that they let through.

    Names, order, and the way rules are cut do not matter. Every port is looked at. Exit 0: they mean the same, 1: they do
    not, 2: a file cannot be read.
    """
    from flowmine.advise.diff import compare
    from flowmine.advise.imagined import imagined
    from flowmine.report.diffview import diff_markdown, diff_records, diff_table

    written = [_written(path, agents) for path in (before, after)]
    edges = _edges(inputs)
    old, new = (agents.in_force(each, edges).policies for each in written)
    people = _seen(edges, old, agents) if edges is not None else imagined(old, new)
    found = compare(old, new, people)
    if output == "json":
        write_lines([json.dumps(diff_records(found), indent=2, ensure_ascii=False)], out)
    elif output == "md":
        write_lines(diff_markdown(found), out)
    elif output in ("sarif", "junit"):
        write_checks(_checks(found, failing), output, out)
    elif found:
        show_table(diff_table(found), out)
    told = f"{len(found):,} difference{'s' * (len(found) != 1)}" if found else "no difference"
    click.echo(f"{told} among {len(people):,} identities", err=True)
    return failing.code(_classes(found))


def _checks(found: "Sequence[Difference]", failing: FailOn) -> "Report":
    from flowmine.advise.policyfindings import DIFF_RULES, diff_findings
    from flowmine.report.ci import Report
    from flowmine.report.diffview import ports_told

    findings = list(diff_findings(found, [ports_told(each.ports) for each in found]))
    checked = [finding.policy for finding in findings]
    return Report("diff", DIFF_RULES, checked, findings, failing.fails)


def _classes(found: "Sequence[Difference]") -> dict[str, bool]:
    from flowmine.advise.diff import Change

    kinds = {each.change for each in found}
    return {
        "wider": bool(kinds & {Change.ALLOWED, Change.REQUESTS}),
        "narrower": bool(kinds & {Change.DENIED, Change.REQUESTS}),
        "changed": bool(kinds),
    }


def _edges(inputs: Sequence[str]) -> "Edges | None":
    """Read the captures to their end, and say on stderr what of them was not read; None where none is given."""
    from flowmine.edges import COLUMNS
    from flowmine.ingest import open_flows
    from flowmine.report.summary import summary_lines
    from flowmine.scale import aggregate

    if not inputs:
        return None
    source = open_flows(*inputs, columns=COLUMNS)
    edges = aggregate(source)
    for line in summary_lines(source.ledger):
        click.echo(line, err=True)
    return edges


def _written(path: str, agents: Agents) -> Written:
    """Return the policies of a path; an empty folder's too: all that it holds is nothing."""
    if os.path.isdir(path) and not any(Path(path).iterdir()):  # noqa: PTH112 (no, of a name too long)
        return Written()
    return agents.read([path]) or Written()


def _seen(edges: "Edges", policies: "PolicySet", agents: Agents) -> "tuple[Somebody, ...]":
    from flowmine.advise.imagined import Somebody
    from flowmine.advise.inforce import InForce
    from flowmine.advise.recorded import recorded
    from flowmine.advise.standpoint import crowd

    known = recorded(edges)
    people = crowd(known, InForce(policies, named_ports=agents.ports()))
    named: Any = zip(people.spots, people.parties, strict=True)
    return tuple(Somebody(known.title(spot), party) for spot, party in named)
