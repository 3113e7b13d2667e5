"""Drops as markdown, for a pull request's comment: a table, then each change with its diff and its command, folded."""

from collections.abc import Iterator
from dataclasses import replace

from flowmine.advise.dropfindings import drop_title
from flowmine.advise.drops import Drop, DropReport, summary
from flowmine.report.comment import Part, clipped, comment, fold, rows
from flowmine.report.dropview import drop_table, told_cause
from flowmine.report.marks import code, escaped, fenced

__all__ = ["drops_markdown"]

_LISTED = 2000
_DIFF = 6000


def drops_markdown(report: DropReport) -> Iterator[str]:
    """Yield the lines of a comment: what policies refuse, what to change for each, and folded what is nobody's to decide."""
    standing = report.standing
    others = tuple(each for each in report.drops if not each.group.cause.stands)
    parts = [
        rows("refused by policies", drop_table(replace(report, drops=standing, scans=()))),
        Part("changes", tuple(tuple(_section(drop)) for drop in standing), shown=len(standing)),
        rows("other drops, and scans", drop_table(replace(report, drops=others)), 0),
    ]
    whole = "flowmine drops -o json has all of it, -o yaml the policies after all changes."
    yield from comment("flowmine drops", summary(report), [part for part in parts if part.items], whole)


def _section(drop: Drop) -> Iterator[str]:
    yield from fold(f"{drop_title(drop)}: {drop.group.count:,} drops, {told_cause(drop)}", _details(drop))


def _details(drop: Drop) -> Iterator[str]:
    for side, names in drop.group.by.items():
        yield f"- {side}: {', '.join(code(clipped(name)) for name in names)}"
    yield from (f"- {escaped(clipped(note))}" for note in drop.notes)
    if drop.risks:
        yield f"- mind: {escaped(clipped(', '.join(drop.risks)))}"
    if drop.admission is not None:
        also = clipped("; ".join(drop.also), _LISTED)
        yield f"- also admits: {escaped(also) or 'nothing else that was seen'}"
    for edit in drop.edits:
        yield ""
        yield f"{edit.action.capitalize()} {code(edit.ref)} at {', '.join(map(code, edit.places))}:"
        yield ""
        yield from fenced(clipped(edit.diff, _DIFF), "diff")
        yield ""
        if len(edit.command) <= _DIFF:
            yield from fenced(edit.command, "sh")
        else:
            yield "The command is too long for a comment: flowmine drops -o json has it."
