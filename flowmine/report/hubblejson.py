"""Records as the JSON lines that `hubble observe -o json` writes: protobuf's JSON in Hubble's field order, Go's escapes."""

import json
import re
from typing import Any

from flowmine.ingest.message import fields_of

__all__ = ["json_line"]

_ESCAPES = str.maketrans(
    {"&": "\\u0026", "<": "\\u003c", ">": "\\u003e", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)
_UNNAMED = re.compile(r"DROP_REASON_(\d+)")  # how the reader names a reason that Hubble has no name for
_QUOTED = frozenset({"uint64", "int64"})


def json_line(record: dict[str, Any]) -> str:
    """Return the line of a record, without its end.

    64-bit numbers are strings, as protobuf's JSON has them; fields that Hubble does not know come last, kept.
    """
    text = json.dumps(_message("GetFlowsResponse", record), ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


def _message(name: str, given: Any) -> Any:
    try:
        fields = fields_of(name)
    except KeyError:
        return given
    if not isinstance(given, dict):
        return given
    known = {key: _value(*kind, given[key]) for key, kind in fields.items() if given.get(key) is not None}
    return known | {key: value for key, value in given.items() if key not in fields}


def _value(kind: str, repeated: bool, given: Any) -> Any:
    if repeated and isinstance(given, list):
        return [_value(kind, False, item) for item in given]
    if kind == "DropReason" and isinstance(given, str) and (number := _UNNAMED.fullmatch(given)):
        return int(number[1])
    if kind in _QUOTED and isinstance(given, int):
        return str(given)
    return _message(kind, given)
