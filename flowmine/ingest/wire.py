"""Read serialized `GetFlowsResponse` and `ExportEvent` messages: FLOWS batches, and the ledger and endpoints beside them.

The bytes are scanned in bulk (`wirescan`). What that finds unusual (a field out of its place, twice, of a group, a text
that is no UTF-8) goes once through protobuf itself, which either writes it anew in the usual way or refuses it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf.json_format import MessageToDict, SerializeToJsonError
from google.protobuf.message import DecodeError

from flowmine.errors import InputError, UsageError
from flowmine.ingest.columns import Builder
from flowmine.ingest.events import tell
from flowmine.ingest.intern import Endpoints
from flowmine.ingest.pb.observer_pb2 import ExportEvent
from flowmine.ingest.pb.pool import POOL
from flowmine.ingest.shapes import fields_of
from flowmine.ingest.wirelayouts import RESPONSE, decode_endpoint, flow_layout, wire_objects
from flowmine.ingest.wirerows import WireRows
from flowmine.ingest.wirescan import Bools, joined, scan
from flowmine.ledger import Ledger
from flowmine.schema import FLOWS

__all__ = ["Decoder", "new_endpoints", "record"]

_MOST_FRAMES, _MOST_BYTES = 1 << 13, 1 << 26
_ALWAYS = ("time", "node_name")
_EVENTS = ("node_status", "lost_events", "agent_event", "debug_event")


def new_endpoints() -> Endpoints:
    """Return an empty table of endpoints whose raw form is a serialized ``flow.Endpoint``."""
    return Endpoints(decode_endpoint)


def record(frame: bytes) -> dict[str, Any]:
    """Return a message in canonical form, as Hubble's own JSON has it: ``{"flow": {…}, "node_name", "time"}``.

    Raise InputError where it is none.
    """
    try:
        found = ExportEvent.FromString(frame)
    except DecodeError as error:
        raise InputError(f"not a message of Hubble's: {error}") from error
    try:
        return _json(found)
    except SerializeToJsonError as error:  # such as a time with more nanoseconds than a second has
        raise InputError(f"not a message of Hubble's: {error}") from error
    except (TypeError, DecodeError):  # extensions of a type that only the sender knows
        kind = found.flow.extensions.type_url
        found.flow.ClearField("extensions")
        made = _json(found)
        made["flow"]["extensions"] = {"@type": kind}
        return made


def _json(message: Any) -> dict[str, Any]:
    made: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=POOL)
    return made


class Decoder:
    """Decodes the messages of one stream, in order; ``endpoints`` and ``ledger`` grow meanwhile."""

    def __init__(
        self,
        name: str,
        ledger: Ledger,
        endpoints: Endpoints | None = None,
        *,
        columns: Collection[str] = FLOWS.names,
        keep_query: bool = False,
        strict: bool = False,
        heard: Callable[[dict[str, Any], int], None] | None = None,
    ) -> None:
        """Make some columns of FLOWS, in the schema's order. Messages call the stream ``name``.

        ``endpoints`` are `new_endpoints`, shared by streams that are read together. With ``strict`` the first message
        that cannot be read raises InputError. ``heard`` is called with every event that is no flow, in canonical form,
        and how many rows of its batch come before it. Raise UsageError for a column that FLOWS does not have.
        """
        if unknown := set(columns).difference(FLOWS.names):
            raise UsageError(f"no such column of FLOWS: {', '.join(sorted(unknown))}")
        self.endpoints = endpoints or new_endpoints()
        self.ledger, self.frames, self._rows = ledger, 0, 0
        self._name, self._strict, self._heard = name, strict, heard
        self.schema = pa.schema([field for field in FLOWS if field.name in columns])
        wanted = {*columns, *_ALWAYS}
        self._layout = flow_layout(fields_of(wanted))
        self._builder = Builder(wanted, self.endpoints, ledger, keep_query=keep_query, objects=wire_objects())

    def batch(self, frames: Sequence[bytes]) -> pa.RecordBatch:
        """Return the flows among some messages, a row each; tell the ledger of all else.

        Raise InputError where two endpoints hash to one id, and with ``strict`` for a message that cannot be read.
        """
        self._rows = 0
        batches = [self._batch(part) for part in _parts(frames)]
        table = pa.Table.from_batches([one for one in batches if one is not None], self._builder.schema)
        whole = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], self._builder.schema)]
        return whole[0].select(self.schema.names)

    def end(self) -> None:
        """Tell the ledger which fields no flow carried."""
        self._builder.end()

    def _batch(self, frames: Sequence[bytes], *, usual: bool = False) -> pa.RecordBatch | None:
        """Return the flows of not too many messages; ``usual`` ones have been through protobuf itself."""
        data, where = joined(frames)
        response = scan(data.array, where, RESPONSE)
        given = [response.slices(name).present for name in ("flow", *_EVENTS)]
        odd = response.odd | (np.count_nonzero(given, axis=0) > 1)
        chosen = np.flatnonzero(given[0] & ~odd)
        rows = None
        if len(chosen) and (usual or not odd.any()):
            found = response.take(chosen)
            try:
                rows = WireRows(
                    data, found, scan(data.array, found.slices("flow"), self._layout), self._builder.tools
                )
                odd[chosen] |= rows.odd
            except ValueError:
                odd[chosen] = True
        events = []
        for place in np.flatnonzero(~given[0]).tolist():
            try:
                events.append((record(frames[place]), self._rows + int(np.searchsorted(chosen, place))))
            except InputError:
                odd[place] = True
        if odd.any():
            return self._mended(frames, odd, usual=usual)
        if not usual:
            self.frames += len(frames)
        for event, before in events:
            self._tell(event, before)
        self._rows += len(chosen)
        return None if rows is None else self._builder.batch(rows)

    def _mended(self, frames: Sequence[bytes], odd: Bools, *, usual: bool) -> pa.RecordBatch | None:
        """Return the flows of messages some of which are ``odd``: those that protobuf can read, read again."""
        if usual:  # protobuf can read it all the same
            for _ in range(int(np.count_nonzero(odd))):
                self._fail("a message of too many fields")
            return self._batch([one for one, wrong in zip(frames, odd, strict=True) if not wrong], usual=True)
        mended = []
        for frame in frames:
            self.frames += 1
            try:
                event = ExportEvent.FromString(frame)
            except DecodeError:
                self._fail("not a message of Hubble's")
                continue
            event.DiscardUnknownFields()
            mended.append(event.SerializeToString())
        return self._batch(mended, usual=True)

    def _tell(self, told: dict[str, Any], before: int) -> None:
        if self._heard is not None:
            self._heard(told, before)
        kind = next((kind for kind in _EVENTS if kind in told), None)
        if kind is None:
            self.ledger.add("skipped", "an event of an unknown kind", node=str(told.get("node_name", "")))
        else:
            tell(self.ledger, kind, told)

    def _fail(self, reason: str) -> None:
        place = f"{self._name}:{self.frames}"
        self.ledger.add_bad(place, reason)
        if self._strict:
            raise InputError(f"{place}: {reason}")


def _parts(frames: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield messages in runs that the processor's caches hold, and 32 bits count; large ones by themselves."""
    for start in range(0, len(frames), _MOST_FRAMES):
        part = frames[start : start + _MOST_FRAMES]
        if sum(map(len, part)) <= _MOST_BYTES:
            yield part
        else:
            yield from ([frame] for frame in part)
