"""What people and their shells say: settings, keys, lists of names, filters, questions; a line each where it has several."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kubernetes.client import ApiClient
from urllib3 import HTTPResponse

from flowmine.cli.knownfile import read_known
from flowmine.cluster import Cluster, cluster_name
from flowmine.cluster.kubeconfig import client_of
from flowmine.engine.policyset import PolicySet
from flowmine.engine.question import end, http_request, port
from flowmine.errors import FlowmineError, UsageError
from flowmine.ingest.captureredact import Redaction, read_key
from flowmine.ingest.filters import flow_filters, matcher, point_in_time
from flowmine.ingest.filters.line import selection_of, split
from flowmine.ingest.relay.settings import KEYS, server_of, settings
from flowmine.policy.labelselector import parse_selector
from flowmine.policy.versions import parse_version
from tests.cluster_api.recorded import LISTS
from tests.fuzz.samples import RECORDS

__all__ = ["READERS", "SAMPLES"]

_NOW = 1_795_000_000_000_000_000


def _text(data: bytes) -> str:
    """Return bytes as Python has them in arguments and variables, where there is no NUL."""
    return os.fsdecode(data.replace(b"\x00", b""))


def _each(*readers: Callable[[str], Any]) -> Callable[[bytes], None]:
    """Return what gives each line to each reader, whatever the others say to it."""

    def read(data: bytes) -> None:
        for line in _text(data).split("\n")[:40]:
            for reader in readers:
                try:
                    reader(line)
                except FlowmineError as error:
                    assert str(error)

    return read


def _in_file(name: str, reader: Callable[[Path], Any]) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(data)
            reader(path)

    return read


def _hubble_file(path: Path) -> None:
    server = server_of(settings({}, {"HUBBLE_CONFIG": str(path)}))
    assert server.place and server.authority and server.headers is not None


def _hubble_variables(data: bytes) -> None:
    """A line sets each variable in turn."""
    lines = _text(data).split("\n")
    named = {f"HUBBLE_{key.upper().replace('-', '_')}": line for key, line in zip(KEYS, lines, strict=False)}
    server = server_of(settings({}, {"HOME": "/nowhere", **named}))
    assert server.place and server.authority


def _key(path: Path) -> None:
    made = Redaction(("ips", "pods"), read_key(path))
    assert "10.0.0.1" != made.address("10.0.0.1")


def _redacted(text: str) -> None:
    made = Redaction(("ips", "pods"), bytes(16))
    for change in (made.text, made.pod, made.address, made.label):
        assert isinstance(change(text), str)


def _known(path: Path) -> None:
    for suffix in ("", ".yaml"):
        target = path.with_suffix(suffix)
        path.replace(target)
        path = target
        try:
            read_known(path)
        except FlowmineError:
            continue


def _filters(line: str) -> None:
    keep = matcher(selection_of(split(line), now=_NOW))
    for record in RECORDS:
        keep(record)


def _flow_filters(line: str) -> None:
    selection = selection_of(["--allowlist", line])
    assert flow_filters(line) is not None
    for record in RECORDS:
        matcher(selection)(record)


def _asked(line: str) -> None:
    def no_pod(namespace: str, name: str) -> list[str]:
        raise UsageError(f"{namespace}/{name}")

    party = end(line, no_pod, [line])
    http: dict[str, Any] = {"method": "GET", "path": "/", "host": "", "headers": {}}
    query = {"src": party, "dst": party, "protocol": "TCP", "port": 80, "http": http, "dns": {"query": line}}
    PolicySet.from_dicts([]).verdicts([query])


def _api_server(data: bytes) -> None:
    """Every list that is asked for is answered with this, whatever was asked for; the next page is empty."""
    client: Any = ApiClient()
    client.rest_client.pool_manager = _Answers(data)
    cluster = Cluster(client)
    cluster.policy_set().verdicts([])
    cluster.namespaces()
    cluster_name(cluster.identities().values())
    cluster.endpoints()


class _Answers:
    """In place of the connections of the Kubernetes client."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def request(self, *asked: Any, **options: Any) -> HTTPResponse:
        data = b'{"items": []}' if "continue" in f"{asked}{options.get('fields')}" else self._answer
        return HTTPResponse(body=data, status=200, preload_content=False)


READERS: dict[str, Callable[[bytes], None]] = {
    "hubble-config": _in_file("config.yaml", _hubble_file),
    "hubble-variables": _hubble_variables,
    "kubeconfig": _in_file("config", client_of),
    "api-server": _api_server,
    "redact-key": _in_file("key", _key),
    "redacted-texts": _each(_redacted),
    "known-addresses": _in_file("known", _known),
    "filters": _each(_filters),
    "flow-filters": _each(_flow_filters),
    "questions": _each(
        *(_asked, port, http_request, parse_selector, parse_version, lambda text: point_in_time(text, _NOW))
    ),
}

_CONFIG = """server: tls://relay.example:443
tls: true
tls-ca-cert-files: [a.pem, b.pem]
tls-client-cert-file: c.pem
tls-client-key-file: k.pem
basic-auth-username: me
basic-auth-password: secret
port-forward: false
"""
_VARIABLES = "tls://relay.example:443\ntrue\na.pem,b.pem\nc.pem\nk.pem\nrelay\nfalse\nme\nsecret\n"
_KUBECONFIG = """apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u, namespace: n}}]
clusters: [{name: k, cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: QUJD, proxy-url: "http://p:1"}}]
users:
- name: u
  user: {token: t, client-certificate-data: QUJD, client-key-data: QUJD, username: a, password: b}
"""
_KNOWN_ADDRESSES = (
    b"cidr,name\n172.27.224.3/32 vpn # ours\n10.0.0.0/8,office\n",
    b"vpn: 172.27.224.3/32\nlab: [10.0.0.0/8, fd00::/8]\n",
)
_TEXTS = b"""api-10-0-0-1.shop.svc.cluster.local
10.0.0.1:80 and [fd00::1%eth0]:80 or ::ffff:10.0.0.1
cidr:fd00--1/64=x
k8s:statefulset.kubernetes.io/pod-name=pg-0
1.0.0.10.in-addr.arpa
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa
"""
_FILTERS = b"""--not -n kube-system --from-label 'k8s:app in (a,b),!c' --port 80 --since 5m
--verdict DROPPED --type trace:to-endpoint --identity world --from-ip 10.0.0.0/8 --first 3
--http-status 5+ --http-path ^/a --http-header a:b --fqdn '*.example.com' --tcp-flags syn,ack --until 2026-11-18T09:30:00Z
--from-workload Deployment/web --to-service db/pg --node-name 'c/n*' --traffic-direction ingress --ip-version v4
"""
_FLOW_FILTERS = b"""{"source_pod":["shop/web"],"event_type":[{"type":4,"match_sub_type":true,"sub_type":3}]}
{"source_label":["k8s:app=web"],"destination_ip":["10.0.0.0/8"],"verdict":["DROPPED",2],"tcp_flags":[{"SYN":true}]}
{"http_header":[{"key":"a","value":"b"}],"source_workload":[{"kind":"Pod","name":"a"}],"interface":[{"index":3,"name":"eth0"}]}
"""
_QUESTIONS = b"shop/app=web,tier=front\nworld\n10.1.2.3,fqdn:api.example.com\n443/TCP\nGET http://h/p?q\nk8s:a in (b,c),!d\n1.19.4+g1\nhttp=8080/TCP\n1h30m\n"


def _answers() -> tuple[bytes, ...]:
    return tuple(json.dumps({"metadata": {}, "items": items}).encode() for items in LISTS.values())


SAMPLES: dict[str, Callable[[], tuple[bytes, ...]]] = {
    "hubble-config": lambda: (_CONFIG.encode(),),
    "hubble-variables": lambda: (_VARIABLES.encode(),),
    "kubeconfig": lambda: (_KUBECONFIG.encode(),),
    "api-server": _answers,
    "redact-key": lambda: (bytes(range(32)).hex().encode() + b"\n",),
    "redacted-texts": lambda: (_TEXTS,),
    "known-addresses": lambda: _KNOWN_ADDRESSES,
    "filters": lambda: (_FILTERS,),
    "flow-filters": lambda: (_FLOW_FILTERS,),
    "questions": lambda: (_QUESTIONS,),
}
