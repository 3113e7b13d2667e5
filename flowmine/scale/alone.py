"""Read a source with this process alone: its portions one after the other, as others would read them.

Those of recorded captures are begun in threads, each while those before are added up: Arrow reads them beside Python.
One compressed input is inflated in a thread into slots, which are read as a plain file is.
"""

from collections.abc import Iterator
from functools import partial

from flowmine.edges import Parts, Sum, Sums, parts_of, telling
from flowmine.errors import InputError
from flowmine.ingest.ahead import each_ahead
from flowmine.ingest.division import Division, Folds, Keys, Portion, Reader, Share
from flowmine.ingest.slots import OwnSlots, Slot, Slots

__all__ = ["add_own", "gather"]


def gather(division: Division, how: Sums) -> Parts:
    """Return what a source adds up to.

    Raise as `flowmine.ingest.source.Source.batches`; Undividable where a record goes on from one portion to the next.
    """
    slots = OwnSlots() if division.is_one_stream else None
    reader, total = Reader(division.settings, telling, slots), Sum(how)
    for portion, made in _each(division, reader, slots):
        if made is None:
            add_own(division, portion, total)
            continue
        if isinstance(made, InputError):
            raise division.told(portion, made) from made
        share, folds, keys = made
        if folds is not None:
            for batch in reader.passed_on(share, folds, division.new(keys)):
                total.add_flows(batch)
        division.join(portion, share)
    rest, whole = reader.end()
    for batch in rest:
        total.add_flows(batch)
    division.end([whole])
    return total.parts()


def _each(
    division: Division, reader: Reader, slots: Slots | None
) -> Iterator[tuple[Portion, tuple[Share, Folds | None, Keys] | InputError | None]]:
    """Yield the portions and what reading each gives; None for those that the division reads."""
    portions, begin = division.portions(slots), partial(_begun, reader)
    for portion, early, keys in each_ahead(begin, portions) if division.is_recorded else map(begin, portions):
        if not portion.is_elsewhere:
            yield portion, None
            continue
        try:
            share, folds = reader.read(portion, early)
        except InputError as error:
            yield portion, error
            return
        if slots is not None and isinstance(portion.content, Slot):
            slots.give_back(portion.content.number)
        yield portion, (share, folds, reader.keys(folds) if early is None else keys)


def _begun(reader: Reader, portion: Portion) -> tuple[Portion, Folds | None, Keys]:
    """Return a portion, and what can be read of it before its turn."""
    early = reader.begun(portion)
    return portion, early, reader.keys(early)


def add_own(division: Division, portion: Portion, total: Sum) -> None:
    """Add a portion that no other than the division reads."""
    batch, kept = division.own(portion)
    for tables in kept:
        total.add(parts_of(tables, requests=total.how.requests))
    if batch is not None and batch.num_rows:
        total.add_flows(batch)
