"""Cilium labels: parse them, tell their source, and make the canonical form of an endpoint.

A label is written ``source:key=value``; Hubble prints identity labels so (``k8s:app=web``, ``reserved:world``,
``cidr:10.0.0.0/8``). Sources are those of Cilium's ``pkg/labels``.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

__all__ = [
    "CLUSTER_KEY",
    "NAMESPACE_KEY",
    "NAMESPACE_LABELS_PREFIX",
    "RESERVED_IDENTITIES",
    "SERVICE_ACCOUNT_KEY",
    "UNKNOWN_ID",
    "CanonicalEndpoint",
    "Label",
    "canonical",
    "cidr_of",
    "endpoint_id",
    "is_pod_id",
    "is_stable_key",
    "parse",
    "selector_parts",
]

NAMESPACE_KEY = "io.kubernetes.pod.namespace"
CLUSTER_KEY = "io.cilium.k8s.policy.cluster"
SERVICE_ACCOUNT_KEY = "io.cilium.k8s.policy.serviceaccount"
NAMESPACE_LABELS_PREFIX = "io.cilium.k8s.namespace.labels."

RESERVED_IDENTITIES: dict[int, str] = {
    1: "host",
    2: "world",
    3: "unmanaged",
    4: "health",
    5: "init",
    6: "remote-node",
    7: "kube-apiserver",
    8: "ingress",
    9: "world-ipv4",
    10: "world-ipv6",
    11: "encrypted-overlay",
}
"""Numeric reserved identities (Cilium ``pkg/identity/numericidentity.go``)."""

UNKNOWN_ID = 0
"""The id of an end about which an event says nothing at all."""

_SEPARATOR = re.compile(r"(,|\([^()]*\))")

# Sources whose labels say where an address lies, not what a pod is.
_PLACE_SOURCES = frozenset({"reserved", "cidr", "cidrgroup", "fqdn", "node"})
_SOURCES = _PLACE_SOURCES | {"k8s", "any", "container", "unspec", "directory", "cilium-generated", "ingress"}

_UNSTABLE_KEYS = frozenset(
    {
        "pod-template-hash",
        "pod-template-generation",
        "controller-revision-hash",
        "controller-uid",
        "batch.kubernetes.io/controller-uid",
        "job-name",
        "batch.kubernetes.io/job-name",
        "batch.kubernetes.io/job-completion-index",
        "job-completion-index",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "app.kubernetes.io/version",
        "app.kubernetes.io/managed-by",
        "helm.sh/chart",
        "chart",
        "heritage",
        "version",
        "rollouts-pod-template-hash",
        "workflows.argoproj.io/workflow",
        "spark-app-selector",
        "spark-exec-id",
        "dask.org/worker-name",
    }
)
_UNSTABLE_PREFIXES = ("topology.kubernetes.io/", "annotation.")


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """One label: ``source`` (``k8s``, ``reserved``, ``any`` …), ``key`` and ``value`` (empty where there is none)."""

    source: str
    key: str
    value: str = ""

    def __str__(self) -> str:
        """Return the label as Cilium writes it; an empty value is left out, as Cilium does for reserved labels."""
        return f"{self.source}:{self.key}={self.value}" if self.value else f"{self.source}:{self.key}"


@lru_cache(maxsize=65536)
def parse(text: str) -> Label:
    """Parse ``source:key=value``; a label without a known source gets ``unspec`` (Cilium ``labels.ParseLabel``).

    >>> parse("k8s:app=web")
    Label(source='k8s', key='app', value='web')
    >>> parse("reserved:world").key
    'world'
    """
    head, _, value = text.partition("=")
    source, colon, key = head.partition(":")
    if colon and source in _SOURCES:
        return Label(source, key, value)
    if head.startswith("$"):
        return Label("reserved", head[1:], value)
    return Label("unspec", head, value)


def is_stable_key(key: str) -> bool:
    """Tell whether a label key keeps its value over pods, runs and rollouts of one workload.

    The known per-pod, per-run and per-rollout keys are refused; whether other keys vary within a workload is for
    the caller to see in the data.
    """
    return key not in _UNSTABLE_KEYS and not key.startswith(_UNSTABLE_PREFIXES)


def cidr_of(label: Label) -> str | None:
    """Return the CIDR that a ``cidr:`` label names, with the colons that Cilium writes as dashes put back.

    >>> cidr_of(parse("cidr:fd00--1/128"))
    'fd00::1/128'
    """
    if label.source != "cidr":
        return None
    address, slash, length = label.key.partition("/")
    if "." not in address:
        address = address.replace("-", ":")
    return f"{address}{slash}{length}"


@dataclass(frozen=True, slots=True)
class CanonicalEndpoint:
    """What an end is, told the same by every event that shows it: the rows of ENDPOINTS.

    ``labels`` are sorted texts; ``reserved`` the names behind ``reserved:`` labels, sorted; ``pod`` is kept only
    where the labels cannot tell pods apart (no labels, or ``reserved:init``).
    """

    cluster_name: str
    namespace: str
    labels: tuple[str, ...]
    reserved: tuple[str, ...]
    pod: str = ""

    @property
    def is_pod(self) -> bool:
        """Tell whether policies see a pod (by its labels) and not a place (an entity, a CIDR, the world)."""
        if self.labels:
            return any(parse(text).source not in _PLACE_SOURCES for text in self.labels)
        return bool(self.pod)


def canonical(
    *,
    cluster_name: str = "",
    namespace: str = "",
    labels: Iterable[str] = (),
    identity: int = 0,
    pod_name: str = "",
) -> CanonicalEndpoint:
    """Return the canonical form of an endpoint as an event shows it.

    The cluster is the endpoint's own label where it has one, else ``cluster_name``. Without labels a reserved
    numeric identity stands for its label; numeric identities are never kept otherwise, for they are reused.
    """
    texts = sorted(set(labels))
    if not texts and identity in RESERVED_IDENTITIES:
        texts = [f"reserved:{RESERVED_IDENTITIES[identity]}"]
    parsed = [parse(text) for text in texts]
    for label in parsed:
        if label.key == CLUSTER_KEY and label.value:
            cluster_name = label.value
        elif label.key == NAMESPACE_KEY and label.value:
            namespace = label.value
    reserved = tuple(label.key for label in parsed if label.source == "reserved")
    pod = pod_name if not texts or "init" in reserved else ""
    place = bool(parsed) and all(label.source in _PLACE_SOURCES for label in parsed)
    if place and not pod:
        namespace = ""
    return CanonicalEndpoint(cluster_name, namespace, tuple(texts), reserved, pod)


def endpoint_id(endpoint: CanonicalEndpoint) -> int:
    """Return the endpoint's id: an unsigned 64-bit hash, its lowest bit set for pods (see `is_pod_id`).

    An end about which nothing is known is `UNKNOWN_ID`. The same endpoint has the same id in every batch,
    process, file and run.
    """
    if not (endpoint.labels or endpoint.pod):
        return UNKNOWN_ID
    text = "\x00".join((endpoint.cluster_name, endpoint.namespace, endpoint.pod, *endpoint.labels))
    digest = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    return (digest | 1) if endpoint.is_pod else (digest & ~1) or 2


def is_pod_id(identifier: int) -> bool:
    """Tell from an endpoint id alone whether it is a pod's; vectorised callers test the lowest bit themselves."""
    return bool(identifier & 1)


def selector_parts(text: str) -> list[str]:
    """Return the requirements of a label selector, which commas separate but those in brackets.

    >>> selector_parts("tier in (a, b), !canary")
    ['tier in (a, b)', '!canary']
    """
    parts = [""]
    for piece in _SEPARATOR.split(text):
        if piece == ",":
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts]
