"""One batch of flows, of whatever encoding, and what several of its columns are made of, each made once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flowmine.ingest.caches import Objects
from flowmine.ingest.folding import Telling
from flowmine.ingest.forms import HAS_ID, HOST, PLACE, UNSEEN
from flowmine.ingest.intern import Endpoints, Told
from flowmine.ingest.names import Codes
from flowmine.ingest.shapes import Aggregate, Layer7
from flowmine.schema import ENUMS

__all__ = ["TCP", "WITH_PORTS", "WITH_TYPE", "Bools", "End", "Ints", "Layer4", "Raws", "Rows", "Tools"]

TCP = ENUMS["protocol"].index("TCP")
WITH_PORTS = np.array([*(name in ("TCP", "UDP", "SCTP") for name in ENUMS["protocol"]), False])
"""Code of a protocol, -1 for none -> whether it has ports."""
WITH_TYPE = np.array([*(name in ("ICMPv4", "ICMPv6") for name in ENUMS["protocol"]), False])
"""Code of a protocol, -1 for none -> whether it has a message type."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Raws: TypeAlias = Sequence[Any] | pa.Array
"""Undecoded objects: a list of bytes or `msgspec.Raw`, `caches.NOTHING` where absent, or a binary array."""


class Layer4(NamedTuple):
    """Protocol codes (-1 absent), ports, ICMP message and TCP flags, each with -1 for null."""

    protocol: Ints
    source_port: Ints
    destination_port: Ints
    icmp_type: Ints
    icmp_code: Ints
    tcp_flags: Ints


class End(NamedTuple):
    """Endpoint ids, and whether each is on the emitting node (1, 0, or -1 where the event cannot tell)."""

    ids: npt.NDArray[np.uint64]
    local: Ints


class Tools(NamedTuple):
    """What outlives a batch: the tables of codes, the endpoints, the decoders of other objects by their field, whom to
    tell of what cannot be read, and by kind the stretches of lines met so far (`known`).
    """

    codes: dict[str, Codes]
    endpoints: Endpoints
    objects: dict[str, Objects]
    unknown: Callable[[str], None]
    known: dict[str, Any]


class Rows(ABC):
    """The flows of one batch; a subclass is an encoding. An unset scalar is as absent as in protobuf's JSON."""

    def __init__(self, length: int, tools: Tools) -> None:
        """Take the number of flows."""
        self.length, self.tools = length, tools
        self.unreadable_times = 0
        self.repeats: Ints | None = None
        """How many flows each of these stands for (`alike`); None for itself alone."""

    def alike(self, telling: Telling) -> "tuple[Rows, Ints] | None":
        """Return flows that differ, each for all that are alike (`folding`), and which of them each of these is.

        None where that is not known before columns are made.
        """
        return None

    @property
    def flows(self) -> int:
        """How many flows these stand for."""
        return self.length if self.repeats is None else int(self.repeats.sum())

    @abstractmethod
    def codes(self, column: str) -> npt.NDArray[np.int8]:
        """Return the codes of an enumerated field; 0 where it is absent or unknown."""

    @abstractmethod
    def has(self, field: str) -> Bools:
        """Tell which flows have a field."""

    @abstractmethod
    def text(self, column: str) -> pa.Array:
        """Return a field that is a text, or a list of texts, as its column."""

    @abstractmethod
    def address(self, field: str) -> pa.Array:
        """Return a field of ``flow.IP`` as its column."""

    @abstractmethod
    def raws(self, field: str) -> Raws:
        """Return an object of every flow undecoded."""

    @property
    @abstractmethod
    def time(self) -> pa.Array:
        """Event times."""

    @property
    @abstractmethod
    def reasons(self) -> pa.Array:
        """Names of drop reasons, null where there is none."""

    @property
    @abstractmethod
    def events(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16], Bools]:
        """Monitor message types, sub types, and where there is none."""

    @property
    @abstractmethod
    def replies(self) -> pa.Array:
        """Three states: the deprecated ``reply: true`` also says yes, its absence nothing."""

    @property
    @abstractmethod
    def l4(self) -> Layer4:
        """Layer 4 of every flow."""

    @property
    @abstractmethod
    def l7(self) -> list[tuple[int, Layer7]]:
        """Layer 7 where there is one: row and object."""

    @property
    @abstractmethod
    def aggregates(self) -> list[tuple[int, Aggregate]]:
        """The exporter's counts where it aggregated: row and object."""

    @abstractmethod
    def raw_ends(self) -> Raws:
        """Return the undecoded sources, and after them the undecoded destinations; empty where absent."""

    @cached_property
    def directions(self) -> npt.NDArray[np.int8]:
        """Codes of ``traffic_direction``."""
        return self.codes("traffic_direction")

    @cached_property
    def points(self) -> npt.NDArray[np.int8]:
        """Codes of ``trace_observation_point``, from the event's sub type where a mask left the point out.

        Cilium numbers both alike (``pkg/monitor/api``), but for 0, which is TO_ENDPOINT or a sub type not told.
        """
        codes = self.codes("trace_observation_point")
        kinds, subs, absent = self.events
        told = (codes == 0) & ~absent & (kinds == 4) & (subs > 0) & (subs < 14)
        return np.where(told, subs, codes).astype(np.int8)

    @cached_property
    def end_numbers(self) -> Ints:
        """Numbers of the endpoints' forms: those of the sources, then those of the destinations."""
        self.tools.endpoints.make_room()
        return self.tools.endpoints.numbers(self.raw_ends())

    @cached_property
    def ends(self) -> tuple[End, End]:
        """Source and destination.

        An endpoint number is given to the emitting node's own endpoints, so where one end has it and the other has
        not, the other is elsewhere; where neither has, a field mask may have left it out.
        """
        ids, places = self.tools.endpoints.ids(
            self.end_numbers, lambda rows: self.text("node_name").take(pa.array(rows % self.length))
        )
        source, target = places[: self.length], places[self.length :]
        return (
            End(ids[: self.length], _local(source, target)),
            End(ids[self.length :], _local(target, source)),
        )

    @cached_property
    def told(self) -> Told:
        """What the endpoints say of themselves: those of the sources, then those of the destinations."""
        return self.tools.endpoints.told(self.end_numbers)

    def objects(self, field: str) -> pa.Array:
        """Return the values of an object with few distinct ones as a column."""
        return self.tools.objects[field].array(self.raws(field))

    def versions(self) -> dict[str | None, int]:
        """Return how often each version of an emitter occurs."""
        return self.tools.objects["emitter"].counts(self.raws("emitter"), self.repeats)

    def of_l7(self, name: str, value: Callable[[Layer7], Any], kind: pa.DataType) -> pa.Array:
        """Return the column ``name``, made of layer 7 and null where there is none."""
        return self.sparse({row: value(layer) for row, layer in self.l7}, kind)

    def sparse(self, values: dict[int, Any], kind: pa.DataType) -> pa.Array:
        """Return a column that is null but for a few rows."""
        if not values:
            return pa.nulls(self.length, kind)
        places = np.full(self.length, -1, np.int64)
        places[list(values)] = np.arange(len(values))
        return pa.array(list(values.values()), kind).take(pa.array(places, mask=places < 0))


def _local(end: npt.NDArray[np.int8], other: npt.NDArray[np.int8]) -> Ints:
    here = (end == HAS_ID) | (end == HOST)
    elsewhere = (end == PLACE) | ((end == UNSEEN) & (other == HAS_ID))
    return np.where(here, 1, np.where(elsewhere, 0, -1))
