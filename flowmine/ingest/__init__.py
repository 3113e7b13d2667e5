"""Captured Hubble flows in, FLOWS batches out: `open_flows` is the way in, `Source` what it returns."""

from flowmine.ingest.jsonl import Keep
from flowmine.ingest.source import Options, Progress, Source, open_flows

__all__ = ["Keep", "Options", "Progress", "Source", "open_flows"]
