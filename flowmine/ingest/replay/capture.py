"""A capture as it is sent: serialized events in the order of time, in a temporary file, with an index in memory."""

import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import IO, Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from flowmine.errors import InputError
from flowmine.ingest.replay.encode import KINDS, encoded
from flowmine.ingest.times import nanoseconds

__all__ = ["BLOCK", "FLOW", "LOST", "STATUS", "Capture", "Records"]

BLOCK = 4096
"""How many events lie together."""

FLOW, LOST, STATUS = (KINDS.index(kind) for kind in ("flow", "lost_events", "node_status"))

Ints = npt.NDArray[np.int64]


class Records(Protocol):
    """What can be replayed: see `flowmine.ingest.Source.records`."""

    def records(self) -> Iterator[tuple[bytes, dict[str, Any], str]]:
        """Yield raw JSON, canonical record, and place."""


class Capture:
    """The events of a capture, numbered in the order of their times; ``skipped`` could not be serialized.

    ``times`` are nanoseconds since the epoch, ``kinds`` places in `encode.KINDS`, ``nodes`` places in ``node_names``, of which
    ``members`` are those that saw events themselves;
    ``namespaces`` are pairs of cluster and namespace, ``versions`` those that emitters gave.
    """

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take canonical records. Raise InputError where none of them is an event."""
        self.skipped = 0
        self.namespaces: set[tuple[str, str]] = set()
        self.versions: set[str] = set()
        self._names: dict[str, int] = {}
        self._spool: IO[bytes] = tempfile.TemporaryFile(prefix="flowmine-replay-")  # noqa: SIM115
        self._texts: IO[bytes] = tempfile.TemporaryFile(prefix="flowmine-replay-")  # noqa: SIM115
        times, kinds, nodes = array("q"), array("b"), array("i")
        offsets, places = array("q", [0]), array("q", [0])
        for record in records:
            kind = next((kind for kind in KINDS if isinstance(record.get(kind), Mapping)), None)
            frame = None if kind is None else encoded(record, kind)
            if kind is None or frame is None:
                self.skipped += 1
                continue
            moment = nanoseconds(record.get("time") or record[kind].get("time"))
            times.append(times[-1] if moment is None and times else moment or 0)
            kinds.append(KINDS.index(kind))
            nodes.append(self._node(record, kind))
            text = msgspec.json.encode(record)
            offsets.append(offsets[-1] + self._spool.write(frame))
            places.append(places[-1] + self._texts.write(text))
        self._spool.flush()
        self._texts.flush()
        if not times:
            self.close()
            raise InputError("no event to replay: the capture is empty")
        self._arrange(np.array(times, np.int64), kinds, nodes, offsets, places)

    @classmethod
    def read(cls, source: Records) -> "Capture":
        """Read a source, such as `flowmine.ingest.open_flows` makes, to its end."""
        return cls(record for _, record, _ in source.records())

    def _node(self, record: Mapping[str, Any], kind: str) -> int:
        """Return the number of a record's node, and keep what its flow tells of namespaces and versions."""
        event = record[kind]
        name = str(record.get("node_name") or event.get("node_name") or "")
        if kind == "flow":
            cluster = name.partition("/")[0] if "/" in name else ""
            for end in ("source", "destination"):
                namespace = (event.get(end) or {}).get("namespace")
                if namespace:
                    self.namespaces.add((cluster, namespace))
            if version := (event.get("emitter") or {}).get("version"):
                self.versions.add(version)
        return self._names.setdefault(name, len(self._names))

    def _arrange(
        self,
        times: Ints,
        kinds: "array[int]",
        nodes: "array[int]",
        offsets: "array[int]",
        places: "array[int]",
    ) -> None:
        """Put the index in the order of time."""
        order = np.argsort(times, kind="stable")
        self.times: Ints = times[order]
        self.kinds = np.array(kinds, np.int8)[order]
        self.nodes = np.array(nodes, np.int64)[order]
        self._offsets, self._ends = (np.array(offsets)[where][order] for where in (slice(-1), slice(1, None)))
        self._places, self._stops = (np.array(places)[where][order] for where in (slice(-1), slice(1, None)))
        self.node_names = tuple(self._names)
        seen = np.unique(self.nodes[self.kinds != STATUS]).tolist()
        self.members = tuple(sorted(name for name in (self.node_names[node] for node in seen) if name))

    def __len__(self) -> int:
        """Return how many events there are."""
        return len(self.times)

    def frames(self, begin: int, end: int) -> list[bytes]:
        """Return the serialized events from one number up to another."""
        return _read(self._spool, self._offsets[begin:end], self._ends[begin:end])

    def records(self, numbers: Ints) -> list[dict[str, Any]]:
        """Return some events, in ascending order, as canonical records."""
        texts = _read(self._texts, self._places[numbers], self._stops[numbers])
        return [msgspec.json.decode(text) for text in texts]

    def close(self) -> None:
        """Remove the files."""
        self._spool.close()
        self._texts.close()

    def __enter__(self) -> "Capture":
        """Return the capture."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def _read(file: IO[bytes], starts: Ints, ends: Ints) -> list[bytes]:
    """Return stretches of a file; at once where they lie close together."""
    if not len(starts):
        return []
    low, high = int(starts.min()), int(ends.max())
    if high - low > 4 * int((ends - starts).sum()):
        pairs = zip(starts.tolist(), ends.tolist(), strict=True)
        return [os.pread(file.fileno(), end - start, start) for start, end in pairs]
    data = os.pread(file.fileno(), high - low, low)
    pairs = zip((starts - low).tolist(), (ends - low).tolist(), strict=True)
    return [data[start:end] for start, end in pairs]
