"""Following traffic: what each look tells, what is written, what is served, all on a clock moved by hand."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flowmine.advise.inforce import InForce, in_force
from flowmine.edges import COLUMNS, Edges, aggregate
from flowmine.errors import PolicyError, UsageError
from flowmine.ingest import Source, open_flows
from flowmine.ingest.capturewindow import Folder
from flowmine.ledger import Ledger
from flowmine.live.exporter import Exporter
from flowmine.live.feed import Feed
from flowmine.live.outlet import Outlet
from flowmine.live.state import Store
from flowmine.live.tail import Clocks, Every, Tail, Tick
from flowmine.live.tally import Tally, exposition
from flowmine.policy.codec import from_yaml
from flowmine.policy.files import load
from flowmine.synth.options import Options
from flowmine.synth.scope import Scope
from tests.ingest.making import lines, opened, record
from tests.live.recording import SAMPLES

NOW = 1794994260.0  # a minute after the first made event


class Script:
    """A live source: each step is what has come until then, or a number of seconds that pass without anything."""

    def __init__(self, *steps: list[dict[str, Any]] | float) -> None:
        self.elapsed = 0.0
        self._steps = steps
        flat = [one for step in steps if isinstance(step, list) for one in step]
        self._source: Source = opened(lines(*flat), columns=(*COLUMNS, "node_name"), batch_rows=1 << 16)
        self.ledger: Ledger = self._source.ledger

    @property
    def endpoints(self) -> pa.Table:
        """As the source's."""
        return self._source.endpoints

    @property
    def pods(self) -> pa.Table:
        """As the source's."""
        return self._source.pods

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield a batch a step, a second apart."""
        whole = pa.Table.from_batches(self._source.batches()).combine_chunks().to_batches()[0]
        self.ledger = self._source.ledger
        at = 0
        for step in self._steps:
            if isinstance(step, list):
                count = sum("flow" in one for one in step)
                self.elapsed += 1.0
                yield whole.slice(at, count)
                at += count
            else:
                self.elapsed += step
                yield whole.slice(0, 0)


def ticks(script: Script, every: Every | None = None, **options: Any) -> list[Tick]:
    """Follow a script with a look at every step."""
    clocks = Clocks(elapsed=lambda: script.elapsed, now=lambda: NOW + script.elapsed)
    tail = Tail(Feed(script), every or Every(look=0.5), clocks=clocks, **options)
    return list(tail.ticks())


def told(tick: Tick) -> list[tuple[str, int, list[str]]]:
    """Return what a look tells: event, port, reasons."""
    return [(each["event"], each["port"], each["new_reasons"]) for each in tick.changes]


def to(port: int, number: int, **changes: Any) -> dict[str, Any]:
    """Return an event of a connection to a port that arrives."""
    arrives = {
        "trace_observation_point": "TO_ENDPOINT",
        "event_type": {"type": 4},
        "traffic_direction": "INGRESS",
    }
    l4 = {"TCP": {"source_port": 40000, "destination_port": port, "flags": {"SYN": True}}}
    return record(number, l4=l4, node_name="default/node-2", **{**arrives, **changes})


def dropped(port: int, number: int, reason: str = "POLICY_DENIED") -> dict[str, Any]:
    """Return the drop of a connection to a port at its destination."""
    changes = {"verdict": "DROPPED", "drop_reason_desc": reason, "is_reply": None, "event_type": {"type": 1}}
    return to(port, number, trace_observation_point=None, trace_reason=None, **changes)


def test_each_look_tells_what_is_new() -> None:
    """An edge is told once, when it is first seen, however often it is seen again."""
    found = ticks(Script([to(5432, 1)], [to(5432, 2)], [to(5432, 3), to(8080, 4)]))
    assert [[("edge", 5432, [])], [], [("edge", 8080, [])], []] == [told(each) for each in found]


def test_a_drop_is_told_for_each_reason_once() -> None:
    """Also on an edge that was delivered before; not again for the same reason."""
    found = ticks(
        Script([to(5432, 1)], [dropped(5432, 2)], [dropped(5432, 3)], [dropped(5432, 4, "AUTH_REQUIRED")])
    )
    assert [
        [("edge", 5432, [])],
        [("drop", 5432, ["ingress:POLICY_DENIED"])],
        [],
        [("drop", 5432, ["ingress:AUTH_REQUIRED"])],
        [],
    ] == [told(each) for each in found]


def denying(tmp_path: Path, port: str) -> InForce:
    """Return policies in force that allow the database's clients one port only."""
    path = tmp_path / f"{port}.yaml"
    path.write_text(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: db, namespace: db}\n"
        "spec:\n  endpointSelector: {}\n  ingress:\n  - fromEntities: [all]\n"
        f"    toPorts:\n    - ports:\n      - {{port: '{port}', protocol: TCP}}\n"
    )
    return in_force(load(path).documents, cluster="default")


def test_what_policies_in_force_would_deny_is_told(tmp_path: Path) -> None:
    """Of the edges that went through, those which the policies do not allow, with the side; dropped ones are no news."""
    known = denying(tmp_path, "5432")
    found = ticks(Script([to(5432, 1)], [to(8080, 2)], [dropped(9090, 3)]), in_force=lambda _: known)
    assert [
        [("edge", 5432, [])],
        [("edge", 8080, []), ("would_drop", 8080, ["ingress"])],
        [("edge", 9090, []), ("drop", 9090, ["ingress:POLICY_DENIED"])],
        [],
    ] == [told(each) for each in found]


def test_policies_that_change_are_held_against_all_that_is_known(tmp_path: Path) -> None:
    """After a change every edge that went through is judged again."""
    first, second = denying(tmp_path, "5432"), denying(tmp_path, "8080")
    script = Script([to(5432, 1), to(8080, 2)], 400.0)
    found = ticks(
        script, Every(look=0.5, policies=300), in_force=lambda _: first if script.elapsed < 300 else second
    )
    assert [8080, 5432] == [port for tick in found for event, port, _ in told(tick) if event == "would_drop"]


def test_policies_that_cannot_be_read_stop_nothing(tmp_path: Path) -> None:
    """The problem is told, and the ones before stay in force."""
    known = denying(tmp_path, "5432")
    answers: list[InForce | Exception] = [known, PolicyError("db.yaml:3: no such field")]

    def read(_: Edges) -> InForce:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    found = ticks(Script([to(5432, 1)], 400.0, [to(8080, 2)]), Every(look=0.5, policies=300), in_force=read)
    assert [problem for tick in found for problem in tick.problems] == [
        "the policies in force could not be read: db.yaml:3: no such field"
    ]
    assert [8080] == [port for tick in found for event, port, _ in told(tick) if event == "would_drop"]


def test_it_is_told_when_nothing_new_came_for_long_enough() -> None:
    """Once, and again only after something new; new events of known edges do not count."""
    script = Script([to(5432, 1)], 50.0, [to(5432, 2)], 20.0, 20.0, [to(8080, 3)], 70.0)
    found = ticks(script, Every(look=0.5, settle=60.0))
    assert [False, False, False, True, False, False, True, False] == [each.turned_stable for each in found]


def test_looks_come_no_oftener_than_asked() -> None:
    """A step without a look due tells nothing; what came meanwhile is told at the next look, and at the end."""
    script = Script(*([to(5000 + number, number)] for number in range(10)))
    found = ticks(script, Every(look=4.0))
    assert [4, 4, 2] == [len(each.changes) for each in found]


def test_what_was_lost_is_told_as_it_comes() -> None:
    """Lost events and nodes that went, once each, with the count beyond the last look."""
    lost = {
        "lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "12"},
        "node_name": "default/n1",
    }
    gone = {"node_status": {"state_change": "NODE_GONE", "node_names": ["default/n2"]}}
    found = ticks(Script([to(5432, 1), lost, gone, lost], [to(5432, 2)]))
    assert [("lost", "default/n1", 24), ("node_status", "default/n2", 1)] == [
        (each["event"], each["node"], each["count"]) for tick in found for each in tick.gaps
    ]
    assert {"HUBBLE_RING_BUFFER": 24} == found[-1].tally.lost


def following(system: str, out: Path, **options: Any) -> list[Tick]:
    """Follow a sample with recommendations."""
    source = open_flows(SAMPLES / system, columns=(*COLUMNS, "node_name"), batch_rows=500)
    outlet = Outlet(out, Options(), Scope())
    return list(Tail(Feed(source), Every(look=1e9, recommend=0.0), outlet=outlet, **options).ticks())


def test_recommendations_are_those_of_the_recommend_command(tmp_path: Path) -> None:
    """The folder holds the same policies as `flowmine recommend` writes of the whole."""
    from flowmine.advise.recommend import recommend
    from flowmine.edges import aggregate

    (tick,) = following("linkding", tmp_path / "out")
    there = recommend(aggregate(open_flows(SAMPLES / "linkding", columns=COLUMNS))).policies
    here = [
        policy
        for path in sorted((tmp_path / "out").rglob("*.yaml"))
        for policy in from_yaml(path.read_bytes())
    ]
    assert sorted(there, key=lambda each: each.ref) == sorted(here, key=lambda each: each.ref)
    assert {"written"} == {each.what for each in tick.policies}


def test_only_policies_that_change_are_rewritten(tmp_path: Path) -> None:
    """A second run writes nothing; a file that somebody changed is written again, and only that; others stay."""
    following("linkding", tmp_path / "out")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.yaml")}
    edited = tmp_path / "out" / "linkding" / "linkding.yaml"
    text = edited.read_text()
    edited.write_text(text.replace("9090", "9091"))
    (tmp_path / "out" / "mine.yaml").write_text("# not a policy\n")
    (tick,) = following("linkding", tmp_path / "out")
    assert [edited] == [each.path for each in tick.policies]
    assert (text, "# not a policy\n") == (edited.read_text(), (tmp_path / "out" / "mine.yaml").read_text())
    unchanged = {path: stamp for path, stamp in stamps.items() if path != edited}
    assert unchanged == {path: path.stat().st_mtime_ns for path in unchanged}


def test_comments_that_people_see_are_no_reason_to_rewrite(tmp_path: Path) -> None:
    """Evidence grows all the time; a file changes when its policy does."""
    following("three-tier", tmp_path / "out")
    (path, *_) = sorted((tmp_path / "out").rglob("*.yaml"))
    path.write_text("# looked at on Tuesday\n" + path.read_text())
    (tick,) = following("three-tier", tmp_path / "out")
    assert ((), True) == (tick.policies, path.read_text().startswith("# looked at on Tuesday"))


METRIC = r"^flowmine_[a-z_]+(\{[a-z]+=\"[^\"]*\"\})? [0-9.e+]+$"


def test_metrics_are_what_prometheus_reads() -> None:
    """Every line is a comment or a sample, each series has help and a type, hostile labels are escaped."""
    import re

    tally = Tally(flows=3, lag=1.5, lost={'a"b\\c\nd': 4})
    tally.verdicts.update({"FORWARDED": 2, "DROPPED": 1})
    text = exposition(tally)
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    plain = [line for line in samples if "\\" not in line]
    assert [line for line in plain if not re.match(METRIC, line)] == []
    assert 'flowmine_lost_events_total{source="a\\"b\\\\c\\nd"} 4' in samples
    assert 'flowmine_flows_total{verdict="FORWARDED"} 2' in samples
    assert "flowmine_lag_seconds 1.5" in samples
    names = {line.partition(" ")[0].partition("{")[0] for line in samples}
    assert names <= {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}


def test_the_number_of_series_does_not_grow_with_the_cluster() -> None:
    """A thousand nodes losing events are one series a ring; beyond a few sources the rest is one."""
    ledger = Ledger()
    for number in range(1000):
        ledger.add("lost", f"ring {number % 50}", node=f"node-{number}", count=number)
    tally = Tally()
    tally.hear(ledger)
    assert (21, sum(range(1000))) == (len(tally.lost), sum(tally.lost.values()))


def test_metrics_are_served() -> None:
    """/metrics and /healthz answer, anything else does not, and the port is free afterwards."""
    with Exporter("127.0.0.1:0", lambda: exposition(Tally())) as exporter:
        url = f"http://127.0.0.1:{exporter.port}"
        with urllib.request.urlopen(f"{url}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert b"flowmine_edges 0\n" in answer.read()
        with urllib.request.urlopen(f"{url}/healthz") as answer:
            assert b"ok\n" == answer.read()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}/secret")
        assert 404 == refused.value.code
        refused.value.close()
        with pytest.raises(UsageError, match="cannot listen there"):
            Exporter(f"127.0.0.1:{exporter.port}", str)


@pytest.mark.parametrize("listen", ["", "http", "1:2:x", "70000"])
def test_what_is_no_port(listen: str) -> None:
    """The sentence says what to write."""
    with pytest.raises(UsageError, match="write a port, or HOST:PORT"):
        Exporter(listen, str)


def test_changes_are_values_for_json() -> None:
    """Names of both ends, counts and times go with each event."""
    (tick, _) = ticks(Script([to(5432, 1)]))
    (change,) = json.loads(json.dumps(tick.changes))
    assert ("edge", "shop/web", "db/pg", "TCP", 5432, "delivered", 1) == (
        change["event"],
        change["initiator"]["title"],
        change["responder"]["title"],
        change["protocol"],
        change["port"],
        change["outcome"],
        change["delivered"],
    )


def test_no_policy_is_made_of_what_has_no_labels(tmp_path: Path) -> None:
    """Text carries none; the problem is told, nothing is written, and following goes on."""
    path = tmp_path / "in.txt"
    path.write_text(
        "Nov 18 09:30:00.160: shop/web-1:40000 (ID:25001) -> shop/pg-0:5432 (ID:25003) to-endpoint FORWARDED "
        "(TCP Flags: SYN)\n"
    )
    source = open_flows(path, columns=(*COLUMNS, "node_name"))
    outlet = Outlet(tmp_path / "out", Options(), Scope())
    (tick,) = Tail(Feed(source), Every(), outlet=outlet).ticks()
    assert (1, 1, False) == (tick.tally.edges, len(tick.problems), (tmp_path / "out").exists())
    assert "text carries no labels" in tick.problems[0]


@pytest.mark.parametrize(
    ("asked", "seen", "expected"),
    [(None, ["1.19.4", "1.16.3"], (1, 16)), ((1, 15), ["1.19.4"], (1, 15)), (None, [], Options().cilium)],
)
def test_policies_are_written_for_the_version_asked_for_or_seen(
    tmp_path: Path, asked: tuple[int, int] | None, seen: list[str], expected: tuple[int, int]
) -> None:
    """What a version does not know yet is not written for it; the oldest of several decides."""
    assert expected == Outlet(tmp_path, Options(), Scope(), cilium=asked).version_for(seen)


def test_a_run_until_nothing_new_comes_ends_like_any_other(tmp_path: Path) -> None:
    """The look that tells so is followed by the last one, with which recommendations and state are written."""
    script = Script([to(5432, 1)], 100.0, [to(8080, 2)])
    clocks = Clocks(elapsed=lambda: script.elapsed, now=lambda: NOW + script.elapsed)
    outlet = Outlet(tmp_path / "out", Options(), Scope())
    with Folder(tmp_path / "state") as folder:
        store = Store(folder, clock=clocks.elapsed)
        every = Every(look=0.5, settle=60.0, recommend=1e9)
        tail = Tail(Feed(script), every, clocks=clocks, outlet=outlet, store=store)
        found = list(tail.ticks(until_settled=True))
    assert [False, True, False] == [tick.turned_stable for tick in found]
    assert [1, 1, 1] == [tick.tally.edges for tick in found]
    assert 1 == aggregate(open_flows(tmp_path / "state")).edges.num_rows
    assert [] != list((tmp_path / "out").rglob("*.yaml"))


def test_what_the_last_look_cannot_write_is_told(tmp_path: Path) -> None:
    """A file stands where a folder is to be; what an earlier look could not write, a later one may."""
    (tmp_path / "out").write_text("in the way")
    found = following("linkding", tmp_path / "out")
    assert "cannot be written" in str(found[-1].behind)
    (tmp_path / "out").unlink()
    assert [None] == [tick.behind for tick in following("linkding", tmp_path / "out")]
