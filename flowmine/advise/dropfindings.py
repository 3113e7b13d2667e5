"""Drops as findings, for continuous integration: what policies refuse fails a check, all else is a note."""

from collections.abc import Iterator

from flowmine.advise.admitedits import Texts
from flowmine.advise.causes import Cause
from flowmine.advise.drops import Drop, DropReport
from flowmine.advise.finding import Finding, Level, RuleInfo
from flowmine.advise.lint.lines import Lines

__all__ = ["RULES", "drop_findings", "drop_title"]

_SCAN = RuleInfo("drop-scan", "drops of a scan", Level.NOTE)
_RULES = {
    Cause.NO_RULE: RuleInfo("drop-no-rule", "dropped, for no rule allows it", Level.WARNING),
    Cause.DENY_RULE: RuleInfo("drop-deny-rule", "dropped by a deny rule", Level.WARNING),
    Cause.REQUEST: RuleInfo("drop-request", "a request that no HTTP or DNS rule allows", Level.WARNING),
    Cause.AUTHENTICATION: RuleInfo(
        "drop-authentication", "dropped for want of authentication", Level.WARNING
    ),
    Cause.UNRESOLVED: RuleInfo("drop-unresolved", "Cilium cannot resolve the endpoint's policy", Level.ERROR),
    Cause.UNKNOWN: RuleInfo(
        "drop-unknown", "a policy's drop of which the cause cannot be told", Level.WARNING
    ),
    Cause.GONE: RuleInfo("drop-gone", "dropped once, allowed by the policies in force", Level.NOTE),
    Cause.REPLY: RuleInfo("drop-reply", "a reply was dropped", Level.NOTE),
    Cause.OTHER: RuleInfo("drop-other", "dropped, and not by policy", Level.NOTE),
}
_REST = {Cause.GONE: "gone", Cause.REPLY: "other-drop", Cause.OTHER: "other-drop"}
RULES = (*_RULES.values(), _SCAN)
"""The kinds of findings among drops."""


def drop_title(drop: Drop) -> str:
    """Return what a drop is called: who, to whom, on which port."""
    group = drop.group
    return f"{group.source.title} to {group.target.title} on {group.where}"


def drop_findings(report: DropReport, texts: Texts) -> Iterator[Finding]:
    """Yield a finding for each group and each scan, pointing at the policy to change where one lies in a file."""
    lines = {file: Lines(text) for file, text in texts.items()}
    for drop in report.drops:
        rule, group = _RULES[drop.group.cause], drop.group
        edit = next((each for each in drop.edits if each.file in texts), None)
        place = edit.places[0] if edit else ""
        by = sorted({name for names in group.by.values() for name in names})
        sides = " and ".join(group.sides)
        yield Finding(
            rule=rule.id,
            level=rule.level,
            message="; ".join(
                filter(
                    None,
                    (
                        f"{group.count:,} {'would-be ' if group.audited else ''}drops: {group.cause}",
                        f"at {sides}" if sides else "",
                        f"by {', '.join(by)}" if by else "",
                        *drop.notes,
                        f"mind: {', '.join(drop.risks)}" if drop.risks else "",
                    ),
                )
            ),
            fix="; ".join(f"{each.action} {each.ref} at {', '.join(each.places)}" for each in drop.edits),
            policy=drop_title(drop),
            where=f"{edit.file}:{edit.document}:{place}" if edit else ", ".join(by),
            file=edit.file if edit else "",
            document=edit.document if edit else 0,
            path=place,
            line=(lines[edit.file].line(edit.document, place) or 0) if edit else 0,
            classes=(_REST.get(group.cause) or ("audit-drop" if group.audited else "policy-drop"),),
        )
    for scan in report.scans:
        message = f"{scan.count:,} drops of a {scan.kind}: {scan.evidence}"
        yield Finding(
            _SCAN.id, _SCAN.level, message, "", policy=f"{scan.kind} of {scan.title}", classes=("scan",)
        )
