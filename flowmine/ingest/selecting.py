"""Selections applied to a capture one after the other: the predicate that a reading asks about each flow.

``first`` and ``last`` count what earlier selections let pass, lost events and node status among it, as Hubble does; the
capture is read once more before, for each selection that counts.
"""

from collections.abc import Callable, Sequence
from typing import Any

from flowmine.errors import UsageError
from flowmine.ingest.filters import Selection, matcher
from flowmine.ingest.jsonl import Keep
from flowmine.ingest.source import Source

__all__ = ["Keeper"]

Span = tuple[int, int] | None


class Keeper:
    """The selections of one capture, with the places between which those that count let flows pass."""

    def __init__(self, selections: Sequence[Selection], reopen: Callable[[], Source]) -> None:
        """Count where it is asked for. ``reopen`` opens the capture anew, without dropping what is read twice.

        Raise UsageError where a selection counts and the capture can be read only once, or a filter means nothing.
        """
        self._stages: list[tuple[Keep, Span]] = []
        for selection in selections:
            matches = matcher(selection)
            counts = bool(selection.first or selection.last)
            span = _span(self.predicate(), matches, selection, reopen()) if counts else None
            self._stages.append((matches, span))

    def predicate(self) -> Keep:
        """Return a predicate for one reading of its own."""
        stages = [_counted(matches, span) if span else matches for matches, span in self._stages]
        return lambda record: all(stage(record) for stage in stages)


def _counted(matches: Keep, span: tuple[int, int]) -> Keep:
    begin, end = span
    seen = 0

    def keep(record: dict[str, Any]) -> bool:
        nonlocal seen
        if not matches(record):
            return False
        seen += "flow" in record
        return begin < seen <= end

    return keep


def _span(before: Keep, matches: Keep, selection: Selection, source: Source) -> tuple[int, int]:
    """Return how many matching flows lie before those asked for, and before their end."""
    if source.place is None:
        raise UsageError(
            "--first and --last read their input twice here, and stdin can be read once: write it to a file"
        )
    flows = [0]
    for _, record, _ in source.records():
        if before(record) and matches(record):
            flows.append(flows[-1] + ("flow" in record))
            if selection.first and len(flows) > selection.first:
                break
            if selection.last and len(flows) > selection.last + 1:
                flows.pop(0)
    return (0, flows[-1]) if selection.first else (flows[0], flows[-1])
