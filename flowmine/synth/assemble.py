"""From the drafts of one workload to its policies, whichever way they are to be cut."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from flowmine.policy.model import Direction, Entry, Kind, Policy, Rule, Selector
from flowmine.synth.draft import Draft, Reason
from flowmine.synth.naming import dns_name
from flowmine.synth.reduce import reduce_entries
from flowmine.synth.scope import Per
from flowmine.synth.subjects import Workload

__all__ = ["EntryKey", "Plan", "Proposal", "assemble", "in_order"]

EntryKey = tuple[int, Direction, int]
"""Which rule of a policy, which direction, which entry there."""

CLOSED = Entry()
"""As the only entry of a direction: default deny, nothing allowed (SEMANTICS 1)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be said of one workload: its selector, and the drafts of each side that may be closed."""

    workload: Workload
    selector: Selector
    sides: Mapping[Direction, tuple[Draft, ...]]
    notes: tuple[str, ...] = ()
    quiet: Mapping[Direction, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One policy, why each of its entries stands there, and what is to be said of it as a whole."""

    cluster: str
    policy: Policy
    reasons: Mapping[EntryKey, Reason]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """One rule in the making, with the reasons of its entries."""

    rule: Rule
    reasons: Mapping[tuple[Direction, int], Reason]


def assemble(plans: Sequence[Plan], per: Per, cilium: tuple[int, int]) -> tuple[Proposal, ...]:
    """Return the policies of all plans, sorted by cluster, namespace and name."""
    made = {Per.WORKLOAD: _by_workload, Per.NAMESPACE: _by_namespace, Per.FLOW: _by_flow}[per](plans, cilium)
    return in_order(made)


def in_order(proposals: Iterable[Proposal]) -> tuple[Proposal, ...]:
    """Return proposals in the order in which they are written: by cluster, namespace and name."""
    return tuple(
        sorted(proposals, key=lambda each: (each.cluster, each.policy.namespace or "", each.policy.name))
    )


def _by_workload(plans: Sequence[Plan], cilium: tuple[int, int]) -> Iterable[Proposal]:
    for plan in plans:
        yield _proposal(plan, plan.workload.name, [_part(plan, plan.sides, cilium)], plan.notes)


def _by_namespace(plans: Sequence[Plan], cilium: tuple[int, int]) -> Iterable[Proposal]:
    homes: dict[tuple[str, str], list[Plan]] = {}
    for plan in plans:
        homes.setdefault((plan.workload.cluster, plan.workload.namespace), []).append(plan)
    for (_, namespace), members in homes.items():
        parts = [_part(plan, plan.sides, cilium, described=True) for plan in members]
        notes = tuple(f"{plan.workload.name}: {note}" for plan in members for note in plan.notes)
        yield _proposal(members[0], dns_name(namespace), parts, notes)


def _by_flow(plans: Sequence[Plan], cilium: tuple[int, int]) -> Iterable[Proposal]:
    for plan in plans:
        for direction, drafts in plan.sides.items():
            for draft in drafts or (None,):
                part = _part(plan, {direction: (draft,) if draft else ()}, cilium)
                digest = blake2b(repr(part.rule).encode(), digest_size=4).hexdigest()
                name = f"{plan.workload.name}-{direction}-{digest}"
                yield _proposal(plan, name, [part], plan.notes)


def _proposal(plan: Plan, name: str, parts: Sequence[_Part], notes: tuple[str, ...]) -> Proposal:
    policy = Policy(
        Kind.CNP, name, namespace=plan.workload.namespace, rules=tuple(part.rule for part in parts)
    )
    reasons = {
        (place, direction, entry): reason
        for place, part in enumerate(parts)
        for (direction, entry), reason in part.reasons.items()
    }
    return Proposal(plan.workload.cluster, policy, reasons, notes)


def _part(
    plan: Plan,
    sides: Mapping[Direction, tuple[Draft, ...]],
    cilium: tuple[int, int],
    *,
    described: bool = False,
) -> _Part:
    entries: dict[Direction, tuple[Entry, ...]] = {}
    reasons: dict[tuple[Direction, int], Reason] = {}
    for direction, drafts in sides.items():
        written = [(entry, draft.reason) for draft in drafts for entry in draft.entries(cilium)]
        listed = reduce_entries(written, Reason.joined)
        entries[direction] = tuple(entry for entry, _ in listed) or (CLOSED,)
        reasons.update({(direction, place): reason for place, (_, reason) in enumerate(listed)})
        if not listed:
            reasons[direction, 0] = Reason(about=plan.quiet.get(direction, ""), closes=True)
    rule = Rule(
        endpoint_selector=plan.selector,
        ingress=entries.get(Direction.INGRESS),
        egress=entries.get(Direction.EGRESS),
    )
    return _Part(replace(rule, description=plan.workload.name) if described else rule, reasons)
