"""Flows from a live server, hubble-relay or one node's Hubble: `open_relay` is the way in, `Relay` what it returns.

Names are imported on first use: a command that reads captures looks at the settings of servers, and needs no gRPC.
"""

from typing import TYPE_CHECKING

from flowmine.ingest.lazily import on_first_use

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

__getattr__ = on_first_use(
    __name__,
    {
        "address": ("Server",),
        "cursors": ("Marks",),
        "session": ("Counts", "Timing"),
        "source": ("Relay", "RelayOptions", "open_relay"),
        "status": ("Node", "Status"),
    },
)
