"""Pseudonyms: nothing private is left, what belongs together stays together, and the answer is the same."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmine.errors import InputError, UsageError
from flowmine.ingest import open_flows
from flowmine.ingest.captureredact import Redaction, read_key
from flowmine.ingest.capturewindow import windows
from tests.ingest.making import lines, record
from tests.live.recording import SAMPLES, edges, flows, recorded

KEY, OTHER = b"\1" * 32, b"\2" * 32
BOTH = Redaction(("ips", "pods"), KEY)


def texts(folder: Path) -> set[str]:
    """Return every text in every table of a capture."""
    found: set[str] = set()
    for path in folder.rglob("*.parquet"):
        for column in pq.read_table(path).columns:
            for value in column.to_pylist():
                found.update(
                    each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)
                )
    return found


@pytest.mark.parametrize("system", ["linkding", "three-tier", "node"])
def test_no_address_and_no_pod_name_is_left(tmp_path: Path, system: str) -> None:
    """None of the original ones is in any text of any table, except where an address says nothing of a cluster.

    Labels are what policies are made of, and stay, though one may happen to be a pod's name.
    """
    source = open_flows(SAMPLES / system)
    list(source.batches())
    recorded(tmp_path / "out", SAMPLES / system, redactor=BOTH, events=1000, batch_rows=500)
    plain = flows(SAMPLES / system)
    addresses = {ip for name in ("source_ip", "destination_ip") for ip in plain[name].to_pylist() if ip}
    addresses = {ip for ip in addresses if ip != BOTH.address(ip)}
    pods = {name for name in source.pods["pod_name"].to_pylist() if name}
    assert len(addresses) > 3
    assert len(pods) > 2
    left = texts(tmp_path / "out")
    assert [text for text in left if any(part in text.split("/") for part in addresses)] == []
    assert [text for text in left if "=" not in text and any(name in text for name in pods)] == []


def test_the_edges_are_the_same_but_for_their_names(tmp_path: Path) -> None:
    """Redaction merges nothing and splits nothing: as many edges, with the same outcomes and counts."""
    recorded(tmp_path / "out", SAMPLES / "linkding", redactor=BOTH, events=1000, batch_rows=500)
    there, here = edges(SAMPLES / "linkding").edges, edges(tmp_path / "out").edges
    columns = ["outcome", "delivered", "dropped_egress", "dropped_ingress", "events", "port", "first", "last"]
    order = [(name, "ascending") for name in columns]
    assert there.select(columns).sort_by(order) == here.select(columns).sort_by(order)


def test_windows_of_one_key_agree_and_of_another_do_not(tmp_path: Path) -> None:
    """The same pod and address have the same pseudonym in every window and run with one key, and with another none."""
    found = {}
    for name, key in (("one", KEY), ("again", KEY), ("other", OTHER)):
        redactor = Redaction(("ips", "pods"), key)
        recorded(tmp_path / name, SAMPLES / "three-tier", redactor=redactor, events=700, batch_rows=350)
        found[name] = flows(tmp_path / name)
    assert found["one"] == found["again"]
    same = [
        one == other
        for one, other in zip(
            found["one"]["source_pod"].to_pylist(), found["other"]["source_pod"].to_pylist(), strict=True
        )
        if one
    ]
    assert not any(same)


@pytest.mark.parametrize(
    ("what", "changed", "kept"),
    [(("ips",), ["source_ip", "destination_ip"], ["source_pod"]), (("pods",), ["source_pod"], ["source_ip"])],
)
def test_only_what_is_asked_for_is_replaced(
    tmp_path: Path, what: tuple[str, ...], changed: list[str], kept: list[str]
) -> None:
    """Addresses or pod names alone."""
    recorded(tmp_path / "out", lines(record(1)), redactor=Redaction(what, KEY))
    (plain,), (found,) = (
        flows(path).to_pylist() for path in (_file(tmp_path, lines(record(1))), tmp_path / "out")
    )
    assert [name for name in changed if plain[name] == found[name]] == []
    assert [name for name in kept if plain[name] != found[name]] == []


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "in.jsonl"
    path.write_bytes(content)
    return path


V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(IPv6Address)


def common(one: int, other: int, width: int) -> int:
    """Return how many leading bits two numbers share."""
    return width - (one ^ other).bit_length()


@given(V4, V4)
def test_networks_stay_networks(one: IPv4Address, other: IPv4Address) -> None:
    """Two addresses share as many leading bits after as before: a bijection that keeps every prefix."""
    a, b = (int(IPv4Address(BOTH.address(str(each)))) for each in (one, other))
    assert common(int(one), int(other), 32) == common(a, b, 32)


@given(V6, st.integers(0, 127))
def test_networks_stay_networks_in_ipv6(one: IPv6Address, place: int) -> None:
    """The same for IPv6, where two random addresses share nothing: one and itself with a bit turned over."""
    other = IPv6Address(int(one) ^ (1 << place))
    a, b = (int(IPv6Address(BOTH.address(str(each)))) for each in (one, other))
    assert common(int(one), int(other), 128) == common(a, b, 128)


@given(V4)
def test_what_is_private_stays_private(one: IPv4Address) -> None:
    """No address changes between public, private, loopback, link-local and multicast."""
    two = IPv4Address(BOTH.address(str(one)))
    for kind in ("is_loopback", "is_link_local", "is_multicast", "is_unspecified"):
        assert getattr(one, kind) == getattr(two, kind)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"):
        assert (one in IPv4Network(block)) == (two in IPv4Network(block))


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1", "255.255.255.255"]
)
def test_addresses_that_tell_nothing_stay(text: str) -> None:
    """Loopback, link-local and the like are the same everywhere."""
    assert text == BOTH.address(text)


@given(V4, st.integers(8, 32))
def test_a_cidr_label_holds_the_addresses_it_held(one: IPv4Address, length: int) -> None:
    """The pseudonym of an address lies in the pseudonym of each network that the address lies in."""
    network = ip_network((one, length), strict=False)
    label = BOTH.label(f"cidr:{network}")
    assert ip_address(BOTH.address(str(one))) in ip_network(label.removeprefix("cidr:"), strict=False)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("ip-10-0-1-23.eu-west-1.compute.internal", True),
        ("10-244-1-9.shop.pod.cluster.local", True),
        ("9.1.244.10.in-addr.arpa", True),
        ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", True),
        ("api.example.com", False),
        ("10.244.1.9:8080", True),
        ("/v1/hosts/203.0.113.7/status", True),
        ("[2001:db8::7]:443", True),
        ("web-0.web.shop.svc.cluster.local", True),
        ("web.shop.svc.cluster.local", False),
        ("_http._tcp.web.shop.svc", False),
        ("1.2.3.4.5", False),
        ("v1.20.300.4000", False),
        ("12:34:56", False),
        ("build-1-2-3-4x", False),
    ],
)
def test_addresses_and_pods_within_texts(text: str, changed: bool) -> None:
    """Host names with dashes, reverse names, ports beside, pods of headless Services; versions and times stay."""
    assert changed == (text != BOTH.text(text))


def test_a_reverse_name_is_of_the_pseudonym() -> None:
    """A PTR query still asks for the address it asked for."""
    turned = ".".join(BOTH.address("10.244.1.9").split(".")[::-1])
    assert f"{turned}.in-addr.arpa" == BOTH.text("9.1.244.10.in-addr.arpa")


def test_a_key_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    """The first use makes it, the next one reads it; nobody else may."""
    first = read_key(tmp_path / "key")
    assert first == read_key(tmp_path / "key")
    assert (32, 0o600) == (len(first), (tmp_path / "key").stat().st_mode & 0o777)


@pytest.mark.parametrize("content", ["", "xyz", "00"])
def test_what_is_no_key(tmp_path: Path, content: str) -> None:
    """An empty or short key would be no key: refused, not used."""
    (tmp_path / "key").write_text(content)
    with pytest.raises(InputError, match="key"):
        read_key(tmp_path / "key")


def test_what_cannot_be_redacted() -> None:
    """A misspelt part is refused: it would pass on what it was to hide."""
    with pytest.raises(UsageError, match="cannot redact ip: it is ips or pods"):
        Redaction(("ip", "pods"), KEY)


def test_windows_say_what_is_redacted(tmp_path: Path) -> None:
    """The manifest names it."""
    from flowmine.ingest.capturewindow import manifest_of

    recorded(tmp_path / "out", lines(record(1)), redactor=BOTH)
    assert [("ips", "pods")] == [manifest_of(window).redacted for window in windows(tmp_path / "out")]
