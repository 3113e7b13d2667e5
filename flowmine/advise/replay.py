"""Edges as the connections they were: what the engine is asked when recorded traffic is judged again."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.edges import Edges
from flowmine.engine.columns import distinct, numbered
from flowmine.engine.entries import protocols_of
from flowmine.engine.index import Ints
from flowmine.engine.l7 import Request, canonical_name
from flowmine.engine.party import NamedPort, Party
from flowmine.engine.queries import NONE, Queries
from flowmine.labels import NAMESPACE_KEY, Label, is_pod_id, parse
from flowmine.peers import Kind, kind_of
from flowmine.schema import EDGE_KEY
from flowmine.synth.cidrs import address
from flowmine.synth.contacts import canonical_ip

__all__ = ["Asker", "Batch", "NamesOf", "Question", "is_dual_stack", "replay"]

T = TypeVar("T")

NamesOf = Callable[[int, str], tuple[str, ...]]
"""What an endpoint (by its id) calls an address."""


@dataclass(frozen=True, slots=True)
class Question:
    """One connection to judge; `request` or `name` is what is asked over it, if anything."""

    source: Party
    destination: Party
    protocol: int
    port: int
    request: Request | None = None
    name: str | None = None


class Asker:
    """Numbers questions into a batch of the engine's, each distinct party, request and name once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._parties: dict[Party, int] = {}
        self._requests: dict[Request, int] = {}
        self._names: dict[str, int] = {}
        self._rows: list[tuple[int, int, int, int, int, int]] = []

    def ask(self, question: Question) -> int:
        """Add a question and return its place."""
        request, name = question.request, question.name
        self._rows.append(
            (
                self._parties.setdefault(question.source, len(self._parties)),
                self._parties.setdefault(question.destination, len(self._parties)),
                question.protocol,
                question.port,
                NONE if request is None else self._requests.setdefault(request, len(self._requests)),
                NONE if name is None else self._names.setdefault(canonical_name(name), len(self._names)),
            )
        )
        return len(self._rows) - 1

    def queries(self) -> Queries:
        """Return the batch."""
        source, destination, protocol, port, request, name = (
            np.array(self._rows, np.int64).reshape(-1, 6).T.copy()
        )
        return Queries(
            tuple(self._parties),
            source,
            destination,
            protocol,
            port,
            request,
            tuple(self._requests),
            name,
            tuple(self._names),
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Edges as questions: `rows` are the rows of EDGES, `asked` those of REQUESTS (-1: the connection itself).

    `wanted` is what is asked at the last places, over connections that stand before them: a request, or a DNS name.
    """

    rows: tuple[int, ...]
    asked: tuple[int, ...]
    wanted: tuple[Request | str, ...]
    queries: Queries
    dual_stack: bool

    @property
    def questions(self) -> Iterator[Question]:
        """Yield the questions one by one."""
        queries = self.queries
        columns = (queries.source, queries.destination, queries.protocol, queries.port)
        connections = len(queries) - len(self.wanted)
        for place, (source, destination, protocol, port) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        ):
            wanted = self.wanted[place - connections] if place >= connections else None
            request, name = (None, wanted) if isinstance(wanted, str) else (wanted, None)
            ends = queries.parties[source], queries.parties[destination]
            yield Question(*ends, protocol, port, request, name)


def replay(
    edges: Edges,
    rows: Sequence[int],
    names: NamesOf,
    *,
    requests: bool = False,
    named_ports: tuple[NamedPort, ...] = (),
) -> Batch:
    """Return edges (rows of EDGES) as questions, in order; with `requests` also those seen on them, after them all.

    `named_ports` are what every pod is taken to name its container ports.
    """
    table = edges.edges.select(EDGE_KEY).take(pa.array(rows, pa.int64()))
    parties, source, destination = _parties(table, _ends(edges), names, named_ports)
    asked = list(_requests(edges, rows)) if requests else []
    over = np.concatenate([np.arange(len(rows)), np.array([place for place, _, _ in asked], np.int64)])
    nothing, wanted = [NONE] * len(rows), [each for _, each, _ in asked]
    request, known = _numbers([each if isinstance(each, Request) else None for each in wanted])
    name, called = _numbers([canonical_name(each) if isinstance(each, str) else None for each in wanted])
    queries = Queries(
        parties,
        source[over],
        destination[over],
        _protocols(table)[over],
        pc.fill_null(table["port"], 0).to_numpy().astype(np.int64)[over],
        np.array([*nothing, *request], np.int64),
        known,
        np.array([*nothing, *name], np.int64),
        called,
    )
    return Batch(
        (*rows, *(rows[place] for place, _, _ in asked)),
        (*nothing, *(row for _, _, row in asked)),
        tuple(wanted),
        queries,
        is_dual_stack(edges),
    )


def _numbers(values: Iterable[T | None]) -> tuple[list[int], tuple[T, ...]]:
    """Number the distinct values in order of appearance, -1 for None; return these too."""
    known: dict[T, int] = {}
    numbers = [NONE if value is None else known.setdefault(value, len(known)) for value in values]
    return numbers, tuple(known)


def is_dual_stack(edges: Edges) -> bool:
    """Tell whether the agents run with IPv4 and IPv6: only then do they tell the two worlds apart."""
    labels = {label for texts in edges.endpoints["labels"].to_pylist() for label in texts or ()}
    return "reserved:world-ipv4" in labels or "reserved:world-ipv6" in labels


def _ends(edges: Edges) -> dict[int, tuple[str, ...]]:
    """Return the labels of each endpoint."""
    columns = (edges.endpoints[name].to_pylist() for name in ("id", "labels", "namespace"))
    return {
        identifier: _at_home(tuple(labels or ()), namespace)
        for identifier, labels, namespace in zip(*columns, strict=True)
    }


def _at_home(labels: tuple[str, ...], namespace: str | None) -> tuple[str, ...]:
    """Return labels with the pod's namespace, which every pod's identity has, where the capture left that one out."""
    home = Label("k8s", NAMESPACE_KEY, namespace or "")
    if not namespace or kind_of(labels) is not Kind.POD or home in map(parse, labels):
        return labels
    return (*labels, str(home))


def _parties(
    table: pa.Table,
    ends: Mapping[int, tuple[str, ...]],
    names: NamesOf,
    named_ports: tuple[NamedPort, ...],
) -> tuple[tuple[Party, ...], Ints, Ints]:
    """Return the distinct parties of edges, and which of them is either end of each edge."""
    known: dict[Party, int] = {}

    def number(end: int, ip: str | None, called: tuple[str, ...]) -> int:
        at = canonical_ip(ip) if ip and address(ip) else None
        ports = named_ports if is_pod_id(end) else ()
        party = Party(ends.get(end, ()), at, called, ports)
        return known.setdefault(party, len(known))

    (initiator, initiators), (responder, responders) = (numbered(table[each]) for each in EDGE_KEY[:2])
    (source_ip, source_ips), (target_ip, target_ips) = (numbered(table[each]) for each in EDGE_KEY[-2:])
    sets: dict[tuple[str, ...], int] = {(): 0}
    pairs, pair = distinct(initiator, target_ip)
    calls = [
        sets.setdefault(names(initiators[end], ip), len(sets))
        if (ip := _text(target_ips, at)) and is_pod_id(initiators[end])
        else 0
        for end, at in _each(pairs, initiator, target_ip)
    ]
    called, some = np.array(calls, np.int64)[pair], tuple(sets)
    sources, source = distinct(initiator, source_ip)
    of_source = [
        number(initiators[end], _text(source_ips, at), ()) for end, at in _each(sources, initiator, source_ip)
    ]
    targets, target = distinct(responder, target_ip, called)
    of_target = [
        number(responders[end], _text(target_ips, at), some[calls])
        for end, at, calls in _each(targets, responder, target_ip, called)
    ]
    return tuple(known), np.array(of_source, np.int64)[source], np.array(of_target, np.int64)[target]


def _each(places: Ints, *columns: Ints) -> Iterable[tuple[int, ...]]:
    return zip(*(column[places].tolist() for column in columns), strict=True)


def _text(texts: Sequence[str], place: int) -> str | None:
    return None if place == NONE else texts[place]


def _protocols(table: pa.Table) -> Ints:
    """Return the protocol of each edge as the engine numbers it."""
    code, known = numbered(table["protocol"])
    return np.array([int(protocols_of(each)) for each in (*known, "unknown")], np.int64)[code]


def _requests(edges: Edges, rows: Sequence[int]) -> Iterable[tuple[int, Request | str, int]]:
    """Yield (place among the rows, what was asked, row of REQUESTS) of every request seen on these edges."""
    columns = [edges.requests[name].to_pylist() for name in ("edge", "method", "host", "path")]
    asked = set(columns[0])
    places = {row: place for place, row in enumerate(rows) if row in asked}
    for row, (edge, method, host, path) in enumerate(zip(*columns, strict=True)):
        if edge in places:
            wanted = (path or "") if method == "DNS" else Request(method or "", path or "", host or "")
            yield places[edge], wanted, row
