"""Merging rules by name: lookups are seen where names rest on them, and the names that a person chose are kept."""

from pathlib import Path

from tests.advise.merging import API, DNS, OUTSIDE, WEB, hand, run, verdict
from tests.synth.made import Capture, place


def resolver(rules: str) -> str:
    """Egress to the resolver over UDP and TCP, with DNS rules or none."""
    return (
        "  ingress: [{}]\n  egress:\n  - toEndpoints:\n    - matchLabels: {k8s-app: kube-dns, "
        "io.kubernetes.pod.namespace: kube-system}\n    toPorts:\n    - ports:\n"
        f'      - {{port: "53", protocol: UDP}}\n      - {{port: "53", protocol: TCP}}\n{rules}'
    )


NAMED = "      rules:\n        dns:\n        - matchName: a.example.com\n"
BY_NAME = '  - toFQDNs:\n    - matchName: a.example.com\n    toPorts:\n    - ports:\n      - {port: "443", protocol: TCP}\n'


def lookups(*names: str) -> Capture:
    """WEB asks the resolver for names, each of them its own address, and calls them."""
    capture = Capture().talk(WEB, DNS, 53, "UDP")
    for number, name in enumerate(names):
        outside = place("reserved:world", ip=f"203.0.113.{number + 1}")
        capture.talk(WEB, outside, 443).name(WEB, outside.ip or "", name)
    return capture


def test_names_that_a_person_chose_are_added_to_one_by_one(tmp_path: Path) -> None:
    """Where a person lets some names be asked for, the missing one is added, not every name."""
    path = hand(tmp_path, "web", resolver(NAMED) + BY_NAME)
    capture = lookups("a.example.com", "b.example.com")
    run(capture, tmp_path)
    added = path.read_text().split("protocol: TCP}\n")[-1]
    assert "matchName: b.example.com" in added and "matchPattern" not in added
    answers = [
        verdict(tmp_path, WEB, DNS, 53, dns={"query": name})
        for name in ("a.example.com", "b.example.com", "evil.org")
    ]
    assert ["allowed", "allowed", "denied"] == answers
    assert [] == run(capture, tmp_path).made


def test_rules_by_name_make_their_lookups_seen(tmp_path: Path) -> None:
    """Beside a resolver allowed without DNS rules, rules by name bring the DNS rule that they rest on."""
    hand(tmp_path, "web", resolver(""))
    done = run(lookups("a.example.com"), tmp_path)
    assert "toFQDNs" in done.texts["web.yaml"] and "dns:" in done.texts["web.yaml"]
    assert [] == run(lookups("a.example.com"), tmp_path).made


def test_what_is_covered_by_address_needs_no_name(tmp_path: Path) -> None:
    """Where a person's rule lets the address itself through, neither the name nor the DNS rule is added."""
    hand(tmp_path, "web", f"{resolver('')}  - toCIDR: [203.0.113.0/24]\n")
    assert [] == run(lookups("a.example.com"), tmp_path).made


def test_a_broken_rule_by_name_is_mended(tmp_path: Path) -> None:
    """A person's rule by name without its DNS rule lets nothing through in practice, so the DNS rule is missing."""
    hand(tmp_path, "web", resolver("") + BY_NAME)
    done = run(lookups("a.example.com"), tmp_path)
    assert "dns:" in done.texts["web.yaml"] and 1 == done.texts["web.yaml"].count("toFQDNs")


def test_a_resolver_that_was_not_seen_is_added_once(tmp_path: Path) -> None:
    """A rule that rests on others' lookups is written once: the second run finds it."""
    capture = lookups("a.example.com").talk(API, OUTSIDE, 443).name(API, OUTSIDE.ip or "", "c.example.com")
    first = run(capture, tmp_path)
    assert "kube-dns" in first.texts["shop/api.yaml"]
    assert [] == run(capture, tmp_path).made
