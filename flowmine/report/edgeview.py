"""EDGES with names instead of ids: records for JSON and CSV, a table for people, wide columns for Parquet."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flowmine.edges import Edges
from flowmine.report.ends import End, Ends
from flowmine.report.gotime import format_time
from flowmine.report.tables import Column, Table, csv_text

__all__ = ["EdgeRow", "edge_csv", "edge_record", "edge_records", "edge_rows", "edge_table", "wide_edges"]

_COUNTS = (
    "delivered",
    "dropped_egress",
    "dropped_ingress",
    "audited",
    "l7_denied",
    "other_drops",
    "seen_egress",
    "seen_ingress",
    "events",
)
_REASONS_SHOWN = 2
_COLUMNS = (
    Column("from"),
    Column("to"),
    Column("port"),
    Column("outcome"),
    Column("events", number=True),
    Column("delivered", number=True, spare=2),
    Column("dropped", number=True, spare=1),
    Column("why", spare=3),
    Column("last seen (UTC)", spare=4),
)
_TIMES = ("first", "last", "last_delivered", "last_drop")


@dataclass(frozen=True, slots=True)
class EdgeRow:
    """An edge as people read it; ``reasons`` and ``samples`` come from its side tables, times are nanoseconds.

    ``place`` is its row in EDGES.
    """

    place: int
    initiator: End
    responder: End
    protocol: str | None
    port: int | None
    outcome: str
    changed: bool
    counts: dict[str, int]
    service: str | None
    times: dict[str, int | None]
    reasons: tuple[dict[str, Any], ...]
    samples: tuple[str, ...]

    @property
    def where(self) -> str:
        """Protocol and port, or ICMP type, as in ``TCP/443``."""
        return (
            f"{self.protocol or 'unknown'}/{self.port}"
            if self.port is not None
            else self.protocol or "unknown"
        )


def edge_rows(edges: Edges) -> Iterator[EdgeRow]:
    """Yield the edges by what their ends are called, protocol, port and addresses."""
    ends = Ends(edges)
    reasons, samples = _reasons(edges.reasons), _samples(edges.samples)
    rows = []
    for place, row in enumerate(_plain(edges.edges).to_pylist()):
        initiator = ends.end(row["initiator"], row["initiator_ip"], row["responder"])
        responder = ends.end(row["responder"], row["responder_ip"], row["initiator"])
        rows.append(
            EdgeRow(
                place,
                initiator,
                responder,
                row["protocol"],
                row["port"],
                row["outcome"],
                row["changed"],
                {name: row[name] for name in _COUNTS},
                row["responder_service"],
                {name: row[name] for name in _TIMES},
                tuple(reasons.get(place, ())),
                tuple(samples.get(place, ())),
            )
        )
    rows.sort(key=_order)
    yield from rows


def edge_table(edges: Edges) -> Table:
    """Return what people want of the edges: who, to whom, on what, what became of it, how often, until when.

    Edges that only differ in the addresses of a place (the nameless world, nodes) are one row that counts these.
    """
    groups: dict[tuple[Any, ...], list[EdgeRow]] = {}
    for row in edge_rows(edges):
        ends = (row.initiator.place, row.initiator.cluster, row.responder.place, row.responder.cluster)
        groups.setdefault((*ends, row.where, row.outcome, row.changed, row.service), []).append(row)
    return Table(_COLUMNS, tuple(_cells(rows) for rows in groups.values()))


def edge_records(edges: Edges) -> Iterator[dict[str, Any]]:
    """Yield each edge as `edge_record` has it."""
    return map(edge_record, edge_rows(edges))


def edge_record(row: EdgeRow) -> dict[str, Any]:
    """Return an edge as a value for JSON: ends with their names and labels, counts, times in RFC 3339."""
    return {
        "initiator": _end_record(row.initiator),
        "responder": _end_record(row.responder),
        "protocol": row.protocol,
        "port": row.port,
        "responder_service": row.service,
        "outcome": row.outcome,
        "changed": row.changed,
        **row.counts,
        **{name: _rfc3339(at) for name, at in row.times.items()},
        "reasons": list(row.reasons),
        "samples": list(row.samples),
    }


def edge_csv(edges: Edges) -> str:
    """Return the edges as CSV, one row each; lists within a cell are separated by spaces."""
    columns = [
        "initiator",
        "responder",
        "protocol",
        "port",
        "initiator_ip",
        "responder_ip",
        "responder_names",
    ]
    columns += ["responder_service", "outcome", "changed", *_COUNTS, *_TIMES, "reasons"]
    return csv_text(columns, (_csv_row(row) for row in edge_rows(edges)))


def wide_edges(edges: Edges) -> pa.Table:
    """Return EDGES as they are, with the columns of ENDPOINTS for both ends (``initiator_…``, ``responder_…``)."""
    wide = edges.edges
    for end in ("initiator", "responder"):
        places = pc.index_in(edges.edges.column(end), value_set=edges.endpoints.column("id").combine_chunks())
        matched = edges.endpoints.take(places)
        for name in edges.endpoints.schema.names:
            if name != "id":
                wide = wide.append_column(f"{end}_{name}", matched.column(name))
    return wide


def _plain(table: pa.Table) -> pa.Table:
    """Return the table with enumerations as strings and times as integers, ready for Python."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.string()))
        elif pa.types.is_timestamp(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.int64()))
    return table


def _reasons(table: pa.Table) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in _plain(table).to_pylist():
        found[row["edge"]].append({key: row[key] for key in ("side", "drop_reason", "denied_by", "count")})
    return found


def _samples(table: pa.Table) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for edge, uuid in zip(table.column("edge").to_pylist(), table.column("uuid").to_pylist(), strict=True):
        if uuid:
            found[edge].append(uuid)
    return found


def _order(row: EdgeRow) -> tuple[Any, ...]:
    addresses = (row.initiator.ip or "", row.responder.ip or "")
    clusters = (row.initiator.cluster, row.responder.cluster)
    return (
        row.initiator.place,
        row.responder.place,
        row.protocol or "",
        row.port or 0,
        *addresses,
        *clusters,
    )


def _cells(rows: list[EdgeRow]) -> tuple[str, ...]:
    first = rows[0]
    counts = {name: sum(row.counts[name] for row in rows) for name in _COUNTS}
    dropped = (
        counts["dropped_egress"] + counts["dropped_ingress"] + counts["l7_denied"] + counts["other_drops"]
    )
    service = f" (Service {first.service})" if first.service else ""
    last = max((at for row in rows if (at := row.times["last"]) is not None), default=None)
    return (
        _who([row.initiator for row in rows]),
        _who([row.responder for row in rows]) + service,
        first.where,
        f"{first.outcome} (changed)" if first.changed else first.outcome,
        str(counts["events"]),
        str(counts["delivered"]),
        str(dropped),
        ", ".join(_why(rows)),
        format_time(last, "RFC3339").removesuffix("Z").replace("T", " "),
    )


def _who(ends: list[End]) -> str:
    addresses = {end.ip for end in ends}
    return ends[0].title if len(addresses) == 1 else f"{ends[0].place} ({len(addresses)} addresses)"


def _why(rows: list[EdgeRow]) -> list[str]:
    """Return the most frequent reasons, and how many more there are."""
    counts: dict[str, int] = defaultdict(int)
    for reason in (reason for row in rows for reason in row.reasons):
        counts[f"{reason['drop_reason']} {reason['side']}"] += reason["count"]
    ranked = sorted(counts, key=lambda reason: (-counts[reason], reason))
    more = len(ranked) - _REASONS_SHOWN
    return ranked[:_REASONS_SHOWN] + ([f"{more} more"] if more > 0 else [])


def _end_record(end: End) -> dict[str, Any]:
    labels = dict(end.labels) if end.kind == "pod" else [label for label, _ in end.labels]
    record = {
        "title": end.title,
        "kind": end.kind,
        "cluster": end.cluster,
        "namespace": end.namespace,
        "workload": end.workload,
        "entity": end.entity,
        "labels": labels,
        "ip": end.ip,
        "names": list(end.names),
    }
    return {key: value for key, value in record.items() if value}


def _csv_row(row: EdgeRow) -> list[object]:
    reasons = " ".join(f"{r['side']}:{r['drop_reason']}:{r['count']}" for r in row.reasons)
    times = [_rfc3339(at) for at in row.times.values()]
    names = " ".join(row.responder.names)
    ends = [
        row.initiator.title,
        row.responder.title,
        row.protocol,
        row.port,
        row.initiator.ip,
        row.responder.ip,
        names,
    ]
    return [*ends, row.service, row.outcome, str(row.changed).lower(), *row.counts.values(), *times, reasons]


def _rfc3339(at: int | None) -> str | None:
    return None if at is None else format_time(at, "RFC3339Nano")
