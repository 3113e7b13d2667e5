"""Field masks: which fields of a flow a client asks for (``google.protobuf.FieldMask`` over ``flow.Flow``)."""

from collections.abc import Iterable
from typing import Any

from flowmine.ingest.pb.flow_pb2 import Flow
from flowmine.ingest.pb.observer_pb2 import GetFlowsResponse

__all__ = ["Mask", "mask_of", "masked"]

Mask = dict[str, "Mask"]
"""Field -> the fields wanted of it; none for all of it."""


def mask_of(paths: Iterable[str]) -> Mask:
    """Return the mask of some paths. Raise ValueError for a path that a flow does not have.

    >>> mask_of(["time", "source.labels", "source.namespace", "l4.TCP", "l4"])
    {'l4': {}, 'source': {'labels': {}, 'namespace': {}}, 'time': {}}
    """
    mask: Mask = {}
    for path in sorted(paths, key=lambda path: (path.count("."), path)):
        _add(mask, path, path.split("."), Flow.DESCRIPTOR)
    return dict(sorted(mask.items()))


def _add(mask: Mask, path: str, names: list[str], declared: Any) -> None:
    """Add a path, none shorter to come; what is inside a field wanted whole says nothing more."""
    name, *rest = names
    if declared is None or name not in declared.fields_by_name:
        raise ValueError(f"invalid field mask: {path!r} is no field of flow.Flow")
    known = name in mask
    inside = mask.setdefault(name, {})
    if rest:
        into = {} if known and not inside else inside
        _add(into, path, rest, declared.fields_by_name[name].message_type)


def masked(frame: bytes, mask: Mask) -> bytes:
    """Return a serialized response with only the wanted fields of its flow, and node and time as far as these are
    among them (Cilium ``pkg/hubble/observer/local_observer.go``); one without flow as it is.
    """
    response = GetFlowsResponse.FromString(frame)
    if not response.HasField("flow"):
        return frame
    flow = response.flow
    _prune(flow, mask)
    if not flow.HasField("time"):
        response.ClearField("time")
    if not flow.node_name:
        response.ClearField("node_name")
    made: bytes = response.SerializeToString()
    return made


def _prune(message: Any, mask: Mask) -> None:
    for field, value in message.ListFields():
        inside = mask.get(field.name)
        if inside is None:
            message.ClearField(field.name)
        elif inside:
            for one in [value] if field.message_type is not None and not _repeated(field) else value:
                _prune(one, inside)


def _repeated(field: Any) -> bool:
    repeated: bool = (
        field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
    )
    return repeated
