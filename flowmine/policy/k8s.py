"""The shape of a Kubernetes NetworkPolicy (`networking.k8s.io/v1`).

An absent list and an empty one mean the same here, so both are `()`: no `from` admits everybody, no `ports` every port.
An empty rule, `ingress: [{}]`, admits everything, unlike in a CiliumNetworkPolicy.
"""

from dataclasses import dataclass

from flowmine.policy.canonical import distinct, distinct_cidrs
from flowmine.policy.selector import EVERYTHING, Selector

__all__ = ["IpBlock", "K8sEntry", "K8sPeer", "K8sPort", "NetworkPolicySpec"]


@dataclass(frozen=True, slots=True)
class IpBlock:
    """A CIDR without the `except` ranges inside it."""

    cidr: str | None = None
    except_: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "except_", distinct_cidrs(self.except_))


@dataclass(frozen=True, slots=True)
class K8sPeer:
    """One item of `from` or `to`: pods by namespace and pod labels, or an address block.

    | namespace_selector | pod_selector | selects                                       |
    |--------------------|--------------|-----------------------------------------------|
    | None               | given        | these pods of the policy's own namespace      |
    | given              | None         | all pods of these namespaces                  |
    | given              | given        | these pods of these namespaces                |
    """

    pod_selector: Selector | None = None
    namespace_selector: Selector | None = None
    ip_block: IpBlock | None = None


@dataclass(frozen=True, slots=True)
class K8sPort:
    """One item of `ports`: a number or a name, absent for all; protocol absent is TCP."""

    protocol: str | None = None
    port: int | str | None = None
    end_port: int | None = None


@dataclass(frozen=True, slots=True)
class K8sEntry:
    """One ingress or egress rule: the peers (`from` or `to`) and ports that it admits."""

    peers: tuple[K8sPeer, ...] = ()
    ports: tuple[K8sPort, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "peers", distinct(self.peers))
        object.__setattr__(self, "ports", distinct(self.ports))


@dataclass(frozen=True, slots=True)
class NetworkPolicySpec:
    """`spec` of a NetworkPolicy; `policy_types` are as written and may be absent (`()`)."""

    pod_selector: Selector = EVERYTHING
    policy_types: tuple[str, ...] = ()
    ingress: tuple[K8sEntry, ...] = ()
    egress: tuple[K8sEntry, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "policy_types", tuple(sorted(set(self.policy_types), reverse=True)))
        object.__setattr__(self, "ingress", tuple(self.ingress))
        object.__setattr__(self, "egress", tuple(self.egress))
