"""`flowmine.read`: captures opened for exploration."""

import os
from functools import partial

from flowmine.ingest import open_flows
from flowmine.notebook.flows import Flows
from flowmine.notebook.reading import Held, Reading

__all__ = ["read"]


def read(
    *inputs: str | os.PathLike[str], strict: bool = False, keep_query: bool = False, recursive: bool = True
) -> Flows:
    """Return the flows of captures: files, glob patterns, folders; whatever their layout and compression.

    Only what kind of files they are is looked at now; they are read when something is asked. What can be read once only
    (a pipe) is read now. ``strict`` makes the first bad line an error, ``keep_query`` keeps the queries of HTTP paths, and
    ``recursive`` looks into folders of folders.

    Raise InputError where an input does not exist or is no capture, UsageError for no input, TypeError for what is no path.
    """
    opener = partial(open_flows, *inputs, strict=strict, keep_query=keep_query, recursive=recursive)
    source = opener()
    if source.place is not None:
        return Flows(Reading(source.names, opener))
    flows = tuple(source.batches())
    held = Held(flows, source.endpoints, source.pods, source.ledger)
    return Flows(
        Reading(source.names, given=held, why_whole="they came through a pipe; write them to a file")
    )
