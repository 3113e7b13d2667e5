"""From FLOWS to Parts: what each batch says, in columns that can be added up in any order.

`partial` reads one batch; `merge` adds Parts up. Both are exact, associative and commutative, so batches, files,
processes and windows may be cut and joined anywhere. Nothing is decided here that needs the whole data: events whose
direction is unknown keep both ports and wait for `flowmine.edges.settle`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowmine.edges import names
from flowmine.edges.direction import Hint, request_type
from flowmine.edges.event import Event, numbers, when
from flowmine.edges.outcome import Contributions, contributions
from flowmine.schema import ENUMS, HOUR

__all__ = [
    "COLUMNS",
    "KEYS",
    "REQUEST_COLUMNS",
    "ROW_KEY",
    "Parts",
    "apart",
    "in_hours",
    "in_pieces",
    "latest_apart",
    "merge",
    "partial",
]

COLUMNS = (
    "time",
    "uuid",
    "verdict",
    "drop_reason_desc",
    "Type",
    "event_type",
    "trace_observation_point",
    "trace_reason",
    "traffic_direction",
    "is_reply",
    "source",
    "destination",
    "source_local",
    "destination_local",
    "source_ip",
    "source_xlated",
    "destination_ip",
    "protocol",
    "source_port",
    "destination_port",
    "icmp_type",
    "tcp_flags",
    "source_names",
    "destination_names",
    "source_service",
    "destination_service",
    "l7_type",
    "dns_query",
    "dns_ips",
    "egress_denied_by",
    "ingress_denied_by",
    "ingress_count",
    "egress_count",
    "unknown_count",
)
"""The FLOWS columns that `partial` reads."""

REQUEST_COLUMNS = ("http_method", "http_path", "http_host")
"""Those it reads besides when requests are asked for."""

ROW_KEY = ("a", "b", "a_ip", "b_ip", "ports", "hour")
"""Key of `Parts.rows`: the ends (initiator and responder where the direction is known, else source and destination),
their addresses where they are not pods, and `ports`: protocol, whether the direction is known, and the ports."""

_SIDES = np.array(["unknown", "ingress", "egress"])


@dataclass(frozen=True, slots=True)
class Parts:
    """What a piece of the data says, mergeable.

    ``rows``: `ROW_KEY`, counts, ``first``, ``last``, ``last_arrived``, ``last_left``, ``last_replied`` and the earliest event's
    ``uuid``, null where that has none. ``drops``: row key without hour, side, reason, origin, count, first, last.
    ``deniers``: the same with the policy named. ``names``: NAMES. ``services``: of pairs of ends the Service between them, and how often and when last a
    reply came back in its name. ``requests``: row key without hour and what was asked. ``folded``: of subjects with too
    many peers how many events became no row (`flowmine.edges.fold`).
    """

    rows: pa.Table
    drops: pa.Table
    deniers: pa.Table
    names: pa.Table
    services: pa.Table
    requests: pa.Table
    folded: pa.Table


_COUNTS = tuple(field.name for field in fields(Contributions))
_ROW_AGGREGATES = [
    *((name, "sum") for name in _COUNTS),
    ("first", "min"),
    ("last", "max"),
    ("last_arrived", "max"),
    ("last_left", "max"),
    ("last_replied", "max"),
    ("last_denied", "max"),
    ("uuid", "min"),
]
_CONNECTION = ("a", "b", "a_ip", "b_ip", "ports")
_SPAN = [("count", "sum"), ("first", "min"), ("last", "max")]
_DROP_KEY = (*_CONNECTION, "side", "reason", "origin")
_NAME_KEY = ("subject", "ip", "name", "source")
_REQUEST_KEY = (*_CONNECTION, "method", "host", "path", "denied")
_KEYS: dict[str, tuple[tuple[str, ...], list[tuple[str, str]]]] = {
    "rows": (ROW_KEY, _ROW_AGGREGATES),
    "drops": (_DROP_KEY, _SPAN),
    "deniers": ((*_DROP_KEY, "denied_by"), _SPAN),
    "names": (_NAME_KEY, [("first", "min"), ("last", "max")]),
    "services": (
        ("a", "b", "protocol", "service"),
        [("count", "sum"), ("answers", "sum"), ("last_answer", "max")],
    ),
    "requests": (_REQUEST_KEY, _SPAN),
    "folded": (("subject",), _SPAN),
}
KEYS = {name: key for name, (key, _) in _KEYS.items()}
"""The key of each table of Parts."""
_MOST_PIECES, _PIECE_ROWS = 16, 1 << 13
_MIX = np.uint64(0x9E3779B97F4A7C15)
_FOLDED = pa.schema(
    [(name, pa.uint64()) for name in ("subject", "count")]
    + [(name, pa.int64()) for name in ("first", "last")]
)


def merge(parts: Sequence[Parts]) -> Parts:
    """Add Parts up, each of which has every key once; the order does not matter. Raise ValueError where there are none."""
    if not parts:
        raise ValueError("nothing to merge")
    if len(parts) == 1:
        return parts[0]
    return Parts(**{name: _added([getattr(p, name) for p in parts], name) for name in _KEYS})


def in_hours(parts: Parts, hours: pa.Array | pa.ChunkedArray) -> Parts:
    """Return Parts whose rows are told as of other hours, one for each row, and added up again."""
    place = parts.rows.schema.get_field_index("hour")
    return replace(parts, rows=in_pieces(parts.rows.set_column(place, "hour", hours), "rows"))


def _added(tables: list[pa.Table], which: str) -> pa.Table:
    """Add up one table of several Parts."""
    table = pa.concat_tables([table for table in tables if table.num_rows] or tables[:1])
    if which != "rows" or not table.num_rows:
        return in_pieces(table, which)
    made: list[pa.Table] = []
    for batches in apart(table.to_batches()):
        one = pa.Table.from_batches(batches)
        made += [one] if len(batches) == 1 else latest_apart(in_pieces(one, which).combine_chunks())
    return pa.concat_tables(made)


def latest_apart(rows: pa.Table) -> list[pa.Table]:
    """Return rows in one piece, or where they are many those of the latest hour, which more may come of, by themselves."""
    if len(rows) < _PIECE_ROWS:
        return [rows]
    is_latest = pc.equal(rows["hour"], pc.max(rows["hour"]))
    return [part for mask in (pc.invert(is_latest), is_latest) if len(part := rows.filter(mask))]


def apart(batches: list[pa.RecordBatch]) -> list[list[pa.RecordBatch]]:
    """Return batches of rows that were added up, each with all those with which it may have an hour in common.

    What comes in order of time is so added up once: what lies hours back has no new events.
    """
    spans = []
    for place, batch in enumerate(batches):
        bounds = pc.min_max(batch["hour"])
        spans.append((bounds["min"].as_py(), bounds["max"].as_py(), place))
    found: list[list[pa.RecordBatch]] = []
    reached = None
    for first, last, place in sorted(spans):
        if reached is None or first > reached:
            found.append([])
        found[-1].append(batches[place])
        reached = last if reached is None else max(reached, last)
    return found


def in_pieces(table: pa.Table, which: str) -> pa.Table:
    """Group one table in pieces with a share of the keys each: to group takes thrice what it groups."""
    count = min(_MOST_PIECES, table.num_rows // _PIECE_ROWS)
    if count < 2:
        return _grouped(table, which)
    pieces = _pieces(table, which, count)
    return pa.concat_tables(
        [_grouped(table.filter(pa.array(pieces == piece)), which) for piece in range(count)]
    )


def _pieces(table: pa.Table, which: str, count: int) -> NDArray[np.uint8]:
    """Return in which piece each row is, by the numbers of its key."""
    mixed = np.zeros(table.num_rows, np.uint64)
    for name in _KEYS[which][0]:
        if pa.types.is_integer(table.schema.field(name).type):
            mixed = (mixed ^ table[name].to_numpy().astype(np.uint64)) * _MIX
            mixed ^= mixed >> np.uint64(32)
    return (mixed % np.uint64(count)).astype(np.uint8)


def _grouped(table: pa.Table, which: str) -> pa.Table:
    """Group one table of Parts by its key, columns named and ordered as they came."""
    keys, aggregates = _KEYS[which]
    uuids = _InOrder(table) if which == "rows" else None
    asked = (
        table
        if uuids is None
        else table.set_column(table.schema.get_field_index("uuid"), "uuid", uuids.ranks)
    )
    made = asked.group_by(list(keys), use_threads=False).aggregate(aggregates)
    back = {f"{column}_{how}": column for column, how in aggregates}
    made = made.rename_columns([back.get(name, name) for name in made.schema.names]).select(
        table.schema.names
    )
    if uuids is not None:
        made = made.set_column(made.schema.get_field_index("uuid"), "uuid", uuids.at(made["uuid"]))
    return made.cast(table.schema)


class _InOrder:
    """The uuids of rows by when their events were, and where that is the same, by themselves, none last.

    The least rank of a group is that of its earliest event; sorting the rows themselves would move all their columns.
    """

    def __init__(self, rows: pa.Table) -> None:
        self._uuids = rows["uuid"].combine_chunks()
        self._order = pc.sort_indices(rows, sort_keys=[("first", "ascending"), ("uuid", "ascending")])
        ranks = np.empty(rows.num_rows, np.int64)
        ranks[self._order] = np.arange(rows.num_rows)
        self.ranks = pa.array(ranks)
        """Of each row."""

    def at(self, ranks: pa.Array) -> pa.Array:
        """Return the uuids of some ranks."""
        return self._uuids.take(self._order.take(ranks))


def partial(flows: pa.RecordBatch, *, requests: bool = False) -> Parts:
    """Return what one batch of FLOWS says; the batch needs `COLUMNS` (and `REQUEST_COLUMNS` for requests)."""
    event = Event(flows)
    keep = np.flatnonzero(event.counts_as_connection())
    rows = _rows(event, keep)
    drops, deniers = _drops(event, rows, keep)
    return Parts(
        rows=_grouped(rows.drop_columns(["initiator_side"]), "rows"),
        drops=_grouped(drops, "drops"),
        deniers=_grouped(deniers, "deniers"),
        names=_grouped(names.names(event), "names"),
        services=_grouped(names.services(event), "services"),
        requests=_grouped(_requests(event, rows, keep, requests), "requests"),
        folded=_FOLDED.empty_table(),
    )


def _rows(event: Event, keep: NDArray[np.intp]) -> pa.Table:
    """One row a kept event: the connection's key, what the event contributes, and when."""
    hint = event.hint[keep]
    swap = hint == Hint.REPLY
    unknown = (hint == Hint.UNKNOWN) | (hint == Hint.WEAK)
    source, destination = event.source[keep], event.destination[keep]
    source_ip, destination_ip = (
        _place(event.flows.column(name).take(pa.array(keep)), ids)
        for name, ids in (("source_ip", source), ("destination_ip", destination))
    )
    swapped = pa.array(swap)
    time, latest = event.time.take(pa.array(keep)), event.last.take(pa.array(keep))
    nanoseconds = numbers(time, -1)
    counts = contributions(
        hint=hint,
        is_l7=event.is_l7[keep],
        is_verdict=event.is_verdict[keep],
        verdict=event.verdict[keep],
        point=event.point[keep],
        side=event.side[keep],
        source_local=event.source_local[keep],
        destination_local=event.destination_local[keep],
        tcp_flags=event.tcp_flags[keep],
        weight=event.weight[keep],
    )
    columns = {
        "a": pa.array(np.where(swap, destination, source)),
        "b": pa.array(np.where(swap, source, destination)),
        "a_ip": pc.if_else(swapped, destination_ip, source_ip),
        "b_ip": pc.if_else(swapped, source_ip, destination_ip),
        "ports": pa.array(_ports(event, keep, swap, unknown)),
        "hour": pa.array(np.where(nanoseconds < 0, -1, nanoseconds // HOUR).astype(np.int32)),
        **{name: pa.array(getattr(counts, name)) for name in _COUNTS},
        "first": time,
        "last": latest,
        **{f"last_{name}": when(latest, getattr(counts, name)) for name in ("arrived", "left", "replied")},
        "last_denied": when(latest, counts.l7_denied),
        "uuid": event.flows.column("uuid").take(pa.array(keep)),
        "initiator_side": pa.array(swap),
    }
    return pa.table(columns)


def _place(addresses: pa.Array, ids: NDArray[np.uint64]) -> pa.Array:
    """Keep the address only of ends that are no pods; empty otherwise, for nulls never join."""
    return pc.if_else(pa.array((ids & 1) == 1), "", pc.fill_null(addresses, ""))


def _ports(
    event: Event, keep: NDArray[np.intp], swap: NDArray[np.bool_], unknown: NDArray[np.bool_]
) -> NDArray[np.uint64]:
    """Pack protocol (bits 40-47), hint (36-37: 0 known, 1 unknown, 2 weak; 3 `orient.MANY`), "has a port" (32), and the two ports.

    The low 16 bits are the responder's port (the ICMP type for ICMP), the next 16 the initiator's, kept only where the
    direction is unknown.
    """
    protocol = event.protocol[keep].astype(np.uint64)
    icmp = event.icmpv4[keep] | event.icmpv6[keep]
    source, destination = (
        event.source_port[keep].astype(np.uint64),
        event.destination_port[keep].astype(np.uint64),
    )
    kind = request_type(event.icmpv4[keep], event.icmpv6[keep], event.icmp_type[keep]).astype(np.uint64)
    port = np.where(icmp, kind, np.where(swap, source, destination))
    other = np.where(unknown & ~icmp, source, 0).astype(np.uint64)
    has_port = icmp | (port > 0) | (other > 0)
    state = np.where(unknown, np.where(event.hint[keep] == Hint.WEAK, 2, 1), 0).astype(np.uint64)
    packed = protocol << 40 | state << 36 | has_port.astype(np.uint64) << 32 | other << 16 | port
    return np.asarray(packed, np.uint64)


def _drops(event: Event, rows: pa.Table, keep: NDArray[np.intp]) -> tuple[pa.Table, pa.Table]:
    """The denied, audited and otherwise dropped events, by side, reason and origin; and the policies they name."""
    verdicts = ENUMS["verdict"]
    verdict = event.verdict[keep]
    bad = np.isin(verdict, [verdicts.index(name) for name in ("DROPPED", "AUDIT", "ERROR")])
    place = np.flatnonzero(bad)
    chosen = rows.take(pa.array(place)).select([*_CONNECTION, "first", "last"])
    at = keep[place]
    reason = pc.fill_null(event.flows.column("drop_reason_desc").take(pa.array(at)), "DROP_REASON_UNKNOWN")
    verdict_drop = event.is_verdict[at] & np.asarray(pc.equal(reason, "DROP_REASON_UNKNOWN"))
    reason = pc.if_else(pa.array(verdict_drop), "POLICY_DENIED", reason)
    reason = pc.if_else(pa.array(event.is_l7[at]), "L7", reason)
    reason = pc.if_else(pa.array(verdict[place] == verdicts.index("ERROR")), "ERROR", reason)
    reason = pc.if_else(pa.array(verdict[place] == verdicts.index("AUDIT")), "AUDIT", reason)
    origin = np.where(event.is_verdict[at], "verdict", "event")
    side = event.side[at]
    table = chosen.append_column("side", pa.array(_SIDES[side], pa.string()))
    table = table.append_column("reason", reason).append_column("origin", pa.array(origin, pa.string()))
    table = table.append_column("count", pa.array(event.weight[at]))
    return table, _deniers(event, table, at, side)


def _deniers(event: Event, table: pa.Table, at: NDArray[np.intp], side: NDArray[np.int8]) -> pa.Table:
    by_egress, by_ingress = (
        event.flows.column(name).take(pa.array(at)) for name in ("egress_denied_by", "ingress_denied_by")
    )
    named = pc.if_else(pa.array(side == 2), by_egress, by_ingress)
    rows = pc.list_parent_indices(named)
    return table.take(rows).append_column("denied_by", pc.list_flatten(named))


def _requests(event: Event, rows: pa.Table, keep: NDArray[np.intp], asked: bool) -> pa.Table:
    """HTTP and DNS requests by what was asked of whom; empty unless asked for."""
    wanted = (
        np.zeros(len(keep), bool) if not asked else event.is_l7[keep] & (event.hint[keep] == Hint.FORWARD)
    )
    place = np.flatnonzero(wanted)
    at = pa.array(keep[place])
    table = rows.take(pa.array(place)).select([*_CONNECTION, "first", "last"])
    query = event.flows.column("dns_query").take(at)
    nothing = pa.nulls(len(place), pa.string())
    method, path, host = (event.flows.column(name).take(at) if asked else nothing for name in REQUEST_COLUMNS)
    table = table.append_column("method", pc.if_else(pc.is_valid(query), "DNS", method))
    table = table.append_column("host", pc.fill_null(host, ""))
    table = table.append_column("path", pc.coalesce(query, path))
    denied = event.verdict[keep[place]] == ENUMS["verdict"].index("DROPPED")
    table = table.append_column("denied", pa.array(denied)).append_column(
        "count", pa.array(event.weight[keep[place]])
    )
    return table.filter(pc.and_(pc.is_valid(table["method"]), pc.is_valid(table["path"])))
