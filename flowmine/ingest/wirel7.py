"""Layer 7 of serialized flows: few have it, so each becomes a struct, as of JSON."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from flowmine.ingest.pb import flow_pb2
from flowmine.ingest.shapes import Dns, Http, Layer7
from flowmine.ingest.wirelayouts import PARTS, parsed
from flowmine.ingest.wirescan import Bytes, Found, Ints, Slices, scan

__all__ = ["Requests"]

_MOST = 0xFFFF


class Requests:
    """The layer 7 of one batch of flows; ``odd`` tells which flows are broken or unusual there."""

    def __init__(self, data: Bytes, where: Slices) -> None:
        """Look at the layer 7 of each flow, absent in most."""
        self._data, self._rows = data, np.flatnonzero(where.present)
        self._layer = scan(data.array, where.take(self._rows), PARTS["l7"])
        self._http, self._dns = (
            scan(data.array, self._layer.slices(name), PARTS[name]) for name in ("http", "dns")
        )
        self.odd = np.zeros(len(where.start), bool)
        both = self._layer.slices("http").present & self._layer.slices("dns").present
        self.odd[self._rows] = self._layer.odd | self._http.odd | self._dns.odd | both

    def structs(self, unknown: Callable[[str], None]) -> list[tuple[int, Layer7]]:
        """Return row and struct of each; ``unknown`` is told of numbers that cannot be. Raise ValueError where a text
        is no UTF-8.
        """
        if not len(self._rows):
            return []
        kinds = [None if kind < 0 else kind for kind in self._layer.numbers("type").tolist()]
        parts = zip(kinds, self._https(unknown), self._queries(unknown), strict=True)
        made = (Layer7(type=kind, http=http, dns=dns) for kind, http, dns in parts)
        return list(zip(self._rows.tolist(), made, strict=True))

    def _https(self, unknown: Callable[[str], None]) -> list[Http | None]:
        present = self._layer.slices("http").present.tolist()
        if True not in present:
            return [None] * len(present)
        codes = _numbers(self._http, "code", unknown)
        methods, urls = self._texts(self._http, "method"), self._texts(self._http, "url")
        values = zip(present, codes, methods, urls, strict=True)
        return [Http(code, method or "", url or "") if here else None for here, code, method, url in values]

    def _queries(self, unknown: Callable[[str], None]) -> list[Dns | None]:
        present = self._layer.slices("dns").present.tolist()
        if True not in present:
            return [None] * len(present)
        codes = _numbers(self._dns, "rcode", unknown)
        names = self._texts(self._dns, "query")
        raws = self._dns.runs("ips").binary(self._data.buffer).to_pylist()
        ips = [raw and list(parsed(flow_pb2.DNS, raw).ips) for raw in raws]
        values = zip(present, names, ips, codes, strict=True)
        return [Dns(name or "", some, code) if here else None for here, name, some, code in values]

    def _texts(self, found: Found, name: str) -> list[str | None]:
        texts: list[str | None] = found.slices(name).binary(self._data.buffer).cast(pa.string()).to_pylist()
        return texts


def _numbers(found: Found, name: str, unknown: Callable[[str], None]) -> list[int]:
    """Return the values of a field, 0 where absent, or larger than it can be."""
    values: Ints = np.maximum(found.numbers(name), 0)
    wrong = values > _MOST
    if wrong.any():
        for value in values[wrong].tolist():
            unknown(f"field l7 {name}: {value} is out of range")
        values[wrong] = 0
    made: list[Any] = values.tolist()
    return made
