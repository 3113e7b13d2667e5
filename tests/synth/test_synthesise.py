"""The synthesis as a whole: what each rival got wrong, and what a person would be surprised by."""

import pytest

from flowmine.labels import CLUSTER_KEY, NAMESPACE_KEY
from flowmine.policy.codec import to_dict
from flowmine.policy.model import EVERYTHING, Selector
from flowmine.synth.options import Options
from flowmine.synth.scope import Per, Scope
from flowmine.synth.synthesise import synthesise
from tests.synth.made import Capture, place, pod

WEB = pod("shop", "", "Deployment/web", app="web")
API = pod("shop", "", "Deployment/api", app="api")
DB = pod("shop", "", "StatefulSet/db", app="db")
DNS = pod("kube-system", "", "Deployment/coredns", **{"k8s-app": "kube-dns"})
WORLD = "reserved:world"


def _made(capture, options=None, **scope):
    return synthesise(capture.edges(), options or Options(), Scope(**scope))


def _policies(capture, options=None, **scope):
    """The specs by namespace/name."""
    found = _made(capture, options, **scope)
    return {
        f"{each.policy.namespace}/{each.policy.name}": to_dict(each.policy).get("spec")
        or to_dict(each.policy)["specs"]
        for each in found.proposals
    }


def _ports(*items):
    return [{"ports": [{"port": str(port), "protocol": protocol} for port, protocol in items]}]


def _pods(**labels):
    return [{"matchLabels": labels}]


def test_both_ends_get_their_rule():
    """A delivered connection between two workloads is allowed at the caller and at the called."""
    found = _policies(Capture().talk(WEB, API, 8080))
    assert [{"toEndpoints": _pods(app="api"), "toPorts": _ports((8080, "TCP"))}] == found["shop/web"][
        "egress"
    ]
    assert [{"fromEndpoints": _pods(app="web"), "toPorts": _ports((8080, "TCP"))}] == found["shop/api"][
        "ingress"
    ]


def test_a_quiet_direction_is_closed_and_announced():
    """A direction without traffic is closed by an empty rule, and the reason says so."""
    (api, _) = _made(Capture().talk(WEB, API, 8080)).proposals
    assert [{}] == to_dict(api.policy)["spec"]["egress"]
    (reason,) = (reason for (_, direction, _), reason in api.reasons.items() if direction == "egress")
    assert reason.closes and reason.about


@pytest.mark.parametrize("more", [[], ["reserved:kube-apiserver"]])
def test_probes_of_the_own_node_need_no_rule(more):
    """A kubelet's probe becomes no rule at either end: a pod's own node may always reach it, a control plane's too."""
    found = _policies(Capture().talk(place("reserved:host", *more, ip="10.0.0.1"), API, 8080))
    assert {
        "shop/api": {"endpointSelector": {"matchLabels": {"app": "api"}}, "ingress": [{}], "egress": [{}]}
    } == found


@pytest.mark.parametrize("outcome", ["dropped", "audited", "other", "unseen"])
def test_only_delivered_traffic_becomes_rules(outcome):
    """What was dropped, would have been, or was not seen to arrive is no rule."""
    capture = Capture().talk(WEB, API, 8080).talk(WEB, API, 22, outcome=outcome)
    assert _ports((8080, "TCP")) == _policies(capture)["shop/api"]["ingress"][0]["toPorts"]


@pytest.mark.parametrize(
    ("outcome", "why"),
    [("unseen", "never seen to arrive"), ("other", "lost to something else than policies")],
)
def test_what_never_arrived_becomes_no_rule_and_is_told(outcome, why):
    """Traffic that was sent and not delivered, by no policy's doing, is left out and named."""
    found = _made(Capture().talk(WEB, API, 80).talk(WEB, API, 81, outcome=outcome))
    assert (1, 1) == (len(getattr(found.left_out, outcome)), len(found.admitted))
    (told,) = found.left_out.remarks
    assert told.startswith("1 edge was ") and why in told
    assert told.endswith(" is left out: shop/web to shop/api on 81/TCP")


def test_people_may_admit_drops_and_audited_traffic():
    """Drops of chosen workloads and audited traffic become rules when a person says so."""
    capture = Capture().talk(WEB, API, 1, outcome="dropped").talk(WEB, API, 2, outcome="audited")
    capture.talk(DB, API, 3, outcome="dropped")
    found = _policies(capture, dropped=(Selector.of({"app": "web"}),), audited=True)
    assert [{"fromEndpoints": _pods(app="web"), "toPorts": _ports((1, "TCP"), (2, "TCP"))}] == found[
        "shop/api"
    ]["ingress"]


def test_admitting_the_drops_of_a_scanner_admits_no_scan():
    """What a person admits of a scanner's drops is what it needs, not what it scanned."""
    capture = Capture()
    for port in range(1, 60):
        capture.talk(WEB, API, port * 7, outcome="dropped", events=2)
    capture.talk(WEB, DB, 5432, outcome="dropped", events=500)
    found = _made(capture, dropped=(Selector.of({"app": "web"}),))
    egress = next(
        to_dict(each.policy)["spec"]["egress"] for each in found.proposals if each.policy.name == "web"
    )
    assert [{"toEndpoints": _pods(app="db"), "toPorts": _ports((5432, "TCP"))}] == egress


def test_a_half_seen_side_stays_open():
    """Only the sides that were seen at the own node are closed; a workload without any gets no policy."""
    capture = Capture().talk(WEB, API, 8080).talk(API, DB, 5432)
    capture.half_see(API, ingress=True)
    capture.half_see(DB)
    found = _policies(capture)
    assert {"shop/web", "shop/api"} == set(found)
    assert "egress" not in found["shop/api"] and "ingress" in found["shop/api"]


def test_a_selector_that_is_not_exact_cuts_nobody_off():
    """A workload whose labels also select a half-seen one is left open as far as that one is."""
    old, new = pod("shop", "", "Deployment/a", app="x"), pod("shop", "", "Deployment/a", app="x", color="red")
    other = pod("shop", "", "Deployment/b", app="x", color="blue")
    capture = Capture().talk(old, WEB, 80).talk(new, WEB, 80).talk(other, WEB, 80)
    assert "shop/a" in _policies(capture)
    capture.half_see(other, ingress=True)
    assert "egress" not in _policies(capture)["shop/a"]
    capture.half_see(other)
    assert "shop/a" not in _policies(capture)


def test_same_app_in_two_peer_namespaces_keeps_both():
    """Peers of the same labels in two namespaces are both allowed, each by its namespace."""
    one, two = pod("a", app="client"), pod("b", app="client")
    found = _policies(Capture().talk(one, API, 80).talk(two, API, 80))
    (entry,) = found["shop/api"]["ingress"]
    assert [
        {
            "matchLabels": {"app": "client"},
            "matchExpressions": [{"key": NAMESPACE_KEY, "operator": "In", "values": ["a", "b"]}],
        }
    ] == entry["fromEndpoints"]


def test_a_peer_without_labels_is_reported_and_never_a_selector():
    """An end that came without labels would be `{}`, the whole namespace: it is told instead."""
    found = _made(Capture().talk(place(), API, 80).talk(WEB, API, 80))
    (entry,) = (
        to_dict(each.policy)["spec"]["ingress"] for each in found.proposals if each.policy.name == "api"
    )
    assert [{"fromEndpoints": _pods(app="web"), "toPorts": _ports((80, "TCP"))}] == entry
    assert 1 == len(found.left_out.unnameable) == len(found.left_out.remarks)
    assert all(
        selector != EVERYTHING
        for each in found.proposals
        for rule in each.policy.rules
        for _, _, entry in rule.entries()
        for selector in entry.endpoints or ()
    )


@pytest.mark.parametrize(
    ("labels", "entity"),
    [
        (["reserved:ingress"], "ingress"),
        (["reserved:remote-node"], "remote-node"),
        (["reserved:kube-apiserver", "reserved:remote-node"], "kube-apiserver"),
        (["cidr:192.0.2.1/32", "reserved:kube-apiserver", "reserved:world"], "kube-apiserver"),
        (["reserved:health"], "health"),
    ],
)
def test_reserved_ends_are_entities(labels, entity):
    """A reserved identity is named by its narrowest entity, which Cilium's schema knows."""
    found = _policies(Capture().talk(place(*labels, ip="192.0.2.1"), API, 443))
    assert [{"fromEntities": [entity], "toPorts": _ports((443, "TCP"))}] == found["shop/api"]["ingress"]


@pytest.mark.parametrize(
    ("label", "ip", "cidr"),
    [
        ("reserved:world-ipv4", "192.0.2.1", "192.0.2.1/32"),
        ("reserved:world-ipv6", "2001:db8::1", "2001:db8::1/128"),
        ("reserved:world", "2001:db8::1", "2001:db8::1/128"),
    ],
)
def test_outside_addresses_are_cidrs_of_their_family(label, ip, cidr):
    """In dual stack the world has other names; a peer of it is still its address, IPv6 with /128."""
    found = _policies(Capture().talk(API, place(label, ip=ip), 443))
    assert [{"toCIDR": [cidr], "toPorts": _ports((443, "TCP"))}] == found["shop/api"]["egress"]


def test_icmp_and_sctp_only_workloads_open_nothing_else():
    """ICMP is written by type and family, SCTP by port; neither opens TCP or UDP."""
    found = _policies(
        Capture().talk(WEB, API, 8, "ICMPv4").talk(WEB, API, 128, "ICMPv6").talk(DB, API, 3868, "SCTP")
    )
    assert [
        {"fromEndpoints": _pods(app="db"), "toPorts": _ports((3868, "SCTP"))},
        {
            "fromEndpoints": _pods(app="web"),
            "icmps": [{"fields": [{"family": "IPv4", "type": 8}, {"family": "IPv6", "type": 128}]}],
        },
    ] == sorted(found["shop/api"]["ingress"], key=lambda entry: "icmps" in entry)


def test_a_side_of_which_no_rule_can_name_anything_stays_open():
    """Closing a side whose delivered traffic gets no rule at all would cut it off: it stays open, and that is told."""
    found = _made(Capture().talk(place(), API, 80).talk(WEB, API, 0, "ICMPv4").talk(API, DB, 5432))
    specs = {each.policy.name: to_dict(each.policy)["spec"] for each in found.proposals}
    assert (False, True, [{}]) == (
        "ingress" in specs["api"],
        "egress" in specs["api"],
        specs["web"]["ingress"],
    )
    reasons = {each.workload.name: each.reason for each in found.standings if len(each.seen) < 2}
    assert {
        side: f"no rule can name what was delivered at its {side} side" for side in ("egress", "ingress")
    } == {
        "egress": reasons["web"],
        "ingress": reasons["api"],
    }
    assert 2 == len(found.left_out.remarks)


def test_icmp_type_0_is_never_written():
    """Type 0 would open every ICMP type; such an edge is told instead."""
    found = _made(Capture().talk(WEB, API, 0, "ICMPv4"))
    assert 1 == len(found.left_out.inexpressible)
    assert all("icmps" not in str(to_dict(each.policy)) for each in found.proposals)


def test_rules_by_name_bring_the_rule_to_the_resolver():
    """Names are what the pod itself asked for; its lookups go through the proxy, over UDP and TCP."""
    capture = Capture().talk(API, DNS, 53, "UDP")
    capture.talk(API, place(WORLD, ip="192.0.2.1"), 443).name(API, "192.0.2.1", "api.example.com")
    dns, name = _policies(capture)["shop/api"]["egress"]
    assert [{"matchPattern": "*"}] == dns["toPorts"][0]["rules"]["dns"]
    assert _ports((53, "TCP"), (53, "UDP"))[0]["ports"] == dns["toPorts"][0]["ports"]
    assert _pods(**{NAMESPACE_KEY: "kube-system", "k8s-app": "kube-dns"}) == dns["toEndpoints"]
    assert {"toFQDNs": [{"matchName": "api.example.com"}], "toPorts": _ports((443, "TCP"))} == name


def test_another_pods_answer_is_not_ones_own():
    """An address that another workload asked a name for stays an address."""
    capture = Capture().talk(API, DNS, 53, "UDP").talk(WEB, DNS, 53, "UDP")
    capture.talk(API, place(WORLD, ip="192.0.2.1"), 443).name(WEB, "192.0.2.1", "api.example.com")
    assert {"toCIDR": ["192.0.2.1/32"], "toPorts": _ports((443, "TCP"))} in _policies(capture)["shop/api"][
        "egress"
    ]


def test_names_without_lookups_use_the_resolver_that_others_ask():
    """A subject whose own lookups were not seen still needs the resolver for its rules by name."""
    capture = Capture().talk(WEB, DNS, 53, "UDP")
    capture.talk(API, place(WORLD, ip="192.0.2.1"), 443).name(API, "192.0.2.1", "api.example.com")
    dns, _ = _policies(capture)["shop/api"]["egress"]
    assert _pods(**{NAMESPACE_KEY: "kube-system", "k8s-app": "kube-dns"}) == dns["toEndpoints"]


def test_names_without_any_resolver_stay_addresses():
    """Where nobody's lookups were seen a rule by name would learn nothing: the address is written."""
    capture = Capture().talk(API, place(WORLD, ip="192.0.2.1"), 443).name(API, "192.0.2.1", "api.example.com")
    assert [{"toCIDR": ["192.0.2.1/32"], "toPorts": _ports((443, "TCP"))}] == _policies(capture)["shop/api"][
        "egress"
    ]


def test_a_governed_resolver_takes_both_transports():
    """With the resolver's own policy written, what its clients may ask over TCP it takes as well."""
    found = _policies(Capture().talk(API, DNS, 53, "UDP"), system=True)
    assert _ports((53, "TCP"), (53, "UDP")) == found["kube-system/coredns"]["ingress"][0]["toPorts"]


def test_system_namespaces_are_left_out_and_warned_of():
    """The resolver gets no policy unless asked for, and then the policy carries a warning."""
    capture = Capture().talk(API, DNS, 53, "UDP")
    assert {"shop/api"} == set(_policies(capture))
    proposals = _made(capture, system=True).proposals
    (notes,) = (each.notes for each in proposals if each.policy.name == "coredns")
    assert notes[0].startswith("WARNING")


def test_namespaces_choose_whose_policies_are_written():
    """Choosing namespaces leaves the rules of those written as they are."""
    capture = Capture().talk(WEB, API, 80).talk(API, pod("bank", app="ledger"), 80)
    everything = _policies(capture)
    assert {"shop/web", "shop/api", "bank/ledger"} == set(everything)
    assert {"bank/ledger": everything["bank/ledger"]} == _policies(capture, namespaces=("bank",))
    assert {"bank/ledger"} == set(_policies(capture, exclude=("sh*",)))


def test_a_namespace_that_is_not_there_is_told():
    """Asking for a namespace of which nobody was seen gives no policy, and a remark that names it."""
    found = _made(Capture().talk(WEB, API, 80), namespaces=("shop", "shpo"))
    assert ("namespace shpo: no workload of it is in the capture",) == found.remarks


def test_peers_of_a_mesh_are_named_by_their_cluster():
    """A peer in another cluster carries its cluster; a local one too where the other cluster has the same namespace."""
    west = pod("shop", cluster="west", app="api")
    capture = Capture().talk(WEB, API, 80).talk(WEB, west, 81)
    capture.half_see(west)
    here, there = sorted(_policies(capture)["shop/web"]["egress"], key=lambda entry: str(entry["toPorts"]))
    assert _pods(**{"app": "api", CLUSTER_KEY: "default"}) == here["toEndpoints"]
    assert _pods(**{"app": "api", CLUSTER_KEY: "west", NAMESPACE_KEY: "shop"}) == there["toEndpoints"]


def test_clusters_that_never_meet_know_nothing_of_each_other():
    """Captures of two clusters in one run give each the policies that it would have got alone."""
    east = [pod("shop", cluster="east", app=app) for app in ("web", "api")]
    alone = _made(Capture().talk(WEB, API, 80)).proposals
    both = _made(Capture().talk(WEB, API, 80).talk(*east, 80)).proposals
    assert [each.policy for each in alone] == [each.policy for each in both if each.cluster == "default"]
    assert {"default", "east"} == {each.cluster for each in both}


@pytest.mark.parametrize("per", list(Per))
def test_order_of_edges_changes_nothing(per):
    """The same edges in any order give the same policies."""
    capture = Capture().talk(WEB, API, 80).talk(API, DB, 5432).talk(DB, WEB, 9).talk(WEB, DNS, 53, "UDP")
    capture.talk(API, place(WORLD, ip="192.0.2.1"), 443)
    forward = synthesise(capture.edges(), Options(), Scope(per=per)).proposals
    backward = synthesise(capture.edges([4, 3, 2, 1, 0]), Options(), Scope(per=per)).proposals
    assert [each.policy for each in forward] == [each.policy for each in backward]


def test_peers_with_the_same_ports_share_a_rule():
    """Workloads that differ in one label only are listed in one selector."""
    found = _policies(Capture().talk(WEB, DB, 5432).talk(API, DB, 5432))
    assert [
        {
            "fromEndpoints": [
                {"matchExpressions": [{"key": "app", "operator": "In", "values": ["api", "web"]}]}
            ],
            "toPorts": _ports((5432, "TCP")),
        }
    ] == found["shop/db"]["ingress"]


def test_a_whole_namespace_is_a_peer_only_when_all_of_it_is_and_the_option_allows_it():
    """Peers that are all of a namespace are written as such on request alone, and never when one is missing."""
    capture = Capture().talk(pod("bank", app="a"), API, 80).talk(pod("bank", app="b"), API, 80)
    named = [{"matchLabels": {NAMESPACE_KEY: "bank"}}]
    asked = Options(namespace_peers=2)
    assert named != _policies(capture)["shop/api"]["ingress"][0]["fromEndpoints"]
    assert named == _policies(capture, asked)["shop/api"]["ingress"][0]["fromEndpoints"]
    capture.talk(pod("bank", app="c"), WEB, 80)
    assert named != _policies(capture, asked)["shop/api"]["ingress"][0]["fromEndpoints"]


def test_a_listener_on_many_ports_is_a_range_at_both_ends():
    """Passive ports become one range at the caller and the called alike, and the note says how much of it was seen."""
    capture = Capture()
    for port in range(40000, 40060):
        capture.talk(WEB, API, port)
    (rule,) = _policies(capture)["shop/api"]["ingress"][0]["toPorts"]
    assert [{"port": "40000", "protocol": "TCP", "endPort": 40059}] == rule["ports"]
    assert rule == _policies(capture)["shop/web"]["egress"][0]["toPorts"][0]


def test_services_of_their_own_on_neighbouring_ports_are_no_range():
    """Callers that each keep to one port of a workload do not open each other's ports to themselves."""
    capture = Capture()
    for number in range(12):
        capture.talk(pod("shop", app=f"client-{number}"), API, 5000 + 2 * number)
    found = _policies(capture)
    assert 12 == len(found["shop/api"]["ingress"])
    assert [_ports((5006, "TCP"))] == [each["toPorts"] for each in found["shop/client-3"]["egress"]]


def test_at_most_40_ports_are_in_one_item():
    """More ports than one item may hold are spread over several."""
    capture = Capture()
    for port in range(0, 45):
        capture.talk(WEB, API, 1 + port * 331 % 60000)
    items = _policies(capture, Options().exact())["shop/api"]["ingress"][0]["toPorts"]
    assert [40, 5] == [len(item["ports"]) for item in items]


def test_no_policies_of_a_namespace_in_one_object_say_otherwise():
    """Per namespace all workloads' rules are in one object; per flow each entry is an object of its own."""
    capture = Capture().talk(WEB, API, 80).talk(API, DB, 5432)
    workload = _policies(capture)
    (namespace,) = _policies(capture, per=Per.NAMESPACE).values()
    assert sorted(map(str, workload.values())) == sorted(
        str({key: value for key, value in spec.items() if key != "description"}) for spec in namespace
    )
    flows = _policies(capture, per=Per.FLOW)
    assert all(len(spec.get("ingress", []) + spec.get("egress", [])) == 1 for spec in flows.values())
    assert sum(len(spec["ingress"]) + len(spec["egress"]) for spec in workload.values()) == len(flows)
