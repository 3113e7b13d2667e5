"""Connections to judge, as columns: the form that the engine works on, and how it is made from mappings and tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from flowmine.engine.entries import Protocols, protocols_of
from flowmine.engine.index import Ints
from flowmine.engine.l7 import Request, canonical_name
from flowmine.engine.party import Party
from flowmine.errors import InputError

__all__ = ["Queries", "queries_of"]

NONE = -1


@dataclass(frozen=True, slots=True)
class Queries:
    """A batch of connections: columns of one length, and the distinct values that they number.

    `source` and `destination` number `parties`; `request` and `name` number `requests` and `names`, -1 where a
    connection has none; `port` is the type where the protocol is ICMP.
    """

    parties: tuple[Party, ...]
    source: Ints
    destination: Ints
    protocol: Ints
    port: Ints
    request: Ints
    requests: tuple[Request, ...]
    name: Ints
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.source)

    def part(self, places: Ints) -> "Queries":
        """Return the queries at some places, with no other parties than theirs."""
        source, destination = self.source[places], self.destination[places]
        used = np.zeros(len(self.parties), np.bool_)
        used[source] = used[destination] = True
        number = np.cumsum(used) - 1
        return replace(
            self,
            parties=tuple(self.parties[party] for party in np.flatnonzero(used).tolist()),
            source=number[source],
            destination=number[destination],
            protocol=self.protocol[places],
            port=self.port[places],
            request=self.request[places],
            name=self.name[places],
        )


def queries_of(items: Iterable[Mapping[str, Any]]) -> Queries:
    """Return the batch of queries in the form of the conformance cases.

    A query is `{"src": party, "dst": party, "protocol", "port", "http"?: {...}, "dns"?: {"query"}}`; see `Party.of`
    and `Request.of`. Raise InputError, naming the query by its place, where one has another form.
    """
    parties, requests, names = _Numbers(), _Numbers(), _Numbers()
    rows: list[tuple[int, ...]] = []
    for place, item in enumerate(items):
        try:
            rows.append(_row(item, parties, requests, names))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"query {place}: expected src, dst, protocol and port, found {item!r:.200}"
            ) from error
        except InputError as error:
            raise InputError(f"query {place}: {error}") from error
    source, destination, protocol, port, request, name = np.array(rows, np.int64).reshape(-1, 6).T.copy()
    return Queries(
        parties.values(),
        source,
        destination,
        protocol,
        port,
        request,
        requests.values(),
        name,
        names.values(),
    )


class _Numbers:
    """Numbers distinct values in order of appearance."""

    def __init__(self) -> None:
        self._known: dict[Any, int] = {}

    def of(self, value: Any) -> int:
        return self._known.setdefault(value, len(self._known))

    def values(self) -> tuple[Any, ...]:
        return tuple(self._known)


def _row(item: Mapping[str, Any], parties: _Numbers, requests: _Numbers, names: _Numbers) -> tuple[int, ...]:
    port = item.get("port") or 0
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise InputError(f"port is {port!r}, expected a number from 0 to 65535 (for ICMP, the type)")
    http, dns = item.get("http"), item.get("dns")
    return (
        parties.of(Party.of(item["src"])),
        parties.of(Party.of(item["dst"])),
        int(single_protocol(item["protocol"])),
        port,
        NONE if http is None else requests.of(Request.of(http)),
        NONE if dns is None else names.of(canonical_name(dns["query"])),
    )


def single_protocol(name: str) -> Protocols:
    """Return the one protocol that a connection has. Raise InputError where the text names none or several."""
    found = protocols_of(name)
    if found in (Protocols.ANY, Protocols.ALL):
        raise InputError(f"protocol is {name!r}, expected one of TCP, UDP, SCTP, ICMP, ICMPv6")
    return found
