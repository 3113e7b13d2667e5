"""Drops as markdown, for a pull request's comment: a table, then each change with its diff and its command."""

from collections.abc import Iterator

from flowmine.advise.dropfindings import drop_title
from flowmine.advise.drops import Drop, DropReport, summary
from flowmine.report.dropview import drop_table, told_cause
from flowmine.report.marks import code, escaped, fenced

__all__ = ["drops_markdown"]


def drops_markdown(report: DropReport) -> Iterator[str]:
    """Yield the lines of the report."""
    yield "## flowmine drops"
    yield ""
    yield from (f"{escaped(line)}.  " for line in summary(report))
    table = drop_table(report)
    if table.rows:
        yield ""
        yield f"| {' | '.join(column.heading for column in table.columns)} |"
        yield f"|{'|'.join('---:' if column.number else '---' for column in table.columns)}|"
        for row in table.rows:
            yield f"| {' | '.join(map(escaped, row))} |"
    for drop in report.standing:
        yield from _section(drop)


def _section(drop: Drop) -> Iterator[str]:
    group = drop.group
    yield ""
    yield f"### {escaped(drop_title(drop))}"
    yield ""
    yield f"{group.count:,} drops, {escaped(told_cause(drop))}."
    for side, names in group.by.items():
        yield f"- {side}: {', '.join(map(code, names))}"
    yield from (f"- {escaped(note)}" for note in drop.notes)
    if drop.risks:
        yield f"- mind: {escaped(', '.join(drop.risks))}"
    if drop.admission is not None:
        yield f"- also admits: {escaped('; '.join(drop.also)) or 'nothing else that was seen'}"
    for edit in drop.edits:
        yield ""
        yield f"{edit.action.capitalize()} {code(edit.ref)} at {', '.join(map(code, edit.places))}:"
        yield ""
        yield from fenced(edit.diff, "diff")
        yield ""
        yield from fenced(edit.command, "sh")
