"""Egress gateways: which workloads were seen to call a block of outside addresses, to be sent out through chosen nodes."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from flowmine.labels import NAMESPACE_KEY
from flowmine.policy.model import Selector
from flowmine.synth.framing import Scene
from flowmine.synth.lower import join_selectors, with_labels
from flowmine.synth.naming import dns_name
from flowmine.synth.scope import Gateway
from flowmine.synth.traffic import Link

__all__ = ["GatewayPolicy", "gateway_policies"]


@dataclass(frozen=True, slots=True)
class GatewayPolicy:
    """A CiliumEgressGatewayPolicy as a manifest, of which cluster, for whom, and the edges (rows of EDGES) behind it."""

    cluster: str
    manifest: dict[str, Any]
    about: str
    rows: tuple[int, ...]

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.manifest["metadata"]["name"])


def gateway_policies(
    scene: Scene, admitted: Sequence[Link], gateways: Iterable[Gateway]
) -> tuple[tuple[GatewayPolicy, ...], tuple[str, ...]]:
    """Return a policy for every gateway and cluster of which some workload calls the block, and a remark where none does."""
    made: list[GatewayPolicy] = []
    remarks: list[str] = []
    for gateway in gateways:
        callers: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for link in admitted:
            if link.source.workload >= 0 and link.target.ip and _holds(gateway.cidr, link.target.ip):
                callers[link.source.cluster][link.source.workload].append(link.row)
        made.extend(_policy(scene, cluster, gateway, some) for cluster, some in sorted(callers.items()))
        if not callers:
            remarks.append(f"no egress gateway for {gateway.cidr}: no workload was seen to call it")
    return tuple(made), tuple(remarks)


def _holds(cidr: str, ip: str) -> bool:
    try:
        return ip_address(ip) in ip_network(cidr)
    except ValueError:
        return False


def _policy(scene: Scene, cluster: str, gateway: Gateway, callers: dict[int, list[int]]) -> GatewayPolicy:
    items = [scene.workloads.items[place] for place in sorted(callers)]
    selectors = join_selectors(
        with_labels(scene.choices[place].selector, ((NAMESPACE_KEY, scene.workloads.items[place].namespace),))
        for place in callers
    )
    manifest = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumEgressGatewayPolicy",
        "metadata": {"name": dns_name(f"egress-{gateway.cidr}".replace(":", "-").replace(".", "-"))},
        "spec": {
            "selectors": [{"podSelector": _written(selector)} for selector in sorted(selectors, key=str)],
            "destinationCIDRs": [gateway.cidr],
            "egressGateway": {"nodeSelector": _written(gateway.nodes)},
        },
    }
    rows = tuple(sorted(row for some in callers.values() for row in some))
    return GatewayPolicy(cluster, manifest, ", ".join(item.title for item in items), rows)


def _written(selector: Selector) -> dict[str, Any]:
    written: dict[str, Any] = {}
    labels = dict(selector.match_labels)
    labels.update(
        {
            each.key: each.values[0]
            for each in selector.match_expressions
            if _is_one(each.operator, each.values)
        }
    )
    rest = [
        {
            "key": each.key,
            "operator": str(each.operator),
            **({"values": list(each.values)} if each.values else {}),
        }
        for each in selector.match_expressions
        if not _is_one(each.operator, each.values)
    ]
    if labels:
        written["matchLabels"] = dict(sorted(labels.items()))
    if rest:
        written["matchExpressions"] = rest
    return written


def _is_one(operator: str, values: tuple[str, ...]) -> bool:
    return operator == "In" and len(values) == 1
