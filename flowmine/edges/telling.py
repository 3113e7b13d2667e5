"""What of a flow tells nothing of its edge, so that flows which differ in that alone are alike (`ingest.folding`)."""

import numpy as np
from numpy.typing import NDArray

from flowmine.edges.direction import ACK, EPHEMERAL, SYN

__all__ = ["addresses", "ports", "untold"]


def untold(
    is_reply: NDArray[np.int64], tcp_flags: NDArray[np.int64], is_l7: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell of which packets the source's port, and of which the destination's, says nothing if it is ephemeral.

    That is the source's of a packet said to be no reply, and of a SYN of which nothing is said (drops); and the
    destination's of a reply or SYN+ACK: `direction.hints` says the same with it, and the responder's port is the other
    one. Arguments are as for `direction.hints`, with -1 for no flags; ``is_l7`` where there is a layer 7.
    """
    flags = np.where(tcp_flags < 0, 0, tcp_flags) & (SYN | ACK)
    answers = flags == (SYN | ACK)
    forward = (is_reply == 0) & ~answers | (is_reply < 0) & (flags == SYN) & ~is_l7
    return forward, (is_reply == 1) | answers


def ports(is_untold: NDArray[np.bool_], ports: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ports (-1 for none) with `EPHEMERAL` for each ephemeral one that is `untold`."""
    return np.where(is_untold & (ports > EPHEMERAL), EPHEMERAL, ports)


def addresses(ids: NDArray[np.uint64], is_named: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell at which ends the address tells something: of a pod only where names are put beside it (`names.names`).

    ``ids`` are those of endpoints; that of a pod may yet be unknown.
    """
    return np.asarray(((ids & np.uint64(1)) == 0) | is_named)
