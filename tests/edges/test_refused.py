"""Connections that were reached and refused: a TCP reset and no other answer."""

import pytest

from tests.edges.events import API, WEB, answered, event
from tests.edges.test_outcome import SYN, settled

RST_ACK, SYN_ACK, FIN_ACK = 20, 18, 17


@pytest.mark.parametrize(
    ("answers", "refused"),
    [
        ([RST_ACK], True),
        ([RST_ACK, RST_ACK], True),
        ([SYN_ACK], False),
        ([SYN_ACK, RST_ACK], False),
        ([FIN_ACK], False),
        ([], False),
    ],
)
def test_an_edge_is_refused_when_resets_are_all_that_answered(answers, refused):
    """A reset after an answer ends a connection; a reset alone says that nothing listens."""
    call = event(WEB, API, destination_port=80, trace_observation_point="TO_ENDPOINT", **SYN)
    replies = [
        answered(
            call, tcp_flags=flags, is_reply=True, trace_reason="REPLY", trace_observation_point="TO_ENDPOINT"
        )
        for flags in answers
    ]
    (count,) = settled(call, *replies).edges["refused"].to_pylist()
    assert refused == (count > 0)
