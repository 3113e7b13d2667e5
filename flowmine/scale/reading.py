"""Read a source to its EDGES: by which engine, and by how many processes."""

import logging
from collections.abc import Callable

from flowmine.arrow import after_reading
from flowmine.edges import MAX_PEERS, Edges, FlowSource, Parts, Sums, settle
from flowmine.edges import gather as gather_inline
from flowmine.errors import InputError, UsageError
from flowmine.ingest import Source
from flowmine.ingest.division import Undividable
from flowmine.scale import alone, processes
from flowmine.scale.readers import Readers, weight, worth, worth_compiling

__all__ = ["aggregate", "gather"]

_log = logging.getLogger(__name__)
_ENGINES = ("processes", "dask")


def aggregate(
    source: FlowSource,
    *,
    jobs: int | None = None,
    engine: str = "processes",
    scheduler: str | None = None,
    requests: bool = False,
    complete: bool = False,
    max_peers: int = MAX_PEERS,
    readers: Readers | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Edges:
    """Read a source to its end and return its EDGES; see `gather` and `flowmine.edges.aggregate`."""
    parts = [
        gather(
            source,
            jobs=jobs,
            engine=engine,
            scheduler=scheduler,
            requests=requests,
            max_peers=max_peers,
            readers=readers,
            meanwhile=meanwhile,
        )
    ]
    after_reading()
    ends, pods, ledger = source.endpoints, source.pods, source.ledger.table()
    edges = settle(
        parts.pop(), ends, pods, ledger, complete=complete
    )  # which keeps no more of them than it needs
    after_reading()
    return edges


def gather(
    source: FlowSource,
    *,
    jobs: int | None = None,
    engine: str = "processes",
    scheduler: str | None = None,
    requests: bool = False,
    max_peers: int = MAX_PEERS,
    readers: Readers | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Parts:
    """Read a source to its end and return what its events add up to, yet to be settled.

    ``jobs`` are processes, by default as many as there are cores and the inputs are worth. With the ``engine`` "dask"
    the workers of the ``scheduler`` at an address read, or ``jobs`` workers of one made here. Of each subject at most
    ``max_peers`` are kept (`flowmine.edges.fold`). Whatever cannot be divided, one process reads. ``readers`` started
    before are used if they are as many as are needed; whoever started them ends them. Where processes read, ``meanwhile`` is
    called once, for what can be done beside.

    Raises as the source does; UsageError for less than one job or peer, an unknown engine, a scheduler without Dask or
    out of reach; InputError naming its input where a process died.
    """
    _check(jobs, engine, scheduler, max_peers)
    size = _weight(source) if isinstance(source, Source) else None
    wanted = jobs or worth(size)
    recorded = isinstance(source, Source) and source.is_recorded
    compiled = worth_compiling(size, wanted, recorded=recorded)
    if isinstance(source, Source) and (division := source.divided(compiled=compiled)) is not None:
        how = Sums(requests, max_peers)
        _log.debug("to be read by %s of engine %s", wanted, engine)
        try:
            if engine == "dask":
                from flowmine.scale import dask

                return dask.gather(division, scheduler, jobs, how)
            if wanted > 1:
                return processes.gather(division, wanted, how, readers, meanwhile)
            if source.place is not None:
                return alone.gather(division, how)
        except Undividable:
            if source.place is None:
                raise InputError(
                    f"{', '.join(source.names)}: a container runtime cut lines in pieces, which only one process puts "
                    "together where they can be read but once: use --jobs 1"
                ) from None
            _log.debug("a record goes on from one portion to the next: one process reads")
    return gather_inline(source, requests=requests, max_peers=max_peers)


def _weight(source: Source) -> int | None:
    """Return about how many bytes are to be read; None where that is not known."""
    sizes = [
        None if size is None else weight(size, compressed=compressed) for size, compressed in source.sizes
    ]
    return None if None in sizes else sum(size or 0 for size in sizes)


def _check(jobs: int | None, engine: str, scheduler: str | None, max_peers: int) -> None:
    if jobs is not None and jobs < 1:
        raise UsageError(f"at least one process is needed, not {jobs}")
    if max_peers < 1:
        raise UsageError(f"at least one peer must be kept, not {max_peers}")
    if engine not in _ENGINES:
        raise UsageError(f"unknown engine {engine!r} (known: {', '.join(_ENGINES)})")
    if scheduler is not None and engine != "dask":
        raise UsageError("a scheduler is for the engine dask (--engine dask)")
