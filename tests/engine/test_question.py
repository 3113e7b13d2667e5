"""Questions as people type them."""

from typing import Any

import pytest

from flowmine.engine.question import end, http_request, port
from flowmine.errors import UsageError

NAMESPACE = "k8s:io.kubernetes.pod.namespace"
METADATA = "k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name"


def known(namespace: str, name: str) -> list[str]:
    """Look up one pod."""
    if (namespace, name) != ("shop", "web-1"):
        raise UsageError(f"{namespace}/{name} is not known")
    return ["k8s:app=web", f"{NAMESPACE}=shop"]


@pytest.mark.parametrize(
    ("text", "party"),
    [
        ("shop/app=web", {"labels": ["k8s:app=web", f"{METADATA}=shop", f"{NAMESPACE}=shop"]}),
        ("app=web", {"labels": ["k8s:app=web", f"{METADATA}=default", f"{NAMESPACE}=default"]}),
        ("shop/", {"labels": [f"{METADATA}=shop", f"{NAMESPACE}=shop"]}),
        (
            f"k8s:app=web,{NAMESPACE}=shop",
            {"labels": ["k8s:app=web", f"{METADATA}=shop", f"{NAMESPACE}=shop"]},
        ),
        (
            "app.kubernetes.io/name=web",
            {"labels": ["k8s:app.kubernetes.io/name=web", f"{METADATA}=default", f"{NAMESPACE}=default"]},
        ),
        (
            "shop/app.kubernetes.io/name=web",
            {"labels": ["k8s:app.kubernetes.io/name=web", f"{METADATA}=shop", f"{NAMESPACE}=shop"]},
        ),
        ("shop/web-1", {"labels": ["k8s:app=web", f"{METADATA}=shop", f"{NAMESPACE}=shop"]}),
        ("world", {"labels": ["reserved:world"]}),
        ("host", {"labels": ["reserved:host"]}),
        ("kube-apiserver,remote-node", {"labels": ["reserved:kube-apiserver", "reserved:remote-node"]}),
        ("10.1.2.3", {"labels": ["reserved:world"], "ip": "10.1.2.3"}),
        ("2001:db8::1", {"labels": ["reserved:world"], "ip": "2001:db8::1"}),
        ("remote-node,10.1.2.3", {"labels": ["reserved:remote-node", "reserved:world"], "ip": "10.1.2.3"}),
        ("10.1.0.0/16", {"labels": ["cidr:10.1.0.0/16", "reserved:world"]}),
        ("2001:db8::/32", {"labels": ["cidr:2001-db8--/32", "reserved:world"]}),
        ("fqdn:a.io", {"labels": ["reserved:world"], "names": ["a.io"]}),
        ("fqdn:a.io, 10.1.2.3", {"labels": ["reserved:world"], "names": ["a.io"], "ip": "10.1.2.3"}),
    ],
)
def test_an_end_is_labels_an_entity_or_an_address(text: str, party: dict[str, Any]) -> None:
    """Each way to write an end gives the party that policies would see."""
    assert {"names": [], "named_ports": {}, **party} == end(text, known)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("web", "'web' is no end"),
        ("shop/web-2", "shop/web-2 is not known"),
        ("", "names no end"),
        (f"shop/{NAMESPACE}=bank", "namespace 'bank'"),
    ],
)
def test_what_names_no_end_is_refused(text: str, told: str) -> None:
    """A bare word, an unknown pod, nothing at all and two namespaces are usage errors."""
    with pytest.raises(UsageError, match=told):
        end(text, known)


def test_named_ports_are_the_ends() -> None:
    """Named ports come as NAME=PORT."""
    assert end("app=web", known, ["http=8080/TCP"])["named_ports"] == {"http": "8080/TCP"}


@pytest.mark.parametrize("text", ["8080", "=8080", "http="])
def test_a_named_port_needs_both_halves(text: str) -> None:
    """Half a named port is refused."""
    with pytest.raises(UsageError, match="NAME=NUMBER/PROTOCOL"):
        end("app=web", known, [text])


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("443", (443, "TCP")),
        ("53/udp", (53, "UDP")),
        ("8/ICMP", (8, "ICMP")),
        ("128/ICMPv6", (128, "ICMPV6")),
    ],
)
def test_a_port_is_a_number_and_a_protocol(text: str, parsed: tuple[int, str]) -> None:
    """Without a protocol a port is TCP's."""
    assert parsed == port(text)


@pytest.mark.parametrize("text", ["", "http", "65536", "/TCP", "-1", "443/ANY", "443/XYZ"])
def test_what_is_no_port_is_refused(text: str) -> None:
    """A connection has one port and one protocol."""
    with pytest.raises(UsageError, match="write a number and a protocol"):
        port(text)


def test_a_request_is_a_method_and_a_path() -> None:
    """The host is part of a full URL; headers come as they are on the wire."""
    wanted = {"method": "GET", "path": "/x?y=1", "host": "a.io:80", "headers": {"X-Token": "42"}}
    assert wanted == http_request("GET http://a.io:80/x?y=1", ["X-Token: 42"])


@pytest.mark.parametrize(
    ("text", "headers"), [("GET", []), ("GET x", []), ("/x", []), ("GET /x", ["X-Token"])]
)
def test_what_is_no_request_is_refused(text: str, headers: list[str]) -> None:
    """A request without a path, and a header without a value, are usage errors."""
    with pytest.raises(UsageError):
        http_request(text, headers)
