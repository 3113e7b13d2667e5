"""A batch of the stretches that lines were cut into: each different one is decoded once, then spread over its lines.

This is exact for whatever is decoded at all. Each different stretch is decoded as an object of its own, ``{STRETCH}``,
which succeeds only where it is a run of whole members; the tail must moreover end with the flow's end and the outer
``node_name`` alone. So the line is the object of all these members. Where a field stands in stretches of two kinds,
the lines are left to the decoder of whole lines, and so are those without address, node or other fields that a
decoder of whole lines would look at twice.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.ingest import times
from flowmine.ingest.folding import Telling, firsts
from flowmine.ingest.known import Known
from flowmine.ingest.rows import Bools, Ints, Layer4, Raws, Rows, Tools
from flowmine.ingest.shapes import Aggregate, Decoders, Layer7
from flowmine.ingest.stretches import KINDS, Numbers, Ports, Stretches
from flowmine.ingest.structrows import StructRows

__all__ = ["StretchRows", "decoded"]

_LARGEST = 1 << 62
"""How many numbers several are packed in, at most."""
_BAD = (ValueError, RecursionError, OverflowError)


def decoded(stretches: Stretches, decoders: Decoders, tools: Tools) -> "StretchRows | None":
    """Return the rows of a block's stretches; None where its lines must be decoded whole."""
    return _decoded(stretches, decoders, tools) or _decoded(stretches, decoders, tools, anew=True)


def _decoded(
    stretches: Stretches, decoders: Decoders, tools: Tools, *, anew: bool = False
) -> "StretchRows | None":
    """Do so with what was known before, or ``anew``: what is in the way may be of another block."""
    tools.endpoints.make_room()
    if anew or any(known.generation != tools.endpoints.generation for known in tools.known.values()):
        tools.known.clear()
    try:
        codes = {
            kind: _known(kind, tools).codes(stretches.codes[place], stretches.texts, decoders)
            for place, kind in enumerate(KINDS)
        }
    except _BAD:
        return None
    owners: dict[str, str] = {}
    for kind in KINDS:
        for field in tools.known[kind].fields:
            if field in ("time", "uuid") or owners.setdefault(field, kind) != kind:
                return None
    if owners.get("is_reply", "tail") != owners.get("reply", "tail"):
        return None
    unreadable: list[str] = []
    own = _Own(times.column(stretches.times, unreadable.append), stretches.uuids, stretches.ports)
    rows = StretchRows(own, codes, owners, tools, {kind: tools.known[kind] for kind in KINDS})
    rows.unreadable_times = len(unreadable)
    return rows


def _known(kind: str, tools: Tools) -> Known:
    if kind not in tools.known:
        tools.known[kind] = Known(tools, ends_line=kind == KINDS[-1])
    found: Known = tools.known[kind]
    return found


class _Own(NamedTuple):
    """What each line has of its own: event times, texts of uuids (None where there are none), ports."""

    time: pa.Array
    uuids: pa.StringArray | None
    ports: Ports

    def only(self, lines: Ints) -> "_Own":
        """Return that of some of the lines."""
        chosen = pa.array(lines)
        uuids = None if self.uuids is None else self.uuids.take(chosen)
        return _Own(self.time.take(chosen), uuids, Ports(*(ports[lines] for ports in self.ports)))


def _joined_own(every: Sequence[_Own]) -> _Own | None:
    """Return that of lines one after the other; None where some have uuids and others have not."""
    uuids = [own.uuids for own in every if own.uuids is not None]
    if len(uuids) not in (0, len(every)):
        return None
    ports = Ports(*map(np.concatenate, zip(*(own.ports for own in every), strict=True)))
    time = pa.concat_arrays([own.time for own in every])
    return _Own(time, pa.concat_arrays(uuids) if uuids else None, ports)


class StretchRows(Rows):
    """The flows of the lines of one block that are of the usual form. Nothing of the block is held."""

    def __init__(
        self,
        own: _Own,
        codes: dict[str, Numbers],
        owners: dict[str, str],
        tools: Tools,
        known: dict[str, Known],
    ) -> None:
        """Take what is each line's own, the number of its stretch by kind among those known, and the kind in which each
        field is that any has.
        """
        super().__init__(len(own.time), tools)
        self._own, self._all_codes, self._owners = own, codes, owners
        self._known = known
        self._told: set[str] = set()
        self._places = {kind: pa.array(numbers) for kind, numbers in codes.items()}

    def joined(self, others: "Sequence[StretchRows]") -> "StretchRows | None":
        """Return these and other rows as one; None where numbers are not of the same stretches known."""
        every = [self, *others]
        last = every[-1]
        alike = all(rows._known == last._known for rows in every)
        own = _joined_own([rows._own for rows in every]) if alike else None
        if own is None:
            return None
        codes = {kind: np.concatenate([rows._all_codes[kind] for rows in every]) for kind in KINDS}
        return StretchRows(own, codes, last._owners, self.tools, last._known)

    def alike(self, telling: Telling) -> tuple[Rows, Ints]:
        """Return flows that differ in what tells something, and which of them each is."""
        which = _numbered(self._told_apart(telling))
        lines = firsts(which, int(which.max()) + 1)
        codes = {kind: codes[lines] for kind, codes in self._all_codes.items()}
        found = StretchRows(self._own.only(lines), codes, self._owners, self.tools, self._known)
        found.repeats = np.bincount(which)
        return found, which

    def _told_apart(self, telling: Telling) -> Iterator[Ints]:
        """Yield numbers, one by one for they are many, of what tells something of each line."""
        for kind, known in self._known.items():
            if known.but_ends.any():
                yield known.but_ends[self._all_codes[kind]]
        for end in ("source", "destination"):
            forms = self._spread(end, partial(self._ends_alike, end=end), f"{end} alike")
            yield forms[:, 0]
            tells = telling.addresses(forms[:, 1].view(np.uint64), self.has(f"{end}_names"))
            kind = self._kind("IP")
            addresses = self._known[kind].numbers(f"IP.{end}", partial(_addresses, end=end))
            yield np.where(tells, addresses[self._all_codes[kind]] + 1, 0)
        is_reply = self._spread("is_reply", lambda rows: _tristate(rows.replies), "is_reply in numbers")
        flags = self._spread("l4", lambda rows: rows.l4.tcp_flags, "tcp_flags")
        untold = telling.untold(is_reply, flags, self.has("l7"))
        for is_untold, ports in zip(untold, self._own.ports, strict=True):
            yield telling.ports(is_untold, ports.astype(np.int64)) + 1

    def _ends_alike(self, rows: StructRows, end: str) -> npt.NDArray[np.int64]:
        """Return of each the first form that says the same, and the id (`Endpoints.alike`)."""
        alike, ids = self.tools.endpoints.alike(self.tools.endpoints.numbers(rows.raws(end)))
        return np.stack([alike, ids.view(np.int64)], axis=1)

    def _kind(self, field: str) -> str:
        return self._owners.get(field, "tail")

    def _spread(
        self, field: str, make: Callable[[StructRows], npt.NDArray[Any]], name: str = ""
    ) -> npt.NDArray[Any]:
        """Return what is made of the stretches that hold a field as values of the lines."""
        kind = self._kind(field)
        values = self._known[kind].column(name or field, make)
        return np.asarray(values[self._all_codes[kind]])

    def _column(self, field: str, make: Callable[[StructRows], pa.Array], name: str = "") -> pa.Array:
        """Return the same of a column."""
        kind = self._kind(field)
        values = self._known[kind].column(name or field, make)
        if values.null_count == len(values):
            return pa.nulls(self.length, values.type)
        return values.take(self._places[kind])

    def _objects(self, field: str, make: Callable[[StructRows], list[Any]]) -> list[tuple[int, Any]]:
        """Return the same of objects that few lines have."""
        kind = self._kind(field)
        values = self._known[kind].column(f"{field} objects", make)
        there = self._spread(
            field, lambda rows: np.array([one is not None for one in make(rows)]), f"{field} objects there"
        )
        lines = np.flatnonzero(there)
        codes = self._all_codes[kind][lines]
        return [(line, values[code]) for line, code in zip(lines.tolist(), codes.tolist(), strict=True)]

    def codes(self, column: str) -> npt.NDArray[np.int8]:
        """Return the codes of an enumerated field; 0 where it is absent or unknown."""
        if column not in self._told:
            self._told.add(column)
            for line, strange in self._objects(column, lambda rows: rows.strange(column)):
                for _ in range(1 if self.repeats is None else int(self.repeats[line])):
                    self.tools.unknown(strange)
        return self._spread(column, lambda rows: rows.codes(column))

    def has(self, field: str) -> Bools:
        """Tell which flows have a field."""
        return self._spread(field, lambda rows: rows.has(field), f"has {field}")

    def text(self, column: str) -> pa.Array:
        """Return a field that is a text, or a list of texts, as its column."""
        if column != "uuid":
            return self._column(column, lambda rows: rows.text(column))
        uuids = self._own.uuids
        return pa.nulls(self.length, pa.string()) if uuids is None else uuids

    def address(self, field: str) -> pa.Array:
        """Return a field of ``flow.IP`` as its column."""
        return self._column("IP", lambda rows: rows.address(field), f"IP.{field}")

    def raws(self, field: str) -> Raws:
        """Return an object of every flow undecoded."""

        def made(rows: StructRows) -> pa.Array:
            return pa.array(map(bytes, rows.raws(field)), pa.binary())

        return self._column(field, made, f"{field} undecoded")

    def raw_ends(self) -> Raws:
        """Return the undecoded sources, and after them the undecoded destinations."""
        return pa.concat_arrays([self.raws("source"), self.raws("destination")])

    @cached_property
    def end_numbers(self) -> Ints:
        """Numbers of the endpoints' forms: those of the sources, then those of the destinations."""
        return np.concatenate([self._end_numbers("source"), self._end_numbers("destination")])

    def _end_numbers(self, end: str) -> Ints:
        numbers = self.tools.endpoints.numbers
        return self._spread(end, lambda rows: numbers(rows.raws(end)), f"{end} numbers")

    def objects(self, field: str) -> pa.Array:
        """Return the values of an object with few distinct ones as a column."""
        return self._column(field, lambda rows: rows.objects(field), f"{field} read")

    @property
    def time(self) -> pa.Array:
        """Event times."""
        return self._own.time

    @property
    def reasons(self) -> pa.Array:
        """Names of drop reasons, null where there is none."""
        told, numbered = (
            self._column(field, lambda rows: rows.reasons, "reasons")
            for field in ("drop_reason_desc", "drop_reason")
        )
        return told if numbered.null_count == len(numbered) else pc.coalesce(told, numbered)

    @cached_property
    def events(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16], Bools]:
        """Monitor message types, sub types, and where there is none."""
        every = self._spread("event_type", lambda rows: np.stack(rows.events, axis=1))
        return every[:, 0], every[:, 1], every[:, 2] != 0

    @cached_property
    def replies(self) -> pa.Array:
        """Three states: the deprecated ``reply: true`` also says yes, its absence nothing."""
        return self._column("is_reply", lambda rows: rows.replies)

    @cached_property
    def l4(self) -> Layer4:
        """Layer 4 of every flow."""
        found = Layer4(*self._spread("l4", lambda rows: np.stack(rows.l4, axis=1)).T)
        source, destination = self._own.ports
        return found._replace(
            source_port=np.where(source < 0, found.source_port, source),
            destination_port=np.where(destination < 0, found.destination_port, destination),
        )

    @cached_property
    def l7(self) -> list[tuple[int, Layer7]]:
        """Layer 7 where there is one: row and object."""
        return self._objects("l7", lambda rows: _filled(rows.l7, rows.length))

    def of_l7(self, name: str, value: Callable[[Layer7], Any], kind: pa.DataType) -> pa.Array:
        """Return a column made of layer 7, null where there is none."""
        return self._column("l7", lambda rows: rows.of_l7(name, value, kind), name)

    @cached_property
    def aggregates(self) -> list[tuple[int, Aggregate]]:
        """The exporter's counts where it aggregated: row and object."""
        return self._objects("aggregate", lambda rows: _filled(rows.aggregates, rows.length))


def _tristate(column: pa.Array) -> Ints:
    return np.asarray(column.cast(pa.int64()).fill_null(-1))


def _addresses(rows: StructRows, end: str) -> list[str | None]:
    found: list[str | None] = rows.address(end).to_pylist()
    return found


def _numbered(parts: Iterable[Ints]) -> Ints:
    """Return numbers from 0 on for lines, equal where all the parts, numbers not below 0, are."""
    total, most = np.zeros(1, np.int64), 1
    for part in parts:
        count = int(part.max()) + 1
        if most * count > _LARGEST:
            total = _encoded(total)
            most = int(total.max()) + 1
        total, most = total * count + part, most * count
    return _encoded(total)


def _encoded(values: Ints) -> Ints:
    return np.asarray(pa.array(values).dictionary_encode().indices).astype(np.int64)


def _filled(objects: list[tuple[int, Any]], length: int) -> list[Any]:
    """Return objects of some rows as a list of all, None for the others."""
    values: list[Any] = [None] * length
    for row, one in objects:
        values[row] = one
    return values
