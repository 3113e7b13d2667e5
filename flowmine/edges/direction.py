"""Who began a connection: the three states of ``is_reply``, and what overrules or settles them.

| evidence, strongest first                         | the packet is                                |
|---------------------------------------------------|----------------------------------------------|
| ``trace_reason`` RELATED, ICMP error, NDP, MLD    | no part of a beginning: left out             |
| ICMP echo, timestamp … request or reply by type   | forward, or a reply to the request's type    |
| TCP SYN+ACK                                       | a reply, whatever ``is_reply`` says          |
| ``is_reply`` true                                 | a reply                                      |
| ``is_reply`` false                                | forward; weak if its ports look like a reply |
| L7 REQUEST or RESPONSE                            | forward, a reply                             |
| TCP SYN without ACK                               | forward                                      |
| none of these                                     | unknown: settled by the listeners seen in the whole data, then by the ephemeral range |

A reply seen after Cilium lost its conntrack entry is reported with a known false ``is_reply``; such a packet goes from
a low port to an ephemeral one, so exactly those stay weak and may be overruled by a known listener.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["ACK", "EPHEMERAL", "SYN", "Hint", "hints", "request_type"]

EPHEMERAL = 32768
"""First port of Linux' ephemeral range (``net.ipv4.ip_local_port_range``); NodePorts end right below it."""

SYN, ACK = 2, 16
"""Bits of TCP flags."""


class Hint(IntEnum):
    """What one event says of its packet."""

    UNKNOWN = 0
    FORWARD = 1
    REPLY = 2
    WEAK = 3
    """Said to be forward, but between ports of a reply."""
    NONE = 4
    """Begins nothing and answers nothing that policies judge."""


# ICMP types by family: reply type -> the request's type; requests; and what never begins a connection (RFC 792, 950,
# 4443, 4861, 2710, 3810; Cilium tracks only echo).
_V4_REPLIES = {0: 8, 14: 13, 16: 15, 18: 17}
_V6_REPLIES = {129: 128}
_V4_NEVER = (3, 4, 5, 11, 12)
_V6_NEVER = (1, 2, 3, 4, *range(130, 138), 143)


def _table(replies: dict[int, int], never: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    hint = np.full(256, Hint.UNKNOWN, dtype=np.uint8)
    request = np.arange(256, dtype=np.uint8)
    for reply, asked in replies.items():
        hint[reply], hint[asked], request[reply] = Hint.REPLY, Hint.FORWARD, asked
    hint[list(never)] = Hint.NONE
    return hint, request


_V4_HINT, _V4_REQUEST = _table(_V4_REPLIES, _V4_NEVER)
_V6_HINT, _V6_REQUEST = _table(_V6_REPLIES, _V6_NEVER)


def hints(
    *,
    is_reply: NDArray[np.int8],
    tcp_flags: NDArray[np.uint16],
    icmpv4: NDArray[np.bool_],
    icmpv6: NDArray[np.bool_],
    icmp_type: NDArray[np.uint8],
    related: NDArray[np.bool_],
    l7_type: NDArray[np.int8],
    source_port: NDArray[np.uint16],
    destination_port: NDArray[np.uint16],
) -> NDArray[np.uint8]:
    """Return a `Hint` an event.

    ``is_reply`` is 1, 0 or -1 for unknown; ``tcp_flags`` 0 where there are none; ``l7_type`` -1, 1 REQUEST, 2 RESPONSE.
    """
    syn, ack = (tcp_flags & SYN) > 0, (tcp_flags & ACK) > 0
    looks_reply = (source_port < EPHEMERAL) & (destination_port >= EPHEMERAL) & (source_port > 0) & ~syn
    hint = np.full(len(is_reply), Hint.UNKNOWN, dtype=np.uint8)
    hint[syn & ~ack] = Hint.FORWARD
    hint[l7_type == 1] = Hint.FORWARD
    hint[l7_type == 2] = Hint.REPLY
    hint[is_reply == 0] = Hint.FORWARD
    hint[(is_reply == 0) & looks_reply & (l7_type < 0)] = Hint.WEAK
    hint[is_reply == 1] = Hint.REPLY
    hint[syn & ack] = Hint.REPLY
    for family, table in ((icmpv4, _V4_HINT), (icmpv6, _V6_HINT)):
        by_type = table[icmp_type]
        known = family & (by_type != Hint.UNKNOWN)
        hint[known] = by_type[known]
    hint[related] = Hint.NONE
    return hint


def request_type(
    icmpv4: NDArray[np.bool_], icmpv6: NDArray[np.bool_], icmp_type: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return the type of the request that each ICMP packet is or answers: that is what a rule must name."""
    return np.where(icmpv6, _V6_REQUEST[icmp_type], np.where(icmpv4, _V4_REQUEST[icmp_type], icmp_type))
