"""Lists and items that mean something else than they look like: empty ones, split ones, ports without protocol."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from flowmine.advise.lint.context import Context, EntryAt, Hit, Spec
from flowmine.policy.limits import strict_network
from flowmine.policy.model import Direction, Kind, Section

__all__ = [
    "cidr_bits",
    "cidr_exceptions",
    "empty_lists",
    "empty_rules",
    "open_isolation",
    "policy_types",
    "port_protocols",
    "split_ports",
]

_PEERS = ("Endpoints", "Entities", "CIDR", "CIDRSet", "FQDNs", "Services", "Nodes", "Groups", "Requires")
_ANY_PEER_WHEN_EMPTY = ("toFQDNs", "toServices")


def split_ports(context: Context) -> Iterator[Hit]:
    """Find `toPorts` that a dash too many made a rule of its own, beside the rule of its peers.

    The two are alternatives: the peers on every port, or anybody on these ports. Ingress from nodes, health checks and
    the like on every port, and from anybody on a few, is how hosts are locked down, and meant.
    """
    for spec in context.specs:
        for section in (Section.INGRESS, Section.EGRESS):
            raws = spec.raw.get(section.value) or []
            for index, raw in enumerate(raws):
                if _peer_keys(raw) or not (raw.get("toPorts") or raw.get("icmps")):
                    continue
                beside = [place for place in (index - 1, index + 1) if 0 <= place < len(raws)]
                other = next(
                    (
                        place
                        for place in beside
                        if _is_peers_only(raws[place]) and not _is_trusted(section, raws[place])
                    ),
                    None,
                )
                if other is None:
                    continue
                at = f"{spec.path}.{section.value}"
                yield Hit(
                    spec.unit,
                    f"{at}[{index}]",
                    f"toPorts is a rule of its own beside the peers of {at}[{other}]: it admits anybody on these ports, "
                    f"and those peers on every port",
                    f"put toPorts beside {_peer_keys(raws[other])[0]}, without a dash of its own (or, where anybody is meant, "
                    f"write {'from' if section is Section.INGRESS else 'to'}Entities: [all] with it)",
                )


def _peer_keys(raw: dict[str, Any]) -> list[str]:
    return [f"{prefix}{peer}" for prefix in ("from", "to") for peer in _PEERS if f"{prefix}{peer}" in raw]


def _is_peers_only(raw: dict[str, Any]) -> bool:
    return bool(_peer_keys(raw)) and "toPorts" not in raw and "icmps" not in raw


def _is_trusted(section: Section, raw: dict[str, Any]) -> bool:
    entities = raw.get("fromEntities") or []
    return (
        section is Section.INGRESS
        and _peer_keys(raw) == ["fromEntities"]
        and not {"world", "all"} & set(entities)
    )


def empty_rules(context: Context) -> Iterator[Hit]:
    """Find `{}` among other rules, where it adds nothing, in deny lists, and where the policy's name says allow."""
    for spec in context.specs:
        for section in Section:
            raws = spec.raw.get(section.value) or []
            empty = [index for index, raw in enumerate(raws) if not raw]
            for index in empty:
                told = _empty_rule(spec, section, all_empty=len(empty) == len(raws))
                if told is not None:
                    yield Hit(spec.unit, f"{spec.path}.{section.value}[{index}]", *told)


def _empty_rule(spec: Spec, section: Section, *, all_empty: bool) -> tuple[str, str] | None:
    way = section.direction.value
    if section.denies:
        return (
            f"an empty rule denies nothing, and yet closes {way}",
            "name what is to be denied, or leave the rule out",
        )
    if not all_empty:
        return (
            f"an empty rule admits nothing, and the other rules of {way} close it already",
            "leave it out",
        )
    if "allow" in spec.policy.name.lower():
        peers = "fromEntities" if section.direction is Direction.INGRESS else "toEntities"
        return (
            f"an empty rule admits nothing and closes {way}, unlike in a Kubernetes NetworkPolicy, where it admits everything",
            f"write {way}: [{{{peers}: [all]}}] to admit everything, or name the policy for what it does",
        )
    return None


def empty_lists(context: Context) -> Iterator[Hit]:
    """Find empty lists of peers and ports, which match nothing, or everything, and no L7 at all."""
    for spec in context.specs:
        for at in spec.entries():
            yield from _empty_peers(spec, at)
            yield from _empty_ports(spec, at)


def _empty_peers(spec: Spec, at: EntryAt) -> Iterator[Hit]:
    for key in _peer_keys(at.raw):
        if at.raw[key] != []:
            continue
        others = [other for other in _peer_keys(at.raw) if at.raw[other]]
        if key in _ANY_PEER_WHEN_EMPTY and not others and at.raw.get("toPorts"):
            message, fix = "is empty: with toPorts, the rule admits anybody on these ports", "name the peers"
        else:
            message, fix = "is empty: the rule matches nothing", "name the peers, or leave the rule out"
        yield Hit(spec.unit, f"{at.path}.{key}", message, fix)


def _empty_ports(spec: Spec, at: EntryAt) -> Iterator[Hit]:
    items = at.raw.get("toPorts")
    if items == []:
        fix = "name the ports, or leave toPorts out where every port is meant"
        yield Hit(
            spec.unit, f"{at.path}.toPorts", "is empty, which restricts nothing: every port is meant", fix
        )
    for index, item in enumerate(items or []):
        path = f"{at.path}.toPorts[{index}]"
        if not item.get("ports"):
            yield Hit(
                spec.unit, path, "has no ports, and so matches nothing", "name its ports, or leave it out"
            )
        for name, rules in (item.get("rules") or {}).items():
            if rules == [] and name in ("http", "dns", "kafka"):
                message = "is empty, which is no L7 rule at all: every request passes"
                yield Hit(
                    spec.unit, f"{path}.rules.{name}", message, "write the rules, or leave the list out"
                )


def open_isolation(context: Context) -> Iterator[Hit]:
    """Find directions that seem to be closed and are not: an empty list, or a default deny without a rule."""
    for spec in context.specs:
        for direction in Direction:
            way = direction.value
            if spec.rule.enforces(direction):
                continue
            asked = spec.rule.enable_default_deny and getattr(spec.rule.enable_default_deny, way)
            fix = f"write {way}: [{{}}] to close the direction"
            if spec.raw.get(way) == []:
                message = f"an empty list does not close {way}: everything passes"
                yield Hit(spec.unit, f"{spec.path}.{way}", message, f"{fix}, or leave the list out")
            elif asked:
                message = f"does nothing without a rule of {way}: the direction stays open"
                yield Hit(spec.unit, f"{spec.path}.enableDefaultDeny.{way}", message, fix)


def port_protocols(context: Context) -> Iterator[Hit]:
    """Find ports whose protocol is left out in rules that allow: they open UDP and SCTP beside TCP."""
    for spec in context.specs:
        for at in spec.entries():
            if at.section.denies:
                continue
            for number, item in enumerate(at.raw.get("toPorts") or []):
                for place, port in enumerate(item.get("ports") or []):
                    if isinstance(port, dict) and not port.get("protocol"):
                        yield Hit(
                            spec.unit,
                            f"{at.path}.toPorts[{number}].ports[{place}]",
                            f"port {port.get('port')} without a protocol opens TCP, UDP and SCTP",
                            "write protocol: TCP (or UDP; ANY where all three are meant)",
                        )


def cidr_bits(context: Context) -> Iterator[Hit]:
    """Find prefixes with host bits, which Cilium masks: more addresses than the text seems to name."""
    for spec in context.specs:
        for at in spec.entries():
            for path, text in _cidrs(at):
                network = strict_network(text)
                if network is not None and ip_address(text.partition("/")[0]) != network.network_address:
                    yield Hit(
                        spec.unit,
                        path,
                        f"{text} has bits beyond its prefix length: all of {network} is meant",
                        f"write {network}, or a longer prefix for fewer addresses",
                    )


def _cidrs(at: EntryAt) -> Iterator[tuple[str, str]]:
    prefix = "from" if at.section.direction is Direction.INGRESS else "to"
    for index, text in enumerate(at.raw.get(f"{prefix}CIDR") or []):
        yield f"{at.path}.{prefix}CIDR[{index}]", str(text)
    for index, item in enumerate(at.raw.get(f"{prefix}CIDRSet") or []):
        if item.get("cidr"):
            yield f"{at.path}.{prefix}CIDRSet[{index}].cidr", str(item["cidr"])


def cidr_exceptions(context: Context) -> Iterator[Hit]:
    """Find `except` ranges that leave nothing of their CIDR, or lie outside it."""
    for spec in context.specs:
        for at in spec.entries():
            prefix = "from" if at.section.direction is Direction.INGRESS else "to"
            for index, item in enumerate(at.raw.get(f"{prefix}CIDRSet") or []):
                whole = strict_network(str(item.get("cidr") or ""))
                for place, text in enumerate(item.get("except") or []):
                    part = strict_network(str(text))
                    if whole is None or part is None:
                        continue
                    path = f"{at.path}.{prefix}CIDRSet[{index}].except[{place}]"
                    if part.version != whole.version or not part.overlaps(whole):
                        message = f"{text} is not in {item['cidr']}: it leaves nothing out"
                        yield Hit(spec.unit, path, message, "leave it out, or correct it")
                    elif part.prefixlen <= whole.prefixlen:
                        message = f"{text} leaves out all of {item['cidr']}: the item matches nothing"
                        yield Hit(spec.unit, path, message, "write a longer prefix")


def policy_types(context: Context) -> Iterator[Hit]:
    """Find rules of a NetworkPolicy in a direction that `policyTypes` does not name: Cilium enforces them still."""
    for unit in context.units:
        policy = unit.policy
        if policy is None or policy.kind is not Kind.KNP or policy.network_policy is None:
            continue
        spec = policy.network_policy
        for name, entries in (("Ingress", spec.ingress), ("Egress", spec.egress)):
            if entries and spec.policy_types and name not in spec.policy_types:
                yield Hit(
                    unit,
                    f"spec.{name.lower()}",
                    f"policyTypes does not name {name}: Kubernetes ignores these rules, and Cilium enforces them",
                    f"add {name} to policyTypes, or leave the rules out",
                )
