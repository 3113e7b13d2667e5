"""Following a live server for the page: edges as they come, breaks told, and the end."""

import threading
import time
from collections.abc import Callable
from typing import Any

from flowmine.edges import COLUMNS, REQUEST_COLUMNS
from flowmine.errors import InputError
from flowmine.ingest import open_flows
from flowmine.ingest.replay import Fault, Pace, Replay
from flowmine.web.following import Follower, State
from tests.ingest.relaying import relay
from tests.web.making import SAMPLES

FLOWS = (*COLUMNS, *REQUEST_COLUMNS, "node_name")


class Watched:
    """What a follower shows and tells."""

    def __init__(self) -> None:
        self.edges: list[int] = []
        self.states: list[State] = []

    def show(self, edges: Any, _ledger: Any) -> None:
        """Take edges."""
        self.edges.append(edges.edges.num_rows)

    def until(self, true: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, (self.edges[-3:], self.states[-3:])
            time.sleep(0.05)

    def phases(self) -> list[str]:
        """Return the phases one after another, repetitions left out."""
        found = [state.phase for state in self.states]
        return [phase for place, phase in enumerate(found) if place == 0 or found[place - 1] != phase]


def following(source: Any, **options: Any) -> tuple[Watched, Follower]:
    """Return a follower that looks often, and what it tells."""
    seen = Watched()
    return seen, Follower(source, seen.show, seen.states.append, look=0.2, **options)


def test_edges_come_as_they_are_seen() -> None:
    """While the stream goes on edges are shown again and again, and counts are told."""
    with Replay(open_flows(str(SAMPLES / "empire")), pace=Pace(rate=300)) as server:
        source = relay(server.address, columns=FLOWS, follow=True, tick=0.2)
        seen, follower = following(source)
        with follower:
            seen.until(lambda: len(seen.edges) >= 3)
        assert sorted(seen.edges) == seen.edges and seen.edges[0] < seen.edges[-1]
        assert {"live"} == set(seen.phases()) and seen.states[-1].flows > 0


def test_a_break_is_told_and_then_the_stream_goes_on() -> None:
    """A stream that falls silent counts as interrupted; once it is back it is live, and goes on from there."""
    with Replay(
        open_flows(str(SAMPLES / "empire")), pace=Pace(rate=200), faults=[Fault("drop", 150)]
    ) as server:
        source = relay(server.address, columns=FLOWS, follow=True, tick=0.2)
        seen, follower = following(source, silent=0.05)
        with follower:
            seen.until(lambda: seen.states[-1].flows > 300)
        assert "live" == seen.states[-1].phase


def test_the_end_of_a_stream_is_told() -> None:
    """A stream that ends by itself is shown to its last edge, and said to have ended."""
    with Replay(open_flows(str(SAMPLES / "empire"))) as server:
        source = relay(server.address, columns=FLOWS, tick=0.2)
        seen, follower = following(source)
        with follower:
            seen.until(lambda: seen.states[-1].phase == "ended")
    assert seen.edges and seen.states[-1].flows > 500


class Silent:
    """A source that waits, and then fails."""

    def __init__(self, error: Exception) -> None:
        self._error, self._over = error, threading.Event()
        from flowmine.ledger import Ledger

        self.ledger = Ledger()
        self.ledger.add("reconnect", "the link is down", first=5)

    def batches(self) -> Any:
        """Yield nothing for a while."""
        self._over.wait(2.5)
        raise self._error
        yield

    def stop(self) -> None:
        """End the waiting."""
        self._over.set()


def test_silence_is_an_interruption_with_its_reason_and_a_failure_is_the_end() -> None:
    """Without a sign of the stream the ledger's last reason is told; what raises ends it with its sentence."""
    seen, follower = following(Silent(InputError("relay:4245: it is not ready")), silent=0.3)
    with follower:
        seen.until(lambda: seen.states[-1].phase == "failed")
    assert ["live", "interrupted", "failed"] == seen.phases()
    assert "the link is down" == next(each.why for each in seen.states if each.phase == "interrupted")
    assert "relay:4245: it is not ready" == seen.states[-1].why
