"""Groups of drops as a page shows them."""

from flowmine.advise.dropfindings import drop_title
from flowmine.advise.drops import Drop, DropReport
from flowmine.report.dropview import told_cause
from flowmine.report.view import DropText, EditText

__all__ = ["drop_texts"]


def drop_texts(report: DropReport) -> tuple[DropText, ...]:
    """Return the groups that stand, in the report's order."""
    return tuple(map(_text, report.standing))


def _text(drop: Drop) -> DropText:
    return DropText(
        title=drop_title(drop),
        count=drop.group.count,
        cause=told_cause(drop),
        mind=", ".join(drop.risks),
        by=tuple((str(side), ", ".join(names)) for side, names in drop.group.by.items()),
        notes=drop.notes,
        also=drop.also,
        edits=tuple(
            EditText(each.action.value, each.ref, ", ".join(each.places), each.diff, each.command)
            for each in drop.edits
        ),
    )
