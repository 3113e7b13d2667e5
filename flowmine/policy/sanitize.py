"""What Cilium's agent refuses in a rule although the API server takes it (`pkg/policy/api` rule_validation.go, 1.19).

The checks walk a manifest whose fields have the right types, unknown and null ones taken away, and yield every problem
with its path. Ports and what runs over them are in `sanitize_ports`.
"""

from collections.abc import Iterator
from typing import Any

from flowmine.labels import NAMESPACE_KEY
from flowmine.policy import limits
from flowmine.policy.model import Section
from flowmine.policy.problems import Problem, Stage, doubtful, refused, shown
from flowmine.policy.sanitize_ports import Features, check_icmps, check_l7_place, check_port_rule
from flowmine.policy.selector import split_key

__all__ = ["check_rule", "check_selector"]

Manifest = dict[str, Any]

_PEERS = ("Endpoints", "Entities", "CIDR", "CIDRSet", "FQDNs", "Services", "Nodes", "Groups")


def check_rule(
    rule: Manifest, path: str, features: Features, *, clusterwide: bool, namespace: str
) -> Iterator[Problem]:
    """Yield the problems of one `spec` or item of `specs`."""
    yield from _check_subject(rule, path, clusterwide=clusterwide, namespace=namespace)
    sections = [section for section in Section if section.value in rule]
    if not any(rule[section.value] for section in sections):
        yield Problem(
            path,
            "has no rule in ingress, ingressDeny, egress or egressDeny",
            "write at least one rule; a direction is closed by one empty rule, such as ingress: [{}]",
            Stage.AGENT if sections else Stage.SCHEMA,
        )
    for index, label in enumerate(rule.get("labels", [])):
        if not label["key"]:
            yield refused(f"{path}.labels[{index}].key", "is empty", "write the label's key")
    for section in sections:
        for index, entry in enumerate(rule[section.value]):
            at = f"{path}.{section.value}[{index}]"
            yield from _check_entry(entry, at, section, features, host="nodeSelector" in rule)


def _check_subject(rule: Manifest, path: str, *, clusterwide: bool, namespace: str) -> Iterator[Problem]:
    """Yield the problems of whom a rule selects."""
    selectors = [name for name in ("endpointSelector", "nodeSelector") if name in rule]
    if not selectors:
        message, fix = (
            "has no endpointSelector",
            "write endpointSelector: {} for every pod, or name their labels",
        )
        yield Problem(path, message, fix, Stage.SCHEMA)
    if len(selectors) == 2:
        message = "has endpointSelector and nodeSelector, which exclude each other"
        yield Problem(path, message, "make two policies of it", Stage.SCHEMA)
    if "nodeSelector" in rule and not clusterwide:
        yield refused(
            f"{path}.nodeSelector",
            "a CiliumNetworkPolicy selects pods, and no nodes",
            "make it a CiliumClusterwideNetworkPolicy, or write endpointSelector",
        )
    for name in selectors:
        yield from check_selector(rule[name], f"{path}.{name}")
    labels = rule.get("endpointSelector", {}).get("matchLabels", {})
    for key, value in labels.items():
        own = not clusterwide and split_key(key)[0] in ("any", "k8s") and split_key(key)[1] == NAMESPACE_KEY
        if own and value != namespace:
            yield doubtful(
                f"{path}.endpointSelector.matchLabels.{key}",
                f"the policy applies in its own namespace, {namespace!r}, and this label is overwritten",
                f"create the policy in namespace {shown(value)}, or make it a CiliumClusterwideNetworkPolicy",
            )


def check_selector(selector: Manifest, path: str, source: str | None = None) -> Iterator[Problem]:
    """Yield the problems of a label selector.

    Cilium checks a key with its source before it, `any.app` for a bare `app`, and that has to be a label key of
    Kubernetes; `source` "" takes keys as they are.
    """
    for key in selector.get("matchLabels", {}):
        yield from _check_key(key, f"{path}.matchLabels.{key}", source)
    for index, requirement in enumerate(selector.get("matchExpressions", [])):
        at = f"{path}.matchExpressions[{index}]"
        operator, values = requirement["operator"], requirement.get("values", [])
        if operator in ("In", "NotIn") and not values:
            yield refused(f"{at}.values", f"operator {operator} needs values", "write at least one value")
        elif operator in ("Exists", "DoesNotExist") and values:
            yield refused(f"{at}.values", f"operator {operator} takes no values", "leave the values out")
        yield from _check_key(requirement["key"], f"{at}.key", source)
        for place, value in enumerate(values):
            found = limits.label_value(value)
            if found:
                yield refused(f"{at}.values[{place}]", *found)


def _check_key(key: str, path: str, source: str | None) -> Iterator[Problem]:
    full = key if source == "" else ".".join(split_key(key))
    found = limits.qualified_name(full)
    if found:
        message = found[0].replace(shown(full), shown(key))
        if full != key and limits.qualified_name(key) is None:
            message += f" (Cilium checks it as {shown(full)})"
        yield refused(path, message, found[1])


def _check_entry(
    entry: Manifest, path: str, section: Section, features: Features, *, host: bool
) -> Iterator[Problem]:
    """Yield the problems of one item of ingress, ingressDeny, egress or egressDeny."""
    prefix = "from" if section.direction == "ingress" else "to"
    yield from _check_peers(entry, path, prefix, features)
    if entry.get("icmps") and entry.get("toPorts"):
        yield refused(f"{path}.icmps", "icmps and toPorts exclude each other", "make two rules of it")
    rules = entry.get("toPorts", [])
    if not section.denies:
        yield from check_l7_place(rules, f"{path}.toPorts", section.direction, host=host)
    for index, rule in enumerate(rules):
        yield from check_port_rule(rule, f"{path}.toPorts[{index}]", section, features)
    yield from check_icmps(entry.get("icmps", []), f"{path}.icmps")


def _check_peers(entry: Manifest, path: str, prefix: str, features: Features) -> Iterator[Problem]:
    there = [f"{prefix}{suffix}" for suffix in _PEERS if entry.get(f"{prefix}{suffix}")]
    if len(there) > 1:
        message = f"{' and '.join(there)} exclude each other in one rule"
        yield refused(path, message, "make a rule of each, which admits what any of them admits")
    for suffix in ("Endpoints", "Nodes"):
        for index, selector in enumerate(entry.get(f"{prefix}{suffix}", [])):
            yield from check_selector(selector, f"{path}.{prefix}{suffix}[{index}]")
    if entry.get(f"{prefix}Nodes") and not features.node_selector_labels:
        yield refused(
            f"{path}.{prefix}Nodes",
            f"{prefix}Nodes needs the agent's option enable-node-selector-labels, which is off by default",
            f"write {prefix}Entities: [remote-node] or {prefix}CIDR, or turn the option on",
        )
    for index, text in enumerate(entry.get(f"{prefix}CIDR", [])):
        found = limits.agent_cidr(text)
        if found:
            yield refused(f"{path}.{prefix}CIDR[{index}]", *found)
    for index, rule in enumerate(entry.get(f"{prefix}CIDRSet", [])):
        yield from _check_cidr_rule(rule, f"{path}.{prefix}CIDRSet[{index}]")


def _check_cidr_rule(rule: Manifest, path: str) -> Iterator[Problem]:
    if "cidrGroupSelector" in rule:
        yield from check_selector(rule["cidrGroupSelector"], f"{path}.cidrGroupSelector", source="")
    if "cidr" not in rule:
        return
    found = limits.agent_cidr(rule["cidr"])
    if found:
        yield refused(f"{path}.cidr", *found)
    around = limits.strict_network(rule["cidr"])
    for index, text in enumerate(rule.get("except", [])):
        at, inside = f"{path}.except[{index}]", limits.strict_network(text)
        found = limits.agent_cidr(text)
        if found:
            yield refused(at, *found)
        elif inside and around and not _starts_within(text, around):
            message = f"{text} does not lie in {rule['cidr']}, the range it is taken from"
            yield refused(at, message, "write a range inside, or leave it out")


def _starts_within(text: str, around: limits.Network) -> bool:
    """Tell whether a CIDR's address, host bits and all, lies in a range: all that the agent asks of `except`."""
    address = limits.strict_network(f"{text.rpartition('/')[0]}/{around.max_prefixlen}")
    return address is not None and address.version == around.version and address.network_address in around
