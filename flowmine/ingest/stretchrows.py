"""A batch of the stretches that lines were cut into: each different one is decoded once, then spread over its lines.

This is exact for whatever is decoded at all. Each different stretch is decoded as an object of its own, ``{STRETCH}``,
which succeeds only where it is a run of whole members; the tail must moreover end with the flow's end and the outer
``node_name`` alone. So the line is the object of all these members. Where a field stands in stretches of two kinds,
the lines are left to the decoder of whole lines, and so are those without address, node or other fields that a
decoder of whole lines would look at twice.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.ingest import times
from flowmine.ingest.rows import Bools, Layer4, Raws, Rows, Tools
from flowmine.ingest.shapes import Aggregate, Decoders, Layer7
from flowmine.ingest.stretches import KINDS, Stretches
from flowmine.ingest.structrows import StructRows

__all__ = ["StretchRows", "decoded"]

_Codes = npt.NDArray[np.int32]
_BAD = (ValueError, RecursionError, OverflowError)
_OUTER = b'},"node_name":"'
_PASSED_OVER = (b'"proxy_port":', b'"latency_ns":"')
"""Keys whose numbers differ from line to line, and which no column is made of."""
_MOST_KNOWN = 1 << 13
"""Stretches of one kind that are remembered from block to block."""
_FIRST_DIGITS = (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9")


class _Decoded:
    """The different stretches of one kind, decoded, and which of them each line has."""

    def __init__(self, kind: str, found: pa.DictionaryArray, decoders: Decoders, tools: Tools) -> None:
        """Decode what was not met before; raise ValueError or the like where one is no run of members of a flow."""
        self.codes: _Codes = found.indices.to_numpy()
        values: list[bytes] = found.dictionary.to_pylist()
        known = decoders.known.setdefault(kind, {})
        new = [value for value in values if value not in known]
        if len(known) + len(new) > _MOST_KNOWN:
            known.clear()
            new = values
        known.update(
            zip(
                new,
                _members([_inner(value) for value in new] if kind == "tail" else new, decoders),
                strict=True,
            )
        )
        self.rows = StructRows(list(map(known.__getitem__, values)), tools)


def _members(runs: list[bytes], decoders: Decoders) -> list[Any]:
    """Return the members of a flow that each run holds; raise ValueError or the like where one is no such run."""
    places: dict[bytes, int] = {}
    for run in runs:
        places.setdefault(run, len(places))
    text = b"{" + b"}\n{".join(places) + b"}" if places else b""
    flows: list[Any] = decoders.members.decode_lines(text)
    if len(flows) != len(places) or len(text.split(b"\n")) != max(1, len(places)):
        raise ValueError("stretches that are no runs of members")
    return [flows[places[run]] for run in runs]


def _inner(tail: bytes) -> bytes:
    """Return the members of the flow that a tail holds, numbers that no column has overwritten.

    Raise ValueError where it ends in an unusual way.
    """
    members, found, node = tail.rpartition(_OUTER)
    if not found or node.find(b'"') != len(node) - 1 or b"\\" in node:
        raise ValueError("a line that ends in an unusual way")
    for key in _PASSED_OVER:
        before, found, after = members.partition(key)
        if found and after[:1] in _FIRST_DIGITS:
            members = before + found + b"1" + after.lstrip(b"0123456789")
    return members


def decoded(stretches: Stretches, decoders: Decoders, tools: Tools) -> "StretchRows | None":
    """Return the rows of a block's stretches; None where its lines must be decoded whole."""
    try:
        made = {kind: _Decoded(kind, stretches.kinds[kind], decoders, tools) for kind in KINDS}
    except _BAD:
        return None
    owners: dict[str, str] = {}
    for kind, one in made.items():
        for field in one.rows.present():
            if field in ("time", "uuid") or owners.setdefault(field, kind) != kind:
                return None
    if owners.get("is_reply", "tail") != owners.get("reply", "tail"):
        return None
    return StretchRows(stretches, made, owners, tools)


class StretchRows(Rows):
    """The flows of the lines of one block that are of the usual form."""

    def __init__(
        self, stretches: Stretches, made: dict[str, _Decoded], owners: dict[str, str], tools: Tools
    ) -> None:
        """Take the stretches, decoded, and the kind of stretch in which each field is that any line has."""
        super().__init__(len(stretches.times), tools)
        self._stretches, self._made, self._owners = stretches, made, owners
        self._places = {kind: pa.array(one.codes) for kind, one in made.items()}

    def _kind(self, field: str) -> str:
        return self._owners.get(field, "tail")

    def _rows(self, field: str) -> StructRows:
        return self._made[self._kind(field)].rows

    def _spread(self, field: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return values of the different stretches that hold a field as values of the lines."""
        return np.asarray(values[self._made[self._kind(field)].codes])

    def _column(self, field: str, values: pa.Array) -> pa.Array:
        """Return the same of a column."""
        if values.null_count == len(values):
            return pa.nulls(self.length, values.type)
        return values.take(self._places[self._kind(field)])

    def _objects(self, field: str, values: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        """Return the same of objects that few lines have."""
        if not values:
            return []
        by_place = dict(values)
        codes = self._made[self._kind(field)].codes
        has = np.zeros(self._rows(field).length, bool)
        has[list(by_place)] = True
        lines = np.flatnonzero(has[codes])
        return [
            (line, by_place[code]) for line, code in zip(lines.tolist(), codes[lines].tolist(), strict=True)
        ]

    def codes(self, column: str) -> npt.NDArray[np.int8]:
        """Return the codes of an enumerated field; 0 where it is absent or unknown."""
        return self._spread(column, self._rows(column).codes(column))

    def has(self, field: str) -> Bools:
        """Tell which flows have a field."""
        return self._spread(field, self._rows(field).has(field))

    def text(self, column: str) -> pa.Array:
        """Return a field that is a text, or a list of texts, as its column."""
        if column != "uuid":
            return self._column(column, self._rows(column).text(column))
        uuids = self._stretches.uuids
        return pa.nulls(self.length, pa.string()) if uuids is None else uuids

    def address(self, field: str) -> pa.Array:
        """Return a field of ``flow.IP`` as its column."""
        return self._column("IP", self._rows("IP").address(field))

    def raws(self, field: str) -> pa.DictionaryArray:
        """Return an object of every flow undecoded."""
        found = pa.array(map(bytes, self._rows(field).raws(field)), pa.binary())
        return pa.DictionaryArray.from_arrays(self._places[self._kind(field)], found)

    def raw_ends(self) -> Raws:
        """Return the undecoded sources, and after them the undecoded destinations."""
        source, destination = (self.raws(end) for end in ("source", "destination"))
        more = len(source.dictionary)
        codes = np.concatenate([source.indices.to_numpy(), destination.indices.to_numpy() + more])
        return pa.DictionaryArray.from_arrays(
            pa.array(codes), pa.concat_arrays([source.dictionary, destination.dictionary])
        )

    def objects(self, field: str) -> pa.Array:
        """Return the values of an object with few distinct ones as a column."""
        return self._column(field, self._rows(field).objects(field))

    def versions(self) -> dict[str | None, int]:
        """Return how often each version of an emitter occurs."""
        lines = np.bincount(self._made[self._kind("emitter")].codes)
        counts: Counter[str | None] = Counter()
        versions = self._rows("emitter").objects("emitter").to_pylist()
        for version, count in zip(versions, lines.tolist(), strict=True):
            counts[version] += count
        return counts

    @cached_property
    def time(self) -> pa.Array:
        """Event times."""

        def unreadable(_: str) -> None:
            self.unreadable_times += 1

        return times.column(self._stretches.times, unreadable)

    @property
    def nodes(self) -> "_Spread":
        """Names of the emitting nodes."""
        return _Spread(self._rows("node_name").nodes, self._made[self._kind("node_name")].codes)

    def nodes_of(self, rows: npt.NDArray[np.int64]) -> Sequence[str | None]:
        """Return the names of the nodes that emitted some of the flows."""
        return self.nodes.at(rows)

    @property
    def reasons(self) -> pa.Array:
        """Names of drop reasons, null where there is none."""
        told, numbered = (
            self._column(field, self._rows(field).reasons) for field in ("drop_reason_desc", "drop_reason")
        )
        return told if numbered.null_count == len(numbered) else pc.coalesce(told, numbered)

    @cached_property
    def events(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16], Bools]:
        """Monitor message types, sub types, and where there is none."""
        kinds, subs, absent = (self._spread("event_type", all_) for all_ in self._rows("event_type").events)
        return kinds, subs, absent

    @cached_property
    def replies(self) -> pa.Array:
        """Three states: the deprecated ``reply: true`` also says yes, its absence nothing."""
        return self._column("is_reply", self._rows("is_reply").replies)

    @cached_property
    def l4(self) -> Layer4:
        """Layer 4 of every flow."""
        found = Layer4(*(self._spread("l4", values) for values in self._rows("l4").l4))
        source, destination = self._stretches.ports
        return found._replace(
            source_port=np.where(source < 0, found.source_port, source),
            destination_port=np.where(destination < 0, found.destination_port, destination),
        )

    @cached_property
    def l7(self) -> list[tuple[int, Layer7]]:
        """Layer 7 where there is one: row and object."""
        return self._objects("l7", self._rows("l7").l7)

    @cached_property
    def aggregates(self) -> list[tuple[int, Aggregate]]:
        """The exporter's counts where it aggregated: row and object."""
        return self._objects("aggregate", self._rows("aggregate").aggregates)


class _Spread(Sequence[str | None]):
    """Values by the codes of rows, looked up when asked for."""

    def __init__(self, values: Sequence[str | None], codes: _Codes) -> None:
        self._values, self._codes = values, codes

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, place: Any) -> Any:
        return self._values[self._codes[place]]

    def at(self, places: npt.NDArray[np.int64]) -> list[str | None]:
        return [self._values[code] for code in self._codes[places].tolist()]
