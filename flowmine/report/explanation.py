"""`explain` for people and for programs: rules with the traffic behind them, traffic with the rules behind it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flowmine.advise.completeness import LEAST_HOURS, Completeness
from flowmine.advise.explain import Explanation, Flow, RuleEvidence
from flowmine.advise.recorded import Recorded
from flowmine.engine.verdict import Outcome
from flowmine.policy.model import Direction
from flowmine.report.tables import Column, Table, clean, plain_lines
from flowmine.synth.traffic import Spot

__all__ = ["explanation_json", "explanation_lines"]

_SHOWN = 5


def explanation_lines(found: Explanation, known: Recorded) -> Iterator[str]:
    """Yield the text: each policy's rules with the connections behind them, then all connections, then completeness."""
    policy = ""
    for rule in found.rules:
        if rule.policy != policy:
            policy = rule.policy
            yield policy
        yield f"  {rule.path}: {_rule(rule, found.hours)}"
        bundles = _bundles([found.flows[row] for row in rule.rows], known)
        for bundle in bundles[:_SHOWN]:
            yield f"    {clean(bundle.source)} to {clean(bundle.target)} on {bundle.port}: {bundle.flows:,} flows"
        if len(bundles) > _SHOWN:
            yield f"    and {len(bundles) - _SHOWN:,} more"
    yield ""
    yield from plain_lines(_flows(found, known))
    yield ""
    yield from _completeness(found)


def _rule(rule: RuleEvidence, window: int) -> str:
    if rule.closes:
        return "closes the direction"
    if not rule.rows:
        return "no delivered traffic was seen behind it"
    parts = [str(rule.evidence)]
    if rule.denies:
        parts.append(f"denies {len(rule.rows):,} of the connections that were delivered")
    elif not rule.alone:
        parts.append("other rules admit all of it as well")
    if rule.evidence.hours == 1 and window > 1:
        parts.append("seen in one hour only")
    return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class _Bundle:
    """Connections that differ in nothing but an outside address, and where they came to nothing in the port."""

    source: str
    target: str
    port: str
    outcome: str
    egress: str
    ingress: str
    flows: int


def _bundles(flows: Sequence[Flow], known: Recorded) -> list[_Bundle]:
    groups: dict[tuple[str, str, str, str, str, str], list[Flow]] = defaultdict(list)
    for flow in flows:
        link = flow.link
        source, target = (
            "outside" if _is_outside(each) else known.title(each) for each in (link.source, link.target)
        )
        port = _port(flow) if link.outcome == "delivered" else ""
        egress, ingress = (_by(flow, direction) for direction in (Direction.EGRESS, Direction.INGRESS))
        groups[source, target, port, link.outcome, egress, ingress].append(flow)
    return [
        _Bundle(
            source=_named([flow.link.source for flow in some], known),
            target=_named([flow.link.target for flow in some], known),
            port=_ports(some),
            outcome=outcome,
            egress=egress,
            ingress=ingress,
            flows=sum(flow.evidence.flows for flow in some),
        )
        for (_, _, _, outcome, egress, ingress), some in groups.items()
    ]


def _port(flow: Flow) -> str:
    return f"{flow.link.protocol}/{flow.link.port}"


def _ports(flows: Sequence[Flow]) -> str:
    ports = sorted({_port(flow) for flow in flows})
    return ", ".join(ports) if len(ports) < _SHOWN else f"{len(ports)} ports"


def _is_outside(spot: Spot) -> bool:
    return spot.workload < 0 and not spot.entity and bool(spot.ip)


def _named(spots: Sequence[Spot], known: Recorded) -> str:
    count = len({spot.ip for spot in spots}) if _is_outside(spots[0]) else 1
    return known.title(spots[0]) if count == 1 else f"outside ({count:,} addresses)"


def _flows(found: Explanation, known: Recorded) -> Table:
    columns = (
        Column("FROM"),
        Column("TO"),
        Column("PORT"),
        Column("OUTCOME"),
        Column("FLOWS", number=True),
        Column("EGRESS BY"),
        Column("INGRESS BY"),
    )
    rows = tuple(
        (
            clean(each.source),
            clean(each.target),
            each.port,
            each.outcome,
            f"{each.flows:,}",
            each.egress,
            each.ingress,
        )
        for each in _bundles(found.flows, known)
    )
    return Table(columns, rows)


def _by(flow: Flow, direction: Direction) -> str:
    side = flow.ruling.sides[direction]
    named = ", ".join(_short(each) for each in side.by)
    if side.outcome is Outcome.ALLOWED:
        return named or "allowed"
    return f"{side.outcome.label} ({named})" if named else side.outcome.label


def _short(entry: str) -> str:
    """Return `shop/web:ingress[0]` for `CiliumNetworkPolicy/shop/web:spec.ingress[0]`."""
    return entry.partition("/")[2].removeprefix("/").replace(":spec.", ":").rstrip(":")


def _completeness(found: Explanation) -> Iterator[str]:
    if found.hours < LEAST_HOURS:
        yield (
            f"completeness: the capture spans {found.hours} hour{'s' * (found.hours != 1)}; "
            f"it is estimated from {LEAST_HOURS} on"
        )
        return
    yield f"completeness over {found.hours} hours (Chao2, a lower bound of what there is)"
    yield from plain_lines(
        Table(
            (
                Column("WORKLOAD"),
                Column("CONTACTS SEEN", number=True),
                Column("IN ONE HOUR ONLY", number=True),
                Column("AT LEAST", number=True),
                Column("SEEN OF THEM", number=True),
            ),
            tuple(
                (clean(each.workload), f"{each.seen:,}", f"{each.once:,}", *_estimated(each))
                for each in found.completeness
            ),
        )
    )


def _estimated(each: Completeness) -> tuple[str, str]:
    if each.estimate is None or each.share is None:
        return "", ""
    return f"{each.estimate:.1f}", f"{each.share:.0%}"


def explanation_json(found: Explanation, known: Recorded) -> dict[str, Any]:
    """Return the same as values for JSON."""
    return {
        "hours": found.hours,
        "rules": [
            {
                "policy": rule.policy,
                "path": rule.path,
                "denies": rule.denies,
                "closes": rule.closes,
                "edges": list(rule.rows),
                "alone": rule.alone,
                **_evidence(rule),
            }
            for rule in found.rules
        ],
        "edges": [_edge(flow, known) for flow in found.flows],
        "completeness": [
            {
                "workload": each.workload,
                "contacts": each.seen,
                "in_one_hour_only": each.once,
                "at_least": each.estimate,
                "share": each.share,
            }
            for each in found.completeness
        ],
    }


def _evidence(item: RuleEvidence | Flow) -> dict[str, Any]:
    seen = item.evidence
    return {
        "flows": seen.flows,
        "first": seen.first.isoformat() if seen.first else None,
        "last": seen.last.isoformat() if seen.last else None,
        "hours": seen.hours,
        "seen_egress": seen.egress,
        "seen_ingress": seen.ingress,
    }


def _edge(flow: Flow, known: Recorded) -> dict[str, Any]:
    link = flow.link
    return {
        "from": known.title(link.source),
        "to": known.title(link.target),
        "protocol": link.protocol,
        "port": link.port,
        "outcome": link.outcome,
        **_evidence(flow),
        **{
            str(direction): {"outcome": side.outcome.label, "by": list(side.by)}
            for direction, side in flow.ruling.sides.items()
        },
    }
