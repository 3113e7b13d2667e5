"""Recommendations: proved by the engine before anybody sees them."""

from dataclasses import replace

import pytest

from flowmine.advise.proof import Gap, prove
from flowmine.advise.recommend import ProofError, proved, recommend
from flowmine.labels import canonical
from flowmine.policy.model import Direction, Entry, Kind, Policy, PortProtocol, PortRule, Rule, Selector
from flowmine.synth.options import Options
from flowmine.synth.scope import Per, Scope
from flowmine.synth.synthesise import synthesise
from tests.synth.made import Capture, End, place, pod

WEB = pod("shop", "", "Deployment/web", app="web")
API = pod("shop", "", "Deployment/api", app="api")
DNS = pod("kube-system", "", "Deployment/coredns", **{"k8s-app": "kube-dns"})


def _capture():
    capture = Capture().talk(WEB, API, 8080).talk(API, DNS, 53, "UDP")
    capture.talk(API, place("reserved:world", ip="192.0.2.1"), 443).name(API, "192.0.2.1", "api.example.com")
    return capture.talk(place("reserved:remote-node", ip="10.0.0.2"), API, 9090)


def _policy(*ports):
    entry = Entry(
        endpoints=(Selector.of({"app": "web"}),),
        to_ports=(PortRule(tuple(PortProtocol(str(port), "TCP") for port in ports)),),
    )
    rule = Rule(endpoint_selector=Selector.of({"app": "api"}), ingress=(entry,))
    return Policy(Kind.CNP, "api", namespace="shop", rules=(rule,))


@pytest.mark.parametrize("per", list(Per))
@pytest.mark.parametrize("options", [Options(), Options().exact(), Options(dns="strict")])
def test_everything_delivered_is_allowed(per, options):
    """Each side of each edge that a policy governs is judged, and none is denied."""
    found = recommend(_capture().edges(), options, Scope(per=per))
    assert () == found.proof.gaps
    assert 5 == found.proof.judged  # web out, api in twice and out twice; the resolver's side is no policy's


@pytest.mark.parametrize("ip", ["192.0.2.1", "::ffff:192.0.2.1", "2001:DB8:0::1", "2001:db8::1"])
def test_an_address_is_one_however_it_is_written(ip):
    """The rule that is written for an address admits it, mapped into IPv6 or in capitals."""
    capture = Capture().talk(API, place("reserved:world", ip=ip), 443).talk(WEB, API, 80)
    assert 3 == recommend(capture.edges()).proof.judged


def test_what_is_no_address_is_told_and_stops_nothing():
    """A peer whose address cannot be read is left out by name; the others get their rules."""
    capture = Capture().talk(API, place("reserved:world", ip="fe80::1%eth0"), 443).talk(API, WEB, 80)
    found = recommend(capture.edges())
    assert (2, 1) == (found.proof.judged, len(found.synthesis.left_out.unnameable))


@pytest.mark.parametrize(
    "labels", [["k8s:app=old"], ["app=old"], ["app=old", "io.kubernetes.pod.namespace=shop"]]
)
def test_labels_without_the_namespace_are_of_it(labels):
    """Captures that left the namespace out of the labels, or the source of labels, get policies that admit them."""
    old = End(canonical(cluster_name="default", namespace="shop", labels=labels))
    assert 3 == recommend(Capture().talk(old, API, 80).talk(DNS, old, 81).edges()).proof.judged


def test_a_gap_is_found():
    """The proof finds an edge that the policies deny, and on which side."""
    edges = Capture().talk(WEB, API, 8080).edges()
    proof = prove(edges, {"default": [_policy(80)]}, [0], lambda endpoint, ip: ())
    assert (Gap(0, Direction.INGRESS),) == proof.gaps


def test_a_needless_rule_is_found():
    """An entry that no edge needs is named by its path; one that some edge needs is not."""
    edges = Capture().talk(WEB, API, 8080).edges()
    policy = _policy(8080)
    twice = replace(policy.rules[0], ingress=(*policy.rules[0].ingress, Entry(entities=("world",))))
    proof = prove(edges, {"default": [replace(policy, rules=(twice,))]}, [0], lambda endpoint, ip: ())
    assert ("CiliumNetworkPolicy/shop/api:spec.ingress[1]",) == proof.needless


def test_namespaces_are_proved_together_as_each_alone():
    """Gaps, needless entries and counts are the same however many namespaces are judged at once."""
    capture = Capture()
    pods = [pod(f"ns-{n}", "", "Deployment/api", app="api") for n in range(4)]
    for number, one in enumerate(pods):
        web = pod(f"ns-{number}", "", "Deployment/web", app="web")
        capture.talk(one, pods[number - 1], 8080).talk(web, one, 80)
    edges = capture.edges()
    everybody = Entry(entities=("world",))
    policies = [
        replace(
            each,
            namespace=f"ns-{n}",
            rules=(replace(each.rules[0], ingress=(*each.rules[0].ingress, everybody)),),
        )
        for n, each in ((n, _policy(80)) for n in range(4))
    ]
    rows = range(edges.edges.num_rows)
    alone, two, whole = (
        prove(edges, {"default": policies}, rows, lambda _, __: (), size) for size in (1, 2, 9)
    )
    assert alone == two == whole
    assert (4, 4) == (len(alone.gaps), len([each for each in alone.needless if each.endswith("[1]")]))


def test_nothing_is_recommended_that_denies_what_it_should_allow():
    """Were the synthesis to forget an edge, the run would end with an error that names it."""
    edges = Capture().talk(WEB, API, 8080).edges()
    made = synthesise(edges, Options(), Scope())
    forgetful = tuple(replace(each, policy=_closed(each.policy)) for each in made.proposals)
    with pytest.raises(ProofError, match=r"shop/web to shop/api on 8080/TCP \((ingress|egress)\)"):
        proved(edges, replace(made, proposals=forgetful))


def test_nothing_is_recommended_that_cilium_refuses():
    """Were the synthesis to write what Cilium does not take, the run would end with an error that names it."""
    edges = Capture().talk(WEB, API, 8080).edges()
    made = synthesise(edges, Options(), Scope())
    broken = tuple(replace(each, policy=replace(each.policy, name="Not A Name")) for each in made.proposals)
    with pytest.raises(ProofError, match="Cilium would refuse"):
        proved(edges, replace(made, proposals=broken))


def _closed(policy):
    rules = tuple(replace(rule, ingress=(Entry(),), egress=(Entry(),)) for rule in policy.rules)
    return replace(policy, rules=rules)


def test_no_rule_is_needless():
    """Removing any rule would deny something that was seen, rules marked required and closed directions apart."""
    assert () == recommend(_capture().edges()).needless


def test_two_clusters_are_proved_each_by_its_own_policies():
    """A connection between two clusters is judged at each end by the policies of that end's cluster."""
    west = pod("shop", "", "Deployment/api", cluster="west", app="api")
    found = recommend(Capture().talk(WEB, west, 80).edges())
    assert {"default", "west"} == {each.cluster for each in found.synthesis.proposals}
    assert 2 == found.proof.judged
