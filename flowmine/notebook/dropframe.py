"""Drops with their causes and fixes, as a table and as cards to unfold."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from flowmine.advise.dropfindings import drop_findings
from flowmine.advise.drops import Drop, DropReport, summary
from flowmine.advise.finding import Finding
from flowmine.notebook import markup
from flowmine.notebook.frame import Frame, columns
from flowmine.notebook.policies import PolicySet
from flowmine.policy.yamlread import read_documents
from flowmine.report.droptexts import drop_texts
from flowmine.report.dropview import drop_manifests, drop_table, told_cause, told_change
from flowmine.report.tables import Table
from flowmine.report.view import DropText

__all__ = ["Drops"]

_SCHEMA = columns(
    ("source destination protocol", "text"),
    ("port", "port"),
    ("drops", "events"),
    ("cause", "text"),
    ("stands audited", "bool"),
    ("sides by reasons", "texts"),
    ("change diff command", "text"),
    ("also mind notes", "texts"),
    ("first last delivered_since", "us"),
)


class Drops(Frame):
    """What was dropped: a row a group, with its cause, the smallest change that admits it, and what else that admits.

    ``report`` holds all of it as values; `fixed` is the set of policies after all changes.
    """

    def __init__(self, report: DropReport, texts: Mapping[str, str]) -> None:
        """Take the report, and the texts of the files that the policies are in."""
        self.report, self._texts = report, dict(texts)

    @property
    def title(self) -> str:
        """How many groups stand, are gone, or are not policy's doing."""
        return summary(self.report)[0]

    @property
    def lines(self) -> tuple[str, ...]:
        """What the answer does not hold for, and which policies have no effect."""
        ineffective = self.report.policies.ineffective if self.report.policies else ()
        return (*summary(self.report)[1:], *(f"no effect: {each}" for each in ineffective))

    def pick(self, *rows: int) -> "Drops":
        """Return the drops of some rows of the table alone: `fixed` then holds their changes and no others.

        Raise IndexError where there is no such row.
        """
        chosen = tuple(self.report.drops[row] for row in rows)
        return Drops(replace(self.report, drops=chosen, scans=()), self._texts)

    @cached_property
    def fixed(self) -> PolicySet:
        """The policies in force after all changes; without policies those that would admit what was dropped."""
        in_force = self.report.policies
        before = list(in_force.manifests.values()) if in_force else []
        after = [one.value for text in drop_manifests(self.report) for one in read_documents(text, "drops")]
        made = PolicySet.from_dicts({_ref(manifest): manifest for manifest in (*before, *after)}.values())
        made.config = in_force.policies.config if in_force else made.config
        return made

    def yaml(self) -> str:
        """Return the policies that change, as they are after all changes, each with the drops that it is for."""
        return "---\n".join(drop_manifests(self.report))

    def findings(self) -> tuple[Finding, ...]:
        """Return the drops as findings, for continuous integration."""
        return tuple(drop_findings(self.report, self._texts))

    def _made(self) -> pa.Table:
        return pa.Table.from_pylist([_record(drop) for drop in self.report.drops], _SCHEMA)

    def _shown(self) -> Table:
        return drop_table(self.report)

    def _details(self) -> Iterable[str]:
        texts = drop_texts(self.report)
        folds = (markup.fold(f"{each.title}: {each.cause}", "".join(_fix(each))) for each in texts)
        return markup.some(folds, "groups")


def _ref(manifest: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace") or "", metadata["name"]


def _record(drop: Drop) -> dict[str, object]:
    group = drop.group
    return {
        "source": group.source.title,
        "destination": group.target.title,
        "protocol": group.protocol,
        "port": group.port,
        "drops": group.count,
        "cause": told_cause(drop),
        "stands": group.cause.stands,
        "audited": group.audited,
        "sides": list(map(str, group.sides)),
        "by": sorted({name for names in group.by.values() for name in names}),
        "reasons": list(group.reasons),
        "change": told_change(drop) if drop.edits else None,
        "diff": "".join(edit.diff for edit in drop.edits) or None,
        "command": "\n".join(edit.command for edit in drop.edits if edit.command) or None,
        "also": list(drop.also),
        "mind": list(drop.risks),
        "notes": list(drop.notes),
        "first": group.first,
        "last": group.last,
        "delivered_since": group.since,
    }


def _fix(text: DropText) -> Iterable[str]:
    """Yield what is to be said of one group: who refuses it, the change, what else it admits."""
    yield markup.facts(f"{side}: {names}" for side, names in text.by)
    yield markup.facts([*text.notes, *([f"mind: {text.mind}"] if text.mind else [])])
    for edit in text.edits:
        yield markup.facts([f"{edit.action} {edit.ref}"])
        yield markup.diff(edit.diff)
        yield markup.code(edit.command) if edit.command else ""
    if text.also:
        yield markup.facts([f"admits {len(text.also):,} more seen or imagined:", *text.also[:20]])
