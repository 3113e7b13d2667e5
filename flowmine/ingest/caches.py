"""Objects with few distinct values, parsed once each: raw bytes in, whole columns out."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Flags", "Objects", "policies", "service", "strings", "version"]

_MOST = 1 << 16

_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS")


def _decode(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw) if raw else None
    except UnicodeDecodeError:
        return _decode(raw.decode("utf-8", "replace").encode())
    except (ValueError, RecursionError):
        return None


def strings(raw: bytes) -> list[str] | None:
    """Return a list of texts; None where there is none."""
    value = _decode(raw)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else None


def policies(raw: bytes) -> list[str] | None:
    """Return policies as ``Kind/namespace/name``, sorted; None where the field is absent."""
    value = _decode(raw)
    if not isinstance(value, list):
        return None
    texts = {
        "/".join(str(item.get(key) or "") for key in ("kind", "namespace", "name"))
        for item in value
        if isinstance(item, dict)
    }
    return sorted(texts)


def service(raw: bytes) -> str | None:
    """Return a Service as ``namespace/name``; None where there is none."""
    value = _decode(raw)
    if not isinstance(value, dict) or not value.get("name"):
        return None
    return f"{value.get('namespace') or ''}/{value['name']}"


def version(raw: bytes) -> str | None:
    """Return the version of an emitter."""
    value = _decode(raw)
    text = value.get("version") if isinstance(value, dict) else None
    return text if isinstance(text, str) and text else None


class Objects(dict[bytes, int]):
    """Raw JSON -> place of its parsed value in a list that grows; the empty bytes are null."""

    def __init__(self, parse: Callable[[bytes], Any], kind: pa.DataType) -> None:
        """Parse with ``parse`` into values of an Arrow type."""
        super().__init__()
        self._parse, self._kind = parse, kind
        self._values: list[Any] = []

    def __missing__(self, raw: bytes) -> int:
        """Parse an object met for the first time; return its place."""
        place = self[raw] = len(self._values)
        self._values.append(self._parse(raw))
        return place

    def array(self, raws: Sequence[Any]) -> pa.Array:
        """Return the values of raw objects, each bytes or `msgspec.Raw`, as a column."""
        if raws.count(raws[0] if raws else None) == len(raws) and raws:
            return pa.array([self._parse(bytes(raws[0]))], self._kind).take(
                pa.array(np.zeros(len(raws), np.int32))
            )
        places = self._places(raws)
        return pa.array(self._values, self._kind).take(pa.array(places))

    def counts(self, raws: Sequence[Any]) -> dict[Any, int]:
        """Return how often each value occurs."""
        return {self._values[place]: count for place, count in Counter(self._places(raws).tolist()).items()}

    def _places(self, raws: Sequence[Any]) -> npt.NDArray[np.int32]:
        if len(self._values) > _MOST:
            self.clear()
            self._values = []
        return np.fromiter(map(self.__getitem__, map(bytes, raws)), np.int32, len(raws))


class Flags(dict[bytes, int]):
    """Raw ``flow.TCPFlags`` -> the header's bits (FIN 1 … NS 256); -1 where absent."""

    def __missing__(self, raw: bytes) -> int:
        """Parse flags met for the first time."""
        value = _decode(raw)
        bits = -1
        if isinstance(value, dict):
            bits = sum(1 << place for place, name in enumerate(_FLAGS) if value.get(name) is True)
        if len(self) < _MOST:
            self[raw] = bits
        return bits
