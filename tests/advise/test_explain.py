"""Policies explained by traffic, and traffic by policies."""

import pytest

from flowmine.advise.completeness import completeness, estimate
from flowmine.advise.explain import explain
from flowmine.advise.inforce import InForce
from flowmine.advise.recommend import recommend
from flowmine.advise.recorded import recorded
from flowmine.engine.policyset import PolicySet
from flowmine.policy.model import Direction
from flowmine.report.explanation import explanation_json, explanation_lines
from tests.synth.made import Capture, place, pod

WEB = pod("shop", "", "Deployment/web", app="web")
API = pod("shop", "", "Deployment/api", app="api")
DB = pod("shop", "", "StatefulSet/db", app="db")


def _capture():
    capture = Capture().talk(WEB, API, 8080).talk(API, DB, 5432).talk(WEB, DB, 5432, outcome="dropped")
    for number in range(3):
        capture.talk(API, place("reserved:world", ip=f"192.0.2.{number * 9}"), 443)
    return capture


def _explained(capture, policies=None):
    edges = capture.edges()
    known = recorded(edges)
    made = policies or recommend(edges).policies
    return explain(known, InForce(PolicySet.from_policies(made))), known


def test_every_delivered_edge_is_behind_some_rule():
    """What was delivered is behind the rules that a recommendation has for it, at both sides."""
    found, _ = _explained(_capture())
    behind = {row for rule in found.rules for row in rule.rows}
    assert {flow.link.row for flow in found.flows if flow.link.outcome == "delivered"} == behind


def test_every_edge_names_the_rules_that_admit_it():
    """A delivered edge between two workloads names an entry at its egress and one at its ingress."""
    found, _ = _explained(_capture())
    (flow,) = (each for each in found.flows if each.link.port == 8080)
    assert {
        Direction.EGRESS: ("CiliumNetworkPolicy/shop/web:spec.egress[0]",),
        Direction.INGRESS: ("CiliumNetworkPolicy/shop/api:spec.ingress[0]",),
    } == {direction: side.by for direction, side in flow.ruling.sides.items()}


def test_what_policies_would_deny_is_found():
    """A delivered edge that policies of another capture do not know is told as denied."""
    known = Capture().talk(WEB, API, 8080)
    policies = recommend(known.edges()).policies
    found, _ = _explained(known.talk(WEB, API, 9090), policies)
    assert [9090] == [flow.link.port for flow in found.denied]


def test_closing_entries_say_so():
    """An empty entry admits nothing: it closes its direction, and is told apart from a rule without traffic."""
    found, known = _explained(Capture().talk(WEB, API, 8080))
    assert [
        ("CiliumNetworkPolicy/shop/api", "spec.egress[0]"),
        ("CiliumNetworkPolicy/shop/web", "spec.ingress[0]"),
    ] == [(rule.policy, rule.path) for rule in found.rules if rule.closes]
    assert "  spec.egress[0]: closes the direction" in list(explanation_lines(found, known))


def test_outside_addresses_and_refused_ports_are_told_together():
    """Many addresses or refused ports are one line."""
    capture = _capture()
    for port in range(1, 30):
        capture.talk(WEB, DB, port, outcome="dropped")
    lines = list(explanation_lines(*_explained(capture)))
    assert 1 == sum("outside (3 addresses)" in line and "delivered" in line for line in lines)
    assert 1 == sum("30 ports" in line for line in lines)


def test_json_holds_all_edges_and_rules():
    """The JSON names each rule's edges by their place, and each edge's rules."""
    found, known = _explained(_capture())
    told = explanation_json(found, known)
    assert len(told["edges"]) == 6
    for number, rule in enumerate(told["rules"]):
        for row in rule["edges"]:
            sides = told["edges"][row]["egress"]["by"] + told["edges"][row]["ingress"]["by"]
            assert f"{rule['policy']}:{rule['path']}" in sides, number


@pytest.mark.parametrize(
    ("hours", "window", "expected"),
    [
        ([], 24, 0.0),
        ([24, 24], 24, 2.0),
        ([2, 2, 2], 24, 3.0),
        ([1, 1, 2], 10, 3 + 0.9 * 2 / 4),
        ([1, 1, 1], 10, 3 + 0.9 * 6 / 2),
    ],
)
def test_chao2_is_its_formula(hours, window, expected):
    """The estimate is the bias-corrected Chao2: it grows with what was seen in one hour only."""
    assert pytest.approx(expected) == estimate(hours, window)


def test_a_short_capture_gives_no_estimate():
    """Under ten hours nothing is estimated, and the text says from when on it is."""
    edges = _capture().edges()
    assert {None} == {each.estimate for each in completeness(recorded(edges), [0, 1])}
    assert any("estimated from 10 on" in line for line in explanation_lines(*_explained(_capture())))
