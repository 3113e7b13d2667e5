"""Which rule decides, and what cannot be resolved: what the recorded cases say little about."""

from typing import Any

import pytest

from flowmine.engine import lists
from flowmine.engine.policyset import PolicySet
from tests.engine.making import Manifest, outside, peer, pod, policy, ports, query

GET = {"http": [{"method": "GET", "path": "/a"}]}
FRONT = query(pod("front"), pod("web"))


def ingress(asked: Manifest, *policies: Manifest, **options: Any) -> tuple[str, list[str]]:
    """Return a connection's outcome at the destination and the names of the policies that decided."""
    answer = PolicySet.from_dicts(policies, **options).verdicts([asked])[0]
    return answer["ingress"], [name.rpartition("/")[2] for name in answer.get("ingress_by", [])]


def allow(name: str, *peers: Manifest, **more: Any) -> Manifest:
    """Return a policy for web with one allow entry."""
    return policy(name, "web", ingress=[{**({"fromEndpoints": list(peers)} if peers else {}), **more}])


def deny(name: str, *peers: Manifest, **more: Any) -> Manifest:
    """Return a policy for web with one deny entry."""
    return policy(name, "web", ingressDeny=[{**({"fromEndpoints": list(peers)} if peers else {}), **more}])


def test_the_longest_port_prefix_decides() -> None:
    """Of allows, the one for the port itself is named before ranges, and those before all ports."""
    everything, span = (
        allow("all", peer("front")),
        allow(
            "range", peer("front"), toPorts=[{"ports": [{"port": "64", "endPort": 95, "protocol": "TCP"}]}]
        ),
    )
    exact = allow("exact", peer("front"), toPorts=ports(80))
    assert [
        ingress(FRONT, everything, span, exact),
        ingress(FRONT, everything, span),
        ingress(FRONT, everything),
    ] == [
        ("allowed", ["exact"]),
        ("allowed", ["range"]),
        ("allowed", ["all"]),
    ]


def test_a_range_counts_by_the_block_around_the_port() -> None:
    """A range is the blocks it is cut into: a port alone at its end is as specific as the port itself."""
    span = allow(
        "range", peer("front"), toPorts=[{"ports": [{"port": "80", "endPort": 96, "protocol": "TCP"}]}]
    )
    exact = allow("exact", peer("front"), toPorts=ports(96))
    assert ("allowed", ["exact", "range"]) == ingress(query(pod("front"), pod("web"), 96), span, exact)


def test_somebody_is_named_before_anybody_but_not_on_one_port() -> None:
    """Cilium drops an entry for a peer where the same port is open to everybody, and keeps it on all ports."""
    anybody_80, front_80 = (
        allow("anybody", toPorts=ports(80)),
        allow("front", peer("front"), toPorts=ports(80)),
    )
    anybody, front = allow("anybody", fromEntities=["all"]), allow("front", peer("front"))
    assert [ingress(FRONT, anybody_80, front_80), ingress(FRONT, anybody, front)] == [
        ("allowed", ["anybody"]),
        ("allowed", ["front"]),
    ]


def test_a_redirect_decides_over_a_plain_allow() -> None:
    """A proxy's entry wins over plain ones for the same peer by another selector, however specific."""
    proxied = allow("proxied", toPorts=ports(80, rules=GET))
    assert ("allowed", ["proxied"]) == ingress(
        FRONT, proxied, allow("plain", peer("front"), toPorts=ports(80))
    )


def test_the_same_selector_on_the_same_port_is_one_entry() -> None:
    """Both policies are named, the plain one opens the proxy for every request."""
    asked = {**FRONT, "http": {"method": "PUT", "path": "/z"}}
    policies = (
        allow("proxied", peer("front"), toPorts=ports(80, rules=GET)),
        allow("plain", peer("front"), toPorts=ports(80)),
    )
    answer = PolicySet.from_dicts(policies).verdicts([asked])[0]
    assert (answer["ingress_by"], answer["ingress_l7"], answer["http_allowed"]) == (
        ["CiliumNetworkPolicy/shop/plain", "CiliumNetworkPolicy/shop/proxied"],
        True,
        True,
    )


@pytest.mark.parametrize(
    ("policies", "named"),
    [
        ([deny("all", peer("front")), deny("port", peer("front"), toPorts=ports(80))], ["all"]),
        ([deny("anybody", toPorts=ports(80)), deny("port", peer("front"), toPorts=ports(80))], ["anybody"]),
        ([deny("anybody", toPorts=ports(80)), deny("all", peer("front"))], ["all"]),
        ([allow("allow", peer("front")), deny("port", peer("front"), toPorts=ports(80))], ["port"]),
    ],
)
def test_of_denies_the_broadest_is_left(policies: list[Manifest], named: list[str]) -> None:
    """A deny entry removes those that it covers, and stands before every allow."""
    assert ("deny-rule", named) == ingress(FRONT, *policies)


def test_rules_that_cannot_be_merged_fail_the_whole_endpoint() -> None:
    """Two authentication modes for one selector are an error in both directions, and nothing passes."""
    first = policy(
        "a", "web", ingress=[{"fromEndpoints": [peer("front")], "authentication": {"mode": "required"}}]
    )
    second = policy(
        "b", "web", ingress=[{"fromEndpoints": [peer("front")], "authentication": {"mode": "disabled"}}]
    )
    there, back = PolicySet.from_dicts([first, second]).verdicts([FRONT, query(pod("web"), pod("db"))])
    assert (there["ingress"], back["egress"], there["verdict"], back["verdict"]) == (
        "error",
        "error",
        "denied",
        "denied",
    )
    assert "cannot merge conflicting authentication types (disabled/required)" == there["error"]


def test_different_proxies_on_one_port_are_an_error_for_one_selector_only() -> None:
    """HTTP and another protocol clash for the same peers, and live side by side for different ones."""
    other = {"l7proto": "foo", "l7": [{"a": "b"}]}
    first = allow("a", peer("front"), toPorts=ports(80, rules=GET))
    clash, apart = (allow("b", peer(app), toPorts=ports(80, rules=other)) for app in ("front", "back"))
    assert [ingress(FRONT, first, clash)[0], ingress(FRONT, first, apart)[0]] == ["error", "allowed"]


def test_a_named_port_is_the_pods_own_on_ingress_and_the_clusters_on_egress() -> None:
    """On egress one value in the whole cluster counts for every peer, two are none."""
    into = policy("in", "web", ingress=[{"toPorts": ports("http")}])
    out = policy("out", "front", egress=[{"toPorts": ports("http")}])
    web, db = pod("web", named_ports={"http": "8080/TCP"}), pod("db", named_ports={"http": "9090/TCP"})
    asked = query(pod("front"), web, 8080)
    one = PolicySet.from_dicts([into, out]).verdicts([asked])
    two = PolicySet.from_dicts([into, out]).verdicts([asked, query(pod("front"), db, 9090)])
    assert [(each["egress"], each["ingress"]) for each in (*one, two[0])] == [
        ("allowed", "allowed"),
        ("denied", "allowed"),
    ]


def test_a_wide_rules_authentication_is_inherited() -> None:
    """A narrower rule that names no mode has the wider one's; one that does keeps its own."""
    wide = allow("wide", peer("front"), authentication={"mode": "required"})
    plain = allow("plain", peer("front"), toPorts=ports(80))
    own = allow("own", peer("front"), toPorts=ports(80), authentication={"mode": "disabled"})
    kinds = [
        PolicySet.from_dicts(policies).verdicts([FRONT])[0].get("ingress_auth")
        for policies in ([wide], [wide, plain], [wide, own])
    ]
    assert kinds == ["spire", "spire", None]


def test_a_group_reference_that_is_missing_admits_nobody() -> None:
    """A CIDR group that does not exist has no addresses, and the direction is closed all the same."""
    wanted = policy("p", "web", ingress=[{"fromCIDRSet": [{"cidrGroupRef": "gone"}]}])
    assert ("denied", []) == ingress(query(outside("192.0.2.1"), pod("web")), wanted)


def test_toServices_with_ports_is_anybody_and_groups_are_not_enforced() -> None:
    """A Service that is unknown adds no peer; a policy with toGroups is the operator's, not the agent's."""
    service = {"k8sService": {"serviceName": "db", "namespace": "shop"}}
    services = policy("s", "front", egress=[{"toServices": [service], "toPorts": ports(80)}])
    groups = policy("g", "front", egress=[{"toGroups": [{"aws": {"region": "eu-west-1"}}]}])
    answers = [PolicySet.from_dicts([each]).verdicts([FRONT])[0]["egress"] for each in (services, groups)]
    assert answers == ["allowed", "no-policy"]


def test_questions_are_answered_alike_in_small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pairs fit in memory at once, the verdicts are the same."""
    near = policy("near", "web", ingress=[{"fromCIDR": ["192.0.2.0/30", "192.0.2.1/32"]}])
    policies = PolicySet.from_dicts(
        [allow("a", peer("front"), toPorts=ports(80, 81)), deny("d", peer("back")), near]
    )
    callers = [*map(pod, ("front", "back", "db")), outside("192.0.2.1"), outside("192.0.2.5")]
    asked = [query(caller, pod("web"), port) for caller in callers for port in range(78, 84)]
    whole = policies.verdicts(asked)
    monkeypatch.setattr(lists, "_PAIRS_AT_ONCE", 1)
    assert whole == policies.verdicts(asked)


def test_a_protocol_without_a_name_is_covered_by_entries_without_ports_only() -> None:
    """Other protocols pass where no port is asked for, and nowhere else."""
    asked = query(pod("front"), pod("web"), 0, "VRRP")
    assert [
        ingress(asked, allow("all", peer("front")))[0],
        ingress(asked, allow("p", peer("front"), toPorts=ports(0, protocol="ANY")))[0],
    ] == [
        "allowed",
        "denied",
    ]
