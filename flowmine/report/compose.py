"""Compose the view of a report from what was read, recommended, dropped and linted."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flowmine.advise.drops import DropReport, summary
from flowmine.advise.finding import Finding
from flowmine.advise.inforce import Governed, InForce
from flowmine.advise.recommend import Recommendation
from flowmine.advise.recorded import Recorded, recorded
from flowmine.advise.rulings import Ruling, SideRuling, rulings
from flowmine.edges import Edges
from flowmine.engine.party import Party
from flowmine.ledger import Ledger
from flowmine.policy.model import Direction
from flowmine.report.cast import Cast, cast
from flowmine.report.connections import RuleRef, Sides, connections
from flowmine.report.droptexts import drop_texts
from flowmine.report.dropview import drop_table
from flowmine.report.policytexts import Shelf
from flowmine.report.recommendation import rollout, told
from flowmine.report.trust import ledger_lines, ledger_rows, window_text
from flowmine.report.view import FindingText, Node, Side, StepText, View
from flowmine.synth.evidence import Witness

__all__ = ["Advice", "compose"]


@dataclass(frozen=True, slots=True)
class Advice:
    """All that was found out about a capture: what is recommended (None where nothing could be), dropped, in force, linted."""

    drops: DropReport
    recommendation: Recommendation | None = None
    policies: InForce | None = None
    findings: Sequence[Finding] | None = None
    remarks: tuple[str, ...] = ()


def compose(edges: Edges, ledger: Ledger, advice: Advice, title: str) -> View:
    """Return the view of a capture read to its end."""
    known = recorded(edges)
    who, shelf = cast(known), Shelf()
    admitted, nodes = _recommended(edges, who, shelf, advice.recommendation)
    judged: Mapping[int, Sides] = {}
    if advice.policies:
        judged, nodes = _in_force(known, who, shelf, advice.policies, nodes)
    made = connections(known, who, admitted, judged, _drops(advice.drops))
    return View(
        title=title,
        facts=_facts(ledger, who, len(made), advice),
        groups=who.groups,
        nodes=nodes,
        connections=made,
        policies=tuple(shelf.texts),
        drops=drop_texts(advice.drops),
        drop_table=drop_table(advice.drops),
        drop_lines=tuple(summary(advice.drops)),
        findings=None if advice.findings is None else tuple(map(_finding, advice.findings)),
        ledger=ledger_rows(edges.ledger),
        ledger_lines=ledger_lines(ledger),
        rollout=_rollout(advice.recommendation),
        told=tuple(told(advice.recommendation)) if advice.recommendation else (),
        remarks=advice.remarks,
    )


def _facts(ledger: Ledger, who: Cast, connected: int, advice: Advice) -> tuple[tuple[str, str], ...]:
    proof = advice.recommendation.proof if advice.recommendation else None
    standing = len(advice.drops.standing)
    return (
        ("flows", f"{ledger.flows:,}"),
        ("window", window_text(ledger)),
        ("workloads", f"{len(who.workloads):,}"),
        ("connections", f"{connected:,}"),
        ("drops to decide on", f"{standing:,}"),
        *([("edges proved allowed", f"{proof.edges:,}")] if proof else []),
    )


def _recommended(
    edges: Edges, who: Cast, shelf: Shelf, found: Recommendation | None
) -> tuple[dict[int, list[RuleRef]], tuple[Node, ...]]:
    """Put the recommended policies on the shelf; return the entries that admit each row, and the nodes with theirs."""
    admitted: dict[int, list[RuleRef]] = defaultdict(list)
    if found is None:
        return admitted, who.nodes
    homes = {
        (each.workload.cluster, each.workload.namespace, each.workload.name): (place, each)
        for place, each in enumerate(found.synthesis.standings)
    }
    nodes = list(who.nodes)
    for place, standing in homes.values():
        closed = [direction.value for direction in Direction if direction in standing.closed]
        stand = f"closed by the recommendation: {' and '.join(closed)}" if closed else "left open"
        why = standing.refused or standing.reason
        node = who.workloads[place]
        nodes[node] = replace(nodes[node], standing=f"{stand} ({why})" if why else stand)
    for proposal, text in zip(
        found.proposals, shelf.add_recommended(found.proposals, Witness(edges)), strict=True
    ):
        policy = proposal.policy
        if (home := homes.get((proposal.cluster, policy.namespace or "", policy.name))) is not None:
            node = who.workloads[home[0]]
            nodes[node] = replace(nodes[node], recommended=(*nodes[node].recommended, text))
        for (rule, direction, entry), reason in proposal.reasons.items():
            ref = shelf.rule(text, f"{policy.path(rule)}.{direction}[{entry}]")
            if ref is not None:
                for row in reason.rows:
                    admitted[row].append(ref)
    return admitted, tuple(nodes)


def _in_force(
    known: Recorded, who: Cast, shelf: Shelf, policies: InForce, nodes: tuple[Node, ...]
) -> tuple[dict[int, Sides], tuple[Node, ...]]:
    """Put the policies in force on the shelf; return what they say of each row, and the nodes with those that select them."""
    shelf.add_in_force(policies)
    found = rulings(known, policies, range(len(known.links)))
    return {row: _sides(shelf, ruling) for row, ruling in found.items()}, _selected(
        known, who, shelf, policies, nodes
    )


def _sides(shelf: Shelf, ruling: Ruling) -> Sides:
    return _side(shelf, ruling.sides[Direction.EGRESS]), _side(shelf, ruling.sides[Direction.INGRESS])


def _side(shelf: Shelf, ruling: SideRuling) -> Side:
    if not ruling.governed:
        return Side("not governed")
    rules = []
    for text in ruling.by:
        ref, _, path = text.partition(":")
        place = shelf.in_force(ref)
        if place is not None and path and (rule := shelf.rule(place, path)):
            rules.append(rule)
    return Side(ruling.outcome.label, ruling.by, tuple(rules))


def _selected(
    known: Recorded, who: Cast, shelf: Shelf, policies: InForce, nodes: tuple[Node, ...]
) -> tuple[Node, ...]:
    universe, items = known.scene.universe, known.scene.workloads.items
    parties = [universe.party(item.endpoints[0]) for item in items]
    labels = [Party(tuple(map(str, party.labels)) if party else ()) for party in parties]
    governed = Governed(policies.policies.index, labels)
    selecting: dict[int, set[int]] = defaultdict(set)
    for rule in governed.rules:
        if (place := shelf.in_force(rule[0])) is not None:
            for workload in governed.selected(rule).nonzero()[0].tolist():
                selecting[who.workloads[workload]].add(place)
    return tuple(
        replace(node, in_force=tuple(sorted(selecting[place]))) if place in selecting else node
        for place, node in enumerate(nodes)
    )


def _drops(report: DropReport) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for place, drop in enumerate(report.standing):
        for row in drop.group.rows:
            found[row].append(place)
    return found


def _finding(finding: Finding) -> FindingText:
    where = f"{finding.where}, line {finding.line}" if finding.line else finding.where
    return FindingText(finding.level.value, finding.rule, finding.policy, where, finding.message, finding.fix)


def _rollout(found: Recommendation | None) -> tuple[StepText, ...]:
    steps = rollout(found) if found else []
    several = len({step.cluster for step in steps}) > 1
    return tuple(
        StepText(f"{step.cluster}: {step.namespace}" if several else step.namespace, step.ready, step.guesses)
        for step in steps
    )
