"""Additions to rules and policies as values: what a policy is with further entries, or a proposal with some of its own."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flowmine.policy.model import Direction, Entry, Policy, Rule, Section
from flowmine.synth.assemble import CLOSED, EntryKey, Proposal
from flowmine.synth.draft import Reason

__all__ = ["Extension", "Lines", "closing", "extended", "one_way", "remainder", "section_of"]

Lines = tuple[tuple[Entry, Reason], ...]
"""Entries in their order, and why each is needed."""


@dataclass(frozen=True, slots=True)
class Extension:
    """Entries for one direction of a rule in a folder (policy and rule, by place)."""

    written: int
    rule: int
    direction: Direction
    entries: Lines


def section_of(direction: Direction) -> Section:
    """Return the section that holds a direction's allow entries."""
    return Section.INGRESS if direction is Direction.INGRESS else Section.EGRESS


def one_way(rule: Rule, direction: Direction, entries: Iterable[Entry]) -> Rule:
    """Return a rule for the same endpoints with these entries in one direction and none in the other."""
    only: dict[str, Any] = {direction.value: tuple(entries)}
    return Rule(endpoint_selector=rule.endpoint_selector, **only)


def closing(rule: Rule) -> Rule:
    """Return the rule that closes what another closes, and lets nothing through."""
    only: dict[str, Any] = {way.value: (CLOSED,) for way in Direction if rule.section(section_of(way))}
    return Rule(endpoint_selector=rule.endpoint_selector, **only)


def extended(policy: Policy, extension: Extension) -> Policy:
    """Return a policy with further entries in one of its rules."""
    rule = policy.rules[extension.rule]
    entries = (*rule.section(section_of(extension.direction)), *(entry for entry, _ in extension.entries))
    changed: dict[str, Any] = {extension.direction.value: entries}
    rules = list(policy.rules)
    rules[extension.rule] = replace(rule, **changed)
    return replace(policy, rules=tuple(rules))


def remainder(
    proposal: Proposal, lines: Mapping[tuple[int, Direction], Lines], taken: Collection[str]
) -> Proposal:
    """Return the proposal with these entries alone, by its rules (by place) and directions.

    Its policy has another name where its own is `taken` (references) by somebody's policy.
    """
    rules: list[Rule] = []
    reasons: dict[EntryKey, Reason] = {}
    for place, rule in enumerate(proposal.policy.rules):
        mine = {way: lines[place, way] for way in Direction if lines.get((place, way))}
        if not mine:
            continue
        for way, some in mine.items():
            reasons |= {(len(rules), way, at): reason for at, (_, reason) in enumerate(some)}
        only: dict[str, Any] = {way.value: tuple(entry for entry, _ in some) for way, some in mine.items()}
        rules.append(Rule(endpoint_selector=rule.endpoint_selector, description=rule.description, **only))
    policy = replace(proposal.policy, rules=tuple(rules))
    number = 1
    while policy.ref in taken:
        suffix = "-flowmine" if number == 1 else f"-flowmine-{number}"
        policy = replace(policy, name=f"{proposal.policy.name}{suffix}")
        number += 1
    return replace(proposal, policy=policy, reasons=reasons)
