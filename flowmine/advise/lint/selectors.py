"""Selectors that hold for nothing, for one pod, or for what a policy had better leave alone."""

from collections.abc import Iterator

from flowmine.advise.lint.context import Context, Hit, Lowered, Spec, Unit
from flowmine.advise.lint.overlap import can_hold, peers_contain, ports_contain
from flowmine.engine.entries import Atom, LabelAtom, LoweredEntry, PortTerm, Protocols
from flowmine.labels import CLUSTER_KEY, NAMESPACE_KEY, Label
from flowmine.policy.model import Direction, Entry, Kind, Operator, Requirement, Selector
from flowmine.policy.selector import Term, split_key

__all__ = ["host_selector", "infrastructure", "no_subject", "selectors_of", "unstable_labels"]

_PER_POD = {
    "pod-template-hash": "changes with every rollout",
    "pod-template-generation": "changes with every rollout",
    "controller-revision-hash": "changes with every rollout",
    "rollouts-pod-template-hash": "changes with every rollout",
    "controller-uid": "changes with every run",
    "batch.kubernetes.io/controller-uid": "changes with every run",
    "job-name": "changes with every run of a cron job",
    "batch.kubernetes.io/job-name": "changes with every run of a cron job",
    "batch.kubernetes.io/job-completion-index": "is another for every pod",
    "job-completion-index": "is another for every pod",
    "statefulset.kubernetes.io/pod-name": "is another for every pod",
    "apps.kubernetes.io/pod-index": "is another for every pod",
    "workflows.argoproj.io/workflow": "changes with every run",
    "spark-app-selector": "changes with every run",
    "spark-exec-id": "is another for every pod",
    "dask.org/worker-name": "is another for every pod",
    "helm.sh/chart": "changes with every release of the chart",
    "app.kubernetes.io/version": "changes with every release",
}
_NOT_IN_IDENTITY = ("io.kubernetes", "kubernetes.io", "k8s.io", "topology.kubernetes.io", "annotation.")
_IN_IDENTITY = (NAMESPACE_KEY,)
_FILTERED = frozenset(_PER_POD) - {
    "rollouts-pod-template-hash",
    "job-name",
    "batch.kubernetes.io/job-name",
    "job-completion-index",
    "workflows.argoproj.io/workflow",
    "spark-app-selector",
    "spark-exec-id",
    "dask.org/worker-name",
    "helm.sh/chart",
    "app.kubernetes.io/version",
}
"""Keys that Cilium's default label filter keeps out of identities (``pkg/labelsfilter/filter.go``)."""

_DNS_PODS = (
    frozenset({("k8s-app", "kube-dns"), (NAMESPACE_KEY, "kube-system")}),
    frozenset({("k8s-app", "node-local-dns"), (NAMESPACE_KEY, "kube-system")}),
)
_DNS_PEERS: dict[Direction, tuple[Atom, ...]] = {
    Direction.INGRESS: (
        LabelAtom(
            (
                Term("k8s", NAMESPACE_KEY, Operator.EXISTS),
                Term("k8s", CLUSTER_KEY, Operator.IN, frozenset({"default"})),
            )
        ),
    ),
    Direction.EGRESS: (LabelAtom((Term("reserved", "world", Operator.EXISTS),)),),
}
"""Whom the cluster's DNS must reach, and be reached by: every pod, and resolvers outside."""
_DNS_PORTS = (PortTerm(Protocols.UDP, 53, 53),)
_NETWORK_LABELS = {
    ("k8s-app", "kube-dns"): "the cluster's DNS",
    ("k8s-app", "coredns"): "the cluster's DNS",
    ("k8s-app", "node-local-dns"): "the cluster's DNS",
    ("app.kubernetes.io/name", "coredns"): "the cluster's DNS",
    ("k8s-app", "cilium"): "Cilium itself",
    ("app.kubernetes.io/name", "cilium-agent"): "Cilium itself",
    ("app.kubernetes.io/part-of", "cilium"): "Cilium itself",
    ("io.cilium/app", "operator"): "Cilium's operator",
    ("name", "cilium-operator"): "Cilium's operator",
    ("k8s-app", "hubble-relay"): "Hubble's relay",
    ("k8s-app", "calico-node"): "the network plugin",
    ("k8s-app", "kube-proxy"): "kube-proxy",
}
_NODE_WIDE = frozenset({"Cilium itself", "the network plugin", "kube-proxy", "Cilium's operator"})
_LOCAL_RESERVED = frozenset({"host", "health", "init", "ingress"})


def selectors_of(context: Context) -> Iterator[tuple[Unit, str, Selector]]:
    """Yield every selector of pods, with its document and path: subjects and peers of all three kinds."""
    for spec in context.specs:
        if spec.rule.endpoint_selector is not None:
            yield spec.unit, f"{spec.path}.endpointSelector", spec.rule.endpoint_selector
        for at in spec.entries():
            key = "fromEndpoints" if "fromEndpoints" in at.raw else "toEndpoints"
            for place, selector in _peers(at.entry, at.raw.get(key)):
                yield spec.unit, f"{at.path}.{key}[{place}]", selector
    for unit in context.units:
        if unit.policy is None or unit.policy.network_policy is None:
            continue
        k8s = unit.policy.network_policy
        yield unit, "spec.podSelector", k8s.pod_selector
        for way, peers, entries in (("ingress", "from", k8s.ingress), ("egress", "to", k8s.egress)):
            for index, entry in enumerate(entries):
                for peer in entry.peers:
                    if peer.pod_selector is not None:
                        yield unit, f"spec.{way}[{index}].{peers}", peer.pod_selector


def _peers(entry: Entry, raw: object) -> Iterator[tuple[int, Selector]]:
    """Yield the peers of an entry with their places in the manifest, where the model has sorted them."""
    written = [_as_selector(item) for item in raw] if isinstance(raw, list) else []
    for selector in entry.endpoints or ():
        yield (written.index(selector) if selector in written else 0), selector


def _as_selector(item: object) -> Selector:
    """Return a selector's model from its manifest, as far as it is needed to find it again."""
    value = item if isinstance(item, dict) else {}
    return Selector(
        tuple((value.get("matchLabels") or {}).items()),
        tuple(
            Requirement(each["key"], each["operator"], tuple(each.get("values") or ()))
            for each in value.get("matchExpressions") or ()
        ),
    )


def unstable_labels(context: Context) -> Iterator[Hit]:
    """Find labels that are one pod's, one run's or one rollout's, and those that no identity holds."""
    for unit, path, selector in selectors_of(context):
        for key in dict.fromkeys(selector.keys()):
            source, name = split_key(key)
            if source not in ("any", "k8s"):
                continue
            filtered = name in _FILTERED or (
                (name.startswith(_NOT_IN_IDENTITY) or "beta.kubernetes.io" in name)
                and name not in _IN_IDENTITY
            )
            if name not in _PER_POD and not filtered:
                continue
            what = (
                f"label {name} {_PER_POD[name]}" if name in _PER_POD else f"{name} is no label of identities"
            )
            if filtered:
                what += "; Cilium's default label filter keeps it out of identities, so that nothing has it"
            fix = "select by labels that the workload keeps, such as app or app.kubernetes.io/name"
            if name in ("kubernetes.io/metadata.name", "io.kubernetes.pod.namespace.name"):
                fix = f"write {NAMESPACE_KEY} for a namespace by its name"
            yield Hit(unit, path, what, fix)


def host_selector(context: Context) -> Iterator[Hit]:
    """Find host policies written with endpointSelector, which selects no host in 1.19."""
    for spec in context.specs:
        if any((term.source, term.key) == ("reserved", "host") for term in _subject(spec)):
            yield Hit(
                spec.unit,
                f"{spec.path}.endpointSelector",
                "reserved:host in endpointSelector selects nothing: hosts are selected by nodeSelector alone",
                "write nodeSelector, with the nodes' labels, in a CiliumClusterwideNetworkPolicy",
            )


def _subject(spec: Spec) -> tuple[Term, ...]:
    selector = spec.rule.endpoint_selector
    try:
        return selector.terms() if selector is not None else ()
    except ValueError:
        return ()


def no_subject(context: Context) -> Iterator[Hit]:
    """Find policies that can select nothing: terms that contradict each other, reserved labels out of place."""
    for spec in context.specs:
        terms = _subject(spec)
        reserved = {
            term.key
            for term in terms
            if term.source == "reserved" and term.operator in (Operator.IN, Operator.EXISTS)
        }
        if "host" in reserved:
            continue  # told by host_selector
        path = f"{spec.path}.endpointSelector"
        if reserved and spec.policy.kind is Kind.CNP:
            yield Hit(
                spec.unit,
                path,
                f"reserved:{min(reserved)} belongs to no namespace, and a CiliumNetworkPolicy selects in its own alone",
                "make it a CiliumClusterwideNetworkPolicy",
            )
        elif reserved - _LOCAL_RESERVED:
            name = min(reserved - _LOCAL_RESERVED)
            message = f"reserved:{name} is no endpoint of this cluster's: no policy applies to it"
            yield Hit(spec.unit, path, message, "select the endpoints at the other end of the connection")
        elif not can_hold(terms):
            message = "its conditions contradict each other: no endpoint can have all of these labels"
            yield Hit(spec.unit, path, message, "correct the labels")
        else:
            yield from _other_namespace(spec)


def _other_namespace(spec: Spec) -> Iterator[Hit]:
    """Find expressions that ask for another namespace than a CiliumNetworkPolicy's own (labels are overwritten)."""
    if spec.policy.kind is not Kind.CNP or spec.rule.endpoint_selector is None:
        return
    own = spec.policy.namespace or "default"
    for each in spec.rule.endpoint_selector.match_expressions:
        term = Term(*split_key(each.key), Operator(each.operator), frozenset(each.values))
        if (
            term.key == NAMESPACE_KEY
            and term.source in ("any", "k8s")
            and not term.holds(Label("k8s", NAMESPACE_KEY, own))
        ):
            message = f"asks for another namespace than the policy's own, {own!r}: it selects nothing"
            fix = "create the policy in that namespace, or make it a CiliumClusterwideNetworkPolicy"
            yield Hit(spec.unit, f"{spec.path}.endpointSelector.matchExpressions", message, fix)


def infrastructure(context: Context) -> Iterator[Hit]:
    """Find policies that select what networking itself runs on, or close the cluster's DNS among others."""
    done: set[tuple[int, tuple[Term, ...]]] = set()
    for lowered in context.lowered:
        entry = lowered.entry
        if entry.subject.node or not entry.default_deny or (id(lowered.unit), entry.subject.terms) in done:
            continue
        told = _named_infrastructure(entry.subject.terms) or _closed_dns(context, entry)
        if told is not None:
            done.add((id(lowered.unit), entry.subject.terms))
            yield Hit(lowered.unit, _subject_path(lowered), *told)


def _named_infrastructure(terms: tuple[Term, ...]) -> tuple[str, str] | None:
    asked = (term.values for term in terms if term.key == NAMESPACE_KEY and term.operator is Operator.IN)
    namespaces = next(asked, None)
    if namespaces is not None and not any(map(_is_system, namespaces)):
        return None
    named = [
        what
        for (key, value), what in _NETWORK_LABELS.items()
        for term in terms
        if term.key == key and term.operator is Operator.IN and value in term.values
    ]
    if named and named[0] in _NODE_WIDE:
        message = f"selects {named[0]}, which runs in the host's network: policies of pods do not apply to it"
        return message, "leave the policy out, or write a host policy with nodeSelector"
    if named:
        fix = "leave it out, or be sure that every client and upstream is admitted before it closes the direction"
        return f"selects {named[0]}: a gap in it breaks what the whole cluster relies on", fix
    return None


def _closed_dns(context: Context, entry: LoweredEntry) -> tuple[str, str] | None:
    """Tell where a wide selector closes a direction of the cluster's DNS that no rule here opens again."""
    for labels in _DNS_PODS:
        if not _holds(entry.subject.terms, labels):
            continue
        opened = any(
            not other.entry.denies
            and other.entry.direction is entry.direction
            and not other.entry.subject.node
            and _holds(other.entry.subject.terms, labels)
            and peers_contain(other.entry.peers, _DNS_PEERS[entry.direction])
            and ports_contain(other.entry.ports, _DNS_PORTS)
            for other in context.lowered
        )
        if not opened:
            message = f"selects the cluster's DNS among others, and closes {entry.direction.value} for it"
            return message, f"leave it out: {NAMESPACE_KEY} NotIn (kube-system), or select by workload"
    return None


def _holds(terms: tuple[Term, ...], labels: frozenset[tuple[str, str]]) -> bool:
    known = [Label("k8s", *pair) for pair in sorted(labels)]
    return all(term.matches(known) for term in terms)


def _is_system(namespace: str) -> bool:
    """Tell whether the cluster's own workloads live in a namespace."""
    return namespace.endswith("-system") or namespace in ("cilium", "openshift-dns")


def _subject_path(lowered: Lowered) -> str:
    policy = lowered.unit.policy
    if policy is not None and policy.kind is Kind.KNP:
        return "spec.podSelector"
    head = lowered.path.partition(".")[0]
    return f"{head}.endpointSelector"
