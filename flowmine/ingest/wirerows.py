"""A batch of serialized flows: columns straight from the bytes, and messages decoded only once a distinct form."""

from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.ingest.caches import distinct
from flowmine.ingest.names import drop_reason
from flowmine.ingest.rows import TCP, WITH_PORTS, WITH_TYPE, Bools, Ints, Layer4, Raws, Rows, Tools
from flowmine.ingest.shapes import Aggregate, Layer7
from flowmine.ingest.wirel7 import Requests
from flowmine.ingest.wirelayouts import PARTS, tcp_flags
from flowmine.ingest.wirescan import Bytes, Found, Slices, scan
from flowmine.schema import ENUMS, TIME

__all__ = ["WireRows"]

_MEMBERS = tuple(PARTS["l4"].places)
_CODES = np.array([ENUMS["protocol"].index(name) for name in _MEMBERS])
_SCANNED = ("time", "is_reply", "event_type", "IP", "l4", "aggregate")
_COUNTS = tuple(PARTS["aggregate"].places)
_SECOND = 1_000_000_000
_FARTHEST = 2**63 // _SECOND - 1


class WireRows(Rows):
    """The flows of one batch of responses, as the bytes of one buffer.

    ``odd`` tells which flows are broken in their structure, or unusual: then nothing else may be asked.
    """

    def __init__(self, data: Bytes, response: Found, flow: Found, tools: Tools) -> None:
        """Take what was found of the responses and of their flows, a row each.

        Everything that can fail on broken bytes is done here: raise ValueError where a text is no UTF-8, or an object
        none of its type.
        """
        super().__init__(len(flow.odd), tools)
        self._data, self._response, self._flow = data, response, flow
        self._held = flow.layout.places
        self._parts = {name: self._scan(flow.slices(name), name) for name in _SCANNED if name in self._held}
        self._outer_time = self._scan(response.slices("time"), "time")
        odd = [flow.odd, self._outer_time.odd, *(part.odd for part in self._parts.values())]
        if "l4" in self._held:
            self._protocol, self._member = self._layer4()
            odd.append(self._member.odd)
        if "l7" in self._held:
            self._requests = Requests(data, flow.slices("l7"))
            odd.append(self._requests.odd)
        self.odd: Bools = np.logical_or.reduce(odd)
        if not self.odd.any():
            self._decode()

    def _scan(self, where: Slices, part: str) -> Found:
        return scan(self._data.array, where, PARTS[part])

    def _layer4(self) -> tuple[Ints, Found]:
        """Return the code of each flow's protocol, -1 for none, and what was found of its member of layer 4."""
        slices = [self._parts["l4"].slices(name) for name in _MEMBERS]
        starts, ends = np.array([one.start for one in slices]), np.array([one.end for one in slices])
        chosen, every = starts.argmax(axis=0), np.arange(self.length)
        where = Slices(starts[chosen, every], ends[chosen, every])
        return np.where(where.present, _CODES[chosen], -1), self._scan(where, "member")

    def _decode(self) -> None:
        """Decode texts, objects and endpoints."""
        held, objects = self._held, self.tools.objects
        self._texts = {
            name: self._text(self._flow.slices(name)) for name in ("uuid", "node_name") if name in held
        }
        if self._texts["node_name"].null_count:
            outer = self._text(self._response.slices("node_name"))
            self._texts["node_name"] = pc.coalesce(self._texts["node_name"], outer)
        self._addresses = {
            name: self._text(self._parts["IP"].slices(name)) for name in PARTS["IP"].places if "IP" in held
        }
        self._objects = {name: objects[name].array(self.raws(name)) for name in objects if name in held}
        if "source" in held and "destination" in held:
            _ = self.ends
        self._flags = self._tcp_flags() if "l4" in held else np.empty(0, np.int64)
        self._structs = self._requests.structs(self.tools.unknown) if "l7" in held else []

    def _text(self, where: Slices) -> pa.Array:
        """Return texts; an empty one is as absent as it is from JSON."""
        filled = np.where(where.end > where.start, where.start, -1)
        return Slices(filled, where.end).binary(self._data.buffer).cast(pa.string())

    def codes(self, column: str) -> npt.NDArray[np.int8]:
        """Return the codes of an enumerated field; 0 where it is absent or unknown."""
        numbers = self._flow.numbers(column)
        table = self.tools.codes[column]
        known = np.array([table.get(number, -1) for number in range(128)], np.int8)
        codes = np.where((numbers >= 0) & (numbers < 128), known[numbers & 127], np.int8(-1))
        codes[numbers == -1] = 0
        for row in np.flatnonzero(codes < 0).tolist():
            codes[row] = table[int(numbers[row])]
        return codes.astype(np.int8)

    def has(self, field: str) -> Bools:
        """Tell which flows have a field."""
        place = self._held[field]
        if self._flow.layout.numbers[place]:
            return self._flow.numbers(field) > 0
        return self._flow.slices(field).present

    def text(self, column: str) -> pa.Array:
        """Return a field that is a text, or a list of texts, as its column."""
        return self._texts[column] if column in self._texts else self._objects[column]

    def address(self, field: str) -> pa.Array:
        """Return a field of ``flow.IP`` as its column."""
        return self._addresses[field]

    def raws(self, field: str) -> Raws:
        """Return an object of every flow undecoded; of a repeated field all its occurrences, with their tags."""
        repeated = self._flow.layout.repeated[self._held[field]]
        where = self._flow.runs(field) if repeated else self._flow.slices(field)
        return where.binary(self._data.buffer)

    def raw_ends(self) -> Raws:
        """Return the undecoded sources, and after them the undecoded destinations; empty where absent."""
        return pa.concat_arrays([self.raws("source"), self.raws("destination")]).fill_null(b"")

    def objects(self, field: str) -> pa.Array:
        """Return the values of an object with few distinct ones as a column."""
        return self._objects[field]

    @cached_property
    def time(self) -> pa.Array:
        """Event times; the response's where the flow has none."""
        own = self._flow.slices("time").present
        seconds, nanos = (
            np.where(own, self._parts["time"].numbers(name), self._outer_time.numbers(name))
            for name in ("seconds", "nanos")
        )
        absent = ~own & ~self._response.slices("time").present
        unreadable = (np.abs(seconds) > _FARTHEST) | (nanos >= _SECOND)
        self.unreadable_times = int(np.count_nonzero(unreadable))
        total = np.where(seconds == -1, 0, seconds) * _SECOND + np.maximum(nanos, 0)
        return pa.array(total, mask=absent | unreadable).cast(TIME)

    @property
    def reasons(self) -> pa.Array:
        """Names of drop reasons, null where there is none."""
        named, old = self._flow.numbers("drop_reason_desc"), self._flow.numbers("drop_reason")
        numbers = np.where(named > 0, named, old)
        rows = np.flatnonzero(numbers > 0).tolist()
        return self.sparse({row: drop_reason(int(numbers[row])) for row in rows}, pa.string())

    @cached_property
    def events(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16], Bools]:
        """Monitor message types, sub types, and where there is none."""
        absent = ~self._flow.slices("event_type").present
        kinds, subs = (
            self._limited(self._parts["event_type"].numbers(name), 0x7FFF, f"event_type.{name}")
            for name in ("type", "sub_type")
        )
        codes = [np.where(absent, -1, np.maximum(values, 0)).astype(np.int16) for values in (kinds, subs)]
        return codes[0], codes[1], absent

    def _limited(self, values: Ints, most: int, what: str) -> Ints:
        """Return numbers, -1 for those that cannot be, which are told."""
        wrong = (values > most) | (values < -1)
        for value in values[wrong].tolist():
            self.tools.unknown(f"field {what}: {value} is out of range")
        return np.where(wrong, -1, values)

    @cached_property
    def replies(self) -> pa.Array:
        """Three states: the deprecated ``reply: true`` also says yes, its absence nothing."""
        known = self._flow.slices("is_reply").present
        old = ~known & (self._flow.numbers("reply") > 0)
        true = old | (self._parts["is_reply"].numbers("value") > 0)
        return pa.array(true, mask=~(known | old))

    @cached_property
    def l4(self) -> Layer4:
        """Layer 4 of every flow."""
        protocol = self._protocol
        ported, typed = WITH_PORTS[protocol], WITH_TYPE[protocol]
        first, second = self._member.numbers("first"), self._member.numbers("second")
        ports = [
            self._limited(np.where(ported & (values > 0), values, -1), 0xFFFF, f"l4 {name}")
            for name, values in (("source_port", first), ("destination_port", second))
        ]
        message = [
            self._limited(np.where(typed, np.maximum(values, 0), -1), 0xFF, f"l4 {name}")
            for name, values in (("type", first), ("code", second))
        ]
        return Layer4(protocol, ports[0], ports[1], message[0], message[1], self._flags)

    def _tcp_flags(self) -> Ints:
        flags = self._member.slices("flags")
        where = Slices(np.where(self._protocol == TCP, flags.start, -1), flags.end)
        values, places = distinct(where.binary(self._data.buffer))
        return np.array([*map(tcp_flags, values), -1], np.int64)[places]

    @property
    def l7(self) -> list[tuple[int, Layer7]]:
        """Layer 7 where there is one: row and object."""
        return self._structs

    @cached_property
    def aggregates(self) -> list[tuple[int, Aggregate]]:
        """The exporter's counts where it aggregated: row and object."""
        part = self._parts["aggregate"]
        counts = np.array([np.maximum(part.numbers(name), 0) for name in _COUNTS])
        rows = np.flatnonzero(counts.any(axis=0)).tolist()
        return [(row, Aggregate(*(counts[:, row] & 0xFFFFFFFF).tolist())) for row in rows]
