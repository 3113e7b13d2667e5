"""What a running cluster says of itself, read through kubeconfig (or from within a pod) with `list` rights only.

Nothing is written, watched or read object by object.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from flowmine.cluster.kubeconfig import client_of
from flowmine.cluster.listing import Listing, Manifest, Resource
from flowmine.engine.policyset import PolicySet
from flowmine.errors import InputError
from flowmine.labels import CLUSTER_KEY

__all__ = ["RESOURCES", "Cluster", "ClusterEndpoint", "cluster_name", "connect"]

_CNP = Resource("CiliumNetworkPolicy", "ciliumnetworkpolicies", "cilium.io", ("v2",))
_CCNP = Resource("CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies", "cilium.io", ("v2",))
_KNP = Resource("NetworkPolicy", "networkpolicies", "networking.k8s.io", ("v1",))
_GROUPS = Resource("CiliumCIDRGroup", "ciliumcidrgroups", "cilium.io", ("v2", "v2alpha1"))
_IDENTITIES = Resource("CiliumIdentity", "ciliumidentities", "cilium.io", ("v2",))
_ENDPOINTS = Resource("CiliumEndpoint", "ciliumendpoints", "cilium.io", ("v2",))
_NAMESPACES = Resource("Namespace", "namespaces", "", ("v1",))

_T = TypeVar("_T")

RESOURCES = (_CNP, _CCNP, _KNP, _GROUPS, _IDENTITIES, _ENDPOINTS, _NAMESPACES)
"""All that is ever listed."""


@dataclass(frozen=True, slots=True)
class ClusterEndpoint:
    """A pod as its node's agent reports it.

    `labels` are the identity's, as texts (`k8s:app=web`); `named_ports` map a name to `8080/TCP`.
    """

    namespace: str
    pod: str
    identity: int
    labels: tuple[str, ...]
    addresses: tuple[str, ...]
    named_ports: Mapping[str, str]


class Cluster:
    """A cluster to read from; every method lists afresh and needs the right to list only what it names.

    All raise InputError, naming the right or the cause, where the server does not answer with a list.
    """

    def __init__(self, client: Any) -> None:
        """Take an `ApiClient` of the official library; see `connect`."""
        self._listing = Listing(client)

    @property
    def host(self) -> str:
        """The address of the API server."""
        return self._listing.host

    def policies(self) -> tuple[Manifest, ...]:
        """Return the policies in force, and the CIDR groups that they may refer to, as manifests.

        Needs `list` on ciliumnetworkpolicies, ciliumclusterwidenetworkpolicies and ciliumcidrgroups (cilium.io) and on
        networkpolicies (networking.k8s.io). A kind that the cluster does not serve has no objects; a cluster
        that serves neither of Cilium's kinds of policy is an InputError.
        """
        cilium = [self._listing.objects(resource) for resource in (_CNP, _CCNP)]
        if cilium == [None, None]:
            raise InputError(
                f"{self.host}: the cluster knows no {_CNP.name} (404): Cilium is not installed there; choose another "
                "cluster with --context, or give the policies with --policies"
            )
        others = [self._listing.objects(resource) for resource in (_GROUPS, _KNP)]
        return tuple(manifest for found in (*cilium, *others) for manifest in found or ())

    def policy_set(
        self, *, enforcement: str = "default", config: Mapping[str, Any] | None = None
    ) -> PolicySet:
        """Return the policies in force, ready to judge; fields the API server does not know are pruned as it does."""
        return PolicySet.from_dicts(self.policies(), enforcement=enforcement, config=config, unknown="prune")

    def namespaces(self) -> dict[str, dict[str, str]]:
        """Return the labels of every namespace, by name. Needs `list` on namespaces."""
        return dict(self._read(_NAMESPACES, _namespace))

    def identities(self) -> dict[int, tuple[str, ...]]:
        """Return the labels of every identity of pods, as sorted texts. Needs `list` on ciliumidentities.cilium.io.

        Empty where the agents keep identities in a key-value store of their own.
        """
        return {number: labels for number, labels in self._read(_IDENTITIES, _identity) if number is not None}

    def endpoints(self) -> tuple[ClusterEndpoint, ...]:
        """Return every pod that Cilium manages, by namespace and name. Needs `list` on ciliumendpoints.cilium.io."""
        return tuple(sorted(self._read(_ENDPOINTS, _endpoint), key=lambda each: (each.namespace, each.pod)))

    def _read(self, resource: Resource, how: Callable[[Manifest], _T]) -> list[_T]:
        """Return what is made of each object of a kind. Raise InputError for one that is not of its kind's form."""
        made = []
        for item in self._listing.objects(resource) or ():
            try:
                made.append(how(item))
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                raise InputError(
                    f"{self.host}: {resource.name} {item['metadata']['name']!r} is not of that kind's form ({error}); "
                    "is this an API server?"
                ) from error
        return made


def connect(
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    *,
    secrets: Path | None = None,
) -> Cluster:
    """Return the cluster of a kubeconfig's context; nothing is asked of it yet.

    Without `kubeconfig` it is `$KUBECONFIG`, else `~/.kube/config`, and where there is none, inside a pod, the pod's own
    cluster by the service account in `secrets` (a folder; by default where Kubernetes mounts it). Raise UsageError where
    the client is not installed, or no cluster is configured so.
    """
    return Cluster(client_of(kubeconfig, context, secrets))


def cluster_name(identities: Iterable[Iterable[str]]) -> str | None:
    """Return the cluster's own name, that most of its identities' labels say; None where they do not.

    >>> cluster_name([["k8s:app=web", "k8s:io.cilium.k8s.policy.cluster=east"]])
    'east'
    """
    prefix = f"k8s:{CLUSTER_KEY}="
    counts = Counter(
        text.removeprefix(prefix) for labels in identities for text in labels if text.startswith(prefix)
    )
    return min(counts, key=lambda name: (-counts[name], name)) if counts else None


def _namespace(item: Manifest) -> tuple[str, dict[str, str]]:
    return item["metadata"]["name"], dict(item["metadata"].get("labels") or {})


def _identity(item: Manifest) -> tuple[int | None, tuple[str, ...]]:
    """Return an identity's number, None where its name is none, and its labels."""
    name = item["metadata"]["name"]
    number = int(name) if name.isdecimal() else None
    return number, tuple(sorted(_label_texts(item.get("security-labels") or {})))


def _label_texts(labels: Mapping[str, str]) -> Iterator[str]:
    for key, value in labels.items():
        yield key if key.startswith("reserved:") and not value else f"{key}={value}"


def _endpoint(item: Manifest) -> ClusterEndpoint:
    status = item.get("status") or {}
    identity = status.get("identity") or {}
    addressing = (status.get("networking") or {}).get("addressing") or ()
    return ClusterEndpoint(
        namespace=str(item["metadata"].get("namespace", "")),
        pod=str(item["metadata"]["name"]),
        identity=int(identity.get("id") or 0),
        labels=tuple(sorted(map(str, identity.get("labels") or ()))),
        addresses=tuple(
            str(pair[family]) for pair in addressing for family in ("ipv4", "ipv6") if pair.get(family)
        ),
        named_ports={
            str(each["name"]): f"{each.get('port')}/{each.get('protocol', 'TCP')}"
            for each in status.get("named-ports") or ()
            if each.get("name")
        },
    )
