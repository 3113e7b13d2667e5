"""What a process says to those that read portions for it, and what they answer (`worker`)."""

from dataclasses import dataclass

from flowmine.ingest.division import Keys, New, Portion, Share, Whole

__all__ = ["Done", "Failed", "Finish", "Finished", "Keyed", "Pass", "Read"]


@dataclass(frozen=True, slots=True)
class Read:
    """Read a portion."""

    portion: Portion


@dataclass(frozen=True, slots=True)
class Keyed:
    """A portion is read; ``keys`` tell its flows from those of other portions."""

    number: int
    keys: Keys


@dataclass(frozen=True, slots=True)
class Pass:
    """Pass on the flows of a portion that are new."""

    number: int
    new: New


@dataclass(frozen=True, slots=True)
class Done:
    """All of a portion is read and added up."""

    number: int
    share: Share


@dataclass(frozen=True, slots=True)
class Failed:
    """A portion cannot be read, or with ``number`` None, what is left at the end cannot be added up."""

    number: int | None
    error: Exception


@dataclass(frozen=True, slots=True)
class Finish:
    """There are no more portions."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What all portions add up to, and what is known besides."""

    parts: dict[str, bytes]
    whole: Whole
