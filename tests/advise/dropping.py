"""Captures with drops for tests: edges made by hand with reasons and requests, and policies given as manifests."""

from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from flowmine.advise.drops import Drop, DropReport, drops
from flowmine.advise.inforce import InForce, in_force
from flowmine.edges import Edges
from flowmine.policy.files import Document
from flowmine.schema import REASONS, REQUESTS
from flowmine.synth.options import Options
from tests.synth.made import END, START, Capture, End

__all__ = ["Drops", "cnp", "deny_all", "in_effect", "only"]

Manifest = dict[str, Any]


@dataclass
class Drops:
    """A capture in the making in which some connections are dropped."""

    capture: Capture = field(default_factory=Capture)
    reasons: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def drop(
        self,
        source: End,
        target: End,
        port: int | None,
        side: str = "ingress",
        reason: str = "POLICY_DENIED",
        protocol: str = "TCP",
        count: int = 20,
        by: str | None = None,
        outcome: str = "dropped",
    ) -> "Drops":
        self.capture.talk(source, target, port, protocol, outcome=outcome, events=count)
        return self.again(side, reason, count, by)

    def again(self, side: str, reason: str, count: int = 20, by: str | None = None) -> "Drops":
        """Another reason of the edge added last."""
        row = {"edge": len(self.capture.rows) - 1, "side": side, "drop_reason": reason, "denied_by": by}
        self.reasons.append({**row, "count": count, "first": START, "last": END})
        return self

    def request(self, method: str, path: str, *, denied: bool = True) -> "Drops":
        """A request over the edge added last."""
        row = {
            "edge": len(self.capture.rows) - 1,
            "method": method,
            "host": "",
            "path": path,
            "denied": denied,
        }
        self.requests.append({**row, "count": 5, "first": START, "last": END})
        return self

    def edges(self) -> Edges:
        return replace(
            self.capture.edges(),
            reasons=pa.Table.from_pylist(self.reasons, schema=REASONS),
            requests=pa.Table.from_pylist(self.requests, schema=REQUESTS),
        )

    def report(self, *manifests: Manifest, texts: dict[str, str] | None = None, **options: Any) -> DropReport:
        """The report under these policies; without any, what the flows alone say."""
        policies = in_effect(*manifests) if manifests else None
        return drops(self.edges(), policies, replace(Options(), **options), texts)


def in_effect(*manifests: Manifest) -> InForce:
    """Policies as those in force, each a document of its own file."""
    documents = [Document(f"{each['metadata']['name']}.yaml", 1, 1, each) for each in manifests]
    return in_force(documents)


def only(report: DropReport) -> Drop:
    """The one drop of a report."""
    assert len(report.drops) == 1
    return report.drops[0]


def cnp(name: str, spec: Manifest, namespace: str | None = "shop") -> Manifest:
    """A CiliumNetworkPolicy, clusterwide where no namespace is given."""
    kind = "CiliumNetworkPolicy" if namespace else "CiliumClusterwideNetworkPolicy"
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "cilium.io/v2", "kind": kind, "metadata": metadata, "spec": spec}


def deny_all(namespace: str = "shop") -> Manifest:
    """A policy that closes a namespace."""
    return cnp("closed", {"endpointSelector": {}, "ingress": [{}], "egress": [{}]}, namespace)
