"""FlowFilters from JSON, as ``--allowlist`` and ``--denylist`` take them (protobuf's JSON form of ``flow.FlowFilter``)."""

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from flowmine.errors import UsageError
from flowmine.ingest.filters.model import EventType, FlowFilter, Header, Interface, Workload
from flowmine.ingest.message import ENUM_NUMBERS, fields_of

__all__ = ["flow_filters"]


def flow_filters(text: str) -> tuple[FlowFilter, ...]:
    """Return the filters in a text that holds JSON objects one after another; keys in snake_case or camelCase.

    Raise UsageError where the text is no JSON, or a key or value is none of a FlowFilter's.
    """
    decoder, found, place = json.JSONDecoder(), [], _next(text, 0)
    try:
        while place < len(text):
            value, end = decoder.raw_decode(text, place)
            found.append(_flow_filter(value))
            place = _next(text, end)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{text[:200]!r} is no flow filter: {error}") from None
    return tuple(found)


def _next(text: str, place: int) -> int:
    """Return where the blanks at a place end."""
    while text[place : place + 1].isspace():
        place += 1
    return place


def _flow_filter(value: Any) -> FlowFilter:
    given = {_snake(key): item for key, item in _object(value).items()}
    nested = _object(given.pop("experimental", None) or {})
    given |= {_snake(key): item for key, item in nested.items()}
    unknown = sorted(given.keys() - _CONVERTERS.keys())
    if unknown:
        raise ValueError(f"unknown field {', '.join(unknown)} (known: {', '.join(sorted(_CONVERTERS))})")
    return FlowFilter(**{key: _values(key, item) for key, item in given.items() if item is not None})


def _values(key: str, items: Any) -> tuple[Any, ...]:
    if not isinstance(items, list):
        raise ValueError(f"{key} must be a list, not {items!r}")
    try:
        convert = _CONVERTERS[key]
        return tuple(convert(item) for item in items)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _snake(key: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in key)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, not {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a string, not {value!r}")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {value!r}")
    return value


def _number(value: Any) -> int:
    """Take a number, or a string holding one, as protobuf's JSON does."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"expected a number, not {value!r}")
    return int(value)


def _enum(name: str) -> Callable[[Any], str | int]:
    numbers = ENUM_NUMBERS[name]
    names = {number: text for text, number in numbers.items()}

    def convert(value: Any) -> str | int:
        if isinstance(value, str):
            if value not in numbers:
                raise ValueError(f"unknown value {value!r} (known: {', '.join(numbers)})")
            return value
        return names.get(_number(value), _number(value))

    return convert


def _part(make: Callable[..., Any], **converters: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        given = {_snake(key): item for key, item in _object(value).items()}
        unknown = sorted(given.keys() - converters.keys())
        if unknown:
            raise ValueError(f"unknown field {', '.join(unknown)} (known: {', '.join(converters)})")
        return make(**{key: converters[key](item) for key, item in given.items()})

    return convert


def _event_type(type: int = 0, match_sub_type: bool = False, sub_type: int = 0) -> EventType:
    return EventType(type, sub_type if match_sub_type else None)


def _flags(value: Any) -> frozenset[str]:
    known = fields_of("TCPFlags")
    given = {key: _truth(item) for key, item in _object(value).items()}
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        raise ValueError(f"unknown flag {', '.join(unknown)} (known: {', '.join(known)})")
    return frozenset(key for key, item in given.items() if item)


_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "source_workload": _part(Workload, name=_text, kind=_text),
    "destination_workload": _part(Workload, name=_text, kind=_text),
    "traffic_direction": _enum("TrafficDirection"),
    "verdict": _enum("Verdict"),
    "drop_reason_desc": _enum("DropReason"),
    "interface": _part(Interface, index=_number, name=_text),
    "event_type": _part(_event_type, type=_number, match_sub_type=_truth, sub_type=_number),
    "reply": _truth,
    "source_identity": _number,
    "destination_identity": _number,
    "http_header": _part(Header, key=_text, value=_text),
    "tcp_flags": _flags,
    "ip_version": _enum("IPVersion"),
    "ip_trace_id": _number,
    "encrypted": _truth,
}
_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    field.name: _SPECIAL.get(field.name, _text) for field in fields(FlowFilter)
}
