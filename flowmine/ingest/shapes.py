"""The typed structs that Hubble's JSON is decoded into, with only the fields that the wanted columns need.

Endpoints and other objects with few distinct values stay raw bytes, to be looked up in a cache; an enumeration may
come as name or number. What does not fit is refused by the decoder and goes the lenient way (`normal`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta, Raw

from flowmine.ingest.caches import NOTHING
from flowmine.schema import ENUMS, FLOWS

__all__ = [
    "NO_ADDRESSES",
    "Aggregate",
    "Decoders",
    "Layer4",
    "Layer7",
    "Ports",
    "decoders",
    "fields_of",
    "is_odd",
]

_Port = Annotated[int, Meta(ge=0, le=65535)]
_Byte = Annotated[int, Meta(ge=0, le=255)]
_Code = Annotated[int, Meta(ge=0, le=32767)]
_Count = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
_Name = str | int | None


class Addresses(msgspec.Struct, frozen=True, gc=False, eq=False):
    """``flow.IP``."""

    source: str | None = None
    source_xlated: str | None = None
    destination: str | None = None


class Ports(msgspec.Struct, frozen=True, gc=False):
    """Any member of ``flow.Layer4``: ports, or an ICMP message. ``protocol`` is the code in ENUMS, -1 for none."""

    protocol: ClassVar[int] = -1
    source_port: _Port = 0
    destination_port: _Port = 0
    flags: Raw = NOTHING
    type: _Byte = 0
    code: _Byte = 0


def _of_protocol(name: str) -> Any:
    made: Any = type(name, (Ports,), {"__module__": __name__}, frozen=True, gc=False)
    made.protocol = ENUMS["protocol"].index(name)
    return made | None


_PROTOCOLS = {name: _of_protocol(name) for name in ENUMS["protocol"] if name != "UNKNOWN"}

Layer4: Any = msgspec.defstruct(
    "Layer4",
    [(key, one, None) for name, one in _PROTOCOLS.items() for key in (name, name.lower())]
    + [("icmp", _PROTOCOLS["ICMPv4"], None)],
    frozen=True,
    gc=False,
)
"""``flow.Layer4``: one of its members, or in hand-made files one in lower case, is there."""


class EventType(msgspec.Struct, frozen=True, gc=False):
    """``flow.CiliumEventType``; both -1 where the event has none."""

    type: _Code = 0
    sub_type: _Code = 0


class Http(msgspec.Struct, frozen=True, gc=False):
    """``flow.HTTP`` without headers, which may hold secrets."""

    code: _Port = 0
    method: str = ""
    url: str = ""


class Dns(msgspec.Struct, frozen=True, gc=False):
    """``flow.DNS``."""

    query: str = ""
    ips: list[str] | None = None
    rcode: _Port = 0


class Layer7(msgspec.Struct, frozen=True, gc=False):
    """``flow.Layer7``."""

    type: _Name = None
    http: Http | None = None
    dns: Dns | None = None


class Aggregate(msgspec.Struct, frozen=True, gc=False):
    """``flow.Aggregate``."""

    ingress_flow_count: _Count = 0
    egress_flow_count: _Count = 0
    unknown_direction_flow_count: _Count = 0


NO_ADDRESSES = Addresses()
_NO_EVENT = EventType(-1, -1)

_FIELDS: dict[str, tuple[Any, Any]] = {
    "time": (str | None, None),
    "uuid": (str | None, None),
    "emitter": (Raw, NOTHING),
    "verdict": (_Name, None),
    "drop_reason": (_Name, None),
    "auth_type": (_Name, None),
    "IP": (Addresses, NO_ADDRESSES),
    "l4": (Layer4 | None, None),
    "source": (Raw, NOTHING),
    "destination": (Raw, NOTHING),
    "Type": (_Name, None),
    "node_name": (str | None, None),
    "node_labels": (Raw, NOTHING),
    "source_names": (list[str] | None, None),
    "destination_names": (list[str] | None, None),
    "l7": (Layer7 | None, None),
    "reply": (bool, False),
    "event_type": (EventType, _NO_EVENT),
    "source_service": (Raw, NOTHING),
    "destination_service": (Raw, NOTHING),
    "traffic_direction": (_Name, None),
    "trace_observation_point": (_Name, None),
    "trace_reason": (_Name, None),
    "drop_reason_desc": (_Name, None),
    "is_reply": (bool | None, None),
    "sock_xlate_point": (_Name, None),
    "egress_allowed_by": (Raw, NOTHING),
    "ingress_allowed_by": (Raw, NOTHING),
    "egress_denied_by": (Raw, NOTHING),
    "ingress_denied_by": (Raw, NOTHING),
    "aggregate": (Aggregate | None, None),
}
"""Every field that is read, in the order in which Hubble writes them: type, and value where absent."""

_ALWAYS = ("time", "emitter", "IP", "node_name")

_NEEDS: dict[str, tuple[str, ...]] = {
    "Type": ("Type", "l7"),
    "drop_reason_desc": ("drop_reason_desc", "drop_reason"),
    "event_sub_type": ("event_type",),
    "trace_observation_point": ("trace_observation_point", "event_type"),
    "is_reply": ("is_reply", "reply"),
    **dict.fromkeys(
        (f"{end}{what}" for end in ("source", "destination") for what in ("", "_local", "_pod", "_identity")),
        ("source", "destination"),
    ),
    "source_ip": ("IP",),
    "source_xlated": ("IP",),
    "destination_ip": ("IP",),
    "ingress_count": ("aggregate", "traffic_direction"),
    "egress_count": ("aggregate", "traffic_direction"),
    "unknown_count": ("aggregate", "traffic_direction"),
    **dict.fromkeys(
        ("protocol", "source_port", "destination_port", "icmp_type", "icmp_code", "tcp_flags"), ("l4",)
    ),
    **dict.fromkeys(("l7_type", "http_method", "http_path", "http_host", "http_code"), ("l7",)),
    **dict.fromkeys(("dns_query", "dns_ips", "dns_rcode"), ("l7",)),
}
"""Column of FLOWS -> the fields it is made of, where that is not the field of its own name."""


def fields_of(columns: Collection[str]) -> frozenset[str]:
    """Return the fields of a flow that the columns of FLOWS need, and those that are always read.

    Raise KeyError for a column that FLOWS does not have.
    """
    unknown = set(columns).difference(FLOWS.names)
    if unknown:
        raise KeyError(f"no such column of FLOWS: {', '.join(sorted(unknown))}")
    return frozenset(_ALWAYS).union(*(_NEEDS.get(column, (column,)) for column in columns))


@dataclass(frozen=True, slots=True)
class Decoders:
    """Decoders of one set of fields. The struct of each: ``lean`` and ``tolerant`` are ``flow`` alone, ``full`` is
    ``flow``, ``node_name`` and ``time``, ``bare`` is a flow without wrapper, ``members`` the members of one. ``lean`` and
    ``members`` know enumerations by Hubble's names only, which they decode faster; the others take any name or number.
    """

    lean: msgspec.json.Decoder[Any]
    tolerant: msgspec.json.Decoder[Any]
    full: msgspec.json.Decoder[Any]
    bare: msgspec.json.Decoder[Any]
    members: msgspec.json.Decoder[Any]


def decoders(fields: Collection[str]) -> Decoders:
    """Return the decoders for some fields of a flow."""
    chosen = [(name, *_FIELDS[name]) for name in _FIELDS if name in fields]
    strict = [(name, _by_name(name) or kind, default) for name, kind, default in chosen]
    return Decoders(
        lean=_decoder(lean := msgspec.defstruct("Flow", strict, gc=False)),
        tolerant=_decoder(flow := msgspec.defstruct("Flow", chosen, gc=False)),
        full=_decoder(flow, ("node_name", str | None, None), ("time", str | None, None)),
        bare=msgspec.json.Decoder(msgspec.defstruct("Bare", [("flow", Raw, NOTHING), *chosen], gc=False)),
        members=msgspec.json.Decoder(lean),
    )


def _decoder(flow: Any, *outer: tuple[str, Any, Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(msgspec.defstruct("Record", [("flow", flow | None, None), *outer], gc=False))


def _by_name(field: str) -> Any:
    """Return the type of an enumerated field that admits Hubble's names alone, each decoded to one text object."""
    return Literal[(*ENUMS[field], None)] if field in ENUMS else None


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


_ODD_KEYS = [(name, Raw, NOTHING) for name in (*(_camel(key) for key in _FIELDS if "_" in key), "ip", "type")]


class _OddPorts(msgspec.Struct, frozen=True):
    sourcePort: Raw = NOTHING
    destinationPort: Raw = NOTHING


_OddFlow: Any = msgspec.defstruct("_OddFlow", [*_ODD_KEYS, ("l4", dict[str, _OddPorts] | None, None)])
_odd_record: Any = msgspec.json.Decoder(msgspec.defstruct("_Odd", [("flow", _OddFlow | None, None)])).decode


def is_odd(line: bytes) -> bool:
    """Tell whether a ``{"flow": …}`` line that decodes uses keys, camelCase or lower case, that were passed over."""
    flow = _odd_record(line).flow
    if flow is None:
        return False
    *keys, ports = msgspec.structs.astuple(flow)
    if any(map(bytes, keys)):
        return True
    return any(bytes(one.sourcePort) or bytes(one.destinationPort) for one in (ports or {}).values())
