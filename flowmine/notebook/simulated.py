"""What policies would do to recorded flows, and what flows say of policies."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import pyarrow as pa

from flowmine.advise.completeness import Completeness
from flowmine.advise.explain import Explanation, RuleEvidence
from flowmine.advise.recorded import Recorded
from flowmine.advise.simulate import Shift, ShiftKind, Simulation
from flowmine.notebook import markup
from flowmine.notebook.frame import Frame, Listing, columns
from flowmine.report.explanation import explanation_lines
from flowmine.report.simulateview import coverage_table, simulation_lines, simulation_table
from flowmine.report.tables import Table

__all__ = ["Explained", "Simulated", "completeness_frame"]

_SHIFTS = columns(
    ("kind source destination protocol", "text"),
    ("port", "port"),
    ("flows", "events"),
    ("edges", "count"),
    ("sides by requests remarks", "texts"),
)
_RULES = columns(
    ("policy path", "text"),
    ("denies", "bool"),
    ("edges alone", "count"),
    ("flows", "events"),
    ("hours window", "count"),
    ("first last", "us"),
)
_COMPLETENESS = columns(("workload", "text"), ("seen once hours", "count"), ("estimate share", "float"))


class Simulated(Frame):
    """Recorded flows judged by policies before anybody applies them: a row for connections that change alike.

    ``simulation`` holds all of it as values.
    """

    def __init__(self, simulation: Simulation) -> None:
        """Take the simulation."""
        self.simulation = simulation

    @property
    def title(self) -> str:
        """How many edges were judged, and how many change how."""
        return next(simulation_lines(self.simulation))

    @property
    def lines(self) -> tuple[str, ...]:
        """Who becomes governed, what no flow used, which policies have no effect."""
        said = tuple(simulation_lines(self.simulation))[1:]
        return (*said, *(f"no effect: {each}" for each in self.simulation.policies.ineffective))

    @property
    def denied(self) -> tuple[Shift, ...]:
        """What was delivered and would be denied; noise apart. Empty: the policies break nothing that was seen."""
        return self.simulation.of(ShiftKind.DENIED)

    @property
    def breaks_nothing(self) -> bool:
        """Whether all that was delivered, noise apart, would still be."""
        return not self.denied

    @property
    def unused(self) -> tuple[str, ...]:
        """The entries (`policy:path`) that no flow of the capture used."""
        return self.simulation.unused

    def _made(self) -> pa.Table:
        return pa.Table.from_pylist([_shift(each) for each in self.simulation.shifts], _SHIFTS)

    def _shown(self) -> Table:
        return simulation_table(self.simulation)

    def _details(self) -> Iterable[str]:
        yield markup.fold("what each policy covers", markup.table(coverage_table(self.simulation)))


class Explained(Frame):
    """The recorded traffic behind each rule of policies: a row a rule.

    ``explanation`` holds all of it as values, the rules behind each connection among it.
    """

    def __init__(self, explanation: Explanation, known: Recorded) -> None:
        """Take the explanation, and the capture that it is of."""
        self.explanation, self._known = explanation, known

    @property
    def title(self) -> str:
        """How many rules there are, and how many without traffic."""
        rules = self.explanation.rules
        unneeded = sum(not rule.rows and not rule.closes for rule in rules)
        return (
            f"{len(rules):,} rules, {unneeded:,} without traffic; {len(self.explanation.flows):,} edges, "
            f"{len(self.explanation.denied):,} delivered ones denied by these policies"
        )

    @cached_property
    def completeness(self) -> Listing:
        """How much of each workload's traffic the capture has shown."""
        return completeness_frame(self.explanation.completeness)

    def _made(self) -> pa.Table:
        return pa.Table.from_pylist([_rule(each) for each in self.explanation.rules], _RULES)

    def _details(self) -> Iterable[str]:
        text = "\n".join(explanation_lines(self.explanation, self._known))
        yield markup.fold("rule by rule, and connection by connection", markup.code(text))


def completeness_frame(found: Iterable[Completeness]) -> Listing:
    """Return completeness as a table: contacts seen, in one hour only among them, and how many there are at least."""
    rows = [
        {
            "workload": each.workload,
            "seen": each.seen,
            "once": each.once,
            "hours": each.hours,
            "estimate": each.estimate,
            "share": each.share,
        }
        for each in found
    ]
    return Listing(f"{len(rows):,} workloads", pa.Table.from_pylist(rows, _COMPLETENESS))


def _shift(shift: Shift) -> dict[str, Any]:
    return {
        "kind": shift.kind.value,
        "source": shift.source.title,
        "destination": shift.target.title,
        "protocol": shift.protocol,
        "port": shift.port,
        "flows": shift.events,
        "edges": len(shift.rows),
        "sides": list(map(str, shift.sides)),
        "by": sorted({name for names in shift.by.values() for name in names}),
        "requests": [f"{method} {path}" for method, path in shift.requests],
        "remarks": list(shift.remarks),
    }


def _rule(rule: RuleEvidence) -> dict[str, Any]:
    seen = rule.evidence
    return {
        "policy": rule.policy,
        "path": rule.path,
        "denies": rule.denies,
        "edges": len(rule.rows),
        "alone": rule.alone,
        "flows": seen.flows,
        "hours": seen.hours,
        "window": seen.window,
        "first": seen.first,
        "last": seen.last,
    }
