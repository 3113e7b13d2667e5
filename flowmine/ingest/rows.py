"""One batch of flow structs, and what several of its columns are made of, each made once."""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec.structs import astuple

from flowmine.ingest import shapes, times
from flowmine.ingest.caches import distinct, tcp_flags
from flowmine.ingest.intern import HAS_ID, HOST, PLACE, UNSEEN, Endpoints
from flowmine.ingest.names import Codes
from flowmine.ingest.shapes import Aggregate, Layer7, Ports
from flowmine.schema import ENUMS

__all__ = ["End", "Layer4", "Rows", "Tools"]

_NO_PORTS, _NO_LAYER = Ports(), shapes.Layer4()
_TCP = ENUMS["protocol"].index("TCP")
_WITH_PORTS = np.array([*(name in ("TCP", "UDP", "SCTP") for name in ENUMS["protocol"]), False])
_WITH_TYPE = np.array([*(name in ("ICMPv4", "ICMPv6") for name in ENUMS["protocol"]), False])

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]


class Layer4(NamedTuple):
    """Protocol codes (-1 absent), ports, ICMP message and TCP flags, each with -1 for null."""

    protocol: _Ints
    source_port: _Ints
    destination_port: _Ints
    icmp_type: _Ints
    icmp_code: _Ints
    tcp_flags: _Ints


class End(NamedTuple):
    """Endpoint ids, and whether each is on the emitting node (1, 0, or -1 where the event cannot tell)."""

    ids: npt.NDArray[np.uint64]
    local: _Ints


class Tools(NamedTuple):
    """What outlives a batch: the tables of codes, the endpoints."""

    codes: dict[str, Codes]
    endpoints: Endpoints


@lru_cache(64)
def _extractor(fields: tuple[str, ...]) -> Callable[[Sequence[Any]], tuple[list[Any], ...]]:
    """Return a function from structs to one list a field, written out: half the time of `getattr` by name."""
    source = ", ".join(f"[flow.{field} for flow in flows]" for field in fields)
    made: Callable[[Sequence[Any]], tuple[list[Any], ...]] = eval(f"lambda flows: ({source},)")
    return made


class Rows:
    """The flow structs of one batch."""

    def __init__(self, flows: Sequence[Any], tools: Tools) -> None:
        """Take the structs, at least one, which must have the fields that will be asked for."""
        self.tools, self.length = tools, len(flows)
        self.unreadable_times = 0
        self._codes: dict[str, npt.NDArray[np.int8]] = {}
        fields = tuple(field for field in flows[0].__struct_fields__ if field != "flow")
        self._fields = dict(zip(fields, _extractor(fields)(flows), strict=True))

    def take(self, field: str) -> list[Any]:
        """Return one field of every flow."""
        values: list[Any] = self._fields[field]
        return values

    def codes(self, column: str) -> npt.NDArray[np.int8]:
        """Return the codes of an enumerated field; 0 where it is absent or unknown."""
        if column not in self._codes:
            found = map(self.tools.codes[column].__getitem__, self.take(column))
            self._codes[column] = np.frombuffer(bytes(found), np.int8)
        return self._codes[column]

    @cached_property
    def time(self) -> pa.Array:
        """Event times."""

        def unreadable(_: str) -> None:
            self.unreadable_times += 1

        return times.column(self.take("time"), unreadable)

    @property
    def nodes(self) -> list[str | None]:
        """Names of the emitting nodes."""
        return self.take("node_name")

    @property
    def addresses(self) -> list[Any]:
        """The ``IP`` objects."""
        return self.take("IP")

    @cached_property
    def directions(self) -> npt.NDArray[np.int8]:
        """Codes of ``traffic_direction``."""
        return self.codes("traffic_direction")

    @cached_property
    def points(self) -> npt.NDArray[np.int8]:
        """Codes of ``trace_observation_point``, from the event's sub type where a mask left the point out.

        Cilium numbers both alike (``pkg/monitor/api``), but for 0, which is TO_ENDPOINT or a sub type not told.
        """
        codes = self.codes("trace_observation_point")
        kinds, subs, absent = self.events
        told = (codes == 0) & ~absent & (kinds == 4) & (subs > 0) & (subs < 14)
        return np.where(told, subs, codes).astype(np.int8)

    @cached_property
    def events(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16], _Bools]:
        """Monitor message types, sub types, and where there is none."""
        events = self.take("event_type")
        kinds = np.array([event.type for event in events], np.int16)
        subs = np.array([event.sub_type for event in events], np.int16)
        return kinds, subs, kinds < 0

    @cached_property
    def replies(self) -> Sequence[bool | None]:
        """Three states: the deprecated ``reply: true`` also says yes, its absence nothing."""
        known, old = self.take("is_reply"), self.take("reply")
        if True not in old:
            return known
        return [True if now is None and reply else now for now, reply in zip(known, old, strict=True)]

    @cached_property
    def l4(self) -> Layer4:
        """Layer 4 of every flow."""
        layers: list[Any] = [layer or _NO_LAYER for layer in self.take("l4")]
        ports = [layer.TCP or layer.UDP or layer.ICMPv4 or layer.ICMPv6 or _other(layer) for layer in layers]
        protocol = np.array([one.protocol for one in ports], np.int64)
        ported, typed = _WITH_PORTS[protocol], _WITH_TYPE[protocol]
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
            np.where(protocol == _TCP, flags, -1),
        )

    @cached_property
    def l7(self) -> list[tuple[int, Layer7]]:
        """Layer 7 where there is one: row and object."""
        every = self.take("l7")
        if every.count(None) == self.length:
            return []
        return [(place, layer) for place, layer in enumerate(every) if layer is not None]

    @cached_property
    def aggregates(self) -> list[tuple[int, Any]]:
        """The exporter's counts where it aggregated: row and object."""
        every = self.take("aggregate")
        if every.count(None) == self.length:
            return []
        nothing = Aggregate()
        return [(place, one) for place, one in enumerate(every) if one is not None and one != nothing]

    @cached_property
    def ends(self) -> tuple[End, End]:
        """Source and destination.

        An endpoint number is given to the emitting node's own endpoints, so where one end has it and the other has
        not, the other is elsewhere; where neither has, a field mask may have left it out.
        """
        raws = self.take("source") + self.take("destination")
        ids, places = self.tools.endpoints.ids(raws, self.nodes)
        source, target = places[: self.length], places[self.length :]
        return End(ids[: self.length], _local(source, target)), End(
            ids[self.length :], _local(target, source)
        )

    def sparse(self, values: dict[int, Any], kind: pa.DataType) -> pa.Array:
        """Return a column that is null but for a few rows."""
        if not values:
            return pa.nulls(self.length, kind)
        places = np.full(self.length, -1, np.int64)
        places[list(values)] = np.arange(len(values))
        return pa.array(list(values.values()), kind).take(pa.array(places, mask=places < 0))


def _other(layer: Any) -> Any:
    """Return the member of layer 4 that there is; one without ports where there is none."""
    return next((one for one in astuple(layer) if one is not None), _NO_PORTS)


def _local(end: npt.NDArray[np.int8], other: npt.NDArray[np.int8]) -> _Ints:
    here = (end == HAS_ID) | (end == HOST)
    elsewhere = (end == PLACE) | ((end == UNSEEN) & (other == HAS_ID))
    return np.where(here, 1, np.where(elsewhere, 0, -1))
