"""Taking away what admits a connection: the least that helps, and nothing opens by it."""

import pytest

from flowmine.advise.inforce import in_force, own_cluster
from flowmine.advise.recorded import recorded
from flowmine.advise.rulings import rulings
from flowmine.advise.standpoint import Standpoint, crowd
from flowmine.advise.withdraw import withdrawal
from flowmine.edges import COLUMNS, REQUEST_COLUMNS, aggregate
from flowmine.ingest import open_flows
from flowmine.policy.files import Document
from tests.report.making import SAMPLES

FRONTEND, DATABASE = {"matchLabels": {"tier": "frontend"}}, {"matchLabels": {"tier": "database"}}
BACKEND = {"matchLabels": {"tier": "backend"}}


@pytest.fixture(scope="module")
def known():
    """Return the three-tier sample as recorded."""
    source = open_flows(str(SAMPLES / "three-tier"), columns=(*COLUMNS, *REQUEST_COLUMNS))
    return recorded(aggregate(source, requests=True))


def taken(known, *specs, kind="CiliumNetworkPolicy"):
    """Return the policies' specs after frontend to backend on 80/TCP is taken out, what went, and whether it passes."""
    version = "networking.k8s.io/v1" if kind == "NetworkPolicy" else "cilium.io/v2"
    documents = [
        Document(
            "it",
            number,
            1,
            {
                "apiVersion": version,
                "kind": kind,
                "metadata": {"name": f"p{number}", "namespace": "default"},
                "spec": spec,
            },
        )
        for number, spec in enumerate(specs)
    ]
    policies = in_force(documents, cluster=own_cluster(known.edges)[0])
    assert () == policies.ineffective
    title = known.title
    rows = [
        row
        for row, link in enumerate(known.links)
        if (title(link.source), title(link.target), link.port) == ("default/frontend", "default/backend", 80)
    ]
    ruled = rulings(known, policies, range(len(known.links)))
    here = Standpoint(crowd(known, policies), policies.policies)
    found = withdrawal(known, policies, here, rows, ruled)
    if found is None:
        return None
    after = [
        Document("it", number, 1, {**policies.manifests, **found.manifests}[f"{kind}/default/p{number}"])
        for number in range(len(specs))
    ]
    changed = in_force(after, cluster=policies.cluster)
    passes = {ruling.allowed for ruling in rulings(known, changed, rows).values()}
    return [each.value["spec"] for each in after], [step.shown for step in found.steps], passes


def test_of_several_peers_one_goes(known):
    """The peer alone is taken from an entry that holds others that are seen."""
    entry = {
        "fromEndpoints": [DATABASE, FRONTEND],
        "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}],
    }
    (spec,), shown, passes = taken(known, {"endpointSelector": BACKEND, "ingress": [entry]})
    assert [{**entry, "fromEndpoints": [DATABASE]}] == spec["ingress"]
    assert ([{"fromEndpoints": [FRONTEND]}], {False}) == (shown, passes)


def test_every_entry_that_admits_it_goes(known):
    """Two policies that admit it both lose their entries, and the side stays closed."""
    spec = {"endpointSelector": BACKEND, "ingress": [{"fromEndpoints": [FRONTEND]}]}
    specs, _, passes = taken(known, spec, {**spec, "ingress": [{"fromEntities": ["all"]}]})
    assert ([[{}], [{}]], {False}) == ([each["ingress"] for each in specs], passes)


def test_the_last_rule_of_a_network_policy_leaves_its_direction_named(known):
    """An empty rule would admit everything there; without any, policyTypes closes the direction."""
    spec = {"podSelector": BACKEND, "ingress": [{"from": [{"podSelector": FRONTEND}]}]}
    (after,), _, passes = taken(known, spec, kind="NetworkPolicy")
    assert ([], ["Ingress"], {False}) == (after["ingress"], after["policyTypes"], passes)


def test_where_nothing_is_closed_nothing_is_taken(known):
    """Without a rule that admits it there is no change to make."""
    assert taken(known, {"endpointSelector": DATABASE, "ingress": [{"fromEndpoints": [BACKEND]}]}) is None
