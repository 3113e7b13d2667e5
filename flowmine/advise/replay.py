"""Edges as the connections they were: what the engine is asked when recorded traffic is judged again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from flowmine.edges import Edges
from flowmine.engine.entries import protocols_of
from flowmine.engine.l7 import Request, canonical_name
from flowmine.engine.party import NamedPort, Party
from flowmine.engine.queries import NONE, Queries
from flowmine.labels import NAMESPACE_KEY, Label, is_pod_id, parse
from flowmine.peers import Kind, kind_of
from flowmine.policy.model import Direction
from flowmine.schema import EDGE_KEY
from flowmine.synth.cidrs import address

__all__ = ["Asker", "Batch", "NamesOf", "Question", "is_dual_stack", "replay"]

NamesOf = Callable[[int, str], tuple[str, ...]]
"""What an endpoint (by its id) calls an address."""

_NOBODY: tuple[tuple[str, ...], str | None] = ((), None)


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
    """Edges as questions.

    `rows` are the rows of EDGES, `asked` those of REQUESTS (-1: the connection itself); `homes` are the clusters whose
    policies judge each side, None where none does.
    """

    rows: tuple[int, ...]
    asked: tuple[int, ...]
    questions: tuple[Question, ...]
    queries: Queries
    homes: Mapping[Direction, tuple[str | None, ...]]
    dual_stack: bool


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
    table = edges.edges.take(pa.array(rows, pa.int64()))
    ends = _ends(edges)
    asker = Asker()
    made: list[Question] = []
    columns = [table[name].to_pylist() for name in EDGE_KEY]
    for source, target, protocol, port, source_ip, target_ip in zip(*columns, strict=True):
        called = names(source, target_ip) if target_ip and is_pod_id(source) else ()
        made.append(
            Question(
                _party(ends, source, source_ip, (), named_ports),
                _party(ends, target, target_ip, called, named_ports),
                int(protocols_of(protocol or "unknown")),
                port or 0,
            )
        )
    asked = [(place, each, row) for place, each, row in _requests(edges, rows)] if requests else []
    more = [(rows[place], row, _with_request(made[place], each)) for place, each, row in asked]
    every = [*made, *(question for _, _, question in more)]
    for question in every:
        asker.ask(question)
    homes = {
        direction: tuple(ends.get(end, _NOBODY)[1] if is_pod_id(end) else None for end in column)
        + tuple(
            ends.get(column[place], _NOBODY)[1] if is_pod_id(column[place]) else None for place, _, _ in asked
        )
        for direction, column in ((Direction.EGRESS, columns[0]), (Direction.INGRESS, columns[1]))
    }
    return Batch(
        (*rows, *(row for row, _, _ in more)),
        (*(NONE for _ in made), *(row for _, row, _ in more)),
        tuple(every),
        asker.queries(),
        homes,
        is_dual_stack(edges),
    )


def is_dual_stack(edges: Edges) -> bool:
    """Tell whether the agents run with IPv4 and IPv6: only then do they tell the two worlds apart."""
    labels = {label for texts in edges.endpoints["labels"].to_pylist() for label in texts or ()}
    return "reserved:world-ipv4" in labels or "reserved:world-ipv6" in labels


def _ends(edges: Edges) -> dict[int, tuple[tuple[str, ...], str | None]]:
    columns = (edges.endpoints[name].to_pylist() for name in ("id", "labels", "namespace", "cluster_name"))
    return {
        identifier: (_at_home(tuple(labels or ()), namespace), cluster)
        for identifier, labels, namespace, cluster in zip(*columns, strict=True)
    }


def _at_home(labels: tuple[str, ...], namespace: str | None) -> tuple[str, ...]:
    """Return labels with the pod's namespace, which every pod's identity has, where the capture left that one out."""
    home = Label("k8s", NAMESPACE_KEY, namespace or "")
    if not namespace or kind_of(labels) is not Kind.POD or home in map(parse, labels):
        return labels
    return (*labels, str(home))


def _party(
    ends: Mapping[int, tuple[tuple[str, ...], str | None]],
    end: int,
    ip: str | None,
    names: tuple[str, ...],
    named_ports: tuple[NamedPort, ...],
) -> Party:
    at = address(ip) if ip else None
    return Party(
        ends.get(end, _NOBODY)[0],
        None if at is None else str(at),
        names,
        named_ports if is_pod_id(end) else (),
    )


def _requests(edges: Edges, rows: Sequence[int]) -> Iterable[tuple[int, tuple[str, str, str], int]]:
    """Yield (place among the rows, (method, host, path), row of REQUESTS) of every request seen on these edges."""
    places = {row: place for place, row in enumerate(rows)}
    columns = (edges.requests[name].to_pylist() for name in ("edge", "method", "host", "path"))
    for row, (edge, method, host, path) in enumerate(zip(*columns, strict=True)):
        if edge in places:
            yield places[edge], (method or "", host or "", path or ""), row


def _with_request(question: Question, request: tuple[str, str, str]) -> Question:
    method, host, path = request
    ends = (question.source, question.destination, question.protocol, question.port)
    if method == "DNS":
        return Question(*ends, name=path)
    return Question(*ends, request=Request(method, path, host))
