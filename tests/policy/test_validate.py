"""Validation says where, what, and what to write instead; cases of our own beside the recorded ones."""

import copy
from typing import Any

import pytest

from flowmine.policy.model import Entry, Kind, Policy, Rule, Selector
from flowmine.policy.validate import Features, Severity, Stage, is_accepted, validate

HEAD = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumNetworkPolicy",
    "metadata": {"name": "p", "namespace": "shop"},
}
K8S_HEAD = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"}}
TCP = {"port": "80", "protocol": "TCP"}
TLS = {"secret": {"name": "s"}}
LISTENER = {"name": "l", "envoyConfig": {"name": "e"}}


def rule(**sections: Any) -> dict[str, Any]:
    return {**HEAD, "spec": {"endpointSelector": {}, **sections}}


def ingress(**entry: Any) -> dict[str, Any]:
    return rule(ingress=[entry])


def egress(**entry: Any) -> dict[str, Any]:
    return rule(egress=[entry])


def l7(direction: str = "ingress", port: dict[str, Any] | None = None, **rules: Any) -> dict[str, Any]:
    return rule(**{direction: [{"toPorts": [{"ports": [port or TCP], "rules": rules}]}]})


def node(**sections: Any) -> dict[str, Any]:
    head = {"apiVersion": "cilium.io/v2", "kind": "CiliumClusterwideNetworkPolicy", "metadata": {"name": "p"}}
    return {**head, "spec": {"nodeSelector": {}, **sections}}


def k8s(**spec: Any) -> dict[str, Any]:
    return {**K8S_HEAD, "spec": spec}


def selector(key: str = "app", operator: str = "In", values: Any = ("a",)) -> dict[str, Any]:
    return ingress(
        fromEndpoints=[{"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}]
    )


TAKEN = {
    "octal port": ingress(toPorts=[{"ports": [{"port": "010"}]}]),
    "port with underscores": ingress(toPorts=[{"ports": [{"port": "1_000"}]}]),
    "long hexadecimal port": ingress(toPorts=[{"ports": [{"port": "0x0000000000000050"}]}]),
    "key of 59 characters": ingress(fromEndpoints=[{"matchLabels": {"a" * 59: "b"}}]),
    "prefixed key": ingress(fromEndpoints=[{"matchLabels": {"k8s:app.kubernetes.io/name": "b"}}]),
    "CIDR key": ingress(fromEndpoints=[{"matchLabels": {"cidr:10.0.0.0/8": ""}}]),
    "reserved key": ingress(fromEndpoints=[{"matchLabels": {"$host": ""}}]),
    "empty value": selector(values=("",)),
    "empty http list with UDP": l7(port={"port": "80", "protocol": "UDP"}, http=[]),
    "empty dns list without ports": rule(egress=[{"toPorts": [{"rules": {"dns": []}}]}]),
    "empty http list on a node's ingress": node(ingress=[{"toPorts": [{"ports": [TCP], "rules": {"http": []}}]}]),
    "dns on a named port with endPort": l7("egress", {"port": "dns", "endPort": 60, "protocol": "UDP"}, dns=[{"matchPattern": "*"}]),
    "VRRP of every port": ingress(toPorts=[{"ports": [{"port": "0", "protocol": "VRRP"}]}]),
    "server names with L7 behind TLS": rule(egress=[{"toPorts": [{"ports": [TCP], "serverNames": ["a.io"], "terminatingTLS": TLS, "rules": {"http": [{}]}}]}]),
    "listener on egress": rule(egress=[{"toPorts": [{"ports": [TCP], "listener": LISTENER}]}]),
    "deny rule of every peer": rule(ingressDeny=[{}]),
    "empty lists of several peers": egress(toEndpoints=[], toCIDR=[], toFQDNs=[], toEntities=["world"]),
    "services with ports": egress(toServices=[{"k8sService": {"serviceName": "a"}}], toPorts=[{"ports": [TCP]}]),
    "selector of a service is not checked": egress(toServices=[{"k8sServiceSelector": {"selector": {"matchExpressions": [{"key": "", "operator": "In"}]}}}]),
    "icmps with empty toPorts": ingress(icmps=[{"fields": [{"type": 8}]}], toPorts=[]),
    "IPv4 in IPv6": ingress(fromCIDR=["::ffff:10.0.0.1/128"]),
    "except with host bits": ingress(fromCIDRSet=[{"cidr": "10.0.0.0/8", "except": ["10.0.0.1/4"]}]),
    "except of a group": ingress(fromCIDRSet=[{"cidrGroupRef": "g", "except": ["10.0.0.0/8"]}]),
    "kafka api version": l7(kafka=[{"apiKey": "Fetch", "apiVersion": "+5", "topic": "a.b_c-d"}]),
    "l7proto on UDP without rules": l7(port={"port": "80", "protocol": "UDP"}, l7proto="x"),
    "generateName": {**rule(ingress=[{}]), "metadata": {"generateName": "p-"}},
    "empty namespace": {**rule(ingress=[{}]), "metadata": {"name": "p", "namespace": ""}},
    "empty namespace of a clusterwide policy": {**node(ingress=[{}]), "metadata": {"name": "p", "namespace": ""}},
    "name of 253 characters": {**rule(ingress=[{}]), "metadata": {"name": "a" * 253}},
    "decimal endPort": ingress(toPorts=[{"ports": [{"port": "1", "endPort": 80.0}]}]),
    "k8s: null items": k8s(ingress=[None, {"ports": [None]}]),
    "k8s: everything": k8s(podSelector={}, policyTypes=["Egress", "Ingress"], ingress=[{}], egress=[{"ports": [{"port": 1, "endPort": 1}]}]),
    "k8s: names": k8s(ingress=[{"ports": [{"port": "a-1"}, {"port": "http", "protocol": "SCTP"}]}]),
    "k8s: namespaces and pods": k8s(ingress=[{"from": [{"podSelector": {}, "namespaceSelector": {}}]}]),
    "k8s: host bits": k8s(ingress=[{"from": [{"ipBlock": {"cidr": "10.0.0.1/8", "except": ["10.1.0.1/16"]}}]}]),
    "CIDR group": {"apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup", "metadata": {"name": "g"}, "spec": {"externalCIDRs": []}},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_taken(name: str) -> None:
    """What Kubernetes and Cilium take has no errors."""
    assert [] == [str(problem) for problem in validate(TAKEN[name]) if problem.severity is Severity.ERROR]


AGENT, SCHEMA = Stage.AGENT, Stage.SCHEMA
AT = "spec.ingress[0]"
REFUSED = {
    "key of 60 characters": (ingress(fromEndpoints=[{"matchLabels": {"a" * 60: "b"}}]), AGENT, f"{AT}.fromEndpoints[0].matchLabels.{'a' * 60}", "checks it as"),
    "key with an upper-case prefix": (ingress(fromEndpoints=[{"matchLabels": {"App.io/x": "b"}}]), AGENT, f"{AT}.fromEndpoints[0].matchLabels.App.io/x", "lower-case"),
    "key with two colons": (ingress(fromEndpoints=[{"matchLabels": {"k8s:a:b": "c"}}]), AGENT, f"{AT}.fromEndpoints[0].matchLabels.k8s:a:b", "is no label key"),
    "long value": (selector(values=("a" * 64,)), AGENT, f"{AT}.fromEndpoints[0].matchExpressions[0].values[0]", "more than the 63"),
    "In without values": (selector(values=()), AGENT, f"{AT}.fromEndpoints[0].matchExpressions[0].values", "needs values"),
    "Exists with values": (selector(operator="Exists"), AGENT, f"{AT}.fromEndpoints[0].matchExpressions[0].values", "takes no values"),
    "key of a group's selector": (ingress(fromCIDRSet=[{"cidrGroupSelector": {"matchLabels": {"k8s:a": "b"}}}]), AGENT, f"{AT}.fromCIDRSet[0].cidrGroupSelector.matchLabels.k8s:a", "is no label key"),
    "subject's key": ({**HEAD, "spec": {"endpointSelector": {"matchLabels": {"a b": "c"}}, "ingress": [{}]}}, AGENT, "spec.endpointSelector.matchLabels.a b", "is no label key"),
    "leading zero": (ingress(fromCIDR=["010.0.0.0/8"]), AGENT, f"{AT}.fromCIDR[0]", "leading zero"),
    "leading zero of the length": (ingress(fromCIDR=["10.0.0.0/08"]), AGENT, f"{AT}.fromCIDR[0]", "is no CIDR"),
    "leading zero in a block": (k8s(ingress=[{"from": [{"ipBlock": {"cidr": "10.01.0.0/16"}}]}]), AGENT, f"{AT}.from[0].ipBlock.cidr", "leading zero"),
    "leading zero in a group": ({"apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup", "metadata": {"name": "g"}, "spec": {"externalCIDRs": ["010.0.0.0/8"]}}, AGENT, "spec.externalCIDRs[0]", "leading zero"),
    "bare address": (ingress(fromCIDR=["10.0.0.1"]), SCHEMA, f"{AT}.fromCIDR[0]", "write 10.0.0.1/32"),
    "three numbers": (ingress(fromCIDR=["172.224.3/32"]), SCHEMA, f"{AT}.fromCIDR[0]", "3 of the four numbers"),
    "netmask": (ingress(fromCIDR=["10.0.0.0/255.0.0.0"]), SCHEMA, f"{AT}.fromCIDR[0]", "write 10.0.0.0/8"),
    "integer port": (ingress(toPorts=[{"ports": [{"port": 443}]}]), SCHEMA, f"{AT}.toPorts[0].ports[0].port", 'takes ports as texts; write "443", in quotes'),
    "port range as text": (ingress(toPorts=[{"ports": [{"port": "80-90"}]}]), AGENT, f"{AT}.toPorts[0].ports[0].port", 'write port: "80" and endPort: 90'),
    "octal port": (ingress(toPorts=[{"ports": [{"port": "080"}]}]), AGENT, f"{AT}.toPorts[0].ports[0].port", 'write "80"'),
    "ICMP as protocol": (ingress(toPorts=[{"ports": [{"port": "0", "protocol": "ICMP"}]}]), SCHEMA, f"{AT}.toPorts[0].ports[0].protocol", "write icmps"),
    "port missing": (ingress(toPorts=[{"ports": [{}]}]), AGENT, f"{AT}.toPorts[0].ports[0].port", "is missing"),
    "VRRP with a port": (ingress(toPorts=[{"ports": [{"port": "112", "protocol": "VRRP"}]}]), AGENT, f"{AT}.toPorts[0].ports[0].port", "has no ports"),
    "41 denied ports": (rule(egressDeny=[{"toPorts": [{"ports": [{"port": str(n)} for n in range(1, 42)]}]}]), AGENT, "spec.egressDeny[0].toPorts[0].ports", "more than 40"),
    "two kinds of denied peers": (rule(egressDeny=[{"toEndpoints": [{}], "toCIDR": ["10.0.0.0/8"]}]), AGENT, "spec.egressDeny[0]", "toEndpoints and toCIDR exclude"),
    "groups and entities": (egress(toGroups=[{"aws": {}}], toEntities=["world"]), AGENT, "spec.egress[0]", "exclude each other"),
    "denied icmps with ports": (rule(ingressDeny=[{"icmps": [{}], "toPorts": [{}]}]), AGENT, "spec.ingressDeny[0].icmps", "exclude each other"),
    "denied icmp of the other family": (rule(ingressDeny=[{"icmps": [{"fields": [{"type": "PacketTooBig"}]}]}]), AGENT, "spec.ingressDeny[0].icmps[0].fields[0].type", "IPv4"),
    "huge icmp type": (ingress(icmps=[{"fields": [{"type": 2**40}]}]), SCHEMA, f"{AT}.icmps[0].fields[0].type", "is no ICMP type"),
    "http in one of two port rules": (node(egress=[{"toPorts": [{}, {"ports": [TCP], "rules": {"http": [{}]}}]}]), AGENT, "spec.egress[0].toPorts[1].rules.http", "nodes"),
    "l7 on a node's ingress": (node(ingress=[{"toPorts": [{"ports": [TCP], "rules": {"l7proto": "x", "l7": [{"a": "b"}]}}]}]), AGENT, f"{AT}.toPorts[0].rules", "nodes"),
    "kafka without TCP": (l7(port={"port": "9092"}, kafka=[{}]), AGENT, f"{AT}.toPorts[0].ports[0].protocol", "omitted protocol is ANY"),
    "http on every port by another spelling": (l7(port={"port": "00", "protocol": "TCP"}, http=[{}]), AGENT, f"{AT}.toPorts[0].ports[0].port", "every port"),
    "kafka key": (l7(kafka=[{"apiKey": "nope"}]), AGENT, f"{AT}.toPorts[0].rules.kafka[0].apiKey", "no key"),
    "kafka version": (l7(kafka=[{"apiVersion": "40000"}]), AGENT, f"{AT}.toPorts[0].rules.kafka[0].apiVersion", "no version"),
    "kafka topic": (l7(kafka=[{"topic": "a b"}]), AGENT, f"{AT}.toPorts[0].rules.kafka[0].topic", "no topic"),
    "empty l7 key": (l7(l7proto="x", l7=[{"": "b"}]), AGENT, f"{AT}.toPorts[0].rules.l7[0]", "empty key"),
    "empty secret name": (l7(http=[{"headerMatches": [{"name": "a", "secret": {"name": ""}}]}]), AGENT, f"{AT}.toPorts[0].rules.http[0].headerMatches[0].secret.name", "is empty"),
    "backreference": (l7(http=[{"path": r"(a)\1"}]), AGENT, f"{AT}.toPorts[0].rules.http[0].path", "RE2"),
    "listener on denied ports": (rule(egressDeny=[{"toPorts": [{"ports": [TCP], "listener": LISTENER}]}]), SCHEMA, "spec.egressDeny[0].toPorts[0].listener", "unknown field"),
    "listener priority": (rule(egress=[{"toPorts": [{"ports": [TCP], "listener": {**LISTENER, "priority": 0}}]}]), SCHEMA, "spec.egress[0].toPorts[0].listener.priority", "from 1 to 100"),
    "rule label without a key": (rule(ingress=[{}], labels=[{"key": ""}]), AGENT, "spec.labels[0].key", "is empty"),
    "name of 254 characters": ({**rule(ingress=[{}]), "metadata": {"name": "a" * 254}}, SCHEMA, "metadata.name", "more than 253"),
    "generateName of a bad form": ({**rule(ingress=[{}]), "metadata": {"generateName": "P_"}}, SCHEMA, "metadata.generateName", "no object name"),
    "empty name": ({**rule(ingress=[{}]), "metadata": {"name": ""}}, SCHEMA, "metadata.name", "is missing"),
    "metadata label": ({**rule(ingress=[{}]), "metadata": {"name": "p", "labels": {"a b": "c"}}}, SCHEMA, "metadata.labels.a b", "is no label key"),
    "annotation": ({**rule(ingress=[{}]), "metadata": {"name": "p", "annotations": {"a": 1}}}, SCHEMA, "metadata.annotations.a", "must be a text"),
    "huge annotations": ({**rule(ingress=[{}]), "metadata": {"name": "p", "annotations": {"a": "x" * 300_000}}}, SCHEMA, "metadata.annotations", "more than"),
    "metadata field": ({**rule(ingress=[{}]), "metadata": {"name": "p", "lables": {}}}, SCHEMA, "metadata.lables", "write labels"),
    "number in kind": ({**rule(ingress=[{}]), "kind": 5}, SCHEMA, "kind", "is no kind"),
    "k8s: endPort without port": (k8s(egress=[{"ports": [{"endPort": 80}]}]), SCHEMA, "spec.egress[0].ports[0].endPort", "needs a port"),
    "k8s: two peers": (k8s(egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "namespaceSelector": {}}]}]), SCHEMA, "spec.egress[0].to[0]", "exclude"),
    "k8s: null peer": (k8s(ingress=[{"from": [None]}]), SCHEMA, f"{AT}.from[0]", "names no peer"),
    "k8s: key with a source": (k8s(podSelector={"matchLabels": {"k8s:app": "x"}}), SCHEMA, "spec.podSelector.matchLabels.k8s:app", "is no label key"),
    "k8s: port name in capitals": (k8s(ingress=[{"ports": [{"port": "HTTP"}]}]), SCHEMA, f"{AT}.ports[0].port", "no port name"),
    "k8s: toPorts": (k8s(ingress=[{"toPorts": []}]), SCHEMA, f"{AT}.toPorts", "write ports"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str) -> None:
    """What Kubernetes or Cilium refuse is an error at its path, at the stage that refuses it, with words that help."""
    manifest, stage, path, words = REFUSED[name]
    before = copy.deepcopy(manifest)
    errors = [problem for problem in validate(manifest) if problem.severity is Severity.ERROR]
    assert (path, stage) in [(problem.path, problem.stage) for problem in errors]
    assert words in "\n".join(map(str, errors))
    assert all(problem.fix for problem in errors)
    assert before == manifest


DOUBTFUL = {
    "echo reply": (ingress(icmps=[{"fields": [{"type": "EchoReply"}]}]), f"{AT}.icmps[0].fields[0].type", "every ICMP type"),
    "type 0": (ingress(icmps=[{"fields": [{"type": "0"}]}]), f"{AT}.icmps[0].fields[0].type", "every ICMP type"),
    "type 300": (ingress(icmps=[{"fields": [{"type": 300}]}]), f"{AT}.icmps[0].fields[0].type", "matches no ICMP"),
    "endPort below": (ingress(toPorts=[{"ports": [{"port": "80", "endPort": 79}]}]), f"{AT}.toPorts[0].ports[0].endPort", "is ignored"),
    "host expression": (l7(http=[{"host": "(a"}]), f"{AT}.toPorts[0].rules.http[0].host", "never matches"),
    "huge expression": (l7(http=[{"path": "(abc|def|ghi){1,40}"}]), f"{AT}.toPorts[0].rules.http[0].path", "Envoy refuses"),
    "other namespace": ({**HEAD, "spec": {"endpointSelector": {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "x"}}, "ingress": [{}]}}, "spec.endpointSelector.matchLabels.k8s:io.kubernetes.pod.namespace", "overwritten"),
    "null": (rule(ingress=None, egress=[{}]), "spec.ingress", "is null"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(DOUBTFUL))
def test_doubtful(name: str) -> None:
    """What is taken but does something else than it seems to is a warning."""
    manifest, path, words = DOUBTFUL[name]
    (problem,) = validate(manifest)
    assert (Severity.WARNING, path) == (problem.severity, problem.path)
    assert words in str(problem)


def test_own_namespace_is_no_problem() -> None:
    """A CNP may name its own namespace, and a clusterwide policy any."""
    subject = {"endpointSelector": {"matchLabels": {"io.kubernetes.pod.namespace": "shop"}}, "ingress": [{}]}
    clusterwide = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumClusterwideNetworkPolicy",
        "metadata": {"name": "p"},
    }
    assert [[], []] == [validate({**HEAD, "spec": subject}), validate({**clusterwide, "spec": subject})]


def test_pruned_fields_are_warnings() -> None:
    """With unknown fields pruned they are told, and what remains is judged without them."""
    manifest = ingress(fromEndpoints=[{}], toPort=[{"ports": [{"port": 80}]}])
    (problem,) = validate(manifest, unknown="prune")
    assert (Severity.WARNING, f"{AT}.toPort") == (problem.severity, problem.path)
    assert not is_accepted(validate(manifest))


def test_features_of_the_agent() -> None:
    """Node selectors and protocols without ports are taken where the agents run with their options."""
    nodes = ingress(fromNodes=[{"matchLabels": {"a": "b"}}])
    protocol = ingress(toPorts=[{"ports": [{"protocol": "VRRP"}]}])
    assert [False, False] == [is_accepted(validate(each)) for each in (nodes, protocol)]
    features = Features(node_selector_labels=True, extended_ip_protocols=True)
    assert [True, True] == [is_accepted(validate(each, features=features)) for each in (nodes, protocol)]


def test_policies_are_validated_as_their_manifests() -> None:
    """A policy value has the problems that its manifest has."""
    policy = Policy(
        Kind.CNP, "p", rules=(Rule(Selector(), ingress=(Entry(cidr=("x",), entities=("world",)),)),)
    )
    assert [f"{AT}.fromCIDR[0]", AT] == [problem.path for problem in validate(policy)]


def test_every_problem_is_told_once() -> None:
    """Problems come all at once, and what the API server says of a value the agent does not repeat."""
    manifest = rule(
        ingress=[{"fromCIDR": ["x"], "fromEntities": ["nobody"], "toPorts": [{"ports": [{"port": "a_"}]}]}],
        egress=[{"toFQDNs": [{}]}],
    )
    paths = [problem.path for problem in validate(manifest)]
    assert len(paths) == len(set(paths))
    assert {f"{AT}.fromCIDR[0]", f"{AT}.fromEntities[0]", AT, "spec.egress[0].toFQDNs[0]"} <= set(paths)


def test_hostile_manifests_are_answered() -> None:
    """A manifest of a hundred thousand mistakes has a bounded answer, and huge values are cut short in it."""
    problems = validate(rule(ingress=[{}], **{f"x{n}": 1 for n in range(100_000)}))
    assert (1001, "has more than 1000 problems") == (len(problems), problems[-1].message)
    (problem,) = validate(ingress(fromCIDR=["9" * 1_000_000]))
    assert len(str(problem)) < 500
