"""Host policies: what may reach the nodes themselves, one clusterwide policy for the nodes of a cluster.

Hubble shows of a node's own traffic what passes the host firewall's endpoint, not the tunnels, health checks and
control plane traffic between nodes. So only ingress is closed, and the nodes stay open to each other.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from flowmine.policy.model import Direction, Entry, Kind, Policy, Rule, Selector
from flowmine.synth.assemble import Proposal
from flowmine.synth.contacts import Contacts
from flowmine.synth.draft import Reason
from flowmine.synth.reduce import reduce_entries
from flowmine.synth.rules import Frame, draft
from flowmine.synth.subjects import Workload
from flowmine.synth.traffic import Link
from flowmine.synth.universe import Universe

__all__ = ["NAME", "host_policies", "is_node"]

NAME = "nodes"
"""What the policy is called."""

_NODE = frozenset({"host", "remote-node"})
_OPEN = ("health", "kube-apiserver", "remote-node")
_NOTES = (
    "WARNING: applied wrongly this cuts nodes off, SSH included; look through it, and try it with --stage audit first",
    "ingress only: Hubble does not show all that nodes send",
)
_BETWEEN = Reason(
    about="the nodes among themselves",
    required="tunnels, health checks, the control plane and the kubelets are not all to be seen in Hubble",
)


def is_node(universe: Universe, party: int) -> bool:
    """Tell whether a party is a node of the cluster, the one that saw the event or another."""
    found = universe.party(party)
    return found is not None and any(
        label.source == "reserved" and label.key in _NODE for label in found.labels
    )


def host_policies(
    frame: Frame, universe: Universe, admitted: Iterable[Link], nodes: Selector
) -> tuple[Proposal, ...]:
    """Return a policy for the nodes that ``nodes`` selects, for every cluster whose nodes were seen to be called."""
    contacts: dict[str, Contacts] = defaultdict(Contacts)
    for link in admitted:
        called = is_node(universe, link.target.party) and not is_node(universe, link.source.party)
        if called and link.source.is_nameable:
            contacts[link.target.cluster].add(link.source, link)
    return tuple(_policy(frame, cluster, found, nodes) for cluster, found in sorted(contacts.items()))


def _policy(frame: Frame, cluster: str, contacts: Contacts, nodes: Selector) -> Proposal:
    subject = Workload(cluster, "", "Node", NAME, ())
    wider = replace(frame, workloads=(*frame.workloads, subject), requests={})  # no L7 at the host
    for name in _OPEN:
        contacts.entities.pop(name, None)
    drafts = draft(wider, len(frame.workloads), Direction.INGRESS, contacts)
    written = [(Entry(entities=_OPEN), _BETWEEN)]
    written += [(entry, each.reason) for each in drafts for entry in each.entries(frame.options.cilium)]
    listed = reduce_entries(written, Reason.joined)
    rule = Rule(node_selector=nodes, ingress=tuple(entry for entry, _ in listed))
    reasons = {(0, Direction.INGRESS, number): reason for number, (_, reason) in enumerate(listed)}
    return Proposal(cluster, Policy(Kind.CCNP, NAME, rules=(rule,)), reasons, _NOTES)
