"""Policies that are legal but not meant: one small check for each way to say something else than one means.

Each rule is a function from the context to hits; `RULES` is the table of all. What Cilium or Kubernetes would refuse
is told as well, as ``invalid``.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from flowmine.advise.finding import Finding, Level, RuleInfo, sorted_findings
from flowmine.advise.lint import k8s, names, selectors, structure, traffic, union
from flowmine.advise.lint.context import Capture, Context, Hit, capture_of, context_of
from flowmine.engine.config import Config
from flowmine.policy.files import Document
from flowmine.policy.problems import Problem, Severity

__all__ = ["RULES", "Capture", "capture_of", "context_of", "findings_of", "lint"]

Check = Callable[[Context], Iterator[Hit]]


def _refusals(context: Context) -> Iterator[Hit]:
    """Tell what the API server or the agent would refuse."""
    yield from _problems(context, lambda problem: problem.severity is Severity.ERROR)


def _doubts(pattern: str, but: str = "") -> Check:
    """Return the check that tells validation's warnings whose path matches ``pattern`` and not ``but``."""

    def check(context: Context) -> Iterator[Hit]:
        yield from _problems(
            context,
            lambda problem: (
                problem.severity is Severity.WARNING
                and re.search(pattern, problem.path) is not None
                and (not but or re.search(but, problem.path) is None)
            ),
        )

    return check


def _problems(context: Context, wanted: Callable[[Problem], bool]) -> Iterator[Hit]:
    for unit in context.units:
        for problem in unit.problems:
            if wanted(problem):
                yield Hit(unit, problem.path, problem.message, problem.fix)


_ICMP = r"\.icmps\[\d+\]\.fields\[\d+\]\.type$"
_REGEX = r"\.http\[\d+\]\.(method|path|host)$"
_RANGE = r"\.endPort$"
_NAMESPACE = r"\.endpointSelector\.matchLabels\."

_TABLE: tuple[tuple[str, Level, str, Check], ...] = (
    ("invalid", Level.ERROR, "Kubernetes or Cilium would refuse the policy", _refusals),
    (
        "split-ports",
        Level.WARNING,
        "toPorts as a rule of its own beside the rule of its peers",
        structure.split_ports,
    ),
    (
        "empty-rule",
        Level.WARNING,
        "An empty rule that adds nothing, or closes what it seems to open",
        structure.empty_rules,
    ),
    ("empty-list", Level.WARNING, "An empty list of peers, ports or L7 rules", structure.empty_lists),
    ("open-isolation", Level.WARNING, "A direction that seems closed and is open", structure.open_isolation),
    ("isolation", Level.NOTE, "A direction closed, and opened by no rule", union.isolation),
    (
        "port-protocol",
        Level.WARNING,
        "A port without protocol, which opens UDP and SCTP too",
        structure.port_protocols,
    ),
    ("port-range", Level.WARNING, "A range of ports that ends before it begins", _doubts(_RANGE)),
    ("icmp-type", Level.WARNING, "An ICMP type that means every type, or none", _doubts(_ICMP)),
    ("cidr-bits", Level.WARNING, "A prefix with bits beyond its length", structure.cidr_bits),
    ("cidr-except", Level.WARNING, "An exception that leaves out all or nothing", structure.cidr_exceptions),
    (
        "l7-regex",
        Level.WARNING,
        "A regular expression beyond Envoy's limit, or that never matches",
        _doubts(_REGEX),
    ),
    ("l7-bypassed", Level.WARNING, "HTTP or DNS rules beside a rule that lifts them", union.bypassed_l7),
    (
        "fqdn-without-dns",
        Level.WARNING,
        "toFQDNs without a DNS rule, by which names are learned",
        names.lookups,
    ),
    ("dns-without-tcp", Level.WARNING, "DNS over UDP alone", names.dns_over_tcp),
    (
        "ingress-without-egress",
        Level.WARNING,
        "Ingress opened, the client's egress closed",
        union.one_sided_ingress,
    ),
    (
        "egress-without-ingress",
        Level.WARNING,
        "Egress opened, the server's ingress closed",
        union.one_sided_egress,
    ),
    ("deny-shadows-allow", Level.WARNING, "An allow rule that a deny rule undoes", union.shadowed),
    ("duplicate", Level.WARNING, "Two rules that say the same", union.duplicates),
    ("same-name", Level.WARNING, "Two documents of one name", union.same_names),
    (
        "host-selector",
        Level.WARNING,
        "A host policy by endpointSelector, which selects nothing",
        selectors.host_selector,
    ),
    ("selects-nothing", Level.WARNING, "A policy that can select no endpoint", selectors.no_subject),
    (
        "other-namespace",
        Level.WARNING,
        "A selector of another namespace than the policy's",
        _doubts(_NAMESPACE),
    ),
    (
        "unstable-label",
        Level.WARNING,
        "A label of one pod, run or rollout, or of no identity",
        selectors.unstable_labels,
    ),
    ("infrastructure", Level.WARNING, "A policy on the cluster's DNS or network", selectors.infrastructure),
    (
        "absent-label",
        Level.WARNING,
        "A selector that nothing in the capture satisfies",
        traffic.absent_labels,
    ),
    (
        "few-addresses",
        Level.WARNING,
        "The world, where the traffic shows a few addresses",
        traffic.few_addresses,
    ),
    (
        "ipblock-ingress",
        Level.WARNING,
        "ipBlock in ingress, which admits the own namespace",
        k8s.ingress_blocks,
    ),
    (
        "policy-types",
        Level.WARNING,
        "Rules in a direction that policyTypes leaves out",
        structure.policy_types,
    ),
    (
        "doubtful",
        Level.WARNING,
        "What is taken, and means something else than it seems to",
        _doubts("", "|".join((_ICMP, _REGEX, _RANGE, _NAMESPACE))),
    ),
)

RULES: tuple[RuleInfo, ...] = tuple(RuleInfo(id_, summary, level) for id_, level, summary, _ in _TABLE)
"""Every rule: its id, what it finds, and how grave that is."""


def lint(
    documents: Iterable[Document],
    capture: Capture | None = None,
    config: Config | None = None,
    *,
    rules: Iterable[str] | None = None,
) -> list[Finding]:
    """Return what the rules find in policies, in the order in which it stands there.

    All documents count as applied together. With ``capture``, selectors and the world are held against the traffic;
    ``config`` is the agent's; ``rules`` chooses by id, all by default. Lines are the documents' first; see
    `lines.Lines` for better ones. Raise KeyError for a rule that does not exist.
    """
    return findings_of(context_of(documents, capture, config), rules)


def findings_of(context: Context, rules: Iterable[str] | None = None) -> list[Finding]:
    """Return what the rules find in a context; see `lint`, which is this and `context_of`."""
    known = {info.id for info in RULES}
    chosen = known if rules is None else set(rules)
    if unknown := chosen - known:
        raise KeyError(min(unknown))
    return sorted_findings(
        _finding(id_, level, hit)
        for id_, level, _, check in _TABLE
        if id_ in chosen
        for hit in check(context)
    )


def _finding(rule: str, level: Level, hit: Hit) -> Finding:
    document = hit.unit.document
    return Finding(
        rule,
        hit.level or level,
        hit.message,
        hit.fix,
        policy=hit.unit.name,
        where=document.at(hit.path),
        file=document.file,
        document=document.index,
        path=hit.path if document.item is None else f"items[{document.item}].{hit.path}",
        line=document.line,
    )
