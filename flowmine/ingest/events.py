"""Events that are no flows: lost events, node status, agent and debug events, told to the ledger."""

from typing import Any

from flowmine.ingest.times import nanoseconds
from flowmine.ledger import Ledger

__all__ = ["tell"]


def tell(ledger: Ledger, kind: str, record: dict[str, Any]) -> None:
    """Write an event that is no flow, in canonical form, into the ledger; ``kind`` is the key it stands under."""
    node, at = str(record.get("node_name") or ""), nanoseconds(record.get("time"))
    event = record[kind]
    if kind == "lost_events":
        count = event.get("num_events_lost", 0)
        first, last = nanoseconds(event.get("first")), nanoseconds(event.get("last"))
        ledger.add(
            "lost",
            str(event.get("source", "UNKNOWN_LOST_EVENT_SOURCE")),
            node=node,
            count=int(count) if str(count).isdigit() else 0,
            first=at if first is None else first,
            last=at if last is None else last,
        )
    elif kind == "node_status":
        state = str(event.get("state_change", "UNKNOWN_NODE_STATE"))
        for name in event.get("node_names") or [node]:
            ledger.add("node_status", state, node=str(name), first=at)
    else:
        ledger.add("skipped", kind, node=node, first=at)
