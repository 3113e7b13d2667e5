"""What must hold of the engine for every policy set and every connection."""

from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine import PolicySet, schema
from flowmine.engine.config import Config, Enforcement
from flowmine.engine.entries import CidrAtom, LabelAtom, LoweredEntry, Protocols, protocols_of
from flowmine.engine.index import LOCALHOST
from flowmine.engine.l7 import names
from flowmine.engine.party import Identity, Party, resolve
from flowmine.policy.model import Direction

APPS, NAMESPACES, PORTS = ("web", "db"), ("shop", "bank"), (53, 80, 443, 8080)
ADDRESSES = ("10.1.2.3", "10.1.9.9", "192.0.2.7", "2001:db8::1")
PREFIXES = ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "0.0.0.0/0", "2001:db8::/32")
NAMES = ("api.example.com", "www.example.org")

Manifest = dict[str, Any]


def selectors() -> st.SearchStrategy[Manifest]:
    """Selectors of pods: everything, by app, by an expression, across namespaces."""
    expression = st.builds(
        lambda operator, values: {
            "key": "app",
            "operator": operator,
            **({"values": values} if operator in ("In", "NotIn") else {}),
        },
        st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
        st.lists(st.sampled_from(APPS), min_size=1, max_size=2, unique=True),
    )
    by_namespace = st.fixed_dictionaries(
        {"io.kubernetes.pod.namespace": st.sampled_from(NAMESPACES)}, optional={"app": st.sampled_from(APPS)}
    )
    return st.one_of(
        st.just({}),
        st.just({}),
        st.builds(lambda app: {"matchLabels": {"app": app}}, st.sampled_from(APPS)),
        st.builds(lambda one: {"matchExpressions": [one]}, expression),
        st.builds(lambda labels: {"matchLabels": labels}, by_namespace),
    )


def peers(side: str) -> st.SearchStrategy[Manifest]:
    """The peer part of an entry: one kind, or none at all; `side` is From or To."""
    kinds = {
        "Endpoints": st.lists(selectors(), max_size=2),
        "Entities": st.lists(
            st.sampled_from(["world", "host", "cluster", "all", "none"]), max_size=2, unique=True
        ),
        "CIDR": st.lists(st.sampled_from(PREFIXES), max_size=2, unique=True),
        "CIDRSet": st.just([{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}]),
    }
    if side == "to":
        kinds["FQDNs"] = st.just([{"matchName": NAMES[0]}, {"matchPattern": "*.example.org"}])
    return st.one_of(
        st.just({}), *(st.fixed_dictionaries({side + kind: made}) for kind, made in kinds.items())
    )


def ports() -> st.SearchStrategy[Manifest]:
    """The port part of an entry: none, numbers, a range, a name, or ICMP types."""
    one = st.one_of(
        st.builds(
            lambda port, protocol: {"port": str(port), "protocol": protocol},
            st.sampled_from((0, *PORTS)),
            st.sampled_from(["TCP", "UDP", "ANY"]),
        ),
        st.just({"port": "50", "endPort": 90, "protocol": "TCP"}),
        st.just({"port": "http", "protocol": "TCP"}),
    )
    return st.one_of(
        st.just({}),
        st.builds(lambda some: {"toPorts": [{"ports": some}]}, st.lists(one, min_size=1, max_size=2)),
        st.just({"icmps": [{"fields": [{"type": 8, "family": "IPv4"}]}]}),
    )


def entries(side: str) -> st.SearchStrategy[Manifest]:
    """One entry of ingress (`from`) or egress (`to`)."""
    return st.builds(lambda who, where: {**who, **where}, peers(side), ports())


def specs(*sections: str, default_deny: st.SearchStrategy[Manifest]) -> st.SearchStrategy[Manifest]:
    """A spec with entries in at least one of the sections."""
    made = {
        section: st.lists(entries("from" if section.startswith("ingress") else "to"), min_size=1, max_size=2)
        for section in sections
    }
    parts = st.fixed_dictionaries({}, optional=made).filter(bool)
    return st.builds(
        lambda who, some, closed: {"endpointSelector": who, **some, **closed},
        selectors(),
        parts,
        default_deny,
    )


def closed() -> st.SearchStrategy[Manifest]:
    """Whether a spec closes its directions, as written."""
    flags = st.fixed_dictionaries({}, optional={"ingress": st.booleans(), "egress": st.booleans()})
    return st.one_of(st.just({}), flags.filter(bool).map(lambda some: {"enableDefaultDeny": some}))


OPEN = st.just({"enableDefaultDeny": {"ingress": False, "egress": False}})
ALLOW, DENY = ("ingress", "egress"), ("ingressDeny", "egressDeny")


ANY_SPEC = specs(*ALLOW, *DENY, default_deny=closed())


def manifests(spec: st.SearchStrategy[Manifest] = ANY_SPEC) -> st.SearchStrategy[Manifest]:
    """A CiliumNetworkPolicy or its clusterwide form, without rules above the ports."""
    return st.builds(_manifest, spec, st.sampled_from([None, *NAMESPACES]))


def _manifest(spec: Manifest, namespace: str | None) -> Manifest:
    kind = "CiliumNetworkPolicy" if namespace else "CiliumClusterwideNetworkPolicy"
    metadata = {"name": "p", **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "cilium.io/v2", "kind": kind, "metadata": metadata, "spec": spec}


def policy_sets() -> st.SearchStrategy[list[Manifest]]:
    """A few policies, each with a name of its own."""
    return st.lists(manifests(), min_size=1, max_size=4).map(
        lambda some: [_named(each, f"p-{number}") for number, each in enumerate(some)]
    )


def _named(manifest: Manifest, name: str) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "name": name}}


def parties() -> st.SearchStrategy[Manifest]:
    """Ends of connections: pods, the host, a remote node, addresses outside."""
    pods = st.builds(
        lambda app, namespace, named: {
            "labels": [f"k8s:app={app}", f"k8s:io.kubernetes.pod.namespace={namespace}"],
            **({"named_ports": {"http": "8080/TCP"}} if named else {}),
        },
        st.sampled_from(APPS),
        st.sampled_from(NAMESPACES),
        st.booleans(),
    )
    outside = st.builds(
        lambda ip, name: {"labels": ["reserved:world"], "ip": ip, "names": name},
        st.sampled_from(ADDRESSES),
        st.lists(st.sampled_from(NAMES), max_size=1),
    )
    reserved = st.sampled_from(
        [{"labels": ["reserved:host"]}, {"labels": ["reserved:remote-node"]}, {"labels": ["reserved:init"]}]
    )
    return st.one_of(pods, pods, outside, reserved)


def queries() -> st.SearchStrategy[list[Manifest]]:
    """A batch of connections."""
    one = st.builds(
        lambda src, dst, port: {"src": src, "dst": dst, "protocol": port[0], "port": port[1]},
        parties(),
        parties(),
        st.one_of(
            st.tuples(st.sampled_from(["TCP", "UDP", "SCTP"]), st.sampled_from(PORTS)), st.just(("ICMP", 8))
        ),
    )
    return st.lists(one, min_size=1, max_size=8)


def allowed(objects: list[Manifest], asked: list[Manifest]) -> list[bool]:
    """Return which connections a policy set admits."""
    return [answer["verdict"] == "allowed" for answer in PolicySet.from_dicts(objects).verdicts(asked)]


@given(policy_sets(), manifests(specs(*ALLOW, default_deny=OPEN)), queries())
@settings(deadline=None, max_examples=60)
def test_an_allow_rule_takes_nothing_away(
    base: list[Manifest], added: Manifest, asked: list[Manifest]
) -> None:
    """Adding a policy that allows, and closes no direction, leaves everything allowed that was."""
    before, after = allowed(base, asked), allowed([*base, _named(added, "added")], asked)
    assert [now for was, now in zip(before, after, strict=True) if was] == [True] * sum(before)


@given(policy_sets(), manifests(specs(*DENY, default_deny=closed())), queries())
@settings(deadline=None, max_examples=60)
def test_a_deny_rule_adds_nothing(base: list[Manifest], added: Manifest, asked: list[Manifest]) -> None:
    """Adding a policy that denies leaves everything denied that was."""
    before, after = allowed(base, asked), allowed([*base, _named(added, "added")], asked)
    assert [now for was, now in zip(before, after, strict=True) if not was] == [False] * before.count(False)


@given(policy_sets(), queries(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_order_never_matters(base: list[Manifest], asked: list[Manifest], random: Any) -> None:
    """Policies and the entries inside them may come in any order: the verdicts and their reasons stay."""
    shuffled = [_shuffled(one, random) for one in base]
    random.shuffle(shuffled)
    assert PolicySet.from_dicts(base).verdicts(asked) == PolicySet.from_dicts(shuffled).verdicts(asked)


def _shuffled(manifest: Manifest, random: Any) -> Manifest:
    spec = dict(manifest["spec"])
    for section in (*ALLOW, *DENY):
        if section in spec:
            spec[section] = random.sample(spec[section], len(spec[section]))
    return {**manifest, "spec": spec}


@given(policy_sets(), queries(), st.sampled_from(list(Enforcement)))
@settings(deadline=None, max_examples=60)
def test_all_at_once_is_one_by_one(base: list[Manifest], asked: list[Manifest], mode: Enforcement) -> None:
    """The vectorised engine decides what a plain walk over the entries, in the words of the semantics, decides."""
    policies = PolicySet.from_dicts(base, enforcement=mode)
    ends = [Party.of(query[end]) for query in asked for end in ("src", "dst")]
    answers = policies.verdicts(asked)
    written = [entry for entry in policies.index.entries if entry.origin.path]
    for query, answer in zip(asked, answers, strict=True):
        for direction, own, other in ((Direction.EGRESS, "src", "dst"), (Direction.INGRESS, "dst", "src")):
            plain = Plain(policies.config, direction, Party.of(query[own]), Party.of(query[other]), ends)
            assert plain.outcome(written, query) == answer[direction]


class Plain:
    """One side of one connection, judged entry by entry."""

    def __init__(
        self, config: Config, direction: Direction, own: Party, other: Party, ends: list[Party]
    ) -> None:
        self.config, self.direction = config, direction
        self.own, self.peer = resolve(own, config), resolve(other, config)
        self.named = [
            port
            for party in ([own] if direction is Direction.INGRESS else ends)
            for port in party.named_ports
        ]

    def outcome(self, written: list[LoweredEntry], query: Manifest) -> str:
        """Return the outcome that SEMANTICS' "A verdict, per side" gives."""
        selecting = [
            entry
            for entry in written
            if entry.direction is self.direction
            and entry.subject.node == self.own.host
            and all(term.matches(self.own.labels) for term in entry.subject.terms)
        ]
        always = self.config.enforcement is Enforcement.ALWAYS or self.own.init
        if self.config.enforcement is Enforcement.NEVER or not self.own.local or not (selecting or always):
            return "no-policy"
        matching = [entry for entry in selecting if self.matches(entry, query)]
        if any(entry.denies for entry in matching):
            return "deny-rule"
        localhost = self.direction is Direction.INGRESS and self.peer.host and not self.own.host
        unclosed = not always and not any(entry.default_deny for entry in selecting)
        return "allowed" if matching or localhost or unclosed else "denied"

    def matches(self, entry: LoweredEntry, query: Manifest) -> bool:
        """Tell whether peer and port match."""
        anybody = entry.peers is None
        return (anybody or any(_is(atom, self.peer) for atom in entry.peers or ())) and any(
            self.port_matches(term, query) for term in entry.ports
        )

    def port_matches(self, term: Any, query: Manifest) -> bool:
        """Tell whether a port term holds, its name looked up."""
        if not term.protocols & protocols_of(query["protocol"]):
            return False
        if term.protocols == Protocols.ALL or not term.name:
            return term.protocols == Protocols.ALL or term.low <= query["port"] <= term.high
        numbers = {
            number for name, number, protocol in self.named if (name, protocol) == (term.name, term.protocols)
        }
        return numbers == {query["port"]}


def _is(atom: Any, peer: Identity) -> bool:
    if isinstance(atom, LabelAtom):
        return all(term.matches(peer.labels) for term in atom.terms)
    if isinstance(atom, CidrAtom):
        inside = peer.span is not None and atom.span[0] <= peer.span[0] and peer.span[1] <= atom.span[1]
        return inside and not any(gap[0] <= peer.span[0] <= gap[1] for gap in atom.excepts if peer.span)
    return any(names(atom.selector, name) for name in peer.names)


@given(policy_sets(), queries())
@settings(deadline=None, max_examples=60)
def test_tables_and_mappings_agree(base: list[Manifest], asked: list[Manifest]) -> None:
    """The columnar form answers what the form of the conformance cases answers, row by row."""
    policies = PolicySet.from_dicts(base)
    table = policies.evaluate(*_tables(asked))
    assert table.schema == schema.VERDICTS
    wanted = policies.verdicts(asked)
    for row, answer in zip(table.to_pylist(), wanted, strict=True):
        assert {name: value for name, value in row.items() if value not in (None, [])} == answer


def _tables(asked: list[Manifest]) -> tuple[pa.Table, pa.Table]:
    ends = [query[end] for query in asked for end in ("src", "dst")]
    parties = pa.table(
        {
            "labels": [end["labels"] for end in ends],
            "ip": [end.get("ip") for end in ends],
            "names": [end.get("names", []) for end in ends],
            "named_ports": [[f"{k}={v}" for k, v in end.get("named_ports", {}).items()] for end in ends],
        },
        schema=schema.PARTIES,
    )
    known = list(schema.ENUMS["protocol"])
    codes = [known.index(query["protocol"].replace("ICMP", "ICMPv4")) for query in asked]
    text = pa.nulls(len(asked), pa.string())
    columns = [
        pa.array(range(0, 2 * len(asked), 2), pa.uint32()),
        pa.array(range(1, 2 * len(asked), 2), pa.uint32()),
        pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(known)),
        pa.array([query["port"] for query in asked], pa.uint16()),
        *[text] * 4,
    ]
    return pa.table(columns, schema=schema.QUERIES), parties


def test_the_local_host_has_its_own_rule() -> None:
    """Cilium's unwritten allow of the local host is named as the decider where nothing else is."""
    closed_pod = {"labels": ["k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop"]}
    manifest = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "closed", "namespace": "shop"},
        "spec": {"endpointSelector": {}, "ingress": [{}]},
    }
    query = {"src": {"labels": ["reserved:host"]}, "dst": closed_pod, "protocol": "TCP", "port": 80}
    assert PolicySet.from_dicts([manifest]).verdicts([query])[0]["ingress_by"] == [LOCALHOST]
