"""What the flows say of drops: one fact for each edge, side and reason, the scans apart."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.advise.recorded import Recorded
from flowmine.edges.outcome import POLICY_REASONS
from flowmine.policy.model import Direction
from flowmine.synth.options import Options
from flowmine.synth.traffic import Link

__all__ = ["Doing", "Fact", "Scan", "drop_facts", "scans_of"]

_FEW = 12
"""Events of an edge that may still be one visit."""


class Doing(Enum):
    """Whose doing a drop was, as Hubble's reason tells."""

    POLICY = "policy"
    AUTHENTICATION = "authentication"
    REQUEST = "request"
    REPLY = "reply"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Fact:
    """Drops of one edge (row of EDGES) for one reason: where they were seen, who Hubble says denied, how many, when.

    ``sides`` are the directions that Hubble names; ``audited`` ones went through all the same.
    """

    row: int
    doing: Doing
    reasons: tuple[str, ...]
    sides: frozenset[Direction]
    denied_by: tuple[tuple[Direction, str], ...]
    audited: bool
    count: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Scan:
    """Drops that are one source's (or the outside's) scan: rows of EDGES, drops counted, and the evidence in words."""

    kind: str
    title: str
    evidence: str
    rows: tuple[int, ...]
    count: int


def drop_facts(known: Recorded, but: frozenset[int] = frozenset()) -> list[Fact]:
    """Return what the flows say of drops, by edge and whose doing; ``but`` are rows of EDGES to leave out."""
    table = known.edges.reasons
    if but:
        kept = ~np.isin(table["edge"].to_numpy(), np.fromiter(but, np.int64, len(but)))
        table = table.filter(pa.array(kept))
    groups: dict[tuple[int, Doing, str], list[tuple[str, str, str | None, int, datetime, datetime]]] = (
        defaultdict(list)
    )
    names = ("edge", "side", "drop_reason", "denied_by", "count")
    times = (_times(table, name) for name in ("first", "last"))
    for edge, side, reason, denied_by, count, first, last in zip(
        *(table[name].to_pylist() for name in names), *times, strict=True
    ):
        doing = _doing(side, reason)
        apart = reason if doing in (Doing.OTHER, Doing.REPLY) else "AUDIT" if reason == "AUDIT" else ""
        groups[edge, doing, apart].append((side, reason, denied_by, count, first, last))
    return [_fact(edge, doing, rows) for (edge, doing, _), rows in sorted(groups.items(), key=_order)]


def _order(item: tuple[tuple[int, Doing, str], object]) -> tuple[int, str, str]:
    (edge, doing, apart), _ = item
    return edge, doing.value, apart


def _doing(side: str, reason: str) -> Doing:
    if side == "reply":
        return Doing.REPLY
    if reason == "L7":
        return Doing.REQUEST
    if reason == "AUTH_REQUIRED":
        return Doing.AUTHENTICATION
    return Doing.POLICY if reason == "AUDIT" or reason in POLICY_REASONS else Doing.OTHER


def _fact(
    edge: int, doing: Doing, rows: Sequence[tuple[str, str, str | None, int, datetime, datetime]]
) -> Fact:
    counts: dict[tuple[str, str], int] = {}
    for side, reason, _, count, _, _ in rows:  # several policies may have denied one drop
        counts[side, reason] = max(count, counts.get((side, reason), 0))
    known = {direction.value: direction for direction in Direction}
    return Fact(
        row=edge,
        doing=doing,
        reasons=tuple(sorted({row[1] for row in rows})),
        sides=frozenset(known[row[0]] for row in rows if row[0] in known),
        denied_by=tuple(sorted({(known[row[0]], row[2]) for row in rows if row[0] in known and row[2]})),
        audited=any(row[1] == "AUDIT" for row in rows),
        count=sum(counts.values()),
        first=min((row[4] for row in rows if row[4]), default=None),
        last=max((row[5] for row in rows if row[5]), default=None),
    )


def _times(table: pa.Table, name: str) -> list[datetime | None]:
    times: list[datetime | None] = table[name].cast(pa.timestamp("us", tz="UTC"), safe=False).to_pylist()
    return times


def scans_of(known: Recorded, options: Options) -> list[Scan]:
    """Return the drops that are scans: of each scanning source, and of the nameless outside taken as one.

    Many addresses that each try a few ports of a target are a scan as well, where together they tried as many ports as
    `options.noise_ports` and no edge of them is more than a visit.
    """
    counts = _counts(known)
    found = [
        Scan(
            each.kind,
            known.title(each.source),
            _told(known, each.tried),
            each.tried,
            _sum(counts, each.tried),
        )
        for each in known.noise
        if each.tried
    ]
    taken = {row for each in found for row in each.rows}
    rest = [link for link in known.links if link.row not in taken and counts[link.row]]
    found += _strangers(known, rest, options, lambda rows: _sum(counts, rows))
    return sorted((each for each in found if each.count), key=lambda each: (-each.count, each.title))


def _strangers(
    known: Recorded, rest: Iterable[Link], options: Options, total: Callable[[Iterable[int]], int]
) -> Iterable[Scan]:
    tried: dict[object, list[Link]] = defaultdict(list)
    for link in rest:
        nameless = link.source.workload < 0 and not link.source.entity and bool(link.source.ip)
        if nameless and link.in_vain and link.events <= _FEW:
            tried[link.target.key].append(link)
    enough = (
        links
        for links in tried.values()
        if 0 < options.noise_ports <= len({(link.protocol, link.port) for link in links})
    )
    scanning = [link for links in enough for link in links]
    if scanning:
        rows = tuple(sorted(link.row for link in scanning))
        clients = len({link.source.ip for link in scanning})
        title = f"world ({clients:,} address{'es' * (clients != 1)})"
        yield Scan("scan", title, _told(known, rows), rows, total(rows))


def _told(known: Recorded, rows: Sequence[int]) -> str:
    links = [known.links[row] for row in rows]
    ports = len({(link.protocol, link.port) for link in links})
    targets = dict.fromkeys(link.target.key for link in links)
    where = known.title(links[0].target) if len(targets) == 1 else f"{len(targets):,} targets"
    return f"{ports:,} port{'s' * (ports != 1)} of {where} tried in vain"


def _counts(known: Recorded) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the drops of each edge, by row."""
    made = np.zeros(len(known.links) + 1, np.int64)
    table = known.edges.reasons
    np.add.at(made, table["edge"].to_numpy(), pc.cast(table["count"], pa.int64()).to_numpy())
    return made


def _sum(counts: "np.ndarray[tuple[int], np.dtype[np.int64]]", rows: Iterable[int]) -> int:
    return int(counts[np.fromiter(rows, np.int64)].sum())
