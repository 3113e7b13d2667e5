"""Which change is offered for a drop: the one that opens least, in whichever policy it is smallest."""

from typing import Any

import pytest

from flowmine.advise.admitops import json_patch
from flowmine.advise.causes import Cause
from tests.advise.dropping import Drops, Manifest, cnp, deny_all, only
from tests.synth.made import place, pod

WEB, API, DB = (pod("shop", f"{app}-0", f"Deployment/{app}", app=app) for app in ("web", "api", "db"))
OPS = pod("ops", "ops-0", "Deployment/ops", app="ops")
WORLD, OTHER = place("reserved:world", ip="192.0.2.7"), place("reserved:world", ip="198.51.100.9")
FROM_WEB = {"fromEndpoints": [{"matchLabels": {"app": "web"}}]}


def ports(port: int, protocol: str = "TCP") -> list[Manifest]:
    """One port as `toPorts`."""
    return [{"ports": [{"port": str(port), "protocol": protocol}]}]


def own(app: str, **spec: Any) -> Manifest:
    """A policy of one app."""
    return cnp(app, {"endpointSelector": {"matchLabels": {"app": app}}, **spec})


def closed() -> Manifest:
    """A policy that closes the ingress of a namespace."""
    return cnp("closed", {"endpointSelector": {}, "ingress": [{}]})


def steps(found: Any) -> list[tuple[str, str, tuple[str, ...]]]:
    """The edits of a drop: action, policy and places."""
    return [(edit.action.value, edit.name, edit.places) for edit in found.edits]


def test_a_rule_of_the_subjects_own_is_extended() -> None:
    """An entry is appended to the policy that names the subject, not to the one that closes the whole namespace."""
    drop = only(Drops().drop(WEB, API, 80).report(closed(), own("api", ingress=[{"fromEntities": ["host"]}])))
    assert [("extend", "api", ("spec.ingress",))] == steps(drop)
    assert {**FROM_WEB, "toPorts": ports(80)} == drop.edits[0].manifest["spec"]["ingress"][1]
    assert () == drop.also


def test_a_new_policy_where_only_broad_ones_are() -> None:
    """Where only a policy of the whole namespace selects the subject, a policy of its own is written."""
    drop = only(Drops().drop(WEB, API, 80).report(closed()))
    assert "create" == drop.edits[0].action.value
    assert {
        "endpointSelector": {"matchLabels": {"app": "api"}},
        "ingress": [{**FROM_WEB, "toPorts": ports(80)}],
    } == drop.edits[0].manifest["spec"]
    assert "kubectl apply -f" in drop.edits[0].command


def test_an_entry_of_the_peer_gets_the_port() -> None:
    """Where an entry already means just the peer, it gets the port and nothing else is written."""
    policy = own("api", ingress=[{**FROM_WEB, "toPorts": ports(80)}])
    drop = only(Drops().drop(WEB, API, 8080).report(policy))
    assert [("extend", "api", ("spec.ingress[0]",))] == steps(drop)
    assert ["80", "8080"] == [
        each["port"] for each in drop.edits[0].manifest["spec"]["ingress"][0]["toPorts"][0]["ports"]
    ]
    assert ["test", "add"] == [op["op"] for op in json_patch(drop.edits[0].ops)]


def test_a_shared_entry_does_not_get_the_port() -> None:
    """An entry that means others too would admit them, so the peer gets an entry of its own."""
    policy = own("api", ingress=[{"fromEndpoints": [{}], "toPorts": ports(80)}])
    drop = only(Drops(Drops().capture.add(DB)).drop(WEB, API, 8080).report(policy))
    assert [("extend", "api", ("spec.ingress",))] == steps(drop)


def test_an_entry_of_the_port_gets_the_peer() -> None:
    """Where an entry admits others on exactly this port, the peer joins them."""
    policy = own("api", ingress=[{"fromEndpoints": [{"matchLabels": {"app": "db"}}], "toPorts": ports(80)}])
    drop = only(Drops().drop(WEB, API, 80).report(policy))
    assert [("extend", "api", ("spec.ingress[0]",))] == steps(drop)
    peers = drop.edits[0].manifest["spec"]["ingress"][0]["fromEndpoints"]
    assert [{"matchLabels": {"app": "db"}}, {"matchLabels": {"app": "web"}}] == peers


def test_both_sides_are_opened() -> None:
    """The drop at egress hides the one at ingress: both are told, and each side gets its change."""
    report = (
        Drops()
        .drop(WEB, API, 80, side="egress")
        .report(
            own("web", egress=[{"toEntities": ["host"]}]), own("api", ingress=[{"fromEntities": ["host"]}])
        )
    )
    drop = only(report)
    assert ("egress", "ingress") == drop.group.sides
    assert [("extend", "web", ("spec.egress",)), ("extend", "api", ("spec.ingress",))] == steps(drop)


def test_a_clusterwide_policy_names_namespaces() -> None:
    """A clusterwide policy is extended with the peer's namespace, which its selectors do not imply."""
    policy = cnp(
        "wide", {"endpointSelector": {"matchLabels": {"app": "api"}}, "ingress": [{}]}, namespace=None
    )
    drop = only(Drops().drop(WEB, API, 80).report(policy))
    labels = drop.edits[0].manifest["spec"]["ingress"][1]["fromEndpoints"][0]["matchLabels"]
    assert {"app": "web", "io.kubernetes.pod.namespace": "shop"} == labels


def network_policy(**spec: Any) -> Manifest:
    """A Kubernetes NetworkPolicy of the app api."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "np", "namespace": "shop"},
        "spec": {"podSelector": {"matchLabels": {"app": "api"}}} | spec,
    }


def test_a_network_policy_is_extended_in_its_own_words() -> None:
    """A NetworkPolicy gets a rule with namespace and pod selectors, and the direction among its types."""
    policy = network_policy(policyTypes=["Ingress"])
    drop = only(Drops().drop(WEB, API, 80).report(policy))
    rule = {
        "from": [{"podSelector": {"matchLabels": {"app": "web"}}}],
        "ports": [{"port": 80, "protocol": "TCP"}],
    }
    assert [rule] == drop.edits[0].manifest["spec"]["ingress"]
    out = only(
        Drops().drop(API, OPS, 80, side="egress").report(network_policy(policyTypes=["Ingress", "Egress"]))
    )
    assert {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ops"}},
        "podSelector": {"matchLabels": {"app": "ops"}},
    } == out.edits[0].manifest["spec"]["egress"][0]["to"][0]


def test_addresses_are_named_one_by_one() -> None:
    """Clients outside get their addresses and nothing around them; they are one group."""
    made = Drops().drop(WORLD, API, 80).drop(OTHER, API, 80)
    drop = only(made.report(own("api", ingress=[{}])))
    assert "world (2 addresses)" == drop.group.source.title
    assert ["192.0.2.7/32", "198.51.100.9/32"] == drop.edits[0].manifest["spec"]["ingress"][1]["fromCIDR"]
    assert "from outside" in drop.risks


def test_a_name_that_was_asked_for_is_the_peer() -> None:
    """Egress to an address that the pod looked up is admitted by name, and counted for others who know the name."""
    made = Drops().drop(WEB, WORLD, 443, side="egress")
    made.capture.name(WEB, "192.0.2.7", "api.example.com").add(API)
    drop = only(made.report(deny_all()))
    assert "api.example.com" == drop.group.target.title
    assert [{"matchName": "api.example.com"}] == drop.edits[0].manifest["spec"]["egress"][0]["toFQDNs"]
    assert {"matchLabels": {"app": "web"}} == drop.edits[0].manifest["spec"]["endpointSelector"]
    assert any("rules.dns" in note for note in drop.notes)
    asking = own(
        "web", egress=[{"toPorts": [{**ports(53, "UDP")[0], "rules": {"dns": [{"matchPattern": "*"}]}}]}]
    )
    assert not any("rules.dns" in note for note in only(made.report(deny_all(), asking)).notes)


@pytest.mark.parametrize(("protocol", "type_", "family"), [("ICMPv4", 8, "IPv4"), ("ICMPv6", 128, "IPv6")])
def test_icmp_types_are_admitted_by_type(protocol: str, type_: int, family: str) -> None:
    """A ping is admitted by its type, without ports."""
    drop = only(Drops().drop(WEB, API, type_, protocol=protocol).report(own("api", ingress=[{}])))
    entry = drop.edits[0].manifest["spec"]["ingress"][1]
    assert {**FROM_WEB, "icmps": [{"fields": [{"family": family, "type": type_}]}]} == entry


def test_a_request_is_added_to_the_rule_that_filters() -> None:
    """A refused request gets a rule in the entry that filters it, and no other request does."""
    policy = own(
        "api",
        ingress=[
            {**FROM_WEB, "toPorts": [{**ports(80)[0], "rules": {"http": [{"method": "GET", "path": "/a"}]}}]}
        ],
    )
    made = Drops().drop(WEB, API, 80, reason="L7").request("POST", "/b").request("GET", "/a", denied=False)
    drop = only(made.report(policy))
    assert Cause.REQUEST is drop.group.cause
    assert (("POST", "/b"),) == drop.group.wanted
    rules = drop.edits[0].manifest["spec"]["ingress"][0]["toPorts"][0]["rules"]["http"]
    assert [{"method": "GET", "path": "/a"}, {"method": "POST", "path": "^/b$"}] == rules


def test_a_dns_name_is_added_to_the_rule_that_filters() -> None:
    """A refused lookup gets its name in the rule of the resolver."""
    dns = pod("kube-system", "dns-0", "Deployment/dns", **{"k8s-app": "kube-dns"})
    resolver = {"matchLabels": {"io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns"}}
    filtered = [{**ports(53, "UDP")[0], "rules": {"dns": [{"matchName": "a.example.com"}]}}]
    policy = own("web", egress=[{"toEndpoints": [resolver], "toPorts": filtered}])
    made = (
        Drops().drop(WEB, dns, 53, side="egress", reason="L7", protocol="UDP").request("DNS", "b.example.com")
    )
    drop = only(made.report(policy))
    rules = drop.edits[0].manifest["spec"]["egress"][0]["toPorts"][0]["rules"]["dns"]
    assert [{"matchName": "a.example.com"}, {"matchName": "b.example.com"}] == rules


def test_a_deny_rule_is_narrowed_by_one_peer() -> None:
    """Of a deny rule only the peer in question goes, and what is missing to allow it comes."""
    policy = own(
        "api",
        ingress=[{**FROM_WEB}],
        ingressDeny=[{"fromEndpoints": [{"matchLabels": {"app": "db"}}, {"matchLabels": {"app": "web"}}]}],
    )
    drop = only(
        Drops().drop(WEB, API, 80, reason="POLICY_DENY", by="CiliumNetworkPolicy/shop/api").report(policy)
    )
    assert Cause.DENY_RULE is drop.group.cause
    assert [("narrow", "api", ("spec.ingressDeny[0]",))] == steps(drop)
    assert [{"fromEndpoints": [{"matchLabels": {"app": "db"}}]}] == drop.edits[0].manifest["spec"][
        "ingressDeny"
    ]
    assert ["CiliumNetworkPolicy/shop/api:spec.ingressDeny[0]"] == [
        name for names in drop.group.by.values() for name in names
    ]


def test_the_only_deny_rule_goes_with_its_list() -> None:
    """A deny entry that cannot be narrowed is taken away whole; what else that opens is counted."""
    policy = own("api", ingress=[{"fromEntities": ["cluster"]}], ingressDeny=[{"fromEndpoints": [{}]}])
    made = Drops().drop(WEB, API, 80, reason="POLICY_DENY")
    made.capture.talk(DB, API, 80)
    drop = only(made.report(policy))
    assert "ingressDeny" not in drop.edits[0].manifest["spec"]
    assert ("shop/api to shop/api on 80/TCP", "shop/db to shop/api on 80/TCP") == tuple(sorted(drop.also))


def test_nobody_is_closed_by_a_new_policy() -> None:
    """A new policy that takes open replicas along says that it closes nothing; before 1.16, which cannot, there is none."""
    worker, open_one = (
        pod("shop", f"w-{run}", "Deployment/worker", app="w", run=run) for run in ("a1", "c3")
    )
    closing = network_policy(podSelector={"matchLabels": {"run": "a1"}}, policyTypes=["Ingress"])
    made = Drops().drop(place("reserved:remote-node"), worker, 80)
    made.capture.add(open_one)
    drop = only(made.report(closing))
    assert {"ingress": False} == drop.edits[0].manifest["spec"]["enableDefaultDeny"]
    assert {"matchLabels": {"app": "w"}} == drop.edits[0].manifest["spec"]["endpointSelector"]
    old = only(made.report(closing, cilium=(1, 15)))
    assert () == old.edits
    assert "no single addition" in old.notes[0]


def test_a_host_is_opened_by_its_own_labels() -> None:
    """A drop at a node's own side is admitted by a host policy, which selects nodes by their labels."""
    node = place("reserved:host", "k8s:node=one")
    policy = cnp(
        "host",
        {"nodeSelector": {"matchLabels": {"node": "one"}}, "ingress": [{"fromEntities": ["cluster"]}]},
        None,
    )
    drop = only(Drops().drop(WORLD, node, 22).report(policy))
    assert "host (node=one)" == drop.group.target.title
    assert [("extend", "host", ("spec.ingress",))] == steps(drop)
    assert "sensitive port (SSH)" in drop.risks


def test_specs_and_spec_are_told_apart() -> None:
    """In a policy with both `spec` and `specs`, the change is made to the rule that selects the subject."""
    policy = own("web", ingress=[{}])
    policy["specs"] = [{"endpointSelector": {"matchLabels": {"app": "api"}}, "ingress": [{}]}]
    drop = only(Drops().drop(WEB, API, 80).report(policy))
    assert ("specs[0].ingress",) == drop.edits[0].places
    assert 2 == len(drop.edits[0].manifest["specs"][0]["ingress"])
    assert "/specs/0/ingress/-" in drop.edits[0].command


def test_peers_that_nobody_can_name_get_no_rule() -> None:
    """A peer without labels or address gets no change, and the report says why."""
    drop = only(Drops().drop(place(), API, 80).report(own("api", ingress=[{}])))
    assert () == drop.edits
    assert Cause.UNKNOWN is drop.group.cause
    assert "without labels" in drop.notes[0]
    assert "unknown identity" in drop.risks


def test_commands_quote_what_people_wrote() -> None:
    """Names in a command cannot leave their quotes."""
    drop = only(Drops().drop(WEB, API, 80).report(own("api", ingress=[{}])))
    assert drop.edits[0].command.startswith("kubectl patch cnp api -n shop --type=json -p '[")
