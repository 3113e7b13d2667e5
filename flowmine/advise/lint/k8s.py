"""Kubernetes NetworkPolicies under Cilium."""

from collections.abc import Iterator

from flowmine.advise.lint.context import Context, Hit

__all__ = ["ingress_blocks"]


def ingress_blocks(context: Context) -> Iterator[Hit]:
    """Find ingress from an `ipBlock`: under 1.19's defaults it also admits the policy's whole own namespace.

    Source: ``pkg/k8s/network_policy.go`` parseNetworkPolicyPeer (SEMANTICS 9); ``--policy-default-local-cluster``.
    """
    if not context.config.policy_default_local_cluster:
        return
    for unit in context.units:
        if unit.policy is None or unit.policy.network_policy is None:
            continue
        raw = (unit.value.get("spec") or {}).get("ingress") or []
        for index, rule in enumerate(raw):
            for place, peer in enumerate((rule or {}).get("from") or []):
                if peer.get("ipBlock") and not peer.get("podSelector") and not peer.get("namespaceSelector"):
                    yield Hit(
                        unit,
                        f"spec.ingress[{index}].from[{place}].ipBlock",
                        "an ipBlock in ingress also admits every pod of the policy's own namespace "
                        "(Cilium 1.19 with policy-default-local-cluster, its default)",
                        "write a CiliumNetworkPolicy with fromCIDR instead",
                    )
