"""Recorded traffic on other policies: what would break, what opens, who becomes governed, what no flow used."""

from functools import cache
from pathlib import Path

import pytest

from flowmine.advise.inforce import in_force, own_cluster
from flowmine.advise.simfindings import simulation_findings
from flowmine.advise.simulate import Simulation, simulate
from flowmine.edges import Edges, aggregate
from flowmine.ingest import open_flows
from flowmine.policy.files import load
from flowmine.policy.model import Direction
from tests.advise.dropping import Drops, Manifest, cnp, deny_all, in_effect
from tests.synth.made import Capture, place, pod

SAMPLES = Path(__file__).parents[2] / "sample_flows"
WEB, API, DB = (pod("shop", f"{app}-0", f"Deployment/{app}", app=app) for app in ("web", "api", "db"))
WORLD = place("reserved:world", ip="192.0.2.7")
OPEN_API = cnp(
    "api", {"endpointSelector": {"matchLabels": {"app": "api"}}, "ingress": [{"fromEndpoints": [{}]}]}
)


def trial(made: Drops, *policies: Manifest, against: tuple[Manifest, ...] | None = None) -> Simulation:
    """The simulation of a capture made by hand."""
    return simulate(made.edges(), in_effect(*policies), None if against is None else in_effect(*against))


def told(found: Simulation) -> list[tuple[str, str, str]]:
    """The changes: kind, title and sides."""
    return [(shift.kind.value, shift.title, "+".join(shift.sides)) for shift in found.shifts]


@cache
def sample(name: str) -> Edges:
    return aggregate(open_flows(str(SAMPLES / name)), requests=True)


@pytest.mark.parametrize("name", ["empire", "linkding", "node", "three-tier"])
def test_the_policies_in_force_explain_every_sampled_flow(name: str) -> None:
    """On the policies that were in force, nothing that was delivered is denied and nothing dropped is allowed."""
    documents = load(str(SAMPLES / name / "policies")).documents
    found = simulate(sample(name), in_force(documents, cluster=own_cluster(sample(name))[0]))
    assert [] == told(found)
    assert found.judged > 20


def test_delivered_traffic_that_would_be_denied_is_told() -> None:
    """A delivered connection that no rule allows is told with the side and the policy that closes it."""
    found = trial(Drops(Capture().talk(WEB, API, 80)), deny_all())
    assert [("would be denied", "shop/web to shop/api on 80/TCP", "egress+ingress")] == told(found)
    assert dict.fromkeys(Direction, ("CiliumNetworkPolicy/shop/closed",)) == dict(found.shifts[0].by)
    findings = list(simulation_findings(found, {}))
    assert [("simulate-denied", "error")] == [(each.rule, each.level.value) for each in findings]


def test_requests_that_would_be_refused_are_told() -> None:
    """A connection that passes while one of its recorded requests would not is denied for that request."""
    http = [
        {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET", "path": "/a"}]}}
    ]
    policy = cnp(
        "api",
        {
            "endpointSelector": {"matchLabels": {"app": "api"}},
            "ingress": [{"fromEndpoints": [{}], "toPorts": http}],
        },
    )
    made = (
        Drops(Capture().talk(WEB, API, 80))
        .request("GET", "/a", denied=False)
        .request("GET", "/b", denied=False)
    )
    found = trial(made, policy)
    assert (("GET", "/b"),) == found.shifts[0].requests
    assert () == found.shifts[0].sides


def test_drops_that_would_pass_are_newly_allowed() -> None:
    """What was dropped when recorded and would pass is newly allowed, by the entry that allows it; audited traffic is not."""
    made = Drops().drop(WEB, API, 80).drop(DB, API, 81, reason="AUDIT", outcome="audited")
    found = trial(made, OPEN_API)
    assert [("newly allowed", "shop/web to shop/api on 80/TCP", "")] == told(found)
    assert ("CiliumNetworkPolicy/shop/api:spec.ingress[0]",) == found.shifts[0].by[Direction.INGRESS]


def test_policies_are_compared_with_those_in_force() -> None:
    """Against the policies in force, newly denied and newly allowed are differences of the two, whatever was recorded."""
    closed = cnp("api", {"endpointSelector": {"matchLabels": {"app": "api"}}, "ingress": [{}]})
    made = Drops().drop(WEB, API, 80)
    assert [("newly denied", "shop/web to shop/api on 80/TCP", "ingress")] == told(
        trial(made, closed, against=(OPEN_API,))
    )
    assert ["newly allowed"] == [kind for kind, _, _ in told(trial(made, OPEN_API, against=(closed,)))]
    assert [] == told(trial(made, closed, against=(closed,)))


def test_noise_that_would_be_denied_breaks_nothing() -> None:
    """Hits of a scan that would be denied are told as noise."""
    made = Capture()
    for port in range(1, 30):
        made.talk(DB, API, port, outcome="delivered" if port == 22 else "dropped", events=1)
    found = trial(
        Drops(made), cnp("api", {"endpointSelector": {"matchLabels": {"app": "api"}}, "ingress": [{}]})
    )
    assert [("noise denied", "shop/db to shop/api on 22/TCP", "ingress")] == told(found)


def test_who_becomes_governed() -> None:
    """Workloads of which a direction closes are named with it; against policies only those that were open before."""
    made = Drops(Capture().talk(WEB, API, 80))
    closed_in = cnp("in", {"endpointSelector": {}, "ingress": [{"fromEntities": ["all"]}]})
    everyone = [("shop/api", ("ingress",)), ("shop/web", ("ingress",))]
    assert everyone == [(each.title, each.sides) for each in trial(made, closed_in).governed]
    found = trial(made, closed_in, against=(OPEN_API,))
    assert [("shop/web", ("ingress",))] == [(each.title, each.sides) for each in found.governed]


def test_entries_that_no_flow_used() -> None:
    """Entries without a flow are named with their place; what only closes a direction is none; a policy's coverage counts."""
    policy = cnp(
        "api",
        {
            "endpointSelector": {"matchLabels": {"app": "api"}},
            "ingress": [{"fromEndpoints": [{"matchLabels": {"app": "web"}}]}, {"fromEntities": ["world"]}],
            "egress": [{}],
        },
    )
    found = trial(Drops(Capture().talk(WEB, API, 80)), policy)
    assert ("CiliumNetworkPolicy/shop/api:spec.ingress[1]",) == found.unused
    coverage = found.coverage[0]
    assert (3, 1, ("shop/api",), 1) == (coverage.entries, coverage.used, coverage.workloads, coverage.edges)


def test_an_address_without_a_name_is_remarked_on() -> None:
    """Traffic to an address that nobody looked up is denied by toFQDNs rules, with a word on why."""
    policy = cnp(
        "web",
        {
            "endpointSelector": {"matchLabels": {"app": "web"}},
            "egress": [{"toFQDNs": [{"matchName": "a.example.com"}]}],
        },
    )
    made = Capture().talk(WEB, WORLD, 443)
    assert "no name was seen" in trial(Drops(made), policy).shifts[0].remarks[0]
    made.name(WEB, "192.0.2.7", "a.example.com")
    assert [] == told(trial(Drops(made), policy))
