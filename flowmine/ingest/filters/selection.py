"""A whole selection as one `hubble observe` line makes it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowmine.ingest.filters.model import FlowFilter

__all__ = ["Selection"]


@dataclass(frozen=True, slots=True)
class Selection:
    """What one line of options asks for: allow and deny lists, a window of time, and how many events.

    ``since`` and ``until`` are nanoseconds since the epoch, both inclusive. ``first`` and ``last`` count events that
    passed, lost ones and node status among them; 0 is no limit.
    """

    allow: "tuple[FlowFilter, ...]" = ()
    deny: "tuple[FlowFilter, ...]" = ()
    since: int | None = None
    until: int | None = None
    first: int = 0
    last: int = 0

    @property
    def everything(self) -> bool:
        """Tell whether nothing is left out."""
        return self == Selection()

    @property
    def needs(self) -> frozenset[str]:
        """The fields of FlowFilter that are asked about."""
        return frozenset(name for each in (*self.allow, *self.deny) for name in each.given())
