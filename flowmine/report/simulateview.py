"""A simulation as a table, as records for JSON and YAML, as markdown and as a page."""

from collections.abc import Iterator
from typing import Any

from flowmine.advise.simulate import Shift, ShiftKind, Simulation
from flowmine.report.comment import bullets, clipped, comment, rows
from flowmine.report.dropview import end_record, requests_told, time_text
from flowmine.report.marks import code, escaped
from flowmine.report.page import page
from flowmine.report.tables import Column, Table

__all__ = [
    "coverage_table",
    "simulation_lines",
    "simulation_markdown",
    "simulation_page",
    "simulation_stream",
    "simulation_table",
]

_SHOWN = 8
_ON_A_PAGE = 5_000
_COLUMNS = (
    Column("what"),
    Column("from"),
    Column("to"),
    Column("port"),
    Column("flows", number=True),
    Column("side", spare=1),
    Column("by", spare=2),
)
_COVERAGE = (
    Column("policy"),
    Column("entries", number=True),
    Column("used", number=True),
    Column("selects", number=True),
    Column("edges", number=True),
)


def simulation_table(found: Simulation) -> Table:
    """Return a line for each group of connections that change, what would break first."""
    return Table(_COLUMNS, tuple(_row(shift) for shift in found.shifts))


def _row(shift: Shift) -> tuple[str, ...]:
    side = "+".join(shift.sides) or (f"request {requests_told(shift.requests)}" if shift.requests else "")
    return (
        shift.kind.value,
        shift.source.title,
        shift.target.title,
        shift.where,
        str(shift.events),
        side,
        shift.named(),
    )


def coverage_table(found: Simulation) -> Table:
    """Return a line for each policy: its entries, those used, workloads selected, edges that it decides."""
    rows = (
        (each.policy, str(each.entries), str(each.used), str(len(each.workloads)), str(each.edges))
        for each in found.coverage
    )
    return Table(_COVERAGE, tuple(rows))


def simulation_lines(found: Simulation) -> Iterator[str]:
    """Yield the facts that close a run: counts, who becomes governed, entries that no flow used, and in which window."""
    counts = {kind: len(found.of(kind)) for kind in ShiftKind}
    told = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    yield f"{_counted(found.judged, 'edge', 'edges')} judged: {told or 'nothing changes'}"
    if found.governed:
        verb = "newly governed" if found.against else "governed"
        shown = ", ".join(f"{each.title} ({'+'.join(each.sides)})" for each in found.governed[:_SHOWN])
        count = _counted(len(found.governed), "workload", "workloads")
        yield f"{count} {verb}: {shown}{_more(len(found.governed))}"
    if found.unused:
        first, last = found.window
        window = f" from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC" if first and last else ""
        shown = ", ".join(found.unused[:_SHOWN])
        count = _counted(len(found.unused), "entry", "entries")
        hours = _counted(found.hours, "hour", "hours")
        yield f"{count} that no flow used in {hours}{window}: {shown}{_more(len(found.unused))}"
    yield from found.remarks


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _more(count: int) -> str:
    return f" and {count - _SHOWN:,} more" if count > _SHOWN else ""


def simulation_stream(found: Simulation) -> dict[str, Any]:
    """Return the whole simulation as one value for JSON and YAML; times in RFC 3339.

    ``changes`` are an iterator: each is made when it is asked for (`jsontext`, `yamltext`).
    """
    return {
        "judged": found.judged,
        "window": {
            "first": time_text(found.window[0]),
            "last": time_text(found.window[1]),
            "hours": found.hours,
        },
        "against": found.against is not None,
        "changes": map(_record, found.shifts),
        "governed": [{"title": each.title, "sides": list(map(str, each.sides))} for each in found.governed],
        "unused": list(found.unused),
        "coverage": [
            {
                "policy": each.policy,
                "entries": each.entries,
                "used": each.used,
                "workloads": list(each.workloads),
                "edges": each.edges,
            }
            for each in found.coverage
        ],
        "ineffective": list(found.policies.ineffective),
        "remarks": list(found.remarks),
    }


def _record(shift: Shift) -> dict[str, Any]:
    return {
        "kind": shift.kind.name.lower(),
        "title": shift.title,
        "source": end_record(shift.source),
        "target": end_record(shift.target),
        "protocol": shift.protocol,
        "port": shift.port,
        "sides": list(map(str, shift.sides)),
        "by": {str(side): list(names) for side, names in shift.by.items()},
        "requests": [{"method": method, "path": path} for method, path in shift.requests],
        "events": shift.events,
        "edges": len(shift.rows),
        "remarks": list(shift.remarks),
    }


def simulation_markdown(found: Simulation) -> Iterator[str]:
    """Yield the lines of a pull request's comment: what would break first, what each policy covers folded."""
    changes = [(kind, found.of(kind)) for kind in ShiftKind]
    parts = [
        rows(kind.value, Table(_COLUMNS, tuple(map(_row, shifts))), 0 if kind is ShiftKind.NOISE else 20)
        for kind, shifts in changes
        if shifts
    ]
    governed = [f"{escaped(clipped(each.title))}: {'+'.join(each.sides)}" for each in found.governed]
    parts += [
        bullets("workloads newly governed" if found.against else "workloads governed", governed),
        bullets("entries that no flow used", [code(clipped(entry)) for entry in found.unused]),
        rows("what each policy covers", coverage_table(found), 0),
    ]
    whole = "flowmine simulate -o json has all of it."
    yield from comment(
        "flowmine simulate", simulation_lines(found), [part for part in parts if part.items], whole
    )


def simulation_page(found: Simulation) -> str:
    """Return the simulation as one page of HTML, with as many changes as a browser shows well, what would break first."""
    return page(
        "simulate.html",
        lines=list(simulation_lines(found)),
        table=Table(_COLUMNS, tuple(map(_row, found.shifts[:_ON_A_PAGE]))),
        left_out=max(0, len(found.shifts) - _ON_A_PAGE),
        coverage=coverage_table(found),
        unused=found.unused,
        governed=[f"{each.title}: {', '.join(each.sides)}" for each in found.governed],
    )
