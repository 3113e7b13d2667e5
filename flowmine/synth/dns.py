"""The resolver: which edges are DNS, and the rules that FQDN rules need on the way to it.

| responder and port                                                     | is DNS |
|------------------------------------------------------------------------|--------|
| any, 53 over UDP or TCP                                                | yes    |
| any, on which a DNS request was seen                                   | yes    |
| OpenShift's resolver (`openshift-dns`), 5353                           | yes    |
| a pod labelled as CoreDNS, any UDP port and the same one over TCP      | yes    |
| any other, 5353 (multicast DNS)                                        | no     |

`toFQDNs` learns nothing unless the pod's own queries go through a `rules.dns` on exactly this port and protocol (SEMANTICS
29, 34). Resolvers answer over TCP what is too long for UDP, rarely enough that no capture may show it: both are written.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowmine.edges import Edges
from flowmine.labels import NAMESPACE_KEY, parse
from flowmine.policy.portrule import FqdnSelector
from flowmine.ports import PortSet
from flowmine.synth.options import Generalisation, Options

__all__ = ["EVERY_NAME", "DnsRule", "asked_names", "dns_rows", "dns_rule"]

EVERY_NAME = FqdnSelector(match_pattern="*")
"""The pattern of all names."""

REQUEST = "DNS"
"""The `method` of a DNS request in REQUESTS."""

_PORT = 53
_OPENSHIFT_PORT = 5353
_OPENSHIFT_NAMESPACE = "openshift-dns"
_CORE_DNS = {
    "k8s-app": {"kube-dns", "coredns", "core-dns", "node-local-dns", "nodelocaldns"},
    "app": {"coredns"},
    "app.kubernetes.io/name": {"coredns"},
}


@dataclass(frozen=True, slots=True)
class DnsRule:
    """What one resolver's rule holds: its ports, those of them required although not seen, and the names allowed."""

    ports: PortSet
    required: PortSet
    names: tuple[FqdnSelector, ...]
    notes: tuple[Generalisation, ...] = ()


def dns_rows(edges: Edges) -> frozenset[int]:
    """Return the rows of EDGES that are lookups at a resolver (the table above)."""
    table = edges.edges.select(["responder", "protocol", "port"])
    udp, tcp = (pc.fill_null(pc.equal(table["protocol"], each), False).to_numpy() for each in ("UDP", "TCP"))
    at, port = table["responder"].to_numpy(), pc.fill_null(table["port"].cast(pa.int32()), -1).to_numpy()
    openshift, core = (np.isin(at, np.array(sorted(ids), np.uint64)) for ids in _resolvers(edges.endpoints))
    found = (port == _PORT) | (openshift & (port == _OPENSHIFT_PORT))
    found[_requests(edges)["edge"].to_numpy()] = True
    spoken = set(zip(at[udp & core].tolist(), port[udp & core].tolist(), strict=True))
    of_core = np.flatnonzero(core)
    pairs = zip(at[of_core].tolist(), port[of_core].tolist(), strict=True)
    found[of_core] |= np.array([pair in spoken for pair in pairs], np.bool_)
    return frozenset(np.flatnonzero(found & (udp | tcp)).tolist())


def _resolvers(endpoints: pa.Table) -> tuple[set[int], set[int]]:
    """The ids of OpenShift's resolvers, and of pods labelled as CoreDNS or its cache on the node."""
    openshift: set[int] = set()
    core: set[int] = set()
    for identifier, texts in zip(
        *(endpoints.column(name).to_pylist() for name in ("id", "labels")), strict=True
    ):
        for label in map(parse, texts or ()):
            if label.key == NAMESPACE_KEY and label.value == _OPENSHIFT_NAMESPACE:
                openshift.add(identifier)
            if label.value in _CORE_DNS.get(label.key, ()):
                core.add(identifier)
    return openshift, core


def _requests(edges: Edges) -> pa.Table:
    requests = edges.requests
    return requests.filter(pc.and_(pc.equal(requests["method"], REQUEST), pc.invert(requests["denied"])))


def asked_names(edges: Edges) -> Mapping[int, frozenset[str]]:
    """Return the names that each endpoint was seen to ask a resolver for, answered or not, Services included."""
    found: dict[int, set[str]] = defaultdict(set)
    looked_up = edges.names.filter(pc.equal(edges.names["source"], "dns")).select(["subject", "name"])
    for row in looked_up.to_pylist():
        found[row["subject"]].add(row["name"])
    requests = _requests(edges)
    if requests.num_rows:
        initiators = edges.edges.column("initiator").take(requests["edge"]).to_pylist()
        for subject, name in zip(initiators, requests["path"].to_pylist(), strict=True):
            found[subject].add(name)
    return {subject: frozenset(names) for subject, names in found.items()}


def dns_rule(
    seen: PortSet,
    fqdns: Iterable[FqdnSelector],
    asked: Iterable[str],
    namespace: str,
    options: Options,
) -> DnsRule:
    """Return what the rule to a resolver holds that a subject was seen to use on the ports `seen`.

    `fqdns` are all FQDN peers of the subject, `asked` the names it asked for, `namespace` its own (whose name stands
    in its search path). Without FQDN peers there is nothing to learn and `names` is empty: plain ports. Under
    `--dns strict` the names are those of the peers and those asked for, each with its search-path expansions; where no
    question was seen that would refuse every Service's name, so all names stay allowed and a note says so.
    """
    numbers = {number for protocol, number in seen if protocol in ("UDP", "TCP")}
    ports = PortSet.of((protocol, number) for number in numbers for protocol in ("UDP", "TCP"))
    peers = tuple(sorted(set(fqdns), key=str))
    names = tuple(sorted({name.lower().rstrip(".") for name in asked}))
    required = ports - seen
    if not peers:
        return DnsRule(ports, required, ())
    if options.dns != "strict":
        return DnsRule(ports, ports, (EVERY_NAME,))
    if not names:
        note = Generalisation("dns", "every name", "no question to the resolver was seen", "dns=strict")
        return DnsRule(ports, ports, (EVERY_NAME,), (note,))
    return DnsRule(ports, ports, _strict(peers, names, namespace, options.cluster_domain))


def _strict(
    peers: Iterable[FqdnSelector], asked: tuple[str, ...], namespace: str, domain: str
) -> tuple[FqdnSelector, ...]:
    """The selectors of all names needed: peers, names asked for, and what the search path makes of each."""
    search = (f"{namespace}.svc.{domain}", f"svc.{domain}", domain, *_foreign_search(asked, domain))
    plain = {
        name for name in asked if not any(f"{other}.{suffix}" == name for suffix in search for other in asked)
    }
    names = {form for name in plain for form in _forms(name, namespace, domain)}
    names |= {each.match_name for each in peers if each.match_name}
    patterns = {each.match_pattern for each in peers if each.match_pattern}
    names |= {f"{name}.{suffix}" for name in tuple(names) for suffix in search} | set(asked)
    patterns |= {f"{pattern}.{suffix}" for pattern in tuple(patterns) for suffix in search}
    return (
        *(FqdnSelector(match_name=name) for name in sorted(names) if "." in name),
        *(FqdnSelector(match_pattern=pattern) for pattern in sorted(patterns)),
    )


def _foreign_search(asked: Iterable[str], domain: str) -> tuple[str, ...]:
    """Search suffixes of the node's own resolv.conf: what follows a whole name that was asked for as well."""
    names = set(asked)
    found: dict[str, int] = defaultdict(int)
    for name in names:
        labels = name.split(".")
        for cut in range(2, len(labels) - 1):
            if ".".join(labels[:cut]) in names:
                found[".".join(labels[cut:])] += 1
    return tuple(sorted(each for each in found if each != domain and not each.endswith(f".{domain}")))


def _forms(name: str, namespace: str, domain: str) -> Iterable[str]:
    """The ways in which a program may write a name: a Service's in full, or short and left to the search path."""
    yield name
    service, dot, rest = name.partition(".")
    home, found, after = rest.partition(".svc.")
    if dot and found and after == domain and "." not in home:
        yield f"{service}.{home}.svc"
        yield f"{service}.{home}"
        if home == namespace:
            yield service
