"""Whose policies are written, and which traffic beyond the delivered a person has decided to admit."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from flowmine.policy.model import Selector
from flowmine.synth.subjects import Workload

__all__ = ["SYSTEM_NAMESPACES", "Per", "Scope", "is_system"]

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "cilium", "cilium-*")
"""Namespaces (patterns) left out unless asked for: what runs there keeps the cluster alive."""


class Per(StrEnum):
    """What one policy is written for; the verdicts are equal."""

    WORKLOAD = "workload"
    NAMESPACE = "namespace"
    FLOW = "flow"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which workloads get policies.

    ``namespaces`` are patterns, empty for all; ``exclude`` patterns of those left out; ``system`` admits the
    namespaces of `SYSTEM_NAMESPACES`, which naming one in ``namespaces`` alone does not. Dropped edges of workloads that
    ``dropped`` selects, and all ``audited`` ones, become rules like delivered ones.
    """

    namespaces: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    system: bool = False
    dropped: tuple[Selector, ...] = ()
    audited: bool = False
    per: Per = Per.WORKLOAD

    def refuses(self, workload: Workload) -> str:
        """Return why a workload gets no policy; empty where it does."""
        namespace = workload.namespace
        if _any(namespace, self.exclude):
            return "excluded"
        if self.namespaces and not _any(namespace, self.namespaces):
            return "not asked for"
        if is_system(namespace) and not self.system:
            return "a system namespace (--include-system admits it)"
        return ""


def is_system(namespace: str) -> bool:
    """Tell whether a namespace is one of those that keep the cluster alive."""
    return _any(namespace, SYSTEM_NAMESPACES)


def _any(namespace: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(namespace, pattern) for pattern in patterns)
