"""The map: columns by direction, boxes that never overlap, folding, lines, and the SVG of it."""

from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine.report.layout import Spacing, layered
from flowmine.report.map import OPEN_AT_MOST, Map, maps
from flowmine.report.mapsvg import map_svg
from flowmine.report.view import OUTCOMES
from flowmine.report.wires import wires
from tests.report.making import HOSTILE, drawn_view, hostile_view, sample_view

SVG = "{http://www.w3.org/2000/svg}"
CHAIN = [("a/web", "a/api"), ("a/api", "b/db"), ("a/web", "b/cache")]


def large(namespaces=25, each=20):
    """Return a view of many namespaces whose workloads call their neighbours."""
    names = [f"ns{n:02}/w{w:02}" for n in range(namespaces) for w in range(each)]
    return drawn_view([(name, names[(at * 7 + 3) % len(names)]) for at, name in enumerate(names)])


def overlapping(plan: Map):
    """Return the pairs of slots that overlap."""
    return [
        (one, other)
        for one, other in combinations(plan.slots, 2)
        if one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    ]


def placed(graph, **options):
    """Return a graph's places, every node as large as the next."""
    return layered(graph, dict.fromkeys(graph, (100, 40)), **options).places


def test_callers_stand_left_of_whom_they_call():
    """In a graph without cycles every edge runs to the right."""
    graph = nx.DiGraph([("web", "api"), ("api", "db"), ("web", "db"), ("cron", "db"), ("api", "queue")])
    places = placed(graph)
    assert [] == [(one, other) for one, other in graph.edges if places[one][0] >= places[other][0]]


def test_a_cycle_is_opened_where_the_least_runs():
    """Of a call and a rare call back, the call runs to the right."""
    graph = nx.DiGraph()
    graph.add_edge("db", "web", weight=1)
    graph.add_edge("web", "db", weight=100)
    places = placed(graph)
    assert places["web"][0] < places["db"][0]


def test_pinned_nodes_stand_at_the_ends():
    """What is pinned before or behind the others is there, whatever calls it."""
    graph = nx.DiGraph([("a", "b"), ("b", "first"), ("last", "a")])
    places = placed(graph, pinned={"first": -1, "last": 1})
    order = sorted(places, key=lambda node: places[node][0])
    assert ["first", "a", "b", "last"] == order


def test_many_unrelated_nodes_wrap():
    """A column taller than wanted becomes several, so that the picture stays nearer to a square."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(60))
    laid = layered(graph, dict.fromkeys(graph, (100, 40)), Spacing(height=600))
    assert laid.height <= 900
    assert laid.width <= 4 * laid.height


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_two_boxes_overlap_whatever_the_graph(links):
    """Cycles, loops and islands: all nodes are placed, no two overlap, nothing is left of or above the start."""
    graph = nx.DiGraph(links)
    places = placed(graph)
    assert set(graph) == set(places)
    assert all(x >= 0 and y >= 0 for x, y in places.values())
    assert [] == [
        (one, other)
        for (one, (x1, y1)), (other, (x2, y2)) in combinations(places.items(), 2)
        if abs(x1 - x2) < 100 and abs(y1 - y2) < 40
    ]


def test_a_small_capture_is_open_and_each_box_stands_in_its_frame():
    """Up to forty ends every group is open, and every node lies within the border of its own group."""
    view = drawn_view(CHAIN)
    plan = maps(view)[0]
    frames = {frame.group: frame for frame in plan.frames}
    assert {0, 1} == set(frames)
    assert [0, 1, 2, 3] == sorted(slot.node for slot in plan.slots)
    for slot in plan.slots:
        frame = frames[view.nodes[slot.node].group]
        assert frame.x < slot.x and slot.x + slot.width < frame.x + frame.width
        assert frame.y < slot.y and slot.y + slot.height < frame.y + frame.height


def test_a_large_capture_is_folded_and_opens_group_by_group():
    """Of 500 workloads the first map has a box a namespace, and each namespace a map with its own workloads open."""
    view = large()
    first, *others = maps(view)
    assert len(view.nodes) > OPEN_AT_MOST
    assert (25, 0) == (len(first.slots), len(first.frames))
    assert list(range(25)) == [plan.group for plan in others]
    for plan in others:
        assert 20 == sum(slot.node >= 0 for slot in plan.slots)
        assert {plan.group} == {view.nodes[slot.node].group for slot in plan.slots if slot.node >= 0}
        assert [] == overlapping(plan)


@pytest.mark.parametrize("name", ["linkding", "three-tier", "empire", "node"])
def test_samples_have_readable_maps(name):
    """On no map of a sample do boxes overlap or leave the picture, and each node has one box."""
    view = sample_view(name)
    for plan in maps(view):
        assert [] == overlapping(plan)
        assert all(
            slot.x + slot.width <= plan.width and slot.y + slot.height <= plan.height for slot in plan.slots
        )
        assert all(at < len(plan.slots) for at in plan.slot_of)
    assert all(at >= 0 for at in maps(view)[0].slot_of)


def test_each_outcome_between_two_boxes_has_its_own_line():
    """Delivered and dropped connections of one pair are two lines; those of one outcome are one, counted."""
    view = sample_view("linkding")
    plan = maps(view)[0]
    expected = {}
    for each in view.connections:
        key = plan.slot_of[each.source], plan.slot_of[each.target], each.outcome
        expected[key] = expected.get(key, 0) + 1
    assert expected == {
        (each.source, each.target, each.outcome): each.connections for each in wires(view, plan)
    }


def test_a_folded_group_has_no_line_to_itself():
    """Traffic that stays within a folded namespace is no line."""
    view = large()
    assert [] == [each for each in wires(view, maps(view)[0]) if each.source == each.target]


def test_a_workload_that_calls_itself_has_a_loop():
    """Traffic between pods of one workload is a line that leaves and comes back."""
    view = drawn_view([("a/web", "a/web"), ("a/web", "a/db")])
    plan = maps(view)[0]
    assert 1 == sum(each.source == each.target for each in wires(view, plan))


def test_lines_go_round_boxes():
    """In a row of three the line from the first to the third does not run through the second."""
    view = drawn_view([("a/a", "a/b"), ("a/b", "a/c"), ("a/a", "a/c")])
    plan = maps(view)[0]
    first, second, third = (plan.slots[plan.slot_of[place]] for place in range(3))
    long = next(
        each
        for each in wires(view, plan)
        if each.target == plan.slot_of[2] and each.source == plan.slot_of[0]
    )
    numbers = [float(part) for part in long.path.replace("M", "").replace("C", " ").split()]
    middle = (numbers[1] + 3 * numbers[3] + 3 * numbers[5] + numbers[7]) / 8
    assert first.x < second.x < third.x
    assert not second.y <= middle <= second.y + second.height


def test_the_svg_is_well_formed_and_nothing_in_it_runs():
    """Names that hold markup are text in the picture; no script, no handler, no address of elsewhere."""
    view = hostile_view(long=100)
    tree = ElementTree.fromstring(map_svg(view, maps(view)[0]))
    tags = {element.tag.removeprefix(SVG) for element in tree.iter()}
    assert {"svg", "style", "defs", "marker", "path", "g", "rect", "text", "title"} == tags
    assert not [
        name for element in tree.iter() for name in element.attrib if name.startswith("on") or "href" in name
    ]
    assert any(HOSTILE[:20] in (element.text or "") for element in tree.iter(f"{SVG}title"))


def test_outcomes_differ_in_more_than_colour():
    """Every outcome's lines have an end of their own, and all but the delivered a dash of their own."""
    view = drawn_view(CHAIN)
    text = map_svg(view, maps(view)[0])
    style = ElementTree.fromstring(text).find(f"{SVG}style").text
    rules = {outcome: style.split(f".wire.{outcome} {{")[1].split("}")[0] for outcome in OUTCOMES}
    dashes = [rule.partition("stroke-dasharray:")[2].partition(";")[0] for rule in rules.values()]
    assert len(OUTCOMES) == len(set(dashes))
    assert all(
        f"url(#end-{outcome})" in rules[outcome] and f'id="end-{outcome}"' in text for outcome in OUTCOMES
    )


def test_no_connections_at_all_still_make_a_page():
    """A capture without anybody has an empty map."""
    plan = maps(drawn_view([]))[0]
    assert ((), ()) == (plan.slots, plan.frames)
    ElementTree.fromstring(map_svg(drawn_view([]), plan))


@pytest.mark.parametrize("view", [large(9, 9), drawn_view([("a/a", "b/b"), ("b/b", "a/a"), ("c/c", "b/b")])])
def test_lines_stay_within_the_picture(view):
    """No line leaves the map on any side, those between boxes of one column included."""
    for plan in maps(view):
        for each in wires(view, plan):
            numbers = [float(part) for part in each.path.replace("M", "").replace("C", " ").split()]
            for step in (0, 0.25, 0.5, 0.75, 1):
                weights = ((1 - step) ** 3, 3 * step * (1 - step) ** 2, 3 * step**2 * (1 - step), step**3)
                x = sum(weight * at for weight, at in zip(weights, numbers[::2], strict=True))
                y = sum(weight * at for weight, at in zip(weights, numbers[1::2], strict=True))
                assert 0 <= x <= plan.width and 0 <= y <= plan.height


def test_controls_in_names_break_no_picture():
    """Control characters, halves of characters and marks that turn text round are shown by their number, in every text."""
    name = "a\x00\x1b[31mb\u202ec\ud800\x7f\uffff"
    view = replace(drawn_view([(f"shop{name}/web{name}", f"shop{name}/api")]), title=f"map{name}")
    text = map_svg(view, maps(view)[0])
    root = ElementTree.fromstring(text.encode())
    texts = [*root.itertext(), *(value for each in root.iter() for value in each.attrib.values())]
    assert [] == [each for each in texts if not each.replace("\n", " ").isprintable()]
    assert 3 <= sum("⟨1b⟩[31mb⟨202e⟩c⟨d800⟩⟨7f⟩⟨ffff⟩" in each for each in texts)
