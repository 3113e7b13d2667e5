"""What tells nothing of an edge: whatever is told alike, `hints` and the ports of rows say the same of."""

from itertools import product

import numpy as np

from flowmine.edges import telling
from flowmine.edges.direction import ACK, EPHEMERAL, SYN, Hint, hints

_PORTS = (-1, 53, EPHEMERAL - 1, EPHEMERAL, EPHEMERAL + 1, 40000, 65535)
_FLAGS = (-1, 0, SYN, ACK, SYN | ACK, SYN | 1, 4)
_CASES = np.array(list(product((-1, 0, 1), _FLAGS, (-1, 0, 1, 2), _PORTS, _PORTS)), np.int64)


def _said() -> list[tuple[int, ...]]:
    """Return of each case what rows are made of: the hint, the responder's port, and the other where it is kept."""
    is_reply, flags, l7, source, destination = _CASES.T
    none = np.zeros(len(_CASES), bool)
    found = hints(
        is_reply=is_reply.astype(np.int8),
        tcp_flags=np.maximum(flags, 0).astype(np.uint16),
        icmpv4=none,
        icmpv6=none,
        icmp_type=none.astype(np.uint8),
        related=none,
        l7_type=l7.astype(np.int8),
        source_port=np.maximum(source, 0).astype(np.uint16),
        destination_port=np.maximum(destination, 0).astype(np.uint16),
    )
    port = np.where(found == Hint.REPLY, source, destination)
    other = np.where((found == Hint.UNKNOWN) | (found == Hint.WEAK), source, -1)
    return list(zip(found.tolist(), port.tolist(), other.tolist(), strict=True))


def test_ports_told_alike_make_the_same_row() -> None:
    """Of every combination of replies, flags, layer 7 and ports."""
    is_reply, flags, l7, source, destination = _CASES.T
    of_source, of_destination = telling.untold(is_reply, flags, l7 >= 0)
    ports = telling.ports(of_source, source), telling.ports(of_destination, destination)
    alike: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for key, said in zip(zip(is_reply, flags, l7, *ports, strict=True), _said(), strict=True):
        alike.setdefault(tuple(map(int, key)), set()).add(said)
    assert all(len(said) == 1 for said in alike.values())
    assert len(alike) < len(_CASES) * 0.8


def test_addresses_tell_of_whatever_is_no_pod_or_has_names() -> None:
    """The lowest bit of an id is set for pods."""
    ids = np.array([0, 2, 3, 5], np.uint64)
    named = np.array([False, True, False, True])
    assert telling.addresses(ids, named).tolist() == [True, True, False, True]
