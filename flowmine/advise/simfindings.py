"""A simulation as findings, for continuous integration: what would break is an error, all else is a note."""

from collections.abc import Iterator, Mapping

from flowmine.advise.admitedits import Texts
from flowmine.advise.finding import Finding, Level, RuleInfo
from flowmine.advise.inforce import InForce
from flowmine.advise.lint.lines import Lines
from flowmine.advise.simulate import Shift, ShiftKind, Simulation

__all__ = ["RULES", "simulation_findings"]

_RULES = {
    ShiftKind.DENIED: RuleInfo(
        "simulate-denied", "delivered traffic that the policies would deny", Level.ERROR
    ),
    ShiftKind.NEWLY_DENIED: RuleInfo(
        "simulate-newly-denied", "let through by the policies in force, and not any more", Level.NOTE
    ),
    ShiftKind.NEWLY_ALLOWED: RuleInfo(
        "simulate-newly-allowed", "refused so far, and let through", Level.NOTE
    ),
    ShiftKind.NOISE: RuleInfo("simulate-noise", "delivered noise that the policies would deny", Level.NOTE),
}
_UNUSED = RuleInfo("simulate-unused", "an entry that no recorded flow used", Level.NOTE)
_CLASSES = {
    "simulate-denied": "would-drop",
    "simulate-newly-denied": "newly-denied",
    "simulate-newly-allowed": "newly-allowed",
    "simulate-noise": "noise-denied",
    "simulate-unused": "unused",
}
RULES = (*_RULES.values(), _UNUSED)
"""The kinds of findings of a simulation."""


def simulation_findings(found: Simulation, texts: Texts) -> Iterator[Finding]:
    """Yield a finding for each change and each unused entry, at the entry or policy behind it where one lies in a file."""
    lines = {file: Lines(text) for file, text in texts.items()}
    for shift in found.shifts:
        rule = _RULES[shift.kind]
        behind = [name for names in shift.by.values() for name in names]
        yield _finding(rule, _message(shift), behind[0] if behind else "", shift.title, found.policies, lines)
    for entry in found.unused:
        yield _finding(_UNUSED, f"no flow of the window used {entry}", entry, entry, found.policies, lines)


def _message(shift: Shift) -> str:
    requests = ", ".join(f"{method} {path}" for method, path in shift.requests)
    sides = " and ".join(shift.sides)
    parts = (
        f"{shift.events:,} flows {shift.kind}",
        f"at {sides}" if sides else "",
        f"of the requests {requests}" if requests else "",
        *shift.named_by_side(),
        *shift.remarks,
    )
    return "; ".join(filter(None, parts))


def _finding(
    rule: RuleInfo, message: str, behind: str, title: str, policies: InForce, lines: Mapping[str, Lines]
) -> Finding:
    ref, _, path = behind.partition(":")
    home = policies.homes.get(ref)
    file = home.file if home and home.file in lines and home.item is None else ""
    index = home.index if home and file else 0
    return Finding(
        rule=rule.id,
        level=rule.level,
        message=message,
        fix="",
        policy=title,
        where=f"{file}:{index}:{path}" if file else behind,
        file=file,
        document=index,
        path=path,
        line=(lines[file].line(index, path) or 0) if file else 0,
        classes=(_CLASSES[rule.id],),
    )
