"""What labels say an end is, in the terms in which policies name it: pod, entity or outside."""

from collections.abc import Iterable
from enum import Enum

from flowmine.labels import Label, parse

__all__ = ["ENTITIES", "Kind", "entities_of", "kind_of"]

ENTITIES = frozenset(
    {"host", "remote-node", "kube-apiserver", "ingress", "health", "init", "unmanaged", "encrypted-overlay"}
)
"""Reserved names that are not the outside world (Cilium ``pkg/policy/api/entity.go``)."""

_WORLD = frozenset({"world", "world-ipv4", "world-ipv6"})


class Kind(Enum):
    """How a policy can name an end."""

    POD = "pod"
    """By its labels."""
    ENTITY = "entity"
    """By a reserved name other than world: host, remote-node, kube-apiserver, ingress, health, init, unmanaged."""
    OUTSIDE = "outside"
    """By CIDR, FQDN or the entity world."""
    UNKNOWN = "unknown"
    """Not at all: the event carried neither labels nor an identity. Never made into a selector."""


def kind_of(labels: Iterable[str]) -> Kind:
    """Return how policies can name an end with these label texts.

    An identity may carry several reserved labels: ``kube-apiserver`` with ``remote-node``, or with ``cidr:`` and
    ``world`` where the API server is outside the cluster; the entity wins, for it is the narrower name.

    >>> kind_of(["k8s:app=web"]), kind_of(["reserved:kube-apiserver", "reserved:world"])
    (<Kind.POD: 'pod'>, <Kind.ENTITY: 'entity'>)
    """
    parsed = [parse(text) for text in labels]
    if not parsed:
        return Kind.UNKNOWN
    if entities_of(parsed):
        return Kind.ENTITY
    if any(label.source in ("cidr", "cidrgroup", "fqdn") or _is_world(label) for label in parsed):
        return Kind.OUTSIDE
    return Kind.ENTITY if all(label.source in ("reserved", "node") for label in parsed) else Kind.POD


def entities_of(labels: Iterable[Label]) -> tuple[str, ...]:
    """Return the entities other than world that the labels name, sorted."""
    return tuple(
        sorted(label.key for label in labels if label.source == "reserved" and label.key in ENTITIES)
    )


def _is_world(label: Label) -> bool:
    return label.source == "reserved" and label.key in _WORLD
