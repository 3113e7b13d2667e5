"""Flows from a live server, hubble-relay or one node's Hubble: `open_relay` is the way in, `Relay` what it returns."""

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
