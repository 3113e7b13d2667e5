"""Edges folded into connections: those of one source, target, protocol, port and outcome are one."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from flowmine.advise.recorded import Recorded
from flowmine.report.cast import Cast
from flowmine.report.view import OUTCOMES, Connection, Side

__all__ = ["Key", "RuleRef", "Sides", "connections", "folded"]

RuleRef = tuple[int, int]
"""A policy and one of its entries, by place."""

Sides = tuple[Side, Side]
"""What policies in force say at egress and at ingress."""

Key = tuple[int, int, str, int, int]
"""Source, target, protocol, port (-1 for none) and the outcome's place."""

_COUNTS = ("events", "delivered", "audited")
_DROPPED = ("dropped_egress", "dropped_ingress", "l7_denied", "other_drops")
_TIMES = ("first", "last")
_MILLION = 1_000_000
_ADDRESSES, _NAMES, _REQUESTS, _SAMPLES = 6, 12, 12, 2
_WORST = ("error", "deny-rule", "denied", "allowed", "no-policy")


def connections(
    known: Recorded,
    who: Cast,
    recommended: Mapping[int, Sequence[RuleRef]],
    in_force: Mapping[int, Sides],
    drops: Mapping[int, Sequence[int]],
) -> tuple[Connection, ...]:
    """Return the connections of a capture, by source, target, protocol, port and outcome.

    By row of EDGES: ``recommended`` the entries that admit it, ``in_force`` what policies say, ``drops`` the groups of
    drops that it is of.
    """
    rows = _plain(known.edges.edges).to_pylist()
    sides = _Details(known)
    return tuple(
        Connection(
            source=source,
            target=target,
            protocol=protocol,
            port=None if port < 0 else port,
            outcome=list(OUTCOMES)[rank],
            **_counted([rows[row] for row in some]),
            **sides.of(some),
            recommended=_distinct(ref for row in some for ref in recommended.get(row, ())),
            egress=_joined([in_force[row][0] for row in some if row in in_force]),
            ingress=_joined([in_force[row][1] for row in some if row in in_force]),
            drops=_distinct(place for row in some for place in drops.get(row, ())),
        )
        for (source, target, protocol, port, rank), some in folded(known, who)
    )


def folded(known: Recorded, who: Cast) -> list[tuple[Key, list[int]]]:
    """Return what each connection is known by, with its rows of EDGES, in the order of `connections`."""
    found: dict[Key, list[int]] = defaultdict(list)
    table = known.edges.edges
    columns = (
        table["protocol"].cast(pa.string()).to_pylist(),
        table["port"].to_pylist(),
        table["outcome"].to_pylist(),
    )
    ranks = {outcome: place for place, outcome in enumerate(OUTCOMES)}
    for row, (protocol, port, outcome) in enumerate(zip(*columns, strict=True)):
        key = (*who.ends[row], protocol or "unknown", -1 if port is None else port, ranks[outcome])
        found[key].append(row)
    return sorted(found.items())


def _plain(table: pa.Table) -> pa.Table:
    """Return what is shown of EDGES, enumerations as text, times in milliseconds."""
    names = ("protocol", "port", "outcome", "changed", *_COUNTS, *_DROPPED, *_TIMES, "responder_service")
    chosen = table.select(names)
    chosen = chosen.set_column(0, "protocol", chosen["protocol"].cast(pa.string()))
    for name in _TIMES:
        chosen = chosen.set_column(names.index(name), name, chosen[name].cast(pa.int64()))
    return chosen


def _counted(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    firsts = [row["first"] for row in rows if row["first"] is not None]
    lasts = [row["last"] for row in rows if row["last"] is not None]
    return {
        "changed": any(row["changed"] for row in rows),
        **{name: sum(row[name] for row in rows) for name in _COUNTS},
        "dropped": sum(row[name] for row in rows for name in _DROPPED),
        "first": min(firsts) // _MILLION if firsts else None,
        "last": max(lasts) // _MILLION if lasts else None,
        "service": next((row["responder_service"] for row in rows if row["responder_service"]), ""),
    }


class _Details:
    """The side tables by row of EDGES."""

    def __init__(self, known: Recorded) -> None:
        self._known = known
        self._reasons = _grouped(known.edges.reasons, ("side", "drop_reason", "denied_by"), "count")
        self._hours = _listed(known.edges.hours, ("hour",))
        self._samples = _listed(known.edges.samples, ("time", "uuid"))
        self._requests = _grouped(known.edges.requests, ("method", "host", "path", "denied"), "count")

    def of(self, rows: Sequence[int]) -> dict[str, Any]:
        """Return addresses, names, reasons and requests of some edges together, the most frequent first, a few of each."""
        links = [self._known.links[row] for row in rows]
        pairs = [(link.source, link.target) for link in links] + [
            (link.target, link.source) for link in links
        ]
        outside = [(own, other) for own, other in pairs if own.workload < 0 and own.ip]
        addresses = _distinct(own.ip for own, _ in outside)
        names = _distinct(
            name for own, other in outside for name in self._known.names_of(other.party, own.ip)
        )
        return {
            "hours": len({hour for row in rows for (hour,) in self._hours.get(row, ()) if hour >= 0}),
            "samples": self._some_events(rows),
            "addresses": addresses[:_ADDRESSES],
            "address_count": len(addresses),
            "names": names[:_NAMES],
            "reasons": tuple((*key, count) for key, count in _most(self._reasons, rows)),
            "requests": tuple((*key[:3], count, key[3]) for key, count in _most(self._requests, rows))[
                :_REQUESTS
            ],
        }

    def _some_events(self, rows: Sequence[int]) -> tuple[tuple[int, str], ...]:
        """Return the earliest of the events kept of some edges, none without a time, and of old Hubble, that gives
        events no uuid, none.
        """
        kept = (event for row in rows for event in self._samples.get(row, ()))
        events = sorted((time, uuid) for time, uuid in kept if uuid and time is not None)
        return tuple((time // _MILLION, uuid) for time, uuid in events[:_SAMPLES])


def _listed(table: pa.Table, names: Sequence[str]) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    columns = (
        (
            table[name].cast(pa.int64())
            if pa.types.is_timestamp(table.schema.field(name).type)
            else table[name]
        )
        for name in ("edge", *names)
    )
    for edge, *values in zip(*(column.to_pylist() for column in columns), strict=True):
        found[edge].append(tuple(values))
    return found


def _grouped(table: pa.Table, keys: Sequence[str], count: str) -> dict[int, Counter[tuple[Any, ...]]]:
    found: dict[int, Counter[tuple[Any, ...]]] = defaultdict(Counter)
    columns = (table[name].to_pylist() for name in ("edge", *keys, count))
    for edge, *key, number in zip(*columns, strict=True):
        found[edge][tuple("" if part is None else part for part in key)] += number
    return found


def _most(
    counts: Mapping[int, Counter[tuple[Any, ...]]], rows: Iterable[int]
) -> Iterator[tuple[tuple[Any, ...], int]]:
    total: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        total.update(counts.get(row, {}))
    yield from sorted(total.items(), key=lambda item: (-item[1], item[0]))


def _joined(sides: Sequence[Side]) -> Side | None:
    """Return one side for several edges: the gravest outcome, and all who had a hand in it."""
    if not sides:
        return None
    gravest = min(
        (side.outcome for side in sides),
        key=lambda outcome: _WORST.index(outcome) if outcome in _WORST else -1,
    )
    hands = [side for side in sides if side.outcome == gravest]
    return Side(
        gravest,
        _distinct(by for side in hands for by in side.by),
        _distinct(ref for side in hands for ref in side.rules),
    )


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))
