"""HTTP requests seen on edges, as the L7 part of rules: only where every edge of a port showed its requests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flowmine.policy.model import HttpRule
from flowmine.ports import PortSet
from flowmine.synth.http import http_rules
from flowmine.synth.options import Generalisation, Options
from flowmine.synth.paths import Request

__all__ = ["HttpPart", "Requests", "split_http"]

Requests = Mapping[int, tuple[Request, ...]]
"""By edge (row of EDGES), the requests that went through."""


@dataclass(frozen=True, slots=True)
class HttpPart:
    """Some ports of a rule, and the HTTP rules for them (None: layer 4 only)."""

    ports: PortSet
    http: tuple[HttpRule, ...] | None = None
    notes: tuple[Generalisation, ...] = field(default=(), compare=False)


def split_http(
    rows: Mapping[tuple[str, int], Sequence[int]], ports: PortSet, requests: Requests, options: Options
) -> Iterator[HttpPart]:
    """Yield the ports of one rule in parts: each TCP port whose every edge showed its requests with HTTP rules, then the rest.

    ``rows`` are the edges behind each port. A port where some edge showed none (TLS, or not proxied) stays at layer 4,
    with a note, for what went over it is not known.
    """
    notes: list[Generalisation] = []
    rest = ports
    for (protocol, number), edges in sorted(rows.items()):
        shown = [edge for edge in edges if requests.get(edge)]
        if protocol != "TCP" or not shown or (protocol, number) not in ports:
            continue
        if len(shown) < len(edges):
            notes.append(
                Generalisation(
                    "l4",
                    f"every request on {number}/TCP",
                    f"{len(edges) - len(shown)} of {len(edges)} edges did not show their requests",
                    "l7=http",
                )
            )
            continue
        made = http_rules([each for edge in shown for each in requests[edge]], options)
        if made.rules is None:
            notes.extend(made.notes)
            continue
        port = PortSet.of([(protocol, number)])
        rest -= port
        yield HttpPart(port, made.rules, made.notes)
    if rest:
        yield HttpPart(rest, None, tuple(notes))
