"""From CiliumNetworkPolicies to entries: what each selector, peer list and port list means.

The rules are Cilium 1.19's: `pkg/k8s/apis/cilium.io/utils/utils.go` (namespaces and clusters that selectors imply),
`pkg/policy/utils/parserules.go` and `pkg/policy/rule.go` (empty lists), `pkg/policy/api` (ports, entities, ICMP).
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from flowmine.engine.addresses import span
from flowmine.engine.config import Config
from flowmine.engine.entries import (
    ANY_PORT,
    Atom,
    CidrAtom,
    FqdnAtom,
    LabelAtom,
    LoweredEntry,
    Origin,
    PortTerm,
    Subject,
)
from flowmine.engine.portterms import icmp_terms, port_terms
from flowmine.labels import CLUSTER_KEY, NAMESPACE_KEY, NAMESPACE_LABELS_PREFIX, Label
from flowmine.policy.model import (
    CidrGroup,
    CidrRule,
    Entry,
    Kind,
    Operator,
    Policy,
    Rule,
    Selector,
)
from flowmine.policy.selector import ANY_SOURCE, Term, split_key

__all__ = ["cluster_term", "entity_atoms", "in_cluster", "label_term", "lower"]

_K8S = "k8s"
_WORLD = ("world", "world-ipv4", "world-ipv6")
_CLUSTER = ("host", "remote-node", "init", "ingress", "health", "unmanaged", "kube-apiserver")


def lower(policy: Policy, config: Config, groups: Mapping[str, CidrGroup]) -> Iterator[LoweredEntry]:
    """Yield the entries of a CiliumNetworkPolicy or CiliumClusterwideNetworkPolicy.

    A policy with `toGroups` has none: the agent leaves those to the operator (SEMANTICS 44).
    """
    if any(entry.groups for rule in policy.rules for _, _, entry in rule.entries()):
        return
    namespace = "" if policy.kind is Kind.CCNP else (policy.namespace or "default")
    for index, rule in enumerate(policy.rules):
        subject = _subject(rule, namespace)
        scope = _Scope(namespace, _selects_init(rule), config)
        for section, number, entry in rule.entries():
            yield LoweredEntry(
                origin=Origin(policy.ref, f"{policy.path(index)}.{section}[{number}]"),
                direction=section.direction,
                denies=section.denies,
                subject=subject,
                peers=_peers(entry, scope, groups),
                ports=_ports(entry),
                default_deny=rule.default_denies(section.direction),
                authentication=entry.authentication,
            )


class _Scope:
    """What selectors of peers imply: the policy's own namespace and the local cluster, unless they name another."""

    def __init__(self, namespace: str, selects_init: bool, config: Config) -> None:
        self._namespace = namespace
        self._selects_init = selects_init
        self.config = config
        self._implied: dict[tuple[str, ...], tuple[Term, ...]] = {}

    def terms(self, selector: Selector) -> tuple[Term, ...]:
        """Return the selector's terms and the implied ones (SEMANTICS 11 to 14)."""
        keys, terms = selector.keys(), selector.terms()
        implied = self._implied.get(keys)
        if implied is None:
            implied = self._implied[keys] = self._implied_by(terms)
        return terms + implied

    def _implied_by(self, terms: tuple[Term, ...]) -> tuple[Term, ...]:
        """Return what a selector's terms imply, which their keys decide."""
        if any(map(_is_reserved, terms)):
            return ()
        implied: tuple[Term, ...] = ()
        if not any(map(_names_namespace, terms)):
            if self._namespace:
                implied = (label_term(NAMESPACE_KEY, self._namespace),)
            elif not self._selects_init:
                implied = (Term(_K8S, NAMESPACE_KEY, Operator.EXISTS),)
        return in_cluster((*terms, *implied), self.config)[len(terms) :]


@lru_cache(maxsize=4096)
def label_term(key: str, value: str, source: str = _K8S) -> Term:
    """Return the term that asks for one label."""
    return Term(source, key, Operator.IN, frozenset((value,)))


def cluster_term(config: Config) -> tuple[Term, ...]:
    """Return the term by which peers are of the local cluster; none where any cluster's will do."""
    return (label_term(CLUSTER_KEY, config.cluster_name),) if config.policy_default_local_cluster else ()


def _is_reserved(term: Term) -> bool:
    return term.source == "reserved"


def _names_namespace(term: Term) -> bool:
    return term.source in (_K8S, ANY_SOURCE) and (
        term.key == NAMESPACE_KEY or term.key.startswith(NAMESPACE_LABELS_PREFIX)
    )


def _names_cluster(term: Term) -> bool:
    return term.source in (_K8S, ANY_SOURCE) and term.key == CLUSTER_KEY


def in_cluster(terms: tuple[Term, ...], config: Config) -> tuple[Term, ...]:
    """Return a peer's terms, of the local cluster unless they name one themselves (`addClusterFilterByDefault`)."""
    return terms if any(map(_names_cluster, terms)) else (*terms, *cluster_term(config))


def _subject(rule: Rule, namespace: str) -> Subject:
    """Return whom a rule selects; a CiliumNetworkPolicy's own namespace replaces any other (SEMANTICS 15)."""
    if rule.node_selector is not None:
        return Subject(rule.node_selector.terms(), node=True)
    selector = rule.endpoint_selector or Selector()
    if not namespace:
        return Subject(selector.terms())
    own = (_K8S, NAMESPACE_KEY)
    kept = Selector(
        tuple(each for each in selector.match_labels if split_key(each[0]) != own), selector.match_expressions
    )
    return Subject((*kept.terms(), label_term(NAMESPACE_KEY, namespace)))


def _selects_init(rule: Rule) -> bool:
    selector = rule.endpoint_selector or Selector()
    return any((term.source, term.key) == ("reserved", "init") for term in selector.terms())


def _ports(entry: Entry) -> tuple[PortTerm, ...]:
    if entry.icmps:
        return icmp_terms(entry.icmps)
    return port_terms(entry.to_ports) if entry.to_ports else ANY_PORT


def _peers(entry: Entry, scope: _Scope, groups: Mapping[str, CidrGroup]) -> tuple[Atom, ...] | None:
    """Return an entry's peers; None is anybody.

    A list that is present and empty makes the entry match nobody, but not an empty `toFQDNs` or `toServices`: those,
    like Services that do not exist, add no peer, and no peers with ports means anybody (SEMANTICS 3 to 5).
    """
    lists = (entry.endpoints, entry.cidr, entry.cidr_set, entry.entities, entry.nodes)
    if any(each == () for each in lists):
        return ()
    if all(each is None for each in lists) and not entry.fqdns:
        return None if entry.to_ports or entry.icmps else ()
    atoms: list[Atom] = [LabelAtom(scope.terms(each)) for each in entry.endpoints or ()]
    for name in entry.entities or ():
        atoms += entity_atoms(name, scope.config)
    atoms += (LabelAtom(_node_terms(each, scope.config)) for each in entry.nodes or ())
    atoms += (CidrAtom(span(text), (), text) for text in entry.cidr or ())
    for each in entry.cidr_set or ():
        atoms += cidr_set_atoms(each, groups)
    atoms += (FqdnAtom(each) for each in entry.fqdns or ())
    return None if LabelAtom(()) in atoms else tuple(dict.fromkeys(atoms))


def entity_atoms(name: str, config: Config) -> list[Atom]:
    """Return what an entity stands for (Cilium `pkg/policy/api/entity.go`, SEMANTICS 18); none for `none`."""
    if name == "all":
        return [LabelAtom(())]
    if name == "none":
        return []
    if name == "cluster":
        local = LabelAtom((label_term(CLUSTER_KEY, config.cluster_name),))
        return [*(_reserved(each) for each in _CLUSTER), local]
    return [_reserved(each) for each in (_WORLD if name == "world" else (name,))]


def cidr_set_atoms(rule: CidrRule, groups: Mapping[str, CidrGroup]) -> list[Atom]:
    """Return the prefixes of one `fromCIDRSet` item: its own, or those of the groups it names or selects by label.

    A group that does not exist has none.
    """
    excepts = tuple(span(text) for text in rule.except_)
    if rule.cidr is not None:
        return [CidrAtom(span(rule.cidr), excepts, rule.cidr, rule.except_)]
    chosen: Iterable[CidrGroup] = ()
    if rule.cidr_group_ref is not None:
        chosen = [groups[rule.cidr_group_ref]] if rule.cidr_group_ref in groups else []
    elif rule.cidr_group_selector is not None:
        wanted = rule.cidr_group_selector
        chosen = [each for each in groups.values() if wanted.matches(_group_labels(each), source="cidrgroup")]
    return [
        CidrAtom(span(text), excepts, text, rule.except_, each.name)
        for each in chosen
        for text in each.external_cidrs
    ]


def _group_labels(group: CidrGroup) -> list[Label]:
    return [Label("cidrgroup", key, value) for key, value in group.labels]


def _reserved(name: str) -> LabelAtom:
    return LabelAtom((Term("reserved", name, Operator.EXISTS),))


def _node_terms(selector: Selector, config: Config) -> tuple[Term, ...]:
    """Return what selects remote nodes by their labels; never the local host (SEMANTICS 44)."""
    remote = Term("reserved", "remote-node", Operator.EXISTS)
    return (*selector.terms("node"), remote, *cluster_term(config))
