"""Names that events put beside addresses: what was asked of DNS, and the Services in front of backends."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowmine.edges.direction import Hint
from flowmine.edges.event import Event, when

__all__ = ["names", "services"]


def names(event: Event) -> pa.Table:
    """Who got which name for which address: from DNS answers, and from the names Hubble put beside an address."""
    flows = event.flows
    made = [
        _named(event, "destination", event.destination, "source_names", "source_ip"),
        _named(event, "source", event.source, "destination_names", "destination_ip"),
    ]
    answers = flows.column("dns_ips")
    rows = pc.list_parent_indices(answers)
    asked = pc.if_else(
        pa.array(event.hint == Hint.REPLY), flows.column("destination"), flows.column("source")
    )
    made.append(
        pa.table(
            {
                "subject": asked.take(rows),
                "ip": pc.list_flatten(answers),
                "name": flows.column("dns_query").take(rows),
                "source": pa.array(np.full(len(rows), "dns"), pa.string()),
                "first": event.time.take(rows),
                "last": event.last.take(rows),
            }
        )
    )
    table = pa.concat_tables(made)
    known = pc.and_(pc.is_valid(table["name"]), pc.is_valid(table["ip"]))
    return table.filter(pc.fill_null(known, False))


def _named(event: Event, subject: str, ids: NDArray[np.uint64], listing: str, address: str) -> pa.Table:
    listed = event.flows.column(listing)
    rows = pc.list_parent_indices(listed)
    pods = rows.filter(pa.array((ids[np.asarray(rows)] & 1) == 1))
    return pa.table(
        {
            "subject": event.flows.column(subject).take(pods),
            "ip": event.flows.column(address).take(pods),
            "name": pc.list_flatten(listed).filter(pa.array((ids[np.asarray(rows)] & 1) == 1)),
            "source": pa.array(np.full(len(pods), "flow"), pa.string()),
            "first": event.time.take(pods),
            "last": event.last.take(pods),
        }
    )


def services(event: Event) -> pa.Table:
    """The Service in front of a backend, from events that show the backend with the Service's name or port beside it.

    A reply after reverse NAT has the backend's address with the Service's port: it says that the pair talked, and not
    on which port (``answers``).
    """
    back = np.asarray(event.flows.column("source_xlated").is_valid()) & (event.hint == Hint.REPLY)
    nothing = np.zeros(len(back), bool)
    made = [
        _fronted(event, event.source, event.destination, "destination_service", nothing),
        _fronted(event, event.destination, event.source, "source_service", back & ~event.is_sock),
    ]
    return pa.concat_tables(made)


def _fronted(
    event: Event, a: NDArray[np.uint64], b: NDArray[np.uint64], name: str, answers: NDArray[np.bool_]
) -> pa.Table:
    service = event.flows.column(name)
    at = np.flatnonzero((np.asarray(service.is_valid()) | answers) & ((b & 1) == 1))
    rows = pa.array(at)
    answered = np.where(answers, event.weight, np.uint64(0))[at]
    return pa.table(
        {
            "a": pa.array(a[at]),
            "b": pa.array(b[at]),
            "protocol": pa.array(event.protocol[at]),
            "service": service.take(rows),
            "count": pa.array(event.weight[at]),
            "answers": pa.array(answered),
            "last_answer": when(event.last.take(rows), answered),
        }
    )
