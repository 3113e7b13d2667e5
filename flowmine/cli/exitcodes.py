"""Exit codes, one table for all commands: what each can find, and which of it makes it leave with 1.

They are those of ``kubectl diff``: 0 nothing of what fails a run, 1 something of it, above 1 an error. ``--fail-on``
chooses the classes that fail; the page of `flowmine help exit-codes` is made of this table.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flowmine.errors import UsageError

if TYPE_CHECKING:
    from flowmine.advise.drops import DropReport
    from flowmine.advise.finding import Finding
    from flowmine.ledger import Ledger

__all__ = [
    "BUG",
    "CLASSES",
    "ERROR",
    "FINDINGS",
    "NEVER",
    "NOTHING",
    "Class",
    "FailOn",
    "drop_classes",
    "fails_on",
    "graver",
    "reading_classes",
]

NOTHING, FINDINGS, ERROR, BUG = 0, 1, 2, 70
"""The codes; 70 is sysexits' EX_SOFTWARE, for a bug must not look like a finding."""

NEVER = "never"
"""The word for no class at all."""


@dataclass(frozen=True, slots=True)
class Class:
    """Something that a command can find; ``fails`` tells whether it makes the run fail unless the line says else."""

    name: str
    means: str
    fails: bool = False


_READING = (
    Class(
        "gap",
        "events are missing: lost by Hubble, of a node or stream that was away, or of an input cut short",
    ),
    Class("skipped", "a line, or a field of one, could not be read and was passed over"),
)
_DROPS = (
    Class("policy-drop", "drops that policies still refuse", fails=True),
    Class("audit-drop", "traffic that audit mode let through, and that policies would refuse", fails=True),
)
_REST = (
    Class("gone", "drops that the policies in force would allow by now"),
    Class("other-drop", "drops that are not policy's doing"),
    Class("scan", "drops of a scan"),
)
_ASKED = "a connection, HTTP request or DNS query that was asked about is"
_JUDGED = (Class("denied", f"{_ASKED} denied", fails=True), Class("allowed", f"{_ASKED} allowed"))


def _kept(*classes: Class) -> tuple[Class, ...]:
    """Return classes none of which fails a run that does not ask for it."""
    return tuple(Class(each.name, each.means) for each in classes)


CLASSES: dict[str, tuple[Class, ...]] = {
    "recommend": (
        Class("half-seen", "a workload of which a side stays open, for its own node is not in the capture"),
        Class(
            "left-out",
            "something that the policies do not say: the form has no words, or Cilium would refuse it",
        ),
        Class("changed", "with --into: files of the folder are, or with --dry-run would be, changed"),
        *_READING,
    ),
    "visibility": _READING,
    "tail": (
        Class("new-edge", "an edge that was not known before"),
        Class("new-drop", "a drop, or a reason for one, that was not known before"),
        Class("would-drop", "traffic that the policies in force would now deny"),
        *_READING,
    ),
    "capture": _READING,
    "flows": (Class("flow", "an event passed the filters, and was printed"), *_READING),
    "edges": (
        Class("dropped", "an edge whose latest outcome is a drop by policy"),
        Class("audited", "an edge that audit mode let through"),
        *_READING,
    ),
    "drops": (*_DROPS, *_REST, *_READING),
    "simulate": (
        Class("would-drop", "delivered traffic that would be denied, noise apart", fails=True),
        Class(
            "newly-denied",
            "let through by the policies in force, not seen delivered, and denied by the new ones",
        ),
        Class("newly-allowed", "refused so far, and let through"),
        Class("noise-denied", "delivered noise (scans, probes) that would be denied"),
        Class("governed", "a workload of which a direction closes that is open now"),
        Class("unused", "an entry that no recorded flow used"),
        *_READING,
    ),
    "explain": (
        Class("denied", "delivered traffic that the policies would not let pass"),
        Class("unused", "an entry that matches no recorded traffic"),
        *_READING,
    ),
    "report": (*_kept(*_DROPS), *_READING),
    "diff": (
        Class("wider", "connections newly allowed, or requests filtered otherwise"),
        Class("narrower", "connections newly denied, or requests filtered otherwise"),
        Class("changed", "any difference", fails=True),
    ),
    "verdict": _JUDGED,
    "trace": _kept(*_JUDGED),
    "validate": (
        Class("error", "Kubernetes or Cilium would refuse a policy", fails=True),
        Class("warning", "a policy is taken and does not do what it seems to, or an error"),
        Class("passed-over", "an object of a kind that is not checked"),
    ),
    "lint": (
        Class("error", "a finding that is an error", fails=True),
        Class("warning", "a finding that is a warning, or graver", fails=True),
        Class("note", "any finding"),
        *_READING,
    ),
    "migrate": (Class("changed", "a window was brought up to date"),),
    "doctor": (
        Class("problem", "something is missing, does not answer, or will lose flows", fails=True),
        Class("note", "something to know of, or a problem"),
    ),
}
"""Command -> what it can find, gravest first. Commands that are not here find nothing: 0, or an error."""


@dataclass(frozen=True, slots=True)
class FailOn:
    """The classes of one command that make this run fail."""

    chosen: frozenset[str]

    def code(self, found: Mapping[str, object]) -> int:
        """Return the exit code; ``found`` has a true value for each class that there was something of."""
        return FINDINGS if any(found.get(name) for name in self.chosen) else NOTHING

    def fails(self, finding: "Finding") -> bool:
        """Tell whether a finding is of a class that makes this run fail."""
        by_level = graver({finding.level.value})
        return any(
            name in finding.classes or (not finding.classes and by_level.get(name)) for name in self.chosen
        )


_F = TypeVar("_F", bound=Callable[..., Any])


def fails_on(command: str) -> Callable[[_F], _F]:
    """Give a command the option ``--fail-on``; it is called with ``failing``, what it then returns the code of."""
    classes = CLASSES[command]

    def chosen(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> FailOn:
        return FailOn(_chosen(command, given))

    def decorate(function: _F) -> _F:
        @click.option(
            "--fail-on",
            "failing",
            multiple=True,
            metavar="CLASS",
            callback=chosen,
            help=f"Exit 1 for these only: {', '.join(each.name for each in classes)}, {NEVER} "
            f"(default: {_default(classes)}; flowmine help exit-codes).",
        )
        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

    return decorate


def _default(classes: tuple[Class, ...]) -> str:
    return ",".join(each.name for each in classes if each.fails) or NEVER


def _chosen(command: str, given: tuple[str, ...]) -> frozenset[str]:
    """Return the classes that a line names, by comma or one by one. Raise UsageError where there is none such."""
    classes = CLASSES[command]
    words = [word.strip() for text in given for word in text.split(",")]
    if not given:
        return frozenset(each.name for each in classes if each.fails)
    known = [each.name for each in classes]
    for word in words:
        if word not in (*known, NEVER):
            raise UsageError(
                f"--fail-on {word or repr(word)}: {command} knows {', '.join(known)} and {NEVER}"
            )
    if NEVER in words and len(set(words)) > 1:
        raise UsageError(f"--fail-on {NEVER} and other classes contradict each other")
    return frozenset(words) - {NEVER}


def reading_classes(ledger: "Ledger") -> dict[str, bool]:
    """Return which of `gap` and `skipped` a capture that was read has."""
    away = set(ledger.sources("node_status")) - {"NODE_CONNECTED"}
    other_events = {"agent_event", "debug_event"}
    return {
        "gap": bool(away) or any(ledger.total(kind) for kind in ("lost", "gap", "cut")),
        "skipped": bool(set(ledger.sources("skipped")) - other_events),
    }


def graver(levels: Collection[str]) -> dict[str, bool]:
    """Return the classes `error`, `warning` and `note` of findings of these levels: each counts what is graver as well."""
    order = ("error", "warning", "note")
    return {name: any(level in levels for level in order[: place + 1]) for place, name in enumerate(order)}


def drop_classes(report: "DropReport") -> dict[str, bool]:
    """Return which classes of drops a report has."""
    from flowmine.advise.causes import Cause

    causes = {each.group.cause for each in report.drops}
    return {
        "policy-drop": any(not each.group.audited for each in report.standing),
        "audit-drop": any(each.group.audited for each in report.standing),
        "gone": Cause.GONE in causes,
        "other-drop": bool(causes & {Cause.OTHER, Cause.REPLY}),
        "scan": bool(report.scans),
    }
