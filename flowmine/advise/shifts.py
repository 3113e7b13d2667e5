"""Edges that policies would treat otherwise, grouped into the changes that people read.

Everything is a column until a change is made: edges that are alike are found by number, and what repeats (ends, rules
behind a change) is made once.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.advise.groupends import End, ends_of
from flowmine.advise.inforce import Governed, InForce
from flowmine.advise.recorded import Recorded
from flowmine.advise.rulings import judge_rows, side_rulings
from flowmine.advise.shift import Shift, ShiftKind
from flowmine.engine.columns import distinct, numbered
from flowmine.engine.index import Ints
from flowmine.engine.judgement import Judgement
from flowmine.engine.match import Bools
from flowmine.engine.queries import NONE
from flowmine.policy.model import Direction

__all__ = ["KINDS", "Judged", "judged", "shifts_of"]

KINDS = tuple(ShiftKind)
"""The kinds in the order in which they are told."""

_Reason = tuple[tuple[Direction, ...], tuple[tuple[str, ...], ...]]
"""The sides that deny, and of each (of either, where none does) what decided or closed it."""

_SOME = 1 << 14
_NAMELESS = "no name was seen for the address: a toFQDNs rule that means it cannot be recognised"


@dataclass(frozen=True, slots=True)
class Judged:
    """Edges judged: which rows of EDGES, whether each connection passes, and refused requests by row of EDGES."""

    rows: Ints
    judgement: Judgement
    passes: Bools
    refused: Mapping[int, frozenset[int]]


def judged(known: Recorded, policies: InForce, rows: Ints) -> Judged:
    """Judge edges, and the requests seen on them."""
    batch, judgement = judge_rows(known, policies, rows.tolist())
    refused: dict[int, set[int]] = defaultdict(set)
    wrong = ~(judgement.http_allowed & judgement.dns_allowed)
    for place in (np.flatnonzero(wrong[len(rows) :]) + len(rows)).tolist():
        refused[batch.rows[place]].add(batch.asked[place])
    return Judged(
        rows,
        judgement,
        judgement.allowed[: len(rows)],
        {row: frozenset(some) for row, some in refused.items()},
    )


def shifts_of(known: Recorded, kinds: Ints, now: Judged, before: Judged | None) -> Iterator[Shift]:
    """Yield the edges that change, grouped by kind, ends, port, sides and rules; what would break first, then by events.

    ``kinds`` are places in `KINDS` by edge judged, -1 where nothing changes.
    """
    changed = np.flatnonzero(kinds >= 0)
    kind, rows = kinds[changed], now.rows[changed]
    table = known.edges.edges.select(["protocol", "port", "events"]).take(pa.array(rows))
    reasons, reason = _reasons(now.judgement, changed)
    source, target = ends_of(known, rows)
    protocol, protocols = numbered(table["protocol"])
    port = pc.fill_null(table["port"].cast(pa.int64()), NONE).to_numpy()
    groups = _groups(kind, table["events"], source.key, target.key, protocol, port, reason)
    requests = _Requests(known, now, before)
    made = (
        _shift(
            KINDS[kind[places[0]]],
            (source.of(places), target.of(places)),
            ("" if protocol[places[0]] == NONE else protocols[protocol[places[0]]], int(port[places[0]])),
            reasons[reason[places[0]]],
            tuple(map(rows.item, places)),
            events,
            requests,
        )
        for places, events in groups
    )
    for _, tied in groupby(made, lambda each: (each.kind, each.events)):
        yield from sorted(tied, key=lambda each: (each.title, each.sides))


def _groups(kind: Ints, events: pa.ChunkedArray, *others: Ints) -> Iterator[tuple[list[int], int]]:
    """Yield the places of edges that are alike in all, with their events: by kind, then those of most events."""
    first, group = distinct(kind, *others)
    total = np.zeros(len(first), np.int64)
    np.add.at(total, group, events.to_numpy().astype(np.int64))
    order = np.lexsort((first, -total, kind[first]))
    places = np.argsort(group, kind="stable")
    stops = np.cumsum(np.bincount(group, minlength=len(first)))
    starts = np.concatenate([np.zeros(1, np.int64), stops])[:-1]
    for at in range(0, len(order), _SOME):  # numbers of Python take five times as much
        some = order[at : at + _SOME]
        for start, stop, sum_ in zip(
            *(column[some].tolist() for column in (starts, stops, total)), strict=True
        ):
            yield places[start:stop].tolist(), sum_


def _reasons(judgement: Judgement, places: Ints) -> tuple[list[_Reason], Ints]:
    """Return the distinct reasons why edges change, and which of them each of some edges judged has."""
    governed = Governed(judgement.index, judgement.queries.parties)
    sides = (judgement.egress, judgement.ingress)
    rulings, numbers = zip(*(side_rulings(judgement, side, governed, places) for side in sides), strict=True)
    first, pair = distinct(*numbers)
    known: dict[_Reason, int] = {}
    made: list[int] = []
    for found in zip(*(number[first].tolist() for number in numbers), strict=True):
        ruled = {
            side.direction: of_side[number]
            for side, of_side, number in zip(sides, rulings, found, strict=True)
        }
        denying = tuple(side for side, ruling in ruled.items() if not ruling.outcome.passes)
        by = tuple(ruled[side].by for side in denying or Direction)
        made.append(known.setdefault((denying, by), len(known)))
    return list(known), np.array(made, np.int64)[pair]


class _Requests:
    """The requests that change on edges whose connections pass all the same."""

    def __init__(self, known: Recorded, now: Judged, before: Judged | None) -> None:
        self._known, self._now = known, now.refused
        self._before: Mapping[int, Collection[int]] = before.refused if before else known.denied_requests
        self._asking = {*known.denied_requests, *self._now, *self._before}

    def of(self, rows: Iterable[int], kind: ShiftKind) -> tuple[tuple[str, str], ...]:
        """Return (method, path) of what changes on some edges (rows of EDGES), sorted."""
        found: set[tuple[str, str]] = set()
        for row in self._asking.intersection(rows):
            refused = set(self._now.get(row, ()))
            if kind is ShiftKind.NEWLY_ALLOWED:
                some = set(self._before.get(row, ())) - refused
            else:
                some = refused - set(self._known.denied_requests.get(row, ()))
            found |= {(method, path) for method, _, path in map(self._known.request, some)}
        return tuple(sorted(found))


def _shift(
    kind: ShiftKind,
    ends: tuple[End, End],
    over: tuple[str, int],
    reason: _Reason,
    rows: tuple[int, ...],
    events: int,
    requests: _Requests,
) -> Shift:
    (source, target), (protocol, port), (sides, behind) = ends, over, reason
    unnamed = target.outside and not target.names and Direction.EGRESS in sides
    return Shift(
        kind=kind,
        source=source,
        target=target,
        protocol=protocol or "unknown",
        port=None if port == NONE else port,
        sides=sides,
        behind=behind,
        rows=rows,
        requests=() if sides else requests.of(rows, kind),
        events=events,
        remarks=(_NAMELESS,) if kind is ShiftKind.DENIED and unnamed else (),
    )
