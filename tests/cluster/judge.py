"""Ask what the stated policies say to each planned connection, in as few questions as there are distinct ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.cluster.deploy import End
from tests.cluster.model import Cluster, Policy
from tests.cluster.plan import Connection

Answer = dict[str, Any]
Query = dict[str, Any]
Judge = Callable[[Sequence[Policy], list[Query], Mapping[str, Any]], list[Answer]]

DENIED = ("denied", "deny-rule")
OPEN: Answer = {"egress": "no-policy", "ingress": "no-policy", "verdict": "allowed"}


def engine(policies: Sequence[Policy], queries: list[Query], config: Mapping[str, Any]) -> list[Answer]:
    """Answer with flowmine's own engine; policies that Cilium refuses have no effect."""
    from flowmine.engine.policyset import PolicySet

    return list(PolicySet.from_dicts([dict(p) for p in policies], config=dict(config)).verdicts(queries))


@dataclass(frozen=True, slots=True)
class Deny:
    """A stated refusal, for tests that want drops without an engine: labels each end must carry, and the side.

    ``rule`` True is an explicit deny rule (POLICY_DENY), else default deny (POLICY_DENIED).
    """

    src: str = ""
    dst: str = ""
    side: str = "ingress"
    port: int = 0
    rule: bool = False


def denying(*denials: Deny) -> Judge:
    """Return a judge that refuses what ``denials`` state and governs every pod named by them."""

    def judge(policies: Sequence[Policy], queries: list[Query], config: Mapping[str, Any]) -> list[Answer]:
        return [_stated(denials, query) for query in queries]

    return judge


def _stated(denials: Sequence[Deny], query: Query) -> Answer:
    answer: Answer = dict(OPEN)
    for deny in denials:
        src, dst = query["src"]["labels"], query["dst"]["labels"]
        governed = (deny.dst in dst) if deny.side == "ingress" else (deny.src in src)
        if governed and answer[deny.side] == "no-policy":
            answer[deny.side] = "allowed"
        hit = (not deny.src or deny.src in src) and (not deny.dst or deny.dst in dst)
        if hit and deny.port in (0, query["port"]):
            answer[deny.side] = "deny-rule" if deny.rule else "denied"
            answer["verdict"] = "denied"
            if deny.rule:
                answer[f"{deny.side}_by"] = ["CiliumNetworkPolicy/stated/deny"]
    return answer


class Bench:
    """Judges connections of one cluster, each distinct question once."""

    def __init__(self, cluster: Cluster, judge: Judge | None) -> None:
        self.cluster = cluster
        self.judge = judge or engine
        self.idle = not cluster.policies and judge is None
        self.config = dict(cluster.config)
        if len(cluster.families) > 1:
            self.config.setdefault("ipv6", True)
        self.known: dict[tuple[Any, ...], Answer] = {}

    def settle(self, plan: list[Connection]) -> None:
        """Fill in ``verdict`` (and ``answers``, one a request or DNS query) of every connection in the plan."""
        self._settle([c for c in plan if c.queries], learned=False)
        self._settle([c for c in plan if not c.queries], learned=True)

    def _settle(self, plan: list[Connection], learned: bool) -> None:
        asked = [(c, *self._questions(c, self.names(c) if learned else ())) for c in plan]
        wanted = {key: query for _, keys, queries in asked for key, query in zip(keys, queries, strict=True)}
        missing = [key for key in wanted if key not in self.known]
        if self.idle:
            self.known |= dict.fromkeys(missing, OPEN)
        elif missing:
            questions = [wanted[key] for key in missing] + self._naming(plan)
            answers = self.judge(self.cluster.policies, questions, self.config)
            self.known |= dict(zip(missing, answers, strict=False))
        for connection, keys, _ in asked:
            connection.verdict = self.known[keys[0]]
            connection.answers = [self.known[key] for key in keys[1:]]

    @staticmethod
    def _naming(plan: list[Connection]) -> list[Query]:
        """Return questions whose answers do not matter: a batch must hold every pod that names a port."""
        pods = {e.labels: e for c in plan for e in (c.src, c.dst) if e.named_ports}
        parties = [pod.party(next(iter(pod.addresses))) for pod in pods.values()]
        return [{"src": p, "dst": p, "protocol": "TCP", "port": 1} for p in parties]

    def names(self, connection: Connection) -> tuple[str, ...]:
        """Return the names that Cilium has learned for an outside address: only those its DNS proxy saw."""
        lookup = connection.needs
        outside = connection.dst.kind == "world"
        if lookup is None or not outside or not connection.name or not self.proxied(lookup):
            return ()
        return (connection.name,)

    def proxied(self, lookup: Connection) -> bool:
        """Tell whether a lookup went through the DNS proxy and was not refused there or before."""
        if lookup.verdict.get("verdict") == "denied":
            return False
        if any(answer.get("dns_allowed") is False for answer in lookup.answers):
            return False
        return "dns" in self.cluster.visible or bool(lookup.verdict.get("egress_l7"))

    def _questions(self, c: Connection, names: tuple[str, ...]) -> tuple[list[tuple[Any, ...]], list[Query]]:
        base: Query = {
            "src": c.src.party(c.family),
            "dst": c.dst.party(c.family, names if c.dst.kind == "world" else ()),
            "protocol": c.proto,
            "port": c.port,
        }
        key = (_key(c.src, c.family), _key(c.dst, c.family), names, c.proto, c.port)
        keys: list[tuple[Any, ...]] = [key]
        queries = [base]
        for method, path in c.requests:
            keys.append((*key, method, path))
            queries.append(base | {"http": {"method": method, "path": path, "host": http_host(c)}})
        for query in c.queries:
            keys.append((*key, query.name))
            queries.append(base | {"dns": {"query": query.name}})
        return keys, queries


def _key(end: End, family: str) -> tuple[Any, ...]:
    labels = end.judged or end.labels
    return labels if end.kind == "pod" else (*labels, end.addresses[family])


def http_host(c: Connection) -> str:
    """Return the Host a request carries: the Service's name, the outside name, or the address."""
    if c.service is not None:
        service, port = c.service
        namespace = service.workload.split("/")[0]
        return f"{service.name}.{namespace}.svc.cluster.local" + (f":{port}" if port != 80 else "")
    if c.name:
        return c.name
    address = c.dst.addresses[c.family]
    address = f"[{address}]" if ":" in address else address
    return address if c.port == 80 else f"{address}:{c.port}"
