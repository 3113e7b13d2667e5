"""What Cilium's proxies log: HTTP requests and DNS lookups, each with its response."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from tests.cluster.hubble import Seen
from tests.cluster.judge import Bench, http_host
from tests.cluster.model import Cluster
from tests.cluster.plan import Connection, Query

Logged = tuple[bool, Seen]
_RECORDS = {"A": "A", "AAAA": "AAAA"}


class L7:
    """Decides which connections pass a proxy, and logs them."""

    def __init__(self, cluster: Cluster, bench: Bench, rng: random.Random) -> None:
        self.cluster = cluster
        self.bench = bench
        self.rng = rng

    def side(self, c: Connection) -> str:
        """Return the side ("egress", "ingress") whose proxy a connection passes, "" for none."""
        for side, node in (("ingress", c.dst.node), ("egress", c.src.node)):
            if node and c.verdict.get(f"{side}_l7") and (c.requests or c.queries):
                return side
        if c.queries and "dns" in self.cluster.visible and c.src.node:
            return "egress"
        if c.requests and "http" in self.cluster.visible:
            return "ingress" if c.dst.node and c.dst.kind == "pod" else ("egress" if c.src.node else "")
        return ""

    def log(self, c: Connection, direction: str, audit: bool) -> Iterator[Logged]:
        """Yield (is a response, how it is seen) for each request or query of a connection."""
        for request, answer in zip(c.requests, c.answers, strict=False):
            yield from self._http(c, request, direction, audit or answer.get("http_allowed") is not False)
        for query, answer in zip(c.queries, c.answers, strict=False):
            yield from self._dns(query, direction, audit or answer.get("dns_allowed") is not False)

    def _http(
        self, c: Connection, request: tuple[str, str], direction: str, allowed: bool
    ) -> Iterator[Logged]:
        method, path = request
        url = f"http://{http_host(c)}{path}"
        number = f"{self.rng.getrandbits(128):032x}"
        headers = [{"key": ":scheme", "value": "http"}, {"key": "X-Request-Id", "value": number}]
        http: dict[str, Any] = {"method": method, "url": url, "protocol": "HTTP/1.1", "headers": headers}
        line = f"HTTP/1.1 {method} {url}"
        yield (
            False,
            _seen(
                "FORWARDED" if allowed else "DROPPED",
                direction,
                False,
                {"type": "REQUEST", "http": http},
                line,
            ),
        )
        if not allowed and self.rng.random() < 0.5:
            return  # the 403 that Envoy answers with is not always logged
        code, latency = (200 if allowed else 403), self.rng.randrange(300_000, 40_000_000) if allowed else 0
        body = {"type": "RESPONSE", "latency_ns": str(latency), "http": {"code": code} | http}
        line = f"HTTP/1.1 {code} {latency // 1_000_000}ms ({method} {url})"
        yield True, _seen("FORWARDED", direction, True, body, line)

    def _dns(self, query: Query, direction: str, allowed: bool) -> Iterator[Logged]:
        name = f"{query.name}."
        dns: dict[str, Any] = {"query": name, "observation_source": "proxy", "qtypes": [query.qtype]}
        line = f"DNS Query {name} {query.qtype}"
        verdict = "DROPPED"
        if allowed:
            verdict = "REDIRECTED" if self.rng.random() < 0.08 else "FORWARDED"
        yield False, _seen(verdict, direction, False, {"type": "REQUEST", "dns": dns}, line)
        if not allowed:
            return
        answer = dict(dns)
        if query.ips:
            answer |= {"ips": list(query.ips), "ttl": 30}
        if query.cname:
            answer["cnames"] = [f"{query.cname}."]
        if query.rcode:
            answer["rcode"] = query.rcode
        else:
            answer["rrtypes"] = (["CNAME"] if query.cname else []) + [query.qtype]
        body = {"type": "RESPONSE", "latency_ns": str(self.rng.randrange(200_000, 9_000_000)), "dns": answer}
        told = f'"{",".join(query.ips)}" TTL: 30' if query.ips else "RCode: Non-Existent Domain"
        yield (
            True,
            _seen("FORWARDED", direction, True, body, f"DNS Answer {told} (Proxy {name} {query.qtype})"),
        )


def _seen(verdict: str, direction: str, reply: bool, l7: dict[str, Any], summary: str) -> Seen:
    extra = {"l7": l7, "summary": summary}
    return Seen(verdict, "L7", (129, 0), direction=direction, reply=reply, extra=extra)
