"""The view model: who, which connections, which rule admits each, what policies in force say, and where rules stand."""

import msgspec
import pytest
import yaml

from flowmine.advise.drops import drops
from flowmine.advise.recommend import recommend
from flowmine.edges import COLUMNS, REQUEST_COLUMNS, aggregate
from flowmine.ingest import open_flows
from flowmine.report.compose import Advice, compose
from flowmine.report.entryspans import entry_spans
from flowmine.report.html import report_page, view_json
from flowmine.report.view import OUTCOMES
from tests.cluster import Capture, random_cluster, write
from tests.cluster.capture import lines
from tests.report.making import NAMES, sample_view


def node(view, title):
    """Return the place of a node by ``group/name``, or by its name alone."""
    return next(
        place
        for place, each in enumerate(view.nodes)
        if title in (each.title, f"{view.groups[each.group].title}/{each.title}")
    )


def connection(view, source, target, port, outcome="delivered"):
    """Return a connection by its ends, port and outcome."""
    ends = node(view, source), node(view, target)
    (found,) = [
        each
        for each in view.connections
        if (each.source, each.target, each.port, each.outcome) == (*ends, port, outcome)
    ]
    return found


def entry(view, ref):
    """Return an entry as it reads in the YAML of its policy: the lines that the page marks."""
    policy, rule = view.policies[ref[0]], view.policies[ref[0]].rules[ref[1]]
    lines = policy.text.splitlines()[rule.first : rule.last + 1]
    (value,) = yaml.safe_load("\n".join(lines))
    return rule.path, value


@pytest.mark.parametrize("name", NAMES)
def test_everything_refers_to_something(name):
    """Places in other tuples exist, and outcomes are those that have words."""
    view = sample_view(name)
    for each in view.connections:
        assert each.source < len(view.nodes) and each.target < len(view.nodes)
        assert each.outcome in OUTCOMES
        assert all(place < len(view.drops) for place in each.drops)
        sides = [side for side in (each.egress, each.ingress) if side]
        for policy, rule in (*each.recommended, *(ref for side in sides for ref in side.rules)):
            assert rule < len(view.policies[policy].rules)
    for each in view.nodes:
        assert each.group < len(view.groups)
        assert {"recommended"} >= {view.policies[place].origin for place in each.recommended}
        assert {"in force"} >= {view.policies[place].origin for place in each.in_force}


@pytest.mark.parametrize("name", NAMES)
def test_every_marked_entry_is_that_entry(name):
    """The lines that belong to a rule read as exactly the value at its path in the manifest."""
    for place, policy in enumerate(sample_view(name).policies):
        manifest = yaml.safe_load(policy.text)
        seen = 0
        for number in range(len(policy.rules)):
            path, value = entry(sample_view(name), (place, number))
            spec, _, where = path.partition(".")
            section, _, index = where.rstrip("]").partition("[")
            rule = manifest["spec"] if spec == "spec" else manifest["specs"][int(spec[6:-1])]
            assert rule[section][int(index)] == value
            seen += 1
        specs = [manifest["spec"]] if "spec" in manifest else manifest["specs"]
        sections = ("ingress", "ingressDeny", "egress", "egressDeny")
        assert sum(len(spec.get(section) or []) for spec in specs for section in sections) == seen


def test_spans_of_several_specs_and_comments():
    """A list of specs counts its rules, comments belong to the entry below, and lookalikes elsewhere are none."""
    text = (
        "metadata:\n  labels:\n    egress: x\nspecs:\n- description: ingress\n  ingress:\n  # why\n  - {}\n"
        "- egress:\n  - toPorts:\n    - ports: []\n  - {}\n  ingressDeny: []\n"
    )
    assert {
        "specs[0].ingress[0]": (6, 7),
        "specs[1].egress[0]": (9, 10),
        "specs[1].egress[1]": (11, 11),
    } == entry_spans(text)


def test_the_rule_that_admits_is_told_for_both_sides():
    """A delivered connection between two closed workloads names an egress entry of one and an ingress entry of the other."""
    view = sample_view("three-tier")
    found = connection(view, "default/frontend", "default/backend", 80)
    told = {view.policies[policy].name: entry(view, (policy, rule)) for policy, rule in found.recommended}
    assert {"frontend", "backend"} == set(told)
    assert told["frontend"][0].startswith("spec.egress[") and told["backend"][0].startswith("spec.ingress[")
    assert {"tier": "frontend"} == told["backend"][1]["fromEndpoints"][0]["matchLabels"]
    assert [{"port": "80", "protocol": "TCP"}] == told["backend"][1]["toPorts"][0]["ports"]


def test_what_was_dropped_has_no_rule_and_has_its_fix():
    """A dropped connection is admitted by no recommended rule, and names the group of drops with the change."""
    view = sample_view("linkding")
    found = connection(view, "default/toolbox", "linkding/linkding-db", 5432, "dropped")
    assert () == found.recommended
    (place,) = found.drops
    assert "default/toolbox to linkding/linkding-db on 5432/TCP" in view.drops[place].title
    assert "+  - fromEndpoints:" in view.drops[place].edits[0].diff


def test_policies_in_force_speak_for_each_side():
    """With policies both sides say what they decide and by whom, down to the entry."""
    view = sample_view("linkding")
    found = connection(view, "default/toolbox", "linkding/linkding-db", 5432, "dropped")
    assert "denied" == found.ingress.outcome
    assert any("linkding-database" in by for by in found.ingress.by)
    through = connection(view, "linkding/linkding", "linkding/linkding-db", 5432)
    assert "allowed" == through.ingress.outcome
    (ref,) = through.ingress.rules
    assert "in force" == view.policies[ref[0]].origin
    assert "fromEndpoints" in entry(view, ref)[1]


def test_workloads_know_the_policies_that_select_them():
    """A workload has its recommended policy, and those in force whose selector takes it."""
    view = sample_view("linkding")
    each = view.nodes[node(view, "linkding/linkding-db")]
    assert ["linkding-db"] == [view.policies[place].name for place in each.recommended]
    assert "linkding-database" in {view.policies[place].name for place in each.in_force}
    assert "closed by the recommendation" in each.standing


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_by_folding(name):
    """Events of all connections add up to those of all edges."""
    source = open_flows(f"sample_flows/{name}", columns=(*COLUMNS, *REQUEST_COLUMNS))
    table = aggregate(source, requests=True).edges
    view = sample_view(name)
    assert sum(table["events"].to_pylist()) == sum(each.events for each in view.connections)
    assert sum(table["delivered"].to_pylist()) == sum(each.delivered for each in view.connections)


def test_a_connection_names_some_of_its_flows():
    """Its earliest events are told by time and uuid, and in how many hours it was seen; an old Hubble has no uuids."""
    found = connection(sample_view("three-tier"), "default/frontend", "default/backend", 80)
    times = [at for at, _ in found.samples]
    assert sorted(times) == times and found.first <= times[0] and times[-1] <= found.last
    assert 1 < found.hours <= 24
    wanted = {uuid for _, uuid in found.samples}
    records = open_flows("sample_flows/three-tier").records()
    assert wanted == {
        record["flow"]["uuid"] for _, record, _ in records if record.get("flow", {}).get("uuid") in wanted
    }
    assert {()} == {each.samples for each in sample_view("empire").connections}


def test_what_is_no_workload_stands_once_as_caller_and_once_as_called():
    """The outside and the platform have a group for each direction, so that the map reads from left to right."""
    view = sample_view("linkding")
    for each in view.connections:
        assert "called" != view.groups[view.nodes[each.source].group].side
        assert "caller" != view.groups[view.nodes[each.target].group].side


def test_the_view_is_json():
    """What other programs read has every part, and times in milliseconds."""
    read = msgspec.json.decode(view_json(sample_view("linkding")))
    assert {"groups", "nodes", "connections", "policies", "drops", "findings", "ledger", "rollout"} <= set(
        read
    )
    assert 1_700_000_000_000 < read["connections"][0]["last"] < 2_000_000_000_000


@pytest.mark.parametrize("seed", [1, 7])
def test_the_same_traffic_gives_the_same_page(tmp_path, seed):
    """The order of events changes no byte of the page."""
    pages = []
    for shuffled in (False, True):
        path = tmp_path / f"{shuffled}.jsonl"
        write(path, lines(random_cluster(seed), 400, Capture(shuffled=shuffled)))
        source = open_flows(str(path), columns=(*COLUMNS, *REQUEST_COLUMNS))
        edges = aggregate(source, requests=True)
        view = compose(edges, source.ledger, Advice(drops(edges), recommend(edges)), "x")
        pages.append(report_page(view))
    assert pages[0] == pages[1]
