"""Policies as values: CiliumNetworkPolicy, its clusterwide form, Kubernetes NetworkPolicy and CiliumCIDRGroup.

Everything is frozen and canonical on construction. What is a set in Cilium (labels, peers of one kind, ports, names) is
sorted and free of duplicates; what reports count (rules, entries, `toPorts` items, HTTP rules) keeps its order, and
`Policy.sorted()` orders that as well. `None` is an absent field and `()` a present but empty list; they differ wherever
Cilium distinguishes them (SEMANTICS: the table of a verdict, and its facts 1 to 6 and 30):

| written               | None (absent)       | ()                        | one empty item              |
|-----------------------|---------------------|---------------------------|-----------------------------|
| ingress, egress       | not enforced        | not enforced              | default deny, admits none   |
| fromEndpoints, CIDR…  | not a condition     | the entry matches nothing | (a selector) everything     |
| toFQDNs, toServices   | not a condition     | any peer, with toPorts    | refused                     |
| toPorts               | every port          | every port                | the entry matches nothing   |
| rules.http            | no L7               | no L7                     | redirected, admits all      |
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from flowmine.policy.canonical import address_key, distinct, distinct_cidrs, pairs, sort_key
from flowmine.policy.k8s import IpBlock, K8sEntry, K8sPeer, K8sPort, NetworkPolicySpec
from flowmine.policy.portrule import (
    EnvoyConfig,
    FqdnSelector,
    HeaderMatch,
    HttpRule,
    IcmpField,
    IcmpRule,
    KafkaRule,
    L7Rules,
    Listener,
    PortProtocol,
    PortRule,
    Secret,
    TlsContext,
)
from flowmine.policy.selector import EVERYTHING, Operator, Requirement, Selector

__all__ = [
    "EVERYTHING",
    "AwsGroup",
    "CidrGroup",
    "CidrRule",
    "DefaultDeny",
    "Direction",
    "Entry",
    "EnvoyConfig",
    "FqdnSelector",
    "Group",
    "HeaderMatch",
    "HttpRule",
    "IcmpField",
    "IcmpRule",
    "IpBlock",
    "K8sEntry",
    "K8sPeer",
    "K8sPort",
    "K8sService",
    "K8sServiceSelector",
    "KafkaRule",
    "Kind",
    "L7Rules",
    "Listener",
    "NetworkPolicySpec",
    "Operator",
    "Policy",
    "PortProtocol",
    "PortRule",
    "Requirement",
    "Rule",
    "RuleLabel",
    "Secret",
    "Section",
    "Selector",
    "Service",
    "TlsContext",
]


class Kind(StrEnum):
    """The kinds of policy that Cilium enforces together, as one union."""

    CNP = "CiliumNetworkPolicy"
    CCNP = "CiliumClusterwideNetworkPolicy"
    KNP = "NetworkPolicy"


class Direction(StrEnum):
    """Which way a connection goes, seen from the endpoint that a policy selects; equal to its text, so hashed as that is."""

    INGRESS = "ingress"
    EGRESS = "egress"

    __hash__ = str.__hash__


class Section(StrEnum):
    """The four lists of entries in a rule, named as in the manifest."""

    INGRESS = "ingress"
    INGRESS_DENY = "ingressDeny"
    EGRESS = "egress"
    EGRESS_DENY = "egressDeny"

    @property
    def direction(self) -> Direction:
        """The direction that the section's entries judge."""
        return Direction.INGRESS if self in (Section.INGRESS, Section.INGRESS_DENY) else Direction.EGRESS

    @property
    def denies(self) -> bool:
        """Whether the section's entries deny what they match."""
        return self in (Section.INGRESS_DENY, Section.EGRESS_DENY)


@dataclass(frozen=True, slots=True)
class CidrRule:
    """One item of `fromCIDRSet` or `toCIDRSet`: a CIDR or a CIDR group, without the `except` ranges."""

    cidr: str | None = None
    cidr_group_ref: str | None = None
    cidr_group_selector: Selector | None = None
    except_: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "except_", distinct_cidrs(self.except_))


@dataclass(frozen=True, slots=True)
class K8sService:
    """A Kubernetes Service by name."""

    service_name: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class K8sServiceSelector:
    """Kubernetes Services by their labels, in every namespace unless one is named."""

    selector: Selector | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """One item of `toServices`."""

    k8s_service: K8sService | None = None
    k8s_service_selector: K8sServiceSelector | None = None


@dataclass(frozen=True, slots=True)
class AwsGroup:
    """A group of addresses that Cilium's operator learns from AWS."""

    labels: tuple[tuple[str, str], ...] = ()
    region: str | None = None
    security_groups_ids: tuple[str, ...] = ()
    security_groups_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", pairs(self.labels))
        object.__setattr__(self, "security_groups_ids", distinct(self.security_groups_ids))
        object.__setattr__(self, "security_groups_names", distinct(self.security_groups_names))


@dataclass(frozen=True, slots=True)
class Group:
    """One item of `toGroups` or `fromGroups`; the agent does not enforce these, the operator derives policies."""

    aws: AwsGroup | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of ingress, ingressDeny, egress or egressDeny: peers of one kind, and ports or ICMP types.

    The lists are named without the `from` or `to` that the manifest has; `fqdns` and `services` exist in egress only,
    `authentication` (its mode) in allow entries only.
    """

    endpoints: tuple[Selector, ...] | None = None
    entities: tuple[str, ...] | None = None
    cidr: tuple[str, ...] | None = None
    cidr_set: tuple[CidrRule, ...] | None = None
    fqdns: tuple[FqdnSelector, ...] | None = None
    services: tuple[Service, ...] | None = None
    nodes: tuple[Selector, ...] | None = None
    groups: tuple[Group, ...] | None = None
    requires: tuple[str, ...] | None = None
    to_ports: tuple[PortRule, ...] | None = None
    icmps: tuple[IcmpRule, ...] | None = None
    authentication: str | None = None

    def __post_init__(self) -> None:
        for name in ("endpoints", "entities", "fqdns", "services", "nodes", "groups", "requires"):
            items = getattr(self, name)
            if items is not None:
                object.__setattr__(self, name, distinct(items))
        if self.cidr is not None:
            object.__setattr__(self, "cidr", distinct_cidrs(self.cidr))
        if self.cidr_set is not None:
            object.__setattr__(
                self, "cidr_set", tuple(sorted(dict.fromkeys(self.cidr_set), key=_cidr_rule_key))
            )
        for name in ("to_ports", "icmps"):
            items = getattr(self, name)
            if items is not None:
                object.__setattr__(self, name, tuple(items))


def _cidr_rule_key(rule: CidrRule) -> tuple[object, ...]:
    return (address_key(rule.cidr or ""), sort_key(rule))


@dataclass(frozen=True, slots=True)
class DefaultDeny:
    """`enableDefaultDeny`: whether a direction's rules also close it; absent means yes where there are rules."""

    ingress: bool | None = None
    egress: bool | None = None


@dataclass(frozen=True, slots=True)
class RuleLabel:
    """One of a rule's own `labels`, by which Cilium names the rule in events."""

    key: str
    value: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One `spec`, or one item of `specs`: whom it selects, and its entries."""

    endpoint_selector: Selector | None = None
    node_selector: Selector | None = None
    ingress: tuple[Entry, ...] | None = None
    ingress_deny: tuple[Entry, ...] | None = None
    egress: tuple[Entry, ...] | None = None
    egress_deny: tuple[Entry, ...] | None = None
    enable_default_deny: DefaultDeny | None = None
    description: str | None = None
    labels: tuple[RuleLabel, ...] = ()
    log: str | None = None

    def __post_init__(self) -> None:
        for name in ("ingress", "ingress_deny", "egress", "egress_deny"):
            entries = getattr(self, name)
            if entries is not None:
                object.__setattr__(self, name, tuple(entries))
        object.__setattr__(self, "labels", distinct(self.labels))

    def section(self, section: Section) -> tuple[Entry, ...]:
        """Return the entries of one section; none where it is absent or empty."""
        if section is Section.INGRESS:
            return self.ingress or ()
        if section is Section.INGRESS_DENY:
            return self.ingress_deny or ()
        return (self.egress if section is Section.EGRESS else self.egress_deny) or ()

    def entries(self) -> Iterator[tuple[Section, int, Entry]]:
        """Yield every entry with its section and its index there."""
        for section in Section:
            for index, entry in enumerate(self.section(section)):
                yield section, index, entry

    def enforces(self, direction: Direction) -> bool:
        """Tell whether the rule has entries of a direction, allow or deny: only then does it touch that direction."""
        return any(self.section(section) for section in Section if section.direction is direction)

    def default_denies(self, direction: Direction) -> bool:
        """Tell whether the rule closes a direction for those it selects: it has entries there, and is not told not to."""
        asked = self.enable_default_deny and getattr(self.enable_default_deny, direction.value)
        return self.enforces(direction) and asked is not False


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy object of the three kinds.

    Cilium's kinds have `rules`, one for each `spec` and item of `specs`; a NetworkPolicy has `network_policy` instead.
    `namespace` is None where the manifest names none: kubectl then fills in `default`, except for clusterwide ones.
    """

    kind: Kind
    name: str
    namespace: str | None = None
    rules: tuple[Rule, ...] = ()
    network_policy: NetworkPolicySpec | None = None
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    generate_name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        object.__setattr__(self, "labels", pairs(self.labels))
        object.__setattr__(self, "annotations", pairs(self.annotations))
        if (self.network_policy is not None) != (self.kind is Kind.KNP) or (
            self.kind is Kind.KNP and self.rules
        ):
            raise ValueError(
                "a NetworkPolicy has network_policy and no rules, Cilium's kinds rules and no network_policy"
            )

    @property
    def ref(self) -> str:
        """The policy's name in reports, `Kind/namespace/name`; the namespace is empty for clusterwide ones."""
        namespace = "" if self.kind is Kind.CCNP else (self.namespace or "default")
        return f"{self.kind}/{namespace}/{self.name}"

    def path(self, rule: int) -> str:
        """Return where the manifest that `codec.to_dict` writes holds a rule: `spec`, or `specs[rule]`."""
        return "spec" if len(self.rules) == 1 or self.kind is Kind.KNP else f"specs[{rule}]"

    def sorted(self) -> "Policy":
        """Return the policy with its rules and their entries in canonical order, which changes no verdict."""
        if self.network_policy is not None:
            spec = self.network_policy
            return replace(
                self,
                network_policy=replace(spec, ingress=distinct(spec.ingress), egress=distinct(spec.egress)),
            )
        return replace(self, rules=distinct(map(_sorted_rule, self.rules)))


def _sorted_rule(rule: Rule) -> Rule:
    def ordered(entries: tuple[Entry, ...] | None) -> tuple[Entry, ...] | None:
        return None if entries is None else distinct(map(_sorted_entry, entries))

    return replace(
        rule,
        ingress=ordered(rule.ingress),
        ingress_deny=ordered(rule.ingress_deny),
        egress=ordered(rule.egress),
        egress_deny=ordered(rule.egress_deny),
    )


def _sorted_entry(entry: Entry) -> Entry:
    ports = None if entry.to_ports is None else distinct(entry.to_ports)
    return replace(entry, to_ports=ports, icmps=None if entry.icmps is None else distinct(entry.icmps))


@dataclass(frozen=True, slots=True)
class CidrGroup:
    """A CiliumCIDRGroup: CIDRs that policies name with `cidrGroupRef`, or select by the group's labels."""

    name: str
    external_cidrs: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    generate_name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "external_cidrs", distinct_cidrs(self.external_cidrs))
        object.__setattr__(self, "labels", pairs(self.labels))
        object.__setattr__(self, "annotations", pairs(self.annotations))
