"""Records as `hubble observe` prints them: compact lines, blocks of key and value, a table (1.19)."""

from collections.abc import Iterable, Iterator

from flowmine.report.hubblecells import Record, Row, Style, clean, flow_row, identity, lost_row, time_of

__all__ = ["Style", "compact", "dictionary", "node_status", "table"]

_SEPARATOR = "------------"
_HEADINGS = ("TIMESTAMP", "NODE", "SOURCE", "DESTINATION", "TYPE", "VERDICT", "SUMMARY")


def compact(record: Record, style: Style) -> str | None:
    """Return the line of an event; None for a record that Hubble does not print."""
    if record.get("lost_events") is not None:
        row = lost_row(record, style)
        source, summary = row.source, row.summary.replace(" - ", " ", 1)
        return f"{row.time} EVENTS LOST: {source} {summary}"
    if record.get("flow") is None:
        return None
    flow: Record = record["flow"]
    row = flow_row(record, style)
    ends = [
        (row.source, identity(flow, "source", style)),
        (row.destination, identity(flow, "destination", style)),
    ]
    reply = flow.get("is_reply")
    if reply:
        ends.reverse()
    arrow = "<>" if reply is None else "<-" if reply else "->"
    node = f" [{row.node}]" if style.node_name else ""
    (left, left_id), (right, right_id) = ends
    return f"{row.time}{node}: {left} {left_id} {arrow} {right} {right_id} {row.type} {row.verdict} ({row.summary})"


def dictionary(records: Iterable[Record], style: Style) -> Iterator[str]:
    """Yield each event as a block of ``KEY: value`` lines, and a ruler between two."""
    first = True
    for record in records:
        row = _row(record, style)
        if row is None:
            continue
        values = [row.time, row.node, row.source, row.destination, row.type, row.verdict, row.summary]
        lines = [f"{heading:>11}: {value}" for heading, value in zip(_HEADINGS, values, strict=True)]
        hidden = [not style.node_name and "NODE", record.get("lost_events") is not None and "DESTINATION"]
        kept = [line for heading, line in zip(_HEADINGS, lines, strict=True) if heading not in hidden]
        yield "\n".join(kept if first else [_SEPARATOR, *kept])
        first = False


def table(records: Iterable[Record], style: Style) -> Iterator[str]:
    """Yield a heading and a line an event, in aligned columns; all events are held until the last is read.

    Colours are off, as in Hubble.
    """
    plain = Style(style.names, style.time_format, style.node_name)
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for record in records:
        row = _row(record, plain)
        if row is not None:
            rows.append((row.time, row.node, row.source, row.destination, row.type, row.verdict, row.summary))
    if len(rows) == 1:
        return
    if not style.node_name:
        rows = [(cells[0], *cells[2:]) for cells in rows]
    widths = [max(map(len, column)) + 3 for column in list(zip(*rows, strict=True))[:-1]]
    for cells in rows:
        yield "".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)) + cells[-1]


def node_status(record: Record, style: Style) -> str | None:
    """Return the sentence about nodes that Hubble prints on stderr; None where it prints none."""
    status = record.get("node_status") or {}
    names = [clean(name) for name in status.get("node_names") or ()]
    prefix = f"{time_of(record, style)} [{clean(record.get('node_name') or '')}]"
    if status.get("state_change") == "NODE_UNAVAILABLE":
        return f"{prefix}: {len(names)} nodes are unavailable: {_some(names)}"
    if status.get("state_change") == "NODE_ERROR":
        message = clean(status.get("message") or "").replace('"', '\\"')
        return f'{prefix}: Error "{message}" on {len(names)} nodes: {_some(names)}'
    return None


def _row(record: Record, style: Style) -> Row | None:
    if record.get("lost_events") is not None:
        return lost_row(record, style)
    return flow_row(record, style) if record.get("flow") is not None else None


def _some(names: list[str], length: int = 50) -> str:
    """Join names up to about a length, and say how many more there are; at least one is named."""
    shown: list[str] = []
    used = 0
    for name in names:
        used += len(name) + 2
        if used > length and shown:
            return f"{', '.join(shown)} (and {len(names) - len(shown)} more)"
        shown.append(name)
    return ", ".join(shown)
