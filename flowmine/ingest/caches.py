"""Objects with few distinct values, parsed once each: raw bytes in, whole columns out."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["NOTHING", "Objects", "distinct", "policies", "service", "strings", "tcp_flags", "version"]

_MOST = 1 << 16

NOTHING = msgspec.Raw(b"")
"""What stands for an absent raw object; compared by identity."""

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


def distinct(raws: Sequence[Any] | pa.Array) -> tuple[list[bytes], npt.NDArray[np.int32]]:
    """Return the distinct ones of raw objects, and for each object the place of its own; -1 for a null.

    The objects are bytes, `msgspec.Raw`, or a binary array. Arrow's hash over one buffer is twice as fast as a Python
    dictionary of bytes.
    """
    array = raws if isinstance(raws, pa.Array) else _binary(raws)
    encoded = array.dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.fill_null(-1).to_numpy()


def _binary(raws: Sequence[Any]) -> pa.Array:
    offsets = np.zeros(len(raws) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, raws), np.int32, len(raws)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(raws))]
    return pa.Array.from_buffers(pa.binary(), len(raws), buffers)


class Objects:
    """Raw objects with few distinct values, each parsed once; `NOTHING` is null."""

    def __init__(self, parse: Callable[[bytes], Any], kind: pa.DataType) -> None:
        """Parse with ``parse`` into values of an Arrow type."""
        self._kind = kind
        self._parse = lru_cache(_MOST)(parse)

    def array(self, raws: Sequence[Any] | pa.Array) -> pa.Array:
        """Return the values of raw objects, each bytes or `msgspec.Raw`, or of a binary array, as a column."""
        values, places = _distinct_or_null(raws)
        if not values:
            return pa.nulls(len(raws), self._kind)
        return pa.array(list(map(self._parse, values)), self._kind).take(pa.array(places, mask=places < 0))

    def counts(
        self, raws: Sequence[Any] | pa.Array, repeats: npt.NDArray[np.int64] | None = None
    ) -> dict[Any, int]:
        """Return how often each value occurs, each raw object once, or as often as it is repeated."""
        values, places = _distinct_or_null(raws)
        counts: Counter[Any] = Counter()
        there = places >= 0
        found = np.bincount(places[there], None if repeats is None else repeats[there])
        for value, count in zip(values, found.tolist(), strict=True):
            counts[self._parse(value)] += int(count)
        return counts


def _distinct_or_null(raws: Sequence[Any] | pa.Array) -> tuple[list[bytes], npt.NDArray[np.int32]]:
    """Return the same as `distinct`, where `NOTHING` is a null, and quickly where there is nothing else."""
    if isinstance(raws, pa.Array):
        return distinct(raws) if raws.null_count < len(raws) else ([], np.full(len(raws), -1, np.int32))
    places = np.full(len(raws), -1, np.int32)
    if raws.count(NOTHING) == len(raws):
        return [], places
    filled = [place for place, raw in enumerate(raws) if raw is not NOTHING]
    values, places[filled] = distinct([raws[place] for place in filled])
    return values, places


@lru_cache(_MOST)
def tcp_flags(raw: bytes) -> int:
    """Return the bits of a TCP header (FIN 1 … NS 256) of ``flow.TCPFlags``; -1 where absent."""
    value = _decode(raw)
    if not isinstance(value, dict):
        return -1
    return sum(1 << place for place, name in enumerate(_FLAGS) if value.get(name) is True)
