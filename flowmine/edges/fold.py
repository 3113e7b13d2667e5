"""Keep Parts bounded where the peers of a subject are without bound, as when it is scanned or scans.

Of every subject at most so many peers are kept. A peer is the other end with its address and, where it is known who
began, protocol and port. Which are kept does not depend on order or on how the data was cut: those with the smallest
hash. The events of all others are counted by subject (``folded``) and told in the ledger; they become no edge.
"""

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowmine.edges.hashes import Hashes, hashed, mixed
from flowmine.edges.observe import Parts

__all__ = ["MAX_PEERS", "fold"]

MAX_PEERS = 50_000
"""Peers of a subject that are kept by default: a busy public entry point has them all, and a scan of it a few MB."""

_Limits: TypeAlias = tuple[Hashes, Hashes]
_PEERS = ("rows", "drops", "deniers", "requests")
_STATE = np.uint64(3 << 36)
"""Where `observe` packs whether the direction is unknown beside the ports."""
_PROTOCOL = np.uint64(0xFF << 40)
_MIX = np.uint64(0x9E3779B97F4A7C15)


def fold(parts: Parts, most: int) -> Parts:
    """Return Parts in which no subject has more than ``most`` peers, nor names of more addresses."""
    limits = _limits(*_peers(parts.rows), most) if _most_rows(parts.rows) > most else None
    if limits is not None:
        kept = _within(*_peers(parts.rows), limits)
        rest = parts.rows.filter(pa.array(~kept))
        folded = pa.concat_tables([parts.folded, _counted(rest)]).group_by("subject", use_threads=False)
        totals = folded.aggregate([("count", "sum"), ("first", "min"), ("last", "max")])
        totals = totals.rename_columns(parts.folded.schema.names).cast(parts.folded.schema)
        tables = {name: getattr(parts, name) for name in _PEERS}
        parts = replace(
            parts,
            folded=totals.sort_by("subject"),
            **{
                name: table.filter(pa.array(_within(*_peers(table), limits)))
                for name, table in tables.items()
            },
        )
    return _without_names(parts, most)


def _without_names(parts: Parts, most: int) -> Parts:
    if parts.names.num_rows <= most:
        return parts
    subjects = parts.names["subject"].to_numpy()
    hashes = mixed(hashed(parts.names["ip"]))
    limits = _limits(subjects, hashes, most)
    if limits is None:
        return parts
    return replace(parts, names=parts.names.filter(pa.array(_within(subjects, hashes, limits))))


def _most_rows(table: pa.Table) -> int:
    """Return how many rows the subject has that has most: no subject has more peers."""
    _, counts = np.unique(_subjects(table), return_counts=True)
    return int(counts.max(initial=0))


def _subjects(table: pa.Table) -> Hashes:
    """Return the subject of each row: the first end that is a pod."""
    a, b = (table[name].to_numpy() for name in ("a", "b"))
    found: Hashes = np.where(((a & 1) == 0) & ((b & 1) == 1), b, a)
    return found


def _peers(table: pa.Table) -> tuple[Hashes, Hashes]:
    """Return the subject of each row and a hash of its peer."""
    a, b, ports = (table[name].to_numpy() for name in ("a", "b", "ports"))
    subjects = _subjects(table)
    is_b = subjects != a
    unknown = (ports & _STATE) > 0
    others = np.where(is_b, a, b) * _MIX ^ mixed(hashed(table["a_ip"])) ^ hashed(table["b_ip"])
    return subjects, mixed(mixed(others) ^ np.where(unknown, ports & _PROTOCOL, ports))


def _limits(subjects: Hashes, hashes: Hashes, most: int) -> _Limits | None:
    """Return the subjects with more than ``most`` peers, sorted, and the largest hash that is kept of each."""
    order = np.lexsort((hashes, subjects))
    subjects, hashes = subjects[order], hashes[order]
    first = np.append(True, (subjects[1:] != subjects[:-1]) | (hashes[1:] != hashes[:-1]))
    subjects, hashes = subjects[first], hashes[first]
    starts = np.flatnonzero(np.append(True, subjects[1:] != subjects[:-1]))
    many = starts[np.diff(np.append(starts, len(subjects))) > most]
    return (subjects[many], hashes[many + most - 1]) if len(many) else None


def _within(subjects: Hashes, hashes: Hashes, limits: _Limits) -> NDArray[np.bool_]:
    many, largest = limits
    places = np.searchsorted(many, subjects).clip(max=len(many) - 1)
    return np.asarray((many[places] != subjects) | (hashes <= largest[places]))


def _counted(rows: pa.Table) -> pa.Table:
    """Return rows by subject alone."""
    subjects, _ = _peers(rows)
    return pa.table(
        {"subject": subjects, "count": rows["events"], "first": rows["first"], "last": rows["last"]}
    )
