"""Where the policies that a command makes go: `-o`, a folder, YAML or JSON on stdout."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowmine.cli.display import write_lines

if TYPE_CHECKING:
    from flowmine.edges import Edges
    from flowmine.report.policies import EvidenceIn, Item

__all__ = ["write_proposals"]


def write_proposals(proposals: "Sequence[Item]", edges: "Edges", output: str, evidence: "EvidenceIn") -> None:
    """Write policies to `output`: `-` (or `yaml`), `json`, or a folder. Raise UsageError where that cannot be written."""
    from flowmine.report.jsontext import json_lines
    from flowmine.report.policies import as_list, folder, stream, write_folder
    from flowmine.synth.evidence import Witness

    witness = Witness(edges).of
    if output == "json":
        write_lines(json_lines(as_list(proposals, witness, evidence)), None)
    elif output in ("-", "yaml"):
        click.echo(stream(proposals, witness, evidence), nl=False)
    else:
        others = write_folder(folder(proposals, witness, evidence), Path(output))
        if others:
            files = "1 other policy file" if len(others) == 1 else f"{len(others):,} other policy files"
            click.echo(f"{output}: {files} there left untouched", err=True)
