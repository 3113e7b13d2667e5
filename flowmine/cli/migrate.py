"""`flowmine migrate`: windows that an older flowmine wrote, brought to the present schema version."""

from pathlib import Path

import click

from flowmine.cli.exitcodes import FailOn, fails_on

__all__ = ["migrate"]


@click.command(short_help="Bring recorded captures and state of an older version up to date.")
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    metavar="DIR...",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@fails_on("migrate")
def migrate(folders: tuple[Path, ...], failing: FailOn) -> int:
    """Bring the windows in folders that `capture` or `tail --state` wrote to the present schema version.

    Each is replaced in one step; what is of the present version is left alone.
    """
    from flowmine.ingest.capturemigrate import migrate as bring

    total = 0
    for folder in folders:
        count = 0
        for window in bring(folder):
            click.echo(str(window))
            count += 1
        click.echo(f"{folder}: {count:,} windows brought up to date", err=True)
        total += count
    return failing.code({"changed": total})
