"""The tables of a settled capture, made from oriented rows: EDGES and those beside it."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.edges.outcome import POLICY_REASONS
from flowmine.schema import EDGE_KEY, EDGES, ENUMS, HOURS, NAMES, REASONS, REQUESTS, SAMPLES

__all__ = [
    "SAMPLES_KEPT",
    "edges",
    "hours",
    "names",
    "placed",
    "reasons",
    "requests",
    "samples",
    "typed",
    "unswapped",
]

SAMPLES_KEPT = 3
"""Events kept of an edge as evidence: the earliest of each of its earliest hours."""

_KEY = list(EDGE_KEY)
_PAIR = ["initiator", "responder", "protocol"]
_SPAN = [("count", "sum"), ("first", "min"), ("last", "max")]
_COUNTS = (
    "events",
    "at_a",
    "at_b",
    "arrived",
    "left",
    "replied",
    "audited",
    "l7_denied",
    "l7_passed",
    "reset",
)
_LATEST = ("last", "last_arrived", "last_left", "last_replied", "last_denied")


def unswapped(rows: pa.Table) -> pa.Table:
    """Turn what packets that proved to be replies say into terms of their connection: seen or sent, it is an answer."""
    swapped = rows["swapped"]
    if not pc.any(swapped).as_py():
        return rows.drop_columns(["swapped"])
    nothing, never = pa.scalar(0, pa.uint64()), pa.scalar(None, rows.schema.field("last").type)
    answered = pc.add(rows["arrived"], rows["left"])
    when = pc.max_element_wise(rows["last_arrived"], rows["last_left"])
    changed = {
        "at_a": pc.if_else(swapped, rows["at_b"], rows["at_a"]),
        "at_b": pc.if_else(swapped, rows["at_a"], rows["at_b"]),
        "replied": pc.if_else(swapped, answered, rows["replied"]),
        "arrived": pc.if_else(swapped, nothing, rows["arrived"]),
        "left": pc.if_else(swapped, nothing, rows["left"]),
        "last_replied": pc.if_else(swapped, when, rows["last_replied"]),
        "last_arrived": pc.if_else(swapped, never, rows["last_arrived"]),
        "last_left": pc.if_else(swapped, never, rows["last_left"]),
    }
    return pa.table({name: changed.get(name, rows[name]) for name in rows.schema.names if name != "swapped"})


def _group(table: pa.Table, keys: Sequence[str], aggregates: Sequence[tuple[str, str]]) -> pa.Table:
    made = table.group_by(list(keys), use_threads=False).aggregate(list(aggregates))
    names = {f"{column}_{how}": column for column, how in aggregates}
    return made.rename_columns([names.get(name, name) for name in made.schema.names])


def _sorted(table: pa.Table, by: Sequence[str]) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in by]).combine_chunks()


def edges(rows: pa.Table, drops: pa.Table, services: pa.Table) -> pa.Table:
    """Group rows into edges, sorted by key; keys still in their plain form, with ``outcome`` decided."""
    aggregates = [*((n, "sum") for n in _COUNTS), ("first", "min"), *((n, "max") for n in _LATEST)]
    table = _group(rows, _KEY, aggregates)
    for counted in _drop_counts(drops):
        table = _joined(table, counted)
    table = _answered(table, _pairs(services))
    return _sorted(_decided(table), _KEY)


def _joined(table: pa.Table, found: pa.Table, keys: Sequence[str] = _KEY) -> pa.Table:
    """Add the other columns of what was found for some keys, each once; what was not found counts 0, or is null."""
    index = table.select(keys).append_column("place", pa.array(np.arange(table.num_rows)))
    at = index.join(found, keys=list(keys), join_type="inner", use_threads=False).combine_chunks()
    row = np.full(table.num_rows, -1, np.int64)
    row[at["place"].to_numpy()] = np.arange(at.num_rows)
    rows = pa.array(row, mask=row < 0)
    for name in found.schema.names:
        if name not in keys:
            column = at[name].take(rows)
            count = pa.types.is_unsigned_integer(column.type)  # times stay null
            table = table.append_column(name, pc.fill_null(column, 0) if count else column)
    return table


def _drop_counts(drops: pa.Table) -> Iterator[pa.Table]:
    """Count drops by what they mean. One drop may be told by a drop event, a verdict event or both: the larger counts."""
    counted = _denials(drops)
    policy = pc.is_in(counted["drop_reason"], value_set=pa.array(POLICY_REASONS))
    forward = pc.not_equal(counted["side"], "reply")
    other = pc.invert(pc.is_in(counted["drop_reason"], value_set=pa.array(["L7", "AUDIT"])))
    egress = pc.equal(counted["side"], "egress")
    chosen = {
        "dropped_egress": pc.and_(pc.and_(policy, forward), egress),
        "dropped_ingress": pc.and_(pc.and_(policy, forward), pc.invert(egress)),
        "other_drops": pc.and_(other, pc.invert(pc.and_(policy, forward))),
    }
    for name, mask in chosen.items():
        yield _group(counted.filter(mask), _KEY, [("count", "sum")]).rename_columns([*_KEY, name])
    last = counted.filter(pc.and_(policy, forward))
    yield _group(last, _KEY, [("last", "max")]).rename_columns([*_KEY, "last_drop"])


def _denials(drops: pa.Table) -> pa.Table:
    """One row an edge, side and reason: columns of EDGE_KEY, side, drop_reason, count, first, last."""
    side = pc.if_else(drops["swapped"], "reply", drops["side"])
    table = drops.set_column(drops.schema.get_field_index("side"), "side", side)
    told = _group(table, [*_KEY, "side", "reason", "origin"], _SPAN)
    larger = [("count", "max"), ("first", "min"), ("last", "max")]
    made = _group(told, [*_KEY, "side", "reason"], larger)
    return made.rename_columns(["drop_reason" if name == "reason" else name for name in made.schema.names])


def _pairs(services: pa.Table) -> pa.Table:
    """Of each pair: the Service in front (the first by name), answers in its name, and the last of them."""
    found = [("service", "min"), ("answers", "sum"), ("last_answer", "max")]
    made = _group(services, ["a", "b", "protocol"], found)
    names = {"a": "initiator", "b": "responder", "service": "responder_service"}
    return made.rename_columns([names.get(name, name) for name in made.schema.names])


def _answered(table: pa.Table, pairs: pa.Table) -> pa.Table:
    """Give a pair's answers that show only the Service's port to its one edge that left and was not seen to arrive.

    Where several edges could have been meant, none is.
    """
    table = _joined(table, pairs, _PAIR)
    answers = pc.fill_null(table["answers"], 0)
    denied = pc.add(table["dropped_egress"], table["dropped_ingress"])
    seen = pc.add(pc.add(table["arrived"], table["replied"]), denied)
    waiting = pc.and_(pc.and_(pc.greater(answers, 0), pc.equal(seen, 0)), pc.greater(table["left"], 0))
    rivals = table.select(_PAIR).append_column("rivals", waiting.cast(pa.uint64())).filter(waiting)
    table = _joined(table, _group(rivals, _PAIR, [("rivals", "sum")]), _PAIR)
    meant = pc.and_(waiting, pc.equal(table["rivals"], 1))
    changed = {
        "replied": pc.if_else(meant, pc.fill_null(table["answers"], 0), table["replied"]),
        "last_replied": pc.if_else(meant, table["last_answer"], table["last_replied"]),
    }
    return pa.table({name: changed.get(name, table[name]) for name in table.schema.names})


def _decided(table: pa.Table) -> pa.Table:
    """Add delivered, last_delivered, outcome and changed.

    An edge is refused when it had no other answer than TCP resets: nothing listens there. Audited wins; denied and delivered at different times, the latest decides; delivered requests beside refused ones
    mean the connection was. A responder that is a pod must have been reached or have answered, any other only be left
    for. An L7 proxy answers for the pod when it refuses, so a connection whose requests were all refused was dropped.
    """
    pod = pa.array((table["responder"].to_numpy() & 1) == 1)
    left = pc.if_else(pod, pa.scalar(0, pa.uint64()), table["left"])
    never = pa.scalar(None, table.schema.field("last").type)
    last_left = pc.if_else(pod, never, table["last_left"])
    refused = pc.and_(
        pc.greater(table["l7_denied"], 0), pc.equal(pc.add(table["l7_passed"], table["arrived"]), 0)
    )
    delivered = pc.add(pc.add(table["arrived"], table["replied"]), left)
    delivered = pc.if_else(refused, pa.scalar(0, pa.uint64()), delivered)
    last_delivered = pc.max_element_wise(table["last_arrived"], table["last_replied"], last_left)
    last_delivered = pc.if_else(refused, never, last_delivered)
    last_drop = pc.if_else(
        refused, pc.max_element_wise(table["last_drop"], table["last_denied"]), table["last_drop"]
    )
    denied = pc.or_(refused, pc.greater(pc.add(table["dropped_egress"], table["dropped_ingress"]), 0))
    came = pc.greater(delivered, 0)
    later = pc.fill_null(pc.greater_equal(last_drop, last_delivered), True)
    outcome = pc.case_when(
        pc.make_struct(
            pc.greater(table["audited"], 0),
            pc.and_(denied, pc.or_(pc.invert(came), later)),
            came,
            pc.greater(table["other_drops"], 0),
        ),
        "audited",
        "dropped",
        "delivered",
        "other",
        "unseen",
    )
    nothing = pa.scalar(0, pa.uint64())
    only_reset = pc.and_(pc.greater(table["replied"], 0), pc.greater_equal(table["reset"], table["replied"]))
    columns = {
        "delivered": delivered,
        "last_delivered": last_delivered,
        "last_drop": last_drop,
        "outcome": outcome,
        "changed": pc.and_(denied, came),
        "refused": pc.if_else(only_reset, table["reset"], nothing),
        "seen_egress": table["at_a"],
        "seen_ingress": table["at_b"],
    }
    return pa.table({**{name: table[name] for name in table.schema.names}, **columns})


def typed(table: pa.Table) -> pa.Table:
    """Return EDGES: protocol as a dictionary, nulls for ports and addresses that are not there."""
    names = pa.array(ENUMS["protocol"])
    protocol = pa.DictionaryArray.from_arrays(table["protocol"].combine_chunks(), names)
    columns = {name: table[name] for name in EDGES.names}
    columns["protocol"] = pa.chunked_array([protocol]) if isinstance(protocol, pa.Array) else protocol
    columns["port"] = pc.if_else(pc.less(table["port"], 0), pa.scalar(None, pa.int32()), table["port"])
    for name in ("initiator_ip", "responder_ip"):
        columns[name] = pc.if_else(pc.equal(table[name], ""), pa.scalar(None, pa.string()), table[name])
    return pa.table({name: columns[name] for name in EDGES.names}).cast(EDGES)


def _placed(table: pa.Table, edges: pa.Table) -> pa.Table:
    """Replace the key columns by ``edge``, the place in EDGES."""
    index = edges.select(_KEY).append_column("edge", pa.array(np.arange(edges.num_rows, dtype=np.uint32)))
    return table.join(index, keys=_KEY, join_type="inner", use_threads=False).drop_columns(_KEY)


def placed(rows: pa.Table, edges: pa.Table) -> pa.Table:
    """Return what `hours` and `samples` need of rows, with the ``edge`` of each."""
    return _placed(rows.select([*_KEY, "hour", "events", "first", "uuid"]), edges)


def hours(rows: pa.Table) -> pa.Table:
    """Return HOURS of the rows `placed`; events without a time are in none."""
    dated = rows.select(HOURS.names).filter(pc.greater_equal(rows["hour"], 0))
    return _sorted(_group(dated, ["edge", "hour"], [("events", "sum")]), HOURS.names).cast(HOURS)


def samples(rows: pa.Table) -> pa.Table:
    """Return SAMPLES of the rows `placed`: of each edge the earliest event of each of its `SAMPLES_KEPT` earliest hours."""
    ordered = _of_first_hours(rows.select(["edge", "hour", "first", "uuid"])).sort_by(
        [("first", "ascending"), ("uuid", "ascending")]
    )
    table = _group(ordered, ["edge", "hour"], [("first", "first"), ("uuid", "first")])
    table = _sorted(
        table.rename_columns(["time" if n == "first" else n for n in table.schema.names]),
        ["edge", "time", "uuid"],
    )
    edge = table["edge"].to_numpy()
    starts = np.flatnonzero(np.r_[True, edge[1:] != edge[:-1]]) if len(edge) else np.zeros(0, int)
    rank = np.arange(len(edge)) - np.repeat(starts, np.diff(np.r_[starts, len(edge)]))
    return table.select(SAMPLES.names).filter(pa.array(rank < SAMPLES_KEPT)).cast(SAMPLES)


def _of_first_hours(rows: pa.Table) -> pa.Table:
    """Return the rows of the `SAMPLES_KEPT` earliest hours of each edge, and those of no hour."""
    hour = rows["hour"].to_numpy()
    keys = rows["edge"].to_numpy().astype(np.int64) << 32 | hour  # -1 where the hour is
    hours, places = np.unique(keys, return_inverse=True)
    rank = np.arange(len(hours)) - np.searchsorted(hours, hours >> 32 << 32)
    return rows.filter(pa.array((hour < 0) | (rank[places] < SAMPLES_KEPT)))


def reasons(drops: pa.Table, deniers: pa.Table, edges: pa.Table) -> pa.Table:
    """Return REASONS: a row for each policy that Hubble named, one without a name where it named none."""
    counted = _denials(drops)
    by = [*_KEY, "side", "drop_reason"]
    named = deniers.rename_columns(["drop_reason" if n == "reason" else n for n in deniers.schema.names])
    named = _group(named, [*by, "denied_by"], [("count", "max"), ("first", "min"), ("last", "max")])
    unnamed = counted.join(named.select(by), keys=by, join_type="left anti", use_threads=False)
    unnamed = unnamed.append_column("denied_by", pa.nulls(unnamed.num_rows, pa.string()))
    table = _placed(pa.concat_tables([named, unnamed.select(named.schema.names)]), edges)
    return _sorted(table.select(REASONS.names), ["edge", "side", "drop_reason", "denied_by"]).cast(REASONS)


def requests(oriented: pa.Table, edges: pa.Table) -> pa.Table:
    """Return REQUESTS."""
    asked = ["method", "host", "path", "denied"]
    table = _placed(_group(oriented, [*_KEY, *asked], _SPAN), edges)
    return _sorted(table.select(REQUESTS.names), ["edge", *asked]).cast(REQUESTS)


def names(found: pa.Table) -> pa.Table:
    """Return NAMES."""
    key = ["subject", "ip", "name", "source"]
    return _sorted(_group(found, key, [("first", "min"), ("last", "max")]).select(NAMES.names), key).cast(
        NAMES
    )
