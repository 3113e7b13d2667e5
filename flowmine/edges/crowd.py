"""What was between one port and ever new ephemeral ones, of unknown direction, told as one: as dropped datagrams are.

Such rows wait for the whole data (`orient`): one of the ephemeral ports might be that of a listener. One of very many
is not, for whoever listens does so on few. So where there are more than a hundred or so, they become one row, which
says that they were many, and is settled by the range that its ports are of. Otherwise what is denied to a client would
take as much room as it has ports, each hour.
"""

from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowmine.edges.direction import EPHEMERAL
from flowmine.edges.hashes import hashed, mixed
from flowmine.edges.observe import KEYS, Parts, apart, in_pieces, latest_apart
from flowmine.edges.orient import MANY, UNKNOWN, unpack

__all__ = ["crowd"]

_MANY_PORTS = 128
"""Ephemeral ports between which and one port there may be a row each."""
_TABLES = ("rows", "drops", "deniers")
_MANY = np.uint64(MANY << 36)
_PORT, _OTHER = np.uint64(0xFFFF), np.uint64(16)


def crowd(parts: Parts) -> Parts:
    """Return Parts, added up, in which rows that differ in one of very many ephemeral ports alone are one."""
    changed = {name: _told_as_one(getattr(parts, name), name) for name in _TABLES}
    return replace(parts, **{name: table for name, table in changed.items() if table is not None})


def _told_as_one(table: pa.Table, which: str) -> pa.Table | None:
    """Return a table so told; None where there is nothing to be done."""
    if not _may_be(table["ports"].to_numpy()):
        return None
    if which != "rows":
        ports = _ports(table, which)
        return None if ports is None else in_pieces(_with_ports(table, ports), which)
    made: list[pa.Table] = []
    for batches in apart(table.to_batches()):
        one = pa.Table.from_batches(batches)
        ports = _ports(one, which)
        if ports is None:
            made.append(one)
        else:
            made += latest_apart(in_pieces(_with_ports(one, ports), which).combine_chunks())
    return pa.concat_tables(made)


def _with_ports(table: pa.Table, ports: NDArray[np.uint64]) -> pa.Table:
    return table.set_column(table.schema.get_field_index("ports"), "ports", pa.array(ports))


def _may_be(ports: NDArray[np.uint64]) -> bool:
    _, state, _, _, _ = unpack(ports)
    unknown = int(np.count_nonzero(state == UNKNOWN))
    return unknown > _MANY_PORTS or bool(unknown and (state == MANY).any())


def _ports(table: pa.Table, which: str) -> NDArray[np.uint64] | None:
    """Return the ports of rows, packed, those told as one the same; None where none are."""
    ports: NDArray[np.uint64] = table["ports"].to_numpy()
    if not _may_be(ports):
        return None
    _, state, _, other, port = unpack(ports)
    edge = np.uint64(EPHEMERAL)
    calls, answers = (
        (other >= edge) & (port < edge) & (port > 0),
        (port >= edge) & (other < edge) & (other > 0),
    )
    unknown, many = state == UNKNOWN, state == MANY
    asked = np.flatnonzero(unknown & (calls | answers) | many)
    kept = np.where(calls, ports & ~(_PORT << _OTHER) | edge << _OTHER, ports & ~_PORT | edge)
    told = (kept | _MANY)[asked]
    _, groups = np.unique(_keys(table, which, asked, told), return_inverse=True)
    counts = np.bincount(groups)
    crowded = counts > _MANY_PORTS
    crowded[groups[many[asked]]] = True
    chosen = crowded[groups]
    if not (chosen & ~many[asked]).any():
        return None
    made: NDArray[np.uint64] = ports.copy()
    made[asked[chosen]] = told[chosen]
    return made


def _keys(
    table: pa.Table, which: str, asked: NDArray[np.intp], told: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Return a hash of the key of some rows, with other ports."""
    key = mixed(told)
    for name in KEYS[which]:
        if name != "ports":
            column = table[name].take(pa.array(asked))
            text = pa.types.is_string(column.type)
            key = mixed(key ^ (hashed(column) if text else column.to_numpy().astype(np.uint64)))
    return key
