"""What policies would change for recorded connections, one group of them at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from flowmine.advise.groupends import End
from flowmine.policy.model import Direction

__all__ = ["Shift", "ShiftKind"]


_NAMED = 8
"""Policies and entries that are named of one change, at most, where it is told in words."""


class ShiftKind(StrEnum):
    """What policies would change for some connections."""

    DENIED = "would be denied"
    """Delivered when it was recorded: the policies would break it."""
    NEWLY_DENIED = "newly denied"
    """Let through by the policies in force, though not seen delivered."""
    NEWLY_ALLOWED = "newly allowed"
    """Refused by the policies in force, or when it was recorded."""
    NOISE = "noise denied"
    """Delivered, and nobody's need: a scan's hit, a stray probe."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Connections of one kind that change: rows of EDGES, and the sides and rules behind it.

    ``behind`` is by side (of ``sides``, of each `Direction` where there are none) what `by` names. ``requests`` are (method, path) where only requests change, for DNS the method ``DNS``. ``events`` counts flows.
    """

    kind: ShiftKind
    source: End
    target: End
    protocol: str
    port: int | None
    sides: tuple[Direction, ...]
    behind: tuple[tuple[str, ...], ...]
    rows: tuple[int, ...]
    requests: tuple[tuple[str, str], ...]
    events: int
    remarks: tuple[str, ...] = ()

    @property
    def by(self) -> Mapping[Direction, tuple[str, ...]]:
        """Of the denying sides, the policies that closed them or the entries that deny; of newly allowed ones, the entries that
        allow."""
        sides = zip(self.sides or Direction, self.behind, strict=True)
        return {side: names for side, names in sides if names}

    def named(self) -> str:
        """Name what `by` names, each once: the first of them, and how many more there are."""
        return _in_few(tuple(dict.fromkeys(name for names in self.by.values() for name in names)))

    def named_by_side(self) -> Iterator[str]:
        """Do so of each side."""
        return (f"{side}: {_in_few(names)}" for side, names in self.by.items())

    @property
    def where(self) -> str:
        """Port and protocol, `443/TCP`; of ICMP the type."""
        return self.protocol if self.port is None else f"{self.port}/{self.protocol}"

    @property
    def title(self) -> str:
        """Who, to whom, on which port."""
        return f"{self.source.title} to {self.target.title} on {self.where}"


def _in_few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
