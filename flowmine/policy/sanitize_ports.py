"""What Cilium's agent refuses in `toPorts` and `icmps` (`pkg/policy/api` rule_validation.go, http.go, icmp.go, 1.19)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import re2

from flowmine.policy import limits
from flowmine.policy.model import Direction, Section
from flowmine.policy.portrule import is_port_name, parse_port
from flowmine.policy.problems import Problem, doubtful, refused, shown

__all__ = ["Features", "check_icmps", "check_l7_place", "check_port_rule"]

Manifest = dict[str, Any]

ENVOY_PROGRAM_LIMIT = 100
"""Envoy's `re2.max_program_size.error_level`: beyond it, it refuses the endpoint's whole update."""

_KAFKA_TOPIC = re.compile(r"[a-zA-Z0-9\\._-]+")
_KAFKA_KEYS = frozenset(
    [
        "produce",
        "fetch",
        "offsets",
        "metadata",
        "leaderandisr",
        "stopreplica",
        "updatemetadata",
        "controlledshutdown",
        "offsetcommit",
        "offsetfetch",
        "findcoordinator",
        "joingroup",
        "heartbeat",
        "leavegroup",
        "syncgroup",
        "describegroups",
        "listgroups",
        "saslhandshake",
        "apiversions",
        "createtopics",
        "deletetopics",
        "deleterecords",
        "initproducerid",
        "offsetforleaderepoch",
        "addpartitionstotxn",
        "addoffsetstotxn",
        "endtxn",
        "writetxnmarkers",
        "txnoffsetcommit",
        "describeacls",
        "createacls",
        "deleteacls",
        "describeconfigs",
        "alterconfigs",
    ]
)


@dataclass(frozen=True, slots=True)
class Features:
    """Options of the agent that decide what it takes: `enable-node-selector-labels`, `enable-extended-ip-protocols`."""

    node_selector_labels: bool = False
    extended_ip_protocols: bool = False


def check_l7_place(
    port_rules: list[Manifest], path: str, direction: Direction, *, host: bool
) -> Iterator[Problem]:
    """Yield the problems of L7 rules that exist where the agent has no proxy for them."""
    for index, port_rule in enumerate(port_rules):
        rules, at = port_rule.get("rules", {}), f"{path}[{index}].rules"
        if direction is Direction.INGRESS and host and _has_l7(rules):
            message = "a policy for nodes takes no L7 rules on ingress"
            yield refused(at, message, "leave rules out; the ports alone are admitted")
        elif direction is Direction.INGRESS and rules.get("dns"):
            message = "DNS rules work on egress only"
            yield refused(f"{at}.dns", message, "move the rule to egress, at the clients")
        elif direction is Direction.EGRESS and host:
            for name in ("http", "kafka"):
                if rules.get(name):
                    message = "a policy for nodes takes no L7 rules but DNS on egress"
                    yield refused(f"{at}.{name}", message, "leave rules out; the ports alone are admitted")


def _has_l7(rules: Manifest) -> bool:
    """Tell whether Cilium counts the rules as L7 rules; neither an empty list nor `l7proto` alone counts."""
    return any(rules.get(name) for name in ("http", "kafka", "dns", "l7"))


def check_port_rule(
    port_rule: Manifest, path: str, section: Section, features: Features
) -> Iterator[Problem]:
    """Yield the problems of one item of `toPorts`."""
    ports, rules = port_rule.get("ports", []), port_rule.get("rules", {})
    if section.denies and len(ports) > 40:
        message = f"has {len(ports)} items, more than 40"
        yield refused(f"{path}.ports", message, "split it over several toPorts items, each of at most 40")
    for index, port in enumerate(ports):
        yield from _check_port(port, f"{path}.ports[{index}]", features)
        if _has_l7(rules):
            yield from _check_port_for_l7(port, f"{path}.ports[{index}]", rules)
    yield from _check_tls(port_rule, path, section)
    if rules.get("dns") and not ports:
        yield refused(path, "DNS rules need a port", 'write ports: [{port: "53", protocol: ANY}]')
    yield from _check_l7_rules(rules, f"{path}.rules")


def _check_port(port: Manifest, path: str, features: Features) -> Iterator[Problem]:
    text, protocol = port.get("port", ""), port.get("protocol", "ANY")
    if not text:
        if not features.extended_ip_protocols:
            fix = 'write port: "0" for every port, or its number in quotes'
            if protocol in ("VRRP", "IGMP"):
                fix = 'turn on the agent\'s option enable-extended-ip-protocols, or write port: "0"'
            yield refused(f"{path}.port", "is missing", fix)
    elif protocol in ("VRRP", "IGMP") and text != "0" and not is_port_name(text):
        yield refused(f"{path}.port", f"{protocol} has no ports", 'write port: "0"')
    elif found := limits.agent_port(text):
        yield refused(f"{path}.port", *found)
    elif 0 < port.get("endPort", 0) <= (parse_port(text) or 0) and not is_port_name(text):
        message = f"endPort {port['endPort']} is not beyond port {text} and is ignored"
        yield doubtful(f"{path}.endPort", message, "write a larger number, or leave it out")


def _check_port_for_l7(port: Manifest, path: str, rules: Manifest) -> Iterator[Problem]:
    """Yield what keeps L7 rules from applying to a port."""
    text, protocol = port.get("port", ""), port.get("protocol", "ANY")
    number = None if is_port_name(text) else parse_port(text)
    if number == 0:
        yield refused(f"{path}.port", "L7 rules cannot apply to every port", "write the port's number")
    if not rules.get("dns") and protocol != "TCP":
        said = f"not to {protocol}" if "protocol" in port else "and an omitted protocol is ANY"
        yield refused(
            f"{path}.protocol", f"L7 rules other than DNS apply to TCP only, {said}", "write protocol: TCP"
        )
    elif rules.get("dns") and number is not None and port.get("endPort", 0) > number:
        message = "DNS rules apply to single ports, and to no range"
        yield refused(f"{path}.endPort", message, "leave endPort out, and write an item for each port")


def _check_tls(port_rule: Manifest, path: str, section: Section) -> Iterator[Problem]:
    """Yield the problems of server names and listeners beside L7 rules."""
    l7 = _has_l7(port_rule.get("rules", {}))
    if port_rule.get("serverNames") and l7 and "terminatingTLS" not in port_rule:
        message = "serverNames beside L7 rules need terminatingTLS, or the proxy cannot read the requests"
        yield refused(f"{path}.serverNames", message, "write terminatingTLS, or leave one of the two out")
    if "listener" not in port_rule:
        return
    if section.direction is Direction.INGRESS:
        yield refused(
            f"{path}.listener", "a listener works on egress only", "leave it out, or move the rule to egress"
        )
    if l7:
        yield refused(f"{path}.listener", "a listener takes no L7 rules", "leave rules or listener out")


def _check_l7_rules(rules: Manifest, path: str) -> Iterator[Problem]:
    if rules.get("l7") and not rules.get("l7proto"):
        yield refused(f"{path}.l7", "l7 needs l7proto, the name of its protocol", "write l7proto")
    if rules.get("l7proto") == "" and "l7" not in rules:
        yield doubtful(
            f"{path}.l7proto", "is empty: there is no L7 rule", "write the protocol's name, or leave it out"
        )
    for index, pairs in enumerate(rules.get("l7", [])):
        if "" in pairs:
            yield refused(f"{path}.l7[{index}]", "has an empty key", "write the key")
    for index, rule in enumerate(rules.get("http", [])):
        yield from _check_http(rule, f"{path}.http[{index}]")
    for index, rule in enumerate(rules.get("kafka", [])):
        yield from _check_kafka(rule, f"{path}.kafka[{index}]")


def _check_http(rule: Manifest, path: str) -> Iterator[Problem]:
    for name in ("method", "path", "host"):
        if rule.get(name):
            yield from _check_regex(rule[name], f"{path}.{name}", checked=name != "host")
    for index, match in enumerate(rule.get("headerMatches", [])):
        if match.get("secret", {}).get("name") == "":
            yield refused(f"{path}.headerMatches[{index}].secret.name", "is empty", "write the secret's name")


def _check_regex(text: str, path: str, *, checked: bool) -> Iterator[Problem]:
    """Yield the problem of a regular expression; Cilium does not check that of a host, which then never matches."""
    options = re2.Options()
    options.log_errors = False
    try:
        size = re2.compile(text, options).programsize
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
        message = f"{shown(text)} is no regular expression of RE2: {reason}"
        fix = "write '.*' for any text; lookaheads and backreferences do not exist"
        yield refused(path, message, fix) if checked else doubtful(path, f"{message}; it never matches", fix)
        return
    if size > ENVOY_PROGRAM_LIMIT:
        yield doubtful(
            path,
            f"compiles to {size} instructions; Envoy refuses more than {ENVOY_PROGRAM_LIMIT}, and with it every "
            "update of the endpoint",
            "write it shorter, with ^ and $ around it, or split it over several rules",
        )


def _check_kafka(rule: Manifest, path: str) -> Iterator[Problem]:
    role, key, version, topic = (rule.get(name, "") for name in ("role", "apiKey", "apiVersion", "topic"))
    if role and key:
        yield refused(path, "role and apiKey exclude each other", "leave one of the two out")
    elif key and key.lower() not in _KAFKA_KEYS:
        yield refused(
            f"{path}.apiKey", f"{shown(key)} is no key of Kafka's API", "write one such as produce or fetch"
        )
    if version and not (re.fullmatch(r"[+-]?[0-9]{1,6}", version) and 0 <= int(version) <= 32767):
        yield refused(
            f"{path}.apiVersion",
            f"{shown(version)} is no version",
            "write a number from 0 to 32767 in quotes",
        )
    if topic and not _KAFKA_TOPIC.fullmatch(topic):
        yield refused(f"{path}.topic", f"{shown(topic)} is no topic", "use letters, digits, '.', '_' and '-'")


def check_icmps(rules: list[Manifest], path: str) -> Iterator[Problem]:
    """Yield the problems of `icmps`: names of the other family, and numbers that do not mean what they seem to."""
    for index, rule in enumerate(rules):
        for place, field in enumerate(rule.get("fields", [])):
            at = f"{path}[{index}].fields[{place}].type"
            family, kind = field.get("family", "IPv4"), field["type"]
            names = limits.ICMP_NAMES_V6 if family == "IPv6" else limits.ICMP_NAMES_V4
            if isinstance(kind, str) and not kind.isdigit():
                if kind not in names:
                    fix = f"write one of {family}'s: {', '.join(names)}"
                    yield refused(at, f"{shown(kind)} is no ICMP type of {family}", fix)
                    continue
                kind = names[kind]
            yield from _check_icmp_number(int(kind), at)


def _check_icmp_number(number: int, path: str) -> Iterator[Problem]:
    if number <= 0:
        message = "Cilium takes it for every ICMP type of the family"
        yield doubtful(
            path, message, "name the types meant; echo replies need no rule, they follow their request"
        )
    elif number > 255:
        yield doubtful(path, f"{number} matches no ICMP type", "write a number from 1 to 255, or a name")
