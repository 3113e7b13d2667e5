"""A Hubble server made of a capture: for tests, demonstrations, and users without a cluster at hand."""

from flowmine.ingest.replay.capture import Capture
from flowmine.ingest.replay.faults import Fault
from flowmine.ingest.replay.server import Replay, Tls
from flowmine.ingest.replay.timeline import Pace

__all__ = ["Capture", "Fault", "Pace", "Replay", "Tls"]
