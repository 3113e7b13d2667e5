"""Manifests are decoded and encoded without loss, and what is not modelled is named."""

from typing import Any

import pytest
import yaml

from flowmine.errors import PolicyError
from flowmine.policy.codec import from_dict, from_yaml, to_dict, to_yaml, to_yaml_stream
from flowmine.policy.model import CidrGroup, Entry, Kind, Policy, PortProtocol, PortRule, Rule, Selector

WEB = Selector.of({"app": "web"})


def cnp(spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": spec,
        **more,
    }


EVERYTHING_THERE_IS = {
    "endpointSelector": {
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}],
    },
    "description": "all fields",
    "enableDefaultDeny": {"ingress": False, "egress": True},
    "ingress": [
        {
            "fromEndpoints": [{}, {"matchLabels": {"k8s:app": "fe"}}],
            "toPorts": [
                {
                    "ports": [{"port": "80", "endPort": 90, "protocol": "TCP"}, {"port": "http", "protocol": "TCP"}],
                    "rules": {
                        "http": [
                            {
                                "method": "GET",
                                "path": "/a",
                                "host": "x",
                                "headers": ["X: y"],
                                "headerMatches": [
                                    {"name": "n", "value": "v", "mismatch": "LOG", "secret": {"name": "s", "namespace": "t"}}
                                ],
                            },
                            {},
                        ]
                    },
                }
            ],
            "authentication": {"mode": "required"},
        },
        {"fromCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}, {"cidrGroupRef": "g"}]},
        {"fromCIDRSet": [{"cidrGroupSelector": {"matchLabels": {"a": "b"}}}], "icmps": [{"fields": [{"type": 8}, {"family": "IPv6", "type": "EchoRequest"}]}]},
        {"fromNodes": [{}], "fromGroups": [], "fromRequires": []},
        {"toPorts": [{"ports": [{"port": "9092", "protocol": "TCP"}], "rules": {"kafka": [{"role": "produce", "clientID": "c", "topic": "t"}]}}]},
        {"toPorts": [{"ports": [{"port": "1", "protocol": "TCP"}], "rules": {"l7proto": "x", "l7": [{"a": "b", "c": "d"}]}}]},
        {},
    ],
    "ingressDeny": [{"fromEntities": ["host", "world"], "toPorts": [{"ports": [{"port": "22"}]}]}],
    "egress": [
        {
            "toFQDNs": [{"matchName": "a.io"}, {"matchPattern": "*.b.io"}],
            "toPorts": [
                {
                    "ports": [{"port": "443", "protocol": "TCP"}],
                    "terminatingTLS": {"secret": {"name": "s"}, "trustedCA": "ca"},
                    "originatingTLS": {"secret": {"name": "s"}, "certificate": "c", "privateKey": "k"},
                    "serverNames": ["a.io", "b.io"],
                    "listener": {"envoyConfig": {"kind": "CiliumEnvoyConfig", "name": "e"}, "name": "l", "priority": 7},
                }
            ],
        },
        {"toServices": [{"k8sService": {"serviceName": "a", "namespace": "b"}}, {"k8sServiceSelector": {"selector": {}, "namespace": "n"}}]},
        {"toGroups": [{"aws": {"labels": {"k": "v"}, "region": "r", "securityGroupsIds": ["1"], "securityGroupsNames": ["n"]}}]},
        {"toPorts": [{"ports": [{"port": "53"}], "rules": {"dns": []}}]},
        {"toCIDR": []},
    ],
    "egressDeny": [{"toCIDR": ["1.1.1.1/32"]}, {"toPorts": []}, {"toPorts": [{}]}],
    "labels": [{"key": "k", "value": "v", "source": "s"}],
    "log": {"value": "x"},
}  # fmt: skip


def test_every_field_survives() -> None:
    """A manifest with every field there is comes back as it was, order of fields included."""
    manifest = cnp(EVERYTHING_THERE_IS)
    policy = from_dict(manifest)
    assert manifest == to_dict(policy)
    assert yaml.safe_load(to_yaml(policy)) == manifest
    assert (policy,) == from_yaml(to_yaml(policy))


def test_network_policies_survive() -> None:
    """A NetworkPolicy's selectors, blocks, ports and types come back as they were."""
    spec = {
        "podSelector": {"matchLabels": {"app": "web"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {},
            {
                "from": [
                    {"podSelector": {}},
                    {"namespaceSelector": {"matchLabels": {"a": "b"}}, "podSelector": {}},
                    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
                ],
                "ports": [{"protocol": "TCP", "port": 80, "endPort": 90}, {"port": "http"}],
            },
        ],
        "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}],
    }
    manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p"},
        "spec": spec,
    }
    policy = from_dict(manifest)
    encoded = to_dict(policy)
    assert policy == from_dict(encoded)
    assert spec["podSelector"] == encoded["spec"]["podSelector"]
    assert spec["egress"] == encoded["spec"]["egress"]
    assert sorted(map(str, spec["ingress"][1]["from"])) == sorted(
        map(str, encoded["spec"]["ingress"][1]["from"])
    )


def test_absent_fields_of_network_policies_are_empty() -> None:
    """In a NetworkPolicy an absent list, an empty one and an absent podSelector mean the same, and are equal."""
    head = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"}}
    specs = [{}, {"podSelector": {}}, {"podSelector": {}, "ingress": [], "egress": [], "policyTypes": []}]
    assert len({from_dict({**head, "spec": spec}) for spec in specs} | {from_dict(head)}) == 1


def test_null_items_of_network_policies_are_empty_items() -> None:
    """Kubernetes' own kinds take a null list item for an empty one: here, a rule that admits everything."""
    head = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"}}
    assert from_dict({**head, "spec": {"ingress": [None]}}) == from_dict({**head, "spec": {"ingress": [{}]}})


def test_spec_and_specs_are_one_list() -> None:
    """`spec` and the items of `specs` are the policy's rules; a single one is written as `spec`."""
    rule, other = {"endpointSelector": {}, "ingress": [{}]}, {"endpointSelector": {}, "egress": [{}]}
    both = from_dict(cnp(rule, specs=[other]))
    assert isinstance(both, Policy)
    assert [rule, other] == to_dict(both)["specs"]
    single = cnp(rule)
    single["specs"] = [single.pop("spec")]
    assert from_dict(single) == from_dict(cnp(rule))


def test_empty_specs_are_no_rules() -> None:
    """`specs: []` is a policy without rules, and comes back so; neither spec nor specs is none at all."""
    manifest = cnp({})
    manifest["specs"] = []
    del manifest["spec"]
    policy = from_dict(manifest)
    assert isinstance(policy, Policy)
    assert policy.rules == ()
    assert manifest == to_dict(policy)
    del manifest["specs"]
    with pytest.raises(PolicyError, match="neither spec nor specs"):
        from_dict(manifest)


def test_server_side_metadata_is_passed_over() -> None:
    """What the API server and kubectl put into metadata and status says nothing of a policy."""
    plain = cnp({"endpointSelector": {}, "ingress": [{}]})
    dumped = cnp({"endpointSelector": {}, "ingress": [{}]}, status={"conditions": [{"type": "Valid"}]})
    dumped["metadata"] |= {
        "uid": "1",
        "resourceVersion": "2",
        "generation": 1,
        "creationTimestamp": None,
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
    }
    assert from_dict(plain) == from_dict(dumped)


def test_all_unknown_fields_are_named_at_once() -> None:
    """Every field that is not modelled is named with its path and the nearest known field."""
    spec = {
        "endpointSelector": {"matchLabel": {"a": "b"}},
        "ingress": [{"fromEndpoint": [{}], "toPorts": [{"port": "80"}]}],
    }
    with pytest.raises(PolicyError) as caught:
        from_dict(cnp(spec, descriptoin="x"))
    message = str(caught.value)
    for part in (
        "spec.endpointSelector.matchLabel: unknown field 'matchLabel' (write matchLabels)",
        "spec.ingress[0].fromEndpoint: unknown field 'fromEndpoint' (write fromEndpoints)",
        "spec.ingress[0].toPorts[0].port: unknown field 'port'",
        "descriptoin: unknown field 'descriptoin'",
    ):
        assert part in message


def test_pruning_drops_what_the_api_server_drops() -> None:
    """With unknown fields pruned a rule means what the API server stores: here, every peer on every port."""
    spec = {
        "endpointSelector": {},
        "ingress": [{"fromEndpoints": [{}], "toPort": [{"ports": [{"port": "80"}]}], "x": None}],
    }
    policy = from_dict(cnp(spec), unknown="prune")
    assert isinstance(policy, Policy)
    assert (Entry(endpoints=(Selector(),)),) == policy.rules[0].ingress


def test_null_fields_are_absent_and_null_items_are_refused() -> None:
    """A null field is dropped, a null item of a list of a Cilium kind is an error."""
    policy = from_dict(cnp({"endpointSelector": {}, "ingress": None, "egress": [{"toEndpoints": None}]}))
    assert isinstance(policy, Policy)
    assert (None, (Entry(),)) == (policy.rules[0].ingress, policy.rules[0].egress)
    for unknown in ("error", "prune"):
        with pytest.raises(PolicyError, match=r"spec\.ingress\[0\]: must be an object"):
            from_dict(cnp({"endpointSelector": {}, "ingress": [None]}), unknown=unknown)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ([], "must be an object"),
        ({}, "kind None is no policy"),
        ({"kind": "CiliumNetworkPolicies"}, "did you mean CiliumNetworkPolicy"),
        ({"kind": "CiliumNetworkPolicy", "apiVersion": "cilium.io/v1"}, "write apiVersion: cilium.io/v2"),
        ({"kind": "CiliumNetworkPolicy", "apiVersion": "cilium.io/v2"}, "metadata: is missing"),
        (cnp({"endpointSelector": []}), "spec.endpointSelector: must be an object"),
        (
            cnp({"endpointSelector": {}, "ingress": [{"toPorts": [{"ports": [{"port": 80}]}]}]}),
            'write "80", in quotes',
        ),
        (cnp({"endpointSelector": {}, "enableDefaultDeny": {"ingress": "no"}}), "must be true or false"),
        (
            cnp({"endpointSelector": {}, "ingress": [{"icmps": [{"fields": [{"type": 8.5}]}]}]}),
            "integer or a text",
        ),
    ],
)
def test_what_is_no_policy_is_refused(manifest: Any, message: str) -> None:
    """An object of another kind or version, or with values of other types, is an error that says what to write."""
    with pytest.raises(PolicyError) as caught:
        from_dict(manifest)
    assert message in str(caught.value)


def test_whole_numbers_may_be_written_as_decimals() -> None:
    """`80.0` is the integer 80, as for the API server."""
    policies = {
        from_dict(
            cnp(
                {
                    "endpointSelector": {},
                    "ingress": [{"toPorts": [{"ports": [{"port": "1", "endPort": end}]}]}],
                }
            )
        )
        for end in (80, 80.0)
    }
    assert len(policies) == 1


def test_cidr_groups() -> None:
    """A CiliumCIDRGroup of either version is read, and written in v2."""
    for version in ("cilium.io/v2", "cilium.io/v2alpha1"):
        manifest = {
            "apiVersion": version,
            "kind": "CiliumCIDRGroup",
            "metadata": {"name": "g", "labels": {"a": "b"}},
            "spec": {"externalCIDRs": ["10.0.0.0/8", "9.0.0.0/8"]},
        }
        group = from_dict(manifest)
        assert CidrGroup("g", ("9.0.0.0/8", "10.0.0.0/8"), (("a", "b"),)) == group
        assert group == from_dict(to_dict(group))


def test_yaml_reads_as_people_write_it() -> None:
    """The YAML is in block style, in the order of fields that people use, with ports in quotes."""
    entry = Entry(
        endpoints=(WEB,), to_ports=(PortRule(ports=(PortProtocol("8080", "TCP"), PortProtocol("53", "UDP"))),)
    )
    rule = Rule(Selector.of({"k8s:app": "db", "on": "yes"}), ingress=(entry, Entry()), egress=())
    policy = Policy(Kind.CNP, "db", "shop", rules=(rule,))
    comments = {
        (): "Written from traffic.",
        ("spec", "ingress", 0): "seen 12 times\nlast today",
        ("spec", "ingress", 0, "toPorts", 0, "ports", 1): "the API",
    }
    assert to_yaml(policy, comments) == (
        "# Written from traffic.\n"
        "apiVersion: cilium.io/v2\n"
        "kind: CiliumNetworkPolicy\n"
        "metadata:\n"
        "  name: db\n"
        "  namespace: shop\n"
        "spec:\n"
        "  endpointSelector:\n"
        "    matchLabels:\n"
        "      k8s:app: db\n"
        '      "on": "yes"\n'
        "  ingress:\n"
        "  # seen 12 times\n"
        "  # last today\n"
        "  - fromEndpoints:\n"
        "    - matchLabels:\n"
        "        app: web\n"
        "    toPorts:\n"
        "    - ports:\n"
        '      - port: "53"\n'
        "        protocol: UDP\n"
        "      # the API\n"
        '      - port: "8080"\n'
        "        protocol: TCP\n"
        "  - {}\n"
        "  egress: []\n"
    )
    assert (policy,) == from_yaml(to_yaml(policy, comments))


def test_comments_cannot_break_out() -> None:
    """Whatever a comment says, it stays a comment."""
    policy = Policy(Kind.CNP, "p", rules=(Rule(WEB, ingress=(Entry(),)),))
    hostile = "a\nspec: {}\r\nb\x85c\u2028d\x00e\u202ef"
    text = to_yaml(policy, {("spec",): hostile, ("spec", "ingress", 0): hostile})
    assert (policy,) == from_yaml(text)


def test_streams_hold_several_policies() -> None:
    """A stream is documents with `---` between, each with its own comments."""
    policies = [Policy(Kind.CNP, name, rules=(Rule(WEB, ingress=(Entry(),)),)) for name in "ab"]
    text = to_yaml_stream(policies, {1: {(): "second"}})
    assert tuple(policies) == from_yaml(text)
    assert "---\n# second\napiVersion" in text
