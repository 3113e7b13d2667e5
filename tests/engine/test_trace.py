"""The walk through a decision, and its text."""

import gzip
import json
from pathlib import Path

import pytest

from flowmine.engine.explain import explain
from flowmine.engine.policyset import PolicySet
from flowmine.engine.reasons import EntryTrace, SideTrace
from flowmine.engine.trace import trace
from tests.engine.making import outside, peer, pod, policy, ports, query

FACTS = Path(__file__).parents[1] / "conformance" / "facts-cases.jsonl.gz"
JUDGED = ("allowed", "denied", "deny-rule")

WEB = policy(
    "web",
    "web",
    ingress=[
        {
            "fromEndpoints": [peer("front")],
            "toPorts": ports(80, rules={"http": [{"method": "GET", "path": "/x"}]}),
        },
        {"fromCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}]},
    ],
    egress=[{"toFQDNs": [{"matchPattern": "*.example.com"}], "toPorts": ports("443")}],
)


def test_every_match_of_the_engine_is_explained_by_its_checks() -> None:
    """Over all recorded facts: an entry matches exactly where a peer and a port of it hold, and deciders match."""
    wrong: list[tuple[str, EntryTrace]] = []
    walked = 0
    for line in gzip.decompress(FACTS.read_bytes()).splitlines():
        case = json.loads(line)
        policies = PolicySet.from_dicts(
            case["policies"], enforcement=case["enforcement"], config=case["config"]
        )
        for asked in case["queries"]:
            found = trace(policies, asked)
            for side in (found.egress, found.ingress):
                entries = [entry for rule in side.selecting for entry in rule.entries]
                walked += len(entries)
                wrong += [(case["name"], entry) for entry in entries if not _consistent(entry)]
    assert (wrong, walked > 300) == ([], True)


def _consistent(entry: EntryTrace) -> bool:
    peer_holds = entry.peers is None or any(each.holds for each in entry.peers)
    explained = peer_holds and any(check.holds for check in entry.ports)
    return explained == entry.matches and (entry.matches or not entry.decides)


def test_a_trace_says_what_the_verdict_says() -> None:
    """Outcome, parser and request decision are those of `verdicts`."""
    asked = query(pod("front"), pod("web"), http={"method": "PUT", "path": "/x"})
    policies = PolicySet.from_dicts([WEB])
    found, answer = trace(policies, asked), policies.verdicts([asked])[0]
    assert (found.verdict, found.ingress.outcome, found.ingress.parser, found.http_allowed) == (
        answer["verdict"],
        answer["ingress"],
        answer["ingress_parser"],
        answer["http_allowed"],
    )


def test_each_check_names_the_label_that_it_found() -> None:
    """A peer that does not match says which label was asked for and which was there."""
    found = trace(PolicySet.from_dicts([WEB]), query(pod("back"), pod("web")))
    peers = found.ingress.selecting[0].entries[0].peers or ()
    checks = [(check.asked, check.found, check.holds) for check in peers[0].checks]
    assert ("app=front", "k8s:app=back", False) == checks[0]
    assert [True, True] == [holds for _, _, holds in checks[1:]]


def test_an_except_is_told_apart_from_the_prefix() -> None:
    """An address inside an exception fails on that, not on the prefix."""
    found = trace(PolicySet.from_dicts([WEB]), query(outside("10.1.2.3"), pod("web")))
    peers = found.ingress.selecting[0].entries[1].peers or ()
    assert [(check.asked, check.holds) for check in peers[0].checks] == [
        ("address in 10.0.0.0/8", True),
        ("not in 10.1.0.0/16 (except)", False),
    ]


def test_the_text_shows_the_way_to_the_decision() -> None:
    """The printed walk names the policy, the failing labels, the ports and the default deny."""
    asked = query(pod("back"), pod("web"), http={"method": "GET", "path": "/x"})
    text = explain(trace(PolicySet.from_dicts([WEB]), asked))
    assert text == (
        "k8s:app=back,k8s:io.kubernetes.pod.namespace=shop -> k8s:app=web,k8s:io.kubernetes.pod.namespace=shop 80/TCP: denied\n"
        "HTTP request: denied\n"
        "\n"
        "egress (leaving the source, k8s:app=back,k8s:io.kubernetes.pod.namespace=shop): no-policy\n"
        "  no rule with egress entries selects it, so egress is open\n"
        "  1 other rule does not select it\n"
        "\n"
        "ingress (arriving at the destination, k8s:app=web,k8s:io.kubernetes.pod.namespace=shop): denied\n"
        "  CiliumNetworkPolicy/shop/web closed ingress (default deny) and no rule allows this\n"
        "  CiliumNetworkPolicy/shop/web spec selects it (app=web, k8s:io.kubernetes.pod.namespace=shop)\n"
        "    default deny: yes\n"
        "    spec.ingress[0] (allow) does not match\n"
        "      - peer: app=front (found: k8s:app=back), k8s:io.kubernetes.pod.namespace=shop, k8s:io.cilium.k8s.policy.cluster=default\n"
        "      + port 80/TCP\n"
        "      + http method GET, path /x\n"
        "    spec.ingress[1] (allow) does not match\n"
        "      - peer: address in 10.0.0.0/8 (found: not an address outside the cluster)\n"
        "      + any port and protocol\n"
    )


def test_with_everything_the_rules_that_do_not_select_say_why() -> None:
    """On demand also the rules that do not apply are shown, with the label that keeps them off."""
    text = explain(trace(PolicySet.from_dicts([WEB]), query(pod("back"), pod("web"))), everything=True)
    assert "  CiliumNetworkPolicy/shop/web spec does not select it: app=web (found: k8s:app=back)\n" in text


@pytest.mark.parametrize(
    ("policies", "options", "asked", "reason"),
    [
        ([], {}, query(pod("a"), pod("web")), "no rule with ingress entries selects it, so ingress is open"),
        ([], {"enforcement": "never"}, query(pod("a"), pod("web")), "enforcement is `never`"),
        (
            [],
            {"enforcement": "always"},
            query(pod("a"), pod("web")),
            "enforcement is `always`, and no rule allows this",
        ),
        ([], {}, query(pod("a"), outside("192.0.2.1")), "this cluster enforces no policy there"),
        (
            [],
            {"config": {"host_firewall": False}},
            query(pod("a"), {"labels": ["reserved:host"]}),
            "the host firewall is off",
        ),
        (
            [],
            {},
            query(pod("a"), {"labels": ["reserved:init"]}),
            "an endpoint still being set up (reserved:init) is closed, and no rule allows this",
        ),
        (
            [WEB],
            {},
            query({"labels": ["reserved:host"]}, pod("web")),
            "the local host may always reach its own pods",
        ),
        ([WEB], {}, query(pod("front"), pod("web")), "an allow rule matches and no deny rule does"),
        (
            [policy("d", "web", ingressDeny=[{"fromEndpoints": [{}]}])],
            {},
            query(pod("a"), pod("web")),
            "a deny rule matches, and deny beats every allow",
        ),
        (
            [policy("o", "web", ingress=[{}], enableDefaultDeny={"ingress": False})],
            {},
            query(pod("a"), pod("web")),
            "nothing that selects it closes ingress (enableDefaultDeny is false)",
        ),
    ],
)
def test_each_outcome_has_its_reason(policies: list, options: dict, asked: dict, reason: str) -> None:  # type: ignore[type-arg]
    """Every way to be open, closed, allowed or denied is told in one sentence."""
    side: SideTrace = trace(PolicySet.from_dicts(policies, **options), asked).ingress
    assert reason == side.reason


def test_a_failed_resolution_is_told() -> None:
    """Where Cilium cannot resolve the rules the reason carries its words."""
    modes = [
        {"fromEndpoints": [peer("front")], "authentication": {"mode": mode}}
        for mode in ("required", "disabled")
    ]
    side = trace(
        PolicySet.from_dicts([policy("p", "web", ingress=modes)]), query(pod("front"), pod("web"))
    ).ingress
    assert "cannot merge conflicting authentication types" in side.reason
    assert (side.outcome, [rule.entries for rule in side.rules]) == ("error", [()])
