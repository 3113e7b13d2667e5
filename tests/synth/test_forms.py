"""Other kinds of policy: NetworkPolicy, baselines, host policies, egress gateways, and stages of a rollout."""

import pytest

from flowmine.advise.recommend import recommend
from flowmine.errors import UsageError
from flowmine.labels import NAMESPACE_KEY
from flowmine.policy.codec import to_dict
from flowmine.policy.model import EVERYTHING, Kind, Selector
from flowmine.policy.validate import validate
from flowmine.synth.options import Options
from flowmine.synth.scope import Form, Gateway, Per, Scope, Stage
from tests.synth.made import Capture, place, pod

WEB = pod("shop", "", "Deployment/web", app="web")
API = pod("shop", "", "Deployment/api", app="api")
LEDGER = pod("bank", "", "Deployment/ledger", app="ledger")
DNS = pod("kube-system", "", "Deployment/coredns", **{"k8s-app": "kube-dns"})
WORLD = "reserved:world"
NODE = place("reserved:host", ip="10.0.0.1")


def _found(capture, options=None, **scope):
    return recommend(capture.edges(), options, Scope(**scope))


def _specs(found):
    return {policy.name: to_dict(policy)["spec"] for policy in found.policies}


def test_network_policies_say_what_they_can():
    """Pods of the own and of other namespaces, ports and outbound blocks have words in a NetworkPolicy."""
    capture = Capture().talk(WEB, API, 8080).talk(API, LEDGER, 9000, "SCTP")
    capture.talk(API, place(WORLD, ip="192.0.2.1"), 443)
    found = _found(capture, form=Form.KUBERNETES)
    assert {Kind.KNP} == {policy.kind for policy in found.policies}
    assert () == found.synthesis.unsaid
    assert {
        "podSelector": {"matchLabels": {"app": "api"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {
                "from": [{"podSelector": {"matchLabels": {"app": "web"}}}],
                "ports": [{"protocol": "TCP", "port": 8080}],
            }
        ],
        "egress": [
            {
                "to": [
                    {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "bank"}},
                        "podSelector": {"matchLabels": {"app": "ledger"}},
                    }
                ],
                "ports": [{"protocol": "SCTP", "port": 9000}],
            },
            {"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"protocol": "TCP", "port": 443}]},
        ],
    } == _specs(found)["api"]


@pytest.mark.parametrize(
    ("source", "target", "port", "protocol", "why"),
    [
        (place("reserved:remote-node", ip="10.0.0.2"), API, 80, "TCP", "no entity remote-node"),
        (place(WORLD, ip="192.0.2.1"), API, 80, "TCP", "inbound ipBlock"),
        (WEB, API, 8, "ICMPv4", "no ICMP"),
        (WEB, pod("shop", cluster="west", app="x"), 80, "TCP", "no other clusters"),
    ],
)
def test_what_has_no_words_is_left_out_and_told(source, target, port, protocol, why):
    """What a NetworkPolicy cannot say, or 1.19 would widen, is left out and named: never widened in silence."""
    capture = Capture().talk(WEB, API, 8080).talk(source, target, port, protocol)
    if target is not API:
        capture.half_see(target)
    found = _found(capture, form=Form.KUBERNETES)
    assert found.synthesis.unsaid and all(why in each.why for each in found.synthesis.unsaid)
    assert any("LEFT OUT" in note for each in found.proposals for note in each.notes)


def test_names_are_left_out_of_network_policies_but_lookups_stay():
    """A DNS name has no words in a NetworkPolicy; the lookups themselves do."""
    capture = Capture().talk(API, DNS, 53, "UDP")
    capture.talk(API, place(WORLD, ip="192.0.2.1"), 443).name(API, "192.0.2.1", "api.example.com")
    found = _found(capture, form=Form.KUBERNETES)
    assert ["api.example.com"] == [each.about for each in found.synthesis.unsaid]
    (lookups,) = _specs(found)["api"]["egress"]
    assert [{"protocol": "TCP", "port": 53}, {"protocol": "UDP", "port": 53}] == lookups["ports"]


def test_every_form_is_valid_and_proved():
    """All kinds together are what Cilium takes, and deny nothing that they mean to allow."""
    capture = Capture().talk(WEB, API, 8080).talk(place(WORLD, ip="192.0.2.1"), NODE, 22)
    capture.talk(API, place(WORLD, ip="198.51.100.9"), 443)
    for form in Form:
        found = _found(
            capture,
            form=form,
            baseline=True,
            hosts=EVERYTHING,
            gateways=(Gateway("198.51.100.0/24", Selector.of({"gw": "yes"})),),
            per=Per.WORKLOAD,
        )
        assert () == found.proof.gaps
        manifests = [to_dict(each) for each in found.policies]
        manifests += [each.manifest for each in found.synthesis.gateways]
        assert [] == [problem for manifest in manifests for problem in validate(manifest)]


def test_a_baseline_closes_what_comes_later():
    """A namespace whose every workload has its rules may be closed whole."""
    found = _found(Capture().talk(WEB, API, 8080), baseline=True)
    assert {"endpointSelector": {}, "ingress": [{}], "egress": [{}]} == _specs(found)["default-deny"]


def test_no_baseline_where_it_would_cut_somebody_off():
    """A namespace with a half-seen workload gets no baseline, and the remark says who would be cut off."""
    capture = Capture().talk(WEB, API, 8080)
    capture.half_see(API, ingress=True)
    found = _found(capture, baseline=True)
    assert "default-deny" not in _specs(found)
    assert "it would cut off api" in found.synthesis.remarks[0]


def test_host_policies_are_by_node_selector_and_leave_nodes_to_each_other():
    """Nodes get a clusterwide policy by nodeSelector for what called them; nodes stay open to nodes; egress stays open."""
    capture = Capture().talk(place(WORLD, ip="192.0.2.1"), NODE, 22).talk(WEB, NODE, 10250)
    capture.talk(place("reserved:remote-node", ip="10.0.0.2"), NODE, 9100)
    (policy,) = (
        each
        for each in _found(capture, hosts=Selector.of({"role": "worker"})).policies
        if each.kind is Kind.CCNP
    )
    spec = to_dict(policy)["spec"]
    assert {"matchLabels": {"role": "worker"}} == spec["nodeSelector"]
    assert "egress" not in spec and "endpointSelector" not in spec
    assert [
        {"fromEntities": ["health", "kube-apiserver", "remote-node"]},
        {
            "fromEndpoints": [{"matchLabels": {"app": "web", NAMESPACE_KEY: "shop"}}],
            "toPorts": [{"ports": [{"port": "10250", "protocol": "TCP"}]}],
        },
        {"fromCIDR": ["192.0.2.1/32"], "toPorts": [{"ports": [{"port": "22", "protocol": "TCP"}]}]},
    ] == spec["ingress"]


def test_gateways_select_the_callers_of_a_block():
    """An egress gateway selects the workloads that were seen to call the block, and no others."""
    capture = (
        Capture().talk(API, place(WORLD, ip="198.51.100.9"), 443).talk(WEB, place(WORLD, ip="192.0.2.1"), 443)
    )
    gateway = Gateway("198.51.100.0/24", Selector.of({"gw": "yes"}))
    (made,) = _found(capture, gateways=(gateway,)).synthesis.gateways
    assert {
        "selectors": [{"podSelector": {"matchLabels": {"app": "api", NAMESPACE_KEY: "shop"}}}],
        "destinationCIDRs": ["198.51.100.0/24"],
        "egressGateway": {"nodeSelector": {"matchLabels": {"gw": "yes"}}},
    } == made.manifest["spec"]


def test_a_gateway_that_nobody_calls_is_told():
    """A block that no workload was seen to call gets no policy, and a remark."""
    found = _found(Capture().talk(WEB, API, 80), gateways=(Gateway("10.9.0.0/16", EVERYTHING),))
    assert () == found.synthesis.gateways
    assert "no workload was seen to call it" in found.synthesis.remarks[0]


def test_observe_denies_nothing():
    """In the first stage every direction written is left open, whatever is called by whom."""
    found = _found(Capture().talk(WEB, API, 80), stage=Stage.OBSERVE)
    assert {(False, False)} == {
        (rule.enable_default_deny.ingress, rule.enable_default_deny.egress)
        for policy in found.policies
        for rule in policy.rules
    }


def test_audit_changes_no_rule_and_brings_its_commands():
    """The audit stage is the same policies with the commands that make the endpoints report."""
    capture = Capture().talk(WEB, API, 80)
    audited = _found(capture, stage=Stage.AUDIT)
    assert _found(capture).policies == audited.policies
    for each in audited.proposals:
        (command,) = (note for note in each.notes if note.startswith("kubectl"))
        assert f"-l 'app={each.policy.name}'" in command and "PolicyAuditMode=Enabled" in command


@pytest.mark.parametrize("scope", [{"form": Form.KUBERNETES}, {}])
def test_observe_needs_words_for_it(scope):
    """A NetworkPolicy, or Cilium before 1.16, has no way to deny nothing: a sentence says so."""
    options = Options() if scope else Options(cilium=(1, 15))
    with pytest.raises(UsageError, match="--stage observe needs"):
        _found(Capture().talk(WEB, API, 80), options, stage=Stage.OBSERVE, **scope)
