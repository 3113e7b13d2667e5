"""Policies as those of the cluster that recorded some flows: what drops and simulations ask."""

from collections.abc import Mapping
from dataclasses import replace

from flowmine.advise.inforce import InForce, in_force, own_cluster
from flowmine.advise.replay import is_dual_stack
from flowmine.edges import Edges
from flowmine.engine.config import Config
from flowmine.engine.party import Party
from flowmine.engine.policyset import PolicySet as EngineSet
from flowmine.notebook.policies import Policies, PolicySet, policy_set
from flowmine.policy.files import read_texts

__all__ = ["NamedPorts", "enforced", "judging"]

NamedPorts = Mapping[str, str]
"""What container ports are called, which flows do not tell: ``{"http": "8080/TCP"}``."""


def judging(policies: PolicySet, edges: Edges) -> EngineSet:
    """Return policies as the agents of a capture's own cluster hold them: its name, and whether it has both families.

    What a set's own configuration says wins over what the capture shows.
    """
    config, usual = policies.config, Config()
    name = config.cluster_name
    config = replace(
        config,
        cluster_name=own_cluster(edges)[0] or name if name == usual.cluster_name else name,
        ipv6=config.ipv6 or is_dual_stack(edges),
    )
    return EngineSet.from_policies(policies.policies, policies.groups, config)


def enforced(
    policies: Policies, edges: Edges, named_ports: NamedPorts | None = None
) -> tuple[InForce, dict[str, str]]:
    """Return policies as those in force where edges were recorded, and the texts of their files.

    Raise PolicyError where a path holds no policy, InputError where a named port is none.
    """
    chosen = policy_set(policies)
    judges = judging(chosen, edges)
    documents = chosen.manifests()
    homes = in_force(documents, cluster=judges.config.cluster_name, unknown="prune")
    refs = {policy.ref for policy in judges.policies}
    found = InForce(
        judges,
        {ref: home for ref, home in homes.homes.items() if ref in refs},
        {ref: manifest for ref, manifest in homes.manifests.items() if ref in refs},
        tuple(map(str, chosen.problems())),
        Party.of({"named_ports": dict(named_ports or {})}).named_ports,
    )
    return found, read_texts(documents)
