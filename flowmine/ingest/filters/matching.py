"""A whole selection as a predicate over a record."""

from collections.abc import Callable
from typing import Any

from flowmine.ingest.filters.predicates import predicate
from flowmine.ingest.filters.selection import Selection
from flowmine.ingest.filters.when import nanoseconds

__all__ = ["matcher"]


def matcher(selection: Selection) -> Callable[[dict[str, Any]], bool]:
    """Return the predicate of a selection over a record: ``{"flow": {…}, "node_name", "time"}`` in snake_case.

    True where the record lies in the window, some allow filter matches or there is none, and no deny filter does
    (Cilium ``hubble/cmd/observe/io_reader_observer.go``); ``first`` and ``last`` are the reader's to count. Raise
    UsageError where a filter's value cannot be understood.
    """
    allow = [predicate(wanted) for wanted in selection.allow]
    deny = [predicate(wanted) for wanted in selection.deny]
    windowed = selection.since is not None or selection.until is not None

    def matches(record: dict[str, Any]) -> bool:
        if windowed and not _within(record, selection.since, selection.until):
            return False
        flow = record.get("flow")
        if allow and not any(allowed(flow) for allowed in allow):
            return False
        return not any(denied(flow) for denied in deny)

    return matches


def _within(record: dict[str, Any], since: int | None, until: int | None) -> bool:
    text = record.get("time") or (record.get("flow") or {}).get("time")
    try:
        moment = nanoseconds(text) if text else 0
    except ValueError:
        moment = 0
    return (since is None or moment >= since) and (until is None or moment <= until)
