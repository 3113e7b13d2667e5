"""What is mutated: small captures of every form, windows of a recording, frames, policies and settings."""

import atexit
import bz2
import gzip
import io
import json
import lzma
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from google.protobuf.json_format import ParseDict

from flowmine.ingest import open_flows
from flowmine.ingest.capturewindow import windows
from flowmine.ingest.pb.observer_pb2 import ExportEvent
from flowmine.ingest.pb.pool import POOL
from flowmine.report.hubble import Style, compact, dictionary, table
from tests.fuzz.oddtables import odd_tables
from tests.ingest.making import SERVER, WORLD, flow, lines, record
from tests.live.killed import capture, tail

__all__ = ["RECORDS", "captures", "frames", "parquets", "policies", "texts", "window"]

_SAMPLES = Path(__file__).parents[2] / "sample_flows"
_STAMP = "2026-11-18T09:30:00.123456789Z"

_HTTP = {
    "type": "REQUEST",
    "latency_ns": "12000",
    "http": {
        "code": 200,
        "method": "GET",
        "url": "http://pg.db/items/7?q=1",
        "protocol": "HTTP/1.1",
        "headers": [{"key": "X-Request-Id", "value": "7"}],
    },
}
_DNS = {
    "type": "RESPONSE",
    "dns": {
        "query": "api.example.com.",
        "ips": ["192.0.2.7"],
        "ttl": 30,
        "rcode": 0,
        "qtypes": ["A"],
        "rrtypes": ["A"],
    },
}
_DENIED = [
    {
        "name": "closed",
        "namespace": "db",
        "kind": "CiliumNetworkPolicy",
        "labels": ["k8s:a=b"],
        "revision": "3",
    }
]

RECORDS: tuple[dict[str, Any], ...] = (
    record(0),
    record(1, is_reply=True, source=SERVER, destination=WORLD, IP={"source": "fd00::1", "destination": "2001:db8::9"}),
    record(2, Summary=None, l7=_HTTP, Type="L7", event_type={"type": 129}),
    record(3, Summary=None, l7=_DNS, Type="L7", l4={"UDP": {"source_port": 40000, "destination_port": 53}}),
    record(4, verdict="DROPPED", drop_reason_desc="POLICY_DENIED", event_type={"type": 1, "sub_type": 133}, ingress_denied_by=_DENIED),
    record(5, l4={"ICMPv4": {"type": 8}}, destination=WORLD, destination_names=["api.example.com"], destination_service={"name": "pg", "namespace": "db"}),
    record(6, l4={"SCTP": {"source_port": 7, "destination_port": 9}}, traffic_direction="INGRESS", egress_allowed_by=_DENIED, sock_xlate_point="SOCK_XLATE_POINT_PRE_DIRECTION_FWD"),
    {"lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "12", "cpu": 3}, "node_name": "node-1", "time": _STAMP},
    {"node_status": {"state_change": "NODE_CONNECTED", "node_names": ["node-1"], "message": "up"}, "node_name": "node-1", "time": _STAMP},
    {"agent_event": {"type": "POLICY_UPDATED", "policy_update": {"labels": ["k8s:a=b"], "revision": "7"}}, "time": _STAMP},
)  # fmt: skip
"""An event of each kind."""


@cache
def captures() -> tuple[bytes, ...]:
    """Return captures as JSON in each wrapper and layout."""
    texts = [json.dumps(one, separators=(",", ":")) for one in RECORDS]
    wrapped: tuple[Callable[[str], Any], ...] = (
        lambda text: f"{_STAMP} stdout F {text}",
        lambda text: f"[pod/cilium-x2x7k/hubble] {text}",
        lambda text: {"log": f"{text}\n", "stream": "stdout", "time": _STAMP},
        lambda text: {"_source": {"message": text}},
        lambda text: {"result": {"_raw": text}},
        lambda text: {"jsonPayload": json.loads(text), "timestamp": _STAMP},
        lambda text: {"resourceLogs": [], "body": {"stringValue": text}},
    )
    made = [lines(*RECORDS), json.dumps(RECORDS).encode(), json.dumps(RECORDS[:4], indent=2).encode()]
    for wrap in wrapped:
        outer = [wrap(text) for text in texts]
        made.append(
            "\n".join(one if isinstance(one, str) else json.dumps(one) for one in outer).encode() + b"\n"
        )
    halves = [(text[: len(text) // 2], text[len(text) // 2 :]) for text in texts]
    made += [
        "".join(f"{_STAMP} stdout P {a}\n{_STAMP} stdout F {b}\n" for a, b in halves).encode(),
        lines(*({"log": part + end, "stream": "stdout", "time": _STAMP} for a, b in halves for part, end in ((a, ""), (b, "\n")))),
        json.dumps({"hits": {"hits": [{"_source": one} for one in RECORDS]}}).encode(),
        json.dumps({"data": {"result": [{"stream": {}, "values": [[_STAMP, text] for text in texts]}]}}).encode(),
        "".join(json.dumps(one, indent=1) for one in RECORDS).encode(),
        lines(*(flow(number) for number in range(3))),
        b"\xef\xbb\xbf" + lines(*RECORDS[:3]).replace(b"\n", b"\r\n"),
        "\ufeff".encode("utf-16-le") + lines(*RECORDS[:3]).decode().encode("utf-16-le"),
    ]  # fmt: skip
    return tuple(made)


def compressed() -> tuple[bytes, ...]:
    """Return captures in each compression."""
    data = lines(*RECORDS)
    members = gzip.compress(data, mtime=0) + gzip.compress(data, mtime=0)
    return members, zstandard.compress(data), bz2.compress(data), lzma.compress(data)


@cache
def texts() -> tuple[bytes, ...]:
    """Return captures as `hubble observe` prints them: compact, dict and table."""
    source = open_flows(io.BytesIO(lines(*RECORDS)))
    records = [record for _, record, _ in source.records()]
    style = Style()
    printed = ["\n".join(filter(None, (compact(one, style) for one in records)))]
    printed += ["\n".join(form(iter(records), style)) for form in (dictionary, table)]
    return tuple(text.encode() + b"\n" for text in printed)


@cache
def frames() -> tuple[bytes, ...]:
    """Return serialized events of every kind."""
    made = [
        ParseDict(one, ExportEvent(), ignore_unknown_fields=True, descriptor_pool=POOL) for one in RECORDS
    ]
    return tuple(one.SerializeToString() for one in made)


@cache
def window(kind: str) -> Path:
    """Return a window of a ``capture`` or of ``state``, made once a process."""
    folder = Path(mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    given = folder / "flows.jsonl"
    given.write_bytes(lines(*RECORDS))
    {"capture": capture, "state": tail}[kind](given, folder / kind)
    return windows(folder / kind)[-1]


@cache
def parquets(kind: str, name: str) -> tuple[bytes, ...]:
    """Return one of a window's tables: as it is, uncompressed, and with odd columns."""
    path = window(kind) / f"{name}.parquet"
    return (path.read_bytes(), *map(_written, odd_tables(pq.read_table(path))))


def _written(odd: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(odd, buffer, compression="none", use_dictionary=False)
    return buffer.getvalue()


@cache
def policies() -> tuple[bytes, ...]:
    """Return the policies of the samples, one as JSON and one as a List."""
    found = [path.read_bytes() for path in sorted(_SAMPLES.glob("*/policies/*.yaml"))]
    return (*found, *_MADE)


_FULL = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumNetworkPolicy",
    "metadata": {"name": "full", "namespace": "shop", "labels": {"a": "b"}},
    "spec": {
        "endpointSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "b"]}]},
        "ingress": [
            {"fromEndpoints": [{"matchLabels": {"k8s:app": "web"}}], "toPorts": [{"ports": [{"port": "80", "endPort": 90, "protocol": "TCP"}], "rules": {"http": [{"method": "GET", "path": "/a/.*", "headers": ["X: y"]}]}}]},
            {"fromCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}], "icmps": [{"fields": [{"type": "EchoRequest", "family": "IPv4"}]}]},
        ],
        "ingressDeny": [{"fromEntities": ["world"]}],
        "egress": [{"toFQDNs": [{"matchPattern": "*.example.com"}], "toPorts": [{"ports": [{"port": "443"}], "serverNames": ["a.example.com"]}]}, {"toServices": [{"k8sService": {"serviceName": "a", "namespace": "b"}}]}],
        "enableDefaultDeny": {"egress": False},
    },
}  # fmt: skip
_KNP = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "n", "namespace": "shop"},
    "spec": {
        "podSelector": {"matchLabels": {"app": "web"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"a": "b"}}}], "ports": [{"port": 80, "endPort": 90}]}],
        "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}],
    },
}  # fmt: skip
_GROUP = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumCIDRGroup",
    "metadata": {"name": "g"},
    "spec": {"externalCIDRs": ["192.0.2.0/24"]},
}
_MADE = (
    json.dumps(_FULL, indent=1).encode(),
    json.dumps({"apiVersion": "v1", "kind": "List", "items": [_FULL, _KNP, _GROUP]}).encode(),
    b"# head\r\nspecs: &s\r\n- &r {endpointSelector: {}, ingress: [{}]}\r\n- *r\r\nkind: CiliumClusterwideNetworkPolicy\r\n"
    b"apiVersion: cilium.io/v2\r\nmetadata: {name: 'x'}\r\n--- |\r\n  text\r\n...\r\n",
)
