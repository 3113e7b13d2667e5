"""The kinds of object that are read, checked and written: their versions, their metadata, and what `spec` holds."""

from dataclasses import dataclass
from typing import Any

from flowmine.policy import limits, model
from flowmine.policy.manifest import CIDR, PLAIN, RULE, SELECTOR
from flowmine.policy.shape import Anything, Check, Field, Many, Record, Shape, Table, Text, Whole, WholeOrText

__all__ = ["CIDR_GROUP", "GATEWAY", "KINDS", "NETWORK_POLICY", "KindShape", "with_zero_items"]

CIDR_GROUP = "CiliumCIDRGroup"
GATEWAY = "CiliumEgressGatewayPolicy"
NETWORK_POLICY = model.Kind.KNP.value

SERVER_FIELDS = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
    "ownerReferences",
    "finalizers",
)
"""Metadata that the API server and controllers write; it says nothing of what a policy means."""


@dataclass(frozen=True, slots=True)
class KindShape:
    """How the objects of one kind look; `zero_items` ones take a null list item for an empty item, as Go does."""

    versions: tuple[str, ...]
    namespaced: bool
    manifest: Record
    zero_items: bool = False


def _annotation_key(value: str) -> tuple[str, str] | None:
    return limits.qualified_name(value.lower())


def _or_absent(check: Check) -> Check:
    """Return the check for a field whose empty text means that it is absent."""
    return lambda value: check(value) if value else None


METADATA = Record(
    (
        Field("name", Text(check=_or_absent(limits.object_name)), "name"),
        Field("generateName", PLAIN, "generate_name"),
        Field("namespace", Text(check=_or_absent(limits.namespace_name)), "namespace"),
        Field("labels", Table(Text(check=limits.label_value), key=limits.qualified_name), "labels"),
        Field("annotations", Table(PLAIN, key=_annotation_key), "annotations"),
        *(Field(name, Anything(), "") for name in SERVER_FIELDS),
    )
)
K8S_PORT = Record(
    (
        Field("protocol", Text(("TCP", "UDP", "SCTP")), "protocol"),
        Field("port", WholeOrText(limits.k8s_port), "port"),
        Field("endPort", Whole(1, 65535), "end_port"),
    ),
    model.K8sPort,
)
K8S_PEER = Record(
    (
        Field("namespaceSelector", SELECTOR, "namespace_selector"),
        Field("podSelector", SELECTOR, "pod_selector"),
        Field(
            "ipBlock",
            Record(
                (Field("cidr", CIDR, "cidr", required=True), Field("except", Many(CIDR), "except_")),
                model.IpBlock,
            ),
            "ip_block",
        ),
    ),
    model.K8sPeer,
)


def _k8s_entry(peers: str) -> Record:
    return Record(
        (Field(peers, Many(K8S_PEER), "peers"), Field("ports", Many(K8S_PORT), "ports")),
        model.K8sEntry,
        hints={
            "to" if peers == "from" else "from": f"write {peers}, or move the rule to the other direction",
            "toPorts": "write ports; toPorts belongs to a CiliumNetworkPolicy",
        },
    )


K8S_SPEC = Record(
    (
        Field("podSelector", SELECTOR, "pod_selector"),
        Field("policyTypes", Many(Text(("Ingress", "Egress")), most=2), "policy_types"),
        Field("ingress", Many(_k8s_entry("from")), "ingress"),
        Field("egress", Many(_k8s_entry("to")), "egress"),
    ),
    model.NetworkPolicySpec,
    hints={"endpointSelector": "write podSelector; endpointSelector belongs to a CiliumNetworkPolicy"},
)
GATEWAY_CIDRS = Many(Text(check=limits.gateway_cidr))
EGRESS_GATEWAY = Record(
    (
        Field("nodeSelector", SELECTOR, "", required=True),
        Field("interface", PLAIN, ""),
        Field("egressIP", Text(check=limits.gateway_address), ""),
    )
)
GATEWAY_SPEC = Record(
    (
        Field(
            "selectors",
            Many(Record(tuple(Field(f"{of}Selector", SELECTOR, "") for of in ("namespace", "pod", "node")))),
            "",
            required=True,
        ),
        Field("destinationCIDRs", GATEWAY_CIDRS, "", required=True),
        Field("excludedCIDRs", GATEWAY_CIDRS, ""),
        Field("egressGateway", EGRESS_GATEWAY, "", required=True),
        Field("egressGateways", Many(EGRESS_GATEWAY), ""),
    )
)
CIDR_GROUP_SPEC = Record((Field("externalCIDRs", Many(CIDR), "external_cidrs", required=True, vital=True),))


def _manifest(*specs: Field) -> Record:
    """Return the shape of a whole object around its `spec`."""
    return Record(
        (
            Field("apiVersion", PLAIN, ""),
            Field("kind", PLAIN, ""),
            Field("metadata", METADATA, "", required=True, vital=True),
            *specs,
            Field("status", Anything(), ""),
        ),
        hints={"description": "put it beneath spec"},
    )


_CILIUM = _manifest(Field("spec", RULE, "rules"), Field("specs", Many(RULE), "rules"))
KINDS: dict[str, KindShape] = {
    model.Kind.CNP.value: KindShape(("cilium.io/v2",), True, _CILIUM),
    model.Kind.CCNP.value: KindShape(("cilium.io/v2",), False, _CILIUM),
    NETWORK_POLICY: KindShape(
        ("networking.k8s.io/v1",), True, _manifest(Field("spec", K8S_SPEC, "network_policy")), zero_items=True
    ),
    CIDR_GROUP: KindShape(
        ("cilium.io/v2", "cilium.io/v2alpha1"),
        False,
        _manifest(Field("spec", CIDR_GROUP_SPEC, "", required=True, vital=True)),
    ),
    GATEWAY: KindShape(
        ("cilium.io/v2",), False, _manifest(Field("spec", GATEWAY_SPEC, "", required=True, vital=True))
    ),
}
"""Every kind that can be checked; all but the egress gateway's can be decoded."""


def with_zero_items(shape: Shape, value: Any) -> Any:
    """Return the value with every null list item replaced by an empty one, as Go decodes built-in kinds."""
    if isinstance(shape, Record) and isinstance(value, dict):
        fields = {field.name: field.shape for field in shape.fields}
        return {
            name: with_zero_items(fields[name], item) if name in fields else item
            for name, item in value.items()
        }
    if isinstance(shape, Many) and isinstance(value, list):
        empty: Any = {} if isinstance(shape.item, Record | Table) else ""
        return [empty if item is None else with_zero_items(shape.item, item) for item in value]
    return value
