"""Joining entries changes no verdict, makes no more of them, and keeps Cilium's limits."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine.engine.policyset import PolicySet
from flowmine.policy.model import (
    Entry,
    FqdnSelector,
    HttpRule,
    IcmpField,
    IcmpRule,
    Kind,
    L7Rules,
    Policy,
    PortProtocol,
    PortRule,
    Rule,
    Selector,
)
from flowmine.synth.reduce import reduce_entries

NAMESPACE = "k8s:io.kubernetes.pod.namespace=default"
SUBJECT = {"labels": ["k8s:app=subject", NAMESPACE]}
PODS = [{"labels": [f"k8s:app={app}", NAMESPACE]} for app in "abc"]
OUTSIDE = [
    {"labels": ["reserved:world"], "ip": "192.0.2.1", "names": ["x.example.com"]},
    {"labels": ["reserved:world"], "ip": "198.51.100.9", "names": []},
]
ENTITIES = [
    {"labels": ["reserved:remote-node"], "ip": "10.0.0.2"},
    {"labels": ["reserved:kube-apiserver"], "ip": "10.0.0.3"},
]

PORTS = [("53", "UDP", None), ("53", "TCP", None), ("80", "TCP", None), ("80", None, None), ("80", "TCP", 90)]
ports = st.sampled_from([PortProtocol(*each) for each in PORTS])
rules = st.sampled_from(
    [
        None,
        L7Rules(http=(HttpRule(method="GET", path="/a"),)),
        L7Rules(dns=(FqdnSelector(match_pattern="*.example.com"),)),
    ]
)


@st.composite
def port_rules(draw):
    """`toPorts` items; HTTP on TCP ports and DNS on port 53 only, as Cilium demands."""
    found = draw(st.lists(ports, max_size=3))
    rule = draw(rules)
    if rule and rule.http and any(port != PortProtocol("80", "TCP") for port in found):
        rule = None
    if rule and rule.dns and any(port.port != "53" for port in found):
        rule = None
    return PortRule(tuple(found), rules=rule if found else None)


@st.composite
def entries(draw):
    """One entry: one kind of peer, or none, with ports, ICMP types or neither."""
    kinds = {
        "endpoints": st.lists(st.sampled_from([Selector.of({"app": app}) for app in "abc"]), max_size=2),
        "entities": st.lists(st.sampled_from(["world", "remote-node", "kube-apiserver"]), max_size=2),
        "cidr": st.lists(st.sampled_from(["192.0.2.0/24", "198.51.100.9/32"]), max_size=2),
        "fqdns": st.lists(
            st.sampled_from([FqdnSelector(match_name="x.example.com")]), min_size=1, max_size=1
        ),
    }
    kind = draw(st.sampled_from([None, *kinds]))
    peers = {kind: tuple(draw(kinds[kind]))} if kind else {}
    what = draw(st.sampled_from(["ports", "icmps", "all"]))
    if what == "ports":
        peers["to_ports"] = tuple(draw(st.lists(port_rules(), max_size=2)))
    elif what == "icmps":
        peers["icmps"] = (IcmpRule((IcmpField(8, "IPv4"),)),)
    return Entry(**peers)


def _verdicts(found):
    rule = Rule(endpoint_selector=Selector.of({"app": "subject"}), egress=tuple(found))
    policies = PolicySet.from_policies([Policy(Kind.CNP, "p", namespace="default", rules=(rule,))])
    asked = [("TCP", port) for port in (53, 80, 85, 443)] + [("UDP", 53), ("UDP", 80), ("ICMP", 8)]
    queries = [
        {"src": SUBJECT, "dst": peer, "protocol": protocol, "port": port, **more}
        for peer, (protocol, port), more in product(
            [*PODS, *OUTSIDE, *ENTITIES],
            asked,
            [{"http": {"method": "GET", "path": path, "host": "h"}} for path in ("/a", "/b")]
            + [{"dns": {"query": name}} for name in ("x.example.com", "y.org")],
        )
    ]
    keys = ("egress", "verdict", "http_allowed", "dns_allowed")
    return [{key: answer.get(key) for key in keys} for answer in policies.verdicts(queries)]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(found=st.lists(entries(), min_size=1, max_size=6))
def test_the_verdicts_are_the_same(found):
    """Whatever the entries, those that remain decide every connection and request alike, and are no more."""
    made = [entry for entry, _ in reduce_entries([(entry, ()) for entry in found], lambda one, other: ())]
    assert len(made) <= len(found)
    assert all(len(item.ports) <= 40 for entry in made for item in entry.to_ports or ())
    assert _verdicts(found) == _verdicts(made)


def test_what_belongs_to_joined_entries_is_kept():
    """Nothing that belongs to an entry is lost when it is joined to another."""
    port = (PortRule((PortProtocol("80", "TCP"),)),)
    found = [(Entry(endpoints=(Selector.of({"app": app}),), to_ports=port), {app}) for app in "abc"]
    ((entry, belongs),) = reduce_entries(found, set.union)
    assert ({"a", "b", "c"}, 3) == (belongs, len(entry.endpoints))


def test_more_than_40_ports_are_spread():
    """Ports of equal peers are joined in items of at most 40."""
    found = [
        (Entry(entities=("world",), to_ports=(PortRule((PortProtocol(str(port), "TCP"),)),)), ())
        for port in range(1, 101)
    ]
    ((entry, _),) = reduce_entries(found, lambda one, other: ())
    assert [40, 40, 20] == [len(item.ports) for item in entry.to_ports]
