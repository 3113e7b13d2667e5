"""The filters of `hubble observe`: as values (`FlowFilter`, `Selection`), and as a predicate over a record.

The same values go to a live relay as protobuf and here over captured records, with the same meaning. Names are imported
on first use: a command that reads all of a capture needs little more than an empty `Selection`.
"""

from typing import TYPE_CHECKING

from flowmine.ingest.lazily import on_first_use

if TYPE_CHECKING:
    from flowmine.ingest.filters.decode import flow_filters
    from flowmine.ingest.filters.matching import matcher
    from flowmine.ingest.filters.model import EventType, FlowFilter, Header, Interface, Workload
    from flowmine.ingest.filters.predicates import predicate
    from flowmine.ingest.filters.selection import Selection
    from flowmine.ingest.filters.when import nanoseconds, point_in_time

__all__ = [
    "EventType",
    "FlowFilter",
    "Header",
    "Interface",
    "Selection",
    "Workload",
    "flow_filters",
    "matcher",
    "nanoseconds",
    "point_in_time",
    "predicate",
]

__getattr__ = on_first_use(
    __name__,
    {
        "decode": ("flow_filters",),
        "matching": ("matcher",),
        "model": ("EventType", "FlowFilter", "Header", "Interface", "Workload"),
        "predicates": ("predicate",),
        "selection": ("Selection",),
        "when": ("nanoseconds", "point_in_time"),
    },
)
