"""Cursors: what is sent again is counted once, and what was missed is told with both its ends."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine.ingest.relay.cursors import Cursor, Cursors, Events, Marks
from flowmine.ledger import Ledger

SECOND = 10**9
MARKS = Marks(overlap=10 * SECOND, disorder=SECOND, window=1 << 10)


def made(*numbers: int, node: str = "a", step: int = SECOND // 2) -> Events:
    """Return one node's events by number: half a second apart, each with a key of its own."""
    return several(*((number, node) for number in numbers), step=step)


def several(*found: tuple[int, str], step: int = SECOND // 2) -> Events:
    """Return events of several nodes by number and node."""
    names = sorted({node for _, node in found})
    return Events(
        np.array([names.index(node) for _, node in found], np.int64),
        names,
        np.array([number * step for number, _ in found], np.int64),
        np.array([1 + number * 7 + 1_000_003 * ord(node) for number, node in found], np.uint64),
    )


def admitted(cursors: Cursors, events: Events) -> list[bool]:
    """Which events were new."""
    new: list[bool] = cursors.admit(events).tolist()
    return new


def gaps(ledger: Ledger) -> list[tuple[str, Any, Any]]:
    """The gaps of a ledger: node, first and last in half seconds."""
    return [
        (node, (entry.first or 0) / (SECOND // 2), (entry.last or 0) / (SECOND // 2))
        for (node, kind, _), entry in sorted(ledger.entries.items())
        if kind == "gap"
    ]


@pytest.fixture
def ledger() -> Ledger:
    """A ledger of nothing."""
    return Ledger()


@pytest.fixture
def cursors(ledger: Ledger) -> Cursors:
    """Cursors of a stream that goes back to them."""
    found = Cursors(ledger, MARKS)
    found.covered = True
    return found


def test_what_is_sent_again_is_new_once(cursors: Cursors, ledger: Ledger) -> None:
    """Of events sent twice the second is not new, and is counted as a duplicate of its node."""
    assert admitted(cursors, made(1, 2, 3)) == [True] * 3
    assert admitted(cursors, made(2, 3, 4)) == [False, False, True]
    assert ledger.entries["a", "duplicate", "uuid"].count == 2


def test_an_anchor_that_comes_back_leaves_no_gap(cursors: Cursors, ledger: Ledger) -> None:
    """After an interruption the newest event comes back: nothing is missing."""
    cursors.admit(made(1, 2, 3))
    cursors.interrupt("the stream broke")
    assert cursors.catching_up == ("a",)
    assert admitted(cursors, made(1, 2, 3, 4, 50)) == [False, False, False, True, True]
    assert (cursors.catching_up, gaps(ledger)) == ((), [])


def test_an_anchor_that_was_overwritten_is_a_gap_with_both_ends(cursors: Cursors, ledger: Ledger) -> None:
    """After an interruption later events come without the newest: what lay between may be missing."""
    cursors.admit(made(1, 2, 3))
    cursors.interrupt("the stream broke")
    assert admitted(cursors, made(40, 41, 42)) == [True] * 3
    assert gaps(ledger) == [("a", 3, 40)]


def test_each_node_is_judged_for_itself(cursors: Cursors, ledger: Ledger) -> None:
    """One node's ring kept its events and another's did not: only that one has a gap."""
    cursors.admit(several((1, "a"), (2, "b")))
    cursors.interrupt("the stream broke")
    cursors.admit(several((1, "a"), (50, "a"), (51, "b"), (60, "b")))
    assert gaps(ledger) == [("b", 2, 51)]


def test_a_node_that_never_comes_back_is_missed_up_to_the_end(cursors: Cursors, ledger: Ledger) -> None:
    """At the end of the reading a node that was interrupted and is silent has a gap up to then."""
    cursors.admit(made(1, 2))
    cursors.interrupt("the node was away", ["a"])
    cursors.end(100 * (SECOND // 2))
    assert gaps(ledger) == [("a", 2, 100)]


def test_gaps_of_two_interruptions_are_told_apart(cursors: Cursors, ledger: Ledger) -> None:
    """Every gap keeps its own ends."""
    for begin in (0, 100):
        cursors.admit(made(begin + 1, begin + 2))
        cursors.interrupt("the stream broke")
        cursors.admit(made(begin + 50, begin + 60))
    assert gaps(ledger) == [("a", 2, 50), ("a", 102, 150)]


def test_disorder_is_no_gap(cursors: Cursors, ledger: Ledger) -> None:
    """An event a little after the anchor that comes a little before it is no proof of anything."""
    cursors.admit(made(1, 2))
    cursors.interrupt("the stream broke")
    assert admitted(cursors, made(3)) == [True]
    assert cursors.catching_up == ("a",)
    assert admitted(cursors, made(2, 4)) == [False, True]
    assert (cursors.catching_up, gaps(ledger)) == ((), [])


def test_a_node_that_relay_asks_again_is_noticed(cursors: Cursors, ledger: Ledger) -> None:
    """Old events come again without any word: the node catches up, and its anchor decides as ever."""
    cursors.admit(made(*range(10)))
    assert not any(admitted(cursors, made(0, 1, 2, 3)))
    assert cursors.catching_up == ("a",)
    cursors.admit(made(4, 5, 6, 7, 8, 9, 30))
    assert (cursors.catching_up, gaps(ledger)) == ((), [])


def test_a_node_asked_again_whose_anchor_is_gone_has_a_gap(cursors: Cursors, ledger: Ledger) -> None:
    """Relay asks a node again, of which the ring has lost what came last."""
    cursors.admit(made(*range(10)))
    cursors.admit(made(0, 1, 2, 3))
    cursors.admit(made(30))
    assert gaps(ledger) == [("a", 9, 30)]


def test_a_resumption_begins_before_the_oldest_cursor(cursors: Cursors) -> None:
    """What is asked for goes back to the node that is the furthest behind, and a little more."""
    assert cursors.since() is None
    cursors.admit(several((100, "a"), (60, "b")))
    assert cursors.since() == 60 * (SECOND // 2) - MARKS.overlap


def test_what_is_older_than_memory_is_judged_by_its_time(ledger: Ledger) -> None:
    """A quiet node is asked again when its uuids are long forgotten: what it sends again is old by its time."""
    cursors = Cursors(ledger, MARKS)
    cursors.covered = True
    quiet = made(*range(0, 80), node="q")
    cursors.admit(quiet)
    for begin in range(100, 100 + 4 * MARKS.window, 256):
        cursors.admit(made(*range(begin, begin + 256), node="b"))
    assert not any(admitted(cursors, quiet))
    assert admitted(cursors, made(80, node="q")) == [True]
    assert ledger.total("duplicate") == 80


def test_late_events_of_a_calm_stream_are_kept(cursors: Cursors) -> None:
    """An event much older than its node's newest is new as long as memory can vouch that it is."""
    cursors.admit(made(1000))
    assert admitted(cursors, made(1)) == [True]


def test_a_reading_goes_on_where_another_ended(ledger: Ledger) -> None:
    """Cursors of an earlier program leave out all that it passed on, and tell of what was missed in between."""
    before = Cursors(Ledger(), MARKS)
    before.admit(several((1, "a"), (2, "a"), (3, "b")))
    after = Cursors(ledger, MARKS, before.snapshot())
    after.covered = True
    assert admitted(after, several((1, "a"), (2, "a"), (9, "a"), (70, "b"))) == [False, False, True, True]
    assert gaps(ledger) == [("b", 3, 70)]


def test_a_node_said_to_be_away_before_its_events_stop_is_awaited(cursors: Cursors, ledger: Ledger) -> None:
    """A node error at the time of the newest event makes that the anchor."""
    cursors.admit(made(1, 2))
    cursors.interrupt("the node was away", ["a"], at=2 * (SECOND // 2))
    assert cursors.catching_up == ("a",)


def test_a_node_error_that_comes_late_tells_of_the_pause_around_it(cursors: Cursors, ledger: Ledger) -> None:
    """Relay holds node errors back for seconds: by then the node's events may have gone on, after a hole."""
    cursors.admit(made(1, 2, 30, 31, 32))
    cursors.interrupt("the node was away", ["a"], at=3 * (SECOND // 2))
    assert gaps(ledger) == [("a", 2, 30)]


def test_a_node_error_that_comes_after_the_proof_is_no_gap(cursors: Cursors, ledger: Ledger) -> None:
    """The node was asked again and its anchor came back before relay told of the error."""
    cursors.admit(made(*range(10)))
    cursors.admit(made(*range(10), 30))
    cursors.interrupt("the node was away", ["a"], at=10 * (SECOND // 2))
    assert (cursors.catching_up, gaps(ledger)) == ((), [])


def test_a_quiet_node_whose_last_event_came_back_has_no_gap(cursors: Cursors, ledger: Ledger) -> None:
    """A node error in a long pause is explained by the event before the pause, which came back."""
    cursors.admit(made(*range(10)))
    cursors.admit(made(*range(10)))
    cursors.admit(made(500))
    cursors.interrupt("the node was away", ["a"], at=200 * (SECOND // 2))
    assert (cursors.catching_up, gaps(ledger)) == ((), [])


def test_what_may_still_be_had_is_wanted(ledger: Ledger) -> None:
    """Where the stream does not go back to the cursors, a hole is no gap yet: to ask again may fill it."""
    cursors = Cursors(ledger, MARKS)
    cursors.admit(made(1, 2))
    cursors.interrupt("the node was away", ["a"])
    cursors.admit(made(30, 31))
    assert (cursors.wanting, gaps(ledger)) == (True, [])
    cursors.covered = True
    assert admitted(cursors, made(1, 2, 3, 4, 30, 31)) == [False, False, True, True, False, False]
    assert gaps(ledger) == []


def test_events_without_uuid_are_no_anchor(cursors: Cursors, ledger: Ledger) -> None:
    """Without uuids nothing can be proved: what lies between is told as a gap."""
    bare = made(1, 2)._replace(keys=np.zeros(2, np.uint64))
    later = made(50, 60)._replace(keys=np.zeros(2, np.uint64))
    assert admitted(cursors, bare) == [True, True]
    cursors.interrupt("the stream broke")
    assert admitted(cursors, later) == [True, True]
    assert gaps(ledger) == [("a", 2, 50)]


@given(
    breaks=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 40)), max_size=6),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    ring=st.integers(5, 60),
)
@settings(max_examples=150, deadline=None)
def test_nothing_is_counted_twice_and_no_hole_is_silent(
    breaks: list[tuple[int, int]], sizes: list[int], ring: int
) -> None:
    """Whatever breaks when: every event is new at most once, and all that never came lies within a told gap."""
    ledger = Ledger()
    cursors = Cursors(ledger, MARKS)
    seen: list[int] = []
    now, turn = 0, 0
    for length, away in [*breaks, (40, 0)]:
        oldest = max(0, now - ring)
        since = cursors.since()
        cursors.covered = since is not None
        begin = now if since is None else max(oldest, -(-since // (SECOND // 2)))
        sent = list(range(begin, now + length))
        now += length
        while sent:
            size = sizes[turn % len(sizes)]
            turn += 1
            part, sent = sent[:size], sent[size:]
            new = admitted(cursors, made(*part))
            seen += [number for number, fresh in zip(part, new, strict=True) if fresh]
        cursors.interrupt("the stream broke")
        now += away
    cursors.end(now * (SECOND // 2))
    assert len(seen) == len(set(seen))
    told = gaps(ledger)
    missed = [number for before, after in pairwise(seen) for number in range(before + 1, after)]
    assert [n for n in missed if not any(first <= n <= last for _, first, last in told)] == []


def test_cursors_survive_as_plain_values() -> None:
    """A cursor is a time and a key, which any format keeps."""
    cursors = Cursors(Ledger(), MARKS)
    cursors.admit(made(3))
    assert cursors.snapshot() == {"a": Cursor(3 * (SECOND // 2), 22 + 1_000_003 * ord("a"))}
