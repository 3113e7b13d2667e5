"""Edges as a table with names in place of numbers."""

from collections import Counter
from functools import cached_property
from typing import Any

import pyarrow as pa

from flowmine.edges import Edges
from flowmine.notebook.frame import Frame, columns
from flowmine.report.edgeview import EdgeRow, edge_rows, edge_table
from flowmine.report.ends import End
from flowmine.report.tables import Table

__all__ = ["EdgeFrame"]

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
_TIMES = ("first", "last", "last_delivered", "last_drop")
_END = ("", "_kind", "_cluster", "_namespace", "_workload", "_ip")

SCHEMA = columns(
    (" ".join(f"{end}{part}" for end in ("initiator", "responder") for part in _END), "text"),
    ("responder_names", "texts"),
    ("responder_service protocol", "text"),
    ("port", "port"),
    ("outcome", "text"),
    ("changed", "bool"),
    (" ".join(_COUNTS), "events"),
    (" ".join(_TIMES), "ns"),
    ("reasons samples", "texts"),
)
"""Ends by what they are called, their kind (pod, entity, world …), cluster, namespace, workload and address; ``port``
is of ICMP the type; counts are of events; ``reasons`` are like ``POLICY_DENIED egress``; ``samples`` uuids of events."""


class EdgeFrame(Frame):
    """Who talked to whom, on which port, and what became of it: a row an edge, what one policy rule would be about.

    ``edges`` holds the tables of `flowmine.schema` (EDGES and what belongs to it) by their names.
    """

    def __init__(self, edges: Edges, about: str = "") -> None:
        """Take the edges; ``about`` says of what."""
        self.edges, self._about = edges, about

    @property
    def title(self) -> str:
        """How many edges there are, by outcome."""
        outcomes = Counter(self.edges.edges.column("outcome").to_pylist())
        total = self.edges.edges.num_rows
        told = ", ".join(f"{outcome} {outcomes[outcome]:,}" for outcome in sorted(outcomes))
        return (
            f"{total:,} edge{'s' * (total != 1)}{self._about}: {told}" if total else f"no edges{self._about}"
        )

    @cached_property
    def _rows(self) -> tuple[EdgeRow, ...]:
        return tuple(edge_rows(self.edges))

    def _made(self) -> pa.Table:
        rows = [_record(row) for row in self._rows]
        return pa.table(
            {field.name: pa.array([row[field.name] for row in rows], field.type) for field in SCHEMA},
            schema=SCHEMA,
        )

    def _shown(self) -> Table:
        return self._people

    @cached_property
    def _people(self) -> Table:
        return edge_table(self.edges)


def _record(row: EdgeRow) -> dict[str, Any]:
    return {
        **_end("initiator", row.initiator),
        **_end("responder", row.responder),
        "responder_names": list(row.responder.names),
        "responder_service": row.service,
        "protocol": row.protocol,
        "port": row.port,
        "outcome": row.outcome,
        "changed": row.changed,
        **row.counts,
        **row.times,
        "reasons": [f"{reason['drop_reason']} {reason['side']}" for reason in row.reasons],
        "samples": list(row.samples),
    }


def _end(name: str, end: End) -> dict[str, str | None]:
    values = (end.title, end.kind, end.cluster, end.namespace, end.workload, end.ip)
    return {f"{name}{part}": value or None for part, value in zip(_END, values, strict=True)}
