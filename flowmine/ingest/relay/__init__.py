"""Flows from a live server, hubble-relay or one node's Hubble: `open_relay` is the way in, `Relay` what it returns.

Names are imported on first use: a command that reads captures looks at the settings of servers, and needs no gRPC.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowmine.ingest.relay.address import Server
    from flowmine.ingest.relay.cursors import Marks
    from flowmine.ingest.relay.session import Counts, Timing
    from flowmine.ingest.relay.source import Relay, RelayOptions, open_relay
    from flowmine.ingest.relay.status import Node, Status

__all__ = [
    "Counts",
    "Marks",
    "Node",
    "Relay",
    "RelayOptions",
    "Server",
    "Status",
    "Timing",
    "open_relay",
]

_HOMES = {
    "address": ("Server",),
    "cursors": ("Marks",),
    "session": ("Counts", "Timing"),
    "source": ("Relay", "RelayOptions", "open_relay"),
    "status": ("Node", "Status"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
