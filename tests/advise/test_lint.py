"""Lint, rule by rule: what must be found, and what looks alike and must not be."""

from io import BytesIO
from textwrap import dedent, indent

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmine.advise.finding import Finding, Level
from flowmine.advise.lint import RULES, capture_of, lint
from flowmine.labels import canonical, endpoint_id
from flowmine.policy.files import Document, load
from flowmine.schema import EDGES, ENDPOINTS, NAMES


def cnp(spec: str, name: str = "p", namespace: str = "shop", kind: str = "CiliumNetworkPolicy") -> str:
    """A policy of Cilium's kinds with a spec, as YAML."""
    place = "" if kind.startswith("CiliumCluster") else f"  namespace: {namespace}\n"
    body = indent(dedent(spec).strip("\n"), "  ")
    return f"---\napiVersion: cilium.io/v2\nkind: {kind}\nmetadata:\n  name: {name}\n{place}spec:\n{body}\n"


def ccnp(spec: str, name: str = "p") -> str:
    return cnp(spec, name, kind="CiliumClusterwideNetworkPolicy")


def knp(spec: str, name: str = "p", namespace: str = "shop") -> str:
    """A Kubernetes NetworkPolicy with a spec, as YAML."""
    body = indent(dedent(spec).strip("\n"), "  ")
    head = f"---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: {name}\n"
    return f"{head}  namespace: {namespace}\nspec:\n{body}\n"


def findings(*texts: str, **options) -> list[Finding]:
    return lint(load("-", stdin=BytesIO("".join(texts).encode())).documents, **options)


def places(rule: str, *texts: str, **options) -> list[str]:
    """The paths at which one rule fires."""
    return [each.path for each in findings(*texts, **options) if each.rule == rule]


WEB = "endpointSelector: {matchLabels: {app: web}}\n"

FIRES = [
    # (rule, document, paths)
    ("invalid", cnp(WEB + "ingress: [{fromCIDR: [172.224.3/32]}]"), ["spec.ingress[0].fromCIDR[0]"]),
    (
        "invalid",
        cnp(WEB + "egress: [{toCIDR: [10.0.0.0/8], toPorts: [{ports: [{port: 443}]}]}]"),
        ["spec.egress[0].toPorts[0].ports[0].port"],
    ),
    (
        "split-ports",
        cnp(WEB + "egress:\n- toCIDRSet: [{cidr: 192.168.1.22/32}]\n- toPorts: [{ports: [{port: '443'}]}]"),
        ["spec.egress[1]"],
    ),
    (
        "split-ports",
        cnp(WEB + "egress:\n- toCIDRSet: [{cidr: 192.168.1.22/32}]\n- toPorts: [{ports: [{port: 443}]}]"),
        ["spec.egress[1]"],
    ),
    (
        "split-ports",
        cnp(WEB + "ingress:\n- toPorts: [{ports: [{port: '80', protocol: TCP}]}]\n- fromEndpoints: [{}]"),
        ["spec.ingress[0]"],
    ),
    ("empty-rule", cnp(WEB + "ingress: [{}, {fromEntities: [host]}]"), ["spec.ingress[0]"]),
    ("empty-rule", cnp(WEB + "ingressDeny: [{}]"), ["spec.ingressDeny[0]"]),
    ("empty-rule", cnp(WEB + "ingress: [{}]", name="allow-all"), ["spec.ingress[0]"]),
    ("empty-list", cnp(WEB + "ingress: [{fromEndpoints: []}]"), ["spec.ingress[0].fromEndpoints"]),
    (
        "empty-list",
        cnp(WEB + "egress: [{toFQDNs: [], toPorts: [{ports: [{port: '443', protocol: TCP}]}]}]"),
        ["spec.egress[0].toFQDNs"],
    ),
    ("empty-list", cnp(WEB + "ingress: [{fromEntities: [host], toPorts: []}]"), ["spec.ingress[0].toPorts"]),
    ("empty-list", cnp(WEB + "ingress: [{fromEntities: [host], toPorts: [{}]}]"), ["spec.ingress[0].toPorts[0]"]),
    (
        "empty-list",
        cnp(
            WEB + "ingress: [{fromEntities: [host], toPorts: [{ports: [{port: '80', protocol: TCP}],"
            " rules: {http: []}}]}]"
        ),
        ["spec.ingress[0].toPorts[0].rules.http"],
    ),
    ("open-isolation", cnp(WEB + "ingress: []\negress: [{toEntities: [world]}]"), ["spec.ingress"]),
    (
        "open-isolation",
        cnp(WEB + "enableDefaultDeny: {ingress: true}\negress: [{toEntities: [world]}]"),
        ["spec.enableDefaultDeny.ingress"],
    ),
    ("isolation", cnp(WEB + "ingress: [{}]"), ["spec.ingress[0]"]),
    ("isolation", knp("podSelector: {}\npolicyTypes: [Ingress]"), ["spec.policyTypes"]),
    (
        "port-protocol",
        cnp(WEB + "ingress: [{fromEntities: [host], toPorts: [{ports: [{port: '443'}]}]}]"),
        ["spec.ingress[0].toPorts[0].ports[0]"],
    ),
    (
        "port-range",
        cnp(WEB + "ingress: [{toPorts: [{ports: [{port: '443', endPort: 80, protocol: TCP}]}]}]"),
        ["spec.ingress[0].toPorts[0].ports[0].endPort"],
    ),
    ("icmp-type", cnp(WEB + "ingress: [{icmps: [{fields: [{type: 0}]}]}]"), ["spec.ingress[0].icmps[0].fields[0].type"]),
    (
        "icmp-type",
        cnp(WEB + "ingress: [{icmps: [{fields: [{type: 8}, {type: EchoReply}]}]}]"),
        ["spec.ingress[0].icmps[0].fields[1].type"],
    ),
    ("cidr-bits", cnp(WEB + "egress: [{toCIDR: [10.0.0.5/24]}]"), ["spec.egress[0].toCIDR[0]"]),
    ("cidr-bits", cnp(WEB + "egress: [{toCIDRSet: [{cidr: 'fd00::5/64'}]}]"), ["spec.egress[0].toCIDRSet[0].cidr"]),
    (
        "cidr-except",
        cnp(WEB + "egress: [{toCIDRSet: [{cidr: 10.0.0.0/24, except: [10.0.0.0/16]}]}]"),
        ["spec.egress[0].toCIDRSet[0].except[0]"],
    ),
    (
        "cidr-except",
        cnp(WEB + "egress: [{toCIDRSet: [{cidr: 10.0.0.0/24, except: [10.0.1.0/28]}]}]"),
        ["spec.egress[0].toCIDRSet[0].except[0]"],
    ),
    (
        "l7-regex",
        cnp(
            WEB + "ingress: [{toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{path: '/"
            + "a" * 200
            + "'}]}}]}]"
        ),
        ["spec.ingress[0].toPorts[0].rules.http[0].path"],
    ),
    (
        "l7-bypassed",
        cnp(
            WEB
            + "ingress:\n- fromEndpoints: [{}]\n"
            + "- fromEndpoints: [{matchLabels: {app: x}}]\n"
            + "  toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{path: /a}]}}]"
        ),
        ["spec.ingress[1].toPorts"],
    ),
    (
        "l7-bypassed",
        cnp(
            WEB
            + "egress:\n- toEntities: [cluster]\n  toPorts:\n"
            + "  - {ports: [{port: '53', protocol: UDP}], rules: {dns: [{matchName: a.example}]}}\n"
            + "  - {ports: [{port: '53', protocol: UDP}]}"
        ),
        ["spec.egress[0].toPorts"],
    ),
    ("fqdn-without-dns", cnp(WEB + "egress: [{toFQDNs: [{matchName: a.example}]}]"), ["spec.egress[0].toFQDNs"]),
    (
        "fqdn-without-dns",
        cnp(WEB + "egress: [{toFQDNs: [{matchName: a.example}]}]")
        + cnp(
            "endpointSelector: {matchLabels: {app: other}}\negress: [{toEntities: [cluster],"
            " toPorts: [{ports: [{port: '53'}], rules: {dns: [{matchPattern: '*'}]}}]}]",
            name="q",
        ),
        ["spec.egress[0].toFQDNs"],
    ),
    (
        "fqdn-without-dns",
        cnp(
            WEB + "egress:\n- toFQDNs: [{matchName: a.example}]\n- toEntities: [cluster]\n"
            "  toPorts: [{ports: [{port: '53'}], rules: {dns: [{matchName: b.example}]}}]"
        ),
        ["spec.egress[0].toFQDNs"],
    ),
    (
        "dns-without-tcp",
        cnp(
            WEB + "egress: [{toEntities: [cluster], toPorts: [{ports: [{port: '53', protocol: UDP}],"
            " rules: {dns: [{matchPattern: '*'}]}}]}]"
        ),
        ["spec.egress[0].toPorts"],
    ),
    ("dns-without-tcp", knp("podSelector: {}\negress: [{ports: [{port: 53, protocol: UDP}]}]"), ["spec.egress[0].ports"]),
    (
        "ingress-without-egress",
        cnp(WEB + "ingress: [{fromEndpoints: [{matchLabels: {app: client}}]}]")
        + cnp("endpointSelector: {matchLabels: {app: client}}\negress: [{toEntities: [world]}]", name="q"),
        ["spec.ingress[0]"],
    ),
    (
        "egress-without-ingress",
        cnp("endpointSelector: {matchLabels: {app: client}}\negress: [{toEndpoints: [{matchLabels: {app: web}}]}]")
        + cnp(WEB + "ingress: [{fromEndpoints: [{matchLabels: {app: other}}]}]", name="q"),
        ["spec.egress[0]"],
    ),
    (
        "deny-shadows-allow",
        cnp(WEB + "egress: [{toCIDR: [10.1.2.3/32]}]\negressDeny: [{toCIDR: [10.0.0.0/8]}]"),
        ["spec.egress[0]"],
    ),
    (
        "deny-shadows-allow",
        cnp(WEB + "ingress: [{fromEndpoints: [{matchLabels: {app: x, tier: back}}], toPorts: [{ports: [{port: '80', protocol: TCP}]}]}]")
        + ccnp("endpointSelector: {}\ningressDeny: [{fromEndpoints: [{matchLabels: {app: x}}]}]", name="q"),
        ["spec.ingress[0]"],
    ),
    (
        "duplicate",
        cnp(WEB + "ingress:\n- fromEndpoints: [{matchLabels: {app: x}}]\n- fromEndpoints: [{matchExpressions: [{key: app, operator: In, values: [x]}]}]"),
        ["spec.ingress[1]"],
    ),
    (
        "duplicate",
        cnp(WEB + "ingress: [{fromEntities: [world]}]") + cnp(WEB + "ingress: [{fromEntities: [world]}]", name="q"),
        ["spec.ingress[0]"],
    ),
    ("same-name", cnp(WEB + "ingress: [{}]") + cnp(WEB + "egress: [{}]"), ["metadata.name"]),
    ("host-selector", ccnp("endpointSelector: {matchLabels: {'reserved:host': ''}}\ningress: [{}]"), ["spec.endpointSelector"]),
    ("host-selector", ccnp("endpointSelector: {matchExpressions: [{key: reserved.host, operator: Exists}]}\ningress: [{}]"), ["spec.endpointSelector"]),
    ("selects-nothing", cnp("endpointSelector: {matchLabels: {'reserved:init': ''}}\ningress: [{}]"), ["spec.endpointSelector"]),
    ("selects-nothing", ccnp("endpointSelector: {matchLabels: {'reserved:world': ''}}\ningress: [{}]"), ["spec.endpointSelector"]),
    (
        "selects-nothing",
        cnp("endpointSelector: {matchLabels: {app: x}, matchExpressions: [{key: app, operator: NotIn, values: [x]}]}\ningress: [{}]"),
        ["spec.endpointSelector"],
    ),
    (
        "selects-nothing",
        cnp("endpointSelector: {matchExpressions: [{key: io.kubernetes.pod.namespace, operator: In, values: [other]}]}\ningress: [{}]"),
        ["spec.endpointSelector.matchExpressions"],
    ),
    (
        "other-namespace",
        cnp("endpointSelector: {matchLabels: {io.kubernetes.pod.namespace: other}}\ningress: [{}]"),
        ["spec.endpointSelector.matchLabels.io.kubernetes.pod.namespace"],
    ),
    (
        "unstable-label",
        cnp("endpointSelector: {matchLabels: {app: x, statefulset.kubernetes.io/pod-name: x-0}}\ningress: [{}]"),
        ["spec.endpointSelector"],
    ),
    (
        "unstable-label",
        cnp(WEB + "ingress: [{fromEndpoints: [{matchLabels: {app: a}}, {matchLabels: {'k8s:pod-template-hash': abc}}]}]"),
        ["spec.ingress[0].fromEndpoints[1]"],
    ),
    (
        "unstable-label",
        cnp(WEB + "ingress: [{fromEndpoints: [{matchLabels: {kubernetes.io/metadata.name: a}}]}]"),
        ["spec.ingress[0].fromEndpoints[0]"],
    ),
    (
        "infrastructure",
        cnp("endpointSelector: {matchLabels: {k8s-app: kube-dns}}\ningress: [{fromEntities: [cluster]}]", namespace="kube-system"),
        ["spec.endpointSelector"],
    ),
    ("infrastructure", ccnp("endpointSelector: {}\negress: [{toEntities: [cluster]}]"), ["spec.endpointSelector"]),
    ("infrastructure", knp("podSelector: {}\npolicyTypes: [Ingress]", namespace="kube-system"), ["spec.podSelector"]),
    (
        "infrastructure",
        cnp("endpointSelector: {matchLabels: {k8s-app: cilium}}\ningress: [{}]", namespace="kube-system"),
        ["spec.endpointSelector"],
    ),
    (
        "ipblock-ingress",
        knp("podSelector: {}\ningress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]"),
        ["spec.ingress[0].from[0].ipBlock"],
    ),
    ("policy-types", knp("podSelector: {}\npolicyTypes: [Ingress]\ningress: [{}]\negress: [{}]"), ["spec.egress"]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "expected"), FIRES)
def test_a_rule_finds_what_it_is_for(rule: str, text: str, expected: list[str]) -> None:
    """Each slip is found, at its place."""
    assert expected == places(rule, text)


DNS = "toEntities: [cluster]\n  toPorts: [{ports: [{port: '53', protocol: ANY}], rules: {dns: [{matchPattern: '*'}]}}]"

SILENT = [
    ("invalid", cnp(WEB + "ingress: [{fromCIDR: [172.224.3.0/32]}]")),
    ("split-ports", cnp(WEB + "egress: [{toCIDR: [192.168.1.22/32], toPorts: [{ports: [{port: '443'}]}]}]")),
    ("split-ports", cnp(WEB + "ingress: [{toPorts: [{ports: [{port: '443', protocol: TCP}]}]}]")),
    (
        "split-ports",
        cnp(WEB + "egress:\n- toCIDR: [10.0.0.0/8]\n- toEntities: [all]\n  toPorts: [{ports: [{port: '443'}]}]"),
    ),
    (
        "split-ports",
        cnp(
            WEB + "ingress:\n- fromEndpoints: [{}]\n  toPorts: [{ports: [{port: '80'}]}]\n- toPorts: [{ports: [{port: '443'}]}]"
        ),
    ),
    (
        "split-ports",
        ccnp(
            "nodeSelector: {}\ningress:\n- fromEntities: [remote-node, health]\n"
            "- toPorts: [{ports: [{port: '22', protocol: TCP}]}]"
        ),
    ),
    ("split-ports", cnp(WEB + "ingressDeny:\n- fromEntities: [world]\n- toPorts: [{ports: [{port: '22'}]}]")),
    ("empty-rule", cnp(WEB + "ingress: [{}]")),
    ("empty-rule", cnp(WEB + "ingress: [{}]\negress: [{}]", name="deny-all")),
    ("empty-rule", knp("podSelector: {}\ningress: [{}]", name="allow-all")),
    ("empty-list", cnp(WEB + "ingress: [{fromEndpoints: [{}], toPorts: [{ports: [{port: '80'}]}]}]")),
    (
        "empty-list",
        cnp(WEB + "ingress: [{toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{}]}}]}]"),
    ),
    ("open-isolation", cnp(WEB + "ingress: [{}]\negress: [{toEntities: [world]}]")),
    ("open-isolation", cnp(WEB + "enableDefaultDeny: {egress: false}\negress: [{toEntities: [world]}]")),
    ("open-isolation", cnp(WEB + "ingress: []\ningressDeny: [{fromEntities: [world]}]")),
    ("open-isolation", knp("podSelector: {}\npolicyTypes: [Ingress]\ningress: []")),
    (
        "isolation",
        cnp("endpointSelector: {}\ningress: [{}]") + cnp(WEB + "ingress: [{fromEndpoints: [{}]}]", name="q"),
    ),
    ("isolation", cnp(WEB + "ingress: [{fromEntities: [host]}]")),
    ("port-protocol", cnp(WEB + "ingress: [{toPorts: [{ports: [{port: '443', protocol: ANY}]}]}]")),
    ("port-protocol", cnp(WEB + "ingressDeny: [{toPorts: [{ports: [{port: '443'}]}]}]")),
    ("port-protocol", knp("podSelector: {}\ningress: [{ports: [{port: 443}]}]")),
    ("port-range", cnp(WEB + "ingress: [{toPorts: [{ports: [{port: '80', endPort: 90, protocol: TCP}]}]}]")),
    ("icmp-type", cnp(WEB + "ingress: [{icmps: [{fields: [{type: 8}, {type: EchoReply, family: IPv6}]}]}]")),
    ("cidr-bits", cnp(WEB + "egress: [{toCIDR: [10.0.0.0/24, 10.0.0.5/32, 'fd00:0::/64', '::/0']}]")),
    (
        "cidr-except",
        cnp(WEB + "egress: [{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.0.0/16]}]}]"),
    ),
    (
        "l7-regex",
        cnp(
            WEB
            + "ingress: [{toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{path: '^/"
            + "a" * 200
            + "$'}]}}]}]"
        ),
    ),
    (
        "l7-bypassed",
        cnp(
            WEB
            + "ingress:\n- fromEndpoints: [{matchLabels: {app: y}}]\n"
            + "- fromEndpoints: [{matchLabels: {app: x}}]\n"
            + "  toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{path: /a}]}}]"
        ),
    ),
    (
        "l7-bypassed",
        cnp(
            WEB
            + "ingress:\n- fromEndpoints: [{matchLabels: {app: x}}]\n"
            + "  toPorts:\n  - {ports: [{port: '80', protocol: TCP}], rules: {http: [{path: /a}]}}\n"
            + "  - {ports: [{port: '81', protocol: TCP}]}"
        ),
    ),
    (
        "l7-bypassed",  # a rule of whole peers does not widen DNS
        cnp(
            WEB
            + "egress:\n- toEntities: [cluster]\n- toEntities: [cluster]\n  toPorts:\n"
            + "  - {ports: [{port: '53', protocol: UDP}], rules: {dns: [{matchName: a.example}]}}"
        ),
    ),
    ("fqdn-without-dns", cnp(WEB + f"egress:\n- toFQDNs: [{{matchName: a.example}}]\n- {DNS}")),
    (
        "fqdn-without-dns",
        cnp(WEB + "egress: [{toFQDNs: [{matchPattern: '*.example.com'}]}]")
        + ccnp(f"endpointSelector: {{}}\negress:\n- {DNS}", name="q"),
    ),
    (
        "fqdn-without-dns",  # both may select one pod: nothing is certain
        cnp(WEB + "egress: [{toFQDNs: [{matchName: a.example}]}]")
        + cnp(f"endpointSelector: {{matchLabels: {{tier: front}}}}\negress:\n- {DNS}", name="q"),
    ),
    (
        "fqdn-without-dns",
        cnp(
            WEB
            + "egress:\n- toFQDNs: [{matchPattern: '*.example.com'}]\n- toEntities: [cluster]\n"
            + "  toPorts: [{ports: [{port: '53'}], rules: {dns: [{matchPattern: '*.com'}]}}]"
        ),
    ),
    ("dns-without-tcp", cnp(WEB + f"egress:\n- {DNS}")),
    (
        "dns-without-tcp",
        cnp(
            WEB
            + "egress:\n- toEntities: [cluster]\n"
            + "  toPorts: [{ports: [{port: '53', protocol: UDP}, {port: '53', protocol: TCP}]}]"
        ),
    ),
    (
        "dns-without-tcp",
        cnp(
            WEB
            + "egress:\n- toEndpoints: [{matchLabels: {k8s-app: dns}}]\n  toPorts: [{ports: [{port: '53', protocol: UDP}]}]\n"
            + "- toEndpoints: [{}]"
        ),
    ),
    ("dns-without-tcp", cnp(WEB + "ingress: [{toPorts: [{ports: [{port: '53', protocol: UDP}]}]}]")),
    ("dns-without-tcp", cnp(WEB + "egress: [{toPorts: [{ports: [{port: '123', protocol: UDP}]}]}]")),
    ("ingress-without-egress", cnp(WEB + "ingress: [{fromEndpoints: [{matchLabels: {app: client}}]}]")),
    (
        "ingress-without-egress",
        cnp(WEB + "ingress: [{fromEndpoints: [{matchLabels: {app: client}}]}]")
        + cnp(
            "endpointSelector: {matchLabels: {app: client}}\negress: [{toEndpoints: [{matchLabels: {app: web}}]}]",
            name="q",
        ),
    ),
    (
        "ingress-without-egress",  # the client may have other labels, by which its egress is open
        cnp(WEB + "ingress: [{fromEndpoints: [{matchLabels: {role: client}}]}]")
        + cnp("endpointSelector: {}\negress: [{}]", name="q")
        + cnp(
            "endpointSelector: {matchLabels: {app: cart}}\negress: [{toEndpoints: [{matchLabels: {app: web}}]}]",
            name="r",
        ),
    ),
    ("ingress-without-egress", cnp(WEB + "ingress: [{fromEntities: [world]}]")),
    (
        "egress-without-ingress",
        cnp(
            "endpointSelector: {matchLabels: {app: client}}\negress: [{toEndpoints: [{matchLabels: {app: web}}]}]"
        )
        + cnp(WEB + "ingress: [{fromEndpoints: [{}]}]", name="q"),
    ),
    (
        "deny-shadows-allow",
        cnp(WEB + "egress: [{toCIDR: [10.0.0.0/8]}]\negressDeny: [{toCIDR: [10.1.0.0/16]}]"),
    ),
    (
        "deny-shadows-allow",
        cnp(WEB + "egress: [{toCIDR: [10.1.2.3/32]}]\negressDeny: [{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.2.0/24]}]}]"),
    ),
    (
        "deny-shadows-allow",
        cnp(
            WEB
            + "ingress: [{fromEntities: [world], toPorts: [{ports: [{port: '80', protocol: TCP}]}]}]\n"
            + "ingressDeny: [{fromEntities: [world], toPorts: [{ports: [{port: '80', protocol: UDP}]}]}]"
        ),
    ),
    (
        "deny-shadows-allow",
        cnp(WEB + "ingress: [{fromEntities: [world]}]")
        + cnp("endpointSelector: {matchLabels: {app: other}}\ningressDeny: [{fromEntities: [world]}]", name="q"),
    ),
    ("duplicate", cnp(WEB + "ingress: [{fromEntities: [world]}, {fromEntities: [host]}]")),
    (
        "duplicate",
        cnp(WEB + "ingress: [{fromEntities: [world]}]")
        + cnp(WEB + "ingress: [{fromEntities: [world]}]", name="q", namespace="other"),
    ),
    ("duplicate", cnp(WEB + "ingress: [{}]\negress: [{}]") + cnp(WEB + "ingress: [{}]", name="q")),
    ("same-name", cnp(WEB + "ingress: [{}]") + cnp(WEB + "ingress: [{}]", namespace="other")),
    ("same-name", cnp(WEB + "ingress: [{}]") + knp("podSelector: {}")),
    ("host-selector", ccnp("nodeSelector: {}\ningress: [{fromEntities: [cluster]}]")),
    ("host-selector", ccnp("endpointSelector: {}\ningress: [{fromEndpoints: [{matchLabels: {'reserved:host': ''}}]}]")),
    ("selects-nothing", ccnp("endpointSelector: {matchLabels: {'reserved:init': ''}}\ningress: [{}]")),
    ("selects-nothing", ccnp("endpointSelector: {matchLabels: {'reserved:health': ''}}\ningress: [{}]")),
    (
        "selects-nothing",
        cnp("endpointSelector: {matchExpressions: [{key: app, operator: In, values: [a, b]}, {key: app, operator: NotIn, values: [b]}]}\ningress: [{}]"),
    ),
    (
        "selects-nothing",
        cnp("endpointSelector: {matchExpressions: [{key: io.kubernetes.pod.namespace, operator: Exists}]}\ningress: [{}]"),
    ),
    ("other-namespace", cnp("endpointSelector: {matchLabels: {io.kubernetes.pod.namespace: shop}}\ningress: [{}]")),
    (
        "unstable-label",
        cnp(
            "endpointSelector: {matchLabels: {app.kubernetes.io/name: x, version: v1, job: y}}\n"
            "ingress: [{fromEndpoints: [{matchLabels: {io.kubernetes.pod.namespace: a}}, {matchLabels: {'reserved:ingress': ''}}]}]"
        ),
    ),
    ("infrastructure", cnp("endpointSelector: {matchLabels: {k8s-app: kube-dns}}\ningress: [{}]")),
    ("infrastructure", cnp("endpointSelector: {}\ningress: [{fromEndpoints: [{}]}]")),
    (
        "infrastructure",
        ccnp(
            "endpointSelector: {matchExpressions: [{key: io.kubernetes.pod.namespace, operator: NotIn, values: [kube-system]}]}\n"
            "egress: [{toEntities: [cluster]}]"
        ),
    ),
    ("infrastructure", ccnp("endpointSelector: {}\nenableDefaultDeny: {egress: false}\negress: [{toEntities: [cluster]}]")),
    ("infrastructure", ccnp("endpointSelector: {}\ningress: [{fromEntities: [all]}]")),
    (
        "infrastructure",
        ccnp("endpointSelector: {}\negress: [{toEntities: [cluster]}]")
        + cnp("endpointSelector: {}\negress: [{toEntities: [world]}]", name="q", namespace="kube-system"),
    ),
    ("infrastructure", ccnp("nodeSelector: {}\ningress: [{fromEntities: [cluster]}]")),
    ("infrastructure", cnp(WEB + "egress: [{toEndpoints: [{matchLabels: {k8s-app: kube-dns}}]}]", namespace="kube-system")),
    ("ipblock-ingress", knp("podSelector: {}\negress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]")),
    ("policy-types", knp("podSelector: {}\ningress: [{}]\negress: [{}]")),
    ("policy-types", knp("podSelector: {}\npolicyTypes: [Ingress, Egress]\ningress: [{}]\negress: [{}]")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text"), SILENT)
def test_a_rule_is_silent_where_all_is_well(rule: str, text: str) -> None:
    """What looks like a slip and is none is not found."""
    assert [] == places(rule, text)


def test_every_rule_has_cases_that_fire_and_that_do_not() -> None:
    """No rule is without both kinds of case, the rules of captures apart, which follow below."""
    with_traffic = {"absent-label", "few-addresses", "doubtful"}
    known = {rule.id for rule in RULES} - with_traffic
    assert known == {rule for rule, _, _ in FIRES}
    assert known == {rule for rule, _ in SILENT}


def test_rules_lifted_on_one_protocol_are_told_with_it() -> None:
    """Port 53 of any protocol, its rules lifted over UDP alone, keeps them over TCP."""
    text = cnp(
        WEB
        + "egress:\n- toEntities: [cluster]\n"
        + "  toPorts: [{ports: [{port: '53', protocol: ANY}], rules: {dns: [{matchName: a.example}]}}]\n"
        + "- toPorts: [{ports: [{port: '53', protocol: UDP}]}]"
    )
    (found,) = [each for each in findings(text) if each.rule == "l7-bypassed"]
    assert "its DNS rules have no effect on 53/UDP: spec.egress[1] admits" in found.message


POD_ENDS = [
    ("shop", ["k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop"]),
    ("shop", ["k8s:app=cart", "k8s:tier=front", "k8s:io.kubernetes.pod.namespace=shop"]),
    ("monitoring", ["k8s:app=prometheus", "k8s:io.kubernetes.pod.namespace=monitoring"]),
    ("", ["reserved:world"]),
]


def capture(*edges: dict, names: dict[str, str] | None = None):
    """A capture of four endpoints and delivered edges between them."""
    made = [canonical(cluster_name="default", namespace=where, labels=labels) for where, labels in POD_ENDS]
    rows = [
        {
            "id": endpoint_id(each),
            "cluster_name": "default",
            "namespace": each.namespace,
            "labels": list(each.labels),
            "reserved": list(each.reserved),
            "pod": "",
            "identities": [],
            "workload_kind": "",
            "workload_name": "",
            "workloads": 0,
            "pods": [],
        }
        for each in made
    ]
    ids = {labels[0]: endpoint_id(each) for (_, labels), each in zip(POD_ENDS, made, strict=True)}
    full = [
        dict.fromkeys(EDGES.names)
        | {"outcome": "delivered", "changed": False, "protocol": "TCP"}
        | edge
        | {end: ids[edge[end]] for end in ("initiator", "responder")}
        for edge in edges
    ]
    called = [{"subject": 0, "ip": ip, "name": name, "source": "dns"} for ip, name in (names or {}).items()]
    return capture_of(
        pa.Table.from_pylist(rows, schema=ENDPOINTS),
        pa.Table.from_pylist(full, schema=EDGES),
        pa.Table.from_pylist(called, schema=NAMES),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (cnp("endpointSelector: {matchLabels: {app: wbe}}\ningress: [{}]"), [("spec.endpointSelector", "did you mean web?")]),
        (cnp("endpointSelector: {matchLabels: {ap: web}}\ningress: [{}]"), [("spec.endpointSelector", "did you mean app?")]),
        (
            cnp(WEB + "ingress: [{fromEndpoints: [{matchLabels: {app: cart, tier: back}}]}]"),
            [("spec.ingress[0].fromEndpoints[0]", "seen: front")],
        ),
        (
            cnp(WEB + "ingress: [{fromEndpoints: [{matchLabels: {app: web, tier: front}}]}]"),
            [("spec.ingress[0].fromEndpoints[0]", "correct the labels")],
        ),
        (
            cnp(WEB + "ingress: [{fromEndpoints: [{matchLabels: {io.kubernetes.pod.namespace: monitorin}}]}]"),
            [("spec.ingress[0].fromEndpoints[0]", "did you mean monitoring?")],
        ),
        (
            cnp(WEB + "ingress: [{fromEndpoints: [{matchLabels: {app: prometheus}}]}]"),
            [("spec.ingress[0].fromEndpoints[0]", "correct the labels")],
        ),
        (knp("podSelector: {matchLabels: {app: wbe}}"), [("spec.podSelector", "did you mean web?")]),
    ],
)  # fmt: skip
def test_labels_that_nothing_in_the_capture_has_are_told(text: str, expected: list[tuple[str, str]]) -> None:
    """A selector that holds for no endpoint seen is told with the nearest label there is."""
    found = [each for each in findings(text, capture=capture()) if each.rule == "absent-label"]
    assert [path for path, _ in expected] == [each.path for each in found]
    for (_, hint), each in zip(expected, found, strict=True):
        assert hint in each.fix


@pytest.mark.parametrize(
    "text",
    [
        cnp(WEB + "ingress: [{fromEndpoints: [{matchLabels: {app: cart}}]}]"),
        cnp(
            WEB
            + "ingress: [{fromEndpoints: [{matchLabels: {io.kubernetes.pod.namespace: monitoring, 'k8s:app': prometheus}}]}]"
        ),
        cnp(WEB + "ingress: [{fromEndpoints: [{matchExpressions: [{key: role, operator: DoesNotExist}]}]}]"),
        cnp(WEB + "egress: [{toEndpoints: [{matchLabels: {'reserved:ingress': ''}}]}]"),
        knp(
            "podSelector: {matchLabels: {app: web}}\n"
            "ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: prometheus}}}]}]"
        ),
    ],
)
def test_labels_that_occur_are_not_told(text: str) -> None:
    """Selectors that hold for an endpoint of the capture are fine, whatever else they do not ask for."""
    assert [] == places("absent-label", text, capture=capture())


def test_a_namespace_that_the_capture_did_not_see_is_only_a_note() -> None:
    """A capture of one namespace says little of the others' policies."""
    text = cnp(WEB + "ingress: [{}]", namespace="payments")
    found = [each for each in findings(text, capture=capture()) if each.rule == "absent-label"]
    assert [("spec.endpointSelector", Level.NOTE)] == [(each.path, each.level) for each in found]


def test_without_a_capture_no_label_is_absent() -> None:
    """Rules of captures say nothing without one."""
    text = cnp("endpointSelector: {matchLabels: {app: wbe}}\negress: [{toEntities: [world]}]")
    assert [] == places("absent-label", text) + places("few-addresses", text)


WORLD_EGRESS = cnp(
    WEB + "egress: [{toEntities: [world], toPorts: [{ports: [{port: '443', protocol: TCP}]}]}]"
)


def to_world(*addresses: str, port: int = 443, initiator: str = "k8s:app=web") -> list[dict]:
    return [
        {"initiator": initiator, "responder": "reserved:world", "responder_ip": each, "port": port}
        for each in addresses
    ]


def test_the_world_of_three_addresses_is_told_with_their_names() -> None:
    """A rule of the world whose traffic went to three addresses names them."""
    seen = capture(
        *to_world("198.51.100.1", "198.51.100.2", "198.51.100.3"), names={"198.51.100.2": "a.example"}
    )
    (found,) = [each for each in findings(WORLD_EGRESS, capture=seen) if each.rule == "few-addresses"]
    assert "3 addresses: 198.51.100.1, 198.51.100.2 (a.example), 198.51.100.3" in found.message
    assert "toFQDNs" in found.fix


@pytest.mark.parametrize(
    "edges",
    [
        to_world(*(f"198.51.100.{number}" for number in range(4))),
        [],
        to_world("198.51.100.1", port=80),
        to_world("198.51.100.1", initiator="k8s:app=cart"),
        [edge | {"outcome": "dropped"} for edge in to_world("198.51.100.1")],
    ],
)
def test_the_world_is_not_told_without_reason(edges: list[dict]) -> None:
    """More than three addresses, none at all, another port, another pod or refused traffic tell nothing."""
    assert [] == places("few-addresses", WORLD_EGRESS, capture=capture(*edges))


def test_the_world_as_a_block_is_told_too() -> None:
    """0.0.0.0/0 is the world by another name; a block with exceptions is a choice."""
    seen = capture(*to_world("198.51.100.1"))
    block = cnp(WEB + "egress: [{toCIDR: [0.0.0.0/0]}]")
    carved = cnp(WEB + "egress: [{toCIDRSet: [{cidr: 0.0.0.0/0, except: [10.0.0.0/8]}]}]")
    assert ["spec.egress[0]"] == places("few-addresses", block, capture=seen)
    assert [] == places("few-addresses", carved, capture=seen)


def test_specs_and_lists_keep_their_paths() -> None:
    """A policy with spec and specs, in a List object, is told at the paths that the file has."""
    text = dedent(
        """
        apiVersion: v1
        kind: List
        items:
        - apiVersion: cilium.io/v2
          kind: CiliumNetworkPolicy
          metadata: {name: p, namespace: shop}
          spec:
            endpointSelector: {}
            ingress: [{fromEndpoints: [{}]}]
          specs:
          - endpointSelector: {}
            ingress: [{fromEndpoints: [{}]}]
        """
    )
    (found,) = [each for each in findings(text) if each.rule == "duplicate"]
    assert ("items[0].specs[0].ingress[0]", "stdin:1:items[0].specs[0].ingress[0]") == (
        found.path,
        found.where,
    )


def test_only_the_chosen_rules_run() -> None:
    """Rules can be chosen by id; one that does not exist is a mistake."""
    text = cnp(WEB + "ingress: [{toPorts: [{ports: [{port: '443'}]}]}, {}]")
    assert {"empty-rule"} == {each.rule for each in findings(text, rules=["empty-rule"])}
    with pytest.raises(KeyError):
        findings(text, rules=["no-such-rule"])


def test_documents_that_are_no_policies_are_told_and_do_no_harm() -> None:
    """A document without a kind, or of odd types, is one finding, and the others are still looked at."""
    texts = [
        "---\nmetadata: {name: x}\nspec: {}\n",
        "---\n- 1\n",
        cnp("endpointSelector: 5"),
        cnp(WEB + "ingress: [{}, {fromEntities: [host]}]", name="q"),
    ]
    found = findings(*texts)
    assert {"invalid", "empty-rule"} <= {each.rule for each in found}
    assert 1 == sum(each.rule == "empty-rule" for each in found)


def test_the_order_of_documents_changes_no_finding_but_places() -> None:
    """The same set in another order has the same findings, but for which of two equal rules is the second."""
    one, other = (
        cnp(WEB + "ingress: [{toPorts: [{ports: [{port: '443'}]}]}]"),
        ccnp("endpointSelector: {}\negress: [{}]", name="q"),
    )
    told = [
        [(each.rule, each.policy, each.path, each.message) for each in findings(*texts)]
        for texts in ((one, other), (other, one))
    ]
    assert sorted(told[0]) == sorted(told[1])


_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 70000), st.text(max_size=12), st.sampled_from(["10.0.0.0/8", "53", "*"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["matchLabels", "app", "ingress", "egress", "toPorts", "ports", "port", "fromEndpoints", "toFQDNs", "rules", "http", "dns", "from", "ipBlock", "matchExpressions", "key"]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    _VALUES,
    st.sampled_from(["CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "NetworkPolicy"]),
    st.data(),
)
def test_no_manifest_crashes_lint(value: object, kind: str, data: st.DataObject) -> None:
    """Whatever stands in a manifest, lint has findings and no traceback."""
    version = "networking.k8s.io/v1" if kind == "NetworkPolicy" else "cilium.io/v2"
    place = data.draw(
        st.sampled_from(["ingress", "egress", "endpointSelector", "podSelector", "ingressDeny"])
    )
    spec = {"endpointSelector": {}, "ingress": [{}]} if kind != "NetworkPolicy" else {"podSelector": {}}
    manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": "p"}, "spec": spec | {place: value}}
    assert isinstance(lint([Document("f", 1, 1, manifest), Document("f", 2, 1, value)], capture()), list)
