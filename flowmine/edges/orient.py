"""Settle the direction of events that did not tell it themselves, with the whole data in sight.

A packet of unknown direction goes towards the end that is a known listener on its port; where both or neither are, from
the ephemeral range to a lower port. What stays open is counted, never guessed into a rule. The decision depends on the
connection's key and the listeners alone, so every table that carries the key is settled the same way.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowmine.edges.direction import EPHEMERAL

__all__ = ["MANY", "UNKNOWN", "listeners", "orient", "unpack"]

_CONNECTION = ("a", "b", "a_ip", "b_ip", "ports")
_KNOWN, UNKNOWN, _WEAK, MANY = range(4)
"""What rows say of their direction (`observe`): told, not told, said but doubtful, and not told of what was between one
port and very many ephemeral ones (`crowd`).
"""
_LISTENER = ["end", "address", "listens"]


def unpack(ports: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], ...]:
    """Return protocol, state, has-port, the initiator's (or source) port and the responder's (or destination) port."""
    u = np.uint64
    return (
        ports >> u(40),
        ports >> u(36) & u(3),
        ports >> u(32) & u(1),
        ports >> u(16) & u(0xFFFF),
        ports & u(0xFFFF),
    )


def _calls(
    end: pa.ChunkedArray, address: pa.ChunkedArray, protocol: NDArray[np.uint64], port: NDArray[np.uint64]
) -> pa.Table:
    return pa.table({"end": end, "address": address, "listens": pa.array(protocol << np.uint64(16) | port)})


def listeners(rows: pa.Table) -> pa.Table:
    """Return on which (endpoint, address, protocol and port) somebody was certainly called."""
    protocol, state, has_port, _, low = unpack(rows["ports"].to_numpy())
    known = (state == _KNOWN) & (has_port == 1)
    called = _calls(rows["b"], rows["b_ip"], protocol, low).filter(pa.array(known))
    return called.group_by(_LISTENER, use_threads=False).aggregate([])


def _listens(known: pa.Table, asked: pa.Table) -> NDArray[np.bool_]:
    asked = asked.append_column("place", pa.array(np.arange(asked.num_rows)))
    found = asked.join(known, keys=_LISTENER, join_type="left semi", use_threads=False)
    answer = np.zeros(asked.num_rows, bool)
    answer[found["place"].to_numpy()] = True
    return answer


def orient(table: pa.Table, known: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the table's settled rows with the columns of EDGE_KEY and ``swapped``, and the rows that stay open.

    ``known`` is what `listeners` returned. The table has `_CONNECTION` among its columns; the new key columns take
    their place, protocol as a code, ``port`` -1 and addresses empty where there are none. ``swapped`` marks packets
    that turned out to be replies: what else their row says is still in the packet's terms.
    """
    protocol, state, has_port, high, low = unpack(table["ports"].to_numpy())
    forward, reply = _decide(table, known, protocol, state, high, low)
    swapped = pa.array(reply)
    number = np.where(has_port == 1, np.where(reply, high, low).astype(np.int32), np.int32(-1))

    def either(own: str, other: str) -> pa.ChunkedArray:
        return pc.if_else(swapped, table[other], table[own]) if reply.any() else table[own]

    columns = {
        "initiator": either("a", "b"),
        "responder": either("b", "a"),
        "protocol": pa.array(protocol.astype(np.int8)),
        "port": pa.array(number),
        "initiator_ip": either("a_ip", "b_ip"),
        "responder_ip": either("b_ip", "a_ip"),
        "swapped": swapped,
    }
    rest = {name: table[name] for name in table.schema.names if name not in _CONNECTION}
    made, settled = pa.table({**columns, **rest}), pa.array(forward | reply)
    if pc.all(settled).as_py():
        return made, table.slice(0, 0)
    return made.filter(settled), table.filter(pc.invert(settled))


def _decide(
    table: pa.Table,
    known: pa.Table,
    protocol: NDArray[np.uint64],
    state: NDArray[np.uint64],
    high: NDArray[np.uint64],
    low: NDArray[np.uint64],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    forward, reply = state == _KNOWN, np.zeros(len(state), bool)
    at = np.flatnonzero(~forward)
    if len(at) == 0:
        return forward, reply
    rows = table.take(pa.array(at))
    protocol, state, high, low = protocol[at], state[at], high[at], low[at]
    to = _listens(known, _calls(rows["b"], rows["b_ip"], protocol, low)) & (low > 0)
    back = _listens(known, _calls(rows["a"], rows["a_ip"], protocol, high)) & (high > 0)
    many = state == MANY  # whose ephemeral port is that of none, and of no listener
    to, back = to & ~many, back & ~many
    weak, even = state == _WEAK, to == back
    both = even & ~weak & (low > 0) & (high > 0)
    forward[at] = (
        (to & ~back)
        | (weak & even)
        | (both & (low < EPHEMERAL) & (high >= EPHEMERAL))
        | (even & ~weak & (low > 0) & (high == 0))  # the capture left the caller's port out
    )
    reply[at] = (back & ~to) | (both & (high < EPHEMERAL) & (low >= EPHEMERAL))
    return forward, reply
