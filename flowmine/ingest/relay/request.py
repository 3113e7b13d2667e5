"""A selection as the GetFlowsRequest that a server understands: filters, window, how many, and which fields."""

from collections.abc import Callable, Collection
from dataclasses import fields
from functools import partial
from typing import Any

from flowmine.errors import UsageError
from flowmine.ingest.filters import EventType, FlowFilter, Selection
from flowmine.ingest.message import ENUM_NUMBERS
from flowmine.ingest.pb.flow_pb2 import FlowFilter as FlowFilterMessage
from flowmine.ingest.pb.observer_pb2 import GetFlowsRequest
from flowmine.ingest.shapes import fields_of

__all__ = ["MASKS", "filter_message", "flows_request"]

ALL = (1 << 64) - 1
"""The number by which Hubble's own command line asks for all that is buffered."""

_ALWAYS = ("uuid", "time", "node_name")
_NEWEST = frozenset({"aggregate", "egress_denied_by", "ingress_denied_by"})
_MOST_BYTES = 60_000

Mask = Callable[[Collection[str]], tuple[str, ...]]


def _wanted(columns: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(fields_of(columns).union(_ALWAYS)))


def _wanted_of_old(columns: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in _wanted(columns) if name not in _NEWEST)


MASKS: tuple[Mask, ...] = (_wanted, _wanted_of_old, lambda columns: ())
"""Field masks by columns of FLOWS, the best first; a server that refuses one (as invalid) is asked with the next.

Cilium reads the mask since 1.17 and refuses one with a field it does not know; before, it sends all (empty: all).
Only whole fields of a flow are named: naming a part of a ``oneof`` makes Hubble set its other members too.
"""


def flows_request(
    selection: Selection, *, follow: bool, mask: Collection[str], since: int | None = None
) -> bytes:
    """Return the request, serialized; with ``since`` (nanoseconds) it is a resumption from there.

    A resumption asks for all since then, whatever number was asked for first. Raise UsageError where ``first`` is
    combined with ``follow``, and for filters too long to send.
    """
    if selection.first and follow:
        raise UsageError("--first and --follow contradict each other: a stream has no end to count to")
    request = GetFlowsRequest(follow=follow)
    begin = selection.since if since is None else since
    if begin is not None:
        request.since.FromNanoseconds(begin)
    if selection.until is not None:
        request.until.FromNanoseconds(selection.until)
    request.whitelist.extend(map(filter_message, selection.allow))
    request.blacklist.extend(map(filter_message, selection.deny))
    request.field_mask.paths.extend(mask)
    if not mask:
        request.ClearField("field_mask")
    if since is None:
        request.number = selection.first or selection.last
        request.first = bool(selection.first)
        if not request.number and begin is None and not follow:
            request.number = ALL
    made: bytes = request.SerializeToString()
    if len(made) > _MOST_BYTES:
        raise UsageError(f"the filters are too long to send ({len(made):,} bytes): name fewer")
    return made


def filter_message(wanted: FlowFilter) -> Any:
    """Return a filter as the message ``flow.FlowFilter``."""
    made = FlowFilterMessage()
    for field in fields(FlowFilter):
        values = getattr(wanted, field.name)
        if not values:
            continue
        if field.name == "cel_expression":
            made.experimental.cel_expression.extend(values)
            continue
        add = _ADDERS.get(field.name)
        holder = getattr(made, field.name)
        if add is None:
            holder.extend(values)
        else:
            for value in values:
                add(holder, value)
    return made


def _number(enum: str, holder: Any, value: str | int) -> None:
    holder.append(ENUM_NUMBERS[enum][value] if isinstance(value, str) else value)


def _parts(holder: Any, value: Any) -> None:
    holder.add(**{field.name: getattr(value, field.name) for field in fields(value)})


def _event_type(holder: Any, value: EventType) -> None:
    holder.add(type=value.type, match_sub_type=value.sub_type is not None, sub_type=value.sub_type or 0)


def _flags(holder: Any, value: frozenset[str]) -> None:
    holder.add(**dict.fromkeys(value, True))


_ADDERS: dict[str, Callable[[Any, Any], None]] = {
    "traffic_direction": partial(_number, "TrafficDirection"),
    "verdict": partial(_number, "Verdict"),
    "drop_reason_desc": partial(_number, "DropReason"),
    "ip_version": partial(_number, "IPVersion"),
    "source_workload": _parts,
    "destination_workload": _parts,
    "interface": _parts,
    "http_header": _parts,
    "event_type": _event_type,
    "tcp_flags": _flags,
}
"""Fields of a FlowFilter whose values are no plain texts, numbers or truths -> how one is added."""
