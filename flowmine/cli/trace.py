"""`flowmine trace`: explain why policies allow or deny one connection."""

import json
from dataclasses import asdict

import click

from flowmine.cli.asking import Asked, question_options
from flowmine.cli.exitcodes import FailOn, fails_on

__all__ = ["command", "trace"]


@click.command(short_help="Explain why policies allow or deny one connection.")
@question_options
@click.option(
    "--all", "everything", is_flag=True, help="Also show the rules that do not select an end, and why not."
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print the walk.",
)
@fails_on("trace")
def trace(asked: Asked, everything: bool, output: str, failing: FailOn) -> int:
    """Explain why policies allow or deny one connection.

    Shows, for each side, which rules select the end, why each of their entries does or does not match, label by label,
    and what default deny did: the same decision as `flowmine verdict`. Exit 0 whatever it is, unless --fail-on says
    else, 2: a file cannot be read or an option is wrong.
    """
    from flowmine.engine.explain import explain
    from flowmine.engine.trace import trace as walk

    query = asked.query()
    found = walk(asked.load(), query)
    click.echo(
        json.dumps(asdict(found), ensure_ascii=False)
        if output == "json"
        else explain(found, everything).rstrip("\n")
    )
    passes = found.verdict == "allowed" and False not in (found.http_allowed, found.dns_allowed)
    return failing.code({"denied": not passes, "allowed": passes})


command = trace
