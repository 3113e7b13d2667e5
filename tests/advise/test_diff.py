"""Policy sets compared by meaning: what they let through, not how they are written."""

from pathlib import Path

import pytest

from flowmine import PolicySet
from flowmine.advise.diff import Change, compare
from flowmine.advise.imagined import Somebody, imagined
from flowmine.ports import PortSet
from flowmine.report.diffview import ports_told
from tests.advise.dropping import Manifest, cnp

WEB, API = {"matchLabels": {"app": "web"}}, {"matchLabels": {"app": "api"}}


def rule(*ports: Manifest, **more: Manifest) -> Manifest:
    """From web, on these ports."""
    return {"fromEndpoints": [WEB], "toPorts": [{"ports": list(ports), **more}]}


def policy(*entries: Manifest, name: str = "p") -> Manifest:
    """A policy of api with these ingress entries."""
    return cnp(name, {"endpointSelector": API, "ingress": list(entries)})


def differences(before: list[Manifest], after: list[Manifest]) -> list[tuple[str, str, str, str]]:
    """What changes over everybody that the policies speak of: kind, from, to, ports."""
    one, other = PolicySet.from_dicts(before), PolicySet.from_dicts(after)
    found = compare(one, other, imagined(one, other))
    return [
        (each.change.value, ", ".join(each.sources), ", ".join(each.targets), ports_told(each.ports))
        for each in found
    ]


TCP80, TCP81 = {"port": "80", "protocol": "TCP"}, {"port": "81", "protocol": "TCP"}


def test_other_words_for_the_same_mean_the_same() -> None:
    """Rules cut otherwise, in another order, by other names, with a range for two ports: no difference."""
    whole = [policy(rule(TCP80, TCP81))]
    cut = [
        policy(rule(TCP81), name="a"),
        policy(rule({"port": "80", "endPort": 81, "protocol": "TCP"}), name="b"),
    ]
    assert [] == differences(whole, cut)


def test_a_port_more_is_told_with_who() -> None:
    """A further port is newly allowed for those who may use it, in the other direction newly denied."""
    opened = [("newly allowed", "shop/app=web", "shop/app=api", "81/TCP")]
    assert opened == differences([policy(rule(TCP80))], [policy(rule(TCP80, TCP81))])
    assert [("newly denied", *opened[0][1:])] == differences(
        [policy(rule(TCP80, TCP81))], [policy(rule(TCP80))]
    )


def test_a_missing_protocol_is_seen() -> None:
    """A port without its protocol opens UDP and SCTP as well."""
    found = differences([policy(rule(TCP80))], [policy(rule({"port": "80"}))])
    assert [("newly allowed", "shop/app=web", "shop/app=api", "80/UDP, 80/SCTP")] == found


def test_closing_is_told_on_every_port() -> None:
    """A policy that closes a direction denies everybody every port; pods of the same labels and the host are told right."""
    found = differences([], [policy(rule(TCP80))])
    assert {"newly denied"} == {kind for kind, _, _, _ in found}
    assert any(ports == "any" for _, _, _, ports in found)
    assert not any("host" in sources.split(", ") for _, sources, _, _ in found)


def test_requests_that_differ_are_told() -> None:
    """The same connection filtered otherwise is told as other requests; the same filter is none."""
    get, post = ({"http": [{"method": method}]} for method in ("GET", "POST"))
    assert [] == differences([policy(rule(TCP80, rules=get))], [policy(rule(TCP80, rules=get), name="q")])
    for after in ([policy(rule(TCP80, rules=post))], [policy(rule(TCP80))]):
        found = differences([policy(rule(TCP80, rules=get))], after)
        assert [("other requests", "shop/app=web", "shop/app=api", "80/TCP")] == found


def test_addresses_are_told_apart_by_what_rules_say() -> None:
    """A prefix that leaves an address out differs from the whole one in just that."""
    peers = [{"cidr": "10.0.0.0/8"}], [{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}]
    one, other = ([policy({"fromCIDRSet": some})] for some in peers)
    assert [("newly denied", "world 10.1.0.0", "shop/app=api", "any")] == differences(one, other)


def test_only_those_given_are_compared() -> None:
    """Over the identities of a capture, what concerns nobody there is no difference."""
    one, other = (PolicySet.from_dicts([each]) for each in (policy(rule(TCP80)), policy(rule(TCP81))))
    everybody = imagined(one, other)
    strangers = [each for each in everybody if "app" not in each.title]
    assert strangers
    assert () == compare(one, other, strangers)
    assert {Change.ALLOWED, Change.DENIED} == {each.change for each in compare(one, other, everybody)}


def test_an_identity_for_every_selector() -> None:
    """Every selector of a set has somebody whom it selects, every namespace a pod that nothing names, the reserved ends are there."""
    entry = {
        "fromEndpoints": [
            {
                "matchExpressions": [
                    {"key": "tier", "operator": "NotIn", "values": ["x"]},
                    {"key": "app", "operator": "Exists"},
                ]
            }
        ]
    }
    policies = PolicySet.from_dicts([policy(entry, {"fromEntities": ["world"]})])
    titles = {each.title for each in imagined(policies)}
    assert {
        "shop/app=api",
        "shop/app=any",
        "shop/app=any,tier=x",
        "shop/(no labels)",
        "elsewhere/(no labels)",
    } <= titles
    assert {"host", "remote-node", "kube-apiserver", "health", "ingress", "init"} <= titles
    assert imagined(policies) == imagined(policies)


def test_ports_in_few_words() -> None:
    """All ports are `any`, all of a protocol are named so, others as they are."""
    everything = [PortSet.span(name, 0, 65535) for name in ("TCP", "UDP", "SCTP")]
    types = [PortSet.span(name, 0, 255) for name in ("ICMPv4", "ICMPv6")]
    assert "any" == ports_told(PortSet.union([*everything, *types]))
    assert "any TCP, 53/UDP" == ports_told(everything[0] | PortSet.of([("UDP", 53)]))


@pytest.mark.parametrize("name", ["empire", "linkding", "node", "three-tier"])
def test_a_set_means_what_it_means(name: str) -> None:
    """A set of the samples does not differ from itself, read again."""
    path = Path(__file__).parents[2] / "sample_flows" / name / "policies"
    one, other = PolicySet.load(path), PolicySet.load(path)
    people = imagined(one)
    assert all(isinstance(each, Somebody) for each in people)
    assert () == compare(one, other, people)
