"""Selectors: the smallest that picks a workload and nothing else of its namespace."""

from flowmine.labels import NAMESPACE_KEY, Label
from flowmine.policy.model import Operator, Requirement, Selector
from flowmine.synth.lower import join_selectors
from flowmine.synth.selectors import choose
from flowmine.synth.subjects import group
from flowmine.synth.universe import survey
from tests.synth.made import Capture, pod


def _choices(*ends):
    """The choice for each workload by its name."""
    edges = Capture().add(*ends).edges()
    universe = survey(edges.endpoints, edges.pods)
    workloads = group(universe)
    return {
        item.name: choice for item, choice in zip(workloads.items, choose(universe, workloads), strict=True)
    }


def test_one_readable_label_is_enough_where_it_is_unique():
    """Of several labels that each suffice, the one that people read first is taken, alone."""
    choices = _choices(
        pod("shop", "", "Deployment/web", app="web", zone="z1", **{"app.kubernetes.io/name": "web"}),
        pod("shop", "", "Deployment/api", app="api", zone="z2", **{"app.kubernetes.io/name": "api"}),
    )
    assert Selector.of({"app.kubernetes.io/name": "web"}) == choices["web"].selector


def test_a_shared_app_label_is_left_for_the_one_that_tells_apart():
    """Where all share the app label, the tier alone selects."""
    choices = _choices(
        pod("shop", "", "Deployment/web", app="demo", tier="web"),
        pod("shop", "", "Deployment/db", app="demo", tier="db"),
    )
    assert Selector.of({"tier": "db"}) == choices["db"].selector


def test_two_labels_where_no_single_one_suffices():
    """Labels combine only as far as is needed."""
    choices = _choices(
        pod("s", "", "Deployment/a1", app="a", tier="1"),
        pod("s", "", "Deployment/a2", app="a", tier="2"),
        pod("s", "", "Deployment/b1", app="b", tier="1"),
    )
    assert Selector.of({"app": "a", "tier": "1"}) == choices["a1"].selector
    assert Selector.of({"tier": "2"}) == choices["a2"].selector


def test_a_missing_label_tells_apart():
    """A workload whose labels another has too, and more, is told from it by what it lacks."""
    choices = _choices(
        pod("s", "", "Deployment/web", app="web"),
        pod("s", "", "Deployment/canary", app="web", track="canary"),
    )
    lacks = Requirement("track", Operator.DOES_NOT_EXIST)
    assert Selector.of({"app": "web"}, lacks) == choices["web"].selector
    assert Selector.of({"track": "canary"}) == choices["canary"].selector


def test_the_service_account_is_a_last_resort():
    """Where labels are equal but for the service account, it is used, and nowhere else."""
    key = "io.cilium.k8s.policy.serviceaccount"
    choices = _choices(
        pod("s", "", "Deployment/a", app="x", **{key: "a"}),
        pod("s", "", "Deployment/b", app="x", **{key: "b"}),
        pod("s", "", "Deployment/c", app="y", **{key: "c"}),
    )
    assert Selector.of({key: "a"}) == choices["a"].selector
    assert Selector.of({"app": "y"}) == choices["c"].selector


def test_a_job_is_told_from_its_deployment_by_having_a_job_name():
    """A key that changes per run may tell by being there at all; its value is never named."""
    choices = _choices(
        pod("s", "", "Deployment/web", app="web"),
        pod("s", "", "Job/web-migrate", app="web", **{"job-name": "web-migrate-x2x4z"}),
    )
    lacks = Requirement("job-name", Operator.DOES_NOT_EXIST)
    has = Requirement("job-name", Operator.EXISTS)
    assert Selector.of({"app": "web"}, lacks) == choices["web"].selector
    assert Selector.of({}, has) == choices["web-migrate"].selector


def test_unstable_and_varying_values_are_never_named():
    """Hashes, versions, run ids and values seen to vary are in no selector, even where the rest is not exact."""
    per_run = {"pod-template-hash": "7d9f8b6c5d", "app.kubernetes.io/version": "1.2.3", "job-name": "x"}
    ends = [
        pod("s", "", "Deployment/a", app="x", shard="1", **per_run),
        pod("s", "", "Deployment/a", app="x", shard="2", **per_run),
        pod("s", "", "Deployment/b", app="y", **per_run),
    ]
    for choice in _choices(*ends).values():
        assert {"app"} == set(choice.selector.keys())


def test_a_label_that_varied_elsewhere_is_used_only_when_nothing_else_tells():
    """A key whose words varied within one workload may still tell others apart, and the choice says that it is fragile."""
    ends = [
        pod("s", "", "Deployment/a", app="demo", tier="one"),
        pod("s", "", "Deployment/a", app="demo", tier="two"),
        pod("s", "", "Deployment/b", app="demo", tier="three"),
    ]
    choices = _choices(*ends)
    assert (Selector.of({"tier": "three"}), True) == (choices["b"].selector, choices["b"].fragile)


def test_an_over_match_is_named():
    """Where no stable label tells a workload from another, the tightest selector is taken and the other named."""
    ends = [pod("s", "", "Deployment/a", app="x"), pod("s", "", "Deployment/a", app="x", color="red")]
    other = pod("s", "", "Deployment/b", app="x", color="blue")
    choices = _choices(*ends, other)
    assert Selector.of({"app": "x"}) == choices["a"].selector
    assert ("s/b",) == choices["a"].over


def test_every_run_is_selected_and_no_other():
    """On random label sets a choice without over-match selects exactly the workload's own pods."""
    import random

    rng = random.Random(7)
    ends = []
    for number in range(60):
        labels = {key: rng.choice("ab") for key in ("app", "tier", "role", "zone") if rng.random() < 0.7}
        ends.append(pod("s", "", f"Deployment/w{number % 23}", **labels))
    edges = Capture().add(*ends).edges()
    universe = survey(edges.endpoints, edges.pods)
    workloads = group(universe)
    for item, choice in zip(workloads.items, choose(universe, workloads), strict=True):
        selected = {party.id for party in universe.pods() if choice.selector.matches(party.labels)}
        assert set(item.endpoints) <= selected
        assert (selected == set(item.endpoints)) == (not choice.over)


def test_selectors_are_the_same_in_any_order():
    """The order in which endpoints were met changes nothing."""
    ends = [pod("s", "", f"Deployment/w{n}", app=str(n % 3), tier=str(n % 4)) for n in range(12)]
    assert _choices(*ends) == _choices(*reversed(ends))


def test_joined_selectors_select_what_they_did():
    """Selectors equal in all but one key become one with a list, and those that differ in more stay."""
    one, two, three = (
        Selector.of({"app": app, NAMESPACE_KEY: namespace})
        for app, namespace in (("a", "x"), ("b", "x"), ("b", "y"))
    )
    joined = join_selectors([three, two, one])
    pods = [
        (Label("k8s", "app", app), Label("k8s", NAMESPACE_KEY, namespace))
        for app in "abc"
        for namespace in "xyz"
    ]
    for labels in pods:
        before = any(each.matches(labels) for each in (one, two, three))
        assert before == any(each.matches(labels) for each in joined)
    assert 2 == len(joined)
