"""What a process says to those that read portions for it, and what they answer (`worker`)."""

import msgspec

from flowmine.ingest.division import Keys, New, Portion, Share, Whole

__all__ = ["Done", "Failed", "Finish", "Finished", "Keyed", "Pass", "Read"]


class Read(msgspec.Struct, frozen=True):
    """Read a portion."""

    portion: Portion


class Keyed(msgspec.Struct, frozen=True):
    """A portion is read; ``keys`` tell its flows from those of other portions."""

    number: int
    keys: Keys


class Pass(msgspec.Struct, frozen=True):
    """Pass on the flows of a portion that are new."""

    number: int
    new: New


class Done(msgspec.Struct, frozen=True):
    """All of a portion is read and added up."""

    number: int
    share: Share


class Failed(msgspec.Struct, frozen=True):
    """A portion cannot be read, or with ``number`` None, what is left at the end cannot be added up."""

    number: int | None
    error: Exception


class Finish(msgspec.Struct, frozen=True):
    """There are no more portions."""


class Finished(msgspec.Struct, frozen=True):
    """What all portions add up to, and what is known besides."""

    parts: dict[str, bytes]
    whole: Whole
