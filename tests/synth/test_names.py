"""Names of the outside world, and when many become a pattern."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmine.policy.portrule import FqdnSelector
from flowmine.ports import PortSet
from flowmine.synth.names import cluster_domain, external, fold, registrable
from flowmine.synth.options import Options

HTTPS = PortSet.of([("TCP", 443)])
HTTP = PortSet.of([("TCP", 80)])


def _written(names: dict[str, PortSet], options: Options | None = None) -> list[tuple[str, str]]:
    made = fold(names, options or Options())
    return [(each.selector.match_name or each.selector.match_pattern or "", str(each.ports)) for each in made]


def test_three_names_under_one_parent_fold() -> None:
    """Names next to each other under one parent become a pattern of one level, with the evidence told."""
    names = {f"{each}.cloud.google.com": HTTPS for each in ("run", "sql", "storage")}
    (made,) = fold(names, Options())
    assert made.selector == FqdnSelector(match_pattern="*.cloud.google.com")
    assert [note.evidence for note in made.notes] == ["3 names under cloud.google.com: run, sql, storage"]


def test_two_names_stay_themselves() -> None:
    """Two names may be all there are."""
    names = {"api.stripe.com": HTTPS, "files.stripe.com": HTTPS}
    assert _written(names) == [("api.stripe.com", "443/TCP"), ("files.stripe.com", "443/TCP")]


def test_buckets_of_a_store_do_not_fold() -> None:
    """Names whose registrable domains differ never share a pattern, however many they are."""
    names = {f"{each}.s3.amazonaws.com": HTTPS for each in ("logs", "media", "backup", "site")}
    assert sorted(names) == [name for name, _ in _written(names)]


def test_no_pattern_over_a_public_suffix() -> None:
    """Registrable domains side by side never fold into their suffix."""
    names = {f"{each}.co.uk": HTTPS for each in ("one", "two", "three", "four")}
    assert sorted(names) == [name for name, _ in _written(names)]


def test_several_levels_of_one_depth() -> None:
    """Names under different parents of one depth become a pattern with a star a level, which every Cilium knows."""
    names = dict.fromkeys(("a.eu.example.com", "b.us.example.com", "c.ap.example.com"), HTTPS)
    assert _written(names, Options(cilium=(1, 14))) == [("*.*.example.com", "443/TCP")]


@pytest.mark.parametrize(
    ("cilium", "expected"),
    [
        ((1, 19), ["**.example.com"]),
        ((1, 18), ["a.example.com", "b.eu.example.com", "c.d.us.example.com"]),
    ],
)
def test_the_double_star_is_only_for_those_who_know_it(cilium: tuple[int, int], expected: list[str]) -> None:
    """Mixed depths fold with `**.` from Cilium 1.19 on, and stay themselves before."""
    names = dict.fromkeys(("a.example.com", "b.eu.example.com", "c.d.us.example.com"), HTTPS)
    assert expected == [name for name, _ in _written(names, Options(cilium=cilium))]


def test_double_star_stops_where_a_public_suffix_lies_beneath() -> None:
    """`**.amazonaws.com` would hold the buckets of everybody, so it is never written."""
    names = dict.fromkeys(
        ("sts.amazonaws.com", "sqs.eu-west-1.amazonaws.com", "a.b.us-east-1.amazonaws.com"), HTTPS
    )
    assert sorted(names) == [name for name, _ in _written(names)]


def test_a_port_of_one_name_stays_with_it() -> None:
    """A pattern opens ports that several of its names were reached on; another port stays with its one name."""
    names = {"a.x.org": HTTPS, "b.x.org": HTTPS | HTTP, "c.x.org": HTTPS | HTTP, "d.x.org": HTTPS}
    ssh = PortSet.of([("TCP", 22)])
    names["a.x.org"] |= ssh
    assert _written(names) == [("a.x.org", "22/TCP"), ("*.x.org", "80/TCP, 443/TCP")]


def test_exact_never_folds() -> None:
    """With generalisation off, a name is only ever itself."""
    names = {f"{each}.cloud.google.com": HTTPS for each in ("run", "sql", "storage", "console")}
    assert sorted(names) == [name for name, _ in _written(names, Options().exact())]


_LABEL = st.sampled_from(["a", "b", "c", "d", "s3", "eu"])
_NAMES = st.dictionaries(
    st.builds(
        lambda labels, base: ".".join([*labels, base]),
        st.lists(_LABEL, max_size=3),
        st.sampled_from(["example.com", "other.co.uk", "amazonaws.com", "corp.internal"]),
    ),
    st.sampled_from([HTTP, HTTPS, HTTP | HTTPS]),
    max_size=14,
)


@given(_NAMES, st.sampled_from([(1, 14), (1, 19)]))
def test_every_name_keeps_its_ports_and_no_pattern_leaves_its_domain(
    names: dict[str, PortSet], cilium: tuple[int, int]
) -> None:
    """Folding loses no name's port, and a pattern's fixed part is within the registrable domain of all its names."""
    made = fold(names, Options(cilium=cilium))
    for name, ports in names.items():
        assert ports == PortSet.union(each.ports for each in made if name in each.members) & ports
    for each in made:
        pattern = each.selector.match_pattern
        if pattern:
            fixed = pattern.lstrip("*.")
            assert {registrable(name) for name in each.members} == {registrable(fixed)}


def test_service_names_are_no_peers() -> None:
    """Names of the cluster, single labels, reverse lookups and nonsense are never FQDN peers."""
    asked = [
        "API.Stripe.com.",
        "db",
        "db.shop.svc",
        "db.shop.svc.cluster.local",
        "api.stripe.com.shop.svc.cluster.local",
        "api.stripe.com.cluster.local",
        "1.0.0.10.in-addr.arpa",
        "bad name.com",
        "a..com",
        "x" * 64 + ".com",
        '"}.evil.com',
    ]
    assert external(asked, "cluster.local") == ("api.stripe.com",)


def test_a_cluster_domain_of_its_own_is_found_in_the_names() -> None:
    """The domain is what most names have after SERVICE.NAMESPACE.svc, for namespaces that exist."""
    names = ["db.shop.svc.k8s.acme.io", "cart.shop.svc.k8s.acme.io", "x.y.svc.example.com"]
    assert cluster_domain(names, ["shop"], "cluster.local") == "k8s.acme.io"
    assert cluster_domain(["api.stripe.com"], ["shop"], "cluster.local") == "cluster.local"
    assert external(["cart.shop.svc.k8s.acme.io", "www.acme.io"], "k8s.acme.io") == ("www.acme.io",)
