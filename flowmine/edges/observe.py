"""From FLOWS to Parts: what each batch says, in columns that can be added up in any order.

`partial` reads one batch; `merge` adds Parts up. Both are exact, associative and commutative, so batches, files,
processes and windows may be cut and joined anywhere. Nothing is decided here that needs the whole data: events whose
direction is unknown keep both ports and wait for `flowmine.edges.settle`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowmine.edges.direction import Hint, hints, request_type
from flowmine.edges.outcome import Contributions, contributions
from flowmine.schema import ENUMS

__all__ = ["COLUMNS", "REQUEST_COLUMNS", "ROW_KEY", "Parts", "merge", "partial"]

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
_HOUR = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Parts:
    """What a piece of the data says, mergeable.

    ``rows``: `ROW_KEY`, counts, ``first``, ``last``, ``last_arrived``, ``last_left``, ``last_replied`` and the earliest event's
    ``uuid``. ``drops``: row key without hour, side, reason, origin, count, first, last. ``deniers``: the same with the
    policy named. ``names``: NAMES. ``services``: of pairs of ends the Service between them, and how often and when last a
    reply came back in its name. ``requests``: row key without hour and what
    was asked.
    """

    rows: pa.Table
    drops: pa.Table
    deniers: pa.Table
    names: pa.Table
    services: pa.Table
    requests: pa.Table


_COUNTS = tuple(field.name for field in fields(Contributions))
_ROW_AGGREGATES = [
    *((name, "sum") for name in _COUNTS),
    ("first", "min"),
    ("last", "max"),
    ("last_arrived", "max"),
    ("last_left", "max"),
    ("last_replied", "max"),
    ("last_denied", "max"),
    ("uuid", "first"),
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
}


def merge(parts: Sequence[Parts]) -> Parts:
    """Add Parts up; the order does not matter. Raise ValueError where there are none."""
    if not parts:
        raise ValueError("nothing to merge")
    if len(parts) == 1:
        return parts[0]
    return Parts(
        **{name: _grouped(pa.concat_tables([getattr(p, name) for p in parts]), name) for name in _KEYS}
    )


def _grouped(table: pa.Table, which: str) -> pa.Table:
    """Group one table of Parts by its key, columns named and ordered as they came."""
    keys, aggregates = _KEYS[which]
    if which == "rows" and table.num_rows:
        # "first" is the uuid of the earliest event only if the rows stand in that order.
        table = table.sort_by([("first", "ascending"), ("uuid", "ascending")])
    made = table.group_by(list(keys), use_threads=False).aggregate(aggregates)
    names = {f"{column}_{how}": column for column, how in aggregates}
    made = made.rename_columns([names.get(name, name) for name in made.schema.names])
    return made.select(table.schema.names).cast(table.schema)


def partial(flows: pa.RecordBatch, *, requests: bool = False) -> Parts:
    """Return what one batch of FLOWS says; the batch needs `COLUMNS` (and `REQUEST_COLUMNS` for requests)."""
    event = _Event(flows)
    keep = np.flatnonzero(event.counts_as_connection())
    rows = _rows(event, keep)
    drops, deniers = _drops(event, rows, keep)
    return Parts(
        rows=_grouped(rows.drop_columns(["initiator_side"]), "rows"),
        drops=_grouped(drops, "drops"),
        deniers=_grouped(deniers, "deniers"),
        names=_grouped(_names(event), "names"),
        services=_grouped(_services(event), "services"),
        requests=_grouped(_requests(event, rows, keep, requests), "requests"),
    )


def _codes(column: pa.DictionaryArray, absent: int = 0) -> NDArray[np.int8]:
    return _numbers(column.indices, absent)


def _numbers(column: pa.Array, absent: int = 0) -> NDArray[Any]:
    filled = column.fill_null(absent) if column.null_count else column
    return np.asarray(filled.to_numpy(zero_copy_only=False))


def _tristate(column: pa.Array) -> NDArray[np.int8]:
    return _numbers(column.cast(pa.int8()), -1).astype(np.int8, copy=False)


class _Event:
    """The columns of one batch as numpy arrays, each made when first asked for."""

    def __init__(self, flows: pa.RecordBatch) -> None:
        self.flows = flows
        column = flows.column
        self.kind = _codes(column("Type"))
        self.event_type = _numbers(column("event_type"), -1)
        self.verdict = _codes(column("verdict"))
        self.point = _codes(column("trace_observation_point"))
        self.side = _codes(column("traffic_direction"))
        self.protocol = _codes(column("protocol"))
        self.l7_type = _codes(column("l7_type"), -1)
        self.source, self.destination = _numbers(column("source")), _numbers(column("destination"))
        self.source_local = _tristate(column("source_local"))
        self.destination_local = _tristate(column("destination_local"))
        self.source_port, self.destination_port = (
            _numbers(column("source_port")),
            _numbers(column("destination_port")),
        )
        self.icmp_type = _numbers(column("icmp_type"))
        self.icmpv4 = self.protocol == ENUMS["protocol"].index("ICMPv4")
        self.icmpv6 = self.protocol == ENUMS["protocol"].index("ICMPv6")
        self.time = column("time").cast(pa.int64())  # arithmetic on timestamps has few kernels
        self.is_l7 = (self.kind == 2) | (self.event_type == 129) | (self.l7_type >= 0)
        self.is_sock = (self.kind == 3) | (self.event_type == 7)
        self.is_verdict = self.event_type == 5
        self.tcp_flags = _numbers(column("tcp_flags")).astype(np.uint16, copy=False)
        self.hint = self._hint()
        counts = [_numbers(column(name)) for name in ("ingress_count", "egress_count", "unknown_count")]
        self.weight = np.maximum(sum(counts), 1).astype(np.uint64)

    def _hint(self) -> NDArray[np.uint8]:
        return hints(
            is_reply=_tristate(self.flows.column("is_reply")),
            tcp_flags=self.tcp_flags,
            icmpv4=self.icmpv4,
            icmpv6=self.icmpv6,
            icmp_type=self.icmp_type,
            related=_codes(self.flows.column("trace_reason")) == ENUMS["trace_reason"].index("RELATED"),
            l7_type=self.l7_type,
            source_port=self.source_port,
            destination_port=self.destination_port,
        )

    def counts_as_connection(self) -> NDArray[np.bool_]:
        """Leave out what says nothing of a connection that policies judge.

        SOCK events precede policy; debug and recorder captures (2, 3, 6) repeat packets; a packet still bound for a
        Service's address has not met its backend yet; a reply after reverse NAT has the Service's port.
        """
        to_service = np.asarray(self.flows.column("destination_service").is_valid()) & (
            (self.destination & 1) == 0
        )
        from_service = np.asarray(self.flows.column("source_xlated").is_valid())
        captured = np.isin(self.event_type, (2, 3, 6))
        kept = (self.hint != Hint.NONE) & ~self.is_sock & ~captured & ~to_service & ~from_service
        return np.asarray(kept)


def _rows(event: _Event, keep: NDArray[np.intp]) -> pa.Table:
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
    time = event.time.take(pa.array(keep))
    nanoseconds = _numbers(time, -1)
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
        "hour": pa.array(np.where(nanoseconds < 0, -1, nanoseconds // _HOUR).astype(np.int32)),
        **{name: pa.array(getattr(counts, name)) for name in _COUNTS},
        "first": time,
        "last": time,
        **{f"last_{name}": _when(time, getattr(counts, name)) for name in ("arrived", "left", "replied")},
        "last_denied": _when(time, counts.l7_denied),
        "uuid": event.flows.column("uuid").take(pa.array(keep)),
        "initiator_side": pa.array(swap),
    }
    return pa.table(columns)


def _place(addresses: pa.Array, ids: NDArray[np.uint64]) -> pa.Array:
    """Keep the address only of ends that are no pods; empty otherwise, for nulls never join."""
    return pc.if_else(pa.array((ids & 1) == 1), "", pc.fill_null(addresses, ""))


def _when(time: pa.Array, happened: NDArray[np.uint64]) -> pa.Array:
    return pc.if_else(pa.array(happened > 0), time, pa.scalar(None, time.type))


def _ports(
    event: _Event, keep: NDArray[np.intp], swap: NDArray[np.bool_], unknown: NDArray[np.bool_]
) -> NDArray[np.uint64]:
    """Pack protocol (bits 40-47), hint (36-37: 0 known, 1 unknown, 2 weak), "has a port" (32), and the two ports.

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


def _drops(event: _Event, rows: pa.Table, keep: NDArray[np.intp]) -> tuple[pa.Table, pa.Table]:
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


def _deniers(event: _Event, table: pa.Table, at: NDArray[np.intp], side: NDArray[np.int8]) -> pa.Table:
    by_egress, by_ingress = (
        event.flows.column(name).take(pa.array(at)) for name in ("egress_denied_by", "ingress_denied_by")
    )
    named = pc.if_else(pa.array(side == 2), by_egress, by_ingress)
    rows = pc.list_parent_indices(named)
    return table.take(rows).append_column("denied_by", pc.list_flatten(named))


def _names(event: _Event) -> pa.Table:
    """Who got which name for which address: from DNS answers, and from the names Hubble put beside an address."""
    flows = event.flows
    made = [
        _named(event, "destination", event.destination, "source_names", "source_ip"),
        _named(event, "source", event.source, "destination_names", "destination_ip"),
    ]
    answers = flows.column("dns_ips")
    rows = pc.list_parent_indices(answers)
    asked = pc.if_else(
        pa.array(event.hint == Hint.REPLY), flows.column("destination"), flows.column("source")
    )
    time = event.time.take(rows)
    made.append(
        pa.table(
            {
                "subject": asked.take(rows),
                "ip": pc.list_flatten(answers),
                "name": flows.column("dns_query").take(rows),
                "source": pa.array(np.full(len(rows), "dns"), pa.string()),
                "first": time,
                "last": time,
            }
        )
    )
    table = pa.concat_tables(made)
    known = pc.and_(pc.is_valid(table["name"]), pc.is_valid(table["ip"]))
    return table.filter(pc.fill_null(known, False))


def _named(event: _Event, subject: str, ids: NDArray[np.uint64], names: str, address: str) -> pa.Table:
    listed = event.flows.column(names)
    rows = pc.list_parent_indices(listed)
    pods = rows.filter(pa.array((ids[np.asarray(rows)] & 1) == 1))
    time = event.time.take(pods)
    return pa.table(
        {
            "subject": event.flows.column(subject).take(pods),
            "ip": event.flows.column(address).take(pods),
            "name": pc.list_flatten(listed).filter(pa.array((ids[np.asarray(rows)] & 1) == 1)),
            "source": pa.array(np.full(len(pods), "flow"), pa.string()),
            "first": time,
            "last": time,
        }
    )


def _services(event: _Event) -> pa.Table:
    """The Service in front of a backend, from events that show the backend with the Service's name or port beside it.

    A reply after reverse NAT has the backend's address with the Service's port: it says that the pair talked, and not
    on which port (``answers``).
    """
    back = np.asarray(event.flows.column("source_xlated").is_valid()) & (event.hint == Hint.REPLY)
    nothing = np.zeros(len(back), bool)
    made = [
        _fronted(event, event.source, event.destination, "destination_service", nothing),
        _fronted(event, event.destination, event.source, "source_service", back & ~event.is_sock),
    ]
    return pa.concat_tables(made)


def _fronted(
    event: _Event, a: NDArray[np.uint64], b: NDArray[np.uint64], name: str, answers: NDArray[np.bool_]
) -> pa.Table:
    service = event.flows.column(name)
    at = np.flatnonzero((np.asarray(service.is_valid()) | answers) & ((b & 1) == 1))
    rows = pa.array(at)
    answered = np.where(answers, event.weight, np.uint64(0))[at]
    return pa.table(
        {
            "a": pa.array(a[at]),
            "b": pa.array(b[at]),
            "protocol": pa.array(event.protocol[at]),
            "service": service.take(rows),
            "count": pa.array(event.weight[at]),
            "answers": pa.array(answered),
            "last_answer": _when(event.time.take(rows), answered),
        }
    )


def _requests(event: _Event, rows: pa.Table, keep: NDArray[np.intp], asked: bool) -> pa.Table:
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
