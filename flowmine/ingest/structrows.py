"""A batch of the structs that Hubble's JSON is decoded into (`shapes`)."""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec.structs import astuple

from flowmine.ingest import caches, shapes, times
from flowmine.ingest.caches import Objects, distinct, tcp_flags
from flowmine.ingest.names import drop_reason
from flowmine.ingest.rows import TCP, WITH_PORTS, WITH_TYPE, Bools, Layer4, Raws, Rows, Tools
from flowmine.ingest.shapes import NO_ADDRESSES, Aggregate, Layer7, Ports
from flowmine.schema import FLOWS

__all__ = ["StructRows", "json_objects"]

_ENCODE = msgspec.json.Encoder().encode
_NO_PORTS, _NO_LAYER = Ports(), shapes.Layer4()


def json_objects() -> dict[str, Objects]:
    """Return the decoders of objects that are raw JSON in the structs, by field."""
    strings = pa.list_(pa.string())
    policies, services = Objects(caches.policies, strings), Objects(caches.service, pa.string())
    return {
        "node_labels": Objects(caches.strings, strings),
        "emitter": Objects(caches.version, pa.string()),
        **dict.fromkeys(
            ("egress_allowed_by", "ingress_allowed_by", "egress_denied_by", "ingress_denied_by"), policies
        ),
        **dict.fromkeys(("source_service", "destination_service"), services),
    }


class StructRows(Rows):
    """The flow structs of one batch."""

    def __init__(self, flows: Sequence[Any], tools: Tools) -> None:
        """Take the structs, at least one, which must have the fields that will be asked for."""
        super().__init__(len(flows), tools)
        self._codes: dict[str, npt.NDArray[np.int8]] = {}
        shape = type(flows[0])
        self._absent = dict(zip(shape.__struct_fields__, shape.__struct_defaults__, strict=True))
        self._fields = _lists(flows, [field for field in shape.__struct_fields__ if field != "flow"])

    def present(self) -> list[str]:
        """Return the fields that any of the flows has."""
        return [
            field for field, values in self._fields.items() if values.count(self._absent[field]) < self.length
        ]

    def _take(self, field: str) -> list[Any]:
        values: list[Any] = self._fields[field]
        return values

    def but_ends(self) -> list[bytes]:
        """Return a text of each flow, the same for those that differ in nothing but endpoints and their addresses."""
        fields = {
            field: values for field, values in self._fields.items() if field not in ("source", "destination")
        }
        if "IP" in fields:
            fields["IP"] = [(one is NO_ADDRESSES, one.source_xlated) for one in fields["IP"]]
        return list(map(_ENCODE, zip(*fields.values(), strict=True)))

    def codes(self, column: str) -> npt.NDArray[np.int8]:
        """Return the codes of an enumerated field; 0 where it is absent or unknown."""
        if column not in self._codes:
            found = map(self.tools.codes[column].__getitem__, self._take(column))
            self._codes[column] = np.frombuffer(bytes(found), np.int8)
        return self._codes[column]

    def strange(self, column: str) -> list[str | None]:
        """Return what is to be told of the value of each flow in an enumerated field; None where it is known."""
        table = self.tools.codes[column]
        return [None if value in table else table.strange(value) for value in self._take(column)]

    def has(self, field: str) -> Bools:
        """Tell which flows have a field."""
        absent = NO_ADDRESSES if field == "IP" else None
        values = self._take(field)
        if values.count(absent) == self.length:
            return np.zeros(self.length, bool)
        return np.array([value is not absent for value in values], bool)

    def text(self, column: str) -> pa.Array:
        """Return a field that is a text, or a list of texts, as its column."""
        return _array(self._take(column), FLOWS.field(column).type)

    def address(self, field: str) -> pa.Array:
        """Return a field of ``flow.IP`` as its column."""
        return _array([getattr(one, field) for one in self._take("IP")], pa.string())

    def raws(self, field: str) -> Raws:
        """Return an object of every flow undecoded."""
        return self._take(field)

    def raw_ends(self) -> Raws:
        """Return the undecoded sources, and after them the undecoded destinations."""
        return self._take("source") + self._take("destination")

    @cached_property
    def time(self) -> pa.Array:
        """Event times."""

        def unreadable(_: str) -> None:
            self.unreadable_times += 1

        return times.column(self._take("time"), unreadable)

    @property
    def reasons(self) -> pa.Array:
        """Names of drop reasons, null where there is none."""
        names, numbers = self._take("drop_reason_desc"), self._take("drop_reason")
        if names.count(None) == numbers.count(None) == self.length:
            return pa.nulls(self.length, pa.string())
        found = {
            place: drop_reason(name) or drop_reason(number)
            for place, (name, number) in enumerate(zip(names, numbers, strict=True))
            if name is not None or number is not None
        }
        return self.sparse(found, pa.string())

    @cached_property
    def events(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16], Bools]:
        """Monitor message types, sub types, and where there is none."""
        events = self._take("event_type")
        kinds = np.array([event.type for event in events], np.int16)
        subs = np.array([event.sub_type for event in events], np.int16)
        return kinds, subs, kinds < 0

    @cached_property
    def replies(self) -> pa.Array:
        """Three states: the deprecated ``reply: true`` also says yes, its absence nothing."""
        known, old = self._take("is_reply"), self._take("reply")
        if True in old:
            known = [True if now is None and reply else now for now, reply in zip(known, old, strict=True)]
        return pa.array(known, pa.bool_())

    @cached_property
    def l4(self) -> Layer4:
        """Layer 4 of every flow."""
        layers: list[Any] = [layer or _NO_LAYER for layer in self._take("l4")]
        ports = [layer.TCP or layer.UDP or layer.ICMPv4 or layer.ICMPv6 or _other(layer) for layer in layers]
        protocol = np.array([one.protocol for one in ports], np.int64)
        ported, typed = WITH_PORTS[protocol], WITH_TYPE[protocol]
        source = np.array([one.source_port for one in ports], np.int64)
        destination = np.array([one.destination_port for one in ports], np.int64)
        kind, code = np.full(self.length, -1, np.int64), np.full(self.length, -1, np.int64)
        for place in np.flatnonzero(typed).tolist():
            kind[place], code[place] = ports[place].type, ports[place].code
        values, places = distinct([one.flags for one in ports])
        flags = np.array(list(map(tcp_flags, values)), np.int64)[places]
        return Layer4(
            protocol,
            np.where(ported & (source > 0), source, -1),
            np.where(ported & (destination > 0), destination, -1),
            kind,
            code,
            np.where(protocol == TCP, flags, -1),
        )

    @cached_property
    def l7(self) -> list[tuple[int, Layer7]]:
        """Layer 7 where there is one: row and object."""
        every = self._take("l7")
        if every.count(None) == self.length:
            return []
        return [(place, layer) for place, layer in enumerate(every) if layer is not None]

    @cached_property
    def aggregates(self) -> list[tuple[int, Aggregate]]:
        """The exporter's counts where it aggregated: row and object."""
        every = self._take("aggregate")
        if every.count(None) == self.length:
            return []
        nothing = Aggregate()
        return [(place, one) for place, one in enumerate(every) if one is not None and one != nothing]


def _lists(flows: Sequence[Any], fields: list[str]) -> dict[str, list[Any]]:
    """Return one list a field; of structs of one shape in half the time of one field after the other."""
    every = list(chain.from_iterable(map(astuple, flows)))
    if len(every) == len(fields) * len(flows):
        return {field: every[place :: len(fields)] for place, field in enumerate(fields)}
    return {field: list(map(attrgetter(field), flows)) for field in fields}


def _other(layer: Any) -> Any:
    """Return the member of layer 4 that there is; one without ports where there is none."""
    return next((one for one in astuple(layer) if one is not None), _NO_PORTS)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    return pa.nulls(len(values), kind) if values.count(None) == len(values) else pa.array(values, kind)
