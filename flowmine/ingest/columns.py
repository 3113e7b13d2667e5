"""Make FLOWS columns of a batch of flows: in bulk, and only those asked for."""

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flowmine.ingest.caches import Objects
from flowmine.ingest.folding import Fold, Telling
from flowmine.ingest.http import split_url
from flowmine.ingest.intern import Endpoints
from flowmine.ingest.masks import Presence
from flowmine.ingest.names import Codes
from flowmine.ingest.rows import Ints, Rows, Tools
from flowmine.ingest.shapes import fields_of
from flowmine.ingest.structrows import json_objects
from flowmine.ledger import Ledger
from flowmine.schema import ENUMS, FLOWS

__all__ = ["Builder"]

_DICTIONARIES = {column: pa.array(names, pa.string()) for column, names in ENUMS.items()}
_L7 = ENUMS["Type"].index("L7")
_INGRESS, _EGRESS = (ENUMS["traffic_direction"].index(name) for name in ("INGRESS", "EGRESS"))


class Builder:
    """Makes record batches of flow structs for one reading."""

    def __init__(
        self,
        columns: Collection[str],
        endpoints: Endpoints,
        ledger: Ledger,
        *,
        keep_query: bool = False,
        objects: dict[str, Objects] | None = None,
    ) -> None:
        """Make the given columns of FLOWS, in the schema's order; unknown names and the like go to the ledger.

        ``objects`` are the decoders of the encoding's raw objects, JSON by default.
        """
        self.schema = pa.schema([field for field in FLOWS if field.name in columns])
        self.urls = lru_cache(1 << 16)(partial(split_url, keep_query=keep_query))
        self.ledger = ledger
        codes = {column: Codes(column, self._unknown) for column in ENUMS}
        self.tools = Tools(
            codes, endpoints, json_objects() if objects is None else objects, self._unknown, {}
        )
        """What the batches of this reading need to be made."""
        self.presence = Presence(fields_of(columns), endpoints)

    def _unknown(self, what: str) -> None:
        self.ledger.add("skipped", what)

    def fold(self, rows: Rows, places: Ints, telling: Telling) -> Fold:
        """Return flows with those alike told once. Raises as `batch`."""
        found = rows.alike(telling) if not rows.time.null_count else None
        if found is None:
            return Fold.of_each(self.batch(rows), places)
        different, which = found
        return Fold(self.batch(different), which, rows.time.cast(pa.int64()), rows.text("uuid"), places)

    def batch(self, rows: Rows) -> pa.RecordBatch:
        """Return one row a flow. Raise InputError where two endpoints hash to one id."""
        arrays = [_MAKERS[name](rows, self) for name in self.schema.names]
        for version, count in rows.versions().items():
            if version:
                self.ledger.versions[version] = self.ledger.versions.get(version, 0) + count
        if rows.unreadable_times:
            self.ledger.add("skipped", "a time that cannot be read", count=rows.unreadable_times)
        self.presence.look(rows)
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def in_order(self, parts: Sequence[tuple[Rows, Ints]]) -> list[pa.RecordBatch]:
        """Return the flows of a block as one batch in order of their places, if there are any."""
        made = [self.batch(rows) for rows, _ in parts]
        if len(made) < 2:
            return made
        order = np.argsort(np.concatenate([places for _, places in parts]), kind="stable")
        batches: list[pa.RecordBatch] = pa.Table.from_batches(made).take(order).combine_chunks().to_batches()
        return batches

    def end(self) -> None:
        """Tell the ledger which fields no flow carried."""
        for field in self.presence.missing():
            self.ledger.add("masked", field, count=self.presence.flows)


_Maker = Callable[[Rows, Builder], pa.Array]


def _dictionary(column: str, codes: npt.NDArray[Any]) -> pa.Array:
    """Return codes as the column's dictionary array; a negative code is null."""
    indices = pa.array(codes.astype(np.int8, copy=False), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, _DICTIONARIES[column])


def _nullable(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return integers as a column; a negative one is null."""
    null = values < 0
    if null.all():
        return pa.nulls(len(values), kind)
    return pa.array(np.where(null, 0, values).astype(kind.to_pandas_dtype()), kind, mask=null)


def _text(name: str) -> _Maker:
    return lambda rows, _: rows.text(name)


def _address(name: str) -> _Maker:
    return lambda rows, _: rows.address(name)


def _enum(name: str) -> _Maker:
    return lambda rows, _: _dictionary(name, rows.codes(name))


def _end(place: int, *, local: bool) -> _Maker:
    def make(rows: Rows, _: Builder) -> pa.Array:
        end = rows.ends[place]
        return pa.array(end.local == 1, mask=end.local < 0) if local else pa.array(end.ids)

    return make


def _told(place: int, what: str) -> _Maker:
    def make(rows: Rows, _: Builder) -> pa.Array:
        column: pa.Array = getattr(rows.told, what)
        return column.slice(place * rows.length, rows.length)

    return make


def _l4(name: str) -> _Maker:
    return lambda rows, _: _nullable(getattr(rows.l4, name), FLOWS.field(name).type)


def _l7(name: str, value: Callable[[Any, Builder], Any]) -> _Maker:
    def make(rows: Rows, builder: Builder) -> pa.Array:
        return rows.of_l7(name, lambda layer: value(layer, builder), FLOWS.field(name).type)

    return make


def _http(value: Callable[[Any, Builder], Any]) -> Callable[[Any, Builder], Any]:
    return lambda layer, builder: None if layer.http is None else value(layer.http, builder)


def _dns(value: Callable[[Any], Any]) -> Callable[[Any, Builder], Any]:
    return lambda layer, _: None if layer.dns is None else value(layer.dns)


def _name(query: str) -> str | None:
    return (query.lower().removesuffix(".") or ".") if query else None


def _objects(name: str) -> _Maker:
    return lambda rows, _: rows.objects(name)


def _absent_is_null(name: str) -> _Maker:
    return lambda rows, _: _dictionary(name, np.where(rows.has(name), rows.codes(name), -1))


def _l7_type(rows: Rows, _: Builder) -> pa.Array:
    codes = np.full(rows.length, -1, np.int64)
    for place, layer in rows.l7:
        codes[place] = rows.tools.codes["l7_type"][layer.type]
    return _dictionary("l7_type", codes)


def _type(rows: Rows, _: Builder) -> pa.Array:
    """Return the flow's Type; where a mask left it out, one with layer 7 is L7."""
    codes = rows.codes("Type").copy()
    for place, _layer in rows.l7:
        codes[place] = codes[place] or _L7
    return _dictionary("Type", codes)


def _event(place: int) -> _Maker:
    return lambda rows, _: pa.array(rows.events[place], mask=rows.events[2])


def _count(field: str, direction: int) -> _Maker:
    """Make a count: the exporter's where it aggregated, else one by direction."""

    def make(rows: Rows, _: Builder) -> pa.Array:
        counts = (rows.directions == direction).astype(np.uint32)
        for place, one in rows.aggregates:
            counts[place] = getattr(one, field)
        return pa.array(counts)

    return make


_MAKERS: dict[str, _Maker] = {
    **{name: _text(name) for name in ("uuid", "node_name", "source_names", "destination_names")},
    **{name: _enum(name) for name in ("verdict", "trace_reason", "sock_xlate_point")},
    **{
        name: _l4(name) for name in ("source_port", "destination_port", "icmp_type", "icmp_code", "tcp_flags")
    },
    **{
        name: _objects(name)
        for name in ("egress_allowed_by", "ingress_allowed_by", "egress_denied_by", "ingress_denied_by")
    },
    **{name: _objects(name) for name in ("source_service", "destination_service", "node_labels")},
    "time": lambda rows, _: rows.time,
    "Type": _type,
    "drop_reason_desc": lambda rows, _: rows.reasons,
    "event_type": _event(0),
    "event_sub_type": _event(1),
    "trace_observation_point": lambda rows, _: _dictionary("trace_observation_point", rows.points),
    "traffic_direction": lambda rows, _: _dictionary("traffic_direction", rows.directions),
    "is_reply": lambda rows, _: rows.replies,
    "source": _end(0, local=False),
    "destination": _end(1, local=False),
    "source_local": _end(0, local=True),
    "destination_local": _end(1, local=True),
    "source_pod": _told(0, "pods"),
    "destination_pod": _told(1, "pods"),
    "source_identity": _told(0, "identities"),
    "destination_identity": _told(1, "identities"),
    "source_ip": _address("source"),
    "source_xlated": _address("source_xlated"),
    "destination_ip": _address("destination"),
    "protocol": lambda rows, _: _dictionary("protocol", rows.l4.protocol),
    "auth_type": _absent_is_null("auth_type"),
    "l7_type": _l7_type,
    "http_method": _l7("http_method", _http(lambda http, _: http.method or None)),
    "http_path": _l7(
        "http_path", _http(lambda http, builder: builder.urls(http.url)[0] if http.url else None)
    ),
    "http_host": _l7("http_host", _http(lambda http, builder: builder.urls(http.url)[1])),
    "http_code": _l7("http_code", _http(lambda http, _: http.code or None)),
    "dns_query": _l7("dns_query", _dns(lambda dns: _name(dns.query))),
    "dns_ips": _l7("dns_ips", _dns(lambda dns: dns.ips)),
    "dns_rcode": _l7("dns_rcode", _dns(lambda dns: dns.rcode)),
    "ingress_count": _count("ingress_flow_count", _INGRESS),
    "egress_count": _count("egress_flow_count", _EGRESS),
    "unknown_count": _count("unknown_direction_flow_count", 0),
}
"""Column of FLOWS -> how it is made."""
