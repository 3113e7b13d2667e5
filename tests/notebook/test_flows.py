"""`flowmine.read`: what it answers, what it reads for it, and what it refuses."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

import flowmine
from flowmine.cli import main
from flowmine.edges import aggregate
from flowmine.errors import InputError, PolicyError, UsageError
from flowmine.ingest import open_flows
from flowmine.notebook.flows import Flows
from flowmine.notebook.reading import Reading
from flowmine.notebook.simulated import Simulated
from tests.cli.events import drop, record
from tests.ingest.making import lines
from tests.notebook.capturing import IN_FORCE, SAMPLES, THREE_TIER, three_tier


class Counted:
    """Opens a capture, and counts how often it is read, not only opened."""

    def __init__(self) -> None:
        self.columns: list[Any] = []

    def __call__(self, **options: Any) -> Any:
        self.columns.append(options.get("columns"))
        return open_flows(THREE_TIER, **options)


def counted() -> tuple[Counted, Flows]:
    """Flows, and what counts their readings."""
    opener = Counted()
    return opener, Flows(Reading(("three-tier",), opener))


@pytest.fixture
def few(tmp_path: Path) -> Iterator[Path]:
    """A capture of three connections and two drops."""
    path = tmp_path / "few.jsonl"
    path.write_bytes(lines(*(record(second) for second in (1, 2, 3)), drop(4), drop(5)))
    yield path


def test_nothing_is_read_before_a_question_and_nothing_twice() -> None:
    """Edges and all that is made of them come from one reading; the flows' own table from one more."""
    opener, flows = counted()
    assert ("three-tier, not read yet", []) == (repr(flows), opener.columns)
    flows.edges()
    flows.drops(IN_FORCE)
    flows.recommend()
    flows.recommend(complete=True)
    flows.simulate(IN_FORCE)
    flows.completeness()
    flows.first_seen()
    assert (1, 3878) == (len(opener.columns), len(flows))
    assert flows.table is flows.table
    flows.timeline()
    assert (2, None) == (len(opener.columns), opener.columns[1])


def test_edges_come_from_the_flows_where_these_are_held_already() -> None:
    """Whoever looked at the table first pays no second reading for edges, and gets the same ones."""
    opener, flows = counted()
    assert 3878 == flows.table.num_rows
    assert three_tier().edges().table == flows.edges().table
    assert 1 == len(opener.columns)


def test_edges_are_those_of_the_command_line() -> None:
    """The tables behind are what `flowmine edges` settles."""
    assert aggregate(open_flows(THREE_TIER)).edges == three_tier().settled().edges


def test_policies_are_those_of_the_command_line() -> None:
    """`recommend` writes the same bytes, with the same options said as keywords."""
    said = ["--exact", "--l7", "http", "-n", "default", "--per", "namespace"]
    told = CliRunner().invoke(main, ["recommend", str(THREE_TIER), "-q", *said])
    found = three_tier().recommend(exact=True, l7="http", namespace="default", per="namespace")
    assert told.stdout == found.yaml()


def test_drops_are_those_of_the_command_line() -> None:
    """The records are the same, with the policies in force."""
    told = CliRunner().invoke(
        main, ["drops", str(THREE_TIER), "-q", "--policies", str(IN_FORCE), "-o", "json"]
    )
    from flowmine.report.dropview import drop_records

    assert json.loads(told.stdout) == json.loads(
        json.dumps(drop_records(three_tier().drops(IN_FORCE).report))
    )


def test_simulations_are_those_of_the_command_line() -> None:
    """The records are the same, with the policies in force to compare with."""
    from flowmine.report.jsontext import json_lines
    from flowmine.report.simulateview import simulation_stream

    paths = ["--policies", str(IN_FORCE / "backend-policy.yaml"), "--against", str(IN_FORCE)]
    told = CliRunner().invoke(main, ["simulate", str(THREE_TIER), "-q", *paths, "-o", "json"])
    found = three_tier().simulate(IN_FORCE / "backend-policy.yaml", IN_FORCE)
    assert json.loads(told.stdout) == json.loads("\n".join(json_lines(simulation_stream(found.simulation))))


@pytest.mark.parametrize(
    "line",
    [
        "--verdict DROPPED",
        "--not --verdict DROPPED --to-port 80",
        "--first 20",
        "--last 7 --verdict DROPPED",
        "-n default --to-port 53",
        "--since 2026-11-18T12:00:00Z --until 2026-11-18T13:00:00Z",
    ],
)
def test_filters_keep_what_the_command_line_keeps(line: str) -> None:
    """The uuids are those that `flowmine flows` prints."""
    told = CliRunner().invoke(main, ["flows", str(THREE_TIER), "-q", "-o", "jsonpb", *line.split()])
    events = [json.loads(text) for text in told.stdout.splitlines()]
    expected = [event["flow"]["uuid"] for event in events if "flow" in event]
    assert expected
    assert expected == three_tier().filter(line).table.column("uuid").to_pylist()


def test_filters_one_after_the_other_must_all_agree(few: Path) -> None:
    """A second filter looks at what the first one kept; one that counts counts only that."""
    flows = flowmine.read(few)
    assert 2 == len(flows.filter(verdict="DROPPED"))
    assert 0 == len(flows.filter(verdict="DROPPED").filter("--verdict FORWARDED"))
    assert 1 == len(flows.filter(verdict="DROPPED").filter(first=1).filter(verdict="DROPPED"))
    assert 3 == len(flows.exclude(verdict="DROPPED"))
    assert (5, 5) == (len(flows.filter()), len(flows.exclude()))


def test_a_filter_leaves_the_flows_that_it_is_asked_of_alone(few: Path) -> None:
    """Others were made; these answer as before."""
    flows = flowmine.read(few)
    flows.filter(verdict="DROPPED").edges()
    assert 5 == len(flows)


def test_exclude_takes_filters_only(few: Path) -> None:
    """A window turned around would be no window."""
    with pytest.raises(UsageError, match="exclude takes filters of flows"):
        flowmine.read(few).exclude(last=3)


def test_no_policy_is_recommended_from_filtered_flows() -> None:
    """It would cut off what the filter hides."""
    with pytest.raises(UsageError, match="filters would hide part of a workload's traffic"):
        three_tier().filter(verdict="FORWARDED").recommend()


def test_no_policy_is_recommended_from_text(tmp_path: Path) -> None:
    """Text carries no labels to select by."""
    path = tmp_path / "flows.txt"
    path.write_text(
        "Nov 18 09:30:01.500: shop/web:40000 (ID:1) -> shop/api:8080 (ID:2) to-endpoint FORWARDED (TCP Flags: SYN)\n"
    )
    with pytest.raises(InputError, match="no policy can be recommended: "):
        flowmine.read(path).recommend()


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"namespases": "x"}, "recommend takes no namespases"),
        ({"per": "pod"}, "'pod' is none of workload, namespace, flow"),
        ({"l7": ["grpc"]}, "l7 takes http and dns, not grpc"),
        ({"dns": "all"}, "dns='all': any or strict"),
        ({"widen_excess": "many"}, "widen_excess='many': widen_excess is a int"),
        ({"widen_excess": -1}, "widen_excess=-1: widen_excess cannot be negative"),
        ({"audited": 1}, "audited=1: audited is a bool"),
        ({"known": ["10.0.0.0/8"]}, "known is a mapping of names"),
        ({"known": {"vpn": "10.0.0.0/99"}}, "10.0.0.0/99: "),
        ({"gateways": {"10.0.0.1/8": "a=b"}}, "10.0.0.1/8: "),
        ({"cilium": "new"}, "--cilium new: write a version such as 1.19"),
    ],
)
def test_wishes_that_mean_nothing_are_told(wishes: dict[str, Any], message: str) -> None:
    """A name that is none and a value of another kind say what is known."""
    with pytest.raises(UsageError) as caught:
        three_tier().recommend(**wishes)
    assert message in str(caught.value)


def test_what_is_no_capture_is_told_at_once(tmp_path: Path) -> None:
    """A path that is wrong fails where it is written, not where it is first asked."""
    with pytest.raises(InputError):
        flowmine.read(tmp_path / "nothing.jsonl")
    with pytest.raises(UsageError):
        flowmine.read()


def test_a_pipe_is_read_once_and_kept(few: Path, tmp_path: Path) -> None:
    """It answers every question, and cannot be filtered any more."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(few.read_bytes()))
    writer.start()
    flows = flowmine.read(pipe)
    writer.join()
    assert (5, 5) == (flows.table.num_rows, sum(flows.edges().table.column("events").to_pylist()))
    with pytest.raises(UsageError, match="cannot be filtered any more: they came through a pipe"):
        flows.filter(verdict="DROPPED")


def test_policies_are_a_path_a_set_manifests_or_an_answer() -> None:
    """All of them mean the same policies."""
    flows, loaded = three_tier(), flowmine.PolicySet.load(IN_FORCE)
    paths = sorted(IN_FORCE.iterdir())
    manifests = [document.value for document in loaded.documents]
    expected = flows.simulate(str(IN_FORCE)).table
    for given in (loaded, paths, manifests, flowmine.PolicySet.from_policies(loaded.policies)):
        assert expected == flows.simulate(given).table


def test_policies_that_are_none_are_told(tmp_path: Path) -> None:
    """An empty folder, and something else altogether."""
    with pytest.raises(PolicyError, match="there is no policy here"):
        three_tier().drops(tmp_path)
    wrong: Any = [1]
    with pytest.raises(UsageError, match="policies are a PolicySet"):
        three_tier().drops(wrong)


def test_a_recommendation_breaks_nothing_and_is_needed() -> None:
    """The policies recommended let through all that was delivered, and every rule was used."""
    found = three_tier().recommend()
    simulated = three_tier().simulate(found)
    assert (True, (), ()) == (simulated.breaks_nothing, simulated.unused, found.needless)
    explained = three_tier().explain(found)
    assert (0, 13) == (len(explained.explanation.denied), len(explained))
    assert ["default/backend", "default/database", "default/frontend", "kube-system/coredns"] == [
        row["workload"] for row in explained.completeness.to_pylist()
    ]


@pytest.mark.parametrize("sample", ["empire", "linkding", "node", "three-tier"])
def test_the_changes_of_drops_admit_what_was_dropped(sample: str) -> None:
    """With them in force nothing is refused any more, nothing delivered breaks, and no other policy is lost."""
    flows, in_force = flowmine.read(SAMPLES / sample), flowmine.PolicySet.load(SAMPLES / sample / "policies")
    before = flows.drops(in_force)
    after = flows.drops(before.fixed)
    assert (True, ()) == (len(before.report.standing) > 0, after.report.standing)
    assert flows.simulate(before.fixed, in_force).breaks_nothing
    assert {policy.ref for policy in in_force.policies} <= {policy.ref for policy in before.fixed.policies}


def test_one_drop_is_tried_alone() -> None:
    """Of the changes only the picked one is made: it lets through what was asked for and nothing else."""
    drops = three_tier().drops(IN_FORCE)
    for place, row in enumerate(drops.to_pylist()):
        if row["stands"]:
            tried = three_tier().simulate(drops.pick(place).fixed, IN_FORCE)
            found = [(each["kind"], each["source"], each["destination"]) for each in tried.to_pylist()]
            assert [("newly allowed", row["source"], row["destination"])] == found
    with pytest.raises(IndexError):
        drops.pick(99)


def test_drops_are_policies_and_findings_too() -> None:
    """The changed policies as YAML, and what continuous integration is told."""
    found = three_tier().drops(IN_FORCE)
    assert "kind: CiliumNetworkPolicy" in found.yaml()
    assert {"drop-no-rule", "drop-request"} <= {finding.rule for finding in found.findings()}


def test_a_recommendation_is_written_and_merged(tmp_path: Path) -> None:
    """A folder gets a file a policy; merged into it again there is nothing to add; into the old ones there is."""
    found = three_tier().recommend()
    assert () == found.write(tmp_path / "new")
    names = ["backend.yaml", "batch.yaml", "database.yaml", "frontend.yaml"]
    assert names == sorted(path.name for path in (tmp_path / "new" / "default").iterdir())
    assert "" == found.merge(tmp_path / "new").diff
    merged = found.merge(IN_FORCE)
    assert "+++" in merged.diff
    assert merged.diff.splitlines()[0] in repr(merged)


def test_the_timeline_counts_every_flow_once() -> None:
    """By any column of single values, over any stretch."""
    flows = three_tier()
    for every, by in (("1h", "verdict"), ("5m", "source_namespace"), ("24h", "node_name")):
        table = flows.timeline(every, by).table
        assert ["time", by, "flows"] == table.schema.names
        assert 3878 == sum(table.column("flows").to_pylist())
    begins = {at.minute for at in flows.timeline("1h").to_pandas()["time"]}
    assert {0} == begins


@pytest.mark.parametrize(
    ("every", "by", "message"),
    [
        ("0", "verdict", "'0': write a duration, such as 5m or 1h"),
        ("1h", "colour", "no such column of the flows: colour"),
        ("1h", "source_labels", "not of lists"),
    ],
)
def test_a_wrong_timeline_is_told(every: str, by: str, message: str) -> None:
    """A stretch without length, a column that is not there, one of lists."""
    with pytest.raises(UsageError) as caught:
        three_tier().timeline(every, by)
    assert message in str(caught.value)


def test_first_seen_grows_to_all_that_was_seen() -> None:
    """The last point is all contacts; a day with every contact in several hours leaves none unseen."""
    found = three_tier().first_seen()
    edges = found.table.column("edges").to_pylist()
    assert edges == sorted(edges)
    assert (found.seen, sum(found.table.column("new").to_pylist())) == (edges[-1], edges[-1])
    assert (24, 1.0) == (found.hours, found.share)


def test_a_short_capture_gives_no_estimate(few: Path) -> None:
    """Nothing is said of what was not seen where there are too few hours to tell."""
    found = flowmine.read(few).first_seen()
    assert (1, 1, None, None) == (found.seen, found.hours, found.estimate, found.share)
    assert "too few" in found.lines[0]


def test_namespaces_count_every_edge() -> None:
    """Edges and events add up to those of all edges."""
    table, edges = three_tier().namespaces().table, three_tier().settled().edges
    assert edges.num_rows == sum(table.column("edges").to_pylist())
    assert sum(edges.column("events").to_pylist()) == sum(table.column("events").to_pylist())


def test_flows_know_the_namespaces_of_their_ends() -> None:
    """Beside the ids stand what they mean; the world has no namespace."""
    table = three_tier().table
    found = set(table.column("source_namespace").to_pylist())
    assert {"default", "kube-system"} <= found
    place = table.column("source_workload").to_pylist().index("frontend")
    assert any(label.startswith("k8s:") for label in table.column("source_labels")[place].as_py())


def test_a_map_shows_groups_and_opens_one() -> None:
    """It is a picture, a table and a file; a group that is not on it is told."""
    flows = three_tier()
    whole = flows.map(IN_FORCE)
    assert whole.svg.startswith("<svg")
    assert "default" in whole.table.column("source_group").to_pylist()
    assert flows.map(group="default").svg != ""
    with pytest.raises(UsageError, match="nothing on the map is called shop"):
        flows.map(group="shop")


def test_a_map_is_saved(tmp_path: Path) -> None:
    """The file is the picture."""
    found = three_tier().map()
    found.save(tmp_path / "map.svg")
    assert found.svg == (tmp_path / "map.svg").read_text("utf-8")


@pytest.mark.parametrize("sample", ["empire", "linkding", "node", "three-tier"])
def test_every_sample_answers_every_question(sample: str) -> None:
    """Each answer shows itself and is an Arrow stream; only a simulation may have nothing to tell."""
    flows, policies = flowmine.read(SAMPLES / sample), SAMPLES / sample / "policies"
    answers = [
        flows.edges(),
        flows.drops(policies),
        flows.drops(),
        flows.recommend(),
        flows.simulate(policies),
        flows.explain(policies),
        flows.map(policies),
        flows.timeline(),
        flows.first_seen(),
        flows.namespaces(),
        flows.completeness(),
        flows,
    ]
    assert [] == [answer.title for answer in answers if not answer and not isinstance(answer, Simulated)]
    for answer in answers:
        assert pa.table(answer).num_rows == len(answer)
        assert answer.title in repr(answer)
        assert answer._repr_html_().count("<div") == answer._repr_html_().count("</div>")


def test_recorded_windows_are_captures_too(tmp_path: Path) -> None:
    """What `flowmine capture` wrote answers like the capture that it was made of."""
    kept = CliRunner().invoke(main, ["capture", str(THREE_TIER), "-q", "-d", str(tmp_path / "kept")])
    assert 0 == kept.exit_code
    flows = flowmine.read(tmp_path / "kept")
    assert three_tier().edges().table == flows.edges().table
    expected = three_tier().filter(verdict="DROPPED", namespace="default").table
    assert expected.column("uuid") == flows.filter(verdict="DROPPED", namespace="default").table.column(
        "uuid"
    )
