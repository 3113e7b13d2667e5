"""A namespace's baseline: one policy that closes all its pods, those that come later included."""

from collections import defaultdict
from collections.abc import Iterable

from flowmine.policy.model import EVERYTHING, Direction, Entry, Kind, Policy, Rule
from flowmine.synth.assemble import Proposal
from flowmine.synth.draft import Reason
from flowmine.synth.standing import Standing

__all__ = ["NAME", "baselines"]

NAME = "default-deny"
"""What the policy is called; Kubernetes' and Cilium's documentation call theirs so."""


def baselines(standings: Iterable[Standing]) -> tuple[tuple[Proposal, ...], tuple[str, ...]]:
    """Return a default-deny policy for every namespace that can bear it, and a remark for each that cannot.

    It closes every pod, so each workload seen in the namespace must have policies for both sides.
    """
    homes: dict[tuple[str, str], list[Standing]] = defaultdict(list)
    for each in standings:
        homes[each.workload.cluster, each.workload.namespace].append(each)
    made: list[Proposal] = []
    remarks: list[str] = []
    for (cluster, namespace), members in sorted(homes.items()):
        if not any(each.closed for each in members):
            continue
        half = [each.workload.name for each in members if len(each.closed) < len(Direction)]
        if half:
            remarks.append(
                f"no baseline for {namespace}: it would cut off {', '.join(half)}, which get no rules for both sides"
            )
        else:
            made.append(_baseline(cluster, namespace, {each.workload.name for each in members}))
    return tuple(made), tuple(remarks)


def _baseline(cluster: str, namespace: str, taken: set[str]) -> Proposal:
    name = NAME if NAME not in taken else f"{NAME}-baseline"
    rule = Rule(endpoint_selector=EVERYTHING, ingress=(Entry(),), egress=(Entry(),))
    reasons = {
        (0, direction, 0): Reason(
            about=f"{direction} of every pod here: closed but for what other policies allow", closes=True
        )
        for direction in Direction
    }
    note = "baseline: also closes pods that were not seen, those that come later included"
    return Proposal(cluster, Policy(Kind.CNP, name, namespace=namespace, rules=(rule,)), reasons, (note,))
