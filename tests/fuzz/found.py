"""Inputs on which a reader failed once, by target: each is read again in every run."""

__all__ = ["FOUND"]

_ODD_ITEM = b'{"metadata": {"name": "1", "labels": "x"}, "security-labels": "x", "status": "x"}'

FOUND: dict[str, tuple[bytes, ...]] = {
    "json-printed": (
        b'{"flow": {"IP": {"source": "10.0.0.1"}, "source": "x", "destination": [], "l4": {"TCP": 5}, "Summary": 5}}\n',
        b'{"flow": {"IP": {"source": "10.0.0.1"}, "source_names": 5, "verdict": [], "event_type": {"type": "x"}}}\n',
        b'{"flow": {"verdict": "DROPPED", "ip_trace_id": {"trace_id": "x"}, "policy_match_type": -9}}\n',
        b'{"lost_events": {"source": [], "first": {}, "last": 5}}\n',
    ),
    "json": (b'{"flow": {"IP": {"source": "10.0.0.1"}, "source": {"identity": true, "labels": ["k8s:a=b"]}}}\n',),
    "frame": (
        b"\xca\x3e\x0d\x08\x01\x10\xfd" + b"\xff" * 8 + b"\x01",  # a time with -3 nanoseconds
        b"\xef" * 11,  # a tag without an end
        b"\x10\xf4!!timestamp \n\x0b\x08\x98\xe0\n\xe0..\n\xd7\x06r\xd5\xfe\xe9.\x10\x01*\x1b",  # a flow longer than its message
        b"\x0a\x0b" + b"\xff" * 11,
    ),
    "page": (
        b'{"flow": {"uuid": "a", "verdict": "FORWARDED", "IP": {"source": "10.0.0.1", "destination": "10.0.0.2"}, '
        b'"l4": {"TCP": {"destination_port": 80}}, "source": {"labels": ["k8s:a=b"]}, "destination": {"labels": '
        b'["k8s:a=c"]}, "node_name": "n", "event_type": {"type": 4}, "traffic_direction": "EGRESS", "is_reply": false}}\n',
    ),
    "policies-repaired": (
        b"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a}\n"
        b"spec: {endpointSelector: {matchLabels: {'cidr:0.0.0.0/99': a}}, ingress: [{}]}\n",
        b"text\n", b"apiVersion: cilium.io/v2\nmetadata: {name: a}\nspec: {}\n"),
    "hubble-config": (b'!!int ""', b"a: !!bool x"),
    "kubeconfig": (
        b'!!int ""',
        b"clusters: " + b"[" * 3000,
        b"current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nusers: [{name: u, user: {}}]\n"
        b'clusters: [{name: k, cluster: {server: "https://h", proxy-url: "p"}}]\n',
    ),
    "known-addresses": (b'!!int ""', b"!!timestamp x"),
    "api-server": (b"", b"[" * 100_000, b'{"items": [' + _ODD_ITEM + b"]}"),
    "filters": (
        b"--http-path \xde/a",
        b"--http-status 2\x9c",
        b"--since " + b"9" * 5000 + b"h",
        b"--since " + b"9" * 50_000,
        b"--node-name " + b"*" * 5000 + b"/x",
    ),
    "questions": (b"9" * 5000 + b"/TCP", b"1." + b"9" * 5000),
}  # fmt: skip
