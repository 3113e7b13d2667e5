"""Drops as one page of HTML: the table, and each change to unfold."""

from typing import Any

from flowmine.advise.dropfindings import drop_title
from flowmine.advise.drops import Drop, DropReport, summary
from flowmine.report.dropview import drop_table, told_cause
from flowmine.report.page import page

__all__ = ["drops_page"]


def drops_page(report: DropReport) -> str:
    """Return the page."""
    return page(
        "drops.html",
        lines=summary(report),
        table=drop_table(report),
        drops=[_shown(drop) for drop in report.standing],
    )


def _shown(drop: Drop) -> dict[str, Any]:
    return {
        "title": drop_title(drop),
        "count": f"{drop.group.count:,}",
        "cause": told_cause(drop),
        "mind": ", ".join(drop.risks),
        "by": [(str(side), ", ".join(names)) for side, names in drop.group.by.items()],
        "notes": drop.notes,
        "also": "; ".join(drop.also),
        "edits": [
            {
                "action": each.action.value,
                "ref": each.ref,
                "places": ", ".join(each.places),
                "diff": each.diff,
                "command": each.command,
            }
            for each in drop.edits
        ],
    }
