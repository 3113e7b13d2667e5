"""`flowmine recommend --into DIR`: what is missing of a recommendation goes into the files that people wrote."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowmine.errors import UsageError

if TYPE_CHECKING:
    from flowmine.advise.recommend import Recommendation
    from flowmine.edges import Edges
    from flowmine.policy.mergewrite import Change
    from flowmine.report.policies import EvidenceIn

__all__ = ["merged", "refuse_other_kinds", "write_merged"]


def merged(
    found: "Recommendation", edges: "Edges", into: Path, evidence: "EvidenceIn", tell: Callable[[str], None]
) -> "list[Change]":
    """Return the changes that a recommendation makes to a folder; where it is of several clusters, to a folder for each in it.

    Raise PolicyError where a file of the folder cannot be read, UsageError where it is no folder, ProofError where
    the merged policies would deny what they must not.
    """
    from flowmine.advise.merge import merge
    from flowmine.policy.merge import read_folder
    from flowmine.report.merging import changes, told
    from flowmine.report.policies import cluster_folder
    from flowmine.synth.evidence import Witness

    clusters = sorted({each.cluster for each in found.proposals})
    made: list[Change] = []
    for cluster in clusters:
        folder = read_folder(into / cluster_folder(cluster) if len(clusters) > 1 else into)
        plan = merge(found, edges, folder, cluster)
        own = changes(plan, folder, Witness(edges).of, evidence)
        for line in told(plan, own, folder):
            tell(line)
        made += own
    return made


def refuse_other_kinds(asked: Mapping[str, Any]) -> None:
    """Raise UsageError where more is asked for than the policies of workloads as they are to be enforced."""
    wanted = {
        "--format knp": asked["form"] != "cnp",
        "--host-policies": asked["host_policies"],
        "--egress-gateway": asked["gateways"],
        f"--stage {asked['stage']}": asked["stage"] != "enforce",
    }
    if given := [option for option, is_given in wanted.items() if is_given]:
        raise UsageError(
            f"--into adds to the policies of workloads, as they are enforced; write {' and '.join(given)} beside, with -o"
        )


def write_merged(changes: "list[Change]", *, dry_run: bool) -> None:
    """Print the changes as a unified diff, or write them. Raise UsageError where they cannot be written."""
    from flowmine.policy.mergewrite import unified_diff, write_changes

    if dry_run:
        click.echo(unified_diff(changes), nl=False)
    else:
        write_changes(changes)
