"""`flowmine.tail`: a live server followed in the background."""

from collections.abc import Iterator

import polars
import pytest

import flowmine
from flowmine.errors import InputError, UsageError
from flowmine.ingest.replay import Capture, Replay
from flowmine.notebook.flows import Flows
from flowmine.notebook.frame import Frame
from tests.ingest.making import flow
from tests.ingest.relaying import events

COUNT = 40


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No configuration of whoever runs the tests is read."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def server() -> Iterator[Replay]:
    """A server of forty flows."""
    with Replay(events(COUNT)) as server:
        yield server


def test_what_a_server_holds_is_read_once_and_answers(server: Replay) -> None:
    """Without following, all questions are answered from one reading, which is the server's own capture."""
    tail = flowmine.tail(server.address, follow=False)
    assert (f"{server.address}, not followed yet", 0) == (repr(tail), len(server.requests))
    assert COUNT == sum(tail.edges().table.column("events").to_pylist())
    assert COUNT == polars.DataFrame(tail).height
    assert [flow(number)["uuid"] for number in range(COUNT)] == sorted(tail.table.column("uuid").to_pylist())
    assert (1, True) == (len(server.requests), tail.is_over)
    assert f"{COUNT} flows so far" in repr(tail)
    assert tail.so_far() is tail.so_far()


def test_every_question_is_answered(server: Replay) -> None:
    """As of a capture."""
    tail = flowmine.tail(server.address, follow=False)
    for answer in (
        tail.drops(),
        tail.recommend(),
        tail.simulate(flowmine.PolicySet([])),
        tail.explain(flowmine.PolicySet([])),
        tail.map(),
        tail.timeline(),
        tail.first_seen(),
        tail.namespaces(),
    ):
        assert answer.title in repr(answer)
    assert COUNT == len(tail.to_pandas())


def test_filters_are_the_servers(server: Replay) -> None:
    """They go with the request, from one line; what came can be filtered no more, and nothing is recommended of it."""
    tail = flowmine.tail(server.address, "--verdict FORWARDED", follow=False).filter(last=6)
    assert 2 * 6 == len(tail.so_far())  # of each node, as Hubble counts
    with pytest.raises(UsageError, match="it is followed already"):
        tail.filter(verdict="DROPPED")
    with pytest.raises(UsageError, match="the server filters them"):
        tail.so_far().filter(verdict="DROPPED")
    with pytest.raises(UsageError, match="filters would hide"):
        tail.recommend()
    assert 0 == len(flowmine.tail(server.address, verdict="DROPPED", follow=False).so_far())


def test_a_server_is_followed_until_it_is_stopped() -> None:
    """Answers are of what came until then; the flows of an answer do not change any more."""
    with Replay(events(COUNT)) as server, flowmine.tail(server.address, last=COUNT) as tail:
        before = tail.so_far()
        assert not tail.is_over
        while len(tail.so_far()) < COUNT:
            tail.wait(0.05)
        assert len(before) <= COUNT
        assert COUNT == sum(tail.edges().table.column("events").to_pylist())
    assert tail.is_over
    assert COUNT == len(tail.so_far())


def test_a_window_ends_by_itself(server: Replay) -> None:
    """So many seconds are followed, and the answer waits for their end."""
    tail = flowmine.tail(server.address, seconds=0.6, last=COUNT)
    assert (COUNT, True) == (len(tail.so_far()), tail.is_over)


def test_a_question_is_watched_until_the_stream_ends(server: Replay) -> None:
    """Each answer takes the place of the one before; the last one is of all that came."""
    shown: list[tuple[int, int | None]] = []

    def show(answer: Frame, handle: int | None) -> int:
        shown.append((sum(answer.table.column("events").to_pylist()), handle))
        return len(shown)

    flowmine.tail(server.address, seconds=0.7, last=COUNT).watch(every=0.1, show=show)
    assert (COUNT, None) == (shown[-1][0], shown[0][1])
    assert list(range(1, len(shown))) == [handle for _, handle in shown[1:]]
    assert len(shown) >= 2


def test_outside_of_notebooks_what_is_watched_is_printed(
    server: Replay, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plain text of the answers."""
    flowmine.tail(server.address, follow=False).watch(Flows.namespaces, every=0.1)
    assert "SOURCE" in capsys.readouterr().out


def test_a_server_that_is_not_there_is_told() -> None:
    """The first question says so, not the line that named it; what is no address is told at once."""
    tail = flowmine.tail("127.0.0.1:1", follow=False)
    with pytest.raises(InputError, match=r"127\.0\.0\.1:1"):
        tail.edges()
    assert "ended: " in repr(tail)
    with pytest.raises(UsageError):
        flowmine.tail("127.0.0.1:port")
    with pytest.raises(UsageError, match="is no filter of hubble observe"):
        flowmine.tail("127.0.0.1:1", colour="red")
    with pytest.raises(UsageError, match="forwards no port"):
        flowmine.tail(port_forward=True)


def test_a_server_without_flows_answers_with_none() -> None:
    """No edge is no error."""
    with Replay(
        Capture([{"lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "5"}}])
    ) as server:
        tail = flowmine.tail(server.address, follow=False)
        assert (0, 0) == (len(tail.edges()), len(tail.so_far().table))
