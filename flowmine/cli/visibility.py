"""`flowmine visibility`: the policies that make names and HTTP requests show in the next capture."""

import click

from flowmine.cli.exitcodes import FailOn, fails_on, reading_classes
from flowmine.cli.inputs import Capture, capture_inputs
from flowmine.cli.proposals import write_proposals
from flowmine.cli.scaleoptions import scale_options
from flowmine.cli.window import WindowCommand
from flowmine.policy.versions import oldest_version, parse_version

__all__ = ["visibility"]


@click.command(cls=WindowCommand)
@capture_inputs
@scale_options
@click.option(
    "-n",
    "--namespace",
    "namespaces",
    multiple=True,
    required=True,
    metavar="NS",
    help="Whose pods to show (* and ? as in shells).",
)
@click.option(
    "--http",
    "ports",
    multiple=True,
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="A pod's own TCP port that speaks HTTP; its requests are shown as well.",
)
@click.option(
    "-o", "--output", default="-", metavar="DIR|-|json", help="A folder to write, YAML (-) or JSON on stdout."
)
@click.option(
    "--cilium", metavar="VERSION", help="Write for this version (default: the one that made the capture)."
)
@fails_on("visibility")
def visibility(
    capture: Capture,
    namespaces: tuple[str, ...],
    ports: tuple[int, ...],
    output: str,
    cilium: str | None,
    failing: FailOn,
) -> int:
    """Write policies that show names and HTTP requests and deny nothing.

    A first capture has neither, for nothing passed a proxy: CIDRs then stand where names would be better. Apply these
    policies, capture again, recommend, and delete them. The engine proves that they deny nothing.
    """
    from flowmine.advise.visibility import show
    from flowmine.edges import COLUMNS
    from flowmine.report.policies import EvidenceIn
    from flowmine.synth.options import Options

    with capture.reading(columns=COLUMNS) as reading:
        edges = reading.edges()
        seen = oldest_version(reading.source.ledger.versions)
        version = parse_version(cilium) if cilium else seen or Options().cilium
        made = show(edges, namespaces, ports, Options(cilium=version))
        reading.tell(_conclusion(len(made)))
        reading.end()
        write_proposals(made, edges, output, EvidenceIn.COMMENTS)
    return failing.code(reading_classes(reading.source.ledger))


def _conclusion(count: int) -> str:
    what = "1 policy that only shows" if count == 1 else f"{count} policies that only show"
    return f"{what}, proved to deny nothing: apply, capture again, recommend, delete"
