"""What an event contributes to the outcome of its connection, and how the sum is read.

| event                                              | contributes                                          |
|----------------------------------------------------|------------------------------------------------------|
| trace TO_ENDPOINT; allowed ingress verdict; L7 request forwarded at ingress | arrived                     |
| trace of a forwarded reply; L7 response forwarded  | replied                                              |
| the same, a TCP reset (nothing listens, or the end)| reset                                                |
| trace TO_STACK, TO_OVERLAY, TO_NETWORK, TO_HOST, TO_CRYPTO; allowed egress verdict; L7 request forwarded at egress | left |
| FROM_*, TO_PROXY, redirected egress verdict        | only that the end was seen                           |
| AUDIT                                              | audited                                              |
| L7 DROPPED                                         | l7_denied                                            |
| DROPPED, ERROR                                     | counted apart, by side and reason (`observe`)        |

FORWARDED says that a point passed the packet on, not that it was delivered: FROM_ENDPOINT precedes policy, and the
source's points precede the destination's ingress policy. So a connection between pods is delivered when it arrived or
was answered; one whose responder is no pod also when it left.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowmine.edges.direction import Hint
from flowmine.schema import ENUMS

__all__ = ["POLICY_REASONS", "Contributions", "contributions"]

POLICY_REASONS = ("POLICY_DENIED", "POLICY_DENY", "AUTH_REQUIRED", "DROP_REASON_UNKNOWN")
"""Drop reasons that are a policy's doing. A drop whose reason the capture leaves out is taken for one, so that it never
turns into traffic that was meant."""

_INGRESS, _EGRESS = 1, 2
_POINTS = {name: code for code, name in enumerate(ENUMS["trace_observation_point"])}
_VERDICTS = {name: code for code, name in enumerate(ENUMS["verdict"])}
_AT_SOURCE = [_POINTS[n] for n in ("FROM_ENDPOINT", "TO_STACK", "TO_OVERLAY", "TO_NETWORK", "TO_CRYPTO")]
_LEAVING = [_POINTS[n] for n in ("TO_STACK", "TO_OVERLAY", "TO_NETWORK", "TO_CRYPTO", "TO_HOST")]
_ANSWERING = [*_LEAVING, _POINTS["TO_ENDPOINT"], _POINTS["TO_PROXY"], _POINTS["UNKNOWN_POINT"]]
_RST = np.uint16(4)


@dataclass(frozen=True, slots=True)
class Contributions:
    """Counts an event, uint64 each; of packets, not connections, where the direction is unknown."""

    events: NDArray[np.uint64]
    at_a: NDArray[np.uint64]
    at_b: NDArray[np.uint64]
    arrived: NDArray[np.uint64]
    left: NDArray[np.uint64]
    replied: NDArray[np.uint64]
    audited: NDArray[np.uint64]
    l7_denied: NDArray[np.uint64]
    l7_passed: NDArray[np.uint64]
    reset: NDArray[np.uint64]


def contributions(
    *,
    hint: NDArray[np.uint8],
    is_l7: NDArray[np.bool_],
    is_verdict: NDArray[np.bool_],
    verdict: NDArray[np.int8],
    point: NDArray[np.int8],
    side: NDArray[np.int8],
    source_local: NDArray[np.int8],
    destination_local: NDArray[np.int8],
    tcp_flags: NDArray[np.uint16],
    weight: NDArray[np.uint64],
) -> Contributions:
    """Return what each event contributes; ``a`` is the initiator (or the source, where the direction is unknown)."""
    passed = (verdict == _VERDICTS["FORWARDED"]) | (verdict == _VERDICTS["REDIRECTED"])
    dropped = (verdict == _VERDICTS["DROPPED"]) | (verdict == _VERDICTS["ERROR"])
    decides = is_l7 | is_verdict | dropped
    trace = ~decides & passed
    swap = hint == Hint.REPLY
    at_source = (source_local == 1) | (~decides & np.isin(point, _AT_SOURCE))
    at_destination = (destination_local == 1) | (~decides & (point == _POINTS["TO_ENDPOINT"]))
    at_a = np.where(swap, at_destination, at_source) | (decides & (side == _EGRESS))
    at_b = np.where(swap, at_source, at_destination) | (decides & (side == _INGRESS))
    reply = swap & passed & (~trace | np.isin(point, _ANSWERING))
    answer = reply | ((hint != Hint.FORWARD) & trace & np.isin(point, _ANSWERING))
    allowed = is_verdict & passed
    forwarded = verdict == _VERDICTS["FORWARDED"]
    request = is_l7 & ~swap & forwarded
    arrived = ~swap & (
        (trace & (point == _POINTS["TO_ENDPOINT"])) | ((allowed | request) & (side == _INGRESS))
    )
    left = ~swap & (
        (trace & np.isin(point, _LEAVING)) | (((allowed & forwarded) | request) & (side == _EGRESS))
    )
    return Contributions(
        events=weight,
        at_a=_count(at_a, weight),
        at_b=_count(at_b, weight),
        arrived=_count(arrived, weight),
        left=_count(left, weight),
        replied=_count(reply, weight),
        audited=_count(verdict == _VERDICTS["AUDIT"], weight),
        l7_denied=_count(is_l7 & (verdict == _VERDICTS["DROPPED"]), weight),
        l7_passed=_count(is_l7 & forwarded, weight),
        reset=_count(answer & ((tcp_flags & _RST) > 0), weight),
    )


def _count(happened: NDArray[np.bool_], weight: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return np.where(happened, weight, np.uint64(0))
