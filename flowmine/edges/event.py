"""One batch of FLOWS as numpy columns, with what each event says of its connection."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowmine.edges.direction import Hint, hints
from flowmine.schema import ENUMS

__all__ = ["Event", "codes", "numbers", "when"]


def codes(column: pa.DictionaryArray, absent: int = 0) -> NDArray[np.int8]:
    """Return the codes of an enumerated column."""
    return numbers(column.indices, absent)


def numbers(column: pa.Array, absent: int = 0) -> NDArray[Any]:
    """Return a column of numbers, ``absent`` in place of nulls."""
    filled = column.fill_null(absent) if column.null_count else column
    return np.asarray(filled.to_numpy(zero_copy_only=False))


def _tristate(column: pa.Array) -> NDArray[np.int8]:
    return numbers(column.cast(pa.int8()), -1).astype(np.int8, copy=False)


def when(time: pa.Array, happened: NDArray[np.uint64]) -> pa.Array:
    """Return the times of the events that happened at all, null for others."""
    return pc.if_else(pa.array(happened > 0), time, pa.scalar(None, time.type))


class Event:
    """The columns of one batch as numpy arrays, each made when first asked for."""

    def __init__(self, flows: pa.RecordBatch) -> None:
        """Take a batch with the columns of `flowmine.edges.observe.COLUMNS`.

        It may have two more, of events that stand for others alike (`flowmine.ingest.folding`): ``last``, when the latest of
        these was, and ``repeats``, how many they are.
        """
        self.flows = flows
        column = flows.column
        self.kind = codes(column("Type"))
        self.event_type = numbers(column("event_type"), -1)
        self.verdict = codes(column("verdict"))
        self.point = codes(column("trace_observation_point"))
        self.side = codes(column("traffic_direction"))
        self.protocol = codes(column("protocol"))
        self.l7_type = codes(column("l7_type"), -1)
        self.source, self.destination = numbers(column("source")), numbers(column("destination"))
        self.source_local = _tristate(column("source_local"))
        self.destination_local = _tristate(column("destination_local"))
        self.source_port, self.destination_port = (
            numbers(column("source_port")),
            numbers(column("destination_port")),
        )
        self.icmp_type = numbers(column("icmp_type"))
        self.icmpv4 = self.protocol == ENUMS["protocol"].index("ICMPv4")
        self.icmpv6 = self.protocol == ENUMS["protocol"].index("ICMPv6")
        self.time = column("time").cast(pa.int64())  # arithmetic on timestamps has few kernels
        repeated = "repeats" in flows.schema.names
        self.last = column("last").cast(pa.int64()) if repeated else self.time
        self.is_l7 = (self.kind == 2) | (self.event_type == 129) | (self.l7_type >= 0)
        self.is_sock = (self.kind == 3) | (self.event_type == 7)
        self.is_verdict = self.event_type == 5
        self.tcp_flags = numbers(column("tcp_flags")).astype(np.uint16, copy=False)
        self.hint = self._hint()
        counts = [numbers(column(name)) for name in ("ingress_count", "egress_count", "unknown_count")]
        self.weight = np.maximum(sum(counts), 1).astype(np.uint64)
        if repeated:
            self.weight *= numbers(column("repeats"))

    def _hint(self) -> NDArray[np.uint8]:
        return hints(
            is_reply=_tristate(self.flows.column("is_reply")),
            tcp_flags=self.tcp_flags,
            icmpv4=self.icmpv4,
            icmpv6=self.icmpv6,
            icmp_type=self.icmp_type,
            related=codes(self.flows.column("trace_reason")) == ENUMS["trace_reason"].index("RELATED"),
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
