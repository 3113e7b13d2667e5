"""The proof that policies which only show change nothing: the engine asks what they deny, seen and never seen."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flowmine.advise.proof import prove
from flowmine.advise.recommend import ProofError
from flowmine.edges import Edges
from flowmine.engine.config import Config
from flowmine.engine.policyset import PolicySet
from flowmine.labels import is_pod_id
from flowmine.policy.model import Policy
from flowmine.synth.assemble import Proposal
from flowmine.synth.options import Options
from flowmine.synth.visibility import visibility

__all__ = ["prove_open", "show"]

_STRANGERS: tuple[dict[str, Any], ...] = (
    {"labels": ["k8s:nobody=knows", "k8s:io.kubernetes.pod.namespace=elsewhere"]},
    {"labels": ["reserved:world"], "ip": "192.0.2.1"},
    {"labels": ["reserved:remote-node"]},
    {"labels": ["reserved:host"]},
)
_PORTS = (("TCP", 443), ("TCP", 65000), ("UDP", 53), ("UDP", 65000), ("SCTP", 9), ("ICMP", 8))


def show(
    edges: Edges, namespaces: Sequence[str], http: Sequence[int] = (), options: Options | None = None
) -> tuple[Proposal, ...]:
    """Return the policies of `synth.visibility.visibility`, proved to deny nothing.

    Raise UsageError as `visibility` does, ProofError as `prove_open` does.
    """
    made = visibility(edges, namespaces, http, options)
    prove_open(edges, made, http)
    return made


def prove_open(edges: Edges, proposals: Iterable[Proposal], http: Sequence[int] = ()) -> None:
    """Prove that policies deny nothing; raise ProofError where they do.

    Every edge delivered must pass and, at every pod, connections with peers and on ports that nobody has seen, any lookup,
    and any request on the ports `http`.
    """
    policies: dict[str, list[Policy]] = defaultdict(list)
    for each in proposals:
        policies[each.cluster].append(each.policy)
    outcomes = edges.edges["outcome"].to_pylist()
    delivered = [row for row, outcome in enumerate(outcomes) if outcome == "delivered"]
    gaps = prove(edges, policies, delivered, lambda _, __: ()).gaps
    denied = [f"the {gap.direction} of edge {gap.row}" for gap in gaps]
    for cluster, own in sorted(policies.items()):
        loaded = PolicySet.from_policies(own, config=Config(cluster_name=cluster or "default"))
        queries = list(_unseen(edges, cluster, http))
        denied += (
            f"{query['port']}/{query['protocol']} with a peer never seen"
            for query, answer in zip(queries, loaded.verdicts(queries), strict=True)
            if answer["verdict"] != "allowed"
            or False in (answer.get("http_allowed"), answer.get("dns_allowed"))
        )
    if denied:
        some = ", ".join(list(dict.fromkeys(denied))[:5])
        raise ProofError(f"nothing written: it would deny {some}; please report this with the capture")


def _unseen(edges: Edges, cluster: str, http: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Connections of every pod with peers and over ports that may never have been seen, lookups and requests among them."""
    pods = [
        {"labels": row["labels"]}
        for row in edges.endpoints.select(["id", "cluster_name", "labels"]).to_pylist()
        if is_pod_id(row["id"]) and row["cluster_name"] == cluster and row["labels"]
    ]
    for pod in pods:
        for other in (*_STRANGERS, pods[0]):
            for protocol, port in (*_PORTS, *(("TCP", port) for port in http)):
                out = {"src": pod, "dst": other, "protocol": protocol, "port": port}
                into = {"src": other, "dst": pod, "protocol": protocol, "port": port}
                if protocol == "UDP":
                    out["dns"] = {"query": "never.seen.example.org"}
                if protocol == "TCP":
                    into["http"] = {"method": "BREW", "path": "/never/seen?x=1"}
                yield from (out, into)
