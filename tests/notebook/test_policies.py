"""`PolicySet` in a notebook, and assertions for tests of policies."""

from typing import Any

import duckdb
import polars
import pytest

import flowmine
from flowmine.engine.policyset import PolicySet as EngineSet
from flowmine.errors import UsageError
from tests.notebook.capturing import IN_FORCE, three_tier

DB = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumNetworkPolicy",
    "metadata": {"name": "db", "namespace": "shop"},
    "spec": {
        "endpointSelector": {"matchLabels": {"app": "db"}},
        "ingress": [
            {
                "fromEndpoints": [{"matchLabels": {"app": "web"}}],
                "toPorts": [
                    {
                        "ports": [{"port": "80", "protocol": "TCP"}],
                        "rules": {"http": [{"method": "GET", "path": "/docs"}]},
                    }
                ],
            }
        ],
    },
}
CLOSED = {**DB, "spec": {"endpointSelector": {"matchLabels": {"app": "db"}}, "ingress": [{}]}}


def test_a_set_is_a_table_of_its_policies() -> None:
    """Kind, namespace, name, rules of each direction, YAML; what has no effect is told beneath."""
    broken = {**DB, "metadata": {"name": "broken"}, "spec": {"endpointSelector": {}, "ingress": "no"}}
    policies = flowmine.PolicySet.from_dicts([DB, broken])
    rows = polars.DataFrame(policies).drop("yaml").rows()
    assert [("CiliumNetworkPolicy", "shop", "db", 1, 0)] == rows
    assert [("db",)] == duckdb.sql("select name from policies").fetchall()
    assert (1, True, True) == (len(policies), bool(policies), bool(flowmine.PolicySet([])))
    assert "no effect: object 1: CiliumNetworkPolicy/default/broken" in repr(policies)
    assert "no effect: object 1" in policies._repr_html_()


def test_a_loaded_set_remembers_its_documents() -> None:
    """Those that it was read from; of policies made by program, what they would be."""
    loaded = flowmine.PolicySet.load(IN_FORCE)
    assert 3 == len(loaded.manifests())
    made = flowmine.PolicySet.from_policies(loaded.policies)
    assert {each.value["metadata"]["name"] for each in loaded.manifests()} == {
        each.value["metadata"]["name"] for each in made.manifests()
    }
    assert loaded.to_yaml() == flowmine.PolicySet.of(EngineSet.load(IN_FORCE)).to_yaml()


def test_verdicts_are_a_list_and_a_table() -> None:
    """The answers of the engine, as they are; a missing one is null in the table."""
    policies = flowmine.PolicySet.from_dicts([DB])
    ends: dict[str, Any] = {
        "src": {"labels": ["k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop"]},
        "dst": {"labels": ["k8s:app=db", "k8s:io.kubernetes.pod.namespace=shop"]},
        "protocol": "TCP",
        "port": 80,
    }
    request = {"method": "POST", "path": "/docs", "host": "", "headers": {}}
    queries = [ends, {**ends, "http": request}]
    found = policies.verdicts(queries)
    assert EngineSet.from_dicts([DB]).verdicts(queries) == found
    assert [None, False] == polars.DataFrame(found)["http_allowed"].to_list()
    assert "2 verdicts" in found._repr_html_()


def test_sets_of_one_meaning_do_not_differ_and_others_do() -> None:
    """A set differs from a narrower one by what that denies; over flows by what their ends do."""
    wide, closed = flowmine.PolicySet.from_dicts([DB]), flowmine.PolicySet.from_dicts([CLOSED])
    assert [] == wide.diff(flowmine.PolicySet.from_dicts([DB])).to_pylist()
    assert {"newly denied"} == {row["change"] for row in wide.diff(closed).to_pylist()}
    assert {"newly allowed"} == {row["change"] for row in closed.diff(wide).to_pylist()}
    flows, in_force = three_tier(), flowmine.PolicySet.load(IN_FORCE)
    assert not in_force.diff(IN_FORCE, flows)
    found = in_force.diff(flows.recommend(), flows)
    assert "among 133 identities" in found.title
    assert "default/backend" in {name for row in found.to_pylist() for name in row["from"]}


def test_lint_points_at_lines_and_takes_rules() -> None:
    """Findings have file, line and fix; rules are chosen by id, and one that is none is told."""
    policies = flowmine.PolicySet.load(IN_FORCE)
    found = policies.lint(rules=["port-protocol"])
    assert (8, True) == (len(found), found.fails)
    first = found.to_pylist()[0]
    assert ("warning", "port-protocol", 16) == (first["level"], first["rule"], first["line"])
    assert "port-protocol" not in {row["rule"] for row in policies.lint(skip=["port-protocol"]).to_pylist()}
    assert len(policies.lint(three_tier())) >= len(policies.lint())
    with pytest.raises(UsageError, match="no such rule: nonsense"):
        policies.lint(rules=["nonsense"])


def test_a_trace_says_why() -> None:
    """The verdict, and which rule decided; in a notebook each side unfolds."""
    policies = flowmine.PolicySet.from_dicts([DB])
    found = policies.trace("shop/app=web", "shop/app=db", "80/TCP", http="POST /docs")
    assert ("allowed", False) == (found.verdict, found.allowed)
    assert "HTTP request: denied" in found.text
    assert "CiliumNetworkPolicy/shop/db" in repr(found)
    assert 2 == found._repr_html_().count("<details>")


def test_pods_are_looked_up_in_flows() -> None:
    """A pod is known by its labels only; flows tell them, and without flows that is said."""
    policies = flowmine.PolicySet.load(IN_FORCE)
    found = policies.trace("default/frontend", "default/backend", 80, flows=three_tier())
    deciding = [rule.policy for rule in found.trace.ingress.selecting]
    assert (True, ["CiliumNetworkPolicy/default/backend-policy"]) == (found.allowed, deciding)
    assert not policies.trace("default/batch", "default/database", 7379, flows=three_tier()).allowed
    with pytest.raises(UsageError, match="policies know pods by labels only"):
        policies.trace("default/frontend", "default/backend", 80)
    with pytest.raises(UsageError, match="default/nobody is in none of these flows"):
        policies.trace("default/nobody", "default/backend", 80, flows=three_tier())


@pytest.mark.parametrize(
    ("source", "port", "asked", "allowed"),
    [
        ("shop/app=web", 80, {}, True),
        ("shop/app=web", 80, {"http": "GET /docs"}, True),
        ("shop/app=web", 80, {"http": "GET /admin"}, False),
        ("shop/app=web", 443, {}, False),
        ("shop/app=web", "80/UDP", {}, False),
        ("shop/app=other", 80, {}, False),
        ("elsewhere/app=web", 80, {}, False),
        ("world", 80, {}, False),
        ("192.0.2.1", 80, {}, False),
    ],
)
def test_assertions_hold_where_the_engine_says_so(
    source: str, port: int | str, asked: dict[str, Any], allowed: bool
) -> None:
    """One of the two passes, the other fails with the walk through the decision."""
    holds, fails = flowmine.assert_allowed, flowmine.assert_denied
    if not allowed:
        holds, fails = fails, holds
    holds([DB], source, "shop/app=db", port, **asked)
    with pytest.raises(AssertionError) as caught:
        fails([DB], source, "shop/app=db", port, **asked)
    message = str(caught.value)
    assert f"expected {'denied' if allowed else 'allowed'}, and it is " in message
    assert "CiliumNetworkPolicy/shop/db" in message
    assert "ingress (arriving at the destination" in message


def test_assertions_take_paths_and_sets() -> None:
    """Tests of policies name the folder, or load it once."""
    for policies in (IN_FORCE, str(IN_FORCE), flowmine.PolicySet.load(IN_FORCE), EngineSet.load(IN_FORCE)):
        flowmine.assert_allowed(policies, "app=a", "app=b", 80)
        flowmine.assert_denied(policies, "default/batch", "default/database", 7379, flows=three_tier())


def test_questions_that_mean_nothing_are_told() -> None:
    """They are no failed assertions."""
    for port in ("http", "80/XYZ"):
        with pytest.raises(UsageError):
            flowmine.assert_allowed([DB], "app=a", "app=b", port)
    with pytest.raises(UsageError, match="headers are part of a request"):
        flowmine.assert_allowed([DB], "app=a", "app=b", 80, headers=["X: 1"])
