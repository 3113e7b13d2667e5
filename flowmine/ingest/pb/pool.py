"""flowmine's own pool of descriptors: no other package's ``flow/flow.proto`` in the same process gets in its way.

The well-known types are registered here once more, so that ``Timestamp`` and its like of these messages are classes of
their own: fill them in place (``request.since.FromNanoseconds(…)``), do not copy `google.protobuf`'s into them.
"""

from typing import Any, NamedTuple

from google.protobuf import any_pb2, field_mask_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message_factory import GetMessageClass

__all__ = ["POOL", "File", "Method", "message", "register"]

POOL: Any = DescriptorPool()
"""The pool of every message below `flowmine.ingest.pb`."""

for _known in (any_pb2, field_mask_pb2, timestamp_pb2, wrappers_pb2):
    POOL.AddSerializedFile(_known.DESCRIPTOR.serialized_pb)


class Method(NamedTuple):
    """A method of a gRPC service: its path, the classes of its messages, whether the answer is a stream."""

    path: str
    request: Any
    response: Any
    streams: bool


class File(NamedTuple):
    """What a .proto file declares at its top, by name: message classes, enumerations, methods of services."""

    messages: dict[str, Any]
    enums: dict[str, Any]
    services: dict[str, dict[str, Method]]


def message(full_name: str) -> Any:
    """Return the class of a message. Raise KeyError where there is none of that name.

    >>> message("google.protobuf.Timestamp")(seconds=1).ToJsonString()
    '1970-01-01T00:00:01Z'
    """
    return GetMessageClass(POOL.FindMessageTypeByName(full_name))


def register(serialized: bytes) -> File:
    """Add a serialized FileDescriptorProto to the pool, and return what it declares."""
    # AddSerializedFile returns the descriptor only in some implementations of protobuf
    POOL.AddSerializedFile(serialized)
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    file = POOL.FindFileByName(FileDescriptorProto.FromString(serialized).name)
    return File(
        {name: GetMessageClass(one) for name, one in file.message_types_by_name.items()},
        {name: EnumTypeWrapper(one) for name, one in file.enum_types_by_name.items()},
        {name: _methods(one) for name, one in file.services_by_name.items()},
    )


def _methods(service: Any) -> dict[str, Method]:
    return {
        method.name: Method(
            f"/{service.full_name}/{method.name}",
            GetMessageClass(method.input_type),
            GetMessageClass(method.output_type),
            method.server_streaming,
        )
        for method in service.methods
    }
