"""Recommendations for the sample captures, as whole files that a reviewer has read.

Run with `--update-goldens` after a change that is meant; the difference is then for review.
"""

from pathlib import Path

import pytest

from flowmine.advise.recommend import recommend
from flowmine.edges import aggregate
from flowmine.ingest import open_flows
from flowmine.policy.codec import from_yaml
from flowmine.report.policies import stream
from flowmine.synth.evidence import Witness
from flowmine.synth.options import Options
from flowmine.synth.scope import Scope

HERE = Path(__file__).parent
SAMPLES = HERE.parents[1] / "sample_flows"

RUNS = {
    "three-tier": ("three-tier", Options(), Scope()),
    "three-tier-exact": ("three-tier", Options().exact(), Scope()),
    "three-tier-http": ("three-tier", Options(l7=("http",)), Scope()),
    "linkding": ("linkding", Options(), Scope()),
    "empire": ("empire", Options(), Scope()),
    "node": ("node", Options(), Scope()),
}


def _made(name: str) -> str:
    sample, options, scope = RUNS[name]
    edges = aggregate(open_flows(SAMPLES / sample), requests=bool(options.l7))
    return stream(recommend(edges, options, scope).proposals, Witness(edges).of)


@pytest.mark.parametrize("name", RUNS)
def test_policies_are_as_reviewed(name, update_goldens):
    """The policies for a sample are, byte for byte, those that were reviewed."""
    golden = HERE / f"{name}.yaml"
    made = _made(name)
    if update_goldens:
        golden.write_text(made, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == made


MEANT = {
    "default/backend ingress 0": "tier=frontend on 80/TCP",
    "default/backend ingress 1": "172.27.224.3/32 on 80/TCP",
    "default/backend egress 0": "io.kubernetes.pod.namespace=kube-system,k8s-app=kube-dns on 53/TCP 53/UDP",
    "default/backend egress 1": "tier=database on 7379/TCP",
    "default/backend egress 2": "*.cloud.google.com on 80/TCP 443/TCP",
    "default/batch ingress 0": "nobody",
    "default/batch egress 0": "nobody",
    "default/database ingress 0": "tier=backend on 7379/TCP",
    "default/database ingress 1": "102.213.50.174/32 on 443/TCP",
    "default/database egress 0": "nobody",
    "default/frontend ingress 0": "world on 80/TCP 443/TCP",
    "default/frontend egress 0": "io.kubernetes.pod.namespace=kube-system,k8s-app=kube-dns on 53/TCP 53/UDP",
    "default/frontend egress 1": "tier=backend on 80/TCP",
}


def test_the_three_tiers_may_do_what_their_stories_say():
    """Read back, the policies allow whom the sample's stories allow, and nobody else."""
    found = {
        f"{policy.namespace}/{policy.name} {section} {number}": _peers(entry)
        for policy in from_yaml((HERE / "three-tier.yaml").read_text(encoding="utf-8"))
        for rule in policy.rules
        for section, number, entry in rule.entries()
    }
    assert MEANT == found


def _peers(entry) -> str:
    """An entry in one line: its peers, then its ports."""
    peers = [
        *(",".join(f"{key}={value}" for key, value in each.match_labels) for each in entry.endpoints or ()),
        *(entry.entities or ()),
        *(entry.cidr or ()),
        *(each.match_name or each.match_pattern for each in entry.fqdns or ()),
    ]
    ports = [f"{each.port}/{each.protocol}" for rule in entry.to_ports or () for each in rule.ports]
    return f"{' '.join(peers)} on {' '.join(ports)}" if peers else "nobody"
