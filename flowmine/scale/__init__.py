"""Read a source to its EDGES in one process, in several, or on Dask: the same bytes, whichever it is."""

import os

from flowmine.edges import MAX_PEERS, Edges, FlowSource, Parts, Sums, settle
from flowmine.edges import gather as gather_inline
from flowmine.errors import UsageError
from flowmine.ingest import Source
from flowmine.ingest.division import Undividable

__all__ = ["aggregate", "gather"]

_WORTH = 64 << 20
"""Bytes to be read for which a process of their own is worth its start."""


def aggregate(
    source: FlowSource,
    *,
    jobs: int | None = None,
    requests: bool = False,
    complete: bool = False,
    max_peers: int = MAX_PEERS,
) -> Edges:
    """Read a source to its end and return its EDGES; see `gather` and `flowmine.edges.aggregate`."""
    parts = gather(source, jobs=jobs, requests=requests, max_peers=max_peers)
    return settle(parts, source.endpoints, source.pods, source.ledger.table(), complete=complete)


def gather(
    source: FlowSource, *, jobs: int | None = None, requests: bool = False, max_peers: int = MAX_PEERS
) -> Parts:
    """Read a source to its end and return what its events add up to, yet to be settled.

    ``jobs`` are processes, by default as many as there are cores and the inputs are worth; of each subject at most
    ``max_peers`` are kept (`flowmine.edges.fold`). Raises as the source does, UsageError for less than one job or
    peer, and InputError naming its input where a process died.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"at least one process is needed, not {jobs}")
    if max_peers < 1:
        raise UsageError(f"at least one peer must be kept, not {max_peers}")
    wanted = _worth(source) if jobs is None else jobs
    if wanted > 1 and isinstance(source, Source):
        from flowmine.scale import processes

        try:
            division = source.divided()
            if division is not None:
                return processes.gather(division, wanted, Sums(requests, max_peers))
        except Undividable:
            pass
    return gather_inline(source, requests=requests, max_peers=max_peers)


def _worth(source: FlowSource) -> int:
    """Return how many processes the inputs are worth; one where their size cannot be known."""
    size = source.size if isinstance(source, Source) else None
    return 1 if size is None else max(1, min(_cores(), size // _WORTH))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
