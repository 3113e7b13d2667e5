"""Read a source with this process alone: its portions one after the other, as others would read them."""

from flowmine.edges import Parts, Sum, Sums, parts_of, telling_ports
from flowmine.errors import InputError
from flowmine.ingest.division import Division, Portion, Reader

__all__ = ["add_own", "gather"]


def gather(division: Division, how: Sums) -> Parts:
    """Return what a source adds up to.

    Raise as `flowmine.ingest.source.Source.batches`; Undividable where a record goes on from one portion to the next.
    """
    reader, total = Reader(division.settings, telling_ports), Sum(how)
    for portion in division.portions():
        if not portion.is_elsewhere:
            add_own(division, portion, total)
            continue
        try:
            share, folds = reader.read(portion)
        except InputError as error:
            raise division.told(portion, error) from error
        if folds is not None:
            total.add_flows(reader.passed_on(share, folds, division.new(reader.keys(folds))))
        division.join(portion, share)
    division.end([reader.end()])
    return total.parts()


def add_own(division: Division, portion: Portion, total: Sum) -> None:
    """Add a portion that no other than the division reads."""
    batch, kept = division.own(portion)
    for tables in kept:
        total.add(parts_of(tables, requests=total.how.requests))
    if batch is not None:
        total.add_flows(batch)
