"""`flowmine explain`: the traffic behind each rule, the rule behind each connection, and how much was not seen."""

import json
from pathlib import Path

import click

from flowmine.cli.display import write_lines
from flowmine.cli.exitcodes import FailOn, fails_on, reading_classes
from flowmine.cli.inputs import Capture, capture_inputs
from flowmine.cli.policiesinforce import Agents, agent_options
from flowmine.cli.scaleoptions import scale_options
from flowmine.cli.window import WindowCommand
from flowmine.errors import UsageError

__all__ = ["explain"]


@click.command(
    cls=WindowCommand, short_help="Show the traffic behind each rule, and the rule behind each connection."
)
@capture_inputs
@scale_options
@click.option(
    "--policy",
    "--policies",
    "policies",
    multiple=True,
    required=True,
    metavar="PATH",
    help="The policies to explain: a file, a folder, or - for stdin. Repeatable.",
)
@agent_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print it; json holds every edge.",
)
@click.option(
    "-d", "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="PATH", help="Write to a file."
)
@fails_on("explain")
def explain(
    capture: Capture,
    policies: tuple[str, ...],
    agents: Agents,
    output: str,
    out: Path | None,
    failing: FailOn,
) -> int:
    """Show the recorded traffic behind each rule of policies, and the rules that admit each connection.

    A rule's evidence is how many flows it admits, in how many hours and at which sides they were seen; what was seen in
    one hour only is the weakest. How complete the capture is for each workload is estimated by Chao2 over its hours, from
    ten hours on.
    """
    from flowmine.advise.explain import explain as advise
    from flowmine.advise.recorded import recorded
    from flowmine.edges import COLUMNS, REQUEST_COLUMNS
    from flowmine.report.explanation import explanation_json, explanation_lines

    with capture.reading(columns=(*COLUMNS, *REQUEST_COLUMNS)) as reading:
        edges = reading.edges(requests=True)
        given, _ = agents.load(policies, edges)
        if given is None:
            raise UsageError("there are no policies to explain (--policy PATH)")
        known = recorded(edges)
        found = advise(known, given)
        unneeded = sum(not rule.rows and not rule.closes for rule in found.rules)
        reading.tell(
            f"{len(found.rules):,} rules, {unneeded:,} without traffic; {len(found.flows):,} edges, "
            f"{len(found.denied):,} delivered ones denied by these policies"
        )
        reading.end()
        if output == "json":
            write_lines([json.dumps(explanation_json(found, known), indent=2, ensure_ascii=False)], out)
        else:
            write_lines(explanation_lines(found, known), out)
    classes = reading_classes(reading.source.ledger)
    return failing.code({"denied": found.denied, "unused": unneeded, **classes})
