"""Whether a record in canonical form is of the types of Hubble's messages, so that whoever prints or filters it need not ask."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from flowmine.ingest.message import ENUM_NUMBERS, fields_of

__all__ = ["drop", "fit"]

_TYPES: dict[str, Any] = {
    "string": str,
    "bool": bool,
    "BoolValue": bool,
    "int32": int,
    "uint32": Annotated[int, Meta(ge=0)],
    "uint64": Annotated[int, Meta(ge=0)] | Annotated[str, Meta(pattern="^[0-9]{1,20}$")],
    "Int32Value": int | dict[str, Any],
    "Timestamp": str,
    "Any": Any,
    **dict.fromkeys(ENUM_NUMBERS, str | int),
}
"""Type of protobuf -> the JSON that stands for it; numbers of 64 bits are texts there, for the most part."""


def _message(name: str) -> Any:
    fields = [(key, _field(kind, repeated), None) for key, (kind, repeated) in fields_of(name).items()]
    return msgspec.defstruct(name, fields, gc=False)


def _field(kind: str, repeated: bool) -> Any:
    one = _TYPES[kind] if kind in _TYPES else _message(kind)
    return (list[one] if repeated else one) | None  # type: ignore[valid-type]


_Record = _message("GetFlowsResponse")


def fit(record: dict[str, Any]) -> None:
    """Raise msgspec.ValidationError, which names the field, where a flow or another event has one of a wrong type.

    Fields that Hubble does not know are anything.
    """
    msgspec.convert(record, _Record)


def drop(record: dict[str, Any], path: list[str]) -> bool:
    """Take out the field at a path; of what is left, a list or an object with free keys, the whole."""
    *parents, last = path
    holder: Any = record
    for key in parents:
        if not isinstance(holder.get(key), dict):
            return holder.pop(key, None) is not None
        holder = holder[key]
    return holder.pop(last, None) is not None
