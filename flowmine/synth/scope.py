"""Whose policies are written, and which traffic beyond the delivered a person has decided to admit."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from flowmine.policy.limits import namespace_name
from flowmine.policy.model import Selector
from flowmine.synth.subjects import Workload

__all__ = ["SYSTEM_NAMESPACES", "Form", "Gateway", "Per", "Scope", "Stage", "is_system", "is_writable"]

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "cilium", "cilium-*")
"""Namespaces (patterns) left out unless asked for: what runs there keeps the cluster alive."""


class Per(StrEnum):
    """What one policy is written for; the verdicts are equal."""

    WORKLOAD = "workload"
    NAMESPACE = "namespace"
    FLOW = "flow"


class Stage(StrEnum):
    """How far policies are in force."""

    OBSERVE = "observe"
    AUDIT = "audit"
    ENFORCE = "enforce"


class Form(StrEnum):
    """Which kind of policy is written."""

    CILIUM = "cnp"
    KUBERNETES = "knp"


@dataclass(frozen=True, slots=True)
class Gateway:
    """Outside addresses (a CIDR) that are to be called from nodes that a selector picks."""

    cidr: str
    nodes: Selector


@dataclass(frozen=True, slots=True)
class Scope:
    """Which workloads get policies.

    ``namespaces`` are patterns, empty for all; ``exclude`` patterns of those left out; ``system`` admits the
    namespaces of `SYSTEM_NAMESPACES`, which naming one in ``namespaces`` alone does not. Dropped edges of workloads that
    ``dropped`` selects, and all ``audited`` ones, become rules like delivered ones. ``per`` and ``form`` say how the
    policies are cut and of which kind they are, ``baseline`` adds one per namespace that closes every pod, ``stage`` is
    how far they are in force; ``hosts`` selects the nodes that get a policy, None for none;
    ``gateways`` are blocks to be called through chosen nodes.
    """

    namespaces: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    system: bool = False
    dropped: tuple[Selector, ...] = ()
    audited: bool = False
    per: Per = Per.WORKLOAD
    form: Form = Form.CILIUM
    baseline: bool = False
    stage: Stage = Stage.ENFORCE
    hosts: Selector | None = None
    gateways: tuple[Gateway, ...] = ()

    def refuses(self, workload: Workload) -> str:
        """Return why a workload gets no policy; empty where it does."""
        namespace = workload.namespace
        if not is_writable(workload):
            return f"{namespace!r} is no name of a namespace, so no policy can be for it"
        if _any(namespace, self.exclude):
            return "excluded"
        if self.namespaces and not _any(namespace, self.namespaces):
            return "not asked for"
        if is_system(namespace) and not self.system:
            return "a system namespace (--include-system admits it)"
        return ""

    def unmet(self, workloads: Iterable[Workload]) -> tuple[str, ...]:
        """Return a remark for each namespace asked for that no workload is of: perhaps it is misspelt."""
        there = {each.namespace for each in workloads}
        return tuple(
            f"namespace {pattern}: no workload of it is in the capture"
            for pattern in self.namespaces
            if not any(fnmatchcase(namespace, pattern) for namespace in there)
        )


def is_writable(workload: Workload) -> bool:
    """Tell whether a policy can be for a workload, or name it: a corrupt capture may hold any text as its namespace."""
    return namespace_name(workload.namespace) is None


def is_system(namespace: str) -> bool:
    """Tell whether a namespace is one of those that keep the cluster alive."""
    return _any(namespace, SYSTEM_NAMESPACES)


def _any(namespace: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(namespace, pattern) for pattern in patterns)
