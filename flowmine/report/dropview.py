"""Drops as a table of one screen, as records for JSON, and as the manifests after all changes."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from flowmine.advise.admitedits import Edit, combined
from flowmine.advise.admitops import json_patch
from flowmine.advise.causes import Cause, advice_on
from flowmine.advise.dropfindings import drop_title
from flowmine.advise.drops import Drop, DropReport
from flowmine.advise.groupends import End
from flowmine.advise.inforce import InForce
from flowmine.engine.policyset import PolicySet
from flowmine.policy.yamlwrite import write_document
from flowmine.report.tables import Column, Table

__all__ = [
    "drop_manifests",
    "drop_records",
    "drop_table",
    "end_record",
    "requests_told",
    "time_text",
    "told_cause",
    "told_change",
]

_COLUMNS = (
    Column("from"),
    Column("to"),
    Column("port"),
    Column("drops", number=True),
    Column("cause"),
    Column("change", spare=1),
    Column("also", number=True, spare=2),
    Column("mind", spare=3),
)
_FEW = 5
_REQUESTS = 2
_SHORT = {"CiliumNetworkPolicy": "cnp", "CiliumClusterwideNetworkPolicy": "ccnp", "NetworkPolicy": "netpol"}


def drop_table(report: DropReport) -> Table:
    """Return a line for each group that stands; what is gone, scans, and what policies did not do, in a few lines."""
    rows = [_row(drop) for drop in report.standing]
    gone = [drop for drop in report.drops if drop.group.cause is Cause.GONE]
    rows += [_row(drop) for drop in gone[:_FEW]]
    if len(gone) > _FEW:
        rows.append(_line(f"{len(gone) - _FEW:,} more", sum(d.group.count for d in gone[_FEW:]), Cause.GONE))
    others: dict[str, list[Drop]] = defaultdict(list)
    for drop in report.drops:
        if drop.group.cause in (Cause.OTHER, Cause.REPLY):
            reason = drop.group.cause if drop.group.cause is Cause.REPLY else " ".join(drop.group.reasons)
            others[reason].append(drop)
    for reason, drops in sorted(others.items(), key=lambda item: -sum(d.group.count for d in item[1])):
        rows.append(_other(reason, drops))
    for scan in report.scans[:_FEW]:
        rows.append((scan.title, scan.evidence, "", f"{scan.count}", scan.kind, "", "", ""))
    if len(report.scans) > _FEW:
        left = report.scans[_FEW:]
        rows.append(_line(f"{len(left):,} more scans", sum(scan.count for scan in left), "scan"))
    return Table(_COLUMNS, tuple(rows))


def _line(title: str, count: int, cause: str) -> tuple[str, ...]:
    return (title, "", "", str(count), cause, "", "", "")


def _row(drop: Drop) -> tuple[str, ...]:
    group = drop.group
    also = str(len(drop.admission.also)) if drop.admission else ""
    return (
        group.source.title,
        group.target.title,
        group.where,
        str(group.count),
        told_cause(drop),
        told_change(drop),
        also,
        ", ".join(drop.risks),
    )


def _other(reason: str, drops: list[Drop]) -> tuple[str, ...]:
    first, count = drops[0].group, sum(drop.group.count for drop in drops)
    advice = "" if first.cause is Cause.REPLY else advice_on(first.reasons[0]).means
    if len(drops) == 1:
        return (first.source.title, first.target.title, first.where, str(count), reason, advice, "", "")
    return (f"{len(drops):,} pairs", "", "", str(count), reason, advice, "", "")


def told_cause(drop: Drop) -> str:
    """Return a group's cause in a few words: what, and at which side."""
    group = drop.group
    sides = "+".join(group.sides)
    if group.cause is Cause.NO_RULE:
        text = f"no rule: {sides or 'side unknown'}"
    elif group.cause is Cause.DENY_RULE:
        text = f"deny rule: {sides or 'side unknown'}"
    elif group.cause is Cause.REQUEST:
        text = f"request {requests_told(group.wanted)}"
    else:
        text = str(group.cause)
    return f"{text} (audit)" if group.audited else text


def requests_told(requests: Sequence[tuple[str, str]]) -> str:
    """Return requests in a few words: the first ones, and how many more."""
    shown = ", ".join(f"{method} {path}" for method, path in requests[:_REQUESTS])
    return shown + (f" and {len(requests) - _REQUESTS:,} more" if len(requests) > _REQUESTS else "")


def told_change(drop: Drop) -> str:
    """Return the change in a few words; where there is none, the first note."""
    if not drop.edits:
        return drop.notes[0] if drop.notes else ""
    return ", ".join(map(_told_edit, drop.edits))


def _told_edit(edit: Edit) -> str:
    where = f"{edit.namespace}/{edit.name}" if edit.namespace else edit.name
    return f"{edit.action} {_SHORT[edit.kind]} {where}"


def drop_records(report: DropReport) -> dict[str, Any]:
    """Return the whole report as one value for JSON; times in RFC 3339, counts of events."""
    return {
        "policies": report.policies is not None,
        "drops": [_record(drop) for drop in report.drops],
        "scans": [
            {"kind": each.kind, "source": each.title, "evidence": each.evidence, "count": each.count}
            for each in report.scans
        ],
        "remarks": list(report.remarks),
        "ineffective": list(report.policies.ineffective) if report.policies else [],
    }


def _record(drop: Drop) -> dict[str, Any]:
    group = drop.group
    return {
        "title": drop_title(drop),
        "source": end_record(group.source),
        "target": end_record(group.target),
        "protocol": group.protocol,
        "port": group.port,
        "cause": group.cause.name.lower(),
        "stands": group.cause.stands,
        "sides": list(group.sides),
        "requests": [{"method": method, "path": path} for method, path in group.wanted],
        "by": {str(side): list(names) for side, names in group.by.items()},
        "reasons": list(group.reasons),
        "audited": group.audited,
        "count": group.count,
        "first": time_text(group.first),
        "last": time_text(group.last),
        "delivered_since": time_text(group.since),
        "risks": list(drop.risks),
        "notes": list(drop.notes),
        "change": [_edit(each) for each in drop.edits],
        "also": list(drop.also),
        "also_count": len(drop.admission.also) if drop.admission else None,
    }


def end_record(end: End) -> dict[str, Any]:
    """Return one end of a group for JSON."""
    return {
        "title": end.title,
        "namespace": end.namespace,
        "labels": list(end.labels),
        "addresses": list(end.addresses),
        "names": list(end.names),
    }


def _edit(edit: Edit) -> dict[str, Any]:
    return {
        "action": edit.action.value,
        "policy": edit.ref,
        "places": list(edit.places),
        "file": edit.file,
        "rule": edit.rule,
        "diff": edit.diff,
        "command": edit.command,
        "patch": json_patch(edit.ops),
    }


def time_text(at: datetime | None) -> str | None:
    """Return a time in RFC 3339, None for none."""
    return at.isoformat().replace("+00:00", "Z") if at else None


def drop_manifests(report: DropReport) -> Iterator[str]:
    """Yield the policies as they are after all changes, as YAML documents, each with the drops that it is for as comments."""
    changes = [
        (drop.admission, f"{drop_title(drop)}: {drop.group.count:,} drops" + _mind(drop))
        for drop in report.drops
        if drop.admission
    ]
    policies = report.policies or InForce(PolicySet(()))
    for manifest, comments in combined(changes, policies).values():
        yield write_document(dict(manifest), {(): "\n".join(comments)})


def _mind(drop: Drop) -> str:
    return f" (mind: {', '.join(drop.risks)})" if drop.risks else ""
