"""How far a capture can be trusted, in words: what was lost, skipped, repeated or never recorded."""

import pyarrow as pa

from flowmine.ledger import Ledger
from flowmine.report.gotime import format_time
from flowmine.report.view import LedgerRow

__all__ = ["ledger_lines", "ledger_rows", "window_text"]

_MEANING = {
    "lost": "Hubble says it lost events: connections may be missing",
    "node_status": "a node came, went or failed while relay was asked: its events may be missing",
    "masked": "no event carries this field",
    "skipped": "could not be read and was passed over",
    "duplicate": "read twice, counted once",
    "cut": "ends in the middle, or is corrupt from there on",
    "gap": "nothing at all was seen for a while",
    "unsettled": "who began these connections cannot be told: no rule comes from them",
}
_MILLION = 1_000_000


def ledger_rows(table: pa.Table) -> tuple[LedgerRow, ...]:
    """Return the rows of a LEDGER table, each with what its kind means."""
    for name in ("first", "last"):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.int64()))
    return tuple(
        LedgerRow(
            row["kind"],
            _MEANING.get(row["kind"], ""),
            row["source"],
            row["node"],
            row["count"],
            _milliseconds(row["first"]),
            _milliseconds(row["last"]),
        )
        for row in table.to_pylist()
    )


def ledger_lines(ledger: Ledger) -> tuple[str, ...]:
    """Return what there is to say of whole inputs, of single lines that could not be read, and of missing fields."""
    advice = ledger.mask_advice()
    return (*([advice] if advice else []), *ledger.notes, *ledger.named)


def window_text(ledger: Ledger) -> str:
    """Return from when to when events were seen."""
    first, last = ledger.window.first, ledger.window.last
    if first is None or last is None:
        return "none"
    start, end = (format_time(at, "RFC3339").replace("T", " ")[:16] for at in (first, last))
    return f"{start} to {end[11:] if start[:10] == end[:10] else end} UTC"


def _milliseconds(nanoseconds: int | None) -> int | None:
    return None if nanoseconds is None else nanoseconds // _MILLION
