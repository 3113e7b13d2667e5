"""Serialize canonical records, as `Source.records` gives them, as Hubble's agents and relay send them."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError

from flowmine.ingest.pb import observer_pb2
from flowmine.ingest.pb.pool import POOL, message
from flowmine.ingest.times import nanoseconds

__all__ = ["KINDS", "encoded"]

KINDS = ("flow", "lost_events", "node_status", "agent_event", "debug_event")
"""The records that can be sent, by the key they stand under."""

_RESPONSES = {
    "agent_event": observer_pb2.GetAgentEventsResponse,
    "debug_event": observer_pb2.GetDebugEventsResponse,
}
_SECOND = 1_000_000_000
_Convert = Callable[[Any], Any]


def encoded(record: Mapping[str, Any], kind: str) -> bytes | None:
    """Return a record as the serialized response that carries it; None where protobuf cannot hold it.

    What is unknown to Hubble's messages is left out.
    """
    response = _RESPONSES.get(kind, observer_pb2.GetFlowsResponse)
    try:
        made: bytes = response(**_convert(response.DESCRIPTOR.full_name)(record)).SerializeToString()
        return made
    except (ValueError, TypeError, AttributeError):
        pass
    try:
        parsed = ParseDict(dict(record), response(), ignore_unknown_fields=True, descriptor_pool=POOL)
    except ParseError:
        return None
    slowly: bytes = parsed.SerializeToString()
    return slowly


def _time(text: Any) -> dict[str, int]:
    moment = nanoseconds(text)
    if moment is None:
        raise ValueError(f"{text!r} is no time")
    return {"seconds": moment // _SECOND, "nanos": moment % _SECOND}


def _wrapped(value: Any) -> dict[str, Any]:
    return {"value": value}


def _refused(_: Any) -> Any:
    raise ValueError("only the slow way reads this")


_WELL_KNOWN: dict[str, _Convert] = {
    "google.protobuf.Timestamp": _time,
    "google.protobuf.Any": _refused,
    **dict.fromkeys(("google.protobuf.BoolValue", "google.protobuf.Int32Value"), _wrapped),
    "google.protobuf.UInt32Value": _wrapped,
}


@cache
def _convert(full_name: str) -> _Convert:
    """Return a function from a message as protobuf's JSON has it to arguments of its class: that is much faster
    than `ParseDict`. Only fields whose JSON differs are touched.
    """
    if full_name in _WELL_KNOWN:
        return _WELL_KNOWN[full_name]
    changes = {}
    for field in POOL.FindMessageTypeByName(full_name).fields:
        change = _of_field(field)
        if change is not None:
            changes[field.name] = change
    if not changes:
        return lambda value: value
    return lambda value: {key: changes[key](item) if key in changes else item for key, item in value.items()}


def _of_field(field: Any) -> _Convert | None:
    """Return what is to be done to a field's JSON; None for nothing."""
    convert: _Convert
    if field.message_type is not None:
        name = field.message_type.full_name
        if name not in _WELL_KNOWN and not _differs(name):
            return None
        convert = _convert(name)
    elif field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
        convert = int
    else:
        return None
    repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
    return (lambda items: [convert(item) for item in items]) if repeated else convert


def _differs(full_name: str) -> bool:
    """Tell whether anything in a message is written otherwise in JSON."""
    return any(_of_field(field) is not None for field in message(full_name).DESCRIPTOR.fields)
