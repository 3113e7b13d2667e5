"""The fields of every kind, in the order in which people write them, with the limits that the API server sets.

Written from Cilium 1.19's CRDs (`cilium.io/v2`) and Kubernetes' `networking.k8s.io/v1`. What only Cilium's agent checks
is in `sanitize`. The other kinds, and what surrounds `spec`, are in `kinds`.
"""

from flowmine.policy import limits, model
from flowmine.policy.shape import Field, Flag, Many, Record, Shape, Table, Text, Whole, WholeOrText

__all__ = ["CIDR", "PLAIN", "RULE", "SELECTOR"]

PLAIN = Text()
ENTITIES = (
    "all",
    "world",
    "cluster",
    "host",
    "init",
    "ingress",
    "unmanaged",
    "remote-node",
    "health",
    "none",
    "kube-apiserver",
)
_ENTITIES_MEANT = {
    "internet": "write world",
    "external": "write world",
    "any": "write all",
    "nodes": "write host and remote-node",
    "node": "write host and remote-node",
    "remote": "write remote-node",
    "localhost": "write host",
    "apiserver": "write kube-apiserver",
    "api-server": "write kube-apiserver",
    "world-ipv4": "write fromCIDR or toCIDR with 0.0.0.0/0, or world",
    "world-ipv6": "write fromCIDR or toCIDR with ::/0, or world",
}


REQUIREMENT = Record(
    (
        Field("key", PLAIN, "key", required=True, vital=True),
        Field("operator", Text(tuple(model.Operator)), "operator", required=True, vital=True),
        Field("values", Many(PLAIN), "values"),
    ),
    model.Requirement,
)
SELECTOR = Record(
    (
        Field("matchLabels", Table(Text(check=limits.label_value)), "match_labels"),
        Field("matchExpressions", Many(REQUIREMENT), "match_expressions"),
    ),
    model.Selector,
    hints={
        "labels": "write matchLabels",
        "app": "put it beneath matchLabels",
        "name": "put it beneath matchLabels",
    },
)

FQDN = Record(
    (
        Field("matchName", Text(longest=255, check=limits.dns_name), "match_name"),
        Field("matchPattern", Text(longest=255, check=limits.dns_pattern), "match_pattern"),
    ),
    model.FqdnSelector,
    one_of=("matchName", "matchPattern"),
    hints={"matchRegex": "write matchPattern, whose only wildcard is '*'"},
)
SECRET = Record(
    (Field("name", PLAIN, "name", required=True), Field("namespace", PLAIN, "namespace")), model.Secret
)
TLS = Record(
    (
        Field("secret", SECRET, "secret", required=True),
        Field("trustedCA", PLAIN, "trusted_ca"),
        Field("certificate", PLAIN, "certificate"),
        Field("privateKey", PLAIN, "private_key"),
    ),
    model.TlsContext,
)


def _filled(value: str) -> tuple[str, str] | None:
    return None if value else ("is empty", "write a name")


LISTENER = Record(
    (
        Field(
            "envoyConfig",
            Record(
                (
                    Field("kind", Text(("CiliumEnvoyConfig", "CiliumClusterwideEnvoyConfig")), "kind"),
                    Field("name", Text(check=_filled), "name", required=True),
                ),
                model.EnvoyConfig,
            ),
            "envoy_config",
            required=True,
        ),
        Field("name", Text(check=_filled), "name", required=True),
        Field("priority", Whole(1, 100), "priority"),
    ),
    model.Listener,
)
HTTP = Record(
    (
        Field("method", PLAIN, "method"),
        Field("path", PLAIN, "path"),
        Field("host", PLAIN, "host"),
        Field("headers", Many(PLAIN), "headers"),
        Field(
            "headerMatches",
            Many(
                Record(
                    (
                        Field("name", Text(check=_filled), "name", required=True),
                        Field("value", PLAIN, "value"),
                        Field("mismatch", Text(("LOG", "ADD", "DELETE", "REPLACE")), "mismatch"),
                        Field("secret", SECRET, "secret"),
                    ),
                    model.HeaderMatch,
                )
            ),
            "header_matches",
        ),
    ),
    model.HttpRule,
    hints={"url": "write path, a regular expression", "header": "write headers or headerMatches"},
)
KAFKA = Record(
    (
        Field("role", Text(("produce", "consume")), "role"),
        Field("apiKey", PLAIN, "api_key"),
        Field("apiVersion", PLAIN, "api_version"),
        Field("clientID", PLAIN, "client_id"),
        Field("topic", Text(longest=255), "topic"),
    ),
    model.KafkaRule,
)
L7_RULES = Record(
    (
        Field("http", Many(HTTP), "http", keep_empty=True),
        Field("kafka", Many(KAFKA), "kafka", keep_empty=True),
        Field("dns", Many(FQDN), "dns", keep_empty=True),
        Field("l7proto", PLAIN, "l7proto"),
        Field("l7", Many(Table(PLAIN)), "l7", keep_empty=True),
    ),
    model.L7Rules,
    one_of=("http", "kafka", "dns", "l7proto"),
)
PROTOCOLS = ("TCP", "UDP", "SCTP", "VRRP", "IGMP", "ANY")
_PROTOCOLS_MEANT = {
    "icmp": "write icmps instead of toPorts",
    "icmpv6": "write icmps instead of toPorts, with family: IPv6",
    "tcp/udp": "write ANY, or an item for each",
    "http": "write TCP, and rules: {http: […]} beside ports",
    "https": "write TCP",
    "grpc": "write TCP",
    "dns": "write ANY, and rules: {dns: […]} beside ports",
}
_PORT_IS_TEXT = "the port {} is a number, and a CiliumNetworkPolicy takes ports as texts"
PORT = Record(
    (
        Field("port", Text(check=limits.port, not_text=_PORT_IS_TEXT), "port"),
        Field("endPort", Whole(0, 65535), "end_port"),
        Field("protocol", Text(PROTOCOLS, meant=_PROTOCOLS_MEANT), "protocol"),
    ),
    model.PortProtocol,
    hints={"rules": "put rules beside ports, one level up"},
)
_PORTS_HINTS = {
    "port": "put it beneath ports, as an item: '- port: \"80\"'",
    "protocol": "put it beneath ports, in the port's item",
    "endPort": "put it beneath ports, in the port's item",
}
ALLOW_PORTS = Record(
    (
        Field("ports", Many(PORT, most=40), "ports"),
        Field("terminatingTLS", TLS, "terminating_tls"),
        Field("originatingTLS", TLS, "originating_tls"),
        Field(
            "serverNames",
            Many(Text(longest=255, check=limits.server_name), least=1, unique=True),
            "server_names",
        ),
        Field("listener", LISTENER, "listener"),
        Field("rules", L7_RULES, "rules"),
    ),
    model.PortRule,
    hints=_PORTS_HINTS,
)
DENY_PORTS = Record(
    (Field("ports", Many(PORT), "ports"),),
    model.PortRule,
    hints=_PORTS_HINTS | {"rules": "leave it out: a deny rule denies whole ports, and no requests"},
)
ICMPS = Many(
    Record(
        (
            Field(
                "fields",
                Many(
                    Record(
                        (
                            Field("family", Text(("IPv4", "IPv6")), "family"),
                            Field("type", WholeOrText(limits.icmp_type), "type", required=True, vital=True),
                        ),
                        model.IcmpField,
                    ),
                    most=40,
                ),
                "fields",
            ),
        ),
        model.IcmpRule,
    )
)
CIDR = Text(check=limits.cidr)
CIDR_RULE = Record(
    (
        Field("cidr", CIDR, "cidr"),
        Field("cidrGroupRef", Text(check=limits.object_name), "cidr_group_ref"),
        Field("cidrGroupSelector", SELECTOR, "cidr_group_selector"),
        Field("except", Many(CIDR), "except_"),
    ),
    model.CidrRule,
    one_of=("cidr", "cidrGroupRef", "cidrGroupSelector"),
    hints={"ipBlock": "write cidr; ipBlock belongs to a Kubernetes NetworkPolicy"},
)
SERVICE = Record(
    (
        Field(
            "k8sService",
            Record(
                (
                    Field("serviceName", PLAIN, "service_name"),
                    Field("namespace", PLAIN, "namespace"),
                ),
                model.K8sService,
            ),
            "k8s_service",
        ),
        Field(
            "k8sServiceSelector",
            Record(
                (
                    Field("selector", SELECTOR, "selector", required=True),
                    Field("namespace", PLAIN, "namespace"),
                ),
                model.K8sServiceSelector,
            ),
            "k8s_service_selector",
        ),
    ),
    model.Service,
)
GROUP = Record(
    (
        Field(
            "aws",
            Record(
                (
                    Field("labels", Table(PLAIN), "labels"),
                    Field("region", PLAIN, "region"),
                    Field("securityGroupsIds", Many(PLAIN), "security_groups_ids"),
                    Field("securityGroupsNames", Many(PLAIN), "security_groups_names"),
                ),
                model.AwsGroup,
            ),
            "aws",
        ),
    ),
    model.Group,
)
AUTHENTICATION = Record(
    (Field("mode", Text(("disabled", "required", "test-always-fail")), "mode", required=True, vital=True),)
)


def _entry(prefix: str, other: str, *, denies: bool) -> Record:
    """Return the shape of an entry of one of the four sections; `prefix` is `from` or `to`."""

    def peers(suffix: str, shape: Shape, attribute: str, most: int | None = None) -> Field:
        return Field(prefix + suffix, Many(shape, most=most), attribute, keep_empty=True)

    egress = prefix == "to"
    fields = [
        peers("Endpoints", SELECTOR, "endpoints"),
        peers("Entities", Text(ENTITIES, meant=_ENTITIES_MEANT), "entities"),
    ]
    fields += [peers("CIDR", CIDR, "cidr"), peers("CIDRSet", CIDR_RULE, "cidr_set")]
    if egress and not denies:
        fields.append(peers("FQDNs", FQDN, "fqdns"))
    if egress:
        fields.append(peers("Services", SERVICE, "services"))
    fields += [peers("Nodes", SELECTOR, "nodes"), peers("Groups", GROUP, "groups")]
    fields.append(peers("Requires", PLAIN, "requires", most=0))
    fields.append(Field("toPorts", Many(DENY_PORTS if denies else ALLOW_PORTS), "to_ports", keep_empty=True))
    fields.append(Field("icmps", ICMPS, "icmps", keep_empty=True))
    if not denies:
        fields.append(Field("authentication", AUTHENTICATION, "authentication"))
    return Record(tuple(fields), model.Entry, hints=_entry_hints(prefix, other, denies=denies))


def _entry_hints(prefix: str, other: str, *, denies: bool) -> dict[str, str]:
    """Return what belongs in the place of the fields that people put into an entry by mistake."""
    hints = {
        other
        + suffix: f"write {prefix}{suffix}, or move the rule to {'ingress' if prefix == 'to' else 'egress'}"
        for suffix in ("Endpoints", "Entities", "CIDR", "CIDRSet", "Nodes", "Groups")
    }
    hints |= {
        "from": "write fromEndpoints, fromEntities or fromCIDR; from belongs to a Kubernetes NetworkPolicy",
        "to": "write toEndpoints, toEntities or toCIDR; to belongs to a Kubernetes NetworkPolicy",
        "ports": "write toPorts: [{ports: […]}]; ports alone belongs to a Kubernetes NetworkPolicy",
        "rules": "put rules into the toPorts item, beside its ports",
        "matchLabels": f"put it beneath {prefix}Endpoints, as an item",
        "auth": "write authentication: {mode: required}",
        "fromFQDNs": "leave it out: names can be matched on egress only",
        "fromServices": "write fromEndpoints with the labels of the service's clients",
    }
    if prefix == "from":
        hints["toFQDNs"] = "move the rule to egress: names can be matched there only"
        hints["toServices"] = "move the rule to egress"
    if denies:
        hints["toFQDNs"] = "write toCIDR or toEntities: a deny rule takes no names"
        hints["authentication"] = "leave it out: only allow rules ask for authentication"
    return hints


DEFAULT_DENY = Record(
    (Field("ingress", Flag(), "ingress"), Field("egress", Flag(), "egress")), model.DefaultDeny
)
RULE_LABEL = Record(
    (
        Field("key", PLAIN, "key", required=True, vital=True),
        Field("value", PLAIN, "value"),
        Field("source", PLAIN, "source"),
    ),
    model.RuleLabel,
)
LOG = Record((Field("value", Text(longest=32, check=limits.printable), "value"),))
_KNP_HINT = "leave it out; it belongs to a Kubernetes NetworkPolicy"
RULE = Record(
    (
        Field("endpointSelector", SELECTOR, "endpoint_selector"),
        Field("nodeSelector", SELECTOR, "node_selector"),
        Field("description", PLAIN, "description"),
        Field("enableDefaultDeny", DEFAULT_DENY, "enable_default_deny"),
        Field("ingress", Many(_entry("from", "to", denies=False)), "ingress", keep_empty=True),
        Field("ingressDeny", Many(_entry("from", "to", denies=True)), "ingress_deny", keep_empty=True),
        Field("egress", Many(_entry("to", "from", denies=False)), "egress", keep_empty=True),
        Field("egressDeny", Many(_entry("to", "from", denies=True)), "egress_deny", keep_empty=True),
        Field("labels", Many(RULE_LABEL), "labels"),
        Field("log", LOG, "log"),
    ),
    model.Rule,
    hints={"podSelector": "write endpointSelector; podSelector belongs to a Kubernetes NetworkPolicy"}
    | {"policyTypes": _KNP_HINT, "ingresses": "write ingress", "egresses": "write egress"},
)
