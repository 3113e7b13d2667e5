"""Everything that reads what others wrote, by name: `TARGETS` are the readers, `samples_of` what is changed and given to them."""

from collections.abc import Callable

from flowmine.errors import FlowmineError
from tests.fuzz import documents, found, pages, reading, words

__all__ = ["READERS", "TARGETS", "samples_of"]

_PARTS = (reading, documents, words, pages)
READERS: dict[str, Callable[[bytes], None]] = {
    name: reader for part in _PARTS for name, reader in part.READERS.items()
}
"""What reads bytes; raises FlowmineError where it refuses them, and nothing else."""


def _target(name: str) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        try:
            READERS[name](data)
        except FlowmineError as error:
            assert str(error).strip() and "\n" not in str(error), f"not one line: {error!r}"

    return read


TARGETS: dict[str, Callable[[bytes], None]] = {name: _target(name) for name in READERS}
"""Takes any bytes; an exception is a fault of flowmine's."""


def samples_of(name: str) -> tuple[bytes, ...]:
    """Return good inputs of a target, and those on which it failed once."""
    good = next(part.SAMPLES[name] for part in _PARTS if name in part.SAMPLES)()
    return (*good, *found.FOUND.get(name, ()))
