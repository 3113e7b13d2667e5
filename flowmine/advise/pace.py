"""How fast each node's Hubble speaks: events a second, and how many bytes the exporter writes of one."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa

from flowmine.ingest import Source
from flowmine.ingest.relay import Status

__all__ = ["COLUMNS", "TYPICAL_BYTES", "Pace", "pace_of_status", "paces_of_capture"]

COLUMNS = ("time", "node_name")
"""What has to be read of a capture."""

TYPICAL_BYTES = 1_450.0
"""An event as the exporter writes it with all fields, where none could be measured: the mean of the samples."""

_HOUR = 3600 * 10**9
_ENOUGH = 2_000


@dataclass(frozen=True, slots=True)
class Pace:
    """A node's events a second: over all of the time, and in its busiest hour (the same, where it was no hour)."""

    node: str
    mean: float
    busiest: float
    size: float = TYPICAL_BYTES
    """Bytes of an event, as the exporter writes it."""
    measured: bool = False
    """Whether the size was."""

    def lasts(self, size: float) -> float:
        """Return for how many seconds of the busiest hour so many bytes are enough."""
        return size / (self.busiest * self.size) if self.busiest else float("inf")


def paces_of_capture(source: Source) -> tuple[Pace, ...]:
    """Read a capture to its end (`COLUMNS` of it) and return the pace of its nodes, busiest first.

    Raise InputError where it cannot be read.
    """
    hours: dict[str, dict[int, int]] = {}
    bounds: dict[str, tuple[int, int]] = {}
    for batch in source.batches():
        for node, times in _by_node(batch):
            first, last = int(times.min()), int(times.max())
            before = bounds.get(node, (first, last))
            bounds[node] = (min(before[0], first), max(before[1], last))
            of = hours.setdefault(node, {})
            for hour, count in zip(*np.unique(times // _HOUR, return_counts=True), strict=True):
                of[int(hour)] = of.get(int(hour), 0) + int(count)
    size = _mean_size(source)
    found = [
        Pace(node, *_rates(of, *bounds[node]), size=size or TYPICAL_BYTES, measured=size is not None)
        for node, of in hours.items()
    ]
    return tuple(sorted(found, key=lambda pace: (-pace.busiest, pace.node)))


def pace_of_status(status: Status) -> tuple[Pace, ...]:
    """Return the pace of each node that a relay knows, since its agent started; of an agent itself, its own.

    Where only a rate of all nodes is told, each is taken to have its part of it.
    """
    nodes = [
        Pace(node.name, *2 * (node.seen / node.uptime * 1e9,))
        for node in status.nodes
        if node.seen and node.uptime
    ]
    if not nodes:
        whole = status.rate or (status.seen / status.uptime * 1e9 if status.uptime else 0.0)
        nodes = [Pace("", *2 * (whole / (status.connected or 1),))] if whole else []
    return tuple(sorted(nodes, key=lambda pace: (-pace.busiest, pace.node)))


def _by_node(batch: pa.RecordBatch) -> Iterable[tuple[str, np.ndarray]]:
    valid = batch.filter(batch.column("time").is_valid())
    if not valid.num_rows:
        return
    times = valid.column("time").cast(pa.int64()).to_numpy(zero_copy_only=False)
    names = valid.column("node_name").cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False)
    for node in np.unique(names):
        yield str(node), times[names == node]


def _rates(hours: dict[int, int], first: int, last: int) -> tuple[float, float]:
    """Return the mean and the busiest hour's events a second; what is shorter than a second counts as one."""
    seconds = max(1.0, (last - first) / 1e9)
    mean = sum(hours.values()) / seconds
    return mean, max(mean, max(hours.values()) / 3600)


def _mean_size(source: Source) -> float | None:
    """Return the mean bytes of a line, of the first few; None where the capture can be read only once."""
    if source.place is None:
        return None
    sizes = [len(raw) + 1 for raw, _, _ in islice(source.records(), _ENOUGH)]
    return sum(sizes) / len(sizes) if sizes else None
