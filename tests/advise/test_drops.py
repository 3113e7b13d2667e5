"""The report of drops: what caused them, which are gone, which are scans, and the stories of the samples."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from flowmine.advise.admitedits import combined
from flowmine.advise.causes import ADVICE, Cause, advice_on
from flowmine.advise.dropfindings import drop_findings
from flowmine.advise.drops import DropReport, drops, summary
from flowmine.advise.inforce import InForce, in_force, own_cluster
from flowmine.advise.simulate import ShiftKind, simulate
from flowmine.dropreasons import NUMBERS
from flowmine.edges import Edges, aggregate
from flowmine.ingest import open_flows
from flowmine.policy.files import Document, load
from flowmine.policy.model import Direction
from tests.advise.dropping import Drops, cnp, deny_all, in_effect, only
from tests.synth.made import Capture, place, pod

SAMPLES = Path(__file__).parents[2] / "sample_flows"
WEB, API, DB = (pod("shop", f"{app}-0", f"Deployment/{app}", app=app) for app in ("web", "api", "db"))
WORLD = place("reserved:world", ip="192.0.2.7")


@cache
def sample(name: str) -> Edges:
    """The edges of a sample."""
    return aggregate(open_flows(str(SAMPLES / name)), requests=True)


def policies_of(name: str, *more: Document) -> InForce:
    """The policies in force in a sample, and others."""
    documents = (*load(str(SAMPLES / name / "policies")).documents, *more)
    return in_force(documents, cluster=own_cluster(sample(name))[0])


@cache
def reported(name: str) -> DropReport:
    """The drops of a sample under the policies in force."""
    return drops(sample(name), policies_of(name))


STORIES = {
    "three-tier": [
        ("world (14 addresses)", "default/frontend", "80/UDP", "ingress", "frontend-policy"),
        ("default/batch", "default/database", "7379/TCP", "ingress", "database-policy"),
        ("default/backend", "example.com", "80/TCP", "egress", "backend-policy"),
        ("172.27.224.3", "default/database", "7379/TCP", "ingress", "database-policy"),
        ("default/database", "kube-system/coredns", "53/UDP", "egress", "database-policy"),
        ("default/database", "default/frontend", "80/TCP", "egress+ingress", "database-policy frontend-policy"),
        ("172.27.224.3", "default/backend", "80/TCP", "ingress", "backend-policy"),
    ],
    "linkding": [
        ("default/toolbox", "linkding/linkding-db", "5432/TCP", "ingress", "deny-all linkding-database"),
        ("default/toolbox", "linkding/linkding", "9090/TCP", "ingress", "deny-all linkding-app"),
        ("192.168.1.77", "linkding/linkding", "9090/TCP", "ingress", "deny-all linkding-app"),
        ("linkding/bookmark-sync", "linkding/linkding", "9090/TCP", "egress", "deny-all"),
        ("linkding/bookmark-sync", "kube-system/coredns", "53/UDP", "egress", "deny-all"),
        ("monitoring/prometheus", "linkding/bookmark-sync", "8080/TCP", "ingress", "deny-all"),
        ("linkding/linkding", "kube-apiserver", "6443/TCP", "egress", "deny-all linkding-app"),
        ("linkding/linkding", "api.github.com", "22/TCP", "egress", "deny-all linkding-app"),
        ("linkding/linkding", "default/toolbox", "80/TCP", "egress", "deny-all linkding-app"),
        ("linkding/linkding-db", "s3.eu-central-1.wasabisys.com", "80/TCP", "egress", "deny-all linkding-database"),
        ("payments/sensitive", "payments/auth", "8443/TCP", "egress+ingress", "block-all permit-auth-ingress permit-sensitive-pod-egress"),
        ("payments/reporting", "payments/auth", "80/TCP", "egress+ingress", "block-all permit-auth-ingress"),
        ("payments/auth", "payments/sensitive", "80/TCP", "egress+ingress", "block-all"),
        ("payments/reporting", "kube-system/coredns", "53/UDP", "egress", "block-all"),
    ],
    "empire": [
        ("empire/tiefighter", "google.com", "443/TCP", "egress", "allow-within-namespace"),
        ("empire/xwing", "google.com", "80/TCP", "egress", "allow-within-namespace"),
        ("empire/tiefighter", "kube-system/kubernetes-dashboard", "8443/TCP", "egress", "allow-within-namespace"),
        ("kube-system/coredns", "empire/deathstar", "80/TCP", "ingress", "allow-within-namespace"),
        ("default/rebel-base", "empire/deathstar", "80/TCP", "ingress", "allow-within-namespace"),
        ("monitoring/prometheus-core", "empire/deathstar", "80/TCP", "ingress", "allow-within-namespace"),
        ("monitoring/prometheus-core", "empire/deathstar", "8080/TCP", "ingress", "allow-within-namespace"),
    ],
    "node": [
        ("world (3 addresses)", "host (node-access=example)", "6443/TCP", "ingress", "host-ns"),
        ("world (3 addresses)", "host (node-access=example)", "30080/TCP", "ingress", "host-ns"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(STORIES))
def test_stories(name: str) -> None:
    """The drops of a sample are those that its authors tell of, with the sides and the policies behind them."""
    found = [
        (
            drop.group.source.title,
            drop.group.target.title,
            drop.group.where,
            "+".join(drop.group.sides),
            " ".join(
                sorted(
                    {
                        by.partition(":")[0].rpartition("/")[2]
                        for names in drop.group.by.values()
                        for by in names
                    }
                )
            ),
        )
        for drop in reported(name).standing
    ]
    assert sorted(STORIES[name]) == sorted(found)


@pytest.mark.parametrize("name", sorted(STORIES))
def test_the_changes_admit_the_drops_and_nothing_else(name: str) -> None:
    """With all changes applied every drop is gone, nothing delivered is denied, and only the drops are newly allowed."""
    policies = policies_of(name)
    changes = [(drop.admission, "") for drop in reported(name).standing if drop.admission]
    assert len(changes) == len(reported(name).standing)
    made = combined(changes, policies)
    kept = [home for ref, home in policies.homes.items() if ref not in made]
    after = in_force(
        [*kept, *(Document("new.yaml", 1, 1, dict(manifest)) for manifest, _ in made.values())],
        cluster=policies.cluster,
    )
    assert () == after.ineffective
    assert () == drops(sample(name), after).standing
    trial = simulate(sample(name), after, policies)
    assert () == trial.of(ShiftKind.DENIED, ShiftKind.NEWLY_DENIED)
    opened = {
        (each.source.title, each.target.title, each.where) for each in trial.of(ShiftKind.NEWLY_ALLOWED)
    }
    assert opened == {(source, target, where) for source, target, where, _, _ in STORIES[name]}
    assert all(drop.also == () for drop in reported(name).standing)


def test_scans_are_one_line_and_hide_no_real_drop() -> None:
    """The scan of a pod is told once; what it tried far more often stays a drop of its own."""
    report = reported("three-tier")
    assert [("default/batch", 155)] == [(scan.title, scan.count) for scan in report.scans]
    real = [drop for drop in report.drops if drop.group.source.title == "default/batch"]
    assert ["7379/TCP"] == [drop.group.where for drop in real]
    assert "its source scans" in real[0].risks


def test_strangers_together_are_a_scan() -> None:
    """Addresses that each try one port of a target are a scan where together they try many."""
    made = Drops()
    for number in range(12):
        made.drop(place("reserved:world", ip=f"192.0.2.{number}"), API, 1000 + number, count=1)
    made.drop(WEB, API, 80)
    report = made.report(deny_all())
    assert [("world (12 addresses)", 12)] == [(scan.title, scan.count) for scan in report.scans]
    assert ["shop/web"] == [drop.group.source.title for drop in report.drops]


def test_without_policies_the_flows_are_told() -> None:
    """Without policies the side and the reason are Hubble's, and the change opens that side alone."""
    report = drops(sample("linkding"))
    assert 14 == len(report.standing)
    both = next(drop for drop in report.drops if drop.group.target.title == "payments/auth")
    assert (Direction.EGRESS,) == both.group.sides
    assert ["egress"] == [edit.places[0].removeprefix("spec.") for edit in both.edits]
    assert any("--policies" in line for line in summary(report))


def test_a_drop_whose_cause_is_gone_is_said_to_be() -> None:
    """A drop that the policies in force allow is told as gone, needs no change, and does not stand."""
    allowing = cnp(
        "api", {"endpointSelector": {"matchLabels": {"app": "api"}}, "ingress": [{"fromEndpoints": [{}]}]}
    )
    report = Drops().drop(WEB, API, 80).report(allowing)
    assert Cause.GONE is only(report).group.cause
    assert () == report.standing
    assert () == only(report).edits


def test_audited_connections_are_would_be_drops() -> None:
    """What audit mode let through is told as what would be dropped, with its change."""
    made = Drops().drop(WEB, API, 80, reason="AUDIT", outcome="audited")
    drop = only(
        made.report(cnp("api", {"endpointSelector": {"matchLabels": {"app": "api"}}, "ingress": [{}]}))
    )
    assert drop.group.audited
    assert Cause.NO_RULE is drop.group.cause
    assert any("audit mode" in note for note in drop.notes)
    assert drop.edits


def test_authentication_is_not_a_missing_rule() -> None:
    """A drop for want of authentication names the rule that asks for it, and gets no change."""
    entry = {"fromEndpoints": [{}], "authentication": {"mode": "required"}}
    policy = cnp("api", {"endpointSelector": {"matchLabels": {"app": "api"}}, "ingress": [entry]})
    drop = only(Drops().drop(WEB, API, 80, reason="AUTH_REQUIRED").report(policy))
    assert Cause.AUTHENTICATION is drop.group.cause
    assert {Direction.INGRESS: ("CiliumNetworkPolicy/shop/api:spec.ingress[0]",)} == drop.group.by
    assert () == drop.edits


def test_other_reasons_are_told_with_where_to_look() -> None:
    """A drop that is not policy's doing stands apart, with what its reason means."""
    report = (
        Drops().drop(WEB, API, 80, reason="SERVICE_BACKEND_NOT_FOUND", outcome="other").report(deny_all())
    )
    assert Cause.OTHER is only(report).group.cause
    assert "no ready backend" in only(report).notes[0]
    assert () == report.standing


def test_a_dropped_reply_is_no_missing_rule() -> None:
    """An answer that was dropped is told as such: connection tracking lets answers through, never a rule."""
    report = Drops().drop(WEB, API, 80, side="reply").report(deny_all())
    assert Cause.REPLY is only(report).group.cause
    assert () == report.standing


def test_one_edge_may_be_dropped_for_several_reasons() -> None:
    """A connection that policy and the datapath drop is told twice, once for each."""
    made = Drops().drop(WEB, API, 80).again("ingress", "CT_MAP_INSERTION_FAILED")
    assert {Cause.NO_RULE, Cause.OTHER} == {drop.group.cause for drop in made.report(deny_all()).drops}


def test_drops_of_another_cluster_are_not_judged() -> None:
    """A drop at the side of a pod of another cluster cannot be judged by these policies, and is said so."""
    far = pod("shop", "far-0", "Deployment/far", cluster="west", app="far")
    drop = only(
        Drops()
        .drop(WEB, far, 80, side="ingress")
        .report(cnp("x", {"endpointSelector": {}, "egress": [{"toEntities": ["all"]}]}))
    )
    assert Cause.UNKNOWN is drop.group.cause
    assert "another cluster" in drop.notes[0]


def test_a_policy_without_effect_is_told_of() -> None:
    """A policy that Cilium would refuse has no say, and the report says which and why."""
    policies = in_effect(
        cnp("bad", {"endpointSelector": {}, "ingress": [{"toPorts": [{"ports": [{"port": "80-90"}]}]}]})
    )
    assert 1 == len(policies.ineffective)
    assert "bad.yaml:1: CiliumNetworkPolicy/shop/bad" in policies.ineffective[0]


def test_named_ports_are_remarked_on() -> None:
    """Rules by a port's name match nothing until somebody says what it stands for."""
    entry = {"fromEndpoints": [{}], "toPorts": [{"ports": [{"port": "http", "protocol": "TCP"}]}]}
    policy = cnp("api", {"endpointSelector": {"matchLabels": {"app": "api"}}, "ingress": [entry]})
    made = Drops().drop(WEB, API, 80)
    assert any("(http)" in line for line in summary(made.report(policy)))
    documents = [Document("api.yaml", 1, 1, policy)]
    known = in_force(documents, named_ports=(("http", 80, _tcp()),))
    assert Cause.GONE is only(drops(made.edges(), known)).group.cause


def _tcp() -> int:
    from flowmine.engine.entries import Protocols

    return Protocols.TCP


def test_the_diff_is_against_the_file() -> None:
    """With the file's text the diff changes that file, and the finding points at its line."""
    text = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: api\n  namespace: shop\nspec:\n  endpointSelector:\n    matchLabels:\n      app: api\n  ingress:\n  - {} # closed\n"
    policy = cnp("api", {"endpointSelector": {"matchLabels": {"app": "api"}}, "ingress": [{}]})
    texts = {"api.yaml": text}
    report = Drops().drop(WEB, API, 80).report(policy, texts=texts)
    diff = only(report).edits[0].diff
    assert diff.startswith("--- a/api.yaml\n+++ b/api.yaml\n")
    assert "\n   - {} # closed\n" in diff
    findings = list(drop_findings(report, texts))
    assert [("drop-no-rule", "api.yaml", 10)] == [(each.rule, each.file, each.line) for each in findings]


def test_every_reason_has_its_line() -> None:
    """Every drop reason of Cilium 1.19 says what it means and where to look; a later one says that it is unknown."""
    assert set(NUMBERS) == set(ADVICE)
    assert all(each.means and each.look for each in ADVICE.values())
    assert "does not know" in advice_on("SOMETHING_NEW").means


def test_text_captures_are_reported_as_far_as_they_go() -> None:
    """Of a capture without labels the drops are told by pod, and no rule is made up."""
    path = Path(__file__).parents[3] / "shared" / "real-flows" / "cilium-docs-compact.txt"
    if not path.exists():
        pytest.skip("../shared with its real captures is not beside the checkout")
    report = drops(aggregate(open_flows(str(path)), requests=True), in_effect(deny_all("default")))
    told = {drop.group.source.title for drop in report.drops}
    assert report.drops
    assert not any(drop.edits for drop in report.drops)
    assert "an unlabelled peer" not in told


def test_the_order_of_events_does_not_matter() -> None:
    """The same drops in another order give the same report."""
    made = [Drops().drop(WEB, API, 80).drop(DB, API, 81).drop(WORLD, API, 82, count=3) for _ in range(2)]
    rows, reasons = made[1].capture.rows[::-1], made[1].reasons[::-1]
    made[1].capture.rows, made[1].reasons = rows, [{**each, "edge": 2 - each["edge"]} for each in reasons]
    first, second = (list(_told(each.report(deny_all()))) for each in made)
    assert first == second


def _told(report: DropReport) -> Iterator[tuple[object, ...]]:
    for drop in report.drops:
        yield (
            drop.group.source,
            drop.group.target,
            drop.group.where,
            drop.group.count,
            [e.diff for e in drop.edits],
        )


def test_nothing_dropped_is_no_finding() -> None:
    """A capture without drops has an empty report."""
    report = drops(Drops(Capture().talk(WEB, API, 80)).edges(), in_effect(deny_all()))
    assert ((), ()) == (report.drops, report.scans)
