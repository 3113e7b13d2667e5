"""Read a source on Dask: the portions of `flowmine.ingest.division` as tasks, their Parts merged as a tree.

Every task is a function of its portion alone, so that what a lost worker had is made again by another. Which flows
repeat others is decided here, in order, from a key a flow; all else stays with the workers until it is added up.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from flowmine.edges import Parts, Sum, Sums, telling
from flowmine.errors import InputError, UsageError
from flowmine.ingest.division import Division, Folds, Keys, New, Portion, Reader, Settings, Share, Whole
from flowmine.scale.alone import add_own
from flowmine.scale.packing import packed, unpacked

__all__ = ["gather"]

_RETRIES = 3
_PATIENCE = "20s"
"""How long a scheduler may take to answer at first."""
_BRANCHES = 8
"""Parts that one task merges."""
_AHEAD = 4
"""Portions under way for each thread of a worker."""


@dataclass(frozen=True, slots=True)
class _Decoded:
    share: Share
    folds: Folds | None
    whole: Whole
    keys: Keys


@dataclass(frozen=True, slots=True)
class _Told:
    share: Share
    whole: Whole


def gather(division: Division, scheduler: str | None, jobs: int | None, how: Sums) -> Parts:
    """Return what a source adds up to, read by the workers of a scheduler, or of one made here with ``jobs`` workers.

    Raise as `flowmine.ingest.source.Source.batches`; UsageError where Dask is missing or the scheduler is not to be
    reached; InputError where a worker was lost again and again; Undividable as `flowmine.scale.processes.gather`.
    """
    with _client(scheduler, jobs) as client:
        return _Tasks(client, division, how).run()


@contextmanager
def _client(scheduler: str | None, jobs: int | None) -> Iterator[Any]:
    library = _library()
    if scheduler is None:
        cluster = library.LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address="127.0.0.1:0")
        with cluster, library.Client(cluster) as client:
            yield client
        return
    try:
        client = library.Client(scheduler, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise UsageError(f"--scheduler {scheduler}: cannot be reached ({error})") from error
    with client:
        yield client


def _library() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise UsageError("Dask is not installed: pip install 'flowmine[dask]'") from error
    return distributed


class _Tasks:
    """The tasks of one reading."""

    def __init__(self, client: Any, division: Division, how: Sums) -> None:
        self._client, self._division, self._how = client, division, how
        self._portions = division.portions()
        self._undecided: deque[tuple[Portion, Any, Any]] = deque()
        self._unjoined: deque[tuple[Portion, Any]] = deque()
        self._sums: list[list[Any]] = []
        """Tasks of Parts: those of a portion, those merged of such, and so on, fewer than merge of each."""
        self._wholes: list[Whole] = []
        self._own = Sum(how)

    def run(self) -> Parts:
        """Have all portions read, and return what they add up to."""
        more = True
        while more or self._undecided or self._unjoined:
            while more and len(self._undecided) + len(self._unjoined) < self._most():
                more = self._submit()
            if self._undecided:
                self._decide(*self._undecided.popleft())
            if self._unjoined and (len(self._unjoined) > self._most() // 2 or not self._undecided):
                self._join(*self._unjoined.popleft())
        self._division.end(self._wholes)
        return self._how.of(self._own.parts(), *map(unpacked, self._results(self._merged())))

    def _most(self) -> int:
        threads: dict[str, int] = self._client.nthreads()
        return _AHEAD * max(1, sum(threads.values()))

    def _task(self, function: Any, *arguments: Any) -> Any:
        return self._client.submit(function, *arguments, pure=False, retries=_RETRIES)

    def _submit(self) -> bool:
        """Begin the next portion; tell whether there was one."""
        portion = next(self._portions, None)
        if portion is None:
            return False
        if not portion.is_elsewhere:
            self._undecided.append((portion, None, None))
            return True
        decoded = self._task(_decode, self._division.settings, portion)
        self._undecided.append((portion, decoded, self._task(_keys, decoded)))
        return True

    def _decide(self, portion: Portion, decoded: Any, keys: Any) -> None:
        """Decide which flows of a portion are new, and have these added up."""
        if decoded is None:
            while self._unjoined:  # what is read here may end an input, of which all must be known
                self._join(*self._unjoined.popleft())
            add_own(self._division, portion, self._own)
            return
        new = self._division.new(self._result(portion, keys))
        summed = self._task(_sum, self._division.settings, self._how, decoded, new)
        self._add(self._task(_parts, summed))
        self._unjoined.append((portion, self._task(_told, summed)))

    def _join(self, portion: Portion, told: Any) -> None:
        found = self._result(portion, told)
        self._division.join(portion, found.share)
        self._wholes.append(found.whole)

    def _add(self, parts: Any, height: int = 0) -> None:
        """Keep a task of Parts, merged with its like as soon as there are enough: few wait, whatever the input."""
        if height == len(self._sums):
            self._sums.append([])
        alike = self._sums[height]
        alike.append(parts)
        if len(alike) == _BRANCHES:
            self._sums[height] = []
            self._add(self._task(_merge, self._how, *alike), height + 1)

    def _merged(self) -> list[Any]:
        """Return one task that holds all that was added up, none where nothing was."""
        sums = [one for alike in self._sums for one in alike]
        while len(sums) > 1:
            groups = [sums[start : start + _BRANCHES] for start in range(0, len(sums), _BRANCHES)]
            sums = [self._task(_merge, self._how, *group) for group in groups]
        return sums

    def _result(self, portion: Portion, future: Any) -> Any:
        """Return what a task gives for a portion, the errors of reading as they would be of one reader."""
        try:
            return future.result()
        except InputError as error:
            while self._unjoined:
                self._join(*self._unjoined.popleft())
            raise self._division.told(portion, error) from error
        except Exception as error:
            raise self._lost(portion.name, error) from error

    def _results(self, futures: list[Any]) -> list[Any]:
        try:
            return list(self._client.gather(futures))
        except Exception as error:
            raise self._lost("the inputs", error) from error

    def _lost(self, name: str, error: Exception) -> Exception:
        library = _library()
        if isinstance(error, library.KilledWorker | library.client.FutureCancelledError):
            return InputError(
                f"{name}: workers that read it were lost again and again ({error}); there is no answer"
            )
        return error


def _decode(settings: Settings, portion: Portion) -> _Decoded:
    reader = Reader(settings, telling)
    share, folds = reader.read(portion)
    if folds is not None:
        reader.tell_once(folds)  # which others then pass on
    return _Decoded(share, folds, reader.end()[1], reader.keys(folds))


def _keys(decoded: _Decoded) -> Keys:
    return decoded.keys


def _sum(settings: Settings, how: Sums, decoded: _Decoded, new: New) -> tuple[dict[str, bytes], _Told]:
    share = deepcopy(decoded.share)  # another task may need what this one was given, unchanged
    total = Sum(how)
    if decoded.folds is not None:
        for batch in Reader(settings, telling).passed_on(share, decoded.folds, new):
            total.add_flows(batch)
    return packed(total.parts()), _Told(share, decoded.whole)


def _parts(summed: tuple[dict[str, bytes], _Told]) -> dict[str, bytes]:
    return summed[0]


def _told(summed: tuple[dict[str, bytes], _Told]) -> _Told:
    return summed[1]


def _merge(how: Sums, *parts: dict[str, bytes]) -> dict[str, bytes]:
    return packed(how.of(*map(unpacked, parts)))
