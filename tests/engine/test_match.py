"""Many peers at once: what holds each, by labels, addresses and names, whoever is asked beside it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine.engine.policyset import PolicySet
from tests.engine.making import Manifest, outside, pod, policy, query

WEB = pod("web")
CIDRS = (
    "0.0.0.0/0",
    "192.0.2.0/24",
    "192.0.2.0/30",
    "192.0.2.1/32",
    "198.51.100.0/24",
    "::/0",
    "2001:db8::/32",
)
ADDRESSES = (
    "192.0.2.0",
    "192.0.2.1",
    "192.0.2.77",
    "198.51.100.3",
    "203.0.113.9",
    "2001:db8::1",
    "2001:db9::1",
)
NAMES = ("a.example.com", "b.example.com", "example.org")
LABELLED = ("cidr:192.0.2.0/30", "cidr:192.0.2.0/24", "cidr:0.0.0.0/0")
FQDNS: tuple[Manifest, ...] = (
    {"matchName": "a.example.com"},
    {"matchPattern": "*.example.com"},
    {"matchPattern": "*"},
)

peers = st.one_of(
    st.fixed_dictionaries({"toCIDR": st.lists(st.sampled_from(CIDRS), min_size=1, max_size=3, unique=True)}),
    st.just(
        {"toCIDRSet": [{"cidr": "192.0.2.0/24", "except": ["192.0.2.0/30"]}, {"cidr": "198.51.100.0/24"}]}
    ),
    st.just({"toCIDRSet": [{"cidr": "0.0.0.0/0", "except": ["192.0.2.0/24", "192.0.2.1/32", "10.0.0.0/8"]}]}),
    st.fixed_dictionaries(
        {"toFQDNs": st.lists(st.sampled_from(FQDNS), min_size=1, max_size=2, unique_by=str)}
    ),
    st.just({"toEntities": ["world"]}),
    st.just({"toEndpoints": [{"matchLabels": {"app": "db"}}]}),
)
parties = st.one_of(
    st.builds(outside, st.sampled_from(ADDRESSES), st.sampled_from(NAMES)),
    st.builds(outside, st.sampled_from(ADDRESSES)),
    st.builds(lambda label: {"labels": ["reserved:world", label]}, st.sampled_from(LABELLED)),
    st.just({"labels": ["reserved:world"]}),
    st.just(pod("db")),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(peers, min_size=1, max_size=5), st.lists(parties, min_size=1, max_size=8))
def test_a_peer_is_held_by_the_same_rules_alone_and_among_others(
    rules: list[Manifest], asked: list[Manifest]
) -> None:
    """A batch under many policies says what each connection does under each policy alone."""
    manifests = [policy(f"p{number}", "web", egress=[rule]) for number, rule in enumerate(rules)]
    together = PolicySet.from_dicts(manifests).verdicts([query(WEB, party) for party in asked])
    alone = [
        [PolicySet.from_dicts([each]).verdicts([query(WEB, party)])[0]["egress"] for each in manifests]
        for party in asked
    ]
    assert [answer["egress"] for answer in together] == [
        "allowed" if "allowed" in outcomes else "denied" for outcomes in alone
    ]


def test_a_prefix_seen_as_a_label_is_held_by_what_covers_it_whole() -> None:
    """Prefixes that cover but parts of a `cidr:` label do not hold it, however many parts they cover."""
    halves = policy("halves", "web", egress=[{"toCIDR": ["192.0.2.0/25", "192.0.2.128/25"]}])
    whole = policy("whole", "web", egress=[{"toCIDR": ["192.0.2.0/23"]}])
    asked = query(WEB, {"labels": ["reserved:world", "cidr:192.0.2.0/24"]})
    outcomes = [PolicySet.from_dicts([each]).verdicts([asked])[0]["egress"] for each in (halves, whole)]
    assert ["denied", "allowed"] == outcomes
